"""Protocols: how folds become training, validation and test sets, and how folds are made if a dataset has none.

Every protocol except `random` and `random-split` keeps groups together: test and training clips share no source
recording. These two ignore groups, as some published results did, and say so.
"""

import contextlib
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np

from auricle.config import ProtocolName
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
from auricle.errors import RefusedError, UsageError, choices, count, listing

DIVISIONS = Variants("protocols")
PROTOCOLS: tuple[ProtocolName, ...] = get_args(ProtocolName)
ALL = "all"  # not a protocol: `for_training_only`
NUM_FOLDS = 5  # made if a dataset has none
NUM_RANDOM_FOLDS = {"random": 4, "random-split": 5}  # of which all are tested, or one
RANDOM_SEED = 42  # of most published splits


@dataclass(frozen=True)
class Split:
    """The training, validation and test clips: sorted indices in the manifest, int64.

    `fold` identifies the split within its protocol. `leaky`: a group is in more than one of the sets.
    """

    protocol: str
    fold: int
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    leaky: bool

    @property
    def scored(self) -> np.ndarray:
        """The clips scored at the end: validation clips, then test clips."""
        return np.concatenate([self.validation, self.test])


def make_splits(manifest: Manifest, protocol: str, *, allow_split_groups: bool = False) -> list[Split]:
    """Split a dataset by a protocol. F is the sorted list of its folds.

    - `test-split`: one split; F[0] is for test, F[1] for validation, the rest for training; `fold` is F[1].
    - `k-fold`: F[0] is always for test; every other fold is once for validation; `fold` is the validation fold.
    - `official`: every fold is once for test; `fold` is the test fold; there is no validation set.
    - `random`: four stratified folds of all clips, drawn from a fixed seed, ignoring groups; each is once for test.
    - `random-split`: a stratified fifth of all clips, drawn in the same way, is for test; the rest for training.

    `allow_split_groups` allows a dataset whose folds split a group; its splits are leaky.

    Raises:
        UsageError: no such protocol.
        RefusedError: too few folds, a group in two folds, a class without training clips, or a fold with only
            background.
    """
    if protocol not in PROTOCOLS:
        raise choices("protocol", protocol, list(PROTOCOLS))
    if protocol in NUM_RANDOM_FOLDS:
        require_enough(manifest, NUM_RANDOM_FOLDS[protocol])
    else:
        _require_folds(manifest, protocol, allow_split_groups)
    splits = divide(manifest, protocol)
    for split in splits:
        trained = set(manifest.labels[split.train].tolist())
        if lost := [name for label, name in enumerate(manifest.categories) if label not in trained]:
            raise RefusedError(
                f"{manifest.source}: in {protocol}, fold {split.fold}, no clip of class {lost[0]!r} is left for "
                "training; add recordings from more sources or leave the class out"
            )
        scored = np.isin(manifest.categories, scored_of(manifest.categories))[manifest.labels]
        if any(len(part) and not scored[part].any() for part in (split.validation, split.test)):
            raise RefusedError(
                f"{manifest.source}: in {protocol}, fold {split.fold}, only clips of "
                f"{background_of(manifest.categories)!r} are left to score; put clips of other classes in each fold"
            )
    return splits


def divide(manifest: Manifest, protocol: str) -> list[Split]:
    """Split a dataset that `make_splits` has checked."""
    return DIVISIONS[protocol](manifest, protocol)


def for_training_only(num_clips: int) -> Split:
    """Return the split in which every clip is for training, as for an exported model."""
    nobody = np.array([], np.int64)
    return Split(ALL, 0, np.arange(num_clips), nobody, nobody, leaky=False)


@DIVISIONS.of("test-split", "k-fold")
def _divide_by_validation(manifest: Manifest, protocol: str) -> list[Split]:
    folds = manifest.folds
    present = sorted(set(folds.tolist()))
    named = folds_of(protocol, present)
    return [_split(manifest, protocol, fold, folds == present[0], folds == fold) for fold in named]


@DIVISIONS.of("official")
def _divide_by_test(manifest: Manifest, protocol: str) -> list[Split]:
    folds, nobody = manifest.folds, np.zeros(len(manifest.clips), bool)
    named = folds_of(protocol, sorted(set(folds.tolist())))
    return [_split(manifest, protocol, fold, folds == fold, nobody) for fold in named]


def answering(num_cells: Mapping[str, int], leaky: Collection[str]) -> str:
    """Return the main protocol of a study: not leaky if possible, then with the most cells, then the first.

    >>> answering({"test-split": 4, "random": 16, "k-fold": 16}, leaky={"random"})
    'k-fold'
    """
    return max(num_cells, key=lambda protocol: (protocol not in leaky, num_cells[protocol]))


