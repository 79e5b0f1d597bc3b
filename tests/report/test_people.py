import csv
import re
from pathlib import Path

import numpy as np
import pytest

from auricle.report.build import build_report
from auricle.report.chapter_people import against, people_chapter
from auricle.report.effects import Effect
from auricle.findings.study import load_study
from auricle.report.people import People, agreement, among_people, kinds, model_answers, most, people_of
from auricle.report.tables import comparative_rows
from auricle.runs import StudyFolder


def judged(folder: Path, rows: list[tuple]) -> Path:
    with StudyFolder(folder).judgements.open("w", newline="") as file:
        csv.writer(file).writerows([("clip", "heard_as", "count"), *rows])
    return folder


@pytest.fixture
def pets(make_study) -> Path:
    """Two classes, eight test clips of each; the model is always right."""
    return make_study(
        source="/data/pets", categories=("cat", "dog"), models=("cnn",), protocols=("k-fold",), num_folds=3, epochs=1,
        clip_s=0.1, skill={"cnn": 40.0},
    )  # fmt: skip


def clips_of(folder: Path) -> list[str]:
    return list(load_study(folder).cells[0].clips.clips)


def test_judgements_are_counted_by_clip_and_class(pets):
    first, second, *_ = clips_of(pets)
    judged(pets, [(first, "cat", 3), (first, "dog", 1), (second, "horse", 2), ("unknown.wav", "cat", 5)])
    people = people_of(load_study(pets), "k-fold")
    assert set(people.clips) == {first, second}
    by_clip = dict(zip(people.clips, people.heard.tolist(), strict=True))
    assert by_clip == {first: [3, 1, 0], second: [0, 0, 2]}
    assert people.right[people.clips.index(first)] == 0.75
    assert people.confusion.tolist() == [[3, 1], [0, 0]]


@pytest.mark.parametrize("content", ["", "clip,heard_as\na,b\n", "clip,heard_as,count\na.wav,cat,many\n", "\x00"])
def test_a_damaged_file_leaves_the_chapter_out(content, pets):
    StudyFolder(pets).judgements.write_text(content)
    study = load_study(pets)
    assert people_chapter(study, comparative_rows(study), "k-fold") == ()


def test_a_study_that_nobody_judged_has_no_chapter(pets):
    study = load_study(pets)
    assert people_chapter(study, comparative_rows(study), "k-fold") == ()


def people(heard: list[list[int]], labels: list[int]) -> People:
    return People(tuple(f"{place}" for place in range(len(labels))), np.array(labels), np.array(heard))


def test_agreement_is_the_chance_of_two_answers_that_are_the_same():
    asked = people([[3, 1, 0], [0, 0, 2]], [0, 1])
    shared = agreement(asked, np.array([[1, 3], [4, 0]]))
    np.testing.assert_allclose(shared, [0.75 * 0.25 + 0.25 * 0.75, 0])
    np.testing.assert_allclose(among_people(asked), [6 / 12, 1])


def test_one_person_agrees_with_nobody():
    assert np.isnan(among_people(people([[1, 0, 0]], [0]))[0])


def test_clips_are_sorted_by_who_misses_them():
    asked = people([[1, 3, 0], [1, 3, 0], [4, 0, 0], [4, 0, 0]], [0, 0, 0, 0])
    found = kinds(asked, {"a": np.array([0.0, 1.0, 0.25, 1.0]), "b": np.array([0.0, 1.0, 0.0, np.nan])})
    assert list(found.values()) == [[0], [2], [1]]


def test_the_answers_of_cells_are_counted(pets):
    study = load_study(pets)
    clips = clips_of(pets)
    answers = model_answers(study, "cnn", "k-fold", clips)
    assert answers.sum(axis=1).tolist() == [2] * len(clips)
    assert (answers.argmax(axis=1) == study.cells[0].clips.labels).all()


def test_nothing_else_heard_is_a_dash():
    assert most([0, 0], ["a", "b"]) == "–"


def test_who_is_ahead_is_said_only_where_it_is_shown():
    right = {"cnn": np.array([0.9]), "tiny": np.array([0.5]), "good": np.array([1.0])}
    told = against(
        {"cnn": Effect(0.03, -0.02, 0.08, 65, 0.4), "tiny": Effect(0.4, 0.3, 0.5, 65, 0.001),
         "good": Effect(-0.1, -0.2, -0.05, 65, 0.01)}, right,
    ).replace("\xa0", " ")  # fmt: skip
    assert "no difference between people and cnn (90.0 %; 3.0 points (−2.0 to 8.0))." in told
    assert "People are ahead of tiny (50.0 %; 40.0 points (30.0 to 50.0))." in told
    assert "People are behind good (100.0 %; −10.0 points (−20.0 to −5.0))." in told


def test_a_clip_that_people_miss_and_the_model_hears_is_named(pets):
    clips = clips_of(pets)
    judged(pets, [(clips[0], "dog", 9), (clips[0], "cat", 1), *((clip, "cat", 4) for clip in clips[1:8])])
    html = build_report(pets)["html"].read_text()
    assert "Against people" in html
    assert re.search(r"0\s+by people and models, 0 by the models only and 1 by people only", html)
    assert clips[0] in html


def test_hostile_words_of_people_do_nothing(pets):
    clips = clips_of(pets)
    judged(pets, [(clips[0], "<script>alert(1)</script>", 9), (clips[1], "=cmd|'/c calc'!A1", 3)])
    html = build_report(pets)["html"].read_text()
    assert "<script>" not in html
    tables = StudyFolder(pets).report / "tables"
    assert not re.search(r"(^|,)\"?=", (tables / "table-people-clips.csv").read_text(), re.MULTILINE)
