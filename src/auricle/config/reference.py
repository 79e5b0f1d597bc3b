"""Every setting of a preset as people read it: what it is called, its value with its unit, whether it takes part."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import yaml
from pydantic.fields import FieldInfo

from auricle.config.sections import BlockConfig, Preset, Section, section_within

LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
ABSENT = "–"  # stands for a value that takes no part
SPOKEN = {None: "none", "relu": "ReLU", "gelu": "GELU"}


@dataclass(frozen=True)
class Shown:
    """How a field is called and its value printed, as settings.yaml says."""

    label: str
    form: str = "{}"  # what stands around the value, such as "{} Hz"; with "%", a share is printed in percent
    names: Mapping[Any, str] = field(default_factory=dict)  # what some values are called, such as 0: "off"


def _has_bands(preset: Preset) -> bool:
    return preset.frontend.kind != "raw"


def _pools(block: BlockConfig) -> bool:
    return block.pool != "none"


# When a setting takes part, given the preset, or the block whose field it is; what is not named here always does.
APPLIES: dict[str, Callable[[Any], bool]] = {
    "frontend.num_bands": _has_bands,
    "frontend.num_coefficients": lambda p: p.frontend.kind == "mfcc",
    "frontend.transform_ms": _has_bands,
    "frontend.hop_ms": _has_bands,
    "frontend.min_hz": _has_bands,
    "frontend.max_hz": _has_bands,
    "frontend.floor": _has_bands,
    "base.blocks.pool_size": _pools,
    "base.blocks.dropout_before_pool": lambda b: _pools(b) and b.dropout > 0,
    "encoder.activation": lambda p: p.encoder.mlp_width is not None,
    "encoder.pad_heads": lambda p: p.encoder.width % p.encoder.num_heads > 0,
    "head.pool": lambda p: p.encoder is None,
    "training.matrix_learning_rate": lambda p: p.training.optimizer == "muon",
    "training.momentum": lambda p: p.training.optimizer in ("sgd", "muon"),
    "augmentation.shift": lambda p: not p.augmentation.stretch,
    "augmentation.band_shift": _has_bands,
    "augmentation.band_mask": _has_bands,
}


@cache
def shown_settings() -> dict[str, Shown]:
    """Return how each setting is shown, by section and field, from settings.yaml."""
    sections = yaml.safe_load(resources.files("auricle.config").joinpath("settings.yaml").read_text(encoding="utf-8"))
    return {f"{section}.{name}": Shown(**row) for section, fields in sections.items() for name, row in fields.items()}


@dataclass(frozen=True)
class Setting:
    """A field of a preset and its value, to be read."""

    section: str  # of the preset, such as "training"; `Preset.model_fields[section].title` is its heading
    field: str  # in that section, such as "epochs"; "blocks.channels" for a field of the blocks
    label: str  # what people call it, such as "Gradient clipping (norm)"
    # with its unit, "off" where it switches something off; of blocks, in turn, where they differ: 16 × 2 / 32
    value: str
    description: str  # what it means, and which values are allowed
    applies: bool  # whether it takes part in this preset; momentum does not where Adam trains


def settings(preset: Preset) -> tuple[Setting, ...]:
    """Return every setting of a preset, in the order of the configuration; those of an absent encoder do not apply.

    >>> from auricle.config import load_preset
    >>> values = {setting.field: setting.value for setting in settings(load_preset("report-b-cnn"))}
    >>> values["windows"], values["feature_frame_mask"]
    ('all that score a clip', 'up to 20 frames')
    """
    kinds = {name: section_within(info.annotation) for name, info in Preset.model_fields.items()}
    found = [_section_settings(name, kind, getattr(preset, name), preset) for name, kind in kinds.items() if kind]
    return tuple(itertools.chain.from_iterable(found))


def _section_settings(name: str, kind: type[Section], section: Section | None, preset: Preset) -> Iterator[Setting]:
    for key, info in kind.model_fields.items():
        if part := section_within(info.annotation):
            for inner, inner_info in part.model_fields.items():
                blocks = getattr(section, key)
                yield _setting(name, f"{key}.{inner}", inner_info, [(getattr(b, inner), b) for b in blocks])
        else:
            yield _setting(name, key, info, [(getattr(section, key), preset)] if section else [])


def _setting(section: str, key: str, info: FieldInfo, values: Iterable[tuple[Any, Any]]) -> Setting:
    """Return a setting of one or more values, each with what decides whether it takes part."""
    shown, applies = shown_settings()[f"{section}.{key}"], APPLIES.get(f"{section}.{key}", lambda of: True)
    written = [_written(value, shown) if applies(of) else ABSENT for value, of in values]
    value = " / ".join(_runs(written)) or ABSENT
    limits = ", ".join(
        f"{words} {limit:g}"
        for constraint in info.metadata
        for name, words in LIMITS.items()
        if (limit := getattr(constraint, name, None)) is not None
    )
    description = "; ".join([info.description or "", *([limits] if limits else [])])
    return Setting(section, key, shown.label, value, description, applies=any(one != ABSENT for one in written))


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

    >>> _written(0.25, Shown("Time stretch", "up to {} %")), _written((64, 32), Shown("Hidden layers"))
    ('up to 25 %', '64, 32')
    """
    if isinstance(value, tuple):
        return ", ".join(_written(part, shown) for part in value) or "none"
    names = SPOKEN | dict(shown.names)
    if value in names:
        return names[value]
    if isinstance(value, bool):
        return "yes" if value else "no"
    if "%" in shown.form:
        value *= 100
    return shown.form.format(
        f"{value:g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value
    )
