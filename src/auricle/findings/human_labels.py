"""Answers of people to the clips of a study, compared with those of the models."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from auricle.errors import RefusedError
from auricle.files import read_summed
from auricle.findings.classes import mean_shares
from auricle.findings.study import Study
from auricle.runs import StudyFolder
from auricle.scoring.answers import Answers
from auricle.scoring.difference import Difference, compare_all
from auricle.scoring.predictions import numbered
from auricle.scoring.statistics import share_interval

PEOPLE = "people"
ANOTHER = "another class"
MISSED_BELOW = 0.5  # share of correct answers below which a clip counts as misclassified


@dataclass(frozen=True, eq=False)
class HumanLabels:
    """Labels that people gave to N test clips."""

    answers: Answers  # of the trainings to these clips, each labelled at least once
    counts: np.ndarray  # labels by class, and last those of classes outside the study, int64, shape (N, K + 1)

    @property
    def right(self) -> np.ndarray:
        """Return the share of correct labels of each clip, (N,)."""
        return self.counts[np.arange(len(self.counts)), self.answers.labels] / self.counts.sum(axis=1)

    @property
    def agreement_of_people(self) -> np.ndarray:
        """Return the probability that two people give a clip the same label, (N,); NaN where only one was asked."""
        num = self.counts.sum(axis=1)
        pairs = np.where(num > 1, num * (num - 1), np.nan)
        return np.asarray((self.counts * (self.counts - 1)).sum(axis=1) / pairs)

    def agreement(self, model: str) -> np.ndarray:
        """Return the probability that a person and a training agree on each clip, (N,); NaN if it was not tested."""
        predicted = self.answers.counts(model)
        num_predicted = predicted.sum(axis=1)
        shared = (self.counts[:, :-1] * predicted).sum(axis=1) / self.counts.sum(axis=1)
        return np.asarray(shared / np.where(num_predicted > 0, num_predicted, np.nan))


@dataclass(frozen=True)
class Share:
    """A share of the clips, 0..1, with its 95 % interval (`scoring.statistics.share_interval`)."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class LabelledClass:
    """The clips of a class, or all: how often people and models are correct, and agree; None where unknown."""

    category: str | None  # None for all clips
    num_clips: int
    right: float | None  # share of correct labels
    models_right: Mapping[str, float | None]  # model to the share of correct answers of its trainings
    agreement: float | None  # how often two people agree on a clip
    models_agreement: Mapping[str, float | None]  # model to how often a training agrees with a person


@dataclass(frozen=True)
class MissedClip:
    """A clip that people, or the trainings of all models, mostly misclassify."""

    clip: str
    category: str
    num_labels: int
    right: float  # share of these that are correct
    named_instead: str | None  # the most frequent wrong label; `ANOTHER`: not in the study; None: all are correct
    models_right: float  # share of trainings that are correct, the mean over models
    answered_instead: str | None  # the most frequent wrong answer of trainings; None: all are correct


@dataclass(frozen=True, eq=False)
class HumanComparison:
    """People and the models of a protocol on the test clips that people labelled; every clip has the same weight."""

    num_labels: int
    median_labels: float
    fewest_labels: int
    num_clips: int
    num_test_clips: int
    human_accuracy: Share  # share of correct labels
    models: Mapping[str, float]  # model to the share of correct answers of its trainings
    differences: tuple[Difference, ...]  # people minus each model, tests adjusted for their number
    agreement: Mapping[str, Share]  # how often a person and a training of a model agree on a clip
    agreement_of_people: float | None  # how often two people agree; None where no clip has two labels
    classes: tuple[LabelledClass, ...]  # those with a labelled clip, and last all clips
    confusion: np.ndarray  # labels by true class and class given, the study's classes only, (K, K)
    num_elsewhere: int  # labels of classes outside the study
    model_confusions: Mapping[str, np.ndarray]  # model to answers by true and predicted class, (K, K)
    missed: Mapping[str, tuple[MissedClip, ...]]  # "both", "models" or "people" to the clips they misclassify


def against_people(study: Study, protocol: str) -> HumanComparison | None:
    """Compare models and people on a protocol's test clips; None where nobody was asked.

    Raises:
        RefusedError: the file of their labels is damaged.
    """
    answers = study.answers[protocol]
    if (labels := read_human_labels(study, answers)) is None:
        return None
    models = [model for model in study.models if study.of(model, protocol)]
    return compare_with_people(labels, models, num_test_clips=len(answers.clips))


