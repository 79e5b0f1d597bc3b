from auricle.findings.comparison import head_counts, head_families
from auricle.findings.findings import find
from auricle.findings.study import Study, load_study
from auricle.report.chapters.comparison import comparison
from report_text import chapter_sections, texts

FAMILY = {1: "transformer-h1", 2: "transformer-h2", 4: "transformer-h4"}


def heads_texts(study: Study) -> list[str]:
    (chapter,) = chapter_sections(study, comparison)
    return [text for section in chapter.sections if section.name == "heads" for text in texts((section,))]


def test_models_that_differ_in_heads_alone_are_a_family(esc10: Study):
    assert head_families(esc10) == [FAMILY]


def test_another_recipe_is_another_family(make_study):
    folder = make_study(
        categories=("cat", "dog"), protocols=("test-split",), epochs=1, clip_s=0.1,
        training={"transformer-h4": {"learning_rate": 0.5}},
    )  # fmt: skip
    assert head_families(load_study(folder)) == [{1: "transformer-h1", 2: "transformer-h2"}]


def test_of_several_families_each_is_named(make_study):
    names = [f"{stem}transformer-h{heads}" for stem in ("", "report-c-") for heads in (1, 2)]
    folder = make_study(
        categories=("cat", "dog"), models=names, protocols=("test-split",), epochs=1, clip_s=0.1,
        skill=dict.fromkeys(names, 1.0),
    )  # fmt: skip
    first, second = heads_texts(load_study(folder))[:2]
    assert first.startswith("transformer-h…, test-split: 1 and 2 heads reach ")
    assert second.startswith("report-c-transformer-h…, test-split: ")


def test_the_pairs_are_those_of_the_comparison(esc10: Study):
    comparisons = find(esc10).comparisons
    found = next(one for one in head_counts(esc10, comparisons) if one.protocol == "k-fold")
    assert [(pair.first, pair.second) for pair in found.pairs] == [
        ("transformer-h2", "transformer-h1"), ("transformer-h4", "transformer-h1"), ("transformer-h2", "transformer-h4")
    ]  # fmt: skip
    assert set(found.pairs) <= set(comparisons["k-fold"].pairs)


def test_no_number_of_heads_is_called_best_without_evidence(esc10: Study):
    text = next(text for text in heads_texts(esc10) if text.startswith("k-fold"))
    assert text.startswith("k-fold: 1, 2 and 4 heads reach 71.6 %, 84.7 % and 84.4 % test accuracy.")
    assert "No two numbers of heads differ significantly (smallest adjusted p = 0.052)." in text
    assert "The widest 95 % interval goes from " in text


def test_a_shown_difference_between_heads_is_named_and_no_other(esc10: Study):
    text = next(text for text in heads_texts(esc10) if text.startswith("test-split"))
    shown = "2 heads are significantly better than 1 and 4 heads are significantly better than 1"
    assert f"{shown}; the others do not differ significantly." in text
    assert "for transformer-h2 against transformer-h4." in text
