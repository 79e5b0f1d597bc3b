"""What a model, a training and a study are: frozen, validated sections.

Each field of a preset says beside its value how people call it, what it means, and when it takes part
(`setting`); tables of a recipe are made from that (`auricle.config.reference`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

Axis = Literal["time", "frequency"]
ProtocolName = Literal["test-split", "k-fold", "official", "random"]
OFF = {0: "off"}


class Section(BaseModel):
    """A part of the configuration: immutable, and no unknown field passes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class Shown:
    """How the value of a field is printed.

    Attributes:
        form: what stands around it, such as "{} Hz"; with "%", a share is printed in percent.
        names: what some values are called, such as 0: "off".
        applies: whether it takes part, given the preset, or the block whose field it is; None: always.
    """

    form: str = "{}"
    names: Mapping[Any, str] | None = None
    applies: Callable[[Any], bool] | None = None


def setting(
    default: Any,
    label: str,
    description: str,
    form: str = "{}",
    *,
    names: Mapping[Any, str] | None = None,
    applies: Callable[[Any], bool] | None = None,
    **limits: Any,
) -> Any:
    """Return a field of a preset: its default, what people call it, what it means, how it is `Shown`, its limits."""
    extra: dict[str, Any] = {"shown": Shown(form, names, applies)}
    return Field(default, title=label, description=description, json_schema_extra=extra, **limits)


def section_within(annotation: Any) -> type[Section] | None:
    """Return the section class inside an annotation such as `EncoderConfig | None` or `tuple[BlockConfig, ...]`."""
    for part in (annotation, *get_args(annotation)):
        if isinstance(part, type) and issubclass(part, Section):
            return part
    return None


def _has_bands(preset: Preset) -> bool:
    return preset.frontend.kind != "raw"


class AudioConfig(Section):
    """What the network hears at once."""

    sample_rate_hz: int = setting(
        16_000, "Sample rate", "recordings are resampled to it", "{} Hz", ge=1_000, le=192_000
    )
    window_s: float = setting(3.0, "Window", "length of a window; the network sees one at a time", "{} s", gt=0)
    window_hop_s: float = setting(1.0, "Window hop", "distance of window starts when a clip is scored", "{} s", gt=0)


class FrontendConfig(Section):
    """Waveform to frames to features."""

    kind: Literal["raw", "log-mel", "mfcc"] = setting(
        "log-mel", "Features", "what the network sees of a window", names={"raw": "waveform", "mfcc": "MFCC"}
    )
    num_bands: int = setting(64, "Mel bands", "number of mel bands", applies=_has_bands, ge=4, le=512)
    num_coefficients: int = setting(
        40, "MFCCs", "number of cepstral coefficients", applies=lambda p: p.frontend.kind == "mfcc", ge=2, le=512
    )
    transform_ms: float = setting(
        64.0, "Fourier window", "length of the Fourier transform", "{} ms", applies=_has_bands, gt=0
    )
    hop_ms: float = setting(40.0, "Frame hop", "distance of two frames", "{} ms", applies=_has_bands, gt=0)
    min_hz: float = setting(50.0, "Lowest frequency", "lower edge of the mel bands", "{} Hz", applies=_has_bands, ge=0)
    max_hz: float | None = setting(
        None, "Highest frequency", "upper edge of the mel bands; None: half the sample rate", "{} Hz",
        names={None: "half the sample rate"}, applies=_has_bands,
    )  # fmt: skip
    floor: float = setting(1e-5, "Log floor", "power added before the logarithm", applies=_has_bands, gt=0)


