"""What a model, a training and a study are: frozen, validated sections, YAML, and `section.field=value`.

A *preset* is one YAML file: a model and its training recipe. It may start from another with
`extends: NAME` and then says only what differs; `recipe: NAME` trains its network as another preset does. A *study*
names presets, protocols and seeds.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from auricle.errors import UsageError, choices

Axis = Literal["time", "frequency"]
S = TypeVar("S", bound="Section")
ProtocolName = Literal["test-split", "k-fold", "official", "random"]
RECIPE = ("training", "augmentation")  # the sections that `recipe: NAME` takes from another preset


class Section(BaseModel):
    """A part of the configuration: immutable, and no unknown field passes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AudioConfig(Section):
    """What the network hears at once."""

    sample_rate_hz: int = Field(16_000, ge=1_000, le=192_000)
    window_s: float = Field(3.0, gt=0, description="length of a window; the network sees one at a time")
    window_hop_s: float = Field(1.0, gt=0, description="distance of window starts when a clip is scored")


class FrontendConfig(Section):
    """Waveform to frames to features."""

    kind: Literal["raw", "log-mel", "mfcc"] = "log-mel"
    num_bands: int = Field(64, ge=4, le=512, description="mel bands")
    num_coefficients: int = Field(40, ge=2, le=512, description="cepstral coefficients, for mfcc")
    transform_ms: float = Field(64.0, gt=0, description="length of the Fourier transform")
    hop_ms: float = Field(40.0, gt=0, description="distance of two frames")
    min_hz: float = Field(50.0, ge=0)
    max_hz: float | None = Field(None, description="None: half the sample rate")
    floor: float = Field(1e-5, gt=0, description="power added before the logarithm")


