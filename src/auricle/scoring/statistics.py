"""Confidence intervals and significance tests for means over clips and trainings.

Clips of one group (one source recording, one speaker) are similar, so the unit that is resampled and counted is the
group, never the clip.
"""

import functools
import warnings
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaincinv, ndtr, stdtrit
from scipy.stats import binomtest, bootstrap

CONFIDENCE = 0.95
BOOTSTRAP_RESAMPLES = 10_000
RESAMPLES_AT_ONCE = 500
BOOTSTRAP_SEED = 0
MOST_REUSED = 1000  # groups, whose resamples take 80 MB
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


def group_interval(values: np.ndarray, groups: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean of values, one per clip, (N,); whole groups are resampled.

    `groups` is the group index of each clip, (N,); `weights` are those of the clips in the mean, (N,), default: equal.

    Bias-corrected and accelerated (B. Efron, J. Am. Stat. Assoc. 82 (1987) 171), as the percentile interval is too
    narrow for few, skewed groups; and expanded (T. C. Hesterberg, Am. Stat. 69 (2015) 371), as resamples of few groups
    vary too little. Where all groups have the same mean, both limits are that mean.
    """
    weights = np.ones(len(values)) if weights is None else weights
    sums, counts = np.bincount(groups, weights=values * weights), np.bincount(groups, weights=weights)
    sums, counts = sums[counts > 0], counts[counts > 0]
    mean = float(sums.sum() / counts.sum())
    if np.ptp(sums / counts) < 1e-12:
        return mean, mean
    known = None
    if len(sums) <= MOST_REUSED:  # the draws are the same each time, and take most of the time
        drawn_sums, drawn_counts = (_draws(len(sums), BOOTSTRAP_RESAMPLES) @ np.stack([sums, counts], axis=1)).T
        known = SimpleNamespace(bootstrap_distribution=drawn_sums / drawn_counts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a distribution with few values; the interval is checked below
        found = bootstrap(
            (sums, counts),
            lambda drawn_sums, drawn_counts, axis: drawn_sums.sum(axis=axis) / drawn_counts.sum(axis=axis),
            paired=True,
            vectorized=True,
            n_resamples=0 if known else BOOTSTRAP_RESAMPLES,
            bootstrap_result=known,
            batch=RESAMPLES_AT_ONCE,
            confidence_level=_expanded_level(len(sums)),
            method="BCa",
            rng=np.random.default_rng(BOOTSTRAP_SEED),
        )
    low, high = found.confidence_interval
    if not (np.isfinite(low) and np.isfinite(high)):  # nearly all resamples on one side: use their whole range
        low, high = found.bootstrap_distribution.min(), found.bootstrap_distribution.max()
    return min(float(low), mean), max(float(high), mean)


def _expanded_level(num_groups: int) -> float:
    """Return the level at which a bootstrap interval of normal values is as wide as Student's over so many groups.

    >>> round(_expanded_level(5), 4), round(_expanded_level(300), 4)
    (0.9981, 0.9513)
    """
    student = float(stdtrit(num_groups - 1, 0.5 + CONFIDENCE / 2))
    return float(2 * ndtr(student * (num_groups / (num_groups - 1)) ** 0.5) - 1)


@functools.lru_cache(maxsize=2)
def _draws(num_groups: int, num_resamples: int) -> np.ndarray:
    """Return how often each resample contains each group, (resamples, groups): those that scipy draws."""
    generator, counts = np.random.default_rng(BOOTSTRAP_SEED), np.empty((num_resamples, num_groups))
    for start in range(0, num_resamples, RESAMPLES_AT_ONCE):
        part = counts[start : start + RESAMPLES_AT_ONCE]
        drawn = num_groups * np.arange(len(part))[:, None] + generator.integers(0, num_groups, part.shape)
        part[:] = np.bincount(drawn.ravel(), minlength=part.size).reshape(part.shape)
    return counts


def share_interval(shares: np.ndarray, groups: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, float]:
    """Return the 95 % interval of an accuracy: a bootstrap over groups, or Wilson's where each clip is its own group.

    `shares` is the share of trainings that classify each clip correctly, (N,), 0..1. Where all clips are correct, or
    none, resampling changes nothing, so Wilson's interval is used, with one trial per group. With weights, the
    bootstrap is used even where each clip is its own group.
    """
    mean, num_groups = float(shares.mean()), len(np.unique(groups))
    if mean in (0.0, 1.0) or (weights is None and num_groups == len(shares)):
        return wilson_interval(mean, num_groups)
    low, high = group_interval(shares, groups, weights)
    return (low, high) if low < high else wilson_interval(low, num_groups)  # groups that agree resample to one value


def count_interval(counts: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of the mean count of events per clip, given the count of each clip, (N,), at least 0.

    A bootstrap over groups (`group_interval`); where groups agree, as where no event was counted, resampling changes
    nothing, so the exact Poisson interval is used, with one clip per group (F. Garwood, Biometrika 28 (1936) 437).
    """
    low, high = group_interval(counts, groups)
    if low < high:
        return low, high
    num_groups, tail = len(np.unique(groups)), (1 - CONFIDENCE) / 2
    num = low * num_groups
    low, high = gammaincinv(num, tail) if num else 0.0, gammaincinv(num + 1, 1 - tail)
    return float(low) / num_groups, float(high) / num_groups


def difference_interval(values: np.ndarray, groups: np.ndarray, bound: float) -> tuple[float, float]:
    """Return the 95 % interval of the mean of differences in -bound..bound, one per clip, (N,).

    A bootstrap over groups (`group_interval`); where groups agree, as where two models give the same answers,
    resampling changes nothing, so as many new groups may deviate, to either bound, as Wilson's interval for none of
    these allows. Without a bound (infinite), that is unknown, and both limits are the mean.
    """
    low, high = group_interval(values, groups)
    if low < high or np.isinf(bound):
        return low, high
    _, deviating = wilson_interval(0.0, len(np.unique(groups)))
    return low - deviating * (bound + low), high + deviating * (bound - high)


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

    Where each clip is scored once by each model, this is McNemar's exact test: wins are the clips that only the first
    model classifies correctly, losses those that only the second does; the other clips do not count.

    >>> sign_test(8, 1)
    0.0390625
    """
    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def mean_test(values: np.ndarray, groups: np.ndarray, trainings: np.ndarray) -> float:
    """Return the two-sided p-value for a mean of zero, valid for new groups and new trainings.

    The score of a clip by a training depends on two random choices: of the recording, and of the training (its seed and
    split). k-fold scores the same clips with each training, so neither clips nor trainings are independent rows. The
    variance of the mean is estimated over groups, V_g, and over trainings, V_t (two-way clustering: Cameron, Gelbach
    and Miller, J. Bus. Econ. Stat. 29 (2011) 238, without subtracting the part that both share, to be conservative).
    Each keeps its own degrees of freedom (Cochran's approximation), as four trainings say little about a fifth: p is
    the level at which

        mean^2 = t(p; groups - 1)^2 V_g + t(p; trainings - 1)^2 V_t

    With one training this is Student's t-test over groups, valid for that training only. p is at least 2 / 2^G, that of
    a sign test in which all G groups agree, as the variance of few groups may be near zero by chance. `values` has one
    value for each clip and training, (M,): for two models, the difference of their scores. `groups` and `trainings` are
    indices, (M,).
    """
    mean = float(values.mean())
    (groups_variance, groups_df), (trainings_variance, trainings_df) = (
        clustered_variance(values - mean, clusters) for clusters in (groups, trainings)
    )
    if groups_df == 0 or mean == 0:
        return 1.0

    def surplus(logarithm: float) -> float:
        """How far the mean lies outside the interval of a level; it increases with the level."""
        half = np.exp(logarithm) / 2
        reach = stdtrit(groups_df, half) ** 2 * groups_variance
        if trainings_df:
            reach += stdtrit(trainings_df, half) ** 2 * trainings_variance
        return float(mean**2 - reach)

    lowest = float(np.log(max(SMALLEST_P, 0.5**groups_df)))
    return float(np.exp(lowest if surplus(lowest) >= 0 else brentq(surplus, lowest, 0.0, xtol=1e-6)))


def training_margin(values: np.ndarray, trainings: np.ndarray) -> float:
    """Return the 95 % margin of error of the mean that is due to the spread of trainings, by Student's t.

    It is what `mean_test` adds for trainings; 0 with one training, whose spread is unknown. `values` has one value for
    each clip and training, (M,).
    """
    variance, df = clustered_variance(values - values.mean(), trainings)
    return float(stdtrit(df, 0.5 + CONFIDENCE / 2) * np.sqrt(variance)) if df else 0.0


def clustered_variance(residuals: np.ndarray, clusters: np.ndarray) -> tuple[float, int]:
    """Return the variance of a mean of values that are correlated within clusters, and its degrees of freedom."""
    counts = np.bincount(clusters)
    sums = np.bincount(clusters, weights=residuals)[counts > 0]
    df = len(sums) - 1
    return (float((sums**2).sum() / len(residuals) ** 2 * len(sums) / df) if df else 0.0), df


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for the number of comparisons, so that any false positive among them is as rare as in one test.

    S. Holm, Scand. J. Stat. 6 (1979) 65. Not that of statsmodels, which runs the garbage collector at every call (0.1 s
    and more).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable").tolist()):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
