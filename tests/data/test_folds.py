import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from auricle.data.folds import NUM_RANDOM_FOLDS, PROTOCOLS, Split, assign_folds, make_splits, with_made_folds
from auricle.data.manifest import Clip, Manifest
from auricle.errors import RefusedError, UsageError

Rows = Callable[..., Manifest]


@pytest.fixture
def even(make_manifest: Rows) -> Manifest:
    """Two classes, folds 1 to 5, two clips of one group a class and fold."""
    return make_manifest(
        *((category, fold, f"{category}{fold}") for category in "ab" for fold in range(1, 6) for _ in range(2))
    )


def folds_of(manifest: Manifest, places: np.ndarray) -> set[int]:
    return set(manifest.folds[places].tolist())


def test_test_split_tests_on_the_first_fold_and_validates_on_the_second(even: Manifest) -> None:
    (split,) = make_splits(even, "test-split")
    assert (split.protocol, split.fold, split.leaky) == ("test-split", 2, False)
    assert [folds_of(even, part) for part in (split.test, split.validation, split.train)] == [{1}, {2}, {3, 4, 5}]
    assert split.train.dtype == np.int64


def test_k_fold_validates_every_fold_but_the_first_once(even: Manifest) -> None:
    splits = make_splits(even, "k-fold")
    assert [split.fold for split in splits] == [2, 3, 4, 5]
    for split in splits:
        assert folds_of(even, split.test) == {1}
        assert folds_of(even, split.validation) == {split.fold}
        assert folds_of(even, split.train) == {2, 3, 4, 5} - {split.fold}


def test_official_tests_every_fold_once_without_validation(even: Manifest) -> None:
    splits = make_splits(even, "official")
    assert [split.fold for split in splits] == [1, 2, 3, 4, 5]
    for split in splits:
        assert folds_of(even, split.test) == {split.fold}
        assert len(split.validation) == 0
        assert len(split.train) + len(split.test) == len(even.clips)


def test_random_tests_every_clip_once_and_says_that_it_leaks(even: Manifest) -> None:
    splits = make_splits(even, "random")
    assert [split.fold for split in splits] == [1, 2, 3, 4]
    assert sorted(np.concatenate([split.test for split in splits])) == list(range(20))
    assert any(split.leaky for split in splits)
    for split in splits:
        assert set(even.labels[split.test].tolist()) == {0, 1}


def test_random_is_the_same_each_time(even: Manifest) -> None:
    first, second = ([split.test.tolist() for split in make_splits(even, "random")] for _ in range(2))
    assert first == second


def test_random_split_is_that_of_scikit_learn_with_the_usual_seed(even: Manifest) -> None:
    (split,) = make_splits(even, "random-split")
    train, test = train_test_split(np.arange(20), test_size=0.2, stratify=even.labels, random_state=42)
    assert (split.fold, len(split.validation)) == (1, 0)
    assert split.test.tolist() == sorted(test.tolist())
    assert split.train.tolist() == sorted(train.tolist())


def test_random_over_clips_of_their_own_group_does_not_leak(make_manifest: Rows) -> None:
    manifest = make_manifest(*((category, 1, f"{category}{n}") for category in "ab" for n in range(8)))
    assert not any(split.leaky for split in make_splits(manifest, "random"))


def test_folds_may_have_any_numbers(make_manifest: Rows) -> None:
    manifest = make_manifest(*((category, fold, f"{fold}") for category in "ab" for fold in (30, 7, 12)))
    (split,) = make_splits(manifest, "test-split")
    assert (split.fold, folds_of(manifest, split.test)) == (12, {7})


def test_a_misspelt_protocol_is_answered_with_the_right_one(even: Manifest) -> None:
    with pytest.raises(UsageError, match="did you mean 'k-fold'"):
        make_splits(even, "kfold")


def test_a_group_in_two_folds_is_refused_with_its_name(make_manifest: Rows) -> None:
    manifest = make_manifest(*((category, fold, "one") for category in "ab" for fold in (1, 2, 3)))
    for protocol in ("test-split", "k-fold", "official"):
        with pytest.raises(RefusedError, match="group 'one' is in folds 1, 2 and 3"):
            make_splits(manifest, protocol)


def test_too_few_folds_are_refused(make_manifest: Rows) -> None:
    manifest = make_manifest(*((category, fold, f"{fold}") for category in "ab" for fold in (1, 2)))
    with pytest.raises(RefusedError, match="k-fold needs at least 3 folds, but there are 2"):
        make_splits(manifest, "k-fold")
    assert len(make_splits(manifest, "official")) == 2


