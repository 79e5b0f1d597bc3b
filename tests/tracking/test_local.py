"""What TensorBoard and MLflow hold of a study, read back from their files."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from event_file import scalars, texts

from auricle.errors import MachineError, UsageError
from auricle.runs import StudyFolder
from auricle.tracking.final_sync import FinalSync
from auricle.tracking.local import TensorBoardMirror, main
from auricle.tracking.tracking import Mirror, choose_trackers

CELL = "transformer-h2/test-split-2-0"
CURVES = {
    "train/accuracy": {1: 0.5, 2: 0.5},
    "train/loss": {1: 1.0, 2: 0.5},
    "validation/accuracy": {1: 0.25, 2: 0.25},
    "validation/loss": {1: 2.0, 2: 1.0},
    "learning_rate": {1: pytest.approx(0.01), 2: pytest.approx(0.01)},
}


OVER = FinalSync(online=False, over=True)


def test_tensorboard_has_a_run_for_each_cell_with_curves_scores_and_configuration(run, fakes, tmp_path):
    run(fakes.cnn_diverges, protocols=("test-split",))
    assert main(StudyFolder(tmp_path / "study"), "tensorboard", OVER) == 0
    folder = tmp_path / "study" / "tensorboard"
    found = scalars(folder / CELL)
    assert {name: found[name] for name in CURVES} == CURVES
    assert (found["test/accuracy"], found["parameters"]) == ({2: 1.0}, {2: 7.0})
    assert "training.epochs: 2" in texts(folder / CELL)["configuration/text_summary"]
    failed = folder / "cnn" / "test-split-2-0"
    assert scalars(failed)["train/loss"] == {1: 1.0}
    assert texts(failed)["error/text_summary"].startswith("loss nan in epoch 2")


@pytest.fixture
def cell(run, tmp_path):
    """A finished cell of two epochs."""
    run(models=("cnn",), protocols=("test-split",))
    return StudyFolder(tmp_path / "study").cells()[0]


def test_a_command_to_type_is_quoted_where_a_folder_has_blanks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    where = Mirror(StudyFolder(tmp_path / "my study"), "off", "tensorboard")._where()
    assert where == "TensorBoard: tensorboard --logdir 'my study/tensorboard'"


def keep_epochs(cell, num_epochs: int) -> None:
    lines = cell.history.read_text().splitlines(keepends=True)
    cell.history.write_text("".join(lines[:num_epochs]))


def test_each_epoch_is_in_tensorboard_once_though_the_study_was_stopped_and_the_note_of_it_lost(cell, tmp_path):
    metrics, history = cell.metrics.read_text(), cell.history.read_text()
    cell.metrics.unlink()
    keep_epochs(cell, 1)
    first = TensorBoardMirror(tmp_path / "board", cell, {})
    first.catch_up()
    sent = (cell.folder / "tracking-tensorboard.json").read_text()
    cell.history.write_text(history)
    first.catch_up()
    first.leave()
    (cell.folder / "tracking-tensorboard.json").write_text(sent)  # it was killed before it could write it down
    cell.metrics.write_text(metrics)
    for _ in range(2):
        TensorBoardMirror(tmp_path / "board", cell, {}).catch_up()
    found = scalars(tmp_path / "board" / "cnn" / "test-split-2-0")
    assert {name: found[name] for name in CURVES} == CURVES
    assert found["test/accuracy"] == {2: 1.0}


def test_a_cell_that_goes_on_and_fails_again_has_both_causes(cell, tmp_path):
    cell.metrics.unlink()
    history = cell.history.read_text()
    keep_epochs(cell, 1)
    cell.error.write_text('{"cause": "out of memory"}')
    TensorBoardMirror(tmp_path / "board", cell, {}).catch_up()
    cell.error.unlink()
    cell.history.write_text(history)
    again = TensorBoardMirror(tmp_path / "board", cell, {})
    again.catch_up()
    cell.error.write_text('{"cause": "loss nan"}')
    again.catch_up()
    assert not again.is_open
    found = texts(tmp_path / "board" / "cnn" / "test-split-2-0")
    assert found["error/text_summary"].startswith("loss nan")


def test_a_cell_that_is_trained_anew_takes_the_place_of_its_run(cell, tmp_path):
    TensorBoardMirror(tmp_path / "board", cell, {}).catch_up()
    cell.metrics.unlink()
    history = [json.loads(line) for line in cell.history.read_text().splitlines()]
    cell.history.write_text(json.dumps(history[0] | {"train_loss": 9.0}) + "\n")
    TensorBoardMirror(tmp_path / "board", cell, {}).catch_up()
    found = scalars(tmp_path / "board" / "cnn" / "test-split-2-0")
    assert found["train/loss"] == {1: 9.0}
    assert "test/accuracy" not in found


def rows(database: Path, query: str) -> list[Any]:
    with sqlite3.connect(database) as connection:
        return connection.execute(query).fetchall()


def test_mlflow_has_a_run_for_each_cell_in_one_experiment_and_a_second_time_none_more(
    run, fakes, monkeypatch, tmp_path
):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run(fakes.cnn_diverges, protocols=("test-split",))
    study = StudyFolder(tmp_path / "study")
    assert main(study, "mlflow", OVER) == 0
    database = tmp_path / "study" / "mlflow" / "mlflow.db"
    query = "select r.name, r.status, e.name from runs r join experiments e using (experiment_id) order by r.name"
    assert rows(database, query) == [("cnn/test-split-2-0", "FAILED", "sounds"), (CELL, "FINISHED", "sounds")]
    of_cell = f"from {{}} join runs using (run_uuid) where name = '{CELL}'"
    found: dict[str, dict[int, float]] = {}
    for key, step, value in rows(database, f"select key, step, value {of_cell.format('metrics')}"):
        assert step not in found.setdefault(key, {}), "a step twice"
        found[key][step] = value
    assert {name: found[name] for name in CURVES} == CURVES
    assert found["test/accuracy"] == {2: 1.0}
    params = dict(rows(database, f"select key, params.value {of_cell.format('params')}"))
    assert (params["training.epochs"], params["protocol"]) == ("2", "test-split")
    tags = rows(database, "select tags.key, tags.value from tags where key in ('study', 'error')")
    assert sorted(tags)[1:] == [("study", "small"), ("study", "small")]
    assert sorted(tags)[0][1].startswith("loss nan")
    assert main(study, "mlflow", OVER) == 0
    assert len(rows(database, "select * from runs")) == 2


@pytest.mark.long
def test_a_server_of_mlflow_that_is_down_fails_neither_the_study_nor_another_tracker(
    run, recorder, monkeypatch, tmp_path
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # discard: nobody listens
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert len(run(models=("cnn",), protocols=("test-split",), trackers=["mlflow", "tensorboard"]).done) == 1
    first, second = recorder.of("note")[-2:]
    assert first.startswith("MLflow: failed, the study is not affected: ")
    assert second.startswith("TensorBoard: tensorboard --logdir ")
    assert not (tmp_path / "study" / "wandb").exists()
    assert scalars(tmp_path / "study" / "tensorboard" / "cnn" / "test-split-2-0")


def test_trackers_are_those_that_are_named_and_without_a_name_wandb(monkeypatch):
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", "/nowhere")
    assert choose_trackers(None, None) == ("offline", [])
    assert choose_trackers(None, "off") == ("off", [])
    assert choose_trackers("mlflow, tensorboard", None) == ("off", ["tensorboard", "mlflow"])
    assert choose_trackers("tensorboard,wandb", None) == ("offline", ["tensorboard"])
    assert choose_trackers("tensorboard", "offline") == ("offline", ["tensorboard"])
    with pytest.raises(UsageError, match="no option --tracker 'wandbb': did you mean 'wandb'"):
        choose_trackers("wandbb", None)


def test_a_tracker_that_is_not_installed_is_refused_where_it_is_asked_for_and_else_left_out(monkeypatch):
    monkeypatch.setattr("auricle.extras.find_spec", lambda name: None)
    assert choose_trackers(None, None) == ("off", [])
    assert choose_trackers(None, "off") == ("off", [])
    for trackers, wandb, extra in ((None, "offline", "wandb"), ("wandb", None, "wandb"), ("mlflow", None, "mlflow")):
        with pytest.raises(MachineError, match=rf"pip install 'auricle\[{extra}\]'"):
            choose_trackers(trackers, wandb)


def test_a_cell_that_succeeds_later_has_no_error_in_mlflow(run, fakes, monkeypatch, tmp_path):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for fit in (fakes.cnn_diverges, fakes.quick):
        run(fit, protocols=("test-split",))
        assert main(StudyFolder(tmp_path / "study"), "mlflow", OVER) == 0
    assert rows(tmp_path / "study" / "mlflow" / "mlflow.db", "select * from tags where key = 'error'") == []
