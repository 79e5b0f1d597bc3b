"""A search space: the presets to start from, and the values to try of each `section.field`; a YAML file."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import Field

from auricle.config import (
    Preset,
    Section,
    StudyConfig,
    load_section,
    names_in,
    no_field,
    revalidated,
    with_fitting_warmup,
)
from auricle.config.sections import Seed
from auricle.errors import UsageError, listing
from auricle.study.plan import resolve_presets

MODEL = "model"  # the parameter that chooses the preset of a trial, if there are several
Value = str | int | float | bool | None
MAX_CHECKED = 4096  # combinations of values that are checked before anything is trained


class SpaceConfig(Section):
    """The configuration of a search: models, parameters, data and method."""

    name: str = Field(..., description="name of the search")
    about: str = Field("", description="its purpose, in a sentence or two")
    data: str = Field("toy", description="a dataset by name, a folder of class folders, or a CSV")
    group_by: str | None = Field(None, description="groups of clips: a column, or a pattern of file names")
    label: str | None = Field(None, description="class labels: a column, or a pattern of file names")
    clip_s: float | None = Field(None, ge=0.05, le=3600, description="length to which clips are cut or padded")
    models: tuple[str, ...] = Field(..., min_length=1, description="presets to start from")
    protocol: Literal["test-split", "k-fold"] = Field(
        "test-split", description="protocol whose validation folds are used"
    )
    sampler: Literal["tpe", "grid"] = Field("tpe", description="grid: every combination once")
    pruner: Literal["median", "halving", "none"] = Field(
        "median", description="ends trials early that do worse than others"
    )
    trials: int | None = Field(None, ge=1, description="number of trials; null: 100, or every point of a grid")
    seed: Seed = Field(0, description="random seed of the sampler and of every training")
    overrides: dict[str, Any] = Field(default_factory=dict, description="section.field: value, for every trial")
    presets: dict[str, dict[str, Any]] = Field(default_factory=dict, description="presets of this space only")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="section.field: a list of values, or {low, high, log}"
    )


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, optionally integers only (`whole`); `log`: sampled on a logarithmic scale."""

    low: float
    high: float
    log: bool
    whole: bool


@dataclass(frozen=True)
class Choices:
    """A list of values."""

    values: tuple[Value, ...]


Parameter = Range | Choices


@dataclass(frozen=True)
class Space:
    """A space with all values checked; its parameters by `section.field`, with `model` first if it has one."""

    config: SpaceConfig
    presets: Mapping[str, Preset]
    parameters: Mapping[str, Parameter]

    @property
    def num_trials(self) -> int:
        """Return the number of trials."""
        points = math.prod(len(values) for values in self.grid.values()) if self.config.sampler == "grid" else None
        return min(self.config.trials or points, points) if points else self.config.trials or 100

    @property
    def grid(self) -> dict[str, tuple[Value, ...]]:
        """Return the values of each parameter that is a list of values."""
        return {name: each.values for name, each in self.parameters.items() if isinstance(each, Choices)}

    def parameters_of(self, model: str) -> dict[str, Parameter]:
        """Return the parameters that are searched for a preset; those of the encoder only if it has one."""
        preset = self.presets[model]
        return {
            name: each for name, each in self.parameters.items() if name != MODEL and _section(preset, name) is not None
        }

    def preset(self, values: Mapping[str, Value]) -> Preset:
        """Return the preset for a set of values.

        Raises:
            UsageError: values that contradict each other.
        """
        preset = self.presets[str(values.get(MODEL, next(iter(self.presets))))]
        sections: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            if name != MODEL:
                section, _, field = name.partition(".")
                sections.setdefault(section, getattr(preset, section).model_dump())[field] = value
        return with_fitting_warmup(revalidated(preset, **sections), {*values, *self.config.overrides})


def space_names() -> list[str]:
    """Return the names of the spaces in the package."""
    return names_in("auricle.search", "spaces")


def load_space(name: str | Mapping[str, Any]) -> SpaceConfig:
    """Read a space by name or by the path of a YAML file, or validate the content of one.

    Raises:
        UsageError: no such space or field, or a value out of range.
    """
    return load_section(SpaceConfig, "space", name, "auricle.search", "spaces")


def check_space(config: SpaceConfig) -> Space:
    """Look up the presets of a space and check every value that it may try.

    Raises:
        UsageError: no such preset or field, a value or an end of a range that is not allowed, a range with low above
            high, values that contradict each other, or nothing to try.
    """
    where = f"space {config.name}"
    study = StudyConfig(name=config.name, models=config.models, overrides=config.overrides, presets=config.presets)
    presets = resolve_presets(study)
    if fixed := [name for name in config.parameters if name in config.overrides]:
        raise UsageError(f"{where}: {fixed[0]} is searched, so it cannot be set as well; remove one of the two")
    parameters: dict[str, Parameter] = {MODEL: Choices(tuple(presets))} if len(presets) > 1 else {}
    for name, asked in config.parameters.items():
        section = _section_with(where, presets, name)
        parameters[name] = _parameter(where, section, name, asked)
    if not parameters:
        raise UsageError(f"{where} has nothing to try: list `parameters`, or several `models`")
    space = Space(config, presets, parameters)
    for preset in presets.values():
        _check_values(where, preset, space.parameters_of(preset.name))
    if config.sampler == "grid":
        _check_grid(where, space)
    return space


