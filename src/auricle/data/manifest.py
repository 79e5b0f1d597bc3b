"""The table of clips: everything that a dataset is."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auricle.errors import RefusedError, count

BACKGROUND = ("background", "none")  # names of the class of what is none of the classes, in any case
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
    """One labelled recording; people see its unique `name`; a `group` (source, site, speaker) is never split."""

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


def background_of(categories: Collection[str]) -> str | None:
    """Return the class whose sounds are none of the classes; None without one, and where several are named so.

    >>> background_of(["Background", "cough"]), background_of(["cough", "sneeze"])
    ('Background', None)
    """
    named = backgrounds_of(categories)
    return named[0] if len(named) == 1 else None


def backgrounds_of(categories: Collection[str]) -> tuple[str, ...]:
    """Return the classes that are named as background; more than one is refused (`require_enough`)."""
    return tuple(category for category in categories if category.casefold() in BACKGROUND)


def classes_of(categories: Collection[str]) -> tuple[str, ...]:
    """Return the classes but the background."""
    background = background_of(categories)
    return tuple(category for category in categories if category != background)


def scored_of(categories: Collection[str]) -> tuple[str, ...]:
    """Return the classes that accuracy is about: all but the background.

    Beside one other class the background is scored too, as always naming that one would be right.

    >>> scored_of(["background", "cough", "sneeze"]), scored_of(["background", "cough"])
    (('cough', 'sneeze'), ('background', 'cough'))
    """
    classes = classes_of(categories)
    return classes if len(classes) > 1 else tuple(categories)


def background_note(categories: Collection[str]) -> str:
    """Say which class is taken as background, and what that means; nothing where none is.

    >>> background_note(["cough", "none"])
    "The class 'none' is taken as background, sounds of no class: false alarms are counted in an hour of it."
    """
    if (background := background_of(categories)) is None:
        return ""
    accuracy = "" if background in scored_of(categories) else "accuracy is of the other classes, and "
    return (
        f"The class {background!r} is taken as background, sounds of no class: "
        f"{accuracy}false alarms are counted in an hour of it."
    )


def is_unequal(counts: Iterable[float]) -> bool:
    """Return whether the largest class has more than three times the clips of the smallest."""
    known = list(counts)
    return max(known, default=0) > MAX_IMBALANCE * min(known, default=0)


def imbalance(counts: Mapping[str, int]) -> str:
    """Say which classes are how unequal in size; nothing where the largest is at most three times the smallest.

    The background, which is by nature large, is not counted (`scored_of`).

    >>> imbalance({"hungry": 382, "burping": 8})
    "'hungry' has 382 clips, 'burping' 8"
    """
    scored = Counter({category: counts[category] for category in scored_of(counts)})
    if not is_unequal(scored.values()):
        return ""
    (largest, most), *_, (smallest, fewest) = scored.most_common()
    return f"{largest!r} has {count(most, 'clip')}, {smallest!r} {fewest}"


def require_enough(manifest: Manifest, num_folds: int | None = None) -> None:
    """Check that there is something to learn and to divide into `num_folds`; None: into the folds it has.

    A `RefusedError` for no clip, one class, two of background, one fold, two clips of one name, or a class with
    fewer clips than folds.
    """
    where, clips = manifest.source, manifest.clips
    if not clips:
        raise RefusedError(f"{where} holds no clips; add recordings of two classes or more")
    if len(manifest.categories) < 2:
        raise RefusedError(f"{where} holds one class only, {clips[0].category!r}; a classifier needs two or more")
    if len(named := backgrounds_of(manifest.categories)) > 1:
        names = " and ".join(map(repr, named))
        raise RefusedError(f"{where} has several classes of background, {names}; give them one name")
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
