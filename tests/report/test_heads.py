from dataclasses import replace
from types import SimpleNamespace

import pytest

from auricle.report.chapter_ranking import heads_sections
from auricle.report.comparisons import Comparison
from auricle.findings.study import Study, load_study
from auricle.report.heads import families, heads_in_words, published_claim
from auricle.report.tables import comparative_rows
from auricle.report.wording import Text

FAMILY = {1: "transformer-h1", 2: "transformer-h2", 4: "transformer-h4"}
ROWS = [
    SimpleNamespace(model=model, accuracy=accuracy)
    for model, accuracy in zip(FAMILY.values(), (0.88, 0.9, 0.89), strict=True)
]


def words(text: Text) -> str:
    return "".join(text).replace("\xa0", " ")


def pairs(p_adjusted: float) -> list[Comparison]:
    compared = Comparison("transformer-h2", "transformer-h1", 0.02, 0.01, 0.05, 9, 1, 4, 4, 0.01, 0.01, p_adjusted)
    return [
        compared,
        replace(compared, second="transformer-h4", difference=0.01, low=-0.03, high=0.06, p_adjusted=0.9),
        replace(compared, first="transformer-h4", difference=0.01, low=-0.02, high=0.04, p_adjusted=0.9),
    ]


def test_models_that_differ_in_heads_alone_are_a_family(esc10: Study):
    assert families(esc10) == [FAMILY]


def test_another_recipe_is_another_family(make_study):
    folder = make_study(
        categories=("cat", "dog"), protocols=("test-split",), epochs=1, clip_s=0.1,
        training={"transformer-h4": {"learning_rate": 0.5}},
    )  # fmt: skip
    assert families(load_study(folder)) == [{1: "transformer-h1", 2: "transformer-h2"}]


def test_of_several_families_each_is_named(make_study):
    names = [f"{stem}transformer-h{heads}" for stem in ("", "report-b-") for heads in (1, 2)]
    folder = make_study(
        categories=("cat", "dog"), models=names, protocols=("test-split",), epochs=1, clip_s=0.1,
        skill=dict.fromkeys(names, 1.0),
    )  # fmt: skip
    study = load_study(folder)
    (section,) = heads_sections(study, comparative_rows(study), {"test-split": ()})
    titles = [item[0].words for item in section.blocks[0].items]
    assert titles == ["transformer-h…, test-split", "report-b-transformer-h…, test-split"]


def test_no_number_of_heads_is_called_best_without_evidence():
    told = words(heads_in_words(FAMILY, ROWS, pairs(0.2)))
    assert told == (
        "1, 2 and 4 heads get 88.0 %, 90.0 % and 89.0 % of the test clips right. The data can show no difference "
        "between any two numbers of heads (smallest adjusted p = 0.20). The widest 95 % interval goes from −3.0 to "
        "+6.0 points, for transformer-h2 against transformer-h4."
    )


def test_a_shown_difference_between_heads_is_named_and_no_other():
    told = words(heads_in_words(FAMILY, ROWS, pairs(0.01)))
    assert "The data show 2 heads better than 1 and between the others no difference." in told
    assert "from −3.0 to +6.0 points, for transformer-h2 against transformer-h4." in told
    assert "interval" not in words(heads_in_words(FAMILY, ROWS[:2], pairs(0.01)[:1]))


def test_one_number_of_heads_says_nothing_about_heads():
    assert heads_in_words(FAMILY, ROWS[:1], []) == ()


def test_the_published_claim_is_set_beside_what_80_clips_carry(esc10: Study):
    told = words(published_claim(esc10))
    assert "The figures behind it are 53.8 %, 60.0 % and 57.5 % for 1, 2 and 4 heads, from 80 test clips" in told
    assert "from 49 % to 70 % and holds them all: they do not carry the conclusion." in told
    assert published_claim(replace(esc10, dataset=replace(esc10.dataset, source="/data/mine"))) == ()


@pytest.mark.parametrize("models", [("cnn",), ("cnn", "transformer-h2")])
def test_without_two_numbers_of_heads_there_is_no_family(make_study, models):
    folder = make_study(categories=("cat", "dog"), models=models, protocols=("test-split",), epochs=1, clip_s=0.1)
    assert families(load_study(folder)) == []
