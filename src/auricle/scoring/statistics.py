"""How sure a number is: intervals, and tests of a mean that is measured on clips by trainings.

Clips of one group (one source recording, one speaker) are alike, so whole groups are drawn and counted, never clips.
"""

import warnings
from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import stdtrit
from scipy.stats import binomtest, bootstrap

CONFIDENCE = 0.95
BOOTSTRAP_RESAMPLES = 10_000
RESAMPLES_AT_ONCE = 500
BOOTSTRAP_SEED = 0
SMALLEST_P = 1e-12


def wilson_interval(share: float, num: int) -> tuple[float, float]:
    """Return the 95 % interval of the true share, given the share found in `num` independent trials.

    E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209.

    >>> low, high = wilson_interval(0.5, 80)
    >>> round(low, 3), round(high, 3)
    (0.393, 0.607)
    """
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(share * num, num, alpha=1 - CONFIDENCE, method="wilson")
    return float(np.clip(low, 0.0, share)), float(np.clip(high, share, 1.0))


def group_interval(values: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a mean of values, one a clip, drawing whole groups: (N,), (N,) of indices.

    Bias-corrected and accelerated (B. Efron, J. Am. Stat. Assoc. 82 (1987) 171): the percentile interval of few skewed
    groups is too narrow. Where no draw changes the mean, the interval is that mean.
    """
    sums = np.bincount(groups, weights=values)
    counts = np.bincount(groups).astype(float)
    sums, counts = sums[counts > 0], counts[counts > 0]
    mean = float(sums.sum() / counts.sum())
    if np.ptp(sums / counts) < 1e-12:
        return mean, mean
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a distribution with few values, whose interval is checked below
        found = bootstrap(
            (sums, counts),
            lambda drawn_sums, drawn_counts, axis: drawn_sums.sum(axis=axis) / drawn_counts.sum(axis=axis),
            paired=True,
            vectorized=True,
            n_resamples=BOOTSTRAP_RESAMPLES,
            batch=RESAMPLES_AT_ONCE,
            confidence_level=CONFIDENCE,
            method="BCa",
            rng=np.random.default_rng(BOOTSTRAP_SEED),
        )
    low, high = found.confidence_interval
    if not (np.isfinite(low) and np.isfinite(high)):  # nearly every draw on one side: as wide as the draws are
        low, high = found.bootstrap_distribution.min(), found.bootstrap_distribution.max()
    return min(float(low), mean), max(float(high), mean)


def share_interval(shares: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of an accuracy: of groups where clips share them, else Wilson's for single clips.

    Where every clip is right, or none, no draw of groups differs; then it is Wilson's, for as many trials as groups.
    Shares are those of the trainings that get each clip right, (N,), 0..1.
    """
    mean, num_groups = float(shares.mean()), len(np.unique(groups))
    if num_groups == len(shares) or mean in (0.0, 1.0):
        return wilson_interval(mean, num_groups)
    return group_interval(shares, groups)


def interval_over(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean of values from Student's t; None for fewer than two.

    >>> low, high = interval_over([0.10, 0.12, 0.14])
    >>> round(low, 3), round(high, 3)
    (0.07, 0.17)
    """
    num = len(values)
    if num < 2:
        return None
    mean = float(np.mean(values))
    reach = float(stdtrit(num - 1, 0.5 + CONFIDENCE / 2) * np.std(values, ddof=1)) / num**0.5
    return mean - reach, mean + reach


def sign_test(wins: int, losses: int) -> float:
    """Return the two-sided exact p-value that `wins` and `losses` come from a fair coin.

    Where each clip is scored once by each model, this is McNemar's exact test: wins are the clips that only
    the first model gets right, losses those that only the second does; the other clips say nothing.

    >>> sign_test(8, 1)
    0.0390625
    """
    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def mean_test(values: np.ndarray, groups: np.ndarray, trainings: np.ndarray) -> float:
    """Return the two-sided p-value that the mean of values is zero, for other groups and for other trainings.

    A score of a clip by a training is one draw of two things: of a recording, and of the luck of a training. k-fold
    scores the same clips with each training, so neither clips nor trainings are independent rows. The mean's variance
    is estimated once over groups, V_g, and once over trainings, V_t (clustered in two ways: Cameron, Gelbach and
    Miller, J. Bus. Econ. Stat. 29 (2011) 238, but what both hold is counted twice, for safety). Each keeps its own
    Student's t, as four trainings say little about a fifth (Cochran's approximation): p is the level at which

        mean^2 = t(p; groups - 1)^2 V_g + t(p; trainings - 1)^2 V_t

    With one training this is Student's t-test over groups, and speaks of that training alone. Values are one for each
    clip and training, (M,); for two models, the difference of their scores. Groups and trainings are indices, (M,).
    """
    mean = float(values.mean())
    (groups_variance, groups_df), (trainings_variance, trainings_df) = (
        clustered_variance(values - mean, clusters) for clusters in (groups, trainings)
    )
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


def training_reach(values: np.ndarray, trainings: np.ndarray) -> float:
    """Return how far the luck of trainings reaches to each side of the mean of values: 95 %, by Student's t.

    That is what `mean_test` adds for trainings; 0 where there is one, as nothing is known of another then. Values are
    one for each clip and training, (M,).
    """
    variance, df = clustered_variance(values - values.mean(), trainings)
    return float(stdtrit(df, 0.5 + CONFIDENCE / 2) * np.sqrt(variance)) if df else 0.0


def clustered_variance(residuals: np.ndarray, clusters: np.ndarray) -> tuple[float, int]:
    """Return the variance of a mean whose values are alike within clusters, and its degrees of freedom."""
    counts = np.bincount(clusters)
    sums = np.bincount(clusters, weights=residuals)[counts > 0]
    df = len(sums) - 1
    return (float((sums**2).sum() / len(residuals) ** 2 * len(sums) / df) if df else 0.0), df


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for the number of comparisons: a false alarm among all stays as rare as in one.

    S. Holm, Scand. J. Stat. 6 (1979) 65. Ours, as that of statsmodels collects garbage at every call (0.1 s and more).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable").tolist()):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
