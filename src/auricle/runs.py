"""The folder of a study and of a cell: names, whole-or-nothing writes, locks. Knows no model.

    STUDY/study.yaml              what was asked: configuration, dataset, versions, machine
    STUDY/dataset/                manifest.csv, samples.npz (one clip a class, for the report)
    STUDY/models/MODEL.json       layers with shapes and counts
    STUDY/cells/MODEL/PROTOCOL-FOLD-SEED/
        config.yaml  history.jsonl  predictions.csv  model.safetensors  checkpoint.pt  metrics.json
    STUDY/baselines/NAME/PROTOCOL-FOLD-0/
        predictions.csv  metrics.json
    STUDY/results.csv  STUDY/report/

`metrics.json` is written last: where it is, the cell is done. `error.json` says why a cell failed.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from auricle.errors import MachineError


@dataclass(frozen=True, order=True)
class CellName:
    """One training: a model, one fold of a protocol, a seed."""

    model: str
    protocol: str
    fold: int
    seed: int

    def __str__(self) -> str:
        return f"{self.model}/{self.protocol}-{self.fold}-{self.seed}"

    @classmethod
    def parse(cls, text: str) -> CellName:
        """Read what `str` wrote.

        >>> CellName.parse("cnn/k-fold-2-0")
        CellName(model='cnn', protocol='k-fold', fold=2, seed=0)

        Raises:
            ValueError: not such a name.
        """
        match = re.fullmatch(r"(.+)/([a-z-]+)-([0-9]{1,9})-([0-9]{1,9})", text)
        if match is None:
            raise ValueError(f"{text!r} is not MODEL/PROTOCOL-FOLD-SEED")
        return cls(match[1], match[2], int(match[3]), int(match[4]))


@dataclass(frozen=True)
class Cell:
    """The folder of a cell."""

    name: CellName
    folder: Path

    @property
    def config(self) -> Path:
        """The resolved preset, YAML."""
        return self.folder / "config.yaml"

    @property
    def history(self) -> Path:
        """One JSON object an epoch, a line each."""
        return self.folder / "history.jsonl"

    @property
    def predictions(self) -> Path:
        """One row a window that was scored."""
        return self.folder / "predictions.csv"

    @property
    def weights(self) -> Path:
        """The scored weights, safetensors."""
        return self.folder / "model.safetensors"

    @property
    def checkpoint(self) -> Path:
        """Where an unfinished training goes on from."""
        return self.folder / "checkpoint.pt"

    @property
    def metrics(self) -> Path:
        """Scores and costs; written last."""
        return self.folder / "metrics.json"

    @property
    def error(self) -> Path:
        """Why the cell failed, if it did."""
        return self.folder / "error.json"

    @property
    def done(self) -> bool:
        """Whether the cell is finished."""
        return self.metrics.exists()


@dataclass(frozen=True)
class StudyFolder:
    """The folder of a study."""

    folder: Path

    @property
    def description(self) -> Path:
        """What was asked, of which data, on which machine: study.yaml."""
        return self.folder / "study.yaml"

    @property
    def results(self) -> Path:
        """One row a finished cell, and one a baseline: results.csv."""
        return self.folder / "results.csv"

    @property
    def report(self) -> Path:
        """The folder of the report."""
        return self.folder / "report"

    @property
    def manifest(self) -> Path:
        """The table of clips."""
        return self.folder / "dataset" / "manifest.csv"

    @property
    def samples(self) -> Path:
        """One clip a class, for the report: arrays `waveforms` (int16), `names`, `categories`, `sample_rate_hz`."""
        return self.folder / "dataset" / "samples.npz"

    def model(self, name: str) -> Path:
        """Layers, shapes and counts of a model: JSON."""
        return self.folder / "models" / f"{name}.json"

    def cell(self, name: CellName) -> Cell:
        """Return the folder of a cell, which need not exist."""
        return Cell(name, self.folder / "cells" / name.model / f"{name.protocol}-{name.fold}-{name.seed}")

    def baseline(self, name: CellName) -> Cell:
        """Return the folder of a baseline, which need not exist; it has predictions and metrics, nothing else."""
        return Cell(name, self.folder / "baselines" / name.model / f"{name.protocol}-{name.fold}-{name.seed}")

    def cells(self) -> list[Cell]:
        """Return every cell that has a folder, sorted by name."""
        return self._named("cells")

    def baselines(self) -> list[Cell]:
        """Return every baseline that has a folder, sorted by name."""
        return self._named("baselines")

    def _named(self, kind: str) -> list[Cell]:
        found = []
        for folder in sorted(self.folder.glob(f"{kind}/*/*")):
            with contextlib.suppress(ValueError):
                found.append(Cell(CellName.parse(f"{folder.parent.name}/{folder.name}"), folder))
        return sorted(found, key=lambda cell: cell.name)


@contextlib.contextmanager
def machine_errors(path: Path, doing: str = "write") -> Iterator[None]:
    """Turn a failure of the disk into one line that names the path.

    Raises:
        MachineError: an OSError happened inside.
    """
    try:
        yield
    except OSError as error:
        hint = "; free some space and run the same command again" if error.errno == errno.ENOSPC else ""
        raise MachineError(f"cannot {doing} {path}: {error.strerror or error}{hint}") from error


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file whole or not at all: beside it, fsync, rename.

    Raises:
        MachineError: the disk refuses; what stood at `path` is unharmed.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")  # unique across machines
    with machine_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text whole or not at all."""
    write_atomically(path, lambda file: file.write(text.encode("utf-8")))


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole or not at all; NaN is not JSON and is refused."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def json_line(record: dict[str, Any]) -> str:
    """Return one line of a history."""
    return json.dumps(record, allow_nan=False) + "\n"


def read_history(cell: Cell) -> list[dict[str, Any]]:
    """Read the epochs of a cell that are whole; a line cut short by a kill is left out."""
    epochs = []
    if cell.history.exists():
        for line in cell.history.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                epochs.append(json.loads(line))
    return epochs


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Own a study folder for as long as the block runs; the system frees it if the process dies.

    Raises:
        MachineError: another process owns it, or the folder cannot be written.
    """
    import fcntl

    path = folder / ".lock"
    with machine_errors(folder, "open"):
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise MachineError(f"{folder} is in use by process {owner}; wait for it or choose another --out") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def owner(folder: Path) -> int | None:
    """Return the process of this machine that owns a study folder, or None; takes no lock, so it disturbs nobody."""
    path = folder / ".lock"
    try:
        process = int(path.read_text())
        os.kill(process, 0)
    except PermissionError:
        return process  # somebody else's, but alive
    except (OSError, ValueError):
        return None
    held = Path(f"/proc/{process}/fd")
    if not held.is_dir():  # not Linux: a process of this number is as much as can be known
        return process
    try:
        return process if any(_leads_to(link, path) for link in held.iterdir()) else None
    except OSError:
        return process


def _leads_to(link: Path, path: Path) -> bool:
    with contextlib.suppress(OSError):
        return link.samefile(path)
    return False
