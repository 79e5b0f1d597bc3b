"""Published results of the models of a study, compared with those that the study measured."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from auricle.config import Reference, ReferenceFigure
from auricle.findings.scores import shared_weights, weighted_mean
from auricle.findings.study import CellEvidence, Study
from auricle.findings.trainings import collapses
from auricle.scoring.metrics import score
from auricle.scoring.predictions import numbered
from auricle.scoring.statistics import share_interval

SAME_TEST_CLIPS = ("test-split", "k-fold")
# How a training failed, in a word, and how its reason begins; the more telling first.
FAILED = {"diverged": "failed: diverged", "failed": "failed"}


class Verdict(StrEnum):
    """How a measured result compares with the reported one."""

    AGREE = "agree"
    HIGHER = "higher here"
    LOWER = "lower here"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Measured:
    """The result of the cells of a model under a protocol; shares are 0..1."""

    cells: int  # number of cells, of which the mean or the best is taken
    accuracy: float
    low: float  # end of its 95 % interval for other clips, as windows of a clip are alike
    high: float
    macro_f1: float  # of the same windows or clips
    macro_auc: float | None  # None where a class is absent
    parameters: int
    collapsed: int
    cause: str | None  # the likely one of the first collapse for which one is known


@dataclass(frozen=True)
class ReferenceRow:
    """A figure of a reference and the measured result of the same."""

    source: str
    by_window: bool
    figure: ReferenceFigure
    parameters: int | None  # as given by the reference; None where it does not say
    leaky: bool  # whether the protocol has clips of one group in both training and test
    measured: Measured | None  # None where no cell is finished
    absence: str | None  # why there is no measured result
    verdict: Verdict


class Published(NamedTuple):
    """A published result: who reports it, the accuracy, 0..1, and of how many trainings it is the best."""

    source: str
    accuracy: float
    best_of: int


def published_best(study: Study, protocol: str) -> Published | None:
    """Return the best accuracy that references of a study have for the test clips of a protocol; None for none."""
    same = SAME_TEST_CLIPS if protocol in SAME_TEST_CLIPS else (protocol,)
    found = [
        Published(reference.source, figure.accuracy / 100, figure.trainings if figure.statistic == "best" else 1)
        for reference in comparable(study)
        for figure in reference.figures
        if reference.scores == "clips" and figure.of == "test" and figure.protocol in same
    ]
    return max(found, key=lambda one: one.accuracy, default=None)


def beside_references(study: Study) -> tuple[ReferenceRow, ...]:
    """Return every figure of the references for one of the study's models, with the measured result.

    References to other data than the study's are left out.
    """
    return tuple(
        _reference_row(study, reference, figure)
        for reference in comparable(study)
        if any(figure.model in study.presets for figure in reference.figures)
        for figure in reference.figures
    )


def comparable(study: Study) -> Iterator[Reference]:
    """Yield the references of a study that are about its recordings."""
    return (reference for reference in study.config.reference if reference.data == study.dataset.source)


def _reference_row(study: Study, reference: Reference, figure: ReferenceFigure) -> ReferenceRow:
    by_window, protocol = reference.scores == "windows", figure.protocol
    found = measure(study, study.of(figure.model, protocol), figure, by_window=by_window)
    return ReferenceRow(
        source=reference.source,
        by_window=by_window,
        figure=figure,
        parameters=reference.parameters.get(figure.model),
        leaky=study.is_leaky(protocol),
        measured=found,
        absence=None if found else _absence(study, figure),
        verdict=verdict_on(figure, found) if found else Verdict.NOT_MEASURED,
    )


def measure(
    study: Study, cells: Sequence[CellEvidence], figure: ReferenceFigure, *, by_window: bool
) -> Measured | None:
    """Return the measured result that corresponds to a figure; None without cells, or without such clips.

    If the figure is by window, each window is scored like a clip; the interval is that of the windows' clips. With
    several trainings, each clip counts once, by their mean.
    """
    tables = [cell.windows.of(figure.of) for cell in cells]
    if not any(table.clips for table in tables):
        return None
    parts = [table if by_window else table.by_clip() for table in tables]
    scores = [score(part.probabilities, part.labels, part.categories) for part in parts]
    best = max(range(len(parts)), key=lambda index: scores[index]["accuracy"])
    chosen = slice(best, best + 1) if figure.statistic == "best" else slice(None)
    clips = [clip for part in parts[chosen] for clip in part.clips]
    right = np.concatenate([part.probabilities.argmax(axis=1) == part.labels for part in parts[chosen]])
    shares = np.bincount(numbered(clips), weights=right) / np.bincount(numbered(clips))
    groups = numbered([study.dataset.groups.get(clip, clip) for clip in dict.fromkeys(clips)])
    low, high = share_interval(shares, groups)
    weights, fallen = shared_weights([part.clips for part in parts[chosen]]), collapses(cells[chosen])
    f1, auc = (weighted_mean([each[name] for each in scores[chosen]], weights) for name in ("macro_f1", "macro_auc"))
    assert f1 is not None
    return Measured(
        cells=len(parts),
        accuracy=float(shares.mean()),
        low=low,
        high=high,
        macro_f1=f1,
        macro_auc=auc,
        parameters=cells[0].costs["parameters"],
        collapsed=len(fallen),
        cause=next((one.cause.split("; ")[0] for one in fallen if one.cause), None),
    )


def _absence(study: Study, figure: ReferenceFigure) -> str:
    """Return why there is no measured result for a figure."""
    cells = (figure.model, figure.protocol)
    reasons = [cell.reason for cell in study.missing if (cell.name.model, cell.name.protocol) == cells]
    failed = [kind for kind, start in FAILED.items() if any(each.startswith(start) for each in reasons)]
    return next(iter([*failed, *reasons]), "not run")


def verdict_on(figure: ReferenceFigure, found: Measured) -> Verdict:
    """Return how the measured result compares; they agree if the interval contains the reported accuracy."""
    reported = figure.accuracy / 100
    if found.low <= reported <= found.high:
        return Verdict.AGREE
    return Verdict.HIGHER if found.accuracy > reported else Verdict.LOWER
