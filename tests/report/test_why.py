import re
from dataclasses import replace
from pathlib import Path

import pytest

from auricle.findings.human_labels import read_human_labels
from auricle.findings.study import load_study
from auricle.report.chapters import why as chapter
from auricle.report.chapters.comparison import comparison
from auricle.report.chapters.why import evidence, missed, why
from auricle.report.document import Figure, Table, blocks_of
from auricle.report.figures.drawing import panel
from auricle.runs import StudyFolder
from report.invented_probes import write_probes
from report_text import chapter_sections, texts

SOUND = {"reversed": 2, "low-pass-4000": 40, "low-pass-2000": 50}
NETWORK = {"positions-shuffled": 0, "even-attention": 30, "block-1-skipped": 3, "encoder-skipped": 60}
HOSTILE = "<script>**x**{{ 7 * 7 }}[a](b)"


@pytest.fixture(scope="module")
def sections(make_study):
    folder = make_study(models=("cnn", "transformer-h2"), protocols=("k-fold",), epochs=20)
    write_probes(folder, "k-fold", {"cnn": SOUND, "transformer-h2": SOUND | NETWORK})
    study = load_study(folder)
    return [section for chapter in (why, missed, evidence) for section in chapter_sections(study, chapter)]


@pytest.fixture(scope="module")
def prose(sections) -> str:
    return "\n".join(texts(sections))


def test_each_change_is_listed_with_its_cost_and_no_more_than_the_numbers_carry(sections):
    (table,) = (block for block in blocks_of(sections) if isinstance(block, Table) and block.name == "table-costs")
    found = {title: [(row[0], row[2], row[-1]) for row in rows] for title, rows in table.groups.items()}
    assert found["Clip reversed in time"][0] == ("cnn", 0.025, "no")
    assert found["Only below 4 kHz"] == [("cnn", 0.5, "a loss"), ("transformer-h2", 0.5, "a loss")]
    assert found["Positions shuffled"] == [("transformer-h2", 0.0, "no")]
    assert found["Uniform attention"] == [("transformer-h2", 0.375, "a loss")]
    assert found["Block 1 skipped"] == [("transformer-h2", 0.0375, "no")]


def test_of_models_with_the_same_accuracy_none_is_called_the_most_accurate_and_no_class_the_worst(make_study):
    folder = make_study(
        categories=("cat", "dog"), models=("cnn", "tiny"), protocols=("k-fold",), num_folds=3, epochs=2,
        skill={"cnn": 60.0, "tiny": 60.0},
    )  # fmt: skip
    told = "\n".join(text for make in (why, comparison) for text in texts(chapter_sections(load_study(folder), make)))
    assert "cnn, one of the most accurate, has" in told
    assert "cnn is the most accurate" not in told
    assert "the worst are" not in told


@pytest.mark.parametrize("num_models", [4, 5])
def test_of_many_models_only_pairs_with_the_best_are_called_alike_by_class(num_models, make_study):
    models = ("cnn", "tiny", "transformer-h1", "transformer-h2", "transformer-h4")[:num_models]
    skill = dict.fromkeys(models, 3.0)
    folder = make_study(models=models, protocols=("test-split",), epochs=2, skill=skill, clips_per_class_and_fold=2)
    told = "\n".join(texts(chapter_sections(load_study(folder), why)))
    assert ("In no class do two models differ significantly." in told) == (num_models == 4)
    assert ("; other pairs are not compared by class." in told) == (num_models == 5)


def test_attention_is_described_by_block(prose):
    assert "Block 1: an effective 4.5 of 6 tokens; two heads share 0.75 of their attention" in prose
    assert re.search(r"Block 2: .*?correlation with loudness −?0\.0\d \(−0\.0\d to 0\.0\d\), not significant", prose)
    assert "Attention of <cls> in cnn" not in prose


def test_a_probed_study_has_the_figures_and_tables(sections):
    blocks = list(blocks_of(sections))
    drawn = {panel.name for block in blocks if isinstance(block, Figure) for panel in block.panels}
    assert {"missed", "costs", "blanked-bands", "blanked-moments", "blanked-moments-cnn",
            "blanked-bands-transformer-h2", "attention-transformer-h2"} <= drawn  # fmt: skip
    assert "attention-cnn" not in drawn
    tables = {block.name: block for block in blocks if isinstance(block, Table)}
    assert set(tables) >= {"table-differences", "table-readings", "table-costs", "table-heads"}
    assert list(tables["table-costs"].groups)[:3] == ["Clip reversed in time", "Only below 4 kHz", "Only below 2 kHz"]
    assert [row[-1] for row in tables["table-costs"].groups["Only below 4 kHz"]] == ["a loss", "a loss"]
    assert [(row[0], row[1]) for row in tables["table-heads"].groups[""]] == [
        ("transformer-h2", 1), ("transformer-h2", 2),
    ]  # fmt: skip


