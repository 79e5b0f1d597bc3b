"""The process that copies a study to TensorBoard or MLflow: `python -m auricle.tracking.local STUDY TRACKER`.

TensorBoard reads event files in STUDY/tensorboard, one folder per cell. MLflow gets one run per cell, in the experiment
of the dataset, with the study as a tag: on the server that MLFLOW_TRACKING_URI names, else in STUDY/mlflow/mlflow.db.
"""

import os
import sys
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from auricle import runs
from auricle.config.reading import load_record
from auricle.runs import Cell, StudyFolder
from auricle.system import disable_telemetry, lower_priority
from auricle.tracking.final_sync import FinalSync
from auricle.tracking.following import CellMirror, cause_of, curves_of, dataset_name, follow, scores_of
from auricle.tracking.tracking import Tracked, mlflow_uri, state_of

MOST_PARAMS = 100  # accepted by MLflow in one request
PATIENCE_S = "5"  # timeout of a request to an MLflow server
STATUS = {"finished": "FINISHED", "failed": "FAILED"}  # of MLflow


class LocalMirror(CellMirror):
    """A run to which epochs are added as they are written, and which records how many it has."""

    def __init__(self, cell: Cell, preset: Mapping[str, Any]) -> None:
        super().__init__(cell)
        self.preset = preset
        self.is_open = False

    def send(self) -> None:
        """Send the new epochs and, if the cell has ended, its scores or the cause of its failure."""
        state, history = state_of(self.cell), runs.read_history(self.cell)
        last = history[-1]["epoch"] if history else 0
        if last < self.tracked.epochs or (self.tracked.state == "finished" != state):  # it is trained again
            self.leave()
            self.discard()
            self.tracked = Tracked()
        if state in ("running", self.tracked.state) and last <= self.tracked.epochs:
            return
        if not self.is_open:
            self.open()
            self.is_open = True
        self.log([record for record in history if record["epoch"] > self.tracked.epochs])
        self.remember(epochs=last, state="running")  # no longer that of an earlier try
        if state != "running":
            self.end(state, last)
            self.is_open = False
            self.remember(state=state)

    def leave(self) -> None:
        """Close the run of a cell that has not ended; it can be resumed."""
        if self.is_open:
            self.end("running", self.tracked.epochs)
            self.is_open = False

    @abstractmethod
    def open(self) -> None:
        """Start the run, or resume it after `tracked.epochs`."""

    @abstractmethod
    def log(self, records: list[dict[str, Any]]) -> None:
        """Add epochs, in order."""

    @abstractmethod
    def end(self, state: str, last_epoch: int) -> None:
        """Close the run of a cell in this state: "finished", "failed", or still "running"."""

    @abstractmethod
    def discard(self) -> None:
        """Delete the run, to replace it by another of the same cell."""


