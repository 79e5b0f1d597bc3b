from itertools import combinations, pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auricle.report.comparisons import Comparison
from auricle.report.ranking import places, ranking_in_words, ties
from auricle.report.wording import Text


def words(text: Text) -> str:
    return "".join(text)


def ranked_models(num: int):
    return [SimpleNamespace(model=name, accuracy=0.9 - 0.1 * place) for place, name in enumerate("abcdefgh"[:num])]


def compared(num: int, apart: set[tuple[str, str]]) -> list[Comparison]:
    """Compare every two models; those in `apart` are told apart."""
    return [
        Comparison(a, b, 0.1, 0.05, 0.2, 9, 1, 1, 1, 0.01, None, 0.01 if (a, b) in apart else 0.5)
        for a, b in combinations("abcdefgh"[:num], 2)
    ]


def told(num: int, apart: set[tuple[str, str]]):
    rows, pairs = ranked_models(num), compared(num, apart)
    ranked = places(rows[::-1], pairs)
    return [place.words for place in ranked], ties(ranked, pairs), words(ranking_in_words(ranked, pairs))


def test_models_that_cannot_be_told_apart_share_every_place():
    assert told(3, set()) == (
        ["1–3"] * 3, [(0, 2)], "No two models can be told apart: each may stand anywhere from place 1 to 3."
    )  # fmt: skip


def test_models_that_are_all_told_apart_have_a_place_each():
    assert told(3, {("a", "b"), ("a", "c"), ("b", "c")}) == (
        ["1", "2", "3"], [], "Sure are the places of a (1), b (2) and c (3)."
    )  # fmt: skip


def test_a_clear_last_leaves_the_others_tied():
    assert told(3, {("a", "c"), ("b", "c")}) == (
        ["1–2", "1–2", "3"], [(0, 1)], "These data cannot tell apart: a and b. Sure is the place of c (3)."
    )  # fmt: skip


def test_a_tie_need_not_pass_from_one_to_the_next():
    assert told(3, {("a", "c")}) == (
        ["1–2", "1–3", "2–3"], [(0, 1), (1, 2)], "These data cannot tell apart: a and b; nor b and c."
    )  # fmt: skip


def test_two_models_have_no_sure_place():
    assert told(2, set())[2] == "Neither place is sure: each may stand anywhere from place 1 to 2."
    assert told(1, set()) == (["1"], [], "")


@given(st.integers(2, 6), st.data())
def test_a_tie_joins_only_models_that_are_not_told_apart_and_no_tie_holds_another(num: int, data: st.DataObject):
    pairs = list(combinations("abcdef"[:num], 2))
    apart = data.draw(st.sets(st.sampled_from(pairs)))
    _, found, _ = told(num, apart)
    for first, last in found:
        assert not set(combinations("abcdef"[first : last + 1], 2)) & apart
    assert all(b[0] > a[0] and b[1] > a[1] for a, b in pairwise(found))
    neighbours = set(pairwise("abcdef"[:num])) - apart
    assert all(any(first <= "abcdef".index(a) < last for first, last in found) for a, _ in neighbours)


@pytest.mark.parametrize("num", [2, 5])
def test_a_model_keeps_a_place_within_the_ranking(num: int):
    for place in places(ranked_models(num), compared(num, {("a", "b")})):
        assert 1 <= place.first <= place.last <= num
