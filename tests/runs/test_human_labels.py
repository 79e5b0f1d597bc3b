from pathlib import Path

import pytest

from auricle.data.judgements import find_judgements, read_judgements
from auricle.errors import RefusedError
from auricle.runs import StudyFolder
from auricle.runs.record import keep_human_labels

HEADER = "filename,category,heard_as,count\n"


@pytest.fixture
def judged(sounds: Path) -> Path:
    """Where the table of what people heard lies."""
    (sounds / "meta").mkdir()
    return sounds / "meta" / "human.csv"


def line(*values: object) -> str:
    return ",".join(map(str, values)) + "\n"


def test_what_people_heard_is_kept_beside_the_manifest(run, judged, recorder, tmp_path):
    clip = "cat/cat 0.wav"
    judged.write_text(
        HEADER + line(clip, "cat", "dog", 3) + line(clip, "cat", "cat", 4) + line("x.wav", "cat", "cat", 1)
    )
    run(protocols=("k-fold",))
    kept = StudyFolder(tmp_path / "study").judgements
    assert kept.read_text().split() == ["clip,heard_as,count", "cat/cat", "0.wav,dog,3", "cat/cat", "0.wav,cat,4"]
    assert not recorder.of("note")


def test_a_study_that_was_run_before_gets_it_when_its_dataset_is_found(run, judged, tmp_path):
    run()
    study = StudyFolder(tmp_path / "study")
    assert not study.judgements.exists()
    judged.write_text(HEADER + line("dog/dog 1.wav", "dog", "dog", 1))
    assert keep_human_labels(study) is None
    before = study.judgements.read_text()
    judged.write_text(HEADER + line("dog/dog 1.wav", "dog", "dog", 2))
    assert keep_human_labels(study) is None
    assert study.judgements.read_text() == before  # what was kept stays


def test_it_is_found_in_the_home_folder_too(judged, monkeypatch):
    monkeypatch.setenv("HOME", str(judged.parents[2]))
    judged.write_text(HEADER)
    assert find_judgements(f"~/{judged.parents[1].name}") == judged


def test_a_dataset_without_it_has_nothing_to_keep(run, recorder, tmp_path):
    run(protocols=("k-fold",))
    assert not StudyFolder(tmp_path / "study").judgements.exists()
    assert not recorder.of("note")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("filename,category\na,b\n", "heard_as"),
        (HEADER + line("cat/cat 0.wav", "dog", "dog", 1), "has class 'dog', but 'cat' in the study"),
        (HEADER + line("cat/cat 0.wav", "cat", "dog", 0), "a whole number from 1, not '0'"),
        (HEADER + line("cat/cat 0.wav", "cat", "dog", -1), "not '-1'"),
        (HEADER + line("cat/cat 0.wav", "cat", "dog", "9" * 400), "a whole number"),
        (HEADER + line("cat/cat 0.wav", "cat", "dog", "²"), "a whole number"),
    ],
)
def test_a_table_that_cannot_be_used_stops_no_study_and_is_said(content, reason, run, judged, recorder, tmp_path):
    judged.write_text(content)
    assert not run(protocols=("k-fold",)).failed
    assert len(recorder.of("note")) == 1
    assert reason in recorder.of("note")[0]
    assert not StudyFolder(tmp_path / "study").judgements.exists()


def test_only_clips_of_the_study_are_read(tmp_path):
    table = tmp_path / "human.csv"
    table.write_text(HEADER + line("a.wav", "cat", "<b>", 2) + line("b.wav", "hen", "hen", "many"))
    (found,) = read_judgements(table, {"a.wav": "cat"})
    assert (found.clip, found.heard_as, found.count) == ("a.wav", "<b>", 2)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    table = tmp_path / "human.csv"
    table.write_bytes(b"filename,category,heard_as,count\n\xff\xfe,cat,cat,1\n")
    with pytest.raises(RefusedError, match="UTF-8"):
        read_judgements(table, {"a.wav": "cat"})


def test_the_table_of_the_toy_set_and_of_nothing_is_none(tmp_path):
    assert find_judgements("toy") is None
    assert find_judgements("~nobody-at-all/birds") is None
    assert find_judgements(str(tmp_path / "nowhere")) is None
    assert find_judgements("esc10", tmp_path) is None
