"""`auricle report`: the page of mistakes, and the hand-in."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from auricle.files import read_sealed
from auricle.runs import StudyFolder, write_metrics
from auricle.scoring.predictions import read_predictions, write_predictions

SMALL = (
    "--data",
    "sounds",
    "--models",
    "cnn",
    "--protocols",
    "test-split",
    "--set",
    "training.epochs=1",
    "--workers",
    "1",
)


@pytest.fixture
def study(auricle, sounds, training) -> Path:
    """A study on recordings that lie in ./sounds, which it got wrong."""
    assert auricle("study", "quickstart", *SMALL, "--no-report").code == 0
    folder = Path("runs/quickstart")
    (cell,) = StudyFolder(folder).cells()
    right = read_predictions(cell.predictions)
    write_predictions(cell.predictions, replace(right, probabilities=np.roll(right.probabilities, 1, axis=1)))
    write_metrics(cell, read_sealed(cell.metrics))
    return folder


def test_a_report_comes_with_the_page_of_mistakes_and_is_handed_in(auricle, study):
    answer = auricle("report", "quickstart", "--hand-in", "answer.py", "--json")
    assert answer.code == 0, answer.err
    files = json.loads(answer.out)
    assert list(files) == ["html", "pdf", "errors", "hand_in_pdf", "hand_in_py"]
    assert all(Path(file).stat().st_size for file in files.values())
    assert Path("answer.pdf").read_bytes() == (study / "report" / "report.pdf").read_bytes()
    again = auricle("report", "quickstart", "--hand-in", "answer")
    assert again.code == 2
    assert again.err == "auricle: answer.pdf exists already; delete it or choose another name\n"


def test_without_the_recordings_the_report_is_made_and_says_how_to_hear_the_mistakes(auricle, study):
    Path("sounds").rename("elsewhere")
    answer = auricle("report", "quickstart")
    assert answer.code == 0
    assert "auricle: the page of mistakes was not written: no source 'sounds'" in answer.err
    assert not (study / "report" / "errors.html").exists()
    named = auricle("report", "quickstart", "--data", "elsewhere", "-q")
    assert (named.code, named.err) == (0, "")
    assert (study / "report" / "errors.html").exists()


def test_recordings_that_a_person_names_must_be_there(auricle, study):
    missing = auricle("report", "quickstart", "--data", "nowhere")
    assert missing.code == 2
    assert "auricle: no source 'nowhere'" in missing.err
    recording = next(Path("sounds").rglob("*.wav"))
    recording.write_bytes(next(path for path in Path("sounds").rglob("*.wav") if path != recording).read_bytes())
    changed = auricle("report", "quickstart", "--data", "sounds", "-q")
    assert changed.code == 3
    assert "differs from the recordings of" in changed.err
    assert changed.err.count("\n") == 1


def test_a_hand_in_that_cannot_be_written_is_the_machines_fault(auricle, study):
    Path("file").touch()
    answer = auricle("report", "quickstart", "--hand-in", "file/answer", "-q")
    assert answer.code == 5
    assert answer.err.startswith("auricle: cannot write file/answer.py")


def test_a_study_without_results_is_not_handed_in(auricle, study):
    next(study.rglob("metrics.json")).unlink()
    answer = auricle("report", "quickstart", "--hand-in", "answer", "-q")
    assert answer.code == 1
    assert "no cell of runs/quickstart is finished" in answer.err
    assert not Path("answer.pdf").exists()
