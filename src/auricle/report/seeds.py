"""Models trained from several seeds: how much of an accuracy is luck of the start, and how much luck of the clips."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auricle.report.comparisons import BOOTSTRAP_SEED, Comparison, compare_two
from auricle.report.evidence import CellEvidence, Study
from auricle.scoring.statistics import bootstrap_interval


@dataclass(frozen=True)
class SeedRow:
    """A model under a protocol, over its seeds; shares are 0..1.

    Attributes:
        model: its name.
        protocol: under which it was scored.
        seeds: those that finished a cell.
        accuracy: mean over seeds of the mean over folds.
        sd: standard deviation over seeds of the mean over folds; None for one seed.
        fold_sd: standard deviation over folds of the mean over seeds; None for one fold.
        together: accuracy of the seeds as an ensemble, which answers with their mean probabilities; mean over folds.
        low: lower end of the 95 % interval of the accuracy, by bootstrap: source recordings are drawn, and each clip
            has its mean over seeds.
        high: upper end.
        parameters: of the network.
        multiply_adds: to score one clip.
        cpu_seconds: processor time of one cell, training and scoring, the median over cells.
        against: compared with the first model of the study on the same clips; None for that model itself.
    """

    model: str
    protocol: str
    seeds: tuple[int, ...]
    accuracy: float
    sd: float | None
    fold_sd: float | None
    together: float
    low: float
    high: float
    parameters: int
    multiply_adds: int
    cpu_seconds: float
    against: Comparison | None


def seed_rows(study: Study) -> list[SeedRow]:
    """Return a row a protocol and model that has a finished cell, in the order of the study."""
    return [_row(study, model, protocol) for protocol, model in study.pairs]


def _row(study: Study, model: str, protocol: str) -> SeedRow:
    cells = study.of(model, protocol)
    seeds = tuple(sorted({cell.name.seed for cell in cells}))
    means = [statistics.fmean(_accuracy(cell) for cell in cells if cell.name.seed == seed) for seed in seeds]
    folds = sorted({cell.name.fold for cell in cells})
    of_folds = [statistics.fmean(_accuracy(cell) for cell in cells if cell.name.fold == fold) for fold in folds]
    low, high = _interval(study, cells)
    reference = study.models[0]
    return SeedRow(
        model=model,
        protocol=protocol,
        seeds=seeds,
        accuracy=statistics.fmean(means),
        sd=statistics.stdev(means) if len(means) > 1 else None,
        fold_sd=statistics.stdev(of_folds) if len(of_folds) > 1 else None,
        together=statistics.fmean(_together([cell for cell in cells if cell.name.fold == fold]) for fold in folds),
        low=low,
        high=high,
        parameters=cells[0].costs["parameters"],
        multiply_adds=cells[0].costs["multiply_adds"],
        cpu_seconds=statistics.median(cell.costs["cpu_seconds"] for cell in cells),
        against=None if model == reference else compare_two(study, model, reference, protocol),
    )


def _accuracy(cell: CellEvidence) -> float:
    return float(cell.test["clip"]["accuracy"])


def _together(cells: Sequence[CellEvidence]) -> float:
    """Return the accuracy of the mean over cells, which differ in their seed, of each test clip's probabilities."""
    total: dict[str, np.ndarray] = {}
    for cell in cells:
        for clip, probabilities in zip(cell.clips.clips, cell.clips.probabilities, strict=True):
            total[clip] = total.get(clip, 0.0) + probabilities
    truth = dict(zip(cells[0].clips.clips, cells[0].clips.labels.tolist(), strict=True))
    return statistics.fmean(float(total[clip].argmax() == label) for clip, label in truth.items())


def _interval(study: Study, cells: tuple[CellEvidence, ...]) -> tuple[float, float]:
    right: dict[str, list[bool]] = {}
    for cell in cells:
        for clip, is_right in zip(cell.clips.clips, cell.clips.answers == cell.clips.labels, strict=True):
            right.setdefault(clip, []).append(bool(is_right))
    shares = np.array([np.mean(answers) for answers in right.values()])
    groups = [study.dataset.groups.get(clip, clip) for clip in right]
    return bootstrap_interval(shares, groups, np.random.default_rng(BOOTSTRAP_SEED))
