"""How well file properties alone (bandwidth, level, length, rate, format) predict the class.

Where one class is always louder, shorter or band-limited to 8 kHz, a network may learn that instead of the sound, and
fails on recordings made another way. ESC-50, for example, was collected from uploads of every kind.
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
MIN_GAIN = 0.1  # above chance; a smaller gain is too weak to warn about
Z_95 = 1.96


@dataclass(frozen=True)
class Shortcuts:
    """Accuracy of a small decision tree that is given five properties of each file, and not its sound."""

    accuracy: float  # balanced accuracy (mean recall over classes), cross-validated
    low: float  # to high: its 95 % interval, clips taken as independent
    high: float
    chance: float  # one over the number of classes
    by_feature: dict[str, float]  # balanced accuracy of a tree that is given one property only
    by_class: dict[str, float]  # recall of each class

    @property
    def striking(self) -> bool:
        """Whether the accuracy is significantly above chance, and by enough to matter."""
        return self.low > self.chance and self.accuracy > self.chance + MIN_GAIN


def find_shortcuts(facts: np.ndarray, categories: Sequence[str], groups: Sequence[str]) -> Shortcuts | None:
    """Cross-validate a small tree on the five properties; None where there are too few clips, classes or groups.

    `facts` are bandwidth in Hz, level in dB, length in s, rate in Hz and format (as a number), (N, 5). A group is never
    split between training and test.
    """
    names, labels = np.unique(np.array(categories), return_inverse=True)
    counts = np.bincount(labels)
    folds = min(NUM_FOLDS, len(set(groups)))
    if len(facts) < MIN_CLIPS or len(names) < 2 or folds < 2 or np.median(counts) < folds:
        return None
    by_class = _recalls(facts, labels, groups, folds)
    sd = float(np.sqrt((by_class * (1 - by_class) / counts).sum()) / len(names))
    accuracy = float(by_class.mean())
    varying = [index for index in range(len(FEATURES)) if len(np.unique(facts[:, index])) > 1]
    return Shortcuts(
        accuracy=accuracy,
        low=accuracy - Z_95 * sd,
        high=min(1.0, accuracy + Z_95 * sd),
        chance=1 / len(names),
        by_feature={
            FEATURES[index]: float(_recalls(facts[:, [index]], labels, groups, folds).mean()) for index in varying
        },
        by_class={str(name): float(share) for name, share in zip(names, by_class, strict=True)},
    )


def _recalls(facts: np.ndarray, labels: np.ndarray, groups: Sequence[str], folds: int) -> np.ndarray:
    """Return the cross-validated recall of each class, (K,)."""
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
