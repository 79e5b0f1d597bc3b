"""The table of clips: everything that a dataset is."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auricle.errors import RefusedError, count

MAX_IMBALANCE = 3.0  # clips of the largest class to one of the smallest, beyond which accuracy says little
TEST_FOLD, VALIDATION_FOLD = 1, 2  # of sets that are given by name: test-split tests on the first fold and validates on
TRAINING = -1  # the second; clips of a training set are dealt into the folds after them (`folds.py`)
_SETS = {
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), TEST_FOLD),
    **dict.fromkeys(("val", "valid", "validation", "dev"), VALIDATION_FOLD),
    **dict.fromkeys(("train", "training"), TRAINING),
}


@dataclass(frozen=True)
class Clip:
    """One labelled recording.

    `name` is unique in its manifest and what people see; `group` is what must never be split between train and
    test: the source recording, the site, the speaker.
    """

    path: Path
    name: str
    category: str
    fold: int
    group: str


@dataclass(frozen=True)
class Manifest:
    """The clips of a dataset, and the length in seconds to which each is cut or padded.

    `notes` are sentences for the report: what auricle assumed. `skipped` are names and reasons of clips left out.
    `grouping` says where the groups come from; None: each clip is its own. `untrusted`: a person's own files, which
    nobody has looked at. `has_test_set`: whoever made the dataset set clips apart to test on, its first fold.
    """

    source: str
    clips: tuple[Clip, ...]
    clip_s: float
    notes: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    grouping: str | None = None
    untrusted: bool = False
    has_test_set: bool = False

    @property
    def categories(self) -> tuple[str, ...]:
        """The class names, alphabetical; a label is a place in them."""
        return tuple(sorted({clip.category for clip in self.clips}))

    @property
    def labels(self) -> np.ndarray:
        """The class of each clip, int64 (N,)."""
        places = {category: place for place, category in enumerate(self.categories)}
        return np.array([places[clip.category] for clip in self.clips], np.int64)

    @property
    def folds(self) -> np.ndarray:
        """The fold of each clip, int64 (N,)."""
        return np.array([clip.fold for clip in self.clips], np.int64)

    @property
    def groups(self) -> tuple[str, ...]:
        """The group of each clip, N names."""
        return tuple(clip.group for clip in self.clips)


def fold_of_set(name: str) -> int | None:
    """Return the fold that a set such as `train` or `test` stands for; None for a name that is no set.

    >>> fold_of_set("Test"), fold_of_set("train") == TRAINING, fold_of_set("dog")
    (1, True, None)
    """
    return _SETS.get(name.casefold())


def is_unequal(counts: Iterable[float]) -> bool:
    """Return whether the largest class has more than three times the clips of the smallest."""
    known = list(counts)
    return max(known, default=0) > MAX_IMBALANCE * min(known, default=0)


def imbalance(counts: Mapping[str, int]) -> str:
    """Say which classes are how unequal in size; nothing where the largest is at most three times the smallest.

    >>> imbalance({"hungry": 382, "burping": 8})
    "'hungry' has 382 clips, 'burping' 8"
    """
    if not is_unequal(counts.values()):
        return ""
    (largest, most), *_, (smallest, fewest) = Counter(counts).most_common()
    return f"{largest!r} has {count(most, 'clip')}, {smallest!r} {fewest}"


def require_enough(manifest: Manifest, num_folds: int | None = None) -> None:
    """Check that there is something to learn and to divide into `num_folds`; None: into the folds it has.

    A `RefusedError` for no clip, one class, one fold, two clips of one name, or a class with fewer clips than folds.
    """
    where, clips = manifest.source, manifest.clips
    if not clips:
        raise RefusedError(f"{where} holds no clips; add recordings of two classes or more")
    if len(manifest.categories) < 2:
        raise RefusedError(f"{where} holds one class only, {clips[0].category!r}; a classifier needs two or more")
    name, num_rows = Counter(clip.name for clip in clips).most_common(1)[0]
    if num_rows > 1:
        raise RefusedError(f"{where} names {name!r} {num_rows} times; name each clip once")
    num_folds = num_folds or len({clip.fold for clip in clips})
    if num_folds < 2:
        raise RefusedError(f"{where} has one fold only; give two or more, or none and auricle makes them")
    counts = Counter(clip.category for clip in clips)
    category, fewest = min(counts.items(), key=lambda item: (item[1], item[0]))
    if fewest < num_folds:
        raise RefusedError(
            f"{where}: class {category!r} has {count(fewest, 'clip')}, fewer than the {num_folds} folds; "
            "add clips or leave the class out"
        )


def split_groups(manifest: Manifest) -> dict[str, tuple[int, ...]]:
    """Return the groups that stand in more than one fold, with those folds; training on one leaks into the other."""
    folds: defaultdict[str, set[int]] = defaultdict(set)
    for clip in manifest.clips:
        folds[clip.group].add(clip.fold)
    return {group: tuple(sorted(where)) for group, where in sorted(folds.items()) if len(where) > 1}