def folds_of(protocol: str, folds: Sequence[int]) -> tuple[int, ...]:
    """Return the folds (sorted) that identify the splits of a protocol: each is the test or validation fold once.

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
        raise RefusedError(
            f"{manifest.source}: {protocol} needs at least {needed} folds, but there are {len(present)}; "
            f"give more folds{' or choose the protocol official' if len(present) > 1 else ''}"
        )
    if not allow_split_groups and (torn := split_groups(manifest)):
        group, where = next(iter(torn.items()))
        more = f" (and {count(len(torn) - 1, 'more group')})" if len(torn) > 1 else ""
        raise RefusedError(
            f"{manifest.source}: group {group!r} is in folds {listing(where)}{more}; put its clips "
            "into one fold, remove the folds to have auricle make them, or accept leakage with --allow-split-groups"
        )


@DIVISIONS.of("random", "random-split")
def _divide_at_random(manifest: Manifest, protocol: str) -> list[Split]:
    from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit

    labels, num = manifest.labels, NUM_RANDOM_FOLDS[protocol]
    kind = StratifiedKFold(num, shuffle=True, random_state=RANDOM_SEED)
    if protocol == "random-split":
        kind = StratifiedShuffleSplit(1, test_size=1 / num, random_state=RANDOM_SEED)
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
    """Assign clips to stratified folds that keep groups together: 1..num_folds of each clip, int64 (N,), none empty.

    A `RefusedError` if clips and groups cannot fill that many folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    num_groups = len(set(groups))
    folds = np.zeros(len(labels), np.int64)
    largest_class = np.unique(labels, return_counts=True)[1].max()
    if min(num_groups, largest_class) >= num_folds:
        divide = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a class with fewer clips than folds: checked by the caller
            for fold, (_, members) in enumerate(divide.split(labels, labels, np.array(groups)), start=1):
                folds[members] = fold
    if len(set(folds.tolist())) < num_folds:
        raise RefusedError(
            f"{count(len(labels), 'clip')} in {count(num_groups, 'group')} cannot fill {num_folds} folds; "
            "record from more sources, or give folds of your own, at least two"
        )
    return folds


def with_training_folds(manifest: Manifest) -> Manifest:
    """Return the manifest with the clips of a training set assigned to folds after those of the other sets.

    A note is added. If they cannot fill several folds, they are one fold. Without a training set nothing changes.
    """
    train = np.flatnonzero(manifest.folds == TRAINING)
    if not len(train):
        return manifest
    folds = manifest.folds
    first = max(TEST_FOLD, int(folds.max())) + 1
    folds[train] = first
    with contextlib.suppress(RefusedError):  # the check before training reports what is missing
        groups = [manifest.clips[index].group for index in train]
        folds[train] = first - 1 + assign_folds(manifest.labels[train], groups, max(2, NUM_FOLDS - first + 1), seed=0)
    clips = tuple(replace(clip, fold=int(fold)) for clip, fold in zip(manifest.clips, folds, strict=True))
    names = [f"the test set is fold {TEST_FOLD}" if TEST_FOLD in folds else ""]
    names += [f"the validation set fold {VALIDATION_FOLD}" if first > VALIDATION_FOLD else ""]
    names += [f"the training set folds {first} to {folds.max()}, made by auricle"]
    note = f"Sets: {', '.join(filter(None, names))}; test-split and k-fold test only on fold {folds.min()}."
    return replace(manifest, clips=clips, notes=(*manifest.notes, note), has_test_set=TEST_FOLD in folds)


def with_made_folds(manifest: Manifest, num_folds: int, seed: int) -> Manifest:
    """Return the manifest with folds made from a seed, and a note about it.

    A `UsageError` for fewer than two folds, a `RefusedError` for too few clips, classes or groups.
    """
    if num_folds < 2:
        raise UsageError(f"at least two folds are needed, not {num_folds}")
    require_enough(manifest, num_folds)
    try:
        folds = assign_folds(manifest.labels, manifest.groups, num_folds, seed)
    except RefusedError as error:
        raise RefusedError(f"{manifest.source}: {error}") from None
    clips = tuple(replace(clip, fold=int(fold)) for clip, fold in zip(manifest.clips, folds, strict=True))
    note = f"Folds were made by auricle from seed {seed}: {num_folds} stratified folds that keep groups together."
    return replace(manifest, clips=clips, notes=(*manifest.notes, note))
