"""What a running study or search tells whoever watches it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from auricle.runs import CellName
from auricle.work.loop import WorkListener

if TYPE_CHECKING:
    from auricle.study.estimate import Estimate


class Listener(WorkListener):
    """Told of everything that happens in a study or a search, in the parent process; this one ignores it all."""

    def doing(self, what: str) -> None:
        """Receive what is being done before the first cell starts, such as "reading the recordings"."""

    def assumed(self, notes: Sequence[str]) -> None:
        """Receive sentences about the recordings: how long clips are, where folds and groups come from."""

    def decoding(self, num_done: int, num_clips: int) -> None:
        """So many of the recordings are decoded."""

    def planned(self, epochs: Mapping[CellName, int], num_done: int, num_workers: int) -> None:
        """Receive which cells will run, with the epochs of each, and how many were already done."""

    def estimated(self, estimates: Sequence[Estimate], num_workers: int) -> None:
        """Receive what each model will cost, before the first cell; steps are measured only where the study is long."""

    def searching(self, entries: Sequence[dict[str, Any]], num_trials: int, num_workers: int) -> None:
        """Receive what was tried before, how many trials there will be, and how many are trained at a time."""

    def tried(self, number: int, entries: Sequence[dict[str, Any]]) -> None:
        """A trial has ended, or was given back; receive how all stand now."""
