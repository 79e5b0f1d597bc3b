"""Reading sections from YAML and from `section.field=value`; what is wrong is named in one line.

A *preset* is one YAML file: a model and its training recipe. It may start from another with
`extends: NAME` and then says only what differs; `recipe: NAME` trains its network as another preset does. A *study*
names presets, protocols and seeds. What would break or flood the reader is refused.
"""

import copy
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from auricle.config.sections import Preset, Reference, References, Section, StudyConfig, section_below, section_within
from auricle.errors import UsageError, choices
from auricle.files import read_marked

SomeSection = TypeVar("SomeSection", bound=Section)
RECIPE = ("training", "augmentation")  # the sections that `recipe: NAME` takes from another preset
PRESETS = ("auricle.model", "presets")  # package, and folder in it
STUDIES = ("auricle.study", "studies")
REFERENCES = ("auricle.study", "references")
LONGEST_WARMUP = 0.25  # of a training that is shorter than the preset's
MAX_YAML_BYTES, MAX_YAML_VALUES = 2**16, 20_000  # of what people write: the longest of ours has 8,115 bytes
MAX_RECORD_BYTES, MAX_RECORD_VALUES = 2**22, 100_000  # of what auricle writes: study.yaml lists what was left out
MAX_YAML_DEPTH = 40
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where PyYAML was built with it
# What PyYAML raises for what is no YAML, such as `!!bool x`, `2024-99-99` or a thousand brackets
_ERRORS = (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


def load_yaml(text: str, max_bytes: int = MAX_YAML_BYTES, max_values: int = MAX_YAML_VALUES) -> Any:
    """Read YAML, or raise a ValueError that says in one line why not; all of auricle's YAML is read here.

    Its size, its depth and its values are bounded before any value is made; an alias counts as often as it is used, so
    that a few lines cannot stand for millions.
    """
    if len(text) > max_bytes:
        raise ValueError(f"longer than {max_bytes} characters")
    try:
        _check_events(text, max_values)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _check_values(node, max_values)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except _ERRORS as error:
        raise ValueError(shown(str(error)) or type(error).__name__) from error


def load_record(path: Path) -> dict[str, Any]:
    """Read a YAML file that auricle wrote, with its hash in the first line, or without.

    Raises:
        RefusedError: the file does not fit its hash.
        OSError, ValueError: it cannot be read, is too long, or is no mapping in YAML.
    """
    if path.stat().st_size > MAX_RECORD_BYTES:
        raise ValueError(f"longer than {MAX_RECORD_BYTES} bytes")
    content = load_yaml(read_marked(path).decode(), MAX_RECORD_BYTES, MAX_RECORD_VALUES)
    if not isinstance(content, dict):
        raise ValueError(f"a mapping is needed, not {type(content).__name__}")
    return content


def _check_events(text: str, max_values: int) -> None:
    """Bound depth and values as they are written, without recursion, which is what a deep nesting would break."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=_Loader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_YAML_DEPTH or number > 2 * max_values:  # a list of one value is three events
            raise ValueError(f"more than {max_values} values, or nested deeper than {MAX_YAML_DEPTH}")


def _check_values(node: yaml.Node, max_values: int) -> None:
    """Count values, with all that an alias or a merged mapping stands for."""
    pending, num_values = [(node, 0)], 0
    while pending:
        node, depth = pending.pop()
        num_values += 1
        if num_values + len(pending) > max_values or depth > MAX_YAML_DEPTH:
            raise ValueError(f"more than {max_values} values, or nested deeper than {MAX_YAML_DEPTH}")
        if isinstance(node, yaml.ScalarNode):
            if node.value.encode(errors="ignore").decode() != node.value:
                raise ValueError("a text that is no Unicode (half a surrogate pair)")
        elif isinstance(node, yaml.MappingNode):
            pending += [(part, depth + 1) for pair in node.value for part in pair]
        else:
            pending += [(part, depth + 1) for part in node.value]


def shown(words: str) -> str:
    """Return words from a file as a message may hold them: on one line, and not without end."""
    return " ".join(words.split())[:300]


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
            with Path(name).open("rb") as file:
                return _read_yaml(file.read(MAX_YAML_BYTES + 1).decode(), name), Path(name).stem
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot read {kind} file {name}: {error}") from error
    if name not in (known := names_in(package, folder)):
        raise choices(kind, name, [*beside, *known])
    text = resources.files(package).joinpath(folder, f"{name}.yaml").read_text(encoding="utf-8")
    return _read_yaml(text, f"{kind} {name}"), name


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
        errors = error.errors()
        first = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])  # a typo, not its gap
        field = ".".join(map(str, first["loc"]))
        reason = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            raise UsageError(f"{where}: {_stranger(kind, first['loc'])}") from error
        raise UsageError(f"{where}: {shown(field) or kind.__name__}: {shown(reason)}.") from error


def _stranger(kind: type[Section], path: tuple[str | int, ...]) -> UsageError:
    """Return the error for a path such as ("training", "epoch") whose last part no section has."""
    field = ".".join(map(str, path))
    if kind is Preset and all(isinstance(part, str) for part in path):
        return no_field(field)
    for part in path[:-1]:
        info = kind.model_fields.get(str(part))
        kind = (section_within(info.annotation) if info else None) or kind
    above = f" in {shown('.'.join(map(str, path[:-1])))}" if path[:-1] else ""
    return choices(f"field{above}", shown(str(path[-1])), list(kind.model_fields))


def field_names(kind: type[Section] = Preset, above: str = "") -> Iterator[str]:
    """Yield every name that `section.field=value` may set; what a list of sections holds is set as one.

    >>> [name for name in field_names() if name.endswith(("epochs", "blocks"))]
    ['base.blocks', 'encoder.num_blocks', 'training.epochs', 'training.warmup_epochs']
    """
    for name, info in kind.model_fields.items():
        inner = section_below(info.annotation)
        yield from field_names(inner, f"{above}{name}.") if inner else [above + name]


def fields_like(name: str) -> list[str]:
    """Return the fields that a wrong name may mean: the nearest one, or all of the name that it ends with.

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
    """Return the error for a `section.field` that no section has, with what may be meant.

    >>> str(no_field("epochs"))
    "no field 'epochs': did you mean 'training.epochs'? `auricle config` lists them all"
    """
    meant = " or ".join(map(repr, fields_like(name)))
    hint = f": did you mean {meant}?" if meant else ";"
    return UsageError(f"no field {name[:100]!r}{hint} `auricle config` lists them all")


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
                raise no_field(dotted)
            if depth < len(parts) - 1:
                inner = section_below(kind.model_fields[part].annotation)
                if inner is None:
                    whole = ".".join(parts[: depth + 1])
                    raise UsageError(f"{whole} is a value that is set whole, it has no field {parts[depth + 1]!r}")
                kind, place = inner, place.setdefault(part, {})
        place[parts[-1]] = value
    return nested


def _resolved(name: str, beside: Mapping[str, Mapping[str, Any]], above: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read a preset with all that it extends below it, and the recipe of another where it takes that."""
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
    """Read a preset by name, or by the path of a YAML file, with `section.field: value` laid over it.

    It is one of the package, or of those `beside` it that a study spells out; one may extend another. With other epochs
    laid over it, its warm-up lasts a quarter of them at most, unless that is laid over it too.

    Raises:
        UsageError: no such preset or field, or a value out of range.
    """
    content = _resolved(name, beside or {})
    strangers = [field for field in overrides or {} if field.startswith("encoder.")]
    if strangers and not content.get("encoder"):
        raise UsageError(f"preset {name} has no encoder to set {strangers[0]} in; set it on a transformer")
    preset = _validated(Preset, merge(content, _nest(overrides or {})), f"preset {name}")
    training = preset.training
    if "training.epochs" not in (overrides or {}) or "training.warmup_epochs" in (overrides or {}):
        return preset
    warmup_epochs = min(training.warmup_epochs, LONGEST_WARMUP * training.epochs)  # a short training must leave it
    return revalidated(preset, training=revalidated(training, warmup_epochs=warmup_epochs))


def load_study(name: str) -> StudyConfig:
    """Read a study by name, or by the path of a YAML file, and the results of others that it names.

    Raises:
        UsageError: no such study, reference or field, or a value out of range.
    """
    content, stem = _find_yaml(name, "study", *STUDIES)
    if isinstance(cited := content.get("reference"), str):
        content["reference"] = load_references(cited)
    study = _validated(StudyConfig, {"name": stem, **content}, f"study {name}")
    if strangers := [model for model in study.only if model not in study.models]:
        raise choices(f"model of study {name} to limit", strangers[0], list(study.models))
    return study


def load_references(name: str) -> tuple[Reference, ...]:
    """Read the results of others, by the name or the path of a YAML file: `references:` and a list of them.

    Raises:
        UsageError: no such file or field, or a value out of range.
    """
    content, _ = _find_yaml(name, "reference", *REFERENCES)
    return _validated(References, content, f"reference {name}").references


def load_section(kind: type[SomeSection], word: str, name: str, package: str, folder: str) -> SomeSection:
    """Read a section by the name of a YAML file in a folder of the package, or by path; its `name` defaults to that.

    `word` is what people call it, such as "space".

    Raises:
        UsageError: no such file or field, or a value out of range.
    """
    content, stem = _find_yaml(name, word, package, folder)
    content.setdefault("name", stem)
    return _validated(kind, content, f"{word} {name}")


def revalidated(section: SomeSection, **changes: Any) -> SomeSection:
    """Return a copy of a section with some fields changed, or raise a UsageError if a value is out of range."""
    return _validated(type(section), {**section.model_dump(), **changes}, type(section).__name__)


def to_yaml(section: Section) -> str:
    """Write a section as YAML, every field spelt out, in the order of its class."""
    return yaml.safe_dump(section.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)


def preset_from_yaml(text: str, where: str) -> Preset:
    """Read what `to_yaml` wrote, or raise a UsageError that names `where` it stands."""
    return _validated(Preset, _read_yaml(text, where), where)
