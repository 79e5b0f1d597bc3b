"""The folders of a study and of a cell: paths, and reading and writing of metrics and histories.

    STUDY/study.yaml              configuration, dataset, versions, machine
    STUDY/dataset/                manifest.csv, samples.npz (one clip per class, for the report), human.csv, SHA256SUMS
    STUDY/models/MODEL.json       layers with shapes and counts
    STUDY/cells/MODEL/PROTOCOL-FOLD-SEED/
        config.yaml  history.jsonl  predictions.csv  model.safetensors  checkpoint.pt  metrics.json
    STUDY/baselines/NAME/PROTOCOL-FOLD-0/
        predictions.csv  metrics.json
    STUDY/insight/MODEL/PROTOCOL-FOLD-SEED.json    what a finished cell relies on
    STUDY/results.csv  STUDY/report/

`metrics.json` is written last: if it exists, the cell is done; it contains hashes of itself and of the other files.
`error.json` says why a cell failed.
"""

from __future__ import annotations

import contextlib
import errno
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auricle.errors import DivergedError, MachineError, RefusedError
from auricle.files import digest, machine_errors, read_sealed, remove_leftovers, write_sealed
from auricle.text import not_finite

UNREADABLE = {errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE}


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
        """Parse the text that `str` returns.

        >>> CellName.parse("cnn/k-fold-2-0")
        CellName(model='cnn', protocol='k-fold', fold=2, seed=0)

        Raises:
            ValueError: not the name of a cell.
        """
        from auricle.data.folds import ALL, PROTOCOLS  # with pydantic, which the mirror of a tracker does not need

        match = re.fullmatch(r"(.+)/([a-z-]+)-([0-9]{1,9})-([0-9]{1,9})", text)
        if match is None or match[2] not in (*PROTOCOLS, ALL):
            raise ValueError(f"{text!r} is not MODEL/PROTOCOL-FOLD-SEED")
        return cls(match[1], match[2], int(match[3]), int(match[4]))


@dataclass(frozen=True)
class _PathInside:
    """A path inside the folder of the object that has this attribute."""

    name: str

    def __get__(self, owner: Cell | StudyFolder, kind: type) -> Path:
        return owner.folder / self.name


@dataclass(frozen=True)
class Cell:
    """The folder of a cell."""

    name: CellName
    folder: Path

    config = _PathInside("config.yaml")  # the resolved preset, YAML
    history = _PathInside("history.jsonl")  # one line of JSON per epoch
    weights = _PathInside("model.safetensors")  # the scored weights, safetensors
    checkpoint = _PathInside("checkpoint.pt")  # from which an unfinished training resumes
    metrics = _PathInside("metrics.json")  # scores and costs; written last
    error = _PathInside("error.json")  # why the cell failed, if it did

    @property
    def predictions(self) -> Path:
        """One row per scored window: CSV, or NumPy arrays for very many (`scoring.predictions`)."""
        text, arrays = (self.folder / f"predictions.{kind}" for kind in ("csv", "npz"))
        return arrays if arrays.exists() else text

    @property
    def done(self) -> bool:
        """Whether the cell is finished."""
        return self.metrics.exists()


@dataclass(frozen=True)
class StudyFolder:
    """The folder of a study."""

    folder: Path

    description = _PathInside("study.yaml")  # configuration, data, machine
    results = _PathInside("results.csv")  # one row per finished cell, and one per baseline
    report = _PathInside("report")  # the folder of the report
    front = _PathInside("front.json")  # author, title and link of the report, if given
    manifest = _PathInside("dataset/manifest.csv")  # the table of clips
    # one clip per class, for the report: arrays `waveforms` (int16), `names`, `categories`, `sample_rate_hz`
    samples = _PathInside("dataset/samples.npz")
    judgements = _PathInside("dataset/human.csv")  # classifications by human listeners: clip, heard_as, count

    def model(self, name: str) -> Path:
        """Return the path of the JSON with layers, shapes and counts of a model."""
        return self.folder / "models" / f"{name}.json"

    def cell(self, name: CellName) -> Cell:
        """Return the folder of a cell, which need not exist."""
        return Cell(name, self.folder / "cells" / str(name))

    def baseline(self, name: CellName) -> Cell:
        """Return the folder of a baseline, which need not exist; it has predictions and metrics, nothing else."""
        return Cell(name, self.folder / "baselines" / str(name))

    def insight(self, name: CellName) -> Path:
        """Return the path of the JSON that says what a finished cell relies on."""
        return self.folder / "insight" / f"{name}.json"

    def cells(self) -> list[Cell]:
        """Return every cell that has a folder, sorted by name."""
        return self._named("cells")

    def baselines(self) -> list[Cell]:
        """Return every baseline that has a folder, sorted by name."""
        return self._named("baselines")

    def _named(self, kind: str) -> list[Cell]:
        found = []
        for folder in self.folder.glob(f"{kind}/*/*"):
            with contextlib.suppress(ValueError):
                found.append(Cell(CellName.parse(f"{folder.parent.name}/{folder.name}"), folder))
        return sorted(found, key=lambda cell: cell.name)


