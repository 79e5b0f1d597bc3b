"""Read configuration sections from YAML and from `section.field=value`; every error is one line.

A *preset* is one YAML file: a model and its training recipe. With `extends: NAME` it starts from another preset and
lists only the differences; `recipe: NAME` takes the training recipe of another preset. A *study* names presets,
protocols and seeds.
"""

import copy
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from auricle.config.sections import Preset, Reference, References, Section, StudyConfig, section_below, section_within
from auricle.errors import UsageError, choices, listing
from auricle.files import read_marked
from auricle.text import short_line

SomeSection = TypeVar("SomeSection", bound=Section)
RECIPE = ("training", "augmentation")  # the sections that `recipe: NAME` takes from another preset
PRESETS = ("auricle.model", "presets")  # package, and folder in it
OF_REPORTS = "report-"  # prefix of presets that rebuild networks of published reports from their text
STUDIES = ("auricle.study", "studies")
REFERENCES = ("auricle.study", "references")
LONGEST_WARMUP = 0.25  # share of the epochs, if a training is shorter than the preset's
MAX_YAML_BYTES, MAX_YAML_VALUES = 2**16, 20_000  # of files that people write: our longest has 10 KB
MAX_RECORD_BYTES, MAX_RECORD_VALUES = 2**22, 100_000  # of files that auricle writes: study.yaml lists skipped files


def load_yaml(text: str, max_bytes: int = MAX_YAML_BYTES, max_values: int = MAX_YAML_VALUES) -> Any:
    """Read YAML, or raise a ValueError that says in one line why not; all of auricle's YAML is read here."""
    from auricle.config.bounded_yaml import read_yaml  # here, as `auricle predict` reads none

    return read_yaml(text, max_bytes, max_values)


def load_record(path: Path) -> dict[str, Any]:
    """Read a YAML file that auricle wrote, with or without its hash in the first line.

    Raises:
        RefusedError: the file does not match its hash.
        OSError, ValueError: it cannot be read, is too long, or is not a mapping in YAML.
    """
    if path.stat().st_size > MAX_RECORD_BYTES:
        raise ValueError(f"longer than {MAX_RECORD_BYTES} bytes")
    content = load_yaml(read_marked(path).decode(), MAX_RECORD_BYTES, MAX_RECORD_VALUES)
    if not isinstance(content, dict):
        raise ValueError(f"it must be a mapping, not {type(content).__name__}")
    return content


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
    """Find a YAML file by its name in the package, or by its path if it ends in .yaml."""
    if name.endswith((".yaml", ".yml")):
        try:
            with Path(name).open("rb") as file:
                return _read_yaml(file.read(MAX_YAML_BYTES + 1).decode(), name), Path(name).stem
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot read {kind} file {name}: {error}") from error
    if name not in (known := names_in(package, folder)):
        fitting = [each for each in known if name.startswith("rep") or not each.startswith(OF_REPORTS)]
        raise choices(kind, name, [*beside, *fitting])
    text = resources.files(package).joinpath(folder, f"{name}.yaml").read_text(encoding="utf-8")
    return _read_yaml(text, f"{kind} {name}"), name