class BlockConfig(Section):
    """One block of the base: a 1D convolution along each axis named, in turn, then pooling and dropout."""

    axes: tuple[Axis, ...] = setting(
        ("time",), "Convolution axes", "a 1D convolution along each, in turn", min_length=1
    )
    channels: int = setting(..., "Channels", "output channels", ge=1)
    kernel: int = setting(3, "Kernel", "kernel size of its convolutions", ge=1)
    stride: int = setting(1, "Stride", "of each of its convolutions, along that one's axis", ge=1)
    padding: int | None = setting(
        None, "Padding", "on both sides; None: kernel // 2", names={None: "half the kernel"}, ge=0
    )
    bias: bool | None = setting(
        None, "Bias", "of the convolutions; None: only where no norm follows", names={None: "where no norm follows"}
    )
    norm: Literal["batch", "none"] = setting("batch", "Norm", "after each convolution")
    activation: Literal["relu", "gelu", "none"] = setting("relu", "Activation", "after each norm")
    residual: bool = setting(False, "Residual", "the input is added before the last activation")
    pool: Literal["none", "max", "average"] = setting("none", "Pooling", "along the axes of its convolutions")
    pool_size: int = setting(
        2, "Pool size", "kernel and stride of the pooling", applies=lambda b: b.pool != "none", ge=1
    )
    dropout: float = setting(0.0, "Dropout", "probability that a value is set to zero", names=OFF, ge=0, lt=1)
    dropout_before_pool: bool = setting(
        False, "Dropout before pooling", "dropout, then pooling; else pooling, then dropout",
        applies=lambda b: b.pool != "none" and b.dropout > 0,
    )  # fmt: skip
    channels_to_rows: bool = setting(
        False, "Channels to rows", "afterwards its channels are the rows of a map with one channel"
    )
    repeat: int = setting(1, "Repeats", "the block this many times; stride and pool in the first only", ge=1)


class BaseConfig(Section):
    """The stack of 1D convolutions that both architectures share."""

    layout: Literal["bands-as-channels", "map"] = setting(
        "bands-as-channels", "Layout of the features", "bands are channels, or rows of a map with one channel",
        names={"bands-as-channels": "bands as channels"},
    )  # fmt: skip
    blocks: tuple[BlockConfig, ...] = setting(..., "Blocks", "convolutions, in the order of the signal", min_length=1)

    @model_validator(mode="after")
    def _axes_exist(self) -> BaseConfig:
        if self.layout == "bands-as-channels" and any("frequency" in b.axes for b in self.blocks):
            raise ValueError("a block along frequency needs layout: map (bands as channels leave no frequency axis)")
        return self


class EncoderConfig(Section):
    """The transformer encoder of Architecture 2."""

    num_heads: int = setting(4, "Attention heads", "heads in each block", ge=1)
    num_blocks: int = setting(2, "Encoder blocks", "number of blocks", ge=1)
    width: int = setting(128, "Width", "length of a token", ge=1)
    mlp_width: int | None = setting(
        256,
        "MLP width",
        "width of the hidden layer; None: one linear layer alone",
        names={None: "no hidden layer"},
        ge=1,
    )
    activation: Literal["gelu", "relu"] = setting(
        "gelu", "Activation", "of the hidden layer", applies=lambda p: p.encoder.mlp_width is not None
    )
    dropout: float = setting(
        0.1, "Dropout", "probability that a value is set to zero, in attention and MLP", names=OFF, ge=0, lt=1
    )
    pool_to_steps: int | None = setting(
        None, "Time steps pooled to", "adaptive average of the map to so many time steps first; None: all steps",
        names={None: "off"}, ge=1,
    )  # fmt: skip
    tokens: Literal["time", "map", "channels"] = setting(
        "time", "Tokens",
        "time steps (mean over bands), every cell of the map, or every channel's row over time (mean over bands)",
        names={"time": "time steps", "map": "cells of the map"},
    )  # fmt: skip
    projection: bool = setting(
        True, "Projection", "a linear layer from tokens to the width; false: they have it already"
    )
    cls: Literal["trained", "fixed"] = setting("trained", "<cls>", "trained, or fixed as it was drawn at the start")
    positions: Literal["learned", "sinusoidal", "none"] = setting("learned", "Positions", "added to the tokens")
    norm: Literal["pre", "post", "none"] = setting("pre", "Norm", "of each block: before its parts, or after each sum")
    final_norm: bool = setting(True, "Final norm", "a norm after the last block")
    qkv_bias: bool = setting(True, "Attention bias", "of query, key and value")
    pad_heads: bool = setting(
        False, "Padded heads", "fill heads up with zeros where their number does not divide the width",
        applies=lambda p: p.encoder.width % p.encoder.num_heads > 0,
    )  # fmt: skip

    @model_validator(mode="after")
    def _heads_divide_width(self) -> EncoderConfig:
        if self.width % self.num_heads and not self.pad_heads:
            valid = [h for h in range(1, min(self.width, 16) + 1) if self.width % h == 0]
            raise ValueError(
                f"encoder.width {self.width} is not divided by {self.num_heads} heads; valid: {valid}, or any with "
                "encoder.pad_heads"
            )
        return self


