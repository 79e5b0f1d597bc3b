"""What the trainings of a study answered: one array of model x training x clip, read once and weighted once."""

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
    """How often a model names a class where there is only background."""

    an_hour: float  # clips of background that are answered with a class, in an hour of such clips
    low: float  # to high: 95 % interval, as of an accuracy
    high: float
    num_clips: int  # of background that were tested
    hours: float  # that they last

    @property
    def length(self) -> str:
        """Return how long the clips last, as people say it."""
        for unit, share in (("hours", 1), ("minutes", 60)):
            if self.hours * share >= 2:
                return f"{self.hours * share:.1f} {unit}"
        return f"{self.hours * HOUR_S:.1f} s"


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of M models, each trained up to T times, to N clips.

    Under k-fold each training answers to all clips, under official to those of its own fold. A clip counts once: by the
    mean over the trainings that tested it. So an accuracy is a share of clips, however unequal the folds are; or, where
    it is to be balanced, the mean over classes of such shares: a clip counts the more, the rarer its class is.
    """

    models: tuple[str, ...]  # M names
    trainings: tuple[Training, ...]  # T of them
    clips: tuple[str, ...]  # N names
    labels: np.ndarray  # index of the true category of each clip, int64, (N,)
    groups: np.ndarray  # index of the group of each clip, int64, (N,)
    given: np.ndarray  # index of the answered category, int64, (M, T, N); -1 where a training did not test the clip
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
        """Gather the tables of trainings; a clip without a group is its own."""
        models = tuple(dict.fromkeys(model for model, _ in tables))
        trainings = tuple(sorted({training for _, training in tables}))
        label_of: dict[str, int] = {}
        for table in tables.values():
            label_of |= zip(table.clips, table.labels.tolist(), strict=True)
        index_of = {clip: index for index, clip in enumerate(label_of)}
        given = np.full((len(models), len(trainings), len(label_of)), NOT_TESTED)
        for (model, training), table in tables.items():
            columns = [index_of[clip] for clip in table.clips]
            given[models.index(model), trainings.index(training), columns] = table.answers
        return cls(
            models,
            trainings,
            tuple(label_of),
            np.array(list(label_of.values()), dtype=np.int64),
            numbered([groups.get(clip, clip) for clip in label_of]),
            given,
            categories,
            balanced,
        )

    @cached_property
    def right(self) -> np.ndarray:
        """Whether each training is right, (M, T, N) of 0 and 1; NaN where it did not test the clip."""
        return np.where(self.given == NOT_TESTED, np.nan, self.given == self.labels)

    @cached_property
    def shares(self) -> np.ndarray:
        """The share of each model's trainings that get a clip right, (M, N); NaN where none tested it."""
        with np.errstate(invalid="ignore"):
            return np.asarray(np.nansum(self.right, axis=1) / (self.given != NOT_TESTED).sum(axis=1))

    @cached_property
    def weights(self) -> np.ndarray:
        """What each clip counts in an accuracy, 1 on average, (N,)."""
        _, index, num = np.unique(self.labels, return_inverse=True, return_counts=True)
        return len(self.labels) / (len(num) * num[index]) if self.balanced else np.ones(len(self.labels))

    @property
    def measure(self) -> str:
        """Return what accuracy is here: "accuracy", or "balanced accuracy"."""
        return "balanced accuracy" if self.balanced else "accuracy"

    @property
    def majority(self) -> float:
        """Return the accuracy of always giving the commonest class of these clips."""
        return float(np.bincount(self.labels, weights=self.weights).max() / self.weights.sum())

    def credit(self, model: str) -> np.ndarray:
        """Return what each training of a model adds to its accuracy for each clip, (T, N): `of_model`, weighted."""
        return self.of_model(model) * self.weights

    def of_model(self, model: str) -> np.ndarray:
        """Return whether each training of a model is right, (T, N); NaN where it did not test the clip."""
        return np.asarray(self.right[self.models.index(model)])

    def tested_by(self, model: str) -> np.ndarray:
        """Return which clips a training of a model tested, bool, (N,)."""
        return ~np.isnan(self.shares[self.models.index(model)])

    def accuracy(self, model: str) -> float:
        """Return the share of the tested clips that a model gets right, each clip by the mean over its trainings."""
        tested = self.tested_by(model)
        return float(np.average(self.shares[self.models.index(model)][tested], weights=self.weights[tested]))

    def interval(self, model: str) -> tuple[float, float]:
        """Return the 95 % interval of a model's accuracy for other clips (`statistics.share_interval`)."""
        tested = self.tested_by(model)
        weights = self.weights[tested] if self.balanced else None
        return share_interval(self.shares[self.models.index(model)][tested], self.groups[tested], weights)

    def false_alarms(self, model: str, clip_s: float) -> FalseAlarms | None:
        """Return how often a model names a class, where all clips are background; None where it tested none of them."""
        num = int(self.tested_by(model).sum())
        if not num:
            return None
        low, high = self.interval(model)
        an_hour = HOUR_S / clip_s  # clips
        return FalseAlarms(
            an_hour=(1 - self.accuracy(model)) * an_hour,
            low=(1 - high) * an_hour,
            high=(1 - low) * an_hour,
            num_clips=num,
            hours=num / an_hour,
        )

    def laid_out(self, trainings: Iterable[tuple[Sequence[str], np.ndarray]]) -> np.ndarray:
        """Lay values of the clips of each training out for `difference`: (T, N); NaN where a training has none."""
        by_clip = (dict(zip(clips, values, strict=True)) for clips, values in trainings)
        return np.array([[values.get(clip, np.nan) for clip in self.clips] for values in by_clip])

    def counts(self, model: str) -> np.ndarray:
        """Return how many trainings of a model give each category as the answer to each clip, int64, (N, K)."""
        given = self.given[self.models.index(model)][:, :, None]  # (T, N, 1)
        return np.asarray((given == np.arange(len(self.categories))).sum(axis=0))
