"""What a model, a training and a study are: frozen, validated sections.

How people read the fields stands in `auricle.config.reference`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, model_validator

Axis = Literal["time", "frequency"]
Count = Annotated[int, Field(ge=1)]
ProtocolName = Literal["test-split", "k-fold", "official", "random", "random-split"]


class Section(BaseModel):
    """A part of the configuration: immutable, and no unknown field passes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def section_within(annotation: Any) -> type[Section] | None:
    """Return the section class inside an annotation such as `EncoderConfig | None` or `tuple[BlockConfig, ...]`."""
    parts = (annotation, *get_args(annotation))
    return next((part for part in parts if isinstance(part, type) and issubclass(part, Section)), None)


def section_below(annotation: Any) -> type[Section] | None:
    """Return the section class inside an annotation such as `EncoderConfig | None`; None for a list of sections."""
    return None if get_origin(annotation) is tuple else section_within(annotation)


class AudioConfig(Section):
    """What the network hears at once."""

    sample_rate_hz: int = Field(16_000, ge=1_000, le=192_000, description="recordings are resampled to it")
    window_s: float = Field(3.0, gt=0, description="length of a window; the network sees one at a time")
    window_hop_s: float = Field(1.0, gt=0, description="distance of window starts when a clip is scored")
    clip_windows: Literal["fullest", "all"] = Field(
        "fullest",
        description="windows that answer for a clip: those around it (a ring) that hold most sound, or all inside it",
    )


class FrontendConfig(Section):
    """Waveform to frames to features."""

    kind: Literal["raw", "log-mel", "mfcc"] = Field("log-mel", description="what the network sees of a window")
    num_bands: int = Field(64, ge=4, le=512, description="number of mel bands")
    num_coefficients: int = Field(40, ge=2, le=512, description="number of cepstral coefficients")
    transform_ms: float = Field(64.0, gt=0, description="length of the Fourier transform")
    hop_ms: float = Field(40.0, gt=0, description="distance of two frames")
    min_hz: float = Field(50.0, ge=0, description="lower edge of the mel bands")
    max_hz: float | None = Field(None, description="upper edge of the mel bands; null: half the sample rate")
    floor: float = Field(1e-5, gt=0, description="power added before the logarithm")
    normalise: bool = Field(True, description="features have mean 0 and spread 1 over the training clips")
    stack_s: float | None = Field(None, gt=0, description="length of stretches of a window that become rows; null: off")
    stack_hop_s: float = Field(0.5, gt=0, description="distance of the starts of such stretches")


class BlockConfig(Section):
    """One block of the base: a 1D convolution along each axis named, in turn, then pooling and dropout."""

    axes: tuple[Axis, ...] = Field(("time",), min_length=1, description="a 1D convolution along each, in turn")
    channels: int = Field(..., ge=1, description="output channels")
    kernel: int = Field(3, ge=1, description="kernel size of its convolutions")
    stride: int = Field(1, ge=1, description="of each of its convolutions, along that one's axis")
    padding: int | None = Field(None, ge=0, description="on both sides; null: kernel // 2")
    bias: bool | None = Field(None, description="of the convolutions; null: only where no norm follows")
    norm: Literal["batch", "none"] = Field("batch", description="after each convolution")
    activation: Literal["relu", "gelu", "none"] = Field("relu", description="after each norm")
    residual: bool = Field(False, description="the input is added before the last activation")
    pool: Literal["none", "max", "average"] = Field("none", description="along the axes of its convolutions")
    pool_size: int = Field(2, ge=1, description="kernel and stride of the pooling")
    dropout: float = Field(0.0, ge=0, lt=1, description="probability that a value is set to zero")
    dropout_before_pool: bool = Field(False, description="dropout, then pooling; else pooling, then dropout")
    channels_to_rows: bool = Field(False, description="afterwards its channels are the rows of a map with one channel")
    repeat: int = Field(1, ge=1, description="the block this many times; stride and pool in the first only")


class BaseConfig(Section):
    """The stack of 1D convolutions that both architectures share."""

    layout: Literal["bands-as-channels", "map"] = Field("bands-as-channels", description="bands as channels or as rows")
    blocks: tuple[BlockConfig, ...] = Field(..., min_length=1, description="convolutions, in the order of the signal")

    @model_validator(mode="after")
    def _axes_exist(self) -> BaseConfig:
        if self.layout == "bands-as-channels" and any("frequency" in b.axes for b in self.blocks):
            raise ValueError("a block along frequency needs layout: map (bands as channels leave no frequency axis)")
        return self