class HeadConfig(Section):
    """From what the base (or `<cls>`) says to one logit a class."""

    pool: Literal["mean", "max", "flatten"] = setting(
        "mean", "Pooling", "over the map; Architecture 1 only", applies=lambda p: p.encoder is None
    )
    hidden: tuple[int, ...] = setting((), "Hidden layers", "widths of hidden layers; empty: one linear layer")
    dropout: float = setting(
        0.1, "Dropout", "probability that an input of the last layer is set to zero", names=OFF, ge=0, lt=1
    )


class TrainingConfig(Section):
    """The recipe."""

    epochs: int = setting(100, "Epochs", "passes over the training clips", ge=1)
    max_steps: int | None = setting(
        None,
        "Maximum steps",
        "the training ends after so many, in the middle of an epoch if need be; None: no limit",
        ge=1,
    )
    batch_size: int = setting(32, "Batch size", "windows in a step", "{} windows", ge=2)
    windows: Literal["random", "grid"] = setting(
        "random", "Windows", "what an epoch sees: windows at random places, or those that score a clip, all of them",
        names={"random": "at random places", "grid": "all that score a clip"},
    )  # fmt: skip
    views: int = setting(
        4,
        "Passes over the clips per epoch",
        "random: windows drawn from each clip in an epoch; grid: rounds of them",
        ge=1,
    )
    optimizer: Literal["adam", "adamw", "sgd", "muon"] = setting(
        "adamw", "Optimiser", "muon: AdamW moves the first and the last layer, norms and biases",
        names={"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "muon": "Muon, with AdamW"},
    )  # fmt: skip
    learning_rate: float = setting(
        2e-3, "Learning rate", "the largest; muon: of the first and the last layer, norms and biases", gt=0
    )
    matrix_learning_rate: float = setting(
        0.02, "Learning rate of matrices", "muon only: of all other kernels and matrices",
        applies=lambda p: p.training.optimizer == "muon", gt=0,
    )  # fmt: skip
    weight_decay: float = setting(0.05, "Weight decay", "of kernels and matrices", names=OFF, ge=0)
    momentum: float = setting(
        0.9, "Momentum", "sgd and muon", applies=lambda p: p.training.optimizer in ("sgd", "muon"), ge=0, lt=1
    )
    schedule: Literal["cosine", "constant"] = setting(
        "cosine", "Schedule", "of the learning rate after the warm-up: a cosine to zero, or constant"
    )
    warmup_epochs: float = setting(
        5.0, "Warm-up", "epochs in which the learning rate rises from zero", "{} epochs", names=OFF, ge=0
    )
    label_smoothing: float = setting(
        0.1,
        "Label smoothing",
        "share of the target spread over all classes, in the cross-entropy",
        names=OFF,
        ge=0,
        lt=1,
    )
    gradient_clip: float = setting(
        2.0, "Gradient clipping (norm)", "largest norm of the gradient; 0: off", names=OFF, ge=0
    )
    weight_average: float = setting(
        0.998, "Weight averaging (decay)", "decay of the averaged weights that are scored; 0: the last weights are",
        names=OFF, ge=0, lt=1,
    )  # fmt: skip
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", "Precision",
        "of convolutions and products while training; auto: bfloat16 where the processor has it",
    )  # fmt: skip


