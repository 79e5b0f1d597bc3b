"""The record of a search, trials.json, and its progress, for reports and `auricle status`. Does not need Optuna."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from auricle import runs
from auricle.errors import RefusedError
from auricle.files import read_sealed
from auricle.runs import StudyFolder
from auricle.search.space import MODEL, Choices, Space
from auricle.study.status import CellStatus, cell_status, is_training

ENDED = ("done", "pruned", "failed")
FILE = "trials.json"
Entry = dict[str, Any]


def read_record(folder: Path) -> dict[str, Any] | None:
    """Read the record in the folder of a search; None where there is none.

    Raises:
        RefusedError: it is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        record = read_sealed(path)
        [entry["state"] for entry in record["trials"]]
    except (RefusedError, KeyError, TypeError) as error:
        raise RefusedError(f"{path} is damaged; run the search again to write it again") from error
    return record


def describe_parameters(space: Space) -> dict[str, dict[str, Any]]:
    """Return the possible values of each parameter: {choices} or {low, high, log, whole}."""
    return {
        name: {"choices": list(each.values)} if isinstance(each, Choices) else asdict(each)
        for name, each in space.parameters.items()
    }


def setting(value: Any) -> str:
    """Write a value of a set for people, to four digits; otherwise as it is typed on the command line.

    >>> setting(0.00123456), setting("adam"), setting(True), setting(None)
    ('0.001235', 'adam', 'true', 'null')
    """
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def ranked(entries: Sequence[Entry]) -> list[Entry]:
    """Return the completed trials, lowest validation loss first, the earlier first among equals."""
    done = [entry for entry in entries if entry["state"] == "done"]
    return sorted(done, key=lambda entry: (entry["loss"], entry["number"]))


def best_of(entries: Sequence[Entry]) -> Entry | None:
    """Return the trial with the lowest validation loss; None if none is complete."""
    return next(iter(ranked(entries)), None)


@dataclass(frozen=True)
class SearchStatus:
    """A search: the number of its trials in each state, and the cells of those that are in training or stopped.

    `running`: a process on this machine is training; `left_s` is None if it is unknown, or nothing is running.
    """

    name: str
    running: bool
    num_trials: int
    counts: dict[str, int]
    cells: tuple[CellStatus, ...]
    best: Entry | None
    left_s: float | None


def read_search_status(folder: Path) -> SearchStatus | None:
    """Return the progress of the search in the folder of a study; None if there is none. It takes no lock.

    Raises:
        RefusedError: its record is damaged.
    """
    own_folder = StudyFolder(folder / "search")
    record = read_record(own_folder.folder)
    if record is None:
        return None
    since_s, path = runs.held_since(own_folder.folder), own_folder.folder / FILE
    running = since_s is not None
    is_own = since_s is not None and path.stat().st_mtime >= since_s  # else an earlier process wrote it
    entries: list[Entry] = record["trials"]
    states = [_state(entry, is_own) for entry in entries]
    unfinished = [entry for entry, state in zip(entries, states, strict=True) if state in ("running", "stopped")]
    cells = [cell for entry in unfinished for cell in _cells(own_folder, record, entry, since_s)]
    counts = {state: states.count(state) for state in (*ENDED, "running", "stopped")}
    left_s = _left_s(entries, states.count("running"), record["num_trials"]) if running else None
    return SearchStatus(record["name"], running, record["num_trials"], counts, tuple(cells), best_of(entries), left_s)


def _state(entry: Entry, running: bool) -> str:
    if entry["state"] in ENDED:
        return str(entry["state"])
    return "running" if running and entry["state"] == "running" else "stopped"


def _cells(own_folder: StudyFolder, record: dict[str, Any], entry: Entry, since_s: float | None) -> list[CellStatus]:
    """Return the cells of a trial that have started and are not done."""
    epochs = record["epochs"]
    trained = entry["values"].get("training.epochs") or epochs.get(entry["values"].get(MODEL)) or max(epochs.values())
    own = [cell for cell in own_folder.cells() if cell.name.model == f"trial-{entry['folder']}" and not cell.done]
    return [cell_status(cell, trained, running=is_training(cell, since_s)) for cell in own]


def _left_s(entries: list[Entry], num_running: int, num_trials: int) -> float | None:
    """Estimate the seconds left from the mean of ended trials; those in training are taken as half done."""
    seconds = [entry["seconds"] for entry in entries if entry["state"] in ("done", "pruned") and entry["seconds"]]
    if not seconds or not num_running:
        return None
    num_to_come = num_trials - len(entries) + sum(entry["state"] == "waiting" for entry in entries)
    return statistics.fmean(seconds) * (num_to_come + num_running / 2) / num_running
