import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import auricle as package
from auricle import runs
from auricle.config import preset_names

SMALL = ("--data", "sounds", "--models", "cnn", "--protocols", "k-fold", "--set", "training.epochs=2", "--workers", "1",
         "--no-report")  # fmt: skip


def lines(text: str) -> list[str]:
    return text.strip().splitlines()


@pytest.mark.parametrize(
    ("words", "valid"),
    [
        (["study", "quickstrat"], "did you mean 'quickstart'? Available: ablations, esc10"),
        (["study"], "missing STUDY; available: ablations, esc10, esc10-official, quickstart"),
        (["study", "."], "is a folder, not a study; for your own recordings: auricle study --data ."),
        (["study", "quickstart", "--data", "esc1O"], "Available: esc10, esc50, urbansound8k, toy"),
        (["study", "quickstart", "--models", "cnm"], "did you mean 'cnn'?"),
        (
            ["study", "quickstart", "--seeds", "0", "1", "2"],
            "--seeds takes a comma-separated list, for example --seeds 0,1,2",
        ),
        (["study", "quickstart", "--seeds", "0,1", "--models", "cnn", "tiny"], "for example --models cnn,tiny; see"),
        (["train", "cnn", "tiny"], "unexpected extra argument"),
        (["study", "quickstart", "--protocols", "kfold"], "did you mean 'k-fold'? Available: test-split, k-fold"),
        (["study", "quickstart", "--set", "trainin.epochs=1"], "did you mean 'training.epochs'?"),
        (["study", "quickstart", "--set", "training.epoch=1"], "did you mean 'training.epochs'?"),
        (["study", "quickstart", "--set", "training.epochs"], "section.field=value"),
        (["study", "quickstart", "--set", "training.epochs=many"], "training.epochs"),
        (["study", "quickstart", "--models", ""], "models: "),  # as from an unset variable of a script
        (["study", "quickstart", "--protocols", ","], "protocols: "),
        (["study", "quickstart", "--seeds", "one"], "--seeds takes whole numbers"),
        (["study", "quickstart", "--device", "gpu"], "Available: auto, cpu, cuda, mps"),
        (["study", "quickstart", "--wandb", "onlin"], "did you mean 'online'?"),
        (["study", "quickstart", "--worker", "1"], "--workers"),
        (["study", "no/such.yaml"], "cannot read study file no/such.yaml"),
        (["train", "cnm"], "did you mean 'cnn'?"),
        (["train"], "missing MODEL; available: cnn, raw-cnn"),
        (["train", "cnn", "--protocol", "kfold"], "did you mean 'k-fold'?"),
        (["study", "quickstart", "--folds", "second"], "--folds takes whole numbers of 0 or more"),
        (["models", "cnm"], "did you mean 'cnn'?"),
        (["models", "cnn", "--set", "encoder.num_heads=2"], "has no encoder"),
        (["data", "check", "esc1O"], "did you mean 'esc10'?"),
        (["data", "check"], "available: esc10"),
        (["check", "esc1O"], "did you mean 'esc10'?"),
        (["stduy"], "did you mean 'study'?"),
    ],
)
def test_a_wrong_word_is_one_line_with_the_valid_ones_and_exit_code_2(auricle, words, valid, tmp_path):
    answer = auricle(*words)
    assert answer.code == 2
    assert answer.out == ""
    assert len(lines(answer.err)) == 1
    assert answer.err.startswith("auricle: ")
    assert valid.lower() in answer.err.lower()
    assert list(tmp_path.iterdir()) in ([], [tmp_path / "cache"])


def test_a_study_ends_with_its_table_and_its_place(auricle, sounds, training):
    answer = auricle("study", "quickstart", *SMALL)
    assert answer.code == 0
    assert "4 cells to train" in answer.err
    assert "[4/4] cnn/k-fold-5-0" in answer.err
    assert re.search(r"k-fold\s+cnn\s+4 +\d+ +100.0 ± 0.0 +100.0 ", answer.out)
    assert "runs/quickstart" in answer.out
    assert max(map(len, lines(answer.out))) <= 80


def test_a_study_run_again_trains_nothing(auricle, sounds, training):
    auricle("study", "quickstart", *SMALL)
    training("never_called")
    answer = auricle("study", "quickstart", *SMALL)
    assert answer.code == 0
    assert "nothing to train; 4 cells already done" in answer.err


def test_json_is_all_that_stands_on_standard_output(auricle, sounds, training):
    answer = auricle("study", "quickstart", "--json", *SMALL)
    document = json.loads(answer.out)
    assert document["folder"] == "runs/quickstart"
    assert len(document["done"]) == document["trained"] == 4
    assert document["failed"] == {}
    assert document["results"][0]["accuracy"] == 1.0


