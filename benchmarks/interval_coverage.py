"""How often 95 % intervals contain the true accuracy: `python benchmarks/interval_coverage.py [--results RESULTS.md]`.

Studies are simulated: each group (a speaker, a site) is easier or harder than others, its clips differ too, and a
classifier has a true accuracy over all groups. Every interval sees the same clips.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from auricle.scoring import statistics
from auricle.scoring.statistics import CONFIDENCE, clustered_variance, share_interval
from measure import publish, table

Interval = Callable[[np.ndarray, np.ndarray], tuple[float, float]]
NUM_GROUPS = (3, 5, 10, 20, 40, 300)
ACCURACIES = (0.75, 0.95)
CLIPS_PER_GROUP, MOST_CLIPS = 8, 80
GROUP_SD, CLIP_SD, ANSWER_SD = 1.0, 0.5, 1.0  # of how hard a group and a clip are, and of the answers
NUM_RESAMPLES = 2_000


def students(shares: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Return Student's interval with the variance over groups."""
    variance, df = clustered_variance(shares - shares.mean(), groups)
    reach = float(stdtrit(df, 0.5 + CONFIDENCE / 2) * variance**0.5)
    return float(shares.mean()) - reach, float(shares.mean()) + reach


def percentiles(shares: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Return the plain bootstrap interval over groups."""
    sums, counts = np.bincount(groups, weights=shares), np.bincount(groups)
    drawn = statistics._draws(len(counts), statistics.BOOTSTRAP_RESAMPLES)
    low, high = np.quantile(drawn @ sums / (drawn @ counts), [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
    return float(low), float(high)


def bca(shares: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Return ours at the nominal level."""
    expanded, statistics._expanded_level = statistics._expanded_level, lambda num_groups: CONFIDENCE
    try:
        return share_interval(shares, groups)
    finally:
        statistics._expanded_level = expanded


INTERVALS: dict[str, Interval] = {"ours": share_interval, "BCa": bca, "percentile": percentiles, "Student": students}
HEADER = ("accuracy, %", "groups", "clips in each", *INTERVALS, "width of ours", "of Student")


def simulate(accuracy: float, num_groups: int, unequal: bool, num_studies: int) -> tuple[str, ...]:
    """Return a row of the table."""
    generator = np.random.default_rng(0)
    skill = ndtri(accuracy) * (GROUP_SD**2 + CLIP_SD**2 + ANSWER_SD**2) ** 0.5
    hits, widths = dict.fromkeys(INTERVALS, 0), dict.fromkeys(INTERVALS, 0.0)
    for _ in range(num_studies):
        sizes = np.full(num_groups, CLIPS_PER_GROUP)
        if unequal:
            sizes = np.clip(np.round(4 * generator.pareto(1.5, num_groups) + 1), 1, MOST_CLIPS).astype(int)
        groups = np.repeat(np.arange(num_groups), sizes)
        ease = skill + GROUP_SD * generator.standard_normal(num_groups)[groups]
        ease += CLIP_SD * generator.standard_normal(len(groups))
        shares = (generator.random(len(groups)) < ndtr(ease / ANSWER_SD)).astype(float)
        for name, interval in INTERVALS.items():
            low, high = interval(shares, groups)
            hits[name] += low <= accuracy <= high
            widths[name] += 100 * (min(high, 1.0) - max(low, 0.0)) / num_studies
    covered = (f"{100 * hits[name] / num_studies:.0f}" for name in INTERVALS)
    each = f"1 to {MOST_CLIPS}" if unequal else str(CLIPS_PER_GROUP)
    return (
        f"{100 * accuracy:.0f}",
        str(num_groups),
        each,
        *covered,
        f"{widths['ours']:.0f}",
        f"{widths['Student']:.0f}",
    )


def main() -> None:
    """Simulate studies of all sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    statistics.BOOTSTRAP_RESAMPLES = NUM_RESAMPLES
    rows = [
        simulate(accuracy, num_groups, unequal, asked.studies)
        for accuracy in ACCURACIES
        for unequal in (False, True)
        for num_groups in NUM_GROUPS
    ]
    about = (
        f"How many of {asked.studies:,} simulated studies, in percent, have a 95 % interval that contains the true "
        f"accuracy: ours (BCa, expanded for few groups), BCa at its nominal level, percentiles of the bootstrap, and "
        f"Student's t over groups; {NUM_RESAMPLES:,} resamples. The last columns are mean widths in points, within 0 "
        f"and 100 %."
    )
    publish("Coverage", about, table(HEADER, rows), asked.results)


if __name__ == "__main__":
    main()
