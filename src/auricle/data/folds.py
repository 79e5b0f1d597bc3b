"""Protocols: how folds become train, validation and test, and how folds are made where a dataset has none.

Every protocol but `random` and `random-split` keeps groups whole: what a model is tested on shares no source recording
with what it was trained on. These two ignore groups, as some published results did, and say so.
"""

import contextlib
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from auricle.config.variants import Variants
from auricle.data.manifest import (
    TEST_FOLD,
    TRAINING,
    VALIDATION_FOLD,
    Manifest,
    background_of,
    require_enough,
    scored_of,
    split_groups,
)
from auricle.errors import RefusedError, UsageError, choices

DIVISIONS = Variants("protocols")
PROTOCOLS = ("test-split", "k-fold", "official", "random", "random-split")
ALL = "all"  # no protocol: every clip trains, as for a model that is given away
NUM_FOLDS = 5  # that are made where a dataset has none
NUM_RANDOM_FOLDS = {"random": 4, "random-split": 5}  # of which all test, or one
RANDOM_SEED = 42  # that most published splits are drawn from


@dataclass(frozen=True)
class Split:
    """Who trains, who validates, who tests: places in the manifest, sorted, int64.

    `fold` names the split within its protocol. `leaky`: a group stands in two of the sets.
    """

    protocol: str
    fold: int
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    leaky: bool

    @property
    def scored(self) -> np.ndarray:
        """Who is scored at the end: those that validate, then those that test."""
        return np.concatenate([self.validation, self.test])


def make_splits(
    manifest: Manifest, protocol: str, *, seed: int = RANDOM_SEED, allow_split_groups: bool = False
) -> list[Split]:
    """Divide a dataset as a protocol says. F is the sorted list of its folds.

    - `test-split`: one split; F[0] tests, F[1] validates and names the split, the rest trains.
    - `k-fold`: F[0] tests always; every other fold validates once and names the split, the rest trains.
    - `official`: every fold tests once and names the split; there is no validation set.
    - `random`: four stratified folds of all clips, drawn from `seed`, groups ignored; each tests once.
    - `random-split`: a stratified fifth of all clips, drawn alike, tests; the rest trains.

    `allow_split_groups` divides a dataset whose folds split a group all the same; its splits are leaky.

    Raises:
        UsageError: no such protocol.
        RefusedError: too few folds, a group that stands in two folds, a class that would not be trained on, or a
            fold of background alone.
    """
    if protocol not in PROTOCOLS:
        raise choices("protocol", protocol, list(PROTOCOLS))
    if protocol in NUM_RANDOM_FOLDS:
        require_enough(manifest, NUM_RANDOM_FOLDS[protocol])
    else:
        _require_folds(manifest, protocol, allow_split_groups)
    splits = divide(manifest, protocol, seed=seed)
    for split in splits:
        trained = set(manifest.labels[split.train].tolist())
        if lost := [name for label, name in enumerate(manifest.categories) if label not in trained]:
            raise RefusedError(
                f"{manifest.source}: in {protocol}, fold {split.fold}, no clip of class {lost[0]!r} is left to "
                "train on; add recordings from more sources or leave the class out"
            )
        scored = np.isin(manifest.categories, scored_of(manifest.categories))[manifest.labels]
        if any(len(part) and not scored[part].any() for part in (split.validation, split.test)):
            raise RefusedError(
                f"{manifest.source}: in {protocol}, fold {split.fold}, only clips of "
                f"{background_of(manifest.categories)!r} are left to score; give each fold clips of the other classes"
            )
    return splits


def divide(manifest: Manifest, protocol: str, *, seed: int = RANDOM_SEED) -> list[Split]:
    """Divide a dataset as `make_splits` does, which has checked that it can be."""
    return DIVISIONS[protocol](manifest, protocol, seed)


@DIVISIONS.of("test-split", "k-fold")
def _divide_by_validation(manifest: Manifest, protocol: str, seed: int) -> list[Split]:
    folds = manifest.folds
    present = sorted(set(folds.tolist()))
    named = folds_of(protocol, present)
    return [_split(manifest, protocol, fold, folds == present[0], folds == fold) for fold in named]


@DIVISIONS.of("official")
def _divide_by_test(manifest: Manifest, protocol: str, seed: int) -> list[Split]:
    folds, nobody = manifest.folds, np.zeros(len(manifest.clips), bool)
    named = folds_of(protocol, sorted(set(folds.tolist())))
    return [_split(manifest, protocol, fold, folds == fold, nobody) for fold in named]


def answering(num_cells: Mapping[str, int], leaky: Collection[str]) -> str:
    """Return the protocol that answers a study's question: not leaky, then the one with most cells, then the first.

    >>> answering({"test-split": 4, "random": 16, "k-fold": 16}, leaky={"random"})
    'k-fold'
    """
    return max(num_cells, key=lambda protocol: (protocol not in leaky, num_cells[protocol]))


def folds_of(protocol: str, folds: Sequence[int]) -> tuple[int, ...]:
    """Return those of a dataset's folds (sorted) that name the splits of a protocol: each tests, or validates, once.

    >>> folds_of("k-fold", (1, 2, 3, 4, 5)), folds_of("test-split", (1, 2, 3, 4, 5))
    ((2, 3, 4, 5), (2,))
    """
    if protocol in NUM_RANDOM_FOLDS:
        return tuple(range(1, NUM_RANDOM_FOLDS[protocol] + 1)) if protocol == "random" else (1,)
    if protocol == "official":
        return tuple(folds)
    return tuple(folds[1:] if protocol == "k-fold" else folds[1:2])


