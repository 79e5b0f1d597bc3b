"""How well classes can be told apart without listening: from how they were recorded.

A class that is always louder, shorter or cut off at 8 kHz is learnt by that, and the network fails wherever
recordings are made otherwise. ESC-50, for one, is gathered from uploads of every kind.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auricle.data.folds import NUM_FOLDS

FEATURES = ("bandwidth", "level", "length", "rate", "format")
MAX_LEAVES = 32
MIN_LEAF_SHARE = 0.01  # of all clips
MIN_CLIPS = 50
MIN_GAIN = 0.1  # over chance, with its interval: a warning below this would be noise
Z_95 = 1.96


@dataclass(frozen=True)
class Shortcuts:
    """What a small tree gets right, which is shown the five facts of a clip's file and nothing of its sound."""

    accuracy: float  # mean over classes of the share that it gets right, cross-validated
    low: float  # to high: 95 % interval of it, clips taken as independent
    high: float
    chance: float  # one over the number of classes
    by_feature: dict[str, float]  # accuracy of a tree that sees one fact only
    by_class: dict[str, float]  # share that it gets right of each

    @property
    def striking(self) -> bool:
        """Whether classes are told apart better than by luck, and by enough to matter."""
        return self.low > self.chance and self.accuracy > self.chance + MIN_GAIN


def find_shortcuts(facts: np.ndarray, categories: Sequence[str], groups: Sequence[str]) -> Shortcuts | None:
    """Cross-validate a small tree on the five facts, folds by group; None of too few clips, classes or groups.

    The facts are bandwidth in Hz, level in dB, length in s, rate in Hz and number of the format, (N, 5). Clips of one
    group are never on both sides.
    """
    names, labels = np.unique(np.array(categories), return_inverse=True)
    counts = np.bincount(labels)
    folds = min(NUM_FOLDS, len(set(groups)))
    if len(facts) < MIN_CLIPS or len(names) < 2 or folds < 2 or np.median(counts) < folds:
        return None
    by_class = _recalls(facts, labels, groups, folds)
    sd = float(np.sqrt((by_class * (1 - by_class) / counts).sum()) / len(names))
    accuracy = float(by_class.mean())
    telling = [place for place in range(len(FEATURES)) if len(np.unique(facts[:, place])) > 1]
    return Shortcuts(
        accuracy=accuracy,
        low=accuracy - Z_95 * sd,
        high=min(1.0, accuracy + Z_95 * sd),
        chance=1 / len(names),
        by_feature={FEATURES[at]: float(_recalls(facts[:, [at]], labels, groups, folds).mean()) for at in telling},
        by_class={str(name): float(share) for name, share in zip(names, by_class, strict=True)},
    )


def _recalls(facts: np.ndarray, labels: np.ndarray, groups: Sequence[str], folds: int) -> np.ndarray:
    """Return the share of each class that a tree gets right which was grown without its groups, (K,)."""
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(
        max_leaf_nodes=MAX_LEAVES, min_samples_leaf=MIN_LEAF_SHARE, class_weight="balanced", random_state=0
    )
    right = np.zeros(len(labels), bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class rarer than the folds is a finding of its own
        for train, test in StratifiedGroupKFold(folds, shuffle=True, random_state=0).split(facts, labels, list(groups)):
            right[test] = tree.fit(facts[train], labels[train]).predict(facts[test]) == labels[test]
    return np.bincount(labels, weights=right) / np.bincount(labels)
