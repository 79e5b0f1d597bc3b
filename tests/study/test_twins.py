import pytest

from auricle import runs
from auricle.errors import MachineError
from auricle.runs import CellName, StudyFolder

ONCE, TWICE = CellName("cnn", "test-split", 2, 0), CellName("cnn", "k-fold", 2, 0)


def test_a_training_that_stands_under_two_names_runs_once_and_is_kept_twice(run, recorder, tmp_path):
    result = run(models=("cnn",))
    study = StudyFolder(tmp_path / "study")
    first, second = study.cell(ONCE), study.cell(TWICE)
    assert result.num_ran == 4
    assert {ONCE, TWICE} <= set(result.done)
    for name in ("config.yaml", "history.jsonl", "predictions.csv"):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()
    metrics, same = runs.read_metrics(first), runs.read_metrics(second, second.predictions, second.history)
    assert (same.pop("cell"), same.pop("same_as")) == (str(TWICE), str(ONCE))
    assert {name: value for name, value in same.items() if name != "files"} == {
        name: value for name, value in metrics.items() if name not in ("cell", "files")
    }
    assert any("(first: cnn/k-fold-2-0 is the same as cnn/test-split-2-0)" in note for note in recorder.of("note"))


def test_a_protocol_that_is_added_takes_over_what_is_done(run, fakes):
    run(models=("cnn",), protocols=("k-fold",))
    result = run(fakes.never_called, models=("cnn",), protocols=("k-fold", "test-split"))
    assert (result.num_ran, len(result.done)) == (0, 5)


def test_a_run_of_another_protocol_takes_over_what_the_folder_has(run, tmp_path):
    run(models=("cnn",), protocols=("test-split",))
    assert run(models=("cnn",), protocols=("k-fold",)).num_ran == 3
    study = StudyFolder(tmp_path / "study")
    assert runs.read_metrics(study.cell(TWICE))["same_as"] == str(ONCE)
    (study.cell(ONCE).predictions).write_text("damaged")
    assert run(models=("cnn",), protocols=("k-fold",), seeds=(0, 1)).num_ran == 4


def test_an_original_that_is_made_again_from_its_copy_is_the_original_again(run, tmp_path):
    run(models=("cnn",))
    study = StudyFolder(tmp_path / "study")
    study.cell(ONCE).predictions.write_text("damaged")
    assert run(models=("cnn",)).num_ran == 0
    assert "same_as" not in runs.read_metrics(study.cell(ONCE))
    assert runs.read_metrics(study.cell(TWICE))["same_as"] == str(ONCE)


def test_a_protocol_that_is_added_needs_no_weights_of_what_is_done(run, tmp_path):
    run(models=("cnn",), protocols=("test-split",))
    done = StudyFolder(tmp_path / "study").cell(ONCE)
    done.weights.write_bytes(b"weights")
    runs.write_metrics(done, runs.read_metrics(done))
    done.weights.unlink()
    assert run(models=("cnn",)).num_ran == 3
    assert not StudyFolder(tmp_path / "study").cell(TWICE).weights.exists()


def test_what_waits_for_its_twin_has_no_folder_and_so_is_not_said_to_run(run, fakes, tmp_path):
    with pytest.raises(MachineError):
        run(fakes.disk_is_full, models=("cnn",))
    study = StudyFolder(tmp_path / "study")
    assert study.cell(ONCE).folder.exists()
    assert not study.cell(TWICE).folder.exists()


def test_another_seed_and_another_model_are_other_trainings(run):
    assert run(seeds=(0, 1)).num_ran == 2 * 2 * 4


def test_a_failure_stands_under_both_names_until_it_is_mended(run, fakes, tmp_path):
    causes = run(fakes.cnn_diverges, models=("cnn",)).failed
    assert causes[ONCE] == causes[TWICE]
    assert StudyFolder(tmp_path / "study").cell(TWICE).error.exists()
    result = run(models=("cnn",))
    assert (result.num_ran, result.failed) == (4, {})
    assert not StudyFolder(tmp_path / "study").cell(TWICE).error.exists()
