"""The configuration of models, training and studies: frozen, validated sections.

How fields are displayed is in `auricle.config.reference`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from auricle.errors import count

Axis = Literal["time", "frequency"]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=10**9)]  # at most nine digits in the name of a cell
ProtocolName = Literal["test-split", "k-fold", "official", "random", "random-split"]


class Section(BaseModel):
    """A part of the configuration; it is immutable, and unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


def section_within(annotation: Any) -> type[Section] | None:
    """Return the section class inside an annotation such as `EncoderConfig | None` or `tuple[BlockConfig, ...]`."""
    parts = (annotation, *get_args(annotation))
    return next((part for part in parts if isinstance(part, type) and issubclass(part, Section)), None)


def section_below(annotation: Any) -> type[Section] | None:
    """Return the section class inside an annotation such as `EncoderConfig | None`; None for a list of sections."""
    return None if get_origin(annotation) is tuple else section_within(annotation)


class AudioConfig(Section):
    """Sample rate and windows of the network's input."""

    sample_rate_hz: int = Field(16_000, ge=1_000, le=192_000, description="recordings are resampled to this rate")
    window_s: float = Field(3.0, gt=0, description="length of a window, the input of the network")
    window_hop_s: float = Field(1.0, gt=0, description="distance between window starts when a clip is scored")
    clip_windows: Literal["fullest", "all"] = Field(
        "fullest",
        description="windows scored for a clip, taken as a ring: those with the most sound, or all inside the clip",
    )


class FrontendConfig(Section):
    """Waveform to frames to features."""

    kind: Literal["raw", "log-mel", "mfcc"] = Field("log-mel", description="features computed from a window")
    num_bands: int = Field(64, ge=4, le=512, description="number of mel bands")
    num_coefficients: int = Field(40, ge=2, le=512, description="number of cepstral coefficients")
    transform_ms: float = Field(64.0, gt=0, description="length of the Fourier transform")
    hop_ms: float = Field(40.0, gt=0, description="distance between frames")
    min_hz: float = Field(50.0, ge=0, description="lower edge of the mel bands")
    max_hz: float | None = Field(None, gt=0, description="upper edge of the mel bands; null: half the sample rate")
    floor: float = Field(1e-5, gt=0, description="power added before the logarithm")
    normalise: bool = Field(True, description="standardise to mean 0, deviation 1 on training clips")
    stack_s: float | None = Field(None, gt=0, description="length of window segments stacked as rows; null: off")
    stack_hop_s: float = Field(0.5, gt=0, description="distance between the starts of such segments")


class BlockConfig(Section):
    """One block of the base: a 1D convolution along each of its axes in order, then pooling and dropout."""

    axes: tuple[Axis, ...] = Field(("time",), min_length=1, description="a 1D convolution along each, in this order")
    channels: int = Field(..., ge=1, description="output channels")
    kernel: int = Field(3, ge=1, description="kernel size of its convolutions")
    stride: int = Field(1, ge=1, description="stride of each convolution along its axis")
    padding: int | None = Field(None, ge=0, description="zeros added on both sides; null: kernel // 2")
    bias: bool | None = Field(None, description="bias of the convolutions; null: only if no norm follows")
    norm: Literal["batch", "none"] = Field("batch", description="normalisation after each convolution")
    activation: Literal["relu", "gelu", "none"] = Field("relu", description="activation after each norm")
    residual: bool = Field(False, description="add the input before the last activation")
    pool: Literal["none", "max", "average"] = Field("none", description="pooling along the axes of its convolutions")
    pool_size: int = Field(2, ge=1, description="kernel and stride of the pooling")
    dropout: float = Field(0.0, ge=0, lt=1, description="probability that a value is set to zero")
    dropout_before_pool: bool = Field(False, description="dropout before pooling instead of after it")
    channels_to_rows: bool = Field(False, description="turn the output channels into rows of a map with one channel")
    repeat: int = Field(1, ge=1, description="number of such blocks; only the first has stride and pooling")


class BaseConfig(Section):
    """The stack of 1D convolutions that both architectures share."""

    layout: Literal["bands-as-channels", "map"] = Field("bands-as-channels", description="bands as channels or as rows")
    blocks: tuple[BlockConfig, ...] = Field(..., min_length=1, description="convolution blocks, from input to output")

    @model_validator(mode="after")
    def _axes_exist(self) -> BaseConfig:
        if self.layout == "bands-as-channels" and any("frequency" in b.axes for b in self.blocks):
            raise ValueError("a block along frequency needs layout: map (with bands as channels there is no such axis)")
        return self


