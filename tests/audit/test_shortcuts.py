import numpy as np
import pytest

from auricle.audit.shortcuts import FEATURES, find_shortcuts

NUM = 200
CATEGORIES = [f"class {n % 4}" for n in range(NUM)]
GROUPS = [str(n // 8) for n in range(NUM)]


def facts(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(NUM, len(FEATURES)))


@pytest.mark.parametrize("place", range(len(FEATURES)))
def test_a_class_that_is_given_away_is_named_with_what_gives_it_away(place: int) -> None:
    table = facts()
    table[:, place] = [4.0 * (category == "class 2") for category in CATEGORIES]
    found = find_shortcuts(table, CATEGORIES, GROUPS)
    assert found
    assert found.striking
    assert max(found.by_feature, key=found.by_feature.__getitem__) == FEATURES[place]
    assert found.by_class["class 2"] > 0.9


def test_chance_is_no_shortcut() -> None:
    striking = [find_shortcuts(facts(seed), CATEGORIES, GROUPS).striking for seed in range(4)]  # type: ignore[union-attr]
    assert sum(striking) == 0


def test_what_is_learnt_of_a_group_does_not_count() -> None:
    table = facts()
    table[:, 1] = [int(group) for group in GROUPS]  # a level of its own for each group
    of_groups = [f"class {int(group) % 4}" for group in GROUPS]
    found = find_shortcuts(table[:, :], of_groups, GROUPS)
    assert found
    assert not found.striking


def test_a_fact_that_all_share_is_left_out() -> None:
    table = facts()
    table[:, 3] = 44_100
    found = find_shortcuts(table, CATEGORIES, GROUPS)
    assert found
    assert "rate" not in found.by_feature


def test_too_few_clips_say_nothing() -> None:
    assert find_shortcuts(facts()[:20], CATEGORIES[:20], GROUPS[:20]) is None
    assert find_shortcuts(facts(), ["one"] * NUM, GROUPS) is None
    assert find_shortcuts(facts(), CATEGORIES, ["same"] * NUM) is None
    assert find_shortcuts(facts()[:0], [], []) is None
