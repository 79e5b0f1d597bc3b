"""A mean difference, and whether the data show that it is one: the only place that may say "shown"."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from scipy.special import ndtri, stdtrit

from auricle.scoring.predictions import numbered
from auricle.scoring.statistics import clustered_variance, group_interval, holm, mean_test, sign_test, training_reach

SIGNIFICANT = 0.05
POWER = 0.8  # a difference that is called detectable is found four times in five
NOTHING = 1e-9  # a difference nearer to zero is none
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Difference:
    """A mean difference over clips and trainings: of two models, of a model and itself changed, of people and a model.

    k-fold tests the same clips with every training, so its cells are no new clips: clips count by the mean over
    trainings, and whether another training would give the same is a second question with a test of its own.

    The interval is a bootstrap over groups, widened where there are several trainings by what they differ
    (`statistics.training_reach`; both reaches squared and added). `p_groups` is an exact two-sided sign test over
    groups: McNemar's exact test where each clip is its own group and scored once. It is of these trainings; 1 where
    groups and clips disagree. Of values other than -1, 0 and 1, whose signs say little of their mean where they are
    skewed, it is the larger of this and Student's t-test over groups; of values that are not mirrored (see
    `difference`), the latter.
    """

    first: str  # what the difference speaks for where it is positive
    second: str  # what for where it is negative
    mean: float  # over clips, -1..1 for accuracies
    low: float  # to high: 95 % interval of the mean
    high: float
    num_clips: int  # that were scored
    wins: int  # clips with a difference above zero
    losses: int  # clips with one below
    trainings: int  # how many
    trainings_won: int  # those with a mean above zero
    p_groups: float
    p_trainings: float | None  # by `statistics.mean_test`: none for other clips and trainings; None of one training
    p_adjusted: float = 1.0  # the larger of the two, adjusted for the number of comparisons; 1 until that is done
    detectable: float | None = None  # smallest true difference found four times in five; None where it was not asked

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

    Values are of each training and clip, (T, N), NaN where there is none; groups are indices of each clip, int64, (N,).
    `mirrored`: values above and below zero are as likely where there is no difference, as those of two equal models
    are. A confidence less whether it was right is not: it is seldom above zero, and far. Then the mean is tested over
    groups by Student's t instead of its signs.
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
    p_groups = _sign_p(flat, groups[of_clip], mean) if mirrored else 0.0
    if not mirrored or not np.isin(flat, (-1, 0, 1)).all():
        p_groups = max(p_groups, mean_test(flat, groups[of_clip], np.zeros(len(flat), np.int64)))
    return Difference(
        first=first,
        second=second,
        mean=mean,
        low=mean - math.hypot(mean - low, reach),
        high=mean + math.hypot(high - mean, reach),
        num_clips=int(clips.sum()),
        wins=int((means > NOTHING).sum()),
        losses=int((means < -NOTHING).sum()),
        trainings=num_trainings,
        trainings_won=int((np.nansum(values, axis=1) > NOTHING).sum()),
        p_groups=p_groups,
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
    """Return about which true difference of two models such a study shows four times in five; None where none.

    The mean has to lie outside the interval that `statistics.mean_test` draws at the level of Holm's first comparison,
    and falls short of its true value by 0.84 standard errors once in five times. Groups and trainings vary as they do
    here; a difference itself makes groups vary a little more. Not less than the sign test needs of groups that are won.
    Values and groups are those of `difference`; values lie in -1..1.
    """
    known = ~np.isnan(values)
    of_training, of_clip = np.nonzero(known)
    residuals = values[known] - values[known].mean()
    (groups_variance, groups_df), (trainings_variance, trainings_df) = (
        clustered_variance(residuals, clusters) for clusters in (groups[of_clip], of_training)
    )
    level = SIGNIFICANT / num_comparisons
    needed = math.ceil(1 - math.log2(level))  # groups won of as many, for the sign test
    if groups_df == 0 or needed > groups_df + 1:
        return None
    sums = np.abs(np.bincount(groups[of_clip], weights=values[known]))
    fewest = needed * float(sums[sums > NOTHING].mean() if sums.any() else known.sum() / (groups_df + 1)) / known.sum()
    groups_t, trainings_t = (stdtrit(max(1, df), 1 - level / 2) for df in (groups_df, trainings_df))
    found = fewest
    for _ in range(20):  # a contraction: it has settled long before
        variance = groups_variance + found * (1 - found) / (2 * (groups_df + 1))
        reach = math.sqrt(groups_t**2 * variance + (trainings_t**2 * trainings_variance if trainings_df else 0.0))
        least = reach + float(ndtri(POWER)) * math.sqrt(variance + trainings_variance)
        found = max(fewest, min(least, 1.0))
    return found if least < 1 else None


def compare_all(values: Sequence[tuple[np.ndarray, str, str]], groups: np.ndarray) -> list[Difference]:
    """Measure differences that are asked together, with adjusted p-values; those without a common clip are left out.

    Of each, the values (T, N), and what it speaks for where they are positive and where negative.
    """
    found = [difference(array, groups, first, second) for array, first, second in values]
    return list(adjusted(dict(enumerate(one for one in found if one))).values())


def by_verdict(found: Iterable[Difference]) -> tuple[list[Difference], ...]:
    """Divide differences by what is shown of them: above zero, below zero, neither."""
    every = list(found)
    shown = [one for one in every if one.shown]
    return (
        [one for one in shown if one.mean > 0],
        [one for one in shown if one.mean < 0],
        [one for one in every if not one.shown],
    )
