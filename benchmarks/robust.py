"""What the benchmarks of robustness share: a study, a search and a cache that take seconds, and rows of counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from auricle.config import StudyConfig
from auricle.search.space import SpaceConfig
from measure import publish, table

BLOCKS = [
    {"axes": ["frequency"], "channels": 4, "stride": 2},
    {"axes": ["frequency", "time"], "channels": 6, "stride": 2},
]
TINY = {
    "audio": {"sample_rate_hz": 8_000, "window_s": 0.6, "window_hop_s": 0.3},
    "frontend": {"num_bands": 8},
    "base": {"layout": "map", "blocks": BLOCKS},
    "training": {"epochs": 4, "warmup_epochs": 1, "batch_size": 16, "views": 2, "precision": "float32"},
}
PRESETS = {"plain": TINY, "attending": {**TINY, "encoder": {"num_heads": 2, "num_blocks": 1, "width": 8}}}


def small_study() -> StudyConfig:
    """Return a study of the toy sounds: two models, test-split and one fold of k-fold more, one seed."""
    return StudyConfig(name="small", data="toy", models=tuple(PRESETS), protocols=("test-split",), presets=PRESETS)


def small_space() -> SpaceConfig:
    """Return a search over four learning rates."""
    return SpaceConfig(
        name="small",
        data="toy",
        models=("plain",),
        sampler="grid",
        pruner="none",
        presets={"plain": TINY},
        parameters={"training.learning_rate": [0.001, 0.003, 0.01, 0.03]},
    )


def publish_counts(
    title: str, about: str, counts: Mapping[str, Counter[str]], columns: tuple[str, ...], to: Path | None
) -> None:
    """Publish how often each outcome was had, a row a kind, and their sum."""
    rows = [(kind, *(str(found[column]) for column in columns)) for kind, found in counts.items()]
    sums = sum(counts.values(), Counter())
    rows.append(("all", *(str(sums[column]) for column in columns)))
    publish(title, about, table(("kind", *columns), rows), to)