def _section(preset: Preset, name: str) -> Section | None:
    """Return the section of a preset that `section.field` names; None if it has no such section."""
    section = getattr(preset, name.partition(".")[0], None)
    return section if isinstance(section, Section) else None


def _section_with(where: str, presets: Mapping[str, Preset], name: str) -> Section:
    """Return the section that has the field, from the first preset that has that section."""
    section, _, field = name.partition(".")
    sections = [name for name, info in Preset.model_fields.items() if name not in ("name", "about")]
    if section not in sections:
        raise UsageError(f"{where}: {no_field(name)}")
    if name == "audio.sample_rate_hz":
        raise UsageError(f"{where}: {name} cannot be searched; list `models` that differ in it")
    found = next((each for preset in presets.values() if (each := _section(preset, name))), None)
    if found is None:
        models = listing(presets, "or")
        raise UsageError(f"{where}: no {section} in {models}, so {name} cannot be searched; add a transformer")
    if field not in type(found).model_fields:
        raise UsageError(f"{where}: {no_field(name)}")
    return found


def _parameter(where: str, holder: Section, name: str, asked: Any) -> Parameter:
    if isinstance(asked, Mapping):
        return _range(where, holder, name, asked)
    if not isinstance(asked, Sequence) or isinstance(asked, str):
        raise UsageError(f"{where}: {name} takes a list of values or {{low, high, log}}, not {asked!r}")
    field = name.partition(".")[2]
    values = [getattr(_tried(where, holder, {field: value}, alone=True), field) for value in asked]
    if not values:
        raise UsageError(f"{where}: the list of values of {name} is empty; add at least one")
    if strange := [value for value in values if not isinstance(value, Value)]:
        raise UsageError(f"{where}: values of {name} must be text, numbers or booleans, not {strange[0]!r}")
    return Choices(tuple(dict.fromkeys(values)))


def _range(where: str, holder: Section, name: str, asked: Mapping[str, Any]) -> Range:
    field = name.partition(".")[2]
    annotation = type(holder).model_fields[field].annotation
    kinds = {annotation, *get_args(annotation)}
    if not kinds & {int, float}:
        raise UsageError(f"{where}: {name} cannot have a range; give a list of values")
    if set(asked) - {"low", "high", "log"} or not {"low", "high"} <= set(asked):
        raise UsageError(f"{where}: a range is {{low, high, log}}, but {name} has {', '.join(map(str, asked))}")
    ends = [getattr(_tried(where, holder, {field: asked[end]}, alone=True), field) for end in ("low", "high")]
    low, high, log = *ends, asked.get("log", False)
    if not isinstance(log, bool):
        raise UsageError(f"{where}: {name}: log must be true or false, not {log!r}")
    if not low < high:
        raise UsageError(f"{where}: in the range of {name}, low {low:g} is not below high {high:g}; swap them")
    if log and low <= 0:
        raise UsageError(f"{where}: a logarithmic range of {name} must start above 0, not at {low:g}; or remove log")
    return Range(low, high, log, float not in kinds)


def _tried(where: str, holder: Section, fields: Mapping[str, Any], *, alone: bool = False) -> Section:
    """Return a section with other values; `alone`, conflicts with other fields are ignored, as those may change too."""
    try:
        return revalidated(holder, **fields)
    except UsageError as error:
        reason = str(error).partition(": ")[2]
        if alone and not any(reason.startswith(f"{field}:") for field in fields):
            return holder.model_copy(update=dict(fields))
        tried = ", ".join(f"{field} {value!r}" for field, value in fields.items())
        raise UsageError(f"{where}: {reason.rstrip('.')} ({tried})") from None


def _check_values(where: str, preset: Preset, parameters: Mapping[str, Parameter]) -> None:
    """Refuse values that contradict each other within a section: every choice, and both ends of every range."""
    sections: dict[str, dict[str, Parameter]] = {}
    for name, each in parameters.items():
        section, _, field = name.partition(".")
        sections.setdefault(section, {})[field] = each
    for section, fields in sections.items():
        tried = (each.values if isinstance(each, Choices) else (each.low, each.high) for each in fields.values())
        for values in itertools.islice(itertools.product(*tried), MAX_CHECKED):
            _tried(where, getattr(preset, section), dict(zip(fields, values, strict=True)))


def _check_grid(where: str, space: Space) -> None:
    if ranges := [name for name, each in space.parameters.items() if isinstance(each, Range)]:
        raise UsageError(f"{where}: a grid needs lists of values, but {ranges[0]} is a range; list its values")
    for model in space.presets:
        if missing := set(space.parameters) - {MODEL, *space.parameters_of(model)}:
            raise UsageError(f"{where}: {model} has no {min(missing)}, which a grid needs in every model; remove one")
