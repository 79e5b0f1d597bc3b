"""What a change of a model does to its answers, with an interval and a test; and the words for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from auricle.report.wording import decimal, listing, points
from auricle.scoring.statistics import bootstrap_interval, holm, sign_test

SIGNIFICANT = 0.05
BOOTSTRAP_SEED = 0
K = TypeVar("K")


@dataclass(frozen=True)
class Effect:
    """The mean difference over clips of two shares of right answers, such as what a change costs.

    Attributes:
        mean: -1..1.
        low: lower end of its 95 % interval.
        high: upper end.
        clips: how many.
        p: exact two-sided sign test of the clips above and below zero; adjusted where several are asked together.
    """

    mean: float
    low: float
    high: float
    clips: int
    p: float

    @property
    def shown(self) -> bool:
        """Return whether the data show it: both the test and the interval have to."""
        return self.p < SIGNIFICANT and (self.low > 0 or self.high < 0)

    @property
    def words(self) -> str:
        """Return its size and its interval.

        >>> Effect(0.038, -0.01, 0.08, 80, 0.4).words
        '3.8 points (−1.0 to 8.0)'
        """
        return f"{points(self.mean)} ({decimal(100 * self.low, 1)} to {decimal(100 * self.high, 1)})"


def effect(differences: Mapping[str, float], groups: Mapping[str, str]) -> Effect:
    """Sum up differences by clip.

    Args:
        differences: clip to difference, one at least.
        groups: clip to group; whole groups are drawn for the interval.
    """
    clips = sorted(differences)
    values = np.array([differences[clip] for clip in clips])
    of_clip = [groups.get(clip, clip) for clip in clips]
    low, high = bootstrap_interval(values, of_clip, np.random.default_rng(BOOTSTRAP_SEED))
    more, less = int((values > 1e-9).sum()), int((values < -1e-9).sum())
    return Effect(float(values.mean()), low, high, len(clips), sign_test(more, less))


def adjusted(effects: Mapping[K, Effect]) -> dict[K, Effect]:
    """Adjust the p-values of effects for their number (Holm)."""
    p_values = holm([one.p for one in effects.values()])
    return {key: replace(one, p=p) for (key, one), p in zip(effects.items(), p_values, strict=True)}


def cost(effects: Mapping[str, Effect]) -> str:
    """Say what a change costs each model, and for which these data show it.

    >>> cost({"cnn": Effect(0.038, -0.01, 0.08, 80, 0.4)})
    'No loss that these data can show: cnn 3.8 points (−1.0 to 8.0).'
    """
    lost = {model: one for model, one in effects.items() if one.shown and one.mean > 0}
    gained = {model: one for model, one in effects.items() if one.shown and one.mean < 0}
    kinds = {
        "It costs": lost,
        "It gains": {model: Effect(-one.mean, -one.high, -one.low, one.clips, one.p) for model, one in gained.items()},
        "No loss that these data can show": {
            model: one for model, one in effects.items() if model not in lost and model not in gained
        },
    }
    return " ".join(f"{words}: {_listed(of_kind)}." for words, of_kind in kinds.items() if of_kind)


def _listed(effects: Mapping[str, Effect]) -> str:
    return listing([f"{model} {one.words}" for model, one in effects.items()])


def interval_over(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean of values from Student's t; None for fewer than two.

    >>> low, high = interval_over([0.10, 0.12, 0.14])
    >>> round(low, 3), round(high, 3)
    (0.07, 0.17)
    """
    from scipy.stats import t

    if len(values) < 2:
        return None
    reach = float(t.ppf(0.975, len(values) - 1)) * float(np.std(values, ddof=1)) / len(values) ** 0.5
    mean = float(np.mean(values))
    return mean - reach, mean + reach
