"""The manifest of a dataset: the table of its clips."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auricle.errors import RefusedError, count, listing

BACKGROUND = ("background", "none")  # names of the class of sounds of no other class, in any case
MAX_IMBALANCE = 3.0  # ratio of largest to smallest class above which plain accuracy says little
TEST_FOLD, VALIDATION_FOLD = 1, 2  # of sets given by name, as test-split uses the first two folds
TRAINING = -1  # clips of a training set, which are assigned to the folds after these two (`folds.py`)
_SETS = {
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), TEST_FOLD),
    **dict.fromkeys(("val", "valid", "validation", "dev"), VALIDATION_FOLD),
    **dict.fromkeys(("train", "training"), TRAINING),
}


@dataclass(frozen=True)
class Clip:
    """One labelled recording, with a unique `name` for display; a `group` (source, site, speaker) is never split."""

    path: Path
    name: str
    category: str
    fold: int
    group: str


@dataclass(frozen=True)
class Manifest:
    """The clips of a dataset, and the length in seconds to which each is cut or padded.

    `notes` are sentences for the report: the assumptions of auricle. `skipped` are names and reasons of clips left out.
    `grouping` says where the groups come from; None: each clip is its own. `untrusted`: the user's own files, which
    may be damaged. `has_test_set`: the dataset comes with a test set, which is its first fold.
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
        """The class names, in alphabetical order; a label is an index into them."""
        return tuple(sorted({clip.category for clip in self.clips}))

    @property
    def labels(self) -> np.ndarray:
        """The class of each clip, int64 (N,)."""
        label_of = {category: label for label, category in enumerate(self.categories)}
        return np.array([label_of[clip.category] for clip in self.clips], np.int64)

    @property
    def folds(self) -> np.ndarray:
        """The fold of each clip, int64 (N,)."""
        return np.array([clip.fold for clip in self.clips], np.int64)

    @property
    def groups(self) -> tuple[str, ...]:
        """The group of each clip, N names."""
        return tuple(clip.group for clip in self.clips)


def fold_of_set(name: str) -> int | None:
    """Return the fold of a set such as `train` or `test`; None for any other name.

    >>> fold_of_set("Test"), fold_of_set("train") == TRAINING, fold_of_set("dog")
    (1, True, None)
    """
    return _SETS.get(name.casefold())


def background_of(categories: Collection[str]) -> str | None:
    """Return the background class, of sounds of no other class; None if there is none, or more than one.

    >>> background_of(["Background", "cough"]), background_of(["cough", "sneeze"])
    ('Background', None)
    """
    named = backgrounds_of(categories)
    return named[0] if len(named) == 1 else None


def backgrounds_of(categories: Collection[str]) -> tuple[str, ...]:
    """Return the classes named as background; more than one is refused (`require_enough`)."""
    return tuple(category for category in categories if category.casefold() in BACKGROUND)


def classes_of(categories: Collection[str]) -> tuple[str, ...]:
    """Return the classes without the background."""
    background = background_of(categories)
    return tuple(category for category in categories if category != background)


def scored_of(categories: Collection[str]) -> tuple[str, ...]:
    """Return the classes of which accuracy is computed: all except the background.

    With one other class the background counts too; otherwise always predicting that class would be correct.

    >>> scored_of(["background", "cough", "sneeze"]), scored_of(["background", "cough"])
    (('cough', 'sneeze'), ('background', 'cough'))
    """
    classes = classes_of(categories)
    return classes if len(classes) > 1 else tuple(categories)


def background_note(categories: Collection[str]) -> str:
    """Describe which class is used as background, and what that means; empty if none is.

    >>> background_note(["cough", "none"])
    "The class 'none' is used as background (sounds of no class): false alarms are counted per hour of it."
    """
    if (background := background_of(categories)) is None:
        return ""
    accuracy = "" if background in scored_of(categories) else "accuracy is of the other classes, and "
    return (
        f"The class {background!r} is used as background (sounds of no class): "
        f"{accuracy}false alarms are counted per hour of it."
    )


def is_unequal(counts: Iterable[float]) -> bool:
    """Return whether the largest class has more than three times the clips of the smallest."""
    known = list(counts)
    return max(known, default=0) > MAX_IMBALANCE * min(known, default=0)


def imbalance(counts: Mapping[str, int]) -> str:
    """Describe the imbalance of classes; empty if the largest is at most three times the smallest.

    The background, which is naturally large, is ignored (`scored_of`).

    >>> imbalance({"hungry": 382, "burping": 8})
    "'hungry' has 382 clips, 'burping' 8"
    """
    scored = Counter({category: counts[category] for category in scored_of(counts)})
    if not is_unequal(scored.values()):
        return ""
    (largest, most), *_, (smallest, fewest) = scored.most_common()
    return f"{largest!r} has {count(most, 'clip')}, {smallest!r} {fewest}"


def require_enough(manifest: Manifest, num_folds: int | None = None) -> None:
    """Check that there are enough clips and classes for `num_folds`; None: for the folds of the manifest.

    A `RefusedError` for no clips, one class, two background classes, one fold, two clips with the same name, or a
    class with fewer clips than folds.
    """
    where, clips = manifest.source, manifest.clips
    if not clips:
        raise RefusedError(f"{where} contains no clips; add recordings of at least two classes")
    if len(manifest.categories) < 2:
        raise RefusedError(f"{where} contains only one class, {clips[0].category!r}; a classifier needs at least two")
    if len(named := backgrounds_of(manifest.categories)) > 1:
        names = listing(map(repr, named))
        raise RefusedError(f"{where} has several background classes, {names}; give them the same name")
    name, num_rows = Counter(clip.name for clip in clips).most_common(1)[0]
    if num_rows > 1:
        raise RefusedError(f"{where} lists {name!r} {num_rows} times; list each clip once")
    num_folds = num_folds or len({clip.fold for clip in clips})
    if num_folds < 2:
        raise RefusedError(f"{where} has only one fold; give at least two, or none to have auricle make them")
    counts = Counter(clip.category for clip in clips)
    category, fewest = min(counts.items(), key=lambda item: (item[1], item[0]))
    if fewest < num_folds:
        raise RefusedError(
            f"{where}: class {category!r} has {count(fewest, 'clip')}, fewer than the {num_folds} folds; "
            "add clips or leave the class out"
        )


def split_groups(manifest: Manifest) -> dict[str, tuple[int, ...]]:
    """Return the groups in more than one fold, with those folds; they leak from training into test."""
    folds: defaultdict[str, set[int]] = defaultdict(set)
    for clip in manifest.clips:
        folds[clip.group].add(clip.fold)
    return {group: tuple(sorted(where)) for group, where in sorted(folds.items()) if len(where) > 1}