def test_quiet_says_nothing_but_the_results(auricle, sounds, training):
    assert auricle("study", "quickstart", "-q", *SMALL).err == ""
    assert auricle("-q", "study", "quickstart", *SMALL).err == ""


def test_verbose_tells_of_epochs(auricle, sounds, training):
    assert (
        "cnn/k-fold-2-0  epoch 1/2  train 50.0 %, validation 25.0 %" in auricle("study", "quickstart", "-v", *SMALL).err
    )


def test_failed_cells_make_exit_code_1_and_a_table_and_the_others_finish(auricle, sounds, training):
    training("cnn_diverges")
    answer = auricle("study", "quickstart", *SMALL, "--models", "cnn,transformer-h1", "--protocols", "test-split")
    assert answer.code == 1
    assert "transformer-h1" in answer.out
    assert "cnn/test-split-2-0  loss nan" in answer.err
    assert lines(answer.err)[-1] == "auricle: 1 of 2 cells failed; run the same command to try them again"
    failed = json.loads(auricle("study", "quickstart", *SMALL, "--models", "cnn", "--json").out)["failed"]
    assert len(failed) == 4


def test_recordings_that_are_refused_make_exit_code_3(auricle, sounds, training):
    (sounds / "cat" / "cat 1.wav").write_bytes(b"RIFF")
    answer = auricle("study", "quickstart", *SMALL)
    assert answer.code == 3
    assert "cat 1.wav" in answer.err
    assert "--skip-bad" in answer.err
    assert len(lines(answer.err)) == 1


@pytest.mark.parametrize("keep", ["cat", ""])
def test_one_class_or_none_makes_exit_code_3(auricle, tmp_path, keep):
    (tmp_path / "sounds" / keep).mkdir(parents=True)
    answer = auricle("study", "quickstart", *SMALL)
    assert answer.code == 3
    assert len(lines(answer.err)) == 1


def test_an_absent_dataset_makes_exit_code_3_and_says_how_to_get_it(auricle):
    answer = auricle("study", "esc10")
    assert answer.code == 3
    assert "auricle data get esc10 --yes" in answer.err


def test_a_study_in_use_makes_exit_code_5(auricle, sounds, training):
    with runs.lock(Path("runs/quickstart")):
        answer = auricle("study", "quickstart", *SMALL)
    assert answer.code == 5
    assert "in use by process" in answer.err


def test_a_device_that_is_not_there_makes_exit_code_5(auricle, sounds, training):
    import torch

    if torch.backends.mps.is_available():
        pytest.skip("this machine has the device")
    answer = auricle("study", "quickstart", *SMALL, "--device", "mps")
    assert answer.code == 5
    assert "no device 'mps' on this machine" in answer.err


def test_a_full_disk_makes_exit_code_5(auricle, sounds, training):
    training("disk_is_full")
    answer = auricle("study", "quickstart", *SMALL)
    assert answer.code == 5
    assert "No space left" in answer.err


def test_an_error_of_ours_shows_no_traceback_unless_asked(auricle, sounds, training, monkeypatch):
    monkeypatch.setattr("auricle.api.running.run_cells", lambda *_, **__: {}["x"])
    answer = auricle("study", "quickstart", *SMALL)
    assert answer.code == 1
    assert lines(answer.err)[-1].startswith("auricle: internal error: KeyError: 'x' (please report it; AURICLE_DEBUG=1")
    assert "Traceback" not in answer.err
    assert "Traceback" in auricle("-vv", "study", "quickstart", *SMALL).err
    monkeypatch.setenv("AURICLE_DEBUG", "1")
    answer = auricle("study", "quickstrat")
    assert answer.code == 2
    assert "Traceback" in answer.err


def test_train_is_a_study_of_one_model_and_one_split(auricle, sounds, training):
    answer = auricle("train", "transformer-h2", *SMALL[:2], *SMALL[6:])
    assert answer.code == 0
    assert [p.name for p in Path("runs/transformer-h2/cells/transformer-h2").iterdir()] == ["test-split-2-0"]
    assert "runs/transformer-h2" in answer.out


def test_a_study_takes_some_folds_and_later_the_others(auricle, sounds, training):
    for folds in ("2,4", "2,3"):
        auricle("study", "quickstart", *SMALL, "--folds", folds)
    assert sorted(p.name for p in Path("runs/quickstart/cells/cnn").iterdir()) == [f"k-fold-{n}-0" for n in (2, 3, 4)]
    answer = auricle("study", "quickstart", *SMALL, "--folds", "2,9")
    assert answer.code == 2
    assert "no fold 9 in k-fold; available: 2, 3, 4, 5" in answer.err