class TensorBoardMirror(LocalMirror):
    """A folder of event files."""

    tracker = "tensorboard"

    def __init__(self, folder: Path, cell: Cell, preset: Mapping[str, Any]) -> None:
        super().__init__(cell, preset)
        self.folder = folder.joinpath(*str(cell.name).split("/"))

    def open(self) -> None:
        """Start an event file; later epochs in an earlier file no longer count."""
        from tensorboardX.event_file_writer import EventsWriter  # SummaryWriter does not control when it writes
        from tensorboardX.proto.event_pb2 import SessionLog

        done = self.tracked.epochs
        self.folder.mkdir(parents=True, exist_ok=True)
        self.writer = EventsWriter(str(self.folder / "events"), f".{done}")
        self._add(done + 1, session_log=SessionLog(status=SessionLog.START))
        if not done:
            self._add_text("configuration", "\n".join(f"    {name}: {value}" for name, value in flat(self.preset)), 0)
        self.remember(folder=str(self.folder))

    def log(self, records: list[dict[str, Any]]) -> None:
        """Add epochs as scalars."""
        for record in records:
            self._add_scalars(curves_of(record), record["epoch"])
        self.writer.flush()

    def end(self, state: str, last_epoch: int) -> None:
        """Add the scores as scalars of the last epoch, or the cause as a text."""
        if state == "finished":
            self._add_scalars(scores_of(self.cell), last_epoch)
        elif state == "failed":
            self._add_text("error", cause_of(self.cell), last_epoch)
        self.writer.close()

    def _add(self, step: int, **content: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        self.writer.write_event(Event(wall_time=time.time(), step=step, **content))

    def _add_scalars(self, values: Mapping[str, float], step: int) -> None:
        from tensorboardX.summary import scalar

        for name, value in values.items():
            self._add(step, summary=scalar(name, value))

    def _add_text(self, name: str, content: str, step: int) -> None:
        from tensorboardX.summary import text

        self._add(step, summary=text(name, content))

    def discard(self) -> None:
        """Delete the event files."""
        for path in self.folder.glob("events.out.tfevents.*"):
            path.unlink()


class MLflowMirror(LocalMirror):
    """A run of MLflow."""

    tracker = "mlflow"

    def __init__(self, client: Any, experiment: str, tags: Mapping[str, str], cell: Cell, preset: Any) -> None:
        super().__init__(cell, preset)
        self.client, self.experiment, self.tags = client, experiment, tags

    def open(self) -> None:
        """Start a run with the configuration as its parameters, or resume it."""
        if self.tracked.run_id:
            self.client.update_run(self.tracked.run_id, status="RUNNING")
            if "error" in self.client.get_run(self.tracked.run_id).data.tags:  # of an earlier try
                self.client.delete_tag(self.tracked.run_id, "error")
            return
        from mlflow.entities import Param

        run = self.client.create_run(self.experiment, run_name=str(self.cell.name), tags=dict(self.tags))
        self.remember(run_id=run.info.run_id)
        about = [*asdict(self.cell.name).items(), *flat(self.preset)]
        params = [Param(name, str(value)) for name, value in about]
        for start in range(0, len(params), MOST_PARAMS):
            self.client.log_batch(self.tracked.run_id, params=params[start : start + MOST_PARAMS])

    def log(self, records: list[dict[str, Any]]) -> None:
        """Add epochs as metrics."""
        for record in records:
            self._log(curves_of(record), record["epoch"])

    def _log(self, values: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now_ms = int(1000 * time.time())
        metrics = [Metric(name, float(value), now_ms, step) for name, value in values.items()]
        self.client.log_batch(self.tracked.run_id, metrics=metrics)

    def end(self, state: str, last_epoch: int) -> None:
        """Add the scores as metrics of the last epoch, or the cause as a tag, and the status."""
        if state == "finished":
            self._log(scores_of(self.cell), last_epoch)
        elif state == "failed":
            self.client.set_tag(self.tracked.run_id, "error", cause_of(self.cell))
        self.client.set_terminated(self.tracked.run_id, STATUS.get(state, "KILLED"))

    def discard(self) -> None:
        """Mark the run as deleted."""
        if self.tracked.run_id:
            self.client.delete_run(self.tracked.run_id)


def flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of nested mappings as `section.field` and value.

    >>> list(flat({"name": "cnn", "training": {"epochs": 2}}))
    [('name', 'cnn'), ('training.epochs', 2)]
    """
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def opener(study: StudyFolder, tracker: str) -> Callable[[Cell, Mapping[str, Any]], CellMirror]:
    """Return a function that opens the mirror of a cell; MLflow is contacted at once, to notice if it is down."""
    if tracker == "tensorboard":
        return lambda cell, preset: TensorBoardMirror(study.folder / tracker, cell, preset)
    for name, value in {"TIMEOUT": PATIENCE_S, "MAX_RETRIES": "1"}.items():
        os.environ.setdefault(f"MLFLOW_HTTP_REQUEST_{name}", value)
    disable_telemetry()
    from mlflow.tracking import MlflowClient

    description, uri = load_record(study.description), mlflow_uri(study)
    client, name = MlflowClient(uri), os.environ.get("MLFLOW_EXPERIMENT_NAME") or dataset_name(description)
    found = client.get_experiment_by_name(name)
    files = (study.folder / tracker / "artifacts").as_uri() if uri.startswith("sqlite:") else None
    experiment = found.experiment_id if found else client.create_experiment(name, artifact_location=files)
    tags = {"study": description["study"]["name"]}
    return lambda cell, preset: MLflowMirror(client, experiment, tags, cell, preset)


def main(study: StudyFolder, tracker: str, final_sync: FinalSync) -> int:
    """Mirror a study and return the exit code."""
    final_sync.listen()
    return 1 if follow(study, final_sync.over, opener(study, tracker)) else 0


if __name__ == "__main__":
    lower_priority()
    code = main(StudyFolder(Path(sys.argv[1])), sys.argv[2], FinalSync(online=False))
    sys.stderr.flush()
    os._exit(code)
