import json
from pathlib import Path

import pytest

from auricle.cli.diagnose import verdict
from auricle.training.diagnose import Diagnosis, Trial

TRIALS = (
    Trial((), 4, 2.3, 0.1, learns=False),
    Trial(("a.b=1", "a.c=2"), 4, 1.5, 0.6, learns=True),
    Trial(("a.d=3",), 4, None, None, learns=False),
)
ILL = Diagnosis("learning rate 1 is too high", TRIALS)


@pytest.fixture
def asked(monkeypatch) -> dict:
    """What the training is asked to diagnose; the answer is `ILL`."""
    heard = {}

    def diagnose(preset, recordings, split, *, on_trial, **options):
        heard.update(preset=preset, recordings=recordings, split=split, **options)
        if on_trial:
            on_trial(())
        return ILL

    monkeypatch.setattr("auricle.training.diagnose.diagnose", diagnose)
    return heard


def test_a_cell_is_diagnosed_from_its_folder_alone(auricle, sounds, training, asked):
    training("quick")
    made = auricle("train", "tiny", "--data", str(sounds), "--out", "s", "--no-report", "--workers", "1", "-q",
                   "--set", "training.epochs=3")  # fmt: skip
    assert made.code == 0, made.err
    cell = "s/cells/tiny/test-split-2-0"
    collapse = {"kind": "chance", "epoch": 3, "cause": "a full moon", "cures": []}
    Path(cell, "history.jsonl").write_text(json.dumps({"epoch": 3, "collapse": collapse}) + "\n")
    answer = auricle("diagnose", cell, "--epochs", "4", "--device", "cpu")
    assert answer.code == 0, answer.err
    assert "training as configured" in answer.err
    assert asked["preset"].training.epochs == 3
    assert (asked["split"].protocol, asked["split"].fold) == ("test-split", 2)
    assert (asked["seed"], asked["epochs"], asked["device"], asked["collapse"]) == (0, 4, "cpu", collapse)
    assert answer.out.startswith("Likely cause: learning rate 1 is too high.")
    assert max(map(len, answer.out.splitlines())) <= 80
    assert "Lowest training loss after 4 epochs: --set a.b=1 --set a.c=2" in answer.out
    assert "diverges" in answer.out
    found = json.loads(auricle("diagnose", cell, "-q", "--json").out)
    assert found["trials"][1]["change"] == ["a.b=1", "a.c=2"]


def test_other_recordings_than_those_of_the_study_are_refused(auricle, sounds, training, asked):
    training("quick")
    auricle("train", "tiny", "--data", str(sounds), "--out", "s", "--no-report", "--workers", "1", "-q")
    next(sounds.rglob("*.wav")).unlink()
    answer = auricle("diagnose", "s/cells/tiny/test-split-2-0")
    assert answer.code == 3
    assert "differs from the recordings of" in answer.err or "fewer" in answer.err


def test_what_is_no_cell_is_refused(auricle, tmp_path):
    answer = auricle("diagnose", str(tmp_path))
    assert answer.code == 3
    assert "not the folder of a trained cell (STUDY/cells/MODEL/PROTOCOL-FOLD-SEED" in answer.err


def trial(change: str, loss: float | None, learns: bool) -> Trial:
    return Trial((change,) if change else (), 10, loss, None if loss is None else 0.5, learns)


def test_the_verdict_names_the_cure_with_the_lowest_loss():
    ill = trial("", 2.3, False)
    found = Diagnosis(
        "a rate", (ill, trial("a.b=1", 1.0, True), trial("a.b=2", 0.5, True), trial("a.b=3", None, False))
    )
    assert verdict(found) == "Lowest training loss after 10 epochs: --set a.b=2"
    assert verdict(Diagnosis("a rate", (ill, trial("a.b=1", 2.3, False)))).startswith(
        "It did not learn with any of these"
    )
    assert "nothing to fix" in verdict(Diagnosis(None, (trial("", 0.1, True),)))