def merge(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two mappings section by section; lists and values of `above` replace those of `below`."""
    merged = copy.deepcopy(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else copy.deepcopy(value)
    return merged


def _validated(kind: type[SomeSection], content: Mapping[str, Any], where: str) -> SomeSection:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        errors = error.errors()
        first = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])  # typos first
        field = ".".join(map(str, first["loc"]))
        reason = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            raise UsageError(f"{where}: {_unknown_field(kind, first['loc'])}") from error
        raise UsageError(f"{where}: {short_line(field) or kind.__name__}: {short_line(reason)}.") from error


def _unknown_field(kind: type[Section], path: tuple[str | int, ...]) -> UsageError:
    """Return the error for a path such as ("training", "epoch") whose last part does not exist."""
    field = ".".join(map(str, path))
    if kind is Preset and all(isinstance(part, str) for part in path):
        return no_field(field)
    for part in path[:-1]:
        info = kind.model_fields.get(str(part))
        kind = (section_within(info.annotation) if info else None) or kind
    above = f" in {short_line('.'.join(map(str, path[:-1])))}" if path[:-1] else ""
    return choices(f"field{above}", short_line(str(path[-1])), list(kind.model_fields))


def field_names(kind: type[Section] = Preset, above: str = "") -> Iterator[str]:
    """Yield every name that `section.field=value` may set; a list of sections is set as a whole.

    >>> [name for name in field_names() if name.endswith(("epochs", "blocks"))]
    ['base.blocks', 'encoder.num_blocks', 'training.epochs', 'training.warmup_epochs']
    """
    for name, info in kind.model_fields.items():
        inner = section_below(info.annotation)
        yield from field_names(inner, f"{above}{name}.") if inner else [above + name]


def fields_like(name: str) -> list[str]:
    """Return the fields that a wrong name may mean: the nearest one, or all whose last part is the same.

    >>> fields_like("training.epoch"), fields_like("dropout"), fields_like("batch-size")
    (['training.epochs'], ['encoder.dropout', 'head.dropout'], ['training.batch_size'])
    """
    known = list(field_names())
    if near := get_close_matches(name, known, n=1, cutoff=0.85):
        return near
    by_last = defaultdict(list)
    for field in known:
        by_last[field.rpartition(".")[2]].append(field)
    last = name.rpartition(".")[2].replace("-", "_")
    return by_last[last if last in by_last else next(iter(get_close_matches(last, by_last, n=1)), "")]


def no_field(name: str) -> UsageError:
    """Return the error for a `section.field` that does not exist, with what may be meant.

    >>> str(no_field("epochs"))
    "no field 'epochs': did you mean 'training.epochs'? `auricle config` lists them all"
    """
    meant = listing(map(repr, fields_like(name)), "or")
    hint = f": did you mean {meant}?" if meant else ";"
    return UsageError(f"no field {name[:100]!r}{hint} `auricle config` lists them all")


def parse_overrides(assignments: Iterable[str]) -> dict[str, Any]:
    """Parse assignments `section.field=value`; values are YAML.

    >>> parse_overrides(["training.epochs=5", "head.hidden=[64]"])
    {'training.epochs': 5, 'head.hidden': [64]}

    Raises:
        UsageError: an assignment without `=`, or a value that is not YAML.
    """
    overrides: dict[str, Any] = {}
    for each in assignments:
        name, equals, value = each.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--set takes section.field=value, for example training.epochs=5, not {each[:100]!r}")
        try:
            overrides[name.strip()] = load_yaml(value)
        except ValueError as error:
            raise UsageError(f"--set {short_line(name)}: {value[:100]!r} is not a YAML value") from error
    return overrides


def _nest(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Turn `{"training.epochs": 5}` into `{"training": {"epochs": 5}}`, and refuse fields that do not exist."""
    nested: dict[str, Any] = {}
    for dotted, value in overrides.items():
        parts = dotted.split(".")
        if len(parts) > 1 and parts[0] in overrides:
            raise UsageError(f"{parts[0]} is set as a whole, so {dotted} cannot be set as well; give one of them")
        kind: type[Section] = Preset
        section = nested
        for depth, part in enumerate(parts):
            if part not in kind.model_fields:
                raise no_field(dotted)
            if depth < len(parts) - 1:
                inner = section_below(kind.model_fields[part].annotation)
                if inner is None:
                    whole = ".".join(parts[: depth + 1])
                    raise UsageError(f"{whole} is a single value without a field {parts[depth + 1]!r}")
                kind, section = inner, section.setdefault(part, {})
        section[parts[-1]] = value
    return nested


def _resolved(name: str, beside: Mapping[str, Mapping[str, Any]], above: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read a preset merged with those that it extends and, if it names one, with the recipe of another."""
    if name in above:
        raise UsageError(f"preset {above[0]} extends itself, through {above[-1]}")
    content, stem = (dict(beside[name]), name) if name in beside else _find_yaml(name, "preset", *PRESETS, beside)
    content.setdefault("name", stem)
    parent, recipe = (
        _resolved(str(other), beside, (*above, name)) if other else {}
        for other in (content.pop("extends", None), content.pop("recipe", None))
    )
    if recipe:
        parent = {field: value for field, value in parent.items() if field not in RECIPE}
    return merge(parent | {field: recipe[field] for field in RECIPE if field in recipe}, content)


def load_preset(
    name: str, overrides: Mapping[str, Any] | None = None, *, beside: Mapping[str, Mapping[str, Any]] | None = None
) -> Preset:
    """Read a preset by name, or by the path of a YAML file, with overrides by `section.field`.

    Its name is one of the package, or of the presets `beside` it that a study defines. If the overrides change the
    epochs but not the warm-up, the warm-up lasts at most a quarter of the epochs.

    Raises:
        UsageError: no such preset or field, or a value out of range.
    """
    content = _resolved(name, beside or {})
    of_encoder = [field for field in overrides or {} if field.startswith("encoder.")]
    if of_encoder and not content.get("encoder"):
        raise UsageError(f"preset {name} has no encoder, so {of_encoder[0]} cannot be set; set it on a transformer")
    nested = _nest(overrides or {})
    preset = _validated(Preset, merge(content, nested), f"preset {name}")
    return with_fitting_warmup(preset, {f"training.{field}" for field in nested.get("training", ())})


def with_fitting_warmup(preset: Preset, changed: Collection[str]) -> Preset:
    """Shorten the warm-up to a quarter of the epochs if these are among the changed fields and the warm-up is not."""
    if "training.epochs" not in changed or "training.warmup_epochs" in changed:
        return preset
    training = preset.training
    warmup_epochs = min(training.warmup_epochs, LONGEST_WARMUP * training.epochs)  # a short training must get past it
    return revalidated(preset, training=revalidated(training, warmup_epochs=warmup_epochs))


def load_study(name: str) -> StudyConfig:
    """Read a study by name, or by the path of a YAML file, with the published results that it refers to.

    Raises:
        UsageError: no such study, reference or field, or a value out of range.
    """
    content, stem = _find_yaml(name, "study", *STUDIES)
    if "parameters" in content:
        raise UsageError(f"{name} is a search space, not a study; tune with auricle search {name}")
    if isinstance(cited := content.get("reference"), str):
        content["reference"] = load_references(cited)
    study = _validated(StudyConfig, {"name": stem, **content}, f"study {name}")
    if unknown := [model for model in study.only if model not in study.models]:
        raise choices(f"model of study {name} to limit", unknown[0], list(study.models))
    return study


def load_references(name: str) -> tuple[Reference, ...]:
    """Read published results, by the name or the path of a YAML file with a list `references:`.

    Raises:
        UsageError: no such file or field, or a value out of range.
    """
    content, _ = _find_yaml(name, "reference", *REFERENCES)
    return _validated(References, content, f"reference {name}").references


def load_section(
    kind: type[SomeSection], title: str, source: str | Mapping[str, Any], package: str, folder: str
) -> SomeSection:
    """Read a section from a YAML file, by its name in a folder of the package or by its path, or from its content.

    `title` is what messages call it, such as "space". Its field `name` defaults to that of the file, or to `title`.

    Raises:
        UsageError: no such file or field, or a value out of range.
    """
    if isinstance(source, Mapping):
        return _validated(kind, {"name": title, **source}, title)
    content, stem = _find_yaml(source, title, package, folder)
    return _validated(kind, {"name": stem, **content}, f"{title} {source}")


def revalidated(section: SomeSection, **changes: Any) -> SomeSection:
    """Return a copy of a section with some fields changed, or raise a UsageError if a value is out of range."""
    return _validated(type(section), {**section.model_dump(), **changes}, type(section).__name__)


def dump_yaml(content: Mapping[str, Any]) -> str:
    """Write a mapping as YAML, in its order."""
    import yaml

    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def to_yaml(section: Section) -> str:
    """Write a section as YAML, with every field, in the order of its class."""
    return dump_yaml(section.model_dump(mode="json"))


def preset_from_yaml(text: str, where: str) -> Preset:
    """Read what `to_yaml` wrote, or raise a UsageError that names `where` it comes from."""
    return _validated(Preset, _read_yaml(text, where), where)