class EncoderConfig(Section):
    """The transformer encoder of Architecture 2."""

    num_heads: Count | tuple[Count, ...] = Field(4, description="heads in each block; a list: in one after the other")
    num_blocks: int = Field(2, ge=1, description="number of blocks")
    width: int = Field(128, ge=1, description="length of a token")
    mlp_width: int | None = Field(256, ge=1, description="width of the hidden layer; null: one linear layer alone")
    activation: Literal["gelu", "relu"] = Field("gelu", description="of the hidden layer")
    dropout: float = Field(0.1, ge=0, lt=1, description="probability that a value is set to zero, in attention and MLP")
    pool_to_steps: int | None = Field(None, ge=1, description="time steps that the map is averaged to first; null: all")
    tokens: Literal["time", "map", "channels"] = Field(
        "time",
        description="time steps, every cell of the map, or (as time, mean over bands) every channel's row over time",
    )
    projection: bool = Field(True, description="a linear layer from tokens to the width; false: they have it already")
    cls: Literal["trained", "fixed"] = Field("trained", description="trained, or fixed as it was drawn at the start")
    positions: Literal["learned", "sinusoidal", "none"] = Field("learned", description="added to the tokens")
    output: Literal["cls", "mean"] = Field("cls", description="what goes on: <cls>, or the mean of all tokens")
    norm: Literal["pre", "post", "none"] = Field("pre", description="of each block: before its parts, or after sums")
    final_norm: bool = Field(True, description="a norm after the last block")
    qkv_bias: bool = Field(True, description="of query, key and value")
    pad_heads: bool = Field(False, description="fill heads up with zeros where their number does not divide the width")

    @property
    def heads(self) -> tuple[int, ...]:
        """Return the number of heads of each block."""
        return (self.num_heads,) * self.num_blocks if isinstance(self.num_heads, int) else self.num_heads

    @model_validator(mode="after")
    def _heads_divide_width(self) -> EncoderConfig:
        if len(self.heads) != self.num_blocks:
            raise ValueError(f"encoder.num_heads has {len(self.heads)} numbers for {self.num_blocks} blocks")
        odd = [heads for heads in self.heads if self.width % heads]
        if odd and not self.pad_heads:
            valid = [h for h in range(1, min(self.width, 16) + 1) if self.width % h == 0]
            problem = f"encoder.width {self.width} is not divided by {odd[0]} heads"
            raise ValueError(f"{problem}; valid: {valid}, or any with encoder.pad_heads")
        return self


class HeadConfig(Section):
    """From what the base (or `<cls>`) says to one logit a class."""

    pool: Literal["mean", "max", "flatten"] = Field("mean", description="over the map; Architecture 1 only")
    hidden: tuple[int, ...] = Field((), description="widths of hidden layers; empty: one linear layer")
    dropout: float = Field(0.1, ge=0, lt=1, description="probability that an input of the last layer is set to zero")
    softmax: bool = Field(False, description="a softmax at the end, whose shares loss and scores take for logits")


class TrainingConfig(Section):
    """The recipe."""

    epochs: int = Field(100, ge=1, description="passes over the training clips")
    base_share: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="with an encoder: share of the epochs in which the base learns without its blocks, first",
    )
    max_steps: int | None = Field(None, ge=1, description="the training ends after so many; null: no limit")
    batch_size: int = Field(32, ge=2, description="windows in a step")
    windows: Literal["random", "grid"] = Field("random", description="at random places, or all that score a clip")
    balance: Literal["none", "sampling", "loss"] = Field(
        "sampling",
        description="where classes differ by over three to one: draw all equally often, or weigh the rare more",
    )
    views: int = Field(4, ge=1, description="random: windows drawn from each clip in an epoch; grid: rounds of them")
    optimizer: Literal["adam", "adamw", "sgd", "muon"] = Field(
        "adamw", description="muon: AdamW moves the first and the last layer, norms and biases"
    )
    learning_rate: float = Field(2e-3, gt=0, description="muon: of the first and the last layer, norms and biases")
    matrix_learning_rate: float = Field(0.02, gt=0, description="muon only: of all other kernels and matrices")
    weight_decay: float = Field(0.05, ge=0, description="of kernels and matrices")
    momentum: float = Field(0.9, ge=0, lt=1, description="sgd and muon")
    schedule: Literal["cosine", "constant"] = Field("cosine", description="after the warm-up; a cosine ends at 0")
    warmup_epochs: float = Field(5.0, ge=0, description="epochs in which the learning rate rises from zero")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="share of the target spread over all classes")
    gradient_clip: float = Field(2.0, ge=0, description="largest norm of the gradient; 0: off")
    weight_average: float = Field(0.998, ge=0, lt=1, description="decay of the average that is scored; 0: off")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of convolutions and products while training; auto: bfloat16 where the processor has it"
    )


