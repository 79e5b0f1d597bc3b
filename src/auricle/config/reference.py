"""Every setting of a preset as people read it, from the fields of the configuration themselves."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo

from auricle.config.sections import Preset, Section, Shown, section_within

SPOKEN = {None: "none", "relu": "ReLU", "gelu": "GELU"}
LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
ABSENT = "–"  # stands for a value that takes no part


@dataclass(frozen=True)
class Setting:
    """A field of a preset and its value, to be read.

    Attributes:
        section: of the preset, such as "training"; `Preset.model_fields[section].title` is its heading.
        field: in that section, such as "epochs"; "blocks.channels" for a field of the blocks.
        label: what people call it, such as "Gradient clipping (norm)".
        value: with its unit, "off" where it switches something off; of blocks, in turn, where they differ: 16 × 2 / 32.
        description: what it means, and which values are allowed.
        applies: whether it takes part in this preset; momentum does not where Adam trains.
    """

    section: str
    field: str
    label: str
    value: str
    description: str
    applies: bool


def settings(preset: Preset) -> tuple[Setting, ...]:
    """Return every setting of a preset, in the order of the configuration; those of an absent encoder do not apply.

    >>> from auricle.config import load_preset
    >>> values = {setting.field: setting.value for setting in settings(load_preset("report-b-cnn"))}
    >>> values["windows"], values["feature_frame_mask"]
    ('all that score a clip', 'up to 20 frames')
    """
    found: list[Setting] = []
    for name, field in Preset.model_fields.items():
        if kind := section_within(field.annotation):
            found += _section_settings(name, kind, getattr(preset, name), preset)
    return tuple(found)


def _section_settings(name: str, kind: type[Section], section: Section | None, preset: Preset) -> Iterator[Setting]:
    for key, field in kind.model_fields.items():
        if part := section_within(field.annotation):
            for inner, inner_field in part.model_fields.items():
                blocks = getattr(section, key)
                yield _setting(name, f"{key}.{inner}", inner_field, [(getattr(b, inner), b) for b in blocks])
        else:
            yield _setting(name, key, field, [(getattr(section, key), preset)] if section else [])


def _setting(section: str, key: str, field: FieldInfo, values: Iterable[tuple[Any, Any]]) -> Setting:
    """Return a setting of one or more values, each with what decides whether it takes part."""
    assert isinstance(field.json_schema_extra, dict)
    shown: Any = field.json_schema_extra["shown"]
    written = [_written(value, shown) if not shown.applies or shown.applies(of) else ABSENT for value, of in values]
    value = " / ".join(_runs(written)) or ABSENT
    description = "; ".join([field.description or "", *filter(None, [_limits(field)])])
    return Setting(section, key, field.title or key, value, description, applies=any(one != ABSENT for one in written))


def _runs(written: list[str]) -> Iterator[str]:
    """Yield the values of blocks in turn, equal neighbours as one; a value that all share stands alone.

    >>> " / ".join(_runs(["16", "16", "32"])), *_runs(["3", "3"])
    ('16 × 2 / 32', '3')
    """
    for value, same in itertools.groupby(written):
        num = len(list(same))
        yield value if num in (1, len(written)) else f"{value} × {num}"


def _written(value: Any, shown: Shown) -> str:
    """Return one value as people read it.

    >>> _written(0.25, Shown("up to {} %")), _written(0, Shown(names={0: "off"})), _written((64, 32), Shown())
    ('up to 25 %', 'off', '64, 32')
    """
    if isinstance(value, tuple):
        return ", ".join(_written(part, shown) for part in value) or "none"
    names = SPOKEN | dict(shown.names or {})
    if value in names:
        return names[value]
    if isinstance(value, bool):
        return "yes" if value else "no"
    if "%" in shown.form:
        value *= 100
    return shown.form.format(
        f"{value:g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value
    )


def _limits(field: FieldInfo) -> str:
    """Return the range that a field allows, such as "at least 0, below 1"."""
    found = [
        f"{words} {limit:g}"
        for constraint in field.metadata
        for name, words in LIMITS.items()
        if (limit := getattr(constraint, name, None)) is not None
    ]
    return ", ".join(found)