def test_a_class_that_would_not_be_trained_on_is_refused(make_manifest: Rows) -> None:
    rows = [(category, fold, f"{fold}") for category in "ab" for fold in (1, 2, 3)]
    manifest = make_manifest(*rows, *(("c", fold, f"{fold}") for fold in (1, 1, 3)))
    with pytest.raises(RefusedError, match=re.escape("in k-fold, fold 3, no clip of class 'c' is left for training")):
        make_splits(manifest, "k-fold")


# Making folds


def test_made_folds_are_even_where_groups_allow() -> None:
    labels = np.repeat(np.arange(10), 40)
    folds = assign_folds(labels, [str(n) for n in range(400)], 5, seed=0)
    for label in range(10):
        assert np.bincount(folds[labels == label], minlength=6).tolist() == [0, 8, 8, 8, 8, 8]


def test_made_folds_depend_on_the_seed_alone() -> None:
    labels, groups = np.repeat(np.arange(4), 10), [str(n // 2) for n in range(40)]
    folds = [assign_folds(labels, groups, 5, seed).tolist() for seed in (0, 0, 1)]
    assert folds[0] == folds[1] != folds[2]


def test_too_few_groups_for_the_folds_are_refused(make_manifest: Rows) -> None:
    manifest = make_manifest(*((category, 0, f"{n % 3}") for category in "ab" for n in range(10)))
    with pytest.raises(RefusedError, match="made: 20 clips in 3 groups cannot fill 5 folds"):
        with_made_folds(manifest, 5, seed=0)
    with pytest.raises(UsageError, match="at least two folds are needed, not 1"):
        with_made_folds(manifest, 1, seed=0)


def test_made_folds_are_noted(make_manifest: Rows) -> None:
    manifest = make_manifest(*((category, 0, f"{category}{n}") for category in "ab" for n in range(10)))
    made = with_made_folds(manifest, 5, seed=7)
    assert made.notes == ("Folds were made by auricle from seed 7: 5 stratified folds that keep groups together.",)
    assert set(made.folds.tolist()) == {1, 2, 3, 4, 5}


# Properties

clips = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 6), st.sampled_from("uvwxyz")), min_size=1, max_size=60
)


@settings(max_examples=300, deadline=None)
@given(rows=clips, protocol=st.sampled_from(PROTOCOLS), whole=st.booleans())
def test_no_clip_is_in_two_sets_and_no_group_on_both_sides_whatever_the_manifest(
    rows: list[tuple[str, int, str]], protocol: str, whole: bool
) -> None:
    if whole:  # every group in one fold
        rows = [(category, ord(group) % 5, group) for category, _, group in rows]
    manifest = Manifest("any", tuple(Clip(Path(f"{n}"), f"{n}", *row) for n, row in enumerate(rows)), 1.0)
    try:
        splits = make_splits(manifest, protocol)
    except RefusedError:
        return
    for split in splits:
        check(manifest, split)
    if protocol in ("official", "random"):
        assert sorted(np.concatenate([split.test for split in splits])) == list(range(len(rows)))


def check(manifest: Manifest, split: Split) -> None:
    parts = [split.train, split.validation, split.test]
    assert sorted(np.concatenate(parts)) == list(range(len(manifest.clips)))
    assert all((np.diff(part) > 0).all() for part in parts)
    groups = [{manifest.groups[place] for place in part} for part in parts]
    torn = bool(groups[2] & (groups[0] | groups[1]))
    assert split.leaky == torn
    if split.protocol not in NUM_RANDOM_FOLDS:
        assert not torn
        assert not groups[0] & groups[1]
    assert set(manifest.labels[split.train].tolist()) == set(range(len(manifest.categories)))


@settings(max_examples=100, deadline=None)
@given(rows=clips, num_folds=st.integers(2, 6), seed=st.integers(0, 5))
def test_made_folds_keep_groups_whole_and_leave_no_fold_empty(
    rows: list[tuple[str, int, str]], num_folds: int, seed: int
) -> None:
    labels = np.array([ord(category) for category, _, _ in rows])
    groups = [group for _, _, group in rows]
    try:
        folds = assign_folds(labels, groups, num_folds, seed)
    except RefusedError:
        return
    assert set(folds.tolist()) == set(range(1, num_folds + 1))
    assert len({(group, fold) for group, fold in zip(groups, folds.tolist(), strict=True)}) == len(set(groups))