def _require_folds(manifest: Manifest, protocol: str, allow_split_groups: bool) -> None:
    present = set(manifest.folds.tolist())
    needed = 2 if protocol == "official" else 3
    if len(present) < needed:
        raise RefusedError(f"{manifest.source}: {protocol} needs {needed} folds or more, it has {len(present)}")
    if not allow_split_groups and (torn := split_groups(manifest)):
        group, where = next(iter(torn.items()))
        more = f", and {len(torn) - 1} more groups in several" if len(torn) > 1 else ""
        raise RefusedError(
            f"{manifest.source}: group {group!r} stands in folds {', '.join(map(str, where))}{more}; give its clips "
            "one fold, leave the folds out and auricle makes them, or --allow-split-groups scores what leaks"
        )


@DIVISIONS.of("random", "random-split")
def _divide_at_random(manifest: Manifest, protocol: str, seed: int) -> list[Split]:
    from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit

    labels, num = manifest.labels, NUM_RANDOM_FOLDS[protocol]
    kind = StratifiedKFold(num, shuffle=True, random_state=seed)
    if protocol == "random-split":
        kind = StratifiedShuffleSplit(1, test_size=1 / num, random_state=seed)
    splits = []
    for fold, (_, test) in enumerate(kind.split(labels, labels), start=1):
        tests = np.isin(np.arange(len(labels)), test)
        splits.append(_split(manifest, protocol, fold, tests, np.zeros_like(tests)))
    return splits


def _split(manifest: Manifest, protocol: str, fold: int, tests: np.ndarray, validates: np.ndarray) -> Split:
    train, validation, test = (np.flatnonzero(who) for who in (~(tests | validates), validates, tests))
    groups = [{manifest.clips[index].group for index in part} for part in (train, validation, test)]
    leaky = sum(map(len, groups)) > len(set.union(*groups))
    return Split(protocol, fold, train, validation, test, leaky)


def assign_folds(labels: np.ndarray, groups: Sequence[str], num_folds: int, seed: int) -> np.ndarray:
    """Deal clips into stratified folds that keep groups whole: of each clip 1..num_folds, int64 (N,), no fold empty.

    A `RefusedError` where clips and groups cannot fill that many folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    num_groups = len(set(groups))
    folds = np.zeros(len(labels), np.int64)
    largest_class = np.unique(labels, return_counts=True)[1].max()
    if min(num_groups, largest_class) >= num_folds:
        divide = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a class rarer than the folds: the caller's matter
            for fold, (_, members) in enumerate(divide.split(labels, labels, np.array(groups)), start=1):
                folds[members] = fold
    if len(set(folds.tolist())) < num_folds:
        raise RefusedError(
            f"{len(labels)} clips in {num_groups} groups cannot fill {num_folds} folds; record from more sources"
        )
    return folds


def with_training_folds(manifest: Manifest) -> Manifest:
    """Return the manifest with the clips of a training set dealt into the folds after those of the other sets.

    With a note; into one fold where they fill no more. Nothing is dealt where no set is named so.
    """
    train = np.flatnonzero(manifest.folds == TRAINING)
    if not len(train):
        return manifest
    folds = manifest.folds
    first = max(TEST_FOLD, int(folds.max())) + 1
    folds[train] = first
    with contextlib.suppress(RefusedError):  # who trains on it says what is missing
        groups = [manifest.clips[index].group for index in train]
        folds[train] = first - 1 + assign_folds(manifest.labels[train], groups, max(2, NUM_FOLDS - first + 1), seed=0)
    clips = tuple(replace(clip, fold=int(fold)) for clip, fold in zip(manifest.clips, folds, strict=True))
    names = [f"the test set is fold {TEST_FOLD}" if TEST_FOLD in folds else ""]
    names += [f"the validation set fold {VALIDATION_FOLD}" if first > VALIDATION_FOLD else ""]
    names += [f"the training set folds {first} to {folds.max()}, which auricle made"]
    note = f"Sets: {', '.join(filter(None, names))}; test-split and k-fold test on fold {folds.min()} alone."
    return replace(manifest, clips=clips, notes=(*manifest.notes, note), has_test_set=TEST_FOLD in folds)


def with_made_folds(manifest: Manifest, num_folds: int, seed: int) -> Manifest:
    """Return the manifest with folds made from a seed, and a note that says so.

    A `UsageError` for fewer than two folds, a `RefusedError` for too few clips, classes or groups.
    """
    if num_folds < 2:
        raise UsageError(f"{num_folds} folds cannot be made; ask for two or more")
    require_enough(manifest, num_folds)
    try:
        folds = assign_folds(manifest.labels, manifest.groups, num_folds, seed)
    except RefusedError as error:
        raise RefusedError(f"{manifest.source}: {error}") from None
    clips = tuple(replace(clip, fold=int(fold)) for clip, fold in zip(manifest.clips, folds, strict=True))
    note = f"Folds were made by auricle from seed {seed}: {num_folds} stratified folds that keep groups whole."
    return replace(manifest, clips=clips, notes=(*manifest.notes, note))
