"""Which mistakes are worth hearing: of each model those clips of which it was most sure, and wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from auricle.report.evidence import CellEvidence, Study
from auricle.runs import CellName

MOST = 20  # of a model


@dataclass(frozen=True)
class Mistake:
    """A clip that a model answered wrongly, in the cell where it was surest of that.

    Attributes:
        clip: its name.
        truth: place of its category.
        answer: place of the category that it was taken for.
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


def most_confident(study: Study, most: int = MOST) -> list[list[Mistake]]:
    """Return the mistakes to listen to, by clip: at most so many of each model, the most confident first.

    A clip stands where its most confident mistake does; its mistakes are in the order of the models.
    """
    by_clip: defaultdict[str, list[Mistake]] = defaultdict(list)
    for model in study.models:
        cells = [cell for cell in study.cells if cell.name.model == model]
        for mistake in sorted(_mistakes(cells), key=_rank)[:most]:
            by_clip[mistake.clip].append(mistake)
    return sorted(by_clip.values(), key=lambda mistakes: min(map(_rank, mistakes)))


def _rank(mistake: Mistake) -> tuple[float, str]:
    return (-mistake.confidence, mistake.clip)


def _mistakes(cells: Sequence[CellEvidence]) -> Iterator[Mistake]:
    """Yield one mistake a clip that at least one cell of a model answered wrongly."""
    heard: defaultdict[str, list[tuple[CellName, int, np.ndarray]]] = defaultdict(list)
    for cell in cells:
        for clip, truth, probabilities in zip(
            cell.clips.clips, cell.clips.labels.tolist(), cell.clips.probabilities, strict=True
        ):
            heard[clip].append((cell.name, truth, probabilities))
    for clip, said in heard.items():
        wrong = [one for one in said if int(one[2].argmax()) != one[1]]
        if wrong:
            cell_name, truth, probabilities = max(wrong, key=lambda one: float(one[2].max()))
            yield Mistake(
                clip,
                cell_name,
                truth,
                int(probabilities.argmax()),
                tuple(probabilities.tolist()),
                len(wrong),
                len(said),
            )
