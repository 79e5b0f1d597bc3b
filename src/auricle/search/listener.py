"""What a running search tells whoever watches it."""

from __future__ import annotations

from collections.abc import Sequence

from auricle.search.record import Entry
from auricle.study.listener import Listener


class SearchListener(Listener):
    """Told of everything that happens in a search, in the parent process; this one ignores it all."""

    def searching(self, entries: Sequence[Entry], num_trials: int, num_workers: int) -> None:
        """Receive what was tried before, how many trials there will be, and how many are trained at a time."""

    def tried(self, number: int, entries: Sequence[Entry]) -> None:
        """A trial has ended, or was given back; receive how all stand now."""
