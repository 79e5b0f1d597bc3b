"""What is sent to W&B, and when, seen through a stand-in for its module."""

import json
import sys
from types import SimpleNamespace

import pytest
import yaml

from auricle import files
from auricle.runs import StudyFolder
from auricle.tracking import mirror
from auricle.tracking.final_sync import FinalSync
from auricle.tracking.mirror import WandbMirror
from auricle.tracking.tracking import read_tracked


class FakeRun:
    def __init__(self, wandb, folder, options):
        self.wandb, self.options, self.id = wandb, options, options["id"]
        self.dir, self.url = str(folder / "files"), f"https://wandb.ai/me/{options['project']}/runs/{options['id']}"
        self.step = wandb.steps.get(self.id, 0) if options["resume"] else 0
        self.rows, self.summary, self.exit_code = [], {}, None

    def log(self, row, step):
        self.rows.append((step, row))
        self.wandb.steps[self.id] = step + 1

    def finish(self, exit_code):
        self.exit_code = exit_code


class FakeWandb:
    """Enough of W&B to see what it is told; `steps` is what its server would know."""

    def __init__(self, folder):
        self.folder, self.runs, self.steps, self.broken, self.connected = folder, [], {}, (), True
        self.plot = SimpleNamespace(confusion_matrix=lambda **options: options)

    def Settings(self, **options):
        return options

    def Table(self, **options):
        return options

    def plot_table(self, **options):
        return options

    def setup(self):
        """Nothing is to be set up."""

    def init(self, **options):
        if options["name"] in self.broken:
            raise PermissionError("no room")
        if options["mode"] == "online" and not self.connected:
            raise ConnectionError("no network")
        folder = self.folder / f"run-{len(self.runs)}-{options['id']}"
        folder.mkdir(parents=True)
        self.runs.append(FakeRun(self, folder, options))
        return self.runs[-1]


@pytest.fixture
def wandb(tmp_path, monkeypatch):
    fake = FakeWandb(tmp_path / "study" / "wandb")
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return fake


@pytest.fixture
def cell(run, tmp_path):
    """A finished cell of two epochs."""
    run(models=("cnn",), protocols=("test-split",))
    return StudyFolder(tmp_path / "study").cells()[0]


OVER = FinalSync(online=False, over=True)
NAMES = {"project": "sounds", "group": "small", "dir": "."}


PRESET = {"name": "cnn", "training": {"epochs": 2}}


def follow(cell, mode):
    return WandbMirror(cell, mode, NAMES, PRESET)


def rewind(cell, num_epochs: int) -> str:
    """Make a finished cell one in training; return its metrics."""
    metrics = cell.metrics.read_text()
    cell.metrics.unlink()
    truncate(cell, num_epochs)
    return metrics


def truncate(cell, num_epochs: int) -> None:
    cell.history.write_text("".join(f"{json.dumps({**EPOCH, 'epoch': n})}\n" for n in range(1, num_epochs + 1)))


EPOCH = {
    "train_loss": 1.0,
    "train_accuracy": 0.5,
    "validation_loss": 1.5,
    "validation_accuracy": 0.25,
    "learning_rate": 0.1,
}
SENT = {
    "train/loss": 1.0,
    "train/accuracy": 0.5,
    "validation/loss": 1.5,
    "validation/accuracy": 0.25,
    "learning_rate": 0.1,
}


def test_a_finished_cell_is_one_finished_run_with_curves_scores_and_charts(wandb, cell):
    follow(cell, "online").catch_up()
    (run,) = wandb.runs
    assert (run.options["project"], run.options["group"], run.options["name"]) == (
        "sounds",
        "small",
        "cnn/test-split-2-0",
    )
    assert run.options["config"]["training"]["epochs"] == 2
    assert run.options["config"]["protocol"] == "test-split"
    assert [step for step, _ in run.rows] == [1, 2, 3]
    assert set(run.rows[0][1]) == set(SENT)
    assert set(run.rows[2][1]) == {"test/confusion_matrix", "test/roc"}
    assert run.summary["test/accuracy"] == 1.0
    assert run.summary["parameters"] == 7
    assert run.exit_code == 0
    assert read_tracked(cell).state == "finished"


def test_epochs_are_sent_online_as_they_are_written_and_each_once(wandb, cell):
    metrics = rewind(cell, 1)
    follower = follow(cell, "online")
    follower.catch_up()
    follower.catch_up()
    truncate(cell, 3)
    follower.catch_up()
    cell.metrics.write_text(metrics)
    follower.catch_up()
    (run,) = wandb.runs
    assert run.rows[:3] == [(1, SENT), (2, SENT), (3, SENT)]
    assert len(run.rows) == 4


