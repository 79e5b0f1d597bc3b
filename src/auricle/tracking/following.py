"""The values sent to trackers, read from the folder of a cell, and the loop that follows the cells of a study."""

import json
import re
import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from auricle import runs
from auricle.config.reading import load_record
from auricle.runs import Cell, StudyFolder
from auricle.tracking.tracking import read_tracked, write_tracked

POLL_S = 1.0
CURVES = {
    "train_accuracy": "train/accuracy",
    "train_loss": "train/loss",
    "validation_accuracy": "validation/accuracy",
    "validation_loss": "validation/loss",
    "learning_rate": "learning_rate",
}
SCORES = (
    "accuracy", "loss", "macro_precision", "macro_recall", "macro_f1", "macro_auc", "calibration_error",
)  # fmt: skip
COSTS = ("parameters", "trainable_parameters", "multiply_adds", "seconds", "epochs")


class LostConnection(Exception):  # noqa: N818
    """The tracker cannot be reached, so no cell of this study can be sent now."""


class CellMirror(ABC):
    """One cell and its run in a tracker."""

    tracker: str

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.tracked = read_tracked(cell, self.tracker)
        self.seen: tuple[Any, ...] = ()

    def catch_up(self) -> None:
        """Send what is new in the cell's folder, if its files have changed."""
        found = tuple(_version_of(path) for path in (self.cell.history, self.cell.metrics, self.cell.error))
        if found != self.seen:
            self.seen = found
            self.send()

    @abstractmethod
    def send(self) -> None:
        """Send everything that the run lacks."""

    @abstractmethod
    def leave(self) -> None:
        """Close the run of a cell that has not ended; it can be resumed."""

    def remember(self, **changes: Any) -> None:
        """Record what was sent."""
        self.tracked = replace(self.tracked, **changes)
        write_tracked(self.cell, self.tracker, self.tracked)


def _version_of(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size


def curves_of(record: Mapping[str, Any]) -> dict[str, float]:
    """Return the values of one epoch by their names in trackers."""
    return {name: record[key] for key, name in CURVES.items() if key in record}


def scores_of(cell: Cell) -> dict[str, float]:
    """Return the known test scores and the costs of a finished cell by their names in trackers."""
    metrics = runs.read_metrics(cell, cell.predictions)
    clip, window = metrics["test"]["clip"], metrics["test"]["window"]
    scores = {f"test/{name}": clip[name] for name in SCORES}
    found = scores | {"test/window_accuracy": window["accuracy"]} | {name: metrics[name] for name in COSTS}
    return {name: value for name, value in found.items() if value is not None}  # no AUC where a class is absent


def cause_of(cell: Cell) -> str:
    """Return why a cell failed."""
    return str(json.loads(cell.error.read_text(encoding="utf-8"))["cause"])


def dataset_name(description: Mapping[str, Any]) -> str:
    """Return the name of a study's dataset as trackers accept it: without special characters, at most 100 long."""
    return re.sub(r"[/\\#?%:]+", "-", Path(description["dataset"]["source"]).resolve().name)[:100] or "recordings"


def follow(
    study: StudyFolder, over: threading.Event, open_cell: Callable[[Cell, Mapping[str, Any]], CellMirror]
) -> int:
    """Mirror a study until it has ended; return the number of cells that could not be mirrored.

    Args:
        study: the folder to follow.
        over: set when the study has ended.
        open_cell: called with a cell and its preset, as in study.yaml.

    Raises:
        LostConnection: the rest cannot be sent.
    """
    description = load_record(study.description)
    cells: dict[str, CellMirror] = {}
    failed: set[str] = set()
    ended = False
    while not ended:
        ended = over.wait(POLL_S)
        for cell in study.cells():
            name = str(cell.name)
            if name in failed or cell.name.model not in description["models"]:  # the latter: copied from elsewhere
                continue
            try:
                if name not in cells:
                    cells[name] = open_cell(cell, description["models"][cell.name.model])
                cells[name].catch_up()
            except LostConnection:
                raise
            except Exception:  # a cell that cannot be sent must not block the others
                traceback.print_exc()  # to standard error, which is the log
                failed.add(name)
    for mirror in cells.values():
        mirror.leave()
    return len(failed)
