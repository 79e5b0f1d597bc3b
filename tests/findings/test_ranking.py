from itertools import combinations, pairwise
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from auricle.findings.comparison import ranks, ties
from auricle.scoring.difference import Difference


def ranked_models(num: int):
    return [SimpleNamespace(model=name, accuracy=0.9 - 0.1 * index) for index, name in enumerate("abcdefgh"[:num])]


def compared(num: int, apart: set[tuple[str, str]]) -> list[Difference]:
    """Compare every two models; those in `apart` differ significantly."""
    return [
        Difference(a, b, 0.1, 0.05, 0.2, 80, 80, 9, 1, 1, 1, 0.01, None, 0.01 if (a, b) in apart else 0.5)
        for a, b in combinations("abcdefgh"[:num], 2)
    ]


def found(num: int, apart: set[tuple[str, str]]):
    rows, pairs = ranked_models(num), compared(num, apart)
    ranking = ranks(rows[::-1], pairs)
    return [(rank.first, rank.last) for rank in ranking], ties(ranking, pairs)


def test_models_that_cannot_be_told_apart_share_every_rank():
    assert found(3, set()) == ([(1, 3)] * 3, [(0, 2)])


def test_models_that_are_all_told_apart_have_a_rank_each():
    assert found(3, {("a", "b"), ("a", "c"), ("b", "c")}) == ([(1, 1), (2, 2), (3, 3)], [])


def test_a_clear_last_leaves_the_others_tied():
    assert found(3, {("a", "c"), ("b", "c")}) == ([(1, 2), (1, 2), (3, 3)], [(0, 1)])


def test_a_tie_need_not_pass_from_one_to_the_next():
    assert found(3, {("a", "c")}) == ([(1, 2), (1, 3), (2, 3)], [(0, 1), (1, 2)])


@given(st.sets(st.sampled_from(list(combinations("abcdef", 2)))))
def test_no_two_models_of_a_tie_are_told_apart_and_every_such_pair_is_in_one(apart: set[tuple[str, str]]):
    _, stretches = found(6, apart)
    for first, last in stretches:
        assert not apart & set(combinations("abcdef"[first : last + 1], 2))
    tied = {pair for first, last in stretches for pair in combinations("abcdef"[first : last + 1], 2)}
    neighbours = set(pairwise("abcdef"))
    assert neighbours - apart <= tied