class BlockConfig(Section):
    """One block of the base: a 1D convolution along each axis named, in turn, then pooling and dropout."""

    axes: tuple[Axis, ...] = Field(("time",), min_length=1)
    channels: int = Field(..., ge=1)
    kernel: int = Field(3, ge=1)
    stride: int = Field(1, ge=1, description="of each of its convolutions, along that one's axis")
    padding: int | None = Field(None, ge=0, description="None: kernel // 2")
    bias: bool | None = Field(None, description="None: only where no norm follows")
    norm: Literal["batch", "none"] = "batch"
    activation: Literal["relu", "gelu", "none"] = "relu"
    residual: bool = False
    pool: Literal["none", "max", "average"] = "none"
    pool_size: int = Field(2, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    dropout_before_pool: bool = Field(False, description="dropout, then pooling; else pooling, then dropout")
    channels_to_rows: bool = Field(False, description="afterwards its channels are the rows of a map with one channel")
    repeat: int = Field(1, ge=1, description="the block this many times; stride and pool in the first only")


class BaseConfig(Section):
    """The stack of 1D convolutions that both architectures share."""

    layout: Literal["bands-as-channels", "map"] = "bands-as-channels"
    blocks: tuple[BlockConfig, ...] = Field(..., min_length=1)

    @model_validator(mode="after")
    def _axes_exist(self) -> BaseConfig:
        if self.layout == "bands-as-channels" and any("frequency" in b.axes for b in self.blocks):
            raise ValueError("a block along frequency needs layout: map (bands as channels leave no frequency axis)")
        return self


class EncoderConfig(Section):
    """The transformer encoder of Architecture 2."""

    num_heads: int = Field(4, ge=1)
    num_blocks: int = Field(2, ge=1)
    width: int = Field(128, ge=1)
    mlp_width: int | None = Field(256, ge=1, description="of the hidden layer; None: one Linear alone")
    activation: Literal["gelu", "relu"] = Field("gelu", description="of the hidden layer")
    dropout: float = Field(0.1, ge=0, lt=1)
    pool_to_steps: int | None = Field(None, ge=1, description="adaptive average of the map to so many time steps first")
    tokens: Literal["time", "map", "channels"] = Field(
        "time",
        description="time steps (mean over bands), every cell of the map, or every channel's row over time (mean "
        "over bands)",
    )
    projection: bool = Field(True, description="a Linear from tokens to the width; false: they have it already")
    cls: Literal["trained", "fixed"] = Field("trained", description="fixed: as it was drawn at the start")
    positions: Literal["learned", "sinusoidal", "none"] = "learned"
    norm: Literal["pre", "post", "none"] = Field("pre", description="of each block: before its parts, after each sum")
    final_norm: bool = Field(True, description="a norm after the last block")
    qkv_bias: bool = Field(True, description="of query, key and value")
    pad_heads: bool = Field(False, description="fill heads up with zeros where their number does not divide the width")

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

    pool: Literal["mean", "max", "flatten"] = Field("mean", description="over the map; Architecture 1 only")
    hidden: tuple[int, ...] = Field((), description="widths of hidden layers; empty: one Linear")
    dropout: float = Field(0.1, ge=0, lt=1)


class TrainingConfig(Section):
    """The recipe."""

    epochs: int = Field(100, ge=1)
    batch_size: int = Field(32, ge=2)
    windows: Literal["random", "grid"] = Field(
        "random", description="what an epoch sees: windows at random places, or those that score a clip, all of them"
    )
    views: int = Field(4, ge=1, description="random: windows drawn from each clip in an epoch; grid: rounds of them")
    optimizer: Literal["adam", "adamw", "sgd", "muon"] = "adamw"
    learning_rate: float = Field(2e-3, gt=0, description="muon: of the first and the last layer, norms and biases")
    matrix_learning_rate: float = Field(0.02, gt=0, description="muon only: of all other kernels and matrices")
    weight_decay: float = Field(0.05, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1, description="sgd and muon")
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_epochs: float = Field(5.0, ge=0)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    gradient_clip: float = Field(2.0, ge=0, description="largest norm of the gradient; 0: off")
    weight_average: float = Field(
        0.998, ge=0, lt=1, description="decay of the averaged weights that are scored; 0: off"
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="of convolutions and products while training; auto: bfloat16 where the processor has it",
    )


class AugmentationConfig(Section):
    """What happens to a batch; everything off makes plain windows."""

    shift: bool = Field(True, description="cyclic shift in time: the clip is a ring, a window starts anywhere")
    stretch: float = Field(
        0.0, ge=0, le=3, description="largest change of speed: 0.25 is 1 / 1.25 to 1.25 times as fast"
    )
    mix: float = Field(1.0, ge=0, le=1, description="share of windows mixed with another clip's, by loudness")
    gain_db: float = Field(6.0, ge=0, description="largest gain or loss")
    band_shift: int = Field(3, ge=0, description="largest shift in mel bands")
    filter_db: float = Field(4.0, ge=0, description="standard deviation of a random smooth filter")
    time_mask_s: float = Field(0.4, ge=0, description="longest stretch of time blanked")
    band_mask: int = Field(8, ge=0, description="largest number of neighbouring bands blanked")
    feature_frame_mask: int = Field(0, ge=0, description="longest stretch of the features blanked, in frames")
    feature_row_mask: int = Field(0, ge=0, description="largest number of neighbouring rows of the features blanked")


class Preset(Section):
    """A model and its training recipe."""

    name: str
    about: str = ""
    audio: AudioConfig = AudioConfig()
    frontend: FrontendConfig = FrontendConfig()
    base: BaseConfig
    encoder: EncoderConfig | None = Field(None, description="None: Architecture 1")
    head: HeadConfig = HeadConfig()
    training: TrainingConfig = TrainingConfig()
    augmentation: AugmentationConfig = AugmentationConfig()


class StudyConfig(Section):
    """A set of cells: models x protocols x folds x seeds, on one dataset."""

    name: str
    about: str = ""
    data: str = "toy"
    models: tuple[str, ...] = Field(..., min_length=1)
    protocols: tuple[ProtocolName, ...] = Field(("test-split", "k-fold"), min_length=1)
    only: dict[str, tuple[ProtocolName, ...]] = Field(
        default_factory=dict, description="model: those of the protocols that it runs under; others run under all"
    )
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    overrides: dict[str, Any] = Field(default_factory=dict, description="section.field: value, for every model")
    presets: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="models of this study alone: each a preset, as its file would say it"
    )

    def protocols_of(self, model: str) -> tuple[ProtocolName, ...]:
        """Return the protocols that a model runs under, in the order of the study."""
        return tuple(protocol for protocol in self.protocols if protocol in self.only.get(model, self.protocols))