class EncoderConfig(Section):
    """The transformer encoder of Architecture 2."""

    num_heads: Count | tuple[Count, ...] = Field(4, description="heads per block; a list: of each block in order")
    num_blocks: int = Field(2, ge=1, description="number of blocks")
    width: int = Field(128, ge=1, description="dimension of a token")
    mlp_width: int | None = Field(256, ge=1, description="width of the MLP's hidden layer; null: one linear layer")
    activation: Literal["gelu", "relu"] = Field("gelu", description="activation of the hidden layer")
    dropout: float = Field(0.1, ge=0, lt=1, description="probability that a value is set to zero, in attention and MLP")
    pool_to_steps: int | None = Field(None, ge=1, description="pool the map to this many time steps; null: off")
    tokens: Literal["time", "map", "channels"] = Field(
        "time",
        description="time steps, every cell of the map, or every channel over time (averaged over bands)",
    )
    projection: bool = Field(True, description="linear layer from tokens to the width; false: they have that width")
    cls: Literal["trained", "fixed"] = Field("trained", description="trained, or left at its random initial values")
    positions: Literal["learned", "sinusoidal", "none"] = Field("learned", description="position code added to tokens")
    output: Literal["cls", "mean"] = Field("cls", description="input of the head: <cls>, or the mean of all tokens")
    norm: Literal["pre", "post", "none"] = Field("pre", description="layer norm: before sublayers, or after sums")
    final_norm: bool = Field(True, description="layer norm after the last block")
    qkv_bias: bool = Field(True, description="bias of the layers for query, key and value")
    pad_heads: bool = Field(False, description="pad heads with zeros if their number does not divide the width")

    @property
    def heads(self) -> tuple[int, ...]:
        """Return the number of heads of each block."""
        return (self.num_heads,) * self.num_blocks if isinstance(self.num_heads, int) else self.num_heads

    @model_validator(mode="after")
    def _heads_divide_width(self) -> EncoderConfig:
        if len(self.heads) != self.num_blocks:
            numbers, blocks = count(len(self.heads), "number"), count(self.num_blocks, "block")
            raise ValueError(f"encoder.num_heads lists {numbers} for {blocks}")
        odd = [heads for heads in self.heads if self.width % heads]
        if odd and not self.pad_heads:
            valid = [h for h in range(1, min(self.width, 16) + 1) if self.width % h == 0]
            problem = f"encoder.width {self.width} is not divisible by {odd[0]} heads"
            raise ValueError(f"{problem}; valid: {valid}, or any with encoder.pad_heads")
        return self


class HeadConfig(Section):
    """From the pooled features (or `<cls>`) to one logit per class."""

    pool: Literal["mean", "max", "flatten"] = Field("mean", description="pooling over the map; Architecture 1 only")
    hidden: tuple[int, ...] = Field((), description="widths of hidden layers; empty: one linear layer")
    dropout: float = Field(0.1, ge=0, lt=1, description="probability that an input of the last layer is set to zero")
    softmax: bool = Field(False, description="add a softmax whose output loss and scores treat as logits")


class TrainingConfig(Section):
    """The training recipe."""

    epochs: int = Field(100, ge=1, description="passes over the training clips")
    base_share: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="with an encoder: share of the epochs, at the start, that train the base without it",
    )
    max_steps: int | None = Field(None, ge=1, description="training ends after this many steps; null: no limit")
    batch_size: int = Field(32, ge=2, description="windows per training step")
    windows: Literal["random", "grid"] = Field("random", description="windows at random times, or those scored")
    balance: Literal["none", "sampling", "loss"] = Field(
        "sampling",
        description="if class sizes differ by more than 3:1, draw all classes equally often or weight the loss",
    )
    views: int = Field(4, ge=1, description="windows per clip and epoch; with grid, passes over all windows")
    optimizer: Literal["adam", "adamw", "sgd", "muon"] = Field(
        "adamw", description="with muon, AdamW trains the first and last layer, norms and biases"
    )
    learning_rate: float = Field(2e-3, gt=0, description="with muon, of the first and last layer, norms and biases")
    matrix_learning_rate: float = Field(0.02, gt=0, description="muon only: of all other kernels and matrices")
    weight_decay: float = Field(0.05, ge=0, description="decay of kernels and matrices")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of sgd and muon")
    schedule: Literal["cosine", "constant"] = Field("cosine", description="after the warm-up; cosine decays to 0")
    warmup_epochs: float = Field(5.0, ge=0, description="epochs in which the learning rate rises from zero")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="share of the target spread over all classes")
    gradient_clip: float = Field(2.0, ge=0, description="maximum norm of the gradient; 0: off")
    weight_average: float = Field(0.998, ge=0, lt=1, description="decay of the scored average of weights; 0: off")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of convolutions and matrix products in training; auto: bfloat16 if the processor has it"
    )


