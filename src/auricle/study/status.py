"""How far a study is, from what stands on disk; it takes no lock, so it works while the study runs."""

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
from auricle.runs import Cell, CellName, StudyFolder, owner, read_history
from auricle.runs.plan import num_epochs, planned_cells, planned_splits, same_trainings, with_splits
from auricle.runs.record import read_clips, read_description

State = Literal["done", "running", "stopped", "failed", "waiting"]


@dataclass(frozen=True)
class CellStatus:
    """One cell: waiting, in training, stopped in the middle of it, failed with a cause, or done.

    Attributes:
        epoch: the last one that is finished, 0 before that.
        seconds: of the epochs so far.
        left_s: until it is done, where that is known; of a waiting cell too.
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
    """A study: its cells in the order in which they are trained, and the seconds until the last is done."""

    name: str
    running: bool
    cells: tuple[CellStatus, ...]
    left_s: float | None

    def num(self, state: State) -> int:
        """Return how many cells are in a state."""
        return sum(cell.state == state for cell in self.cells)


def read_status(folder: Path) -> StudyStatus | None:
    """Say how far a study is; None where the folder holds none.

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
    running = owner(folder) is not None
    cells = [cell_status(study.cell(name), num, running=running) for name, num in epochs.items()]
    same = same_trainings(splits, {name for name in epochs if study.cell(name).done})
    with_times, left_s = timed(cells, {str(name) for name in same})
    return StudyStatus(config.name, running, tuple(with_times), left_s)


def _read_splits(study: StudyFolder, config: StudyConfig, models: Iterable[str]) -> dict[CellName, Split]:
    """Return each cell's split; none before the table of clips is written, when no cell has begun."""
    if not study.manifest.exists():
        return {}
    manifest = Manifest(str(study.folder), read_clips(study), 0.0)
    return with_splits(config, models, manifest, planned_splits(config, manifest))


def cell_status(cell: Cell, epochs: int, *, running: bool) -> CellStatus:
    """Say how far a cell is of so many epochs; it need not have a folder. `running`: somebody trains in its study."""
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
        return "for an unknown cause"


def timed(cells: Sequence[CellStatus], same: Collection[str] = ()) -> tuple[list[CellStatus], float | None]:
    """Add to each cell the seconds that it still needs, and return those until the last one ends.

    An epoch of a model takes what its epochs have taken so far; of a model that has not begun, what those of the
    others have; one that is the same training as another takes none while it waits. As many are trained at a time as
    are running now. None: nothing is known, or nothing runs.
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
    """Return the seconds until the last cell ends, each taken by the next worker that is free; None without workers.

    `lanes` says what each worker still needs for its cell.

    >>> seconds_left([2.0, 6.0], [10.0]), seconds_left([], [10.0])
    (12.0, None)
    """
    free = list(lanes)
    heapq.heapify(free)
    for cell_s in waiting if free else ():
        heapq.heappush(free, heapq.heappop(free) + cell_s)
    return max(free, default=None)
