"""The predicted classes of all trainings of a study, in one array: model x training x clip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from auricle.scoring.predictions import ClipPredictions, numbered
from auricle.scoring.statistics import share_interval

NOT_TESTED = -1
HOUR_S = 3600.0
Training = tuple[int, int]  # fold and seed


@dataclass(frozen=True)
class FalseAlarms:
    """How often a model predicts a class in clips that contain only background."""

    an_hour: float  # background clips for which a class is predicted, per hour of such clips
    low: float  # to high: 95 % interval, computed as for an accuracy
    high: float
    num_clips: int  # number of background clips tested
    hours: float  # their total duration

    @property
    def length(self) -> str:
        """Return the total duration in hours, minutes or seconds, whichever reads best."""
        for unit, share in (("hours", 1), ("minutes", 60)):
            if self.hours * share >= 2:
                return f"{self.hours * share:.1f} {unit}"
        return f"{self.hours * HOUR_S:.1f} s"


@dataclass(frozen=True, eq=False)
class Answers:
    """The predictions of M models, each trained up to T times, for N clips.

    Under k-fold every training tests all clips, under official only those of its own fold. Each clip counts once, by
    the mean over the trainings that tested it. So accuracy is a share of clips, even where folds differ in size.
    Balanced accuracy is the mean of these shares over classes: clips of rare classes weigh more.
    """

    models: tuple[str, ...]  # M names
    trainings: tuple[Training, ...]  # T of them
    clips: tuple[str, ...]  # N names
    labels: np.ndarray  # index of the true category of each clip, int64, (N,)
    groups: np.ndarray  # index of the group of each clip, int64, (N,)
    predicted: np.ndarray  # index of the predicted category, int64, (M, T, N); -1 of clips that a training did not test
    categories: tuple[str, ...]  # K names
    balanced: bool = False  # whether accuracy is balanced accuracy

    @classmethod
    def of(
        cls,
        tables: Mapping[tuple[str, Training], ClipPredictions],
        groups: Mapping[str, str],
        categories: tuple[str, ...],
        *,
        balanced: bool = False,
    ) -> Answers:
        """Combine the prediction tables of trainings; a clip without a group is a group of its own."""
        models = tuple(dict.fromkeys(model for model, _ in tables))
        trainings = tuple(sorted({training for _, training in tables}))
        label_of: dict[str, int] = {}
        for table in tables.values():
            label_of |= zip(table.clips, table.labels.tolist(), strict=True)
        index_of = {clip: index for index, clip in enumerate(label_of)}
        predicted = np.full((len(models), len(trainings), len(label_of)), NOT_TESTED)
        for (model, training), table in tables.items():
            columns = [index_of[clip] for clip in table.clips]
            predicted[models.index(model), trainings.index(training), columns] = table.answers
        return cls(
            models,
            trainings,
            tuple(label_of),
            np.array(list(label_of.values()), dtype=np.int64),
            numbered([groups.get(clip, clip) for clip in label_of]),
            predicted,
            categories,
            balanced,
        )

    @cached_property
    def correct(self) -> np.ndarray:
        """Whether each prediction is correct, (M, T, N) of 0 and 1; NaN where a training did not test the clip."""
        return np.where(self.predicted == NOT_TESTED, np.nan, self.predicted == self.labels)

    @cached_property
    def shares(self) -> np.ndarray:
        """The share of each model's trainings that classify a clip correctly, (M, N); NaN where none tested it."""
        with np.errstate(invalid="ignore"):
            return np.asarray(np.nansum(self.correct, axis=1) / (self.predicted != NOT_TESTED).sum(axis=1))

    def weights(self, tested: np.ndarray) -> np.ndarray:
        """Return the weight of each clip in an accuracy of the tested ones, bool, (N,): 1 on average; NaN elsewhere."""
        weights = np.where(tested, 1.0, np.nan)
        if self.balanced:
            _, index, num = np.unique(self.labels[tested], return_inverse=True, return_counts=True)
            weights[tested] = len(index) / (len(num) * num[index])
        return weights

    @property
    def measure(self) -> str:
        """Return the name of the measure: "accuracy" or "balanced accuracy"."""
        return "balanced accuracy" if self.balanced else "accuracy"

    @property
    def majority(self) -> float:
        """Return the accuracy of always predicting the most frequent class of these clips."""
        weights = self.weights(np.ones(len(self.labels), dtype=bool))
        return float(np.bincount(self.labels, weights=weights).max() / len(self.labels))

    def lead(self, first: str, second: str) -> np.ndarray:
        """Return by how much a model is better than another, (T, N), for `difference`; NaN where not both are known.

        Its mean over clips is the difference of their accuracies on the clips that both were tested on.
        """
        values = self.correct_of(first) - self.correct_of(second)
        return values * self.weights(~np.isnan(values).all(axis=0))

    def mean_lead(self, first: str, second: str) -> float | None:
        """Return by how much a model is more accurate than another on common clips; None where there are none."""
        values = self.lead(first, second)
        known = ~np.isnan(values)
        num, sums = known.sum(axis=0), np.nansum(values, axis=0)
        return float((sums[num > 0] / num[num > 0]).mean()) if known.any() else None

    def correct_of(self, model: str) -> np.ndarray:
        """Return whether each prediction of a model is correct, (T, N); NaN where a training did not test the clip."""
        return np.asarray(self.correct[self.models.index(model)])

    def tested_by(self, model: str) -> np.ndarray:
        """Return which clips were tested by any training of a model, bool, (N,)."""
        return ~np.isnan(self.shares[self.models.index(model)])

    def accuracy(self, model: str) -> float:
        """Return the accuracy on the tested clips; each clip counts by the mean over its trainings."""
        tested = self.tested_by(model)
        shares = self.shares[self.models.index(model)]
        return float(np.average(shares[tested], weights=self.weights(tested)[tested]))

    def interval(self, *models: str) -> tuple[float, float]:
        """Return the 95 % interval on new clips of a model's accuracy, or of the mean of several models.

        See `statistics.share_interval`.
        """
        shares = self.shares[[self.models.index(model) for model in models]]
        tested = ~np.isnan(shares).all(axis=0)
        weights = self.weights(tested)[tested] if self.balanced else None
        return share_interval(np.nanmean(shares[:, tested], axis=0), self.groups[tested], weights)

    def false_alarms(self, model: str, clip_s: float) -> FalseAlarms | None:
        """Return how often a model predicts a class, if all clips are background; None where it tested none."""
        num = int(self.tested_by(model).sum())
        if not num:
            return None
        low, high = self.interval(model)
        clips_an_hour = HOUR_S / clip_s
        return FalseAlarms(
            an_hour=(1 - self.accuracy(model)) * clips_an_hour,
            low=(1 - high) * clips_an_hour,
            high=(1 - low) * clips_an_hour,
            num_clips=num,
            hours=num / clips_an_hour,
        )

    def aligned(self, trainings: Iterable[tuple[Sequence[str], np.ndarray]]) -> np.ndarray:
        """Arrange the values of each training in the order of the clips, (T, N), for `difference`; NaN where absent."""
        by_clip = (dict(zip(clips, values, strict=True)) for clips, values in trainings)
        return np.array([[values.get(clip, np.nan) for clip in self.clips] for values in by_clip])

    def counts(self, model: str) -> np.ndarray:
        """Return how many trainings of a model predict each category for each clip, int64, (N, K)."""
        predicted = self.predicted[self.models.index(model)][:, :, None]  # (T, N, 1)
        return np.asarray((predicted == np.arange(len(self.categories))).sum(axis=0))
