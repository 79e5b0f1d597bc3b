"""The settings of a preset for display: label, value with its unit, and whether the preset uses it."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from auricle.config.sections import BlockConfig, Preset, section_within

LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
ABSENT = "–"  # shown for a setting that is not used
COMMON_NAMES = {None: "none", "relu": "ReLU", "gelu": "GELU"}
OFF = {0: "off"}
SHIFTS = {True: "cyclic", False: "off"}
OPTIMISERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "muon": "Muon, with AdamW"}


@dataclass(frozen=True)
class Shown:
    """The label of a field and the format of its value."""

    label: str
    form: str = "{}"  # format of the value; with "%", a fraction is printed in percent
    names: Mapping[Any, str] = field(default_factory=dict)  # names of some values, such as 0: "off"
    applies: Callable[[Any], bool] = lambda _: True  # whether a preset, or a block, uses it


def _has_bands(preset: Preset) -> bool:
    return preset.frontend.kind != "raw"


def _pools(block: BlockConfig) -> bool:
    return block.pool != "none"


SHOWN = {
    "audio.sample_rate_hz": Shown("Sample rate", "{} Hz"),
    "audio.window_s": Shown("Window", "{} s"),
    "audio.window_hop_s": Shown("Window hop", "{} s"),
    "audio.clip_windows": Shown("Scored windows", names={"fullest": "with most sound", "all": "all inside the clip"}),
    "frontend.kind": Shown("Features", names={"raw": "waveform", "mfcc": "MFCC"}),
    "frontend.num_bands": Shown("Mel bands", applies=_has_bands),
    "frontend.num_coefficients": Shown("MFCCs", applies=lambda p: p.frontend.kind == "mfcc"),
    "frontend.transform_ms": Shown("Fourier window", "{} ms", applies=_has_bands),
    "frontend.hop_ms": Shown("Frame hop", "{} ms", applies=_has_bands),
    "frontend.min_hz": Shown("Lowest frequency", "{} Hz", applies=_has_bands),
    "frontend.max_hz": Shown("Highest frequency", "{} Hz", names={None: "half the sample rate"}, applies=_has_bands),
    "frontend.floor": Shown("Log floor", applies=_has_bands),
    "frontend.normalise": Shown("Normalised features"),
    "frontend.stack_s": Shown("Segments stacked as rows", "{} s each", names={None: "off"}),
    "frontend.stack_hop_s": Shown("Hop of the segments", "{} s", applies=lambda p: p.frontend.stack_s is not None),
    "base.layout": Shown("Layout of the features", names={"bands-as-channels": "bands as channels"}),
    "base.blocks.axes": Shown("Convolution axes"),
    "base.blocks.channels": Shown("Channels"),
    "base.blocks.kernel": Shown("Kernel"),
    "base.blocks.stride": Shown("Stride"),
    "base.blocks.padding": Shown("Padding", names={None: "half the kernel"}),
    "base.blocks.bias": Shown("Bias", names={None: "where no norm follows"}),
    "base.blocks.norm": Shown("Norm"),
    "base.blocks.activation": Shown("Activation"),
    "base.blocks.residual": Shown("Residual"),
    "base.blocks.pool": Shown("Pooling"),
    "base.blocks.pool_size": Shown("Pool size", applies=_pools),
    "base.blocks.dropout": Shown("Dropout", names=OFF),
    "base.blocks.dropout_before_pool": Shown("Dropout before pooling", applies=lambda b: _pools(b) and b.dropout > 0),
    "base.blocks.channels_to_rows": Shown("Channels to rows"),
    "base.blocks.repeat": Shown("Repeats"),
    "encoder.num_heads": Shown("Attention heads"),
    "encoder.num_blocks": Shown("Encoder blocks"),
    "encoder.width": Shown("Width"),
    "encoder.mlp_width": Shown("MLP width", names={None: "no hidden layer"}),
    "encoder.activation": Shown("Activation", applies=lambda p: p.encoder.mlp_width is not None),
    "encoder.dropout": Shown("Dropout", names=OFF),
    "encoder.pool_to_steps": Shown("Time steps pooled to", names={None: "off"}),
    "encoder.tokens": Shown("Tokens", names={"time": "time steps", "map": "cells of the map"}),
    "encoder.projection": Shown("Projection"),
    "encoder.cls": Shown("<cls>"),
    "encoder.positions": Shown("Positions"),
    "encoder.output": Shown("Input of the head", names={"cls": "<cls>", "mean": "mean of all tokens"}),
    "encoder.norm": Shown("Norm"),
    "encoder.final_norm": Shown("Final norm"),
    "encoder.qkv_bias": Shown("Attention bias"),
    "encoder.pad_heads": Shown(
        "Padded heads", applies=lambda p: any(p.encoder.width % heads for heads in p.encoder.heads)
    ),
    "head.pool": Shown("Pooling", applies=lambda p: p.encoder is None),
    "head.hidden": Shown("Hidden layers"),
    "head.dropout": Shown("Dropout", names=OFF),
    "head.softmax": Shown("Softmax before the loss"),
    "training.epochs": Shown("Epochs"),
    "training.base_share": Shown(
        "Epochs that train the base alone", "{} %", names=OFF, applies=lambda preset: preset.encoder is not None
    ),
    "training.max_steps": Shown("Maximum steps"),
    "training.batch_size": Shown("Batch size", "{} windows"),
    "training.windows": Shown("Training windows", names={"random": "at random times", "grid": "those that are scored"}),
    "training.balance": Shown(
        "Class imbalance",
        names={
            "none": "not corrected",
            "sampling": "classes drawn equally often if over 3 : 1",
            "loss": "weighted loss",
        },
    ),
    "training.views": Shown("Windows per clip and epoch"),
    "training.optimizer": Shown("Optimiser", names=OPTIMISERS),
    "training.learning_rate": Shown("Learning rate"),
    "training.matrix_learning_rate": Shown(
        "Learning rate (matrices)", applies=lambda p: p.training.optimizer == "muon"
    ),
    "training.weight_decay": Shown("Weight decay", names=OFF),
    "training.momentum": Shown("Momentum", applies=lambda p: p.training.optimizer in ("sgd", "muon")),
    "training.schedule": Shown("Schedule"),
    "training.warmup_epochs": Shown("Warm-up", "{} epochs", names={**OFF, 1: "1 epoch"}),
    "training.label_smoothing": Shown("Label smoothing", names=OFF),
    "training.gradient_clip": Shown("Gradient clipping (norm)", names=OFF),
    "training.weight_average": Shown("Weight averaging (decay)", names=OFF),
    "training.precision": Shown("Precision"),
    "augmentation.shift": Shown("Time shift", names=SHIFTS, applies=lambda p: not p.augmentation.stretch),
    "augmentation.stretch": Shown("Time stretch", "up to {} %", names=OFF),
    "augmentation.mix": Shown("Mixing", "{} % of windows", names=OFF),
    "augmentation.gain_db": Shown("Gain", "up to ± {} dB", names=OFF),
    "augmentation.band_shift": Shown("Frequency shift", "up to ± {} bands", names=OFF, applies=_has_bands),
    "augmentation.filter_db": Shown("Random filter", "{} dB (standard deviation)", names=OFF),
    "augmentation.time_mask_s": Shown("Time mask", "up to {} s", names=OFF),
    "augmentation.band_mask": Shown("Frequency mask", "up to {} bands", names=OFF, applies=_has_bands),
    "augmentation.feature_frame_mask": Shown("Time mask of features", "up to {} frames", names=OFF),
    "augmentation.feature_row_mask": Shown("Row mask of features", "up to {} rows", names=OFF),
    "augmentation.mask_when_scored": Shown("Masks also in scoring"),
}


@dataclass(frozen=True)
class Setting:
    """A field of a preset and its value, for display."""

    section: str  # such as "training"; `Preset.model_fields[section].title` is its heading
    field: str  # in that section, such as "epochs"; "blocks.channels" for a field of the blocks
    label: str  # its display name, such as "Gradient clipping (norm)"
    value: str  # with its unit, or "off"; if blocks differ, the values in order: 16 × 2 / 32
    typed: str  # the value as it is typed after `=`
    default: str  # the default as it is typed after `=`; empty if the field is required
    allowed: str  # the values allowed, such as "at least 1" or "random | grid"; empty if there is no rule
    description: str  # what it means
    applies: bool  # whether this preset uses it; momentum is not used with Adam


def settings(preset: Preset) -> tuple[Setting, ...]:
    """Return every setting of a preset, in the order of the configuration; those of an absent encoder do not apply.

    >>> from auricle.config import load_preset
    >>> values = {setting.field: setting.value for setting in settings(load_preset("report-b-cnn"))}
    >>> values["windows"], values["feature_frame_mask"]
    ('those that are scored', 'up to 20 frames')
    """
    found: list[Setting] = []
    for name, section_field in Preset.model_fields.items():
        kind, section = section_within(section_field.annotation), getattr(preset, name)
        for key, info in kind.model_fields.items() if kind else ():
            if part := section_within(info.annotation):
                for inner, inner_info in part.model_fields.items():
                    values = [(getattr(block, inner), block) for block in getattr(section, key)]
                    found.append(_setting(name, f"{key}.{inner}", inner_info, values))
            else:
                found.append(_setting(name, key, info, [(getattr(section, key), preset)] if section else []))
    return tuple(found)


def _setting(section: str, key: str, info: FieldInfo, values: Iterable[tuple[Any, Any]]) -> Setting:
    """Return a setting from its values, each with the preset or block that decides whether it applies."""
    shown = SHOWN[f"{section}.{key}"]
    written = [_written(value, shown) if shown.applies(of) else ABSENT for value, of in values]
    value = " / ".join(_runs(written)) or ABSENT
    return Setting(
        section=section,
        field=key,
        label=shown.label,
        value=value,
        typed=" / ".join(_runs([_typed(value) for value, _ in values])),
        default=default_text(info),
        allowed=allowed_text(info),
        description=info.description or "",
        applies=any(one != ABSENT for one in written),
    )


def changed_field(name: str, value: Any) -> str:
    """Return a changed field for a sentence.

    >>> changed_field("training.views", 1), changed_field("encoder.mlp_width", 64), changed_field("head.hidden", [64])
    ('windows per clip and epoch (1)', 'MLP width (64)', 'hidden layers (64)')
    """
    if name not in SHOWN:  # a section, or a list of sections
        return name
    shown = SHOWN[name]
    label = shown.label if shown.label[1:2].isupper() else f"{shown.label[0].lower()}{shown.label[1:]}"
    return f"{label} ({_written(tuple(value) if isinstance(value, list) else value, shown)})"


def default_text(info: FieldInfo) -> str:
    """Return the default of a field as it is typed after `=`; empty if the field is required."""
    return "" if info.is_required() else _typed(info.get_default(call_default_factory=True))


def _typed(value: Any) -> str:
    """Write a value as YAML on one line.

    >>> _typed(None), _typed("muon"), _typed((64, 32))
    ('null', 'muon', '[64, 32]')
    """
    if isinstance(value, tuple):
        return f"[{', '.join(map(_typed, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


def allowed_text(info: FieldInfo) -> str:
    """Return the values allowed for a field, such as "at least 1" or "random | grid"; empty if there is no rule."""
    parts = (info.annotation, *get_args(info.annotation))
    if named := next((get_args(part) for part in parts if get_origin(part) is Literal), ()):
        return " | ".join(named)
    if info.annotation is bool:
        return "true | false"
    found = {
        name: f"{getattr(constraint, name):g}"
        for constraint in info.metadata
        for name in LIMITS
        if getattr(constraint, name, None) is not None
    }
    if found.keys() == {"ge", "le"}:
        return f"{found['ge']} to {found['le']}"
    return ", ".join(f"{LIMITS[name]} {limit}" for name, limit in found.items())


def _runs(written: list[str]) -> Iterator[str]:
    """Yield the values of blocks in order, equal neighbours as one; a value shared by all is given once.

    >>> " / ".join(_runs(["16", "16", "32"])), *_runs(["3", "3"])
    ('16 × 2 / 32', '3')
    """
    for value, same in itertools.groupby(written):
        num = len(list(same))
        yield value if num in (1, len(written)) else f"{value} × {num}"


def _written(value: Any, shown: Shown) -> str:
    """Return one value formatted for display.

    >>> _written(0.25, SHOWN["augmentation.stretch"]), _written((64, 32), SHOWN["head.hidden"])
    ('up to 25 %', '64, 32')
    """
    if isinstance(value, tuple):
        return ", ".join(_written(part, shown) for part in value) or "none"
    names = COMMON_NAMES | dict(shown.names)
    if value in names:
        return names[value]
    if isinstance(value, bool):
        return "yes" if value else "no"
    if "%" in shown.form:
        value *= 100
    return shown.form.format(
        f"{value:g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value
    )
