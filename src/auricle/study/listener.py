"""The events of a running study or search, for progress displays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from auricle.runs import CellName
from auricle.work.jobs import WorkListener

if TYPE_CHECKING:
    from auricle.study.estimate import Estimate


class Listener(WorkListener):
    """Receives every event of a study or a search, in the parent process; this class ignores them all."""

    def doing(self, what: str) -> None:
        """Receive what is being done before the first cell starts, such as "reading the recordings"."""

    def assumed(self, notes: Sequence[str]) -> None:
        """Receive sentences about the recordings: how long clips are, where folds and groups come from."""

    def decoding(self, num_done: int, num_clips: int) -> None:
        """Receive how many of the recordings are decoded."""

    def planned(self, epochs: Mapping[CellName, int], num_done: int, num_workers: int) -> None:
        """Receive which cells will run, with the epochs of each, and how many were already done."""

    def estimated(self, estimates: Sequence[Estimate], num_workers: int) -> None:
        """Receive the estimated cost of each model, before the first cell; only long studies measure their steps."""

    def searching(self, entries: Sequence[dict[str, Any]], num_trials: int, num_workers: int) -> None:
        """Receive the earlier trials, how many trials there will be, and how many are trained in parallel."""

    def tried(self, number: int, entries: Sequence[dict[str, Any]]) -> None:
        """A trial has ended or will be retried; receive the state of all trials."""
