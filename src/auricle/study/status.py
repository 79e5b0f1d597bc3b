"""The progress of a study, from the files in its folder; it takes no lock, so it works while the study runs."""

import heapq
import json
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from auricle.config import Preset, StudyConfig
from auricle.data.folds import Split
from auricle.data.manifest import Manifest
from auricle.errors import RefusedError
from auricle.runs import Cell, CellName, StudyFolder, held_since, read_history
from auricle.runs.plan import num_epochs, planned_cells, planned_splits, same_trainings, with_splits
from auricle.runs.record import read_clips, read_description

State = Literal["done", "running", "stopped", "failed", "waiting"]


@dataclass(frozen=True)
class CellStatus:
    """One cell: waiting, in training, stopped before its end, failed with a cause, or done.

    Attributes:
        epoch: the last finished epoch, 0 before the first.
        seconds: duration of the epochs so far.
        left_s: seconds until it is done, if known, also for a waiting cell.
        train_accuracy: after the last epoch, in 0..1.
    """

    name: str
    model: str
    state: State
    epoch: int
    epochs: int
    seconds: float
    left_s: float | None = None
    train_accuracy: float | None = None
    validation_accuracy: float | None = None
    cause: str = ""


@dataclass(frozen=True)
class StudyStatus:
    """A study: its cells in training order, and the seconds until the last is done."""

    name: str
    running: bool
    cells: tuple[CellStatus, ...]
    left_s: float | None

    def num(self, state: State) -> int:
        """Return how many cells are in a state."""
        return sum(cell.state == state for cell in self.cells)


def read_status(folder: Path) -> StudyStatus | None:
    """Return the progress of a study; None if the folder contains no study.

    Raises:
        RefusedError: study.yaml is damaged.
    """
    study = StudyFolder(folder)
    description = read_description(study)
    if description is None:
        return None
    epochs: dict[CellName, int] = {}
    try:
        config = StudyConfig.model_validate(description["study"])
        presets = {name: Preset.model_validate(preset) for name, preset in description["models"].items()}
        dataset, splits = description["dataset"], _read_splits(study, config, presets)
        for name in planned_cells(config, presets, sorted(dataset["folds"])):
            preset, split = presets[name.model], splits.get(name)
            num = num_epochs(preset, len(split.train), dataset["clip_s"]) if split else preset.training.epochs
            epochs[name] = num
    except (ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise RefusedError(f"{study.description} is damaged ({reason}); choose another folder") from error
    since_s = held_since(folder)
    in_folders = {name: study.cell(name) for name in epochs}
    cells = [cell_status(cell, epochs[name], running=is_training(cell, since_s)) for name, cell in in_folders.items()]
    same = same_trainings(splits, {name for name, cell in in_folders.items() if cell.done})
    with_times, left_s = timed(cells, {str(name) for name in same})
    return StudyStatus(config.name, since_s is not None, tuple(with_times), left_s)


def _read_splits(study: StudyFolder, config: StudyConfig, models: Iterable[str]) -> dict[CellName, Split]:
    """Return each cell's split; empty before the table of clips is written, when no cell has started."""
    if not study.manifest.exists():
        return {}
    manifest = Manifest(str(study.folder), read_clips(study), 0.0)
    return with_splits(config, models, manifest, planned_splits(config, manifest))


def is_training(cell: Cell, since_s: float | None) -> bool:
    """Return whether an unfinished cell is in training; what an earlier process left is older than the lock."""
    if since_s is None or not cell.folder.exists():
        return False
    written = [path for path in (cell.config, cell.history) if path.exists()] or [cell.folder]
    return any(path.stat().st_mtime >= since_s for path in written)


def cell_status(cell: Cell, epochs: int, *, running: bool) -> CellStatus:
    """Return the progress of a cell, which need not have a folder yet; `running`: it is in training, if not done."""
    history = read_history(cell)
    last: Mapping[str, Any] = history[-1] if history else {}
    cause = _cause_of_failure(cell) if not cell.done else ""
    state: State = "running" if running else "stopped"
    if cell.done:
        state = "done"
    elif cause:
        state = "failed"
    elif not cell.folder.exists():
        state = "waiting"
    return CellStatus(
        name=str(cell.name),
        model=cell.name.model,
        state=state,
        epoch=last.get("epoch", 0),
        epochs=epochs,
        seconds=sum(record.get("seconds", 0.0) for record in history),
        train_accuracy=last.get("train_accuracy"),
        validation_accuracy=last.get("validation_accuracy"),
        cause=cause,
    )


def _cause_of_failure(cell: Cell) -> str:
    try:
        return str(json.loads(cell.error.read_text(encoding="utf-8"))["cause"])
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown cause"


def timed(cells: Sequence[CellStatus], same: Collection[str] = ()) -> tuple[list[CellStatus], float | None]:
    """Add to each cell the seconds that it still needs, and return the seconds until the last one ends.

    An epoch is assumed to take as long as the model's earlier epochs or, before its first, as those of other models. A
    waiting cell that is the `same` training as another takes no time. As many cells are assumed to train in parallel as
    are running now. None: nothing is known, or nothing is running.
    """
    per_epoch = {
        model: statistics.fmean(cell.seconds / cell.epoch for cell in cells if cell.model == model and cell.epoch)
        for model in {cell.model for cell in cells if cell.epoch}
    }
    overall = statistics.fmean(per_epoch.values()) if per_epoch else None
    timed_cells = []
    for cell in cells:
        pace = per_epoch.get(cell.model, overall)
        open_ = cell.state in ("running", "waiting", "stopped")
        left_s = pace * (cell.epochs - cell.epoch) if open_ and pace is not None else None
        if cell.state == "waiting" and cell.name in same:
            left_s = 0.0
        timed_cells.append(replace(cell, left_s=left_s))
    lanes = [cell.left_s for cell in timed_cells if cell.state == "running" and cell.left_s is not None]
    waiting = [cell.left_s or 0.0 for cell in timed_cells if cell.state in ("waiting", "stopped")]
    return timed_cells, seconds_left(lanes, waiting)


def seconds_left(lanes: Sequence[float], waiting: Iterable[float]) -> float | None:
    """Return the seconds until the last cell ends, if each free worker takes the next one; None without workers.

    `lanes` are the seconds that each worker still needs for its present cell.

    >>> seconds_left([2.0, 6.0], [10.0]), seconds_left([], [10.0])
    (12.0, None)
    """
    free = list(lanes)
    heapq.heapify(free)
    for cell_s in waiting if free else ():
        heapq.heappush(free, heapq.heappop(free) + cell_s)
    return max(free, default=None)