def _folder(package: str, folder: str) -> Traversable:
    return resources.files(package).joinpath(folder)


def _names(where: Traversable) -> list[str]:
    return sorted(f.name.removesuffix(".yaml") for f in where.iterdir() if f.name.endswith(".yaml"))


def preset_names() -> list[str]:
    """Return the names of the presets in the package."""
    return _names(_folder("auricle.model", "presets"))


def study_names() -> list[str]:
    """Return the names of the studies in the package."""
    return _names(_folder("auricle.study", "studies"))


def _read_yaml(text: str, where: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        line = " ".join(str(error).split())
        raise UsageError(f"{where} is not YAML: {line}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{where} must be a mapping of sections, not {type(content).__name__}")
    return content


def _named(name: str, kind: str, where: Traversable, beside: Iterable[str] = ()) -> tuple[dict[str, Any], str]:
    """Find a YAML by name in the package, or by path where it looks like one."""
    if name.endswith((".yaml", ".yml")):
        try:
            return _read_yaml(Path(name).read_text(encoding="utf-8"), name), Path(name).stem
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read {kind} file {name}: {error}") from error
    if name not in _names(where):
        raise choices(kind, name, [*beside, *_names(where)])
    return _read_yaml(where.joinpath(f"{name}.yaml").read_text(encoding="utf-8"), f"{kind} {name}"), name


def _merge(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `above` over `below`, section by section; lists and values replace."""
    merged = copy.deepcopy(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else copy.deepcopy(value)
    return merged


def _validated(kind: type[S], content: Mapping[str, Any], where: str) -> S:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        valid = (
            f" Valid: {', '.join(_valid_fields(kind, first['loc'][:-1]))}" if first["type"] == "extra_forbidden" else ""
        )
        raise UsageError(f"{where}: {field or kind.__name__}: {reason}.{valid}") from error


def _sections(annotation: Any) -> type[Section] | None:
    """Return the section class inside an annotation such as `EncoderConfig | None` or `tuple[BlockConfig, ...]`."""
    for part in (annotation, *get_args(annotation)):
        if isinstance(part, type) and issubclass(part, Section):
            return part
    return None


def _valid_fields(kind: type[Section], path: Iterable[str | int]) -> list[str]:
    """Name the fields of the section that a path such as ("training",) leads to."""
    for part in path:
        field = kind.model_fields.get(str(part))
        kind = (_sections(field.annotation) if field else None) or kind
    return list(kind.model_fields)


def parse_overrides(assignments: Iterable[str]) -> dict[str, Any]:
    """Read `section.field=value` words; values are YAML.

    >>> parse_overrides(["training.epochs=5", "head.hidden=[64]"])
    {'training.epochs': 5, 'head.hidden': [64]}

    Raises:
        UsageError: a word without `=`, or a value that is not YAML.
    """
    overrides: dict[str, Any] = {}
    for word in assignments:
        name, equals, value = word.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--set takes section.field=value, for example training.epochs=5, not {word!r}")
        try:
            overrides[name.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UsageError(f"--set {name}: {value!r} is not a YAML value") from error
    return overrides


def _nest(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Turn `{"training.epochs": 5}` into `{"training": {"epochs": 5}}`, refusing names that no section has."""
    nested: dict[str, Any] = {}
    for dotted, value in overrides.items():
        parts = dotted.split(".")
        kind: type[Section] = Preset
        place = nested
        for depth, part in enumerate(parts):
            if part not in kind.model_fields:
                at = f"section {'.'.join(parts[:depth])}" if depth else "preset"
                raise choices(f"field of {at}", part, list(kind.model_fields))
            if depth < len(parts) - 1:
                inner = _sections(kind.model_fields[part].annotation)
                if inner is None:
                    raise UsageError(f"{'.'.join(parts[: depth + 1])} is a value, it has no field {parts[depth + 1]!r}")
                kind, place = inner, place.setdefault(part, {})
        place[parts[-1]] = value
    return nested


def _preset(name: str, beside: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Any], str]:
    """Find a preset among those that a study spells out, else in the package or by path."""
    if name in beside:
        return copy.deepcopy(dict(beside[name])), name
    return _named(name, "preset", _folder("auricle.model", "presets"), beside)


def _resolved(name: str, beside: Mapping[str, Mapping[str, Any]], above: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read a preset with all that it extends below it, and the recipe of another where it takes that."""
    if name in above:
        raise UsageError(f"preset {above[0]} extends itself, through {above[-1]}")
    content, stem = _preset(name, beside)
    content.setdefault("name", stem)
    parent, recipe = content.pop("extends", None), content.pop("recipe", None)
    below = _resolved(str(parent), beside, (*above, name)) if parent else {}
    if recipe:
        taken = _resolved(str(recipe), beside, (*above, name))
        below = {field: value for field, value in below.items() if field not in RECIPE}
        below |= {field: value for field, value in taken.items() if field in RECIPE}
    return _merge(below, content)


def load_preset(
    name: str,
    overrides: Mapping[str, Any] | None = None,
    *,
    beside: Mapping[str, Mapping[str, Any]] | None = None,
) -> Preset:
    """Read a preset by name, or by the path of a YAML file, with `section.field: value` laid over it.

    Args:
        name: of a preset of the package, of one beside it, or a path that ends in .yaml or .yml.
        overrides: laid over it.
        beside: presets that a study spells out, by name; one may extend another.

    Raises:
        UsageError: no such preset or field, or a value out of range.
    """
    content = _resolved(name, beside or {})
    strangers = [field for field in overrides or {} if field.startswith("encoder.")]
    if strangers and not content.get("encoder"):
        raise UsageError(f"preset {name} has no encoder to set {strangers[0]} in; set it on a transformer")
    return _validated(Preset, _merge(content, _nest(overrides or {})), f"preset {name}")


def load_study(name: str) -> StudyConfig:
    """Read a study by name, or by the path of a YAML file.

    Raises:
        UsageError: no such study or field, or a value out of range.
    """
    content, stem = _named(name, "study", _folder("auricle.study", "studies"))
    content.setdefault("name", stem)
    study = _validated(StudyConfig, content, f"study {name}")
    if strangers := [model for model in study.only if model not in study.models]:
        raise choices(f"model of study {name} to limit", strangers[0], list(study.models))
    return study


def names_in(package: str, folder: str) -> list[str]:
    """Return the names of the YAML files in a folder of the package."""
    return _names(_folder(package, folder))


def load_section(kind: type[S], word: str, name: str, package: str, folder: str) -> S:
    """Read a section by the name of a YAML file in a folder of the package, or by path; its `name` defaults to that.

    Args:
        kind: the class of the section; it has a field `name`.
        word: what people call it, such as "space".
        name: of the file, or a path that ends in .yaml or .yml.
        package: where the folder lies.
        folder: of the files.

    Raises:
        UsageError: no such file or field, or a value out of range.
    """
    content, stem = _named(name, word, _folder(package, folder))
    content.setdefault("name", stem)
    return _validated(kind, content, f"{word} {name}")


def revalidated(section: S, **changes: Any) -> S:
    """Return a copy of a section with some fields changed, checked like new.

    Raises:
        UsageError: a value out of range.
    """
    return _validated(type(section), {**section.model_dump(), **changes}, type(section).__name__)


def to_yaml(section: Section) -> str:
    """Write a section as YAML, every field spelt out, in the order of its class."""
    return yaml.safe_dump(section.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)


def preset_from_yaml(text: str, where: str) -> Preset:
    """Read what `to_yaml` wrote.

    Raises:
        UsageError: not a preset; `where` names it in the message.
    """
    return _validated(Preset, _read_yaml(text, where), where)
