"""Reading sections from YAML and from `section.field=value`; what is wrong is named in one line.

A *preset* is one YAML file: a model and its training recipe. It may start from another with
`extends: NAME` and then says only what differs; `recipe: NAME` trains its network as another preset does. A *study*
names presets, protocols and seeds.
"""

import copy
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from auricle.config.bounded import load_yaml, read_bounded, shown
from auricle.config.sections import Preset, Section, StudyConfig, section_within
from auricle.errors import UsageError, choices

SomeSection = TypeVar("SomeSection", bound=Section)
RECIPE = ("training", "augmentation")  # the sections that `recipe: NAME` takes from another preset
PRESETS = ("auricle.model", "presets")  # package, and folder in it
STUDIES = ("auricle.study", "studies")


def names_in(package: str, folder: str) -> list[str]:
    """Return the names of the YAML files in a folder of the package."""
    files = resources.files(package).joinpath(folder).iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))


def preset_names() -> list[str]:
    """Return the names of the presets in the package."""
    return names_in(*PRESETS)


def study_names() -> list[str]:
    """Return the names of the studies in the package."""
    return names_in(*STUDIES)


def _read_yaml(text: str, where: str) -> dict[str, Any]:
    try:
        content = load_yaml(text)
    except ValueError as error:
        raise UsageError(f"{where} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{where} must be a mapping of sections, not {type(content).__name__}")
    return content


def _find_yaml(
    name: str, kind: str, package: str, folder: str, beside: Iterable[str] = ()
) -> tuple[dict[str, Any], str]:
    """Find a YAML by name in the package, or by path where it looks like one."""
    if name.endswith((".yaml", ".yml")):
        try:
            return _read_yaml(read_bounded(Path(name)), name), Path(name).stem
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot read {kind} file {name}: {error}") from error
    if name not in (known := names_in(package, folder)):
        raise choices(kind, name, [*beside, *known])
    file = resources.files(package).joinpath(folder, f"{name}.yaml")
    return _read_yaml(file.read_text(encoding="utf-8"), f"{kind} {name}"), name


def merge(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return `above` laid over `below`, section by section; lists and values replace."""
    merged = copy.deepcopy(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else copy.deepcopy(value)
    return merged


def _validated(kind: type[SomeSection], content: Mapping[str, Any], where: str) -> SomeSection:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        reason = f"{shown(field) or kind.__name__}: {shown(first['msg'].removeprefix('Value error, '))}."
        if first["type"] == "extra_forbidden":
            section: type[Section] = kind
            for part in first["loc"][:-1]:
                inner = section.model_fields.get(str(part))
                section = (section_within(inner.annotation) if inner else None) or section
            reason += f" Valid: {', '.join(section.model_fields)}"
        raise UsageError(f"{where}: {reason}") from error


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
            raise UsageError(f"--set takes section.field=value, for example training.epochs=5, not {word[:100]!r}")
        try:
            overrides[name.strip()] = load_yaml(value)
        except ValueError as error:
            raise UsageError(f"--set {shown(name)}: {value[:100]!r} is not a YAML value") from error
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
                inner = section_within(kind.model_fields[part].annotation)
                if inner is None:
                    raise UsageError(f"{'.'.join(parts[: depth + 1])} is a value, it has no field {parts[depth + 1]!r}")
                kind, place = inner, place.setdefault(part, {})
        place[parts[-1]] = value
    return nested


def _resolved(name: str, beside: Mapping[str, Mapping[str, Any]], above: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read a preset with all that it extends below it, and the recipe of another where it takes that."""
    if name in above:
        raise UsageError(f"preset {above[0]} extends itself, through {above[-1]}")
    if name in beside:
        content, stem = copy.deepcopy(dict(beside[name])), name
    else:
        content, stem = _find_yaml(name, "preset", *PRESETS, beside)
    content.setdefault("name", stem)
    parent, recipe = content.pop("extends", None), content.pop("recipe", None)
    below = _resolved(str(parent), beside, (*above, name)) if parent else {}
    if recipe:
        taken = _resolved(str(recipe), beside, (*above, name))
        below = {field: value for field, value in below.items() if field not in RECIPE}
        below |= {field: value for field, value in taken.items() if field in RECIPE}
    return merge(below, content)


def load_preset(
    name: str,
    overrides: Mapping[str, Any] | None = None,
    *,
    beside: Mapping[str, Mapping[str, Any]] | None = None,
) -> Preset:
    """Read a preset by name, or by the path of a YAML file, with `section.field: value` laid over it.

    `beside` are presets that a study spells out, by name; one may extend another. A `UsageError` names a preset or a
    field that does not exist, or a value out of range; so do those of `load_study`, `load_section` and `revalidated`.
    """
    content = _resolved(name, beside or {})
    strangers = [field for field in overrides or {} if field.startswith("encoder.")]
    if strangers and not content.get("encoder"):
        raise UsageError(f"preset {name} has no encoder to set {strangers[0]} in; set it on a transformer")
    return _validated(Preset, merge(content, _nest(overrides or {})), f"preset {name}")


def load_study(name: str) -> StudyConfig:
    """Read a study by name, or by the path of a YAML file."""
    study = load_section(StudyConfig, "study", name, *STUDIES)
    if strangers := [model for model in study.only if model not in study.models]:
        raise choices(f"model of study {name} to limit", strangers[0], list(study.models))
    return study


def load_section(kind: type[SomeSection], word: str, name: str, package: str, folder: str) -> SomeSection:
    """Read a section by the name of a YAML in a folder of the package (or by path), which its `name` defaults to."""
    content, stem = _find_yaml(name, word, package, folder)
    content.setdefault("name", stem)
    return _validated(kind, content, f"{word} {name}")


def revalidated(section: SomeSection, **changes: Any) -> SomeSection:
    """Return a copy of a section with some fields changed, checked like new."""
    return _validated(type(section), {**section.model_dump(), **changes}, type(section).__name__)


def to_yaml(section: Section) -> str:
    """Write a section as YAML, every field spelt out, in the order of its class."""
    return yaml.safe_dump(section.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)


def preset_from_yaml(text: str, where: str) -> Preset:
    """Read what `to_yaml` wrote; `where` names it in the `UsageError` where it is no preset."""
    return _validated(Preset, _read_yaml(text, where), where)
