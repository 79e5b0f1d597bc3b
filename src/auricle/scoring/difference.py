"""A mean difference and its significance; every verdict "significant" in the project is computed here."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from scipy.special import ndtri, stdtrit

from auricle.scoring.predictions import numbered
from auricle.scoring.statistics import (
    clustered_variance,
    difference_interval,
    holm,
    mean_test,
    sign_test,
    training_margin,
)

SIGNIFICANT = 0.05
POWER = 0.8  # a detectable difference is found with this probability
ZERO_TOLERANCE = 1e-9  # a difference closer to zero counts as none
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Difference:
    """A mean difference over clips and trainings: of two models, of a model and its variant, or of people and a model.

    k-fold tests the same clips with every training, so more trainings do not mean more clips. Each clip counts by the
    mean over trainings; whether another training would give the same result is tested separately (`p_trainings`).

    The interval is a bootstrap over groups (`statistics.difference_interval`). With several trainings it is widened by
    their spread (`statistics.training_margin`; the two margins are added as squares), at most to the largest possible
    differences. `p_groups` is an exact two-sided sign test
    over groups (McNemar's exact test where each clip is its own group and scored once); it concerns these trainings
    only, and is 1 where the majority of groups contradicts the mean. Signs say little about the mean of skewed values,
    so where values other than -1, 0 and 1 occur, it is the larger p-value of this and Student's t-test over groups;
    where values are not mirrored (see `difference`), only the t-test is used.
    """

    first: str  # the side that a positive mean favours
    second: str  # the side that a negative mean favours
    mean: float  # over clips, -1..1 for accuracies
    low: float  # to high: 95 % interval of the mean
    high: float
    num_clips: int  # number of clips scored
    num_groups: int  # number of their groups
    wins: int  # clips with a difference above zero
    losses: int  # clips with a difference below zero
    trainings: int  # number of trainings
    trainings_won: int  # trainings with a mean above zero
    p_groups: float
    p_trainings: float | None  # by `statistics.mean_test`, for new clips and new trainings; None with one training
    p_adjusted: float = 1.0  # the larger of the two, adjusted for the number of comparisons; 1 before adjustment
    detectable: float | None = None  # smallest true difference found four times in five; None where not computed

    @property
    def p(self) -> float:
        """Return the larger p-value: a difference has to pass both tests."""
        return max(self.p_groups, self.p_trainings or 0.0)

    @property
    def significant(self) -> bool:
        """Return whether the difference is significant: by the tests, and by an interval that excludes zero."""
        return self.p_adjusted < SIGNIFICANT and (self.low > 0 or self.high < 0)

    @property
    def better(self) -> str | None:
        """Return the side that is significantly better; None where neither is."""
        if not self.significant:
            return None
        return self.first if self.mean > 0 else self.second

    @property
    def worse(self) -> str | None:
        """Return the side that is significantly worse; None where neither is."""
        return {self.first: self.second, self.second: self.first}.get(self.better or "")


def difference(
    values: np.ndarray,
    groups: np.ndarray,
    first: str = "",
    second: str = "",
    *,
    mirrored: bool = True,
    bound: float = 1.0,
) -> Difference | None:
    """Measure a difference; None where no training scored a clip.

    `values` has one value for each training and clip, (T, N), NaN where there is none; `groups` is the group index of
    each clip, int64, (N,). `mirrored`: without a true difference, values above and below zero are equally likely, as
    between two equal models. Confidence minus correctness (0 or 1), for instance, is not mirrored: many small positive
    values face a few large negative ones. Then Student's t-test over groups replaces the sign test. `bound` is the
    largest possible difference: 1 for shares, infinite for losses.
    """
    known = ~np.isnan(values)
    if not known.any():
        return None
    of_training, of_clip = np.nonzero(known)
    flat, clips = values[known], known.any(axis=0)
    means = np.nansum(values, axis=0)[clips] / known.sum(axis=0)[clips]
    mean, reach = float(means.mean()), training_margin(flat, of_training)
    low, high = difference_interval(means, numbered(groups[clips].tolist()), bound)
    num_trainings = int(known.any(axis=1).sum())
    p_groups = _sign_p(flat, groups[of_clip], mean) if mirrored else 0.0
    if not mirrored or not np.isin(flat, (-1, 0, 1)).all():
        p_groups = max(p_groups, mean_test(flat, groups[of_clip], np.zeros(len(flat), np.int64)))
    return Difference(
        first=first,
        second=second,
        mean=mean,
        low=max(-bound, mean - math.hypot(mean - low, reach)),
        high=min(bound, mean + math.hypot(high - mean, reach)),
        num_clips=int(clips.sum()),
        num_groups=len(np.unique(groups[clips])),
        wins=int((means > ZERO_TOLERANCE).sum()),
        losses=int((means < -ZERO_TOLERANCE).sum()),
        trainings=num_trainings,
        trainings_won=int((np.nansum(values, axis=1) > ZERO_TOLERANCE).sum()),
        p_groups=p_groups,
        p_trainings=mean_test(flat, groups[of_clip], of_training) if num_trainings > 1 else None,
    )


def _sign_p(values: np.ndarray, groups: np.ndarray, mean: float) -> float:
    """Return the p-value of the sign test over groups; 1 where the majority of groups contradicts the mean."""
    sums = np.bincount(groups, weights=values)
    won, lost = int((sums > ZERO_TOLERANCE).sum()), int((sums < -ZERO_TOLERANCE).sum())
    return sign_test(won, lost) if (won - lost) * mean > 0 else 1.0


def adjusted(differences: Mapping[Key, Difference]) -> dict[Key, Difference]:
    """Return differences with p-values adjusted for the number of comparisons (Holm)."""
    p_values = holm([one.p for one in differences.values()])
    return {key: replace(one, p_adjusted=p) for (key, one), p in zip(differences.items(), p_values, strict=True)}


def can_be_significant(num_groups: int, num_comparisons: int) -> bool:
    """Return whether any of several differences can be significant: one that is the same way in every group.

    >>> can_be_significant(6, 1), can_be_significant(6, 2)
    (True, False)
    """
    return num_comparisons * sign_test(num_groups, 0) < SIGNIFICANT


def too_few_groups(found: Sequence[Difference]) -> int | None:
    """Return the number of groups, the largest of several differences, if it is too small for any to be significant."""
    num_groups = max((one.num_groups for one in found), default=0)
    return None if can_be_significant(num_groups, len(found)) else num_groups


def detectable(values: np.ndarray, groups: np.ndarray, num_comparisons: int) -> float | None:
    """Return the approximate true difference that such a study detects with 80 % power; None where no difference is.

    To be detected, the mean has to be outside the interval of `statistics.mean_test` at the level of Holm's first
    comparison; in 20 % of studies it falls short of the true value by 0.84 standard errors or more. Groups and
    trainings are assumed to vary as they do here, plus the variance that the difference itself adds between groups.
    The result is at least what the number of won groups must be for the sign test. `values` and `groups` are as in
    `difference`; values are in -1..1.
    """
    known = ~np.isnan(values)
    of_training, of_clip = np.nonzero(known)
    residuals = values[known] - values[known].mean()
    (groups_variance, groups_df), (trainings_variance, trainings_df) = (
        clustered_variance(residuals, clusters) for clusters in (groups[of_clip], of_training)
    )
    level = SIGNIFICANT / num_comparisons
    if not can_be_significant(groups_df + 1, num_comparisons):
        return None
    needed = math.ceil(1 - math.log2(level))  # groups won of this many, for the sign test
    sums = np.abs(np.bincount(groups[of_clip], weights=values[known]))
    fewest = (
        needed
        * float(sums[sums > ZERO_TOLERANCE].mean() if sums.any() else known.sum() / (groups_df + 1))
        / known.sum()
    )
    groups_t, trainings_t = (stdtrit(max(1, df), 1 - level / 2) for df in (groups_df, trainings_df))
    found = fewest
    for _ in range(20):  # a contraction: it converges in far fewer steps
        variance = groups_variance + found * (1 - found) / (2 * (groups_df + 1))
        reach = math.sqrt(groups_t**2 * variance + (trainings_t**2 * trainings_variance if trainings_df else 0.0))
        least = reach + float(ndtri(POWER)) * math.sqrt(variance + trainings_variance)
        found = max(fewest, min(least, 1.0))
    return found if least < 1 else None


def compare_all(values: Sequence[tuple[np.ndarray, str, str]], groups: np.ndarray) -> list[Difference]:
    """Measure several differences with p-values adjusted for their number; those without a common clip are left out.

    Each is given as values, (T, N), the side that positive values favour, and the side that negative values favour.
    """
    found = [difference(array, groups, first, second) for array, first, second in values]
    return list(adjusted(dict(enumerate(one for one in found if one))).values())


def by_verdict(found: Iterable[Difference]) -> tuple[list[Difference], ...]:
    """Divide differences into those significantly above zero, significantly below zero, and not significant."""
    every = list(found)
    significant = [one for one in every if one.significant]
    return (
        [one for one in significant if one.mean > 0],
        [one for one in significant if one.mean < 0],
        [one for one in every if not one.significant],
    )