def write_metrics(cell: Cell, metrics: dict[str, Any]) -> None:
    """Write metrics.json with hashes of itself and of the other files; this marks the cell as done."""
    beside = (cell.config, cell.history, cell.predictions, cell.weights)
    hashes = {path.name: digest(path.read_bytes()) for path in beside if path.exists()}
    write_sealed(cell.metrics, {**metrics, "files": hashes})


def read_metrics(cell: Cell, *uses: Path) -> dict[str, Any]:
    """Read metrics.json of a finished cell, after checking its hash and those of the files in `uses`.

    Raises:
        RefusedError: one of them is damaged.
    """
    try:
        metrics = read_sealed(cell.metrics)
        hashes = metrics.get("files", {})
        for path in uses:
            if path.name in hashes and digest(path.read_bytes()) != hashes[path.name]:
                raise RefusedError(f"{path} is damaged: it does not match its hash in {cell.metrics.name}")
    except (OSError, RefusedError) as error:
        raise RefusedError(f"{error}; run the study again to train this cell again") from error
    return metrics


def is_intact(cell: Cell) -> bool:
    """Return whether a cell is finished and its files match their hashes; its weights may have been deleted.

    Raises:
        MachineError: the system does not let them be read, which says nothing of their content.
    """
    try:
        hashed = [cell.folder / name for name in read_sealed(cell.metrics).get("files", {})]
        read_metrics(cell, *(path for path in hashed if path != cell.weights or path.exists()))
    except RefusedError as error:
        cause: BaseException | None = error
        while isinstance(cause, RefusedError):
            cause = cause.__cause__
        if isinstance(cause, OSError) and cause.errno in UNREADABLE:
            raise MachineError(f"cannot read {cell.folder}: {cause.strerror}; nothing was deleted") from error
        return False
    return cell.predictions.exists()


def remove_damaged(cell: Cell, note: Callable[[str], None]) -> None:
    """Remove the folder of a finished cell that is not intact, so that it is trained again; `note` reports it."""
    if cell.done:
        note(f"{cell.folder} is damaged: {cell.name} will be trained again")
        with machine_errors(cell.folder):
            shutil.rmtree(cell.folder)


def json_line(record: dict[str, Any]) -> str:
    """Return one line of a history.

    Raises:
        DivergedError: a loss is NaN or infinite, as the last step of an epoch may leave weights that are too large.
    """
    if field := not_finite(record):
        raise DivergedError(f"diverged in epoch {record['epoch']}: {field}; lower training.learning_rate")
    return json.dumps(record, allow_nan=False) + "\n"


def read_history(cell: Cell) -> list[dict[str, Any]]:
    """Read the epochs of a cell; lines that are damaged or, after a kill, incomplete are skipped."""
    epochs = []
    if cell.history.exists():
        for line in cell.history.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                record = json.loads(line)
                if isinstance(record, dict) and isinstance(record.get("epoch"), int):
                    epochs.append(record)
    return epochs


def sweep(study: StudyFolder) -> None:
    """Remove unfinished files of a killed process, and the checkpoints of finished cells; the lock must be held.

    Raises:
        MachineError: the disk refuses.
    """
    with machine_errors(study.folder):
        for folder in (study.report, *study.folder.glob("insight/*")):
            remove_leftovers(folder)  # a report may be writing there now, without the lock
        for folder in (study.folder, study.manifest.parent, study.folder / "models"):
            remove_unfinished(folder)
        for baseline in study.baselines():
            remove_unfinished(baseline.folder)
        for cell in study.cells():
            remove_unfinished(cell.folder)
            if cell.done:
                cell.checkpoint.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove the unfinished files that a process left in a folder when it was killed while writing."""
    for path in folder.glob(".*.part"):
        path.unlink(missing_ok=True)


def commands_of(description: Mapping[str, Any] | None) -> list[str]:
    """Return the commands by which a study was run, in order; files of earlier versions have only the last one."""
    content = description or {}
    return [str(command) for command in content.get("commands") or [content.get("command")] if command]
