"""What a search may use: every clip but those of the test fold, which are not even decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from auricle.data.folds import Split, make_splits
from auricle.data.manifest import Manifest


@dataclass(frozen=True)
class SearchClips:
    """A dataset without its test fold.

    Attributes:
        manifest: the clips that trials train on and are judged by.
        folds: those that validate, in turn.
        num_left_out: clips of the test fold.
    """

    manifest: Manifest
    folds: tuple[int, ...]
    num_left_out: int


def without_test(manifest: Manifest, protocol: str) -> SearchClips:
    """Leave out the clips that the protocol tests on; nothing is read but the table.

    Raises:
        RefusedError: the protocol cannot divide the dataset.
    """
    splits = make_splits(manifest, protocol)
    tests = {int(index) for split in splits for index in split.test}
    clips = tuple(clip for index, clip in enumerate(manifest.clips) if index not in tests)
    return SearchClips(replace(manifest, clips=clips), tuple(split.fold for split in splits), len(tests))


def validation_splits(manifest: Manifest, protocol: str, folds: Sequence[int]) -> list[Split]:
    """Divide what `without_test` left: each fold in turn validates, the others train, and nothing tests."""
    validates, nobody = {fold: manifest.folds == fold for fold in folds}, np.array([], np.int64)
    return [
        Split(protocol, fold, np.flatnonzero(~who), np.flatnonzero(who), nobody, leaky=False)
        for fold, who in validates.items()
    ]
