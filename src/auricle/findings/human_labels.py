"""What people heard in the clips of a study, and how the models stand to it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auricle.report.differences import shares_right
from auricle.report.evidence import Study
from auricle.runs import StudyFolder

ANOTHER = "another class"


@dataclass(frozen=True, eq=False)
class People:
    """What people heard in N test clips.

    Attributes:
        clips: names, each judged once at least.
        labels: index of the true class, int64, shape (N,).
        heard: judgements by class, and last those for a class that the study has not, int64, shape (N, K + 1).
    """

    clips: tuple[str, ...]
    labels: np.ndarray
    heard: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """Return the share of judgements that are right, by clip, (N,)."""
        return self.heard[np.arange(len(self.labels)), self.labels] / self.heard.sum(axis=1)

    @property
    def confusion(self) -> np.ndarray:
        """Return judgements by true class and class heard, the study's classes only, (K, K)."""
        num = self.heard.shape[1] - 1
        return np.array([self.heard[self.labels == label, :num].sum(axis=0) for label in range(num)])


def people_of(study: Study, protocol: str) -> People | None:
    """Return what people heard in the test clips of a protocol; None where nobody was asked, or the file is damaged."""
    path = StudyFolder(study.folder).judgements
    try:
        text = path.read_bytes().decode("utf-8", "surrogatepass")
        rows = [
            (row["clip"], row["heard_as"], int(row["count"])) for row in csv.DictReader(io.StringIO(text, newline=""))
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    place = {category: index for index, category in enumerate(study.dataset.categories)}
    labels = {
        clip: label
        for cell in study.cells
        if cell.name.protocol == protocol
        for clip, label in zip(cell.clips.clips, cell.clips.labels.tolist(), strict=True)
    }
    clips = sorted({clip for clip, _, count in rows if clip in labels and count > 0})
    if not clips:
        return None
    row_of = {clip: row for row, clip in enumerate(clips)}
    heard = np.zeros((len(clips), len(place) + 1), np.int64)
    for clip, heard_as, count in rows:
        if clip in row_of and count > 0:
            heard[row_of[clip], place.get(heard_as, len(place))] += count
    return People(tuple(clips), np.array([labels[clip] for clip in clips], np.int64), heard)


def models_right(study: Study, protocol: str, people: People) -> dict[str, np.ndarray]:
    """Return model to the share of its cells that get each judged clip right, (N,); NaN where no cell tests it."""
    shares = {model: shares_right(study, model, protocol) for model in study.models if study.of(model, protocol)}
    return {model: np.array([of.get(clip, np.nan) for clip in people.clips]) for model, of in shares.items()}


def model_answers(study: Study, model: str, protocol: str, clips: Sequence[str]) -> np.ndarray:
    """Return how many cells of a model give each class as the answer to each of some clips, int64, (N, K)."""
    place = {clip: row for row, clip in enumerate(clips)}
    answers = np.zeros((len(clips), len(study.dataset.categories)), np.int64)
    for cell in study.of(model, protocol):
        for clip, answer in zip(cell.clips.clips, cell.clips.answers.tolist(), strict=True):
            if clip in place:
                answers[place[clip], answer] += 1
    return answers


def agreement(people: People, answers: np.ndarray) -> np.ndarray:
    """Return the chance that a person and a cell of a model give the same answer to each clip, (N,).

    Args:
        people: N clips.
        answers: of cells by class, (N, K), from `model_answers`.
    """
    num = people.heard.shape[1] - 1
    heard = people.heard[:, :num] / people.heard.sum(axis=1, keepdims=True)
    return (heard * answers / np.maximum(answers.sum(axis=1, keepdims=True), 1)).sum(axis=1)


def among_people(people: People) -> np.ndarray:
    """Return the chance that two people give the same answer to each clip, (N,); NaN where one alone was asked."""
    num = people.heard.sum(axis=1)
    pairs = np.where(num > 1, num * (num - 1), np.nan)
    return np.asarray((people.heard * (people.heard - 1)).sum(axis=1) / pairs)


def most(counts: Sequence[int], names: Sequence[str]) -> str:
    """Return what was answered most often but for the true class, or a dash; the first of several.

    >>> most([0, 3, 1], ["dog", "rain", "rooster"])
    'rain'
    """
    return names[int(np.argmax(counts))] if max(counts) else "–"


def kinds(people: People, right: Mapping[str, np.ndarray]) -> dict[str, list[int]]:
    """Return the clips that people, the models or both miss: less than half of the answers right, the worst first."""
    models = np.nanmean(np.array(list(right.values())), axis=0)
    missed_by_people, missed_by_models = people.right < 0.5, models < 0.5
    order = np.lexsort((people.right, models))
    masks = {
        "Missed by people and models": missed_by_people & missed_by_models,
        "Missed by the models only": ~missed_by_people & missed_by_models,
        "Missed by people only": missed_by_people & ~missed_by_models,
    }
    return {title: [int(row) for row in order if mask[row]] for title, mask in masks.items()}