class AugmentationConfig(Section):
    """What happens to a batch; everything off makes plain windows."""

    shift: bool = Field(True, description="cyclic shift in time: the clip is a ring, a window starts anywhere")
    stretch: float = Field(0.0, ge=0, le=3, description="largest change of speed: 0.25 is 1 / 1.25 to 1.25 times it")
    mix: float = Field(1.0, ge=0, le=1, description="share of windows mixed with another clip's, by loudness")
    gain_db: float = Field(6.0, ge=0, description="largest gain or loss")
    band_shift: int = Field(3, ge=0, description="largest shift in mel bands")
    filter_db: float = Field(4.0, ge=0, description="standard deviation of a random smooth filter")
    time_mask_s: float = Field(0.4, ge=0, description="longest stretch of time blanked")
    band_mask: int = Field(8, ge=0, description="largest number of neighbouring bands blanked")
    feature_frame_mask: int = Field(0, ge=0, description="longest stretch of the features blanked, in frames")
    feature_row_mask: int = Field(0, ge=0, description="largest number of neighbouring rows of the features blanked")
    mask_when_scored: bool = Field(False, description="features are blanked in validation and test clips, too")


class Preset(Section):
    """A model and its training recipe."""

    name: str = Field(..., description="what the model is called")
    about: str = Field("", description="what it is, in a sentence or two")
    audio: AudioConfig = Field(AudioConfig(), title="Audio", description="sample rate and windows")
    frontend: FrontendConfig = Field(FrontendConfig(), title="Frontend", description="waveform to features")
    base: BaseConfig = Field(..., title="Base", description="1D convolutions")
    encoder: EncoderConfig | None = Field(None, title="Encoder", description="transformer; null: Architecture 1")
    head: HeadConfig = Field(HeadConfig(), title="Head", description="pooled features to logits")
    training: TrainingConfig = Field(TrainingConfig(), title="Training", description="the recipe")
    augmentation: AugmentationConfig = Field(
        AugmentationConfig(), title="Augmentation", description="random changes of windows"
    )

    @model_validator(mode="after")
    def _base_learns_before_an_encoder(self) -> Preset:
        if self.training.base_share and self.encoder is None:
            raise ValueError("training.base_share needs an encoder, whose blocks join after that share of the epochs")
        return self


class ReferenceFigure(Section):
    """One figure that a reference prints: an accuracy, of which model and protocol, and over which trainings."""

    model: str = Field(..., description="the study's model that it is of")
    protocol: ProtocolName = Field(..., description="the protocol of auricle that it is measured under")
    accuracy: float = Field(..., ge=0, le=100, description="in percent")
    of: Literal["test", "validation"] = Field("test", description="of which set of clips")
    statistic: Literal["mean", "best"] = Field("mean", description="the mean over the trainings, or the best of them")
    trainings: int = Field(1, ge=1, description="how many were averaged, or picked from")
    macro_f1: float | None = Field(None, ge=0, le=1, description="macro F1 of the same clips or windows")
    macro_auc: float | None = Field(None, ge=0, le=1, description="mean AUC of each class against the rest")
    note: str = Field("", description="what may explain a difference, in a sentence without its full stop")


class Reference(Section):
    """Results that others report, to be set beside those measured."""

    source: str = Field(..., description="who reports them, in a few words")
    about: str = Field("", description="where they are found, and how they were made, in a sentence or two")
    data: str = Field(..., description="the dataset, as `auricle data` names it, or the folder or CSV")
    scores: Literal["clips", "windows"] = Field("clips", description="what is scored")
    parameters: dict[str, int] = Field(
        default_factory=dict, description="model: how many parameters it is said to have"
    )
    figures: tuple[ReferenceFigure, ...] = Field(..., min_length=1, description="the accuracies, one by one")


class References(Section):
    """A file of results of others."""

    references: tuple[Reference, ...] = Field(..., description="one after the other")


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
        None, description="a column, or a pattern over names; null: the groups that the dataset has"
    )
    label: str | None = Field(
        None, description="a column, or a pattern over names, of the classes; null: those that the dataset has"
    )
    clip_s: float | None = Field(
        None,
        ge=0.05,
        le=3600,
        description="to which clips are cut or padded; null: that of the dataset, or of most clips",
    )
    allow_split_groups: bool = Field(False, description="score what leaks, stamped, where the folds split a group")
    overrides: dict[str, Any] = Field(default_factory=dict, description="section.field: value, for every model")
    presets: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="models of this study alone: each a preset, as its file would say it"
    )
    reference: tuple[Reference, ...] = Field(
        (), description="results of others to set beside those measured; in a file: the name or path of another"
    )

    def protocols_of(self, model: str) -> tuple[ProtocolName, ...]:
        """Return the protocols that a model runs under, in the order of the study."""
        return tuple(protocol for protocol in self.protocols if protocol in self.only.get(model, self.protocols))
