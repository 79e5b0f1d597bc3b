"""Which attempt at a cell counts, when machines that come and go may train it more than once.

A node trains in a folder of its own and sends the files of the cell after every epoch and at the end. Only the process
that owns the study writes them into the cell's folder, and only those of the attempt that was begun last and has not
ended; what another one sends is dropped. So a node that was given up and is still at work changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from auricle import files
from auricle.runs import Cell, CellName

Files = Mapping[str, bytes]


def read_files(cell: Cell) -> dict[str, bytes]:
    """Return the finished files of a cell, by name."""
    with files.machine_errors(cell.folder, "read"):
        paths = [path for path in sorted(cell.folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
        return {path.name: path.read_bytes() for path in paths}


class Attempts:
    """The attempts at the cells of a study, by number."""

    def __init__(self) -> None:
        self._counting: dict[CellName, int] = {}
        self._num_begun = 0

    def begin(self, cell: Cell) -> tuple[int, Files]:
        """Begin another attempt, which alone counts from now on; return its number and the files it goes on from."""
        self._num_begun += 1
        self._counting[cell.name] = self._num_begun
        with files.machine_errors(cell.checkpoint, "read"):
            there = cell.checkpoint.exists()
            return self._num_begun, {cell.checkpoint.name: cell.checkpoint.read_bytes()} if there else {}

    def give_up(self, cell: CellName) -> None:
        """Let no attempt at a cell count any more."""
        self._counting.pop(cell, None)

    def counts(self, cell: CellName, number: int) -> bool:
        """Return whether this attempt is the one that counts."""
        return self._counting.get(cell) == number

    def keep(self, cell: Cell, number: int, contents: Files) -> bool:
        """Write what an attempt has after an epoch, and return whether it counts; if not, nothing is written."""
        if not self.counts(cell.name, number):
            return False
        for name in sorted(contents, key=lambda name: name == cell.metrics.name):  # which is written last
            files.write_bytes(cell.folder / name, contents[name])
        return True

    def end(self, cell: Cell, number: int, contents: Files) -> bool:
        """Write what an attempt leaves, done or failed, and return whether it counts; no other one does after it."""
        if not self.keep(cell, number, contents):
            return False
        self.give_up(cell.name)
        with files.machine_errors(cell.folder):
            for path in (cell.checkpoint, cell.error):
                if path.name not in contents:
                    path.unlink(missing_ok=True)
        return True
