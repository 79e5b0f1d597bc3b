"""Which mistakes are worth listening to: of each model those clips of which it was most sure, and wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auricle.findings.study import CellEvidence, Study
from auricle.runs import CellName

MOST = 20  # of a model


@dataclass(frozen=True)
class Mistake:
    """A clip that a model answered wrongly, in the cell where it was surest of that.

    Attributes:
        answer: index of the category that it was taken for.
        probabilities: of every category in that cell, 0..1.
        num_wrong: how many cells of the model answered wrongly.
        num_tested: how many had the clip among their test clips.
    """

    clip: str
    cell: CellName
    truth: int
    answer: int
    probabilities: tuple[float, ...]
    num_wrong: int
    num_tested: int

    @property
    def confidence(self) -> float:
        """The probability of the wrong answer."""
        return self.probabilities[self.answer]

    @property
    def rank(self) -> tuple[float, str]:
        """What sorts mistakes, the most confident first."""
        return (-self.confidence, self.clip)


def most_confident(study: Study, most: int = MOST) -> list[list[Mistake]]:
    """Return the mistakes to listen to, by clip: at most so many of each model, the most confident first.

    A clip stands where its most confident mistake does; its mistakes are in the order of the models.
    """
    by_clip: defaultdict[str, list[Mistake]] = defaultdict(list)
    for model in study.models:
        cells = [cell for cell in study.cells if cell.name.model == model]
        for mistake in sorted(_mistakes(cells), key=lambda mistake: mistake.rank)[:most]:
            by_clip[mistake.clip].append(mistake)
    return sorted(by_clip.values(), key=lambda mistakes: min(mistake.rank for mistake in mistakes))


def _mistakes(cells: Sequence[CellEvidence]) -> list[Mistake]:
    """Return one mistake a clip that at least one cell of a model answered wrongly."""
    num_tested = Counter(clip for cell in cells for clip in cell.clips.clips)
    wrong: defaultdict[str, list[tuple[CellEvidence, int]]] = defaultdict(list)
    for cell in cells:
        for index in np.flatnonzero(cell.clips.answers != cell.clips.labels).tolist():
            wrong[cell.clips.clips[index]].append((cell, index))
    found = []
    for clip, answers in wrong.items():
        cell, index = max(answers, key=lambda answer: answer[0].clips.probabilities[answer[1]].max())
        truth, answer = int(cell.clips.labels[index]), int(cell.clips.answers[index])
        probabilities = tuple(cell.clips.probabilities[index].tolist())
        found.append(Mistake(clip, cell.name, truth, answer, probabilities, len(answers), num_tested[clip]))
    return found