def read_human_labels(study: Study, answers: Answers) -> HumanLabels | None:
    """Read the labels that people gave to the test clips; None where nobody was asked.

    Raises:
        RefusedError: the file is damaged.
    """
    path = StudyFolder(study.folder).judgements
    if not path.exists():
        return None
    try:
        text = read_summed(path).decode("utf-8", "surrogatepass")
        listed = csv.DictReader(io.StringIO(text, newline=""))
        rows = [(row["clip"], row["heard_as"], int(row["count"])) for row in listed]
        if not rows:
            raise ValueError("it has no rows")
    except (OSError, ValueError, KeyError, TypeError, RefusedError) as error:
        raise RefusedError(f"{path} is damaged; run the study again to recreate it, or delete it") from error
    columns = {clip: column for column, clip in enumerate(answers.clips)}
    index_of = {category: index for index, category in enumerate(answers.categories)}
    table = np.zeros((len(columns), len(index_of) + 1), np.int64)
    for clip, category, count in rows:
        if clip in columns and count > 0:
            table[columns[clip], index_of.get(category, -1)] += count
    clips = sorted(clip for clip, column in columns.items() if table[column].any())
    if not clips:
        return None
    kept = [columns[clip] for clip in clips]
    groups, predicted = numbered(answers.groups[kept].tolist()), answers.predicted[:, :, kept]
    tested = replace(
        answers, clips=tuple(clips), labels=answers.labels[kept], groups=groups, predicted=predicted, balanced=False
    )
    return HumanLabels(tested, table[kept])


def compare_with_people(labels: HumanLabels, models: Sequence[str], *, num_test_clips: int) -> HumanComparison:
    """Compare people and those models that tested any of the clips that people labelled."""
    answers, counts = labels.answers, labels.counts
    models = [model for model in models if answers.tested_by(model).any()]
    num_labels = counts.sum(axis=1)
    agreement = {model: labels.agreement(model) for model in models}
    return HumanComparison(
        num_labels=int(num_labels.sum()),
        median_labels=float(np.median(num_labels)),
        fewest_labels=int(num_labels.min()),
        num_clips=len(counts),
        num_test_clips=num_test_clips,
        human_accuracy=_share(labels.right, answers.groups),
        models={model: answers.accuracy(model) for model in models},
        differences=tuple(differences_from_people(labels, models)),
        agreement={model: _share(own, answers.groups) for model, own in agreement.items()},
        agreement_of_people=_known_mean(labels.agreement_of_people),
        classes=tuple(_classes(labels, agreement)),
        confusion=_by_class(answers, counts[:, :-1]),
        num_elsewhere=int(counts[:, -1].sum()),
        model_confusions={model: _by_class(answers, answers.counts(model)) for model in models},
        missed=_missed(labels, models),
    )


def differences_from_people(labels: HumanLabels, models: Sequence[str]) -> list[Difference]:
    """Measure how much more accurate people are than each model; tests adjusted for the number of models."""
    values = [(labels.right - labels.answers.correct_of(model), PEOPLE, model) for model in models]
    return compare_all(values, labels.answers.groups)


def _share(values: np.ndarray, groups: np.ndarray) -> Share:
    known = ~np.isnan(values)
    return Share(float(values[known].mean()), *share_interval(values[known], groups[known]))


def _known_mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _by_class(answers: Answers, counts: np.ndarray) -> np.ndarray:
    """Sum up counts by the true class of their clip: (N, K) -> (K, K)."""
    return np.array([counts[answers.labels == label].sum(axis=0) for label in range(len(answers.categories))])


def _classes(labels: HumanLabels, agreement: Mapping[str, np.ndarray]) -> list[LabelledClass]:
    answers, right, among = labels.answers, labels.right, labels.agreement_of_people
    shares = {model: answers.shares[answers.models.index(model)] for model in agreement}
    masks = [(category, answers.labels == label) for label, category in enumerate(answers.categories)]
    return [
        LabelledClass(
            category=category,
            num_clips=int(mask.sum()),
            right=_known_mean(right[mask]),
            models_right={model: _known_mean(own[mask]) for model, own in shares.items()},
            agreement=_known_mean(among[mask]),
            models_agreement={model: _known_mean(own[mask]) for model, own in agreement.items()},
        )
        for category, mask in (*masks, (None, np.ones(len(right), bool)))
        if mask.any()
    ]


def _missed(labels: HumanLabels, models: Sequence[str]) -> dict[str, tuple[MissedClip, ...]]:
    """Return the clips with less than half of the answers correct: of people, of the models, or of both."""
    answers, right = labels.answers, labels.right
    trained = mean_shares(answers, models)
    predicted = np.sum([answers.counts(model) for model in models], axis=0)

    def missed_clip(row: int) -> MissedClip:
        label = int(answers.labels[row])
        return MissedClip(
            clip=answers.clips[row],
            category=answers.categories[label],
            num_labels=int(labels.counts[row].sum()),
            right=float(right[row]),
            named_instead=most_but(labels.counts[row], label, (*answers.categories, ANOTHER)),
            models_right=float(trained[row]),
            answered_instead=most_but(predicted[row], label, answers.categories),
        )

    by_people, by_models = right < MISSED_BELOW, trained < MISSED_BELOW
    masks = {"both": by_people & by_models, "models": ~by_people & by_models, "people": by_people & ~by_models}
    order = np.lexsort((right, trained)).tolist()
    return {whom: tuple(missed_clip(row) for row in order if mask[row]) for whom, mask in masks.items()}


def most_but(counts: np.ndarray, label: int, names: Sequence[str]) -> str | None:
    """Return the most frequent wrong answer, the first of several; None where there is none.

    >>> most_but(np.array([5, 3, 1]), 0, ["dog", "rain", "rooster"])
    'rain'
    """
    others = np.where(np.arange(len(counts)) == label, 0, counts)
    return names[int(others.argmax())] if others.any() else None
