import json
import os
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "search"))

import fake_trials

SPACE = """
about: "Batch sizes."
models: [cnn]
data: sounds
trials: 3
overrides: {training.epochs: 2}
parameters:
  training.batch_size: [16, 32, 64]
  training.learning_rate: {low: 1e-4, high: 1.0, log: true}
"""
WORDS = ("search", "mine.yaml", "--workers", "1", "--device", "cpu", "--no-report")


def lines(text: str) -> list[str]:
    return text.strip().splitlines()


@pytest.fixture
def mine(tmp_path: Path, sounds: Path, training, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A space in the current folder, and stand-ins for every training."""
    monkeypatch.setattr("auricle.search.search.real_fit", lambda: fake_trials.quick)
    path = tmp_path / "mine.yaml"
    path.write_text(SPACE)
    return path


def test_a_search_ends_with_its_best_set_and_the_score_of_its_study(auricle, mine):
    answer = auricle(*WORDS)
    assert answer.code == 0
    assert "3 trials on validation folds" in answer.err
    assert re.search(r"\[3/3\] trial-\d  ?\d s  loss \d\.\d+  \d+\.\d %", answer.err)
    assert re.search(r"training.batch_size +\d+ +(\d+ %|–)", answer.out)
    assert re.search(r"trial-\d of 3 trials \(3 done\): validation loss", answer.out)
    assert re.search(r"cnn-trial-\d +1 +\d+ +100\.0", answer.out)
    assert max(map(len, lines(answer.out) + lines(answer.err))) <= 80
    again = auricle(*WORDS)
    assert again.code == 0
    assert "no trials left; 3 trials ended" in again.err


def test_json_has_the_best_set_the_trials_and_the_result_of_the_study(auricle, mine):
    document = json.loads(auricle(*WORDS, "--trials", "2", "--json", "-q").out)
    found = document["search"]
    assert len(found["trials"]) == 2
    assert found["best"]["loss"] == min(trial["loss"] for trial in found["trials"])
    assert document["results"][0]["model"] == f"cnn-trial-{found['best']['number']}"


@pytest.mark.parametrize("option", ["--storage {}", "--storage={}"])
@pytest.mark.parametrize("url", ["postgresql://me:se/cret!x@host/trials", "mysql://host/trials?password=se/cret!x&a=b"])
def test_a_password_in_the_storage_stands_in_no_record(option, url, auricle, mine, monkeypatch, tmp_path):
    from auricle.search import storage

    opened: list[str] = []
    monkeypatch.setattr(storage, "_open", lambda url, real=storage._open: (opened.append(url), real("journal.log"))[1])
    words = (*WORDS, *option.format(url).split(), "--trials", "1")
    monkeypatch.setattr(sys, "argv", ["auricle", *words])
    monkeypatch.setattr("auricle.search.search.real_fit", lambda: fake_trials.quick)
    monkeypatch.setattr("auricle.search.source.fit_judged", fake_trials.unjudged)
    assert auricle(*words).code == 0
    assert set(opened) == {url}
    for path in (tmp_path / "runs").rglob("*.*"):
        assert b"cret" not in path.read_bytes(), path


def test_a_tracker_that_does_not_exist_is_refused_before_the_first_trial(auricle, mine, monkeypatch):
    monkeypatch.setattr("auricle.search.search.run_search", None)
    for option in ("--wandb", "--tracker"):
        answer = auricle(*WORDS, option, "onlin")
        assert answer.code == 2
        assert f"option {option} 'onlin'" in answer.err


def test_status_of_a_search_says_what_is_done_and_what_is_best(auricle, mine):
    auricle(*WORDS)
    answer = auricle("status", "search-mine")
    assert answer.code == 0
    assert "search mine, finished: 3 of 3 trials ended: 3 done" in answer.out
    assert re.search(r"best: trial-\d, validation loss", answer.out)
    assert "study mine, finished: 1 of 1 cell done" in answer.out
    assert auricle("study", "--status", "search-mine") == answer
    document = json.loads(auricle("status", "runs/search-mine", "--json").out)
    assert document["search"]["counts"]["done"] == 3
    assert document["study"]["cells"][0]["state"] == "done"


def test_trials_that_an_earlier_process_left_are_stopped_until_they_are_trained_again(auricle, mine):
    from auricle import files, runs

    auricle(*WORDS)
    folder = Path("runs/search-mine/search")
    content = files.read_sealed(folder / "trials.json")
    for entry in content["trials"][:2]:
        entry["state"] = "running"
        cell = folder / f"cells/trial-{entry['folder']}/test-split-2-0"
        (cell / "metrics.json").unlink()
        for path in cell.iterdir():
            os.utime(path, (1e9, 1e9))
    files.write_sealed(folder / "trials.json", content)
    os.utime(folder / "trials.json", (1e9, 1e9))
    with runs.lock(folder):
        assert "3 trials ended: 1 done, 2 stopped" in auricle("status", "search-mine").out
        for entry, state in zip(content["trials"], ("running", "waiting"), strict=False):
            entry["state"] = state
        files.write_sealed(folder / "trials.json", content)
        os.utime(folder / f"cells/trial-{content['trials'][0]['folder']}/test-split-2-0/history.jsonl")
        answer = auricle("status", "search-mine")
    assert "3 trials ended: 1 done, 1 running, 1 stopped; about" in answer.out
    assert re.search(rf"trial-{content['trials'][0]['folder']}/test-split-2-0 +running", answer.out)
    assert re.search(rf"trial-{content['trials'][1]['folder']}/test-split-2-0 +stopped", answer.out)


def test_status_of_what_still_reads_its_recordings(auricle, mine):
    from auricle import runs

    Path("runs/search-mine/search").mkdir(parents=True)
    with runs.lock(Path("runs/search-mine/search")):
        answer = auricle("status", "search-mine")
    assert (answer.code, "is still reading its recordings" in answer.err) == (5, True)


@pytest.mark.parametrize(
    ("change", "words", "code", "says"),
    [
        ("training.batch_size: [16, 32, 64]", "training.batchsize: [16]", 2, "did you mean 'training.batch_size'?"),
        ("low: 1e-4, high: 1.0", "low: 1.0, high: 1e-4", 2, "is not below high"),
        ("training.batch_size: [16, 32, 64]", "encoder.num_heads: [1, 2]", 2, "no encoder in cnn"),
        ("models: [cnn]", "models: [cnm]", 2, "did you mean 'cnn'?"),
        ("trials: 3", "trails: 3", 2, "no field 'trails': did you mean 'trials'?"),
        ("trials: 3", "trials: 3\nseed: 1000000000", 2, "seed: Input should be less than 1000000000"),
        ("trials: 3", "trials: 0", 2, "trials: Input should be greater than or equal to 1"),
    ],
)  # fmt: skip
def test_a_space_that_is_wrong_is_one_line_and_exit_code_2(auricle, mine, change, words, code, says):
    mine.write_text(SPACE.replace(change, words))
    answer = auricle(*WORDS)
    assert (answer.code, answer.out) == (code, "")
    assert len(lines(answer.err)) == 1
    assert says in answer.err
    assert not Path("runs").exists()


def test_an_empty_space_is_exit_code_2(auricle, mine):
    mine.write_text("models: [cnn]\n")
    answer = auricle(*WORDS)
    assert answer.code == 2
    assert "has nothing to try" in answer.err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("search",), 2, "available: assignment, wide"),
        (("search", "wied"), 2, "did you mean 'wide'?"),
        ((*WORDS, "--set", "training.batch_size=16"), 2, "is searched, so it cannot be set"),
        ((*WORDS, "--storage", "sqlite:////no/such/folder/x.db"), 5, "cannot use the storage sqlite:////no/such"),
        ((*WORDS, "--storage", "postgresql://nobody:secret@127.0.0.1:1/x"), 5, "storage postgresql://127.0.0.1:1/x"),
        ((*WORDS, "--storage", "sqlight:///x.db"), 2, "is not a storage"),
        ((*WORDS, "--device", "gpu"), 2, "Available: auto, cpu"),
        (("status", "nowhere"), 3, "contains neither a study nor a search"),
    ],
)
def test_wrong_words_are_one_line_with_their_exit_code(auricle, mine, words, code, says):
    answer = auricle(*words)
    assert answer.code == code
    assert says in answer.err
    assert len(lines(answer.err)) == 1
    assert "secret" not in answer.err


SMALL = ("--data", "sounds", "--models", "cnn,transformer-h1", "--protocols", "test-split", "--workers", "1",
         "--set", "training.epochs=4", "--no-report")  # fmt: skip


def test_status_tells_running_stopped_failed_and_waiting_cells_apart(auricle, sounds, training):
    training("cnn_diverges")
    auricle("study", "quickstart", *SMALL, "--protocols", "k-fold")
    cells = Path("runs/quickstart/cells/transformer-h1")
    half = cells / "k-fold-3-0"
    (half / "metrics.json").unlink()
    history = [json.loads(line) for line in (half / "history.jsonl").read_text().splitlines()][:2]
    (half / "history.jsonl").write_text("".join(json.dumps(record | {"seconds": 30.0}) + "\n" for record in history))
    for path in (cells / "k-fold-5-0").iterdir():
        path.unlink()
    (cells / "k-fold-5-0").rmdir()
    answer = auricle("status", "runs/quickstart")
    assert "study quickstart, not running: 2 of 8 cells done; 1 stopped, 4 failed, 1 waiting" in answer.out
    assert re.search(r"^cnn +· +· +· +4 +·", answer.out, re.MULTILINE)
    assert re.search(r"^transformer-h1 +2 +· +1 +· +1", answer.out, re.MULTILINE)
    assert re.search(r"transformer-h1/k-fold-3-0 +stopped +2/4 +50.0 +25.0", answer.out)
    assert "loss nan in epoch 2" in answer.out
    assert max(map(len, lines(answer.out))) <= 80


def test_status_reads_a_study_that_runs_without_disturbing_it(auricle, sounds, training):
    from auricle import runs

    auricle("study", "quickstart", *SMALL)
    cell = Path("runs/quickstart/cells/cnn/test-split-2-0")
    (cell / "metrics.json").unlink()
    records = [{"epoch": epoch, "seconds": 30.0, "train_accuracy": 0.5} for epoch in (1, 2)]
    history = "".join(json.dumps(record) + "\n" for record in records)
    (cell / "history.jsonl").write_text(history)
    assert "not running" in auricle("status", "runs/quickstart").out
    with runs.lock(Path("runs/quickstart")):
        (cell / "history.jsonl").write_text(history)
        before = sorted((path, path.stat().st_mtime_ns) for path in Path("runs/quickstart").rglob("*"))
        answer = auricle("status", "runs/quickstart")
        assert before == sorted((path, path.stat().st_mtime_ns) for path in Path("runs/quickstart").rglob("*"))
        assert runs.owner(Path("runs/quickstart")) == os.getpid()
    assert "study quickstart, running: 1 of 2 cells done; 1 running; about 60 s left" in answer.out
    assert re.search(r"cnn/test-split-2-0 +running +2/4 +50.0 +– +60 s", answer.out)
    assert runs.owner(Path("runs/quickstart")) is None
