"""Progress of a running search on standard error: one line per trial."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from typing_extensions import override

from auricle.display.progress import duration, percent
from auricle.errors import count
from auricle.runs import CellName
from auricle.search.record import ENDED, Entry, best_of, setting
from auricle.study.listener import Listener


def counts(entries: Sequence[Entry]) -> str:
    """Return how many trials there were, and how they ended.

    >>> counts([{"state": "done"}, {"state": "pruned"}, {"state": "done"}]), counts([{"state": "failed"}])
    ('3 trials (2 done, 1 pruned)', '1 trial (1 failed)')
    """
    number = Counter(entry["state"] for entry in entries)
    return f"{count(len(entries), 'trial')} ({', '.join(f'{num} {state}' for state, num in number.items())})"


class SearchLines(Listener):
    """One line per trial; with `level` 1 also its values and every epoch.

    `show` updates the status line, on a terminal.
    """

    def __init__(
        self, write: Callable[[str], object], level: int, show: Callable[[str], object] = lambda text: None
    ) -> None:
        self.write = write
        self.level = level
        self.show = show
        self.num_trials = 0

    @override
    def note(self, text: str) -> None:
        self.write(text)

    @override
    def doing(self, what: str) -> None:
        self.show(what)

    @override
    def decoding(self, num_done: int, num_clips: int) -> None:
        self.show(f"decoded {num_done} of {num_clips} recordings")

    @override
    def searching(self, entries: Sequence[Entry], num_trials: int, num_workers: int) -> None:
        self.num_trials = num_trials
        num_ended = sum(entry["state"] in ENDED for entry in entries)
        at_a_time = f", {num_workers} in parallel" if num_workers > 1 else ""
        already = f"; {num_ended} already ended" if num_ended else ""
        if num_workers:
            self.write(f"{count(num_trials, 'trial')} on validation folds{at_a_time}{already}")
        else:
            self.write(f"no trials left; {count(num_ended, 'trial')} ended")

    @override
    def epoch(self, cell: CellName, record: Mapping[str, Any]) -> None:
        text = f"{cell}  epoch {record['epoch']}  validation {percent(record.get('validation_accuracy'))} %"
        if self.level > 0:
            self.write(text)
        self.show(text)

    @override
    def tried(self, number: int, entries: Sequence[Entry]) -> None:
        num_ended = sum(entry["state"] in ENDED for entry in entries)
        head = f"[{num_ended}/{self.num_trials}] trial-{number}"
        entry = next((entry for entry in entries if entry["number"] == number), None)
        if entry is None:
            self.write(f"{head} was lost because its worker died; it will be retried")
            return
        self.write(f"{head} {_ending(entry, best_of(entries))}")
        if self.level > 0:
            self.write("  " + "  ".join(f"{name}={setting(value)}" for name, value in entry["values"].items()))


def _ending(entry: Entry, best: Entry | None) -> str:
    if entry["state"] != "done":
        return f"{entry['state']}: {entry['cause']}"
    score = f"{duration(entry['seconds'])}  loss {entry['loss']:.3f}  {100 * entry['accuracy']:.1f} %"
    if best is None or best["number"] == entry["number"]:
        return f"{score}  best so far"
    return f"{score}  best: {best['loss']:.3f}, trial-{best['number']}"
