"""A mean difference, and whether the data show that it is one: the only place that may say "shown"."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from scipy.special import stdtrit
from scipy.stats import binom

from auricle.scoring.statistics import (
    group_interval,
    holm,
    mean_test,
    numbered,
    sign_test,
    training_reach,
)

SIGNIFICANT = 0.05
POWER = 0.8  # a difference that is called detectable is found four times in five
NUM_IMAGINED = 400  # studies, to find what is detectable
NOTHING = 1e-9  # a difference nearer to zero is none
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Difference:
    """A mean difference over clips and trainings: of two models, of a model and itself changed, of people and a model.

    k-fold tests the same clips with every training, so its cells are no new clips: clips count by the mean over
    trainings, and whether another training would give the same is a second question with a test of its own.

    Attributes:
        first: what the difference speaks for where it is positive.
        second: what for where it is negative.
        mean: over clips, -1..1 for accuracies.
        low: lower end of its 95 % interval: bootstrap over groups, widened where there are several trainings by what
            they differ (`statistics.training_reach`; both reaches squared and added).
        high: upper end.
        num_clips: that were scored.
        num_groups: that they are of.
        wins: clips with a difference above zero.
        losses: clips with one below.
        trainings: how many.
        trainings_won: those with a mean above zero.
        p_groups: exact two-sided sign test over groups: McNemar's exact test where each clip is its own group and
            scored once. Of these trainings; 1 where groups and clips disagree. Student's t where values are not
            mirrored (see `difference`).
        p_trainings: that the difference is none for other clips and other trainings (`statistics.mean_test`); None
            where there is one training.
        p_adjusted: the larger of the two, adjusted for the number of comparisons (`adjusted`); 1 until that is done.
        detectable: smallest true difference that such a study finds four times in five; None where it was not asked.
    """

    first: str
    second: str
    mean: float
    low: float
    high: float
    num_clips: int
    num_groups: int
    wins: int
    losses: int
    trainings: int
    trainings_won: int
    p_groups: float
    p_trainings: float | None
    p_adjusted: float = 1.0
    detectable: float | None = None

    @property
    def p(self) -> float:
        """Return the larger p-value: both have to speak for a difference."""
        return max(self.p_groups, self.p_trainings or 0.0)

    @property
    def shown(self) -> bool:
        """Return whether the data show a difference: the tests and the interval have to."""
        return self.p_adjusted < SIGNIFICANT and (self.low > 0 or self.high < 0)

    @property
    def better(self) -> str | None:
        """Return the side that is shown to be ahead; None where neither is."""
        if not self.shown:
            return None
        return self.first if self.mean > 0 else self.second

    @property
    def worse(self) -> str | None:
        """Return the other side; None where neither is shown to be ahead."""
        return {self.first: self.second, self.second: self.first}.get(self.better or "")


def difference(
    values: np.ndarray, groups: np.ndarray, first: str = "", second: str = "", *, mirrored: bool = True
) -> Difference | None:
    """Measure a difference; None where no training scored a clip.

    Args:
        values: of each training and clip, (T, N); NaN where there is none.
        groups: index of the group of each clip, int64, (N,).
        first: what it speaks for where it is positive.
        second: what for where it is negative.
        mirrored: whether values above and below zero are as likely where there is no difference, as those of two equal
            models are. A confidence less whether it was right is not: it is seldom above zero, and far. Then the mean
            is tested over groups by Student's t instead of its signs.
    """
    known = ~np.isnan(values)
    if not known.any():
        return None
    of_training, of_clip = np.nonzero(known)
    flat, clips = values[known], known.any(axis=0)
    means = np.nansum(values, axis=0)[clips] / known.sum(axis=0)[clips]
    mean, reach = float(means.mean()), training_reach(flat, of_training)
    low, high = group_interval(means, numbered(groups[clips].tolist()))
    num_trainings = int(known.any(axis=1).sum())
    return Difference(
        first=first,
        second=second,
        mean=mean,
        low=mean - math.hypot(mean - low, reach),
        high=mean + math.hypot(high - mean, reach),
        num_clips=int(clips.sum()),
        num_groups=len(np.unique(groups[clips])),
        wins=int((means > NOTHING).sum()),
        losses=int((means < -NOTHING).sum()),
        trainings=num_trainings,
        trainings_won=int((np.nansum(values, axis=1) > NOTHING).sum()),
        p_groups=(
            _sign_p(flat, groups[of_clip], mean)
            if mirrored
            else mean_test(means, groups[clips], np.zeros(len(means), dtype=np.int64))
        ),
        p_trainings=mean_test(flat, groups[of_clip], of_training) if num_trainings > 1 else None,
    )


def _sign_p(values: np.ndarray, groups: np.ndarray, mean: float) -> float:
    """Return the p-value of the sign test over groups; 1 where a few large groups outweigh many small ones."""
    sums = np.bincount(groups, weights=values)
    won, lost = int((sums > NOTHING).sum()), int((sums < -NOTHING).sum())
    return sign_test(won, lost) if (won - lost) * mean > 0 else 1.0


def adjusted(differences: Mapping[Key, Difference]) -> dict[Key, Difference]:
    """Return differences with their p-values adjusted for how many are asked together (Holm)."""
    p_values = holm([one.p for one in differences.values()])
    return {key: replace(one, p_adjusted=p) for (key, one), p in zip(differences.items(), p_values, strict=True)}


def detectable(values: np.ndarray, groups: np.ndarray, num_comparisons: int) -> float | None:
    """Return the smallest true difference of two models that such a study shows four times in five; None: none.

    Studies like this one are imagined: the answers of each group go to one model or the other by a coin, so that
    neither is better, trainings have the luck that they have here, and a share of the clips is given to the better
    model. They are judged by the two tests of `difference`, at the level that Holm's first comparison has to meet.

    Args:
        values: of each training and clip, (T, N), -1..1; NaN where there is none.
        groups: index of the group of each clip, int64, (N,).
        num_comparisons: that are made together, 1 or more.
    """
    known = ~np.isnan(values)
    clips = known.any(axis=0)
    imagined = _Imagined(values[known.any(axis=1)][:, clips], numbered(groups[clips].tolist()), SIGNIFICANT / num_comparisons)
    if imagined.power(1.0)[0] < POWER:
        return None
    low, high = 0.0, 1.0
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (low, middle) if imagined.power(middle)[0] >= POWER else (middle, high)
    return imagined.power(high)[1]


class _Imagined:
    """Studies with the clips, groups and trainings of one that was made, and with a difference that is known."""

    def __init__(self, values: np.ndarray, groups: np.ndarray, level: float) -> None:
        self.known = ~np.isnan(values)  # (T, N)
        self.values, self.level = np.nan_to_num(values), level
        self.one_hot = np.eye(groups.max() + 1)[groups]  # (N, G)
        self.groups = groups
        self.luck = self._luck_of_trainings() if len(values) > 1 else 0.0

    def _luck_of_trainings(self) -> float:
        """Return the standard deviation of what a training has with all clips, beyond that of its single answers."""
        counts = self.known.sum(axis=1)
        means = self.values.sum(axis=1) / counts
        single = [own[known].var() / num for own, known, num in zip(self.values, self.known, counts, strict=True)]
        return math.sqrt(max(0.0, float(means.var(ddof=1)) - float(np.mean(single))))

    def power(self, share: float) -> tuple[float, float]:
        """Return in how many studies a difference is shown, 0..1, and how large it is, if a share of clips is given."""
        generator = np.random.default_rng(0)
        num_trainings, num_clips = self.values.shape
        coins = generator.choice((-1.0, 1.0), size=(NUM_IMAGINED, self.one_hot.shape[1]))
        given = share + generator.normal(0, self.luck, (NUM_IMAGINED, num_trainings, 1))
        gift = np.sign(given) * (generator.random((NUM_IMAGINED, 1, num_clips)) < np.abs(given))
        imagined = np.clip(coins[:, None, self.groups] * self.values + gift, -1, 1) * self.known  # (S, T, N)
        num = self.known.sum()
        means = imagined.sum(axis=(1, 2)) / num
        sums = imagined.sum(axis=1) @ self.one_hot  # (S, G)
        won, lost = (sums > NOTHING).sum(axis=1), (sums < -NOTHING).sum(axis=1)
        reach = self._reach(sums - means[:, None] * (self.known.sum(axis=0) @ self.one_hot), num)
        if num_trainings > 1:
            reach += self._reach(imagined.sum(axis=2) - means[:, None] * self.known.sum(axis=1), num)
        p_groups = 2 * binom.cdf(np.minimum(won, lost), won + lost, 0.5)
        shown = (p_groups < self.level) & ((won - lost) * means > 0) & (means > 0) & (means**2 > reach)
        return float(shown.mean()), float(means.mean())

    def _reach(self, residual_sums: np.ndarray, num: int) -> np.ndarray:
        """Return the squared reach that clusters give a mean, as in `statistics.mean_test`: (S, clusters) -> (S,)."""
        clusters = residual_sums.shape[1]
        if clusters < 2:
            return np.full(len(residual_sums), math.inf)
        variance = (residual_sums**2).sum(axis=1) / num**2 * clusters / (clusters - 1)
        return np.asarray(stdtrit(clusters - 1, self.level / 2) ** 2 * variance)


def compare_all(values: Sequence[tuple[np.ndarray, str, str]], groups: np.ndarray) -> list[Difference]:
    """Measure differences that are asked together, with adjusted p-values; those without a common clip are left out.

    Args:
        values: of each, its values (T, N), and what it speaks for where they are positive and where negative.
        groups: index of the group of each clip, int64, (N,).
    """
    found = [difference(array, groups, first, second) for array, first, second in values]
    return list(adjusted(dict(enumerate(one for one in found if one))).values())