def test_a_study_that_goes_on_continues_its_run_where_it_stood(wandb, cell):
    metrics = rewind(cell, 2)
    first = follow(cell, "online")
    first.catch_up()
    first.leave()
    assert wandb.runs[0].exit_code == 1
    assert read_tracked(cell).epochs == 2
    truncate(cell, 3)
    cell.metrics.write_text(metrics)
    follow(cell, "online").catch_up()
    assert wandb.runs[1].id == wandb.runs[0].id
    assert wandb.runs[1].options["resume"] == "allow"
    assert [step for step, _ in wandb.runs[1].rows] == [3, 4]


def test_rows_that_the_server_has_are_not_sent_though_the_note_of_it_was_lost(wandb, cell):
    rewind(cell, 2)
    first = follow(cell, "online")
    first.catch_up()
    tracked = files.read_sealed(cell.folder / "tracking.json")
    files.write_sealed(cell.folder / "tracking.json", {**tracked, "epochs": 0})
    truncate(cell, 3)
    follow(cell, "online").catch_up()
    assert [step for step, _ in wandb.runs[1].rows] == [3]


def test_rows_that_the_server_never_got_are_sent_again(wandb, cell):
    rewind(cell, 3)
    follow(cell, "online").catch_up()
    wandb.steps[wandb.runs[0].id] = 2  # it knows of one row; two were lost on their way
    truncate(cell, 4)
    follow(cell, "online").catch_up()
    assert [step for step, _ in wandb.runs[1].rows] == [2, 3, 4]


def test_a_mirrored_cell_is_not_opened_again(wandb, cell):
    follow(cell, "online").catch_up()
    follow(cell, "online").catch_up()
    assert len(wandb.runs) == 1


def test_an_unfinished_cell_writes_nothing_offline(wandb, cell):
    rewind(cell, 2)
    follow(cell, "offline").catch_up()
    assert not wandb.runs


def test_a_failed_cell_that_succeeds_later_leaves_one_whole_run_offline(wandb, cell, tmp_path):
    metrics = rewind(cell, 1)
    files.write_json(cell.error, {"cause": "loss nan"})
    follow(cell, "offline").catch_up()
    assert wandb.runs[0].summary == {"error": "loss nan"}
    assert wandb.runs[0].exit_code == 1
    cell.error.unlink()
    truncate(cell, 2)
    cell.metrics.write_text(metrics)
    follow(cell, "offline").catch_up()
    assert wandb.runs[1].id == wandb.runs[0].id
    assert [step for step, _ in wandb.runs[1].rows] == [1, 2, 3]
    assert [path.name for path in wandb.folder.iterdir()] == [f"run-1-{wandb.runs[0].id}"]


def test_what_was_sent_online_is_not_sent_again_offline(wandb, cell):
    follow(cell, "online").catch_up()
    follow(cell, "offline").catch_up()
    assert len(wandb.runs) == 1


def test_without_a_connection_everything_is_written_offline(wandb, cell, tmp_path, monkeypatch, capfd):
    wandb.connected = False
    monkeypatch.setattr(mirror, "_start_again", lambda mode, heard: mirror.follow_study(study, mode, heard))
    study = StudyFolder(tmp_path / "study")
    assert mirror.main(study, "online", OVER) == 0
    assert [(run.options["mode"], run.exit_code) for run in wandb.runs] == [("offline", 0)]
    assert "no network" in capfd.readouterr().err


def test_a_cell_that_cannot_be_sent_does_not_keep_the_others_from_it(wandb, cell, run, tmp_path, capfd):
    run(models=("transformer-h2",), protocols=("test-split",))
    wandb.broken = (str(cell.name),)
    assert mirror.follow_study(StudyFolder(tmp_path / "study"), "offline", OVER) == 1
    assert [run.options["name"] for run in wandb.runs] == ["transformer-h2/test-split-2-0"]
    assert "no room" in capfd.readouterr().err


def test_the_project_is_the_dataset_and_the_group_the_study(cell, tmp_path, monkeypatch):
    study = StudyFolder(tmp_path / "study")
    names = {"project": "sounds", "group": "small", "dir": str(study.folder)}
    description = yaml.safe_load(study.description.read_text())
    assert mirror.names_for_wandb(study, description) == names
    for name, value in {"WANDB_PROJECT": "p", "WANDB_RUN_GROUP": "g", "WANDB_DIR": "/d"}.items():
        monkeypatch.setenv(name, value)
    assert mirror.names_for_wandb(study, description) == {"project": "p", "group": "g", "dir": "/d"}
