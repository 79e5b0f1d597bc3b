"""How sure a number is: intervals, and paired tests of two models on the same clips."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import stdtrit
from scipy.stats import binomtest, norm

BOOTSTRAP_RESAMPLES = 10_000
RESAMPLES_AT_ONCE = 500
SMALLEST_P = 1e-12


def wilson_interval(share: float, num: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval that holds the true share, given the share found in `num` independent trials.

    E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209.

    Args:
        share: found, 0..1.
        num: trials, at least 1.
        confidence: of the interval, 0..1.

    >>> low, high = wilson_interval(0.5, 80)
    >>> round(low, 3), round(high, 3)
    (0.393, 0.607)
    """
    z = float(norm.ppf(0.5 + confidence / 2))
    centre = (share + z * z / (2 * num)) / (1 + z * z / num)
    reach = z / (1 + z * z / num) * np.sqrt(share * (1 - share) / num + z * z / (4 * num * num))
    return float(np.clip(centre - reach, 0.0, share)), float(np.clip(centre + reach, share, 1.0))


def sign_test(wins: int, losses: int) -> float:
    """Return the two-sided exact p-value that `wins` and `losses` come from a fair coin.

    Where each clip is scored once by each model, this is McNemar's exact test: wins are the clips that only
    the first model gets right, losses those that only the second does; the other clips say nothing.

    >>> sign_test(8, 1)
    0.0390625
    """
    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def bootstrap_interval(
    values: np.ndarray,
    groups: Sequence[Hashable],
    generator: np.random.Generator,
    *,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean of values, drawing whole groups.

    Values of one group (clips of one source recording) are alike, so they are drawn together: else the
    interval would be too narrow.

    Args:
        values: shape (N,), N >= 1; for two models, the difference of their scores on each clip.
        groups: the group of each value, N of them.
        generator: randomness.
        confidence: of the interval, 0..1.
    """
    group_of_value = numbered(groups)
    sums = np.bincount(group_of_value, weights=values)
    counts = np.bincount(group_of_value)
    means = []
    for _ in range(BOOTSTRAP_RESAMPLES // RESAMPLES_AT_ONCE):  # a few at once, so that many groups fit in memory
        drawn = generator.integers(len(sums), size=(RESAMPLES_AT_ONCE, len(sums)))
        means.append(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
    low, high = np.quantile(np.concatenate(means), [0.5 - confidence / 2, 0.5 + confidence / 2])
    return float(low), float(high)


def numbered(names: Sequence[Hashable]) -> np.ndarray:
    """Number names from 0 in the order in which they first stand, int64, shape (N,).

    >>> numbered(["b", "a", "b"])
    array([0, 1, 0])
    """
    place: dict[Hashable, int] = {}
    return np.array([place.setdefault(name, len(place)) for name in names], dtype=np.int64)


def mean_test(values: np.ndarray, groups: Sequence[Hashable], trainings: Sequence[Hashable]) -> float:
    """Return the two-sided p-value that the mean of values is zero, for other groups and for other trainings.

    A score of a clip by a training is one draw of two things: of a recording, and of the luck of a training. k-fold
    scores the same clips with each training, so neither clips nor trainings are independent rows. The mean's variance
    is estimated once over groups, V_g, and once over trainings, V_t (clustered in two ways: Cameron, Gelbach and
    Miller, J. Bus. Econ. Stat. 29 (2011) 238, but what both hold is counted twice, for safety). Each keeps its own
    Student's t, as four trainings say little about a fifth (Cochran's approximation): p is the level at which

        mean^2 = t(p; groups - 1)^2 V_g + t(p; trainings - 1)^2 V_t

    With one training this is Student's t-test over groups, and speaks of that training alone.

    Args:
        values: one for each clip and training, shape (M,); for two models, the difference of their scores.
        groups: of the clip of each value, M of them.
        trainings: M names of trainings.
    """
    mean = float(values.mean())
    parts = [_clustered(values - mean, numbered(names)) for names in (groups, trainings)]
    (groups_variance, groups_df), (trainings_variance, trainings_df) = parts
    if groups_df == 0 or mean == 0:
        return 1.0

    def surplus(logarithm: float) -> float:
        """How far the mean lies outside the interval of a level; it falls as the level does."""
        half = np.exp(logarithm) / 2
        reach = stdtrit(groups_df, half) ** 2 * groups_variance
        if trainings_df:
            reach += stdtrit(trainings_df, half) ** 2 * trainings_variance
        return float(mean**2 - reach)

    lowest = float(np.log(SMALLEST_P))
    return SMALLEST_P if surplus(lowest) >= 0 else float(np.exp(brentq(surplus, lowest, 0.0, xtol=1e-6)))


def training_reach(values: np.ndarray, trainings: Sequence[Hashable], *, confidence: float = 0.95) -> float:
    """Return how far the luck of trainings reaches to each side of the mean of values, by Student's t.

    That is what `mean_test` adds for trainings; 0 where there is one, as nothing is known of another then.

    Args:
        values: one for each clip and training, shape (M,).
        trainings: M names of trainings.
        confidence: of the interval, 0..1.
    """
    variance, df = _clustered(values - values.mean(), numbered(trainings))
    return float(stdtrit(df, 0.5 + confidence / 2) * np.sqrt(variance)) if df else 0.0


def _clustered(residuals: np.ndarray, cluster_of: np.ndarray) -> tuple[float, int]:
    """Return the variance of a mean whose values are alike within clusters, and its degrees of freedom."""
    sums = np.bincount(cluster_of, weights=residuals)
    df = len(sums) - 1
    return (float((sums**2).sum() / len(residuals) ** 2 * len(sums) / df) if df else 0.0), df


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for the number of comparisons: a false alarm among all stays as rare as in one.

    S. Holm, Scand. J. Stat. 6 (1979) 65.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