class AugmentationConfig(Section):
    """Random changes of the training windows; each can be turned off."""

    shift: bool = Field(True, description="cyclic time shift: a window may start anywhere, the clip is taken as a ring")
    stretch: float = Field(0.0, ge=0, le=3, description="maximum change of speed; 0.25: 1 / 1.25 to 1.25 times")
    mix: float = Field(1.0, ge=0, le=1, description="share of windows mixed with another clip's, by loudness")
    gain_db: float = Field(6.0, ge=0, description="maximum change of level")
    band_shift: int = Field(3, ge=0, description="maximum shift in mel bands")
    filter_db: float = Field(4.0, ge=0, description="standard deviation of a random smooth filter")
    time_mask_s: float = Field(0.4, ge=0, description="maximum duration masked")
    band_mask: int = Field(8, ge=0, description="maximum number of adjacent bands masked")
    feature_frame_mask: int = Field(0, ge=0, description="maximum number of adjacent feature frames masked")
    feature_row_mask: int = Field(0, ge=0, description="maximum number of adjacent feature rows masked")
    mask_when_scored: bool = Field(False, description="mask features of validation and test clips, too")


class Preset(Section):
    """A model and its training recipe."""

    name: str = Field(..., description="name of the model")
    about: str = Field("", description="description in a sentence or two")
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
    def _hop_is_a_sample_or_more(self) -> Preset:
        if round(self.audio.sample_rate_hz * self.frontend.hop_ms / 1000) < 1:
            raise ValueError(f"frontend.hop_ms {self.frontend.hop_ms:g} is less than a sample")
        return self

    @model_validator(mode="after")
    def _base_learns_before_an_encoder(self) -> Preset:
        if self.training.base_share and self.encoder is None:
            raise ValueError("training.base_share needs an encoder, which is trained after that share of the epochs")
        return self


class ReferenceFigure(Section):
    """One published accuracy, with the model, the protocol and the trainings that it is of."""

    model: str = Field(..., description="the study's model to compare it with")
    protocol: ProtocolName = Field(..., description="the protocol of auricle to compare it with")
    accuracy: float = Field(..., ge=0, le=100, description="in percent")
    of: Literal["test", "validation"] = Field("test", description="the set of clips it was measured on")
    statistic: Literal["mean", "best"] = Field("mean", description="mean over the trainings, or best of them")
    trainings: int = Field(1, ge=1, description="number of trainings averaged or chosen from")
    macro_f1: float | None = Field(None, ge=0, le=1, description="macro F1 of the same clips or windows")
    macro_auc: float | None = Field(None, ge=0, le=1, description="mean AUC of each class against the rest")
    note: str = Field("", description="possible reason for a difference, a sentence without full stop")


class Reference(Section):
    """Published results to compare with those measured."""

    source: str = Field(..., description="who published them, in a few words")
    about: str = Field("", description="where they are from and how they were obtained, in a sentence or two")
    data: str = Field(..., description="the dataset: its name in `auricle data list`, or a folder or CSV")
    scores: Literal["clips", "windows"] = Field("clips", description="what was scored")
    parameters: dict[str, int] = Field(default_factory=dict, description="model: its published number of parameters")
    figures: tuple[ReferenceFigure, ...] = Field(..., min_length=1, description="the published accuracies")


class References(Section):
    """A file of published results."""

    references: tuple[Reference, ...] = Field(..., description="the references")


class StudyConfig(Section):
    """A set of cells: models x protocols x folds x seeds, on one dataset."""

    name: str = Field(..., description="name of the study")
    about: str = Field("", description="its purpose, in a sentence or two")
    data: str = Field("toy", description="a dataset by name, a folder of class folders, or a CSV")
    models: tuple[str, ...] = Field(..., min_length=1, description="presets by name")
    protocols: tuple[ProtocolName, ...] = Field(
        ("test-split", "k-fold"), min_length=1, description="how folds become training, validation and test set"
    )
    only: dict[str, tuple[ProtocolName, ...]] = Field(
        default_factory=dict, description="model: protocols that it is limited to; other models use all"
    )
    seeds: tuple[Seed, ...] = Field((0,), min_length=1, description="random seeds; each cell is trained once with each")
    group_by: str | None = Field(
        None, description="groups of clips: a column, or a pattern of file names; null: those of the dataset"
    )
    label: str | None = Field(
        None, description="class labels: a column, or a pattern of file names; null: those of the dataset"
    )
    clip_s: float | None = Field(
        None,
        ge=0.05,
        le=3600,
        description="length to which clips are cut or padded; null: that of the dataset or of most clips",
    )
    allow_split_groups: bool = Field(False, description="allow folds that split a group; results are marked as leaky")
    overrides: dict[str, Any] = Field(default_factory=dict, description="section.field: value, for every model")
    presets: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="models of this study only, each with the content of a preset file"
    )
    reference: tuple[Reference, ...] = Field(
        (), description="published results to compare with; in a file, the name or path of a reference file"
    )

    @field_validator("protocols", "seeds", mode="after")
    @classmethod
    def _each_once(cls, listed: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(dict.fromkeys(listed))  # a cell counted twice would look like two trainings

    def protocols_of(self, model: str) -> tuple[ProtocolName, ...]:
        """Return the protocols of a model, in the order of the study."""
        return tuple(protocol for protocol in self.protocols if protocol in self.only.get(model, self.protocols))