def test_train_takes_one_fold_and_a_seed(auricle, sounds, training):
    auricle("train", "cnn", *SMALL[:2], *SMALL[6:], "--protocol", "k-fold", "--fold", "4", "--seed", "7")
    assert [p.name for p in Path("runs/cnn/cells/cnn").iterdir()] == ["k-fold-4-7"]


def test_models_are_listed_with_their_parameters(auricle):
    answer = auricle("models")
    assert answer.code == 0
    assert re.search(r"^ ?transformer-h4 +[\d,]+", answer.out, re.MULTILINE)
    assert max(map(len, lines(answer.out))) <= 80


def test_those_of_published_reports_are_listed_when_asked_for_in_a_line_each(auricle):
    few, every = (lines(auricle("models", *words).out) for words in ((), ("--all",)))
    assert not [line for line in few if line.lstrip().startswith("report-")]
    assert any("14 more reproduce published reports" in line for line in few)
    listed = [line for line in every if line.lstrip().startswith("report-")]
    assert len(listed) == 14
    assert max(map(len, every)) <= 80
    assert {line.split()[0] for line in listed} == {name for name in preset_names() if name.startswith("report-")}


def test_a_model_is_shown_layer_by_layer_and_changed_by_set(auricle):
    answer = auricle("models", "transformer-h2", "--set", "encoder.num_blocks=1")
    assert answer.out.count("self-attention, 2 heads") == 1
    assert re.search(r"non-trainable parameters +0\n", answer.out)
    assert max(map(len, lines(answer.out))) <= 80
    described = json.loads(auricle("models", "transformer-h2", "--json").out)
    assert described["parameters"] == described["trainable_parameters"]
    assert sum(layer["multiply_adds"] for layer in described["layers"]) == described["multiply_adds_per_window"]


def test_data_list_says_where_each_dataset_lies(auricle):
    answer = auricle("data", "list")
    assert "auricle data get esc10" in answer.out
    assert max(map(len, lines(answer.out))) <= 80
    assert {row["name"] for row in json.loads(auricle("data", "list", "--json").out)} >= {"esc10", "toy"}


def test_nothing_is_downloaded_without_a_yes(auricle, monkeypatch):
    monkeypatch.setattr("auricle.data.download.get", lambda *_, **__: pytest.fail("it was downloaded"))
    answer = auricle("data", "get", "esc10")
    assert answer.code == 2
    assert "600 MB" in answer.err
    assert "--yes" in answer.err


def test_a_yes_downloads_and_prints_the_folder(auricle, monkeypatch, tmp_path):
    monkeypatch.setattr("auricle.data.download.get", lambda source, to, on_progress: to / source)
    answer = auricle("data", "get", "esc10", "--yes", "--to", "there")
    assert answer.code == 0
    assert answer.out == "there/esc10\n"


def test_a_dataset_that_is_there_is_not_asked_about(auricle, tmp_path):
    (tmp_path / "there" / "esc50" / "meta").mkdir(parents=True)
    (tmp_path / "there" / "esc50" / "meta" / "esc50.csv").write_text("")
    assert auricle("data", "get", "esc50", "--to", "there").out == "there/esc50\n"


def test_the_version_is_printed(auricle):
    assert auricle("--version").out == f"auricle {package.__version__}\n"


def test_no_words_show_the_help(auricle):
    answer = auricle()
    assert answer.code == 2
    assert "study" in answer.err
    assert auricle("--help").code == 0
    assert auricle("study", "-h").out.startswith("Usage: auricle study")


def test_a_report_of_no_study_is_refused(auricle):
    assert auricle("report", "nowhere").code == 3


def test_a_reader_that_leaves_early_is_no_error():
    command = f'{sys.executable} -c \'from auricle.cli import main; raise SystemExit(main(["data", "list"]))\' | true'
    assert subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, check=False).stderr == b""


def test_of_two_starts_one_wins_and_the_other_changes_no_byte(auricle, sounds, training, monkeypatch, capfd):
    import fake_fits

    study, answers = Path("runs/quickstart"), []

    def contents() -> dict:
        return {path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in study.rglob("*")}

    def meanwhile(cell, *job, **options):
        """Start the study again while it trains."""
        fake_fits.write_epoch(cell, 1, options["on_epoch"])
        before = contents()
        sounds.rename("gone")  # the recordings are not even looked at
        capfd.readouterr()
        answers.append((package.cli.main(("study", "quickstart", *SMALL)), capfd.readouterr().err))
        Path("gone").rename(sounds)
        assert contents() == before
        fake_fits.quick(cell, *job, **options)

    monkeypatch.setattr("auricle.training.fit.fit_cell", meanwhile)
    assert auricle("study", "quickstart", *SMALL).code == 0
    assert len(answers) == 4
    for code, err in answers:
        assert code == 5
        assert f"runs/quickstart is in use by process {os.getpid()}; wait for it or choose another --out" in err
