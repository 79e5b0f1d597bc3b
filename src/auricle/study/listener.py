"""What a running study tells whoever watches it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from auricle.runs import CellName

if TYPE_CHECKING:
    from auricle.study.estimate import Estimate


class Listener:
    """Told of everything that happens in a study, in the parent process; this one ignores it all."""

    def note(self, text: str) -> None:
        """Hear one line that a person should read."""

    def doing(self, what: str) -> None:
        """Hear what is being done before the first cell starts, such as "reading the recordings"."""

    def decoding(self, num_done: int, num_clips: int) -> None:
        """Hear that so many of the recordings are decoded."""

    def planned(self, epochs: Mapping[CellName, int], num_done: int, num_workers: int) -> None:
        """Hear which cells will run, with the epochs of each, and how many were already done."""

    def estimated(self, estimates: Sequence[Estimate], num_workers: int) -> None:
        """Hear what each model will cost, before the first cell; steps are measured only where the study is long."""

    def started(self, cell: CellName) -> None:
        """Hear that a cell starts, or goes on from its checkpoint."""

    def epoch(self, cell: CellName, record: Mapping[str, Any]) -> None:
        """Hear of one epoch: a line of history.jsonl.

        It holds `collapse` (kind, epoch, cause, cures, evidence) where the training is found to have collapsed, and
        `recovered` where it is better than guessing again, and `restarted` where a damaged checkpoint made the
        training begin again.
        """

    def done(self, cell: CellName) -> None:
        """Hear that a cell is finished; its metrics.json is there."""

    def failed(self, cell: CellName, cause: str) -> None:
        """Hear that a cell failed, and why; its error.json is there."""