class AugmentationConfig(Section):
    """What happens to a batch; everything off makes plain windows."""

    shift: bool = setting(
        True, "Time shift", "cyclic shift in time: the clip is a ring, a window starts anywhere",
        names={True: "cyclic", False: "off"}, applies=lambda p: not p.augmentation.stretch,
    )  # fmt: skip
    stretch: float = setting(
        0.0, "Time stretch", "largest change of speed: 0.25 is 1 / 1.25 to 1.25 times as fast", "up to {} %", names=OFF,
        ge=0, le=3,
    )  # fmt: skip
    mix: float = setting(
        1.0,
        "Mixing",
        "share of windows mixed with another clip's, by loudness",
        "{} % of windows",
        names=OFF,
        ge=0,
        le=1,
    )
    gain_db: float = setting(6.0, "Gain", "largest gain or loss", "up to ± {} dB", names=OFF, ge=0)
    band_shift: int = setting(
        3, "Frequency shift", "largest shift in mel bands", "up to ± {} bands", names=OFF, applies=_has_bands, ge=0
    )
    filter_db: float = setting(
        4.0,
        "Random filter",
        "standard deviation of a random smooth filter",
        "{} dB (standard deviation)",
        names=OFF,
        ge=0,
    )
    time_mask_s: float = setting(0.4, "Time mask", "longest stretch of time blanked", "up to {} s", names=OFF, ge=0)
    band_mask: int = setting(
        8, "Frequency mask", "largest number of neighbouring bands blanked", "up to {} bands", names=OFF,
        applies=_has_bands, ge=0,
    )  # fmt: skip
    feature_frame_mask: int = setting(
        0,
        "Time mask of features",
        "longest stretch of the features blanked, in frames",
        "up to {} frames",
        names=OFF,
        ge=0,
    )
    feature_row_mask: int = setting(
        0, "Row mask of features", "largest number of neighbouring rows of the features blanked", "up to {} rows",
        names=OFF, ge=0,
    )  # fmt: skip


class Preset(Section):
    """A model and its training recipe."""

    name: str = Field(..., description="what the model is called")
    about: str = Field("", description="what it is, in a sentence or two")
    audio: AudioConfig = Field(AudioConfig(), title="Audio", description="sample rate and windows")
    frontend: FrontendConfig = Field(FrontendConfig(), title="Frontend", description="waveform to features")
    base: BaseConfig = Field(..., title="Base", description="1D convolutions")
    encoder: EncoderConfig | None = Field(None, title="Encoder", description="transformer; None: Architecture 1")
    head: HeadConfig = Field(HeadConfig(), title="Head", description="pooled features to logits")
    training: TrainingConfig = Field(TrainingConfig(), title="Training", description="the recipe")
    augmentation: AugmentationConfig = Field(
        AugmentationConfig(), title="Augmentation", description="random changes of the training windows"
    )


class StudyConfig(Section):
    """A set of cells: models x protocols x folds x seeds, on one dataset."""

    name: str = Field(..., description="what the study is called")
    about: str = Field("", description="what it is for, in a sentence or two")
    data: str = Field("toy", description="a dataset by name, a folder of class folders, or a CSV")
    models: tuple[str, ...] = Field(..., min_length=1, description="presets by name")
    protocols: tuple[ProtocolName, ...] = Field(
        ("test-split", "k-fold"), min_length=1, description="how folds become training, validation and test set"
    )
    only: dict[str, tuple[ProtocolName, ...]] = Field(
        default_factory=dict, description="model: those of the protocols that it runs under; others run under all"
    )
    seeds: tuple[int, ...] = Field((0,), min_length=1, description="one training for each")
    group_by: str | None = Field(
        None, description="a column, or a pattern over names; None: the groups that the dataset has"
    )
    allow_split_groups: bool = Field(False, description="score what leaks, stamped, where the folds split a group")
    overrides: dict[str, Any] = Field(default_factory=dict, description="section.field: value, for every model")
    presets: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="models of this study alone: each a preset, as its file would say it"
    )

    def protocols_of(self, model: str) -> tuple[ProtocolName, ...]:
        """Return the protocols that a model runs under, in the order of the study."""
        return tuple(protocol for protocol in self.protocols if protocol in self.only.get(model, self.protocols))
