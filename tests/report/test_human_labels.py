"""The chapter that sets models against people."""

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest

from auricle.findings.study import load_study
from auricle.report.chapters.against_others import human_labels
from auricle.report.document import Report
from auricle.report.table import write_csv
from auricle.runs import StudyFolder
from report_text import report_of, sections, tables, words_of


def write_labels(folder: Path, rows: list[tuple]) -> Path:
    with StudyFolder(folder).judgements.open("w", newline="") as file:
        csv.writer(file).writerows([("clip", "heard_as", "count"), *rows])
    return folder


@pytest.fixture
def pets(make_study) -> Path:
    """Two classes, eight test clips of each; one model is always right."""
    return make_study(
        source="/data/pets", categories=("cat", "dog"), models=("cnn", "tiny"), protocols=("k-fold",), num_folds=3,
        epochs=1, clip_s=0.1, skill={"cnn": 40.0, "tiny": 1.0},
    )  # fmt: skip


def clips_of(folder: Path) -> list[str]:
    return list(load_study(folder).cells[0].clips.clips)


def test_a_study_that_nobody_labelled_has_no_chapter(pets):
    assert human_labels(report_of(pets)) is None


def test_who_is_ahead_is_said_only_where_it_is_shown(pets):
    report = report_of(write_labels(pets, [(clip, "cat", 3) for clip in clips_of(pets)]))
    found = report.findings.human_labels
    one = replace(found.differences[0], p_groups=0.001, p_trainings=0.001, p_adjusted=0.002)
    confusions = dict.fromkeys(("tiny", "cnn", "open"), found.confusion)
    differences = (
        replace(one, second="tiny", mean=0.4, low=0.3, high=0.5),
        replace(one, second="cnn", mean=-0.1, low=-0.2, high=-0.05),
        replace(one, second="open", mean=0.03, low=-0.02, high=0.08),
    )
    found = replace(found, differences=differences, models={"tiny": 0.5, "cnn": 1.0, "open": 0.9},
                    model_confusions=confusions)  # fmt: skip
    told = words_of(sections(human_labels, Report(report.study, replace(report.findings, human_labels=found))))
    assert "People do not differ significantly from open (90.0 %; 3.0 points (−2.0 to 8.0))." in told
    assert "People are significantly better than tiny (50.0 %; 40.0 points (30.0 to 50.0))." in told
    assert "People are significantly worse than cnn (100.0 %; −10.0 points (−20.0 to −5.0))." in told


def test_a_median_between_two_counts_is_not_cut(pets: Path):
    parts = sections(
        human_labels, report_of(write_labels(pets, [(clips_of(pets)[0], "dog", 5), (clips_of(pets)[1], "dog", 6)]))
    )
    assert "The median clip has 5.5 labels; every clip has at least 5." in words_of(parts)


def test_a_clip_that_people_miss_and_the_model_classifies_is_named(pets):
    clips = clips_of(pets)
    write_labels(pets, [(clips[0], "dog", 9), (clips[0], "cat", 1), *((clip, "cat", 4) for clip in clips[1:8])])
    parts = sections(human_labels, report_of(pets))
    assert (parts[0].name, parts[0].title) == ("people", "Comparison with human listeners")
    assert "and 1 by people only" in words_of(parts)
    groups = tables(parts)["table-people-clips"].groups
    assert groups["Missed by people only (1)"][0][:5] == (clips[0], "cat", 0.1, 10, "dog")


def test_where_no_clip_is_missed_there_is_no_table_of_them(make_study):
    folder = make_study(
        categories=("cat", "dog"), models=("cnn",), protocols=("k-fold",), num_folds=3, epochs=1, clip_s=0.1,
        skill={"cnn": 40.0},
    )  # fmt: skip
    cells = load_study(folder).cells[0].clips
    write_labels(
        folder, [(clip, ("cat", "dog")[label], 2) for clip, label in zip(cells.clips, cells.labels, strict=True)]
    )
    parts = sections(human_labels, report_of(folder))
    assert "0 by people and models, 0 by the models only and 0 by people only." in words_of(parts)
    assert list(tables(parts)) == ["table-people-classes"]


def test_of_many_missed_clips_some_are_listed_and_the_caption_says_so(pets):
    parts = sections(human_labels, report_of(write_labels(pets, [(clip, "horse", 2) for clip in clips_of(pets)])))
    assert "at most 12 for each group" in words_of(parts)
    assert max(map(len, tables(parts)["table-people-clips"].groups.values())) == 12
    assert "32 labels of people are of another class." in words_of(parts)


def test_hostile_names_of_models_and_classes_stay_as_they_are(make_study):
    name, category = "**x** <b>[a](b)</b>", "<i>*cat*"
    folder = make_study(
        categories=(category, "dog"), models=("cnn", name), protocols=("k-fold",), num_folds=3, epochs=1, clip_s=0.1,
        skill={"cnn": 1.0, name: 1.0},
    )  # fmt: skip
    parts = sections(human_labels, report_of(write_labels(folder, [(clip, "dog", 3) for clip in clips_of(folder)])))
    assert f"{name} " in words_of(parts)
    assert name in [column.title for column in tables(parts)["table-people-classes"].columns]
    assert tables(parts)["table-people-classes"].groups["Correct answers, %"][0][0] == category


def test_hostile_words_of_people_do_nothing(pets, tmp_path: Path):
    clips = clips_of(pets)
    write_labels(pets, [(clips[0], "<script>alert(1)</script>", 9), (clips[1], "=cmd|'/c calc'!A1", 3)])
    parts = sections(human_labels, report_of(pets))
    assert "<script>" not in words_of(parts)
    write_csv(tmp_path / "clips.csv", tables(parts)["table-people-clips"])
    assert not re.search(r"(^|,)\"?=", (tmp_path / "clips.csv").read_text(), re.MULTILINE)