def test_what_was_not_measured_is_said_with_how_to(make_study):
    folder = make_study(models=("cnn",), protocols=("k-fold",), num_folds=3, epochs=2)
    prose = "\n".join(texts(chapter_sections(load_study(folder), why)))
    assert re.search("This was not measured.*auricle report STUDY --data DIR", prose)
    assert "Interpretation of the learning curves" not in prose


def test_no_class_is_claimed_where_few_clips_decide_and_people_stand_beside_the_models(make_study):
    folder = make_study(models=("cnn", "transformer-h2"), protocols=("k-fold",), epochs=1)
    clip = load_study(folder).answers["k-fold"].clips[0]
    StudyFolder(folder).judgements.write_text(f"clip,heard_as,count\n{clip},dog,3\n")
    study = load_study(folder)
    assert read_human_labels(study, study.answers["k-fold"])
    prose = "\n".join(texts([*chapter_sections(study, why), *chapter_sections(study, missed)]))
    assert "In no class do two models differ significantly." in prose
    assert "Last column: the share of people who were wrong; a dot where nobody was asked." in prose


def test_where_no_clip_is_missed_there_is_nothing_to_set_apart(make_study):
    folder = make_study(categories=("cat", "dog"), models=("cnn",), protocols=("test-split",), skill={"cnn": 60.0},
                        epochs=1)  # fmt: skip
    (section,) = chapter_sections(load_study(folder), why)
    assert section.sections[0].title == "Misclassified clips"
    assert list(texts(section.sections[:1])) == ["No cell misclassifies a clip."]


def test_a_hostile_name_of_a_class_is_a_name(make_study, tmp_path: Path):
    folder = make_study(categories=(HOSTILE, "dog"), models=("cnn", "transformer-h1"), protocols=("k-fold",), epochs=1)
    blocks = blocks_of(chapter_sections(load_study(folder), missed))
    (table,) = (block for block in blocks if isinstance(block, Table) and block.name == "table-differences")
    assert any(HOSTILE in str(cell) for row in table.groups[""] for cell in row)


def test_a_winner_is_not_called_cheap_and_an_equal_cheaper_model_is_named(make_study):
    options = {"categories": ("cat", "dog"), "protocols": ("k-fold",), "epochs": 1, "clip_s": 0.1}
    models = ("transformer-h1", "cnn")
    clear = load_study(make_study(models=models, skill={"cnn": 0, "transformer-h1": 60.0}, **options))
    words = "transformer-h1 is the most accurate; every other model is significantly less accurate."
    assert words in "\n".join(texts(chapter_sections(clear, why)))
    equal = load_study(make_study(models=models, skill=dict.fromkeys(models, 60.0), **options))
    told = "\n".join(texts(chapter_sections(equal, why)))
    assert re.search(r"cnn does not differ significantly from transformer-h1.* of its multiply-adds", told)


def test_one_model_does_not_differ_from_others(make_study):
    study = load_study(make_study(models=("cnn",), protocols=("k-fold",), epochs=1, clip_s=0.1))
    parts = [*chapter_sections(study, why), *chapter_sections(study, missed)]
    assert "models differ" not in "\n".join(texts(parts))


def test_what_the_encoder_added_to_the_base_is_said(make_study):
    study = load_study(make_study(models=("transformer-h2",), protocols=("k-fold",), epochs=20, clip_s=0.1))
    cells = [
        replace(cell, history=tuple(one | {"validation_accuracy": one["epoch"] / 100} for one in cell.history))
        for cell in study.cells
    ]
    told = "\n".join(texts(chapter_sections(replace(study, cells=tuple(cells)), why)))
    assert "transformer-h2 (12.0 %, 20.0 %)." in told


def test_a_class_whose_name_has_no_glyphs_is_numbered_in_the_figure_of_missed_clips(make_study, monkeypatch):
    study = load_study(make_study(
        categories=("cat", "狗"), models=("cnn",), protocols=("test-split",), skill={"cnn": 0}, epochs=1, clip_s=0.1,
    ))  # fmt: skip
    rows = []
    monkeypatch.setattr(chapter, "panel", lambda picture, *rest: rows.extend(picture.args[1]) or panel(picture, *rest))
    chapter_sections(study, missed)
    assert {row.split()[0] for row in rows} == {"cat", "#2"}
