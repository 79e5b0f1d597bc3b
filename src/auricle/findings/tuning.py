"""What the search that came before a study says: what was tried, how the trials ended, and which set was best."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auricle.findings.scores import ComparativeRow
from auricle.findings.study import Study
from auricle.search.record import Entry, ranked, read_record


@dataclass(frozen=True)
class Tuning:
    """A search of which a trial came to its end."""

    protocol: str  # whose validation folds judged
    folds: tuple[int, ...]
    sampler: str
    pruner: str
    num_trials: int
    num_clips: int  # that the trials were given
    num_test_clips: int  # that were not loaded
    parameters: Mapping[str, Mapping[str, Any]]  # name to what may be tried: {choices} or {low, high, log, whole}
    importance: Mapping[str, float]  # share of a parameter in what made trials good; empty where it is not known
    states: Mapping[str, int]  # of all trials, with their numbers
    done: tuple[Entry, ...]  # the trials that came to their end, the lowest validation loss first
    pruned: tuple[Entry, ...]
    tested: tuple[ComparativeRow, ...]  # the best set as the study trained it, under each protocol

    @property
    def best(self) -> Entry:
        """Return the trial with the lowest validation loss."""
        return self.done[0]

    def best_of_models(self) -> list[Entry]:
        """Return the best trial of each model of the space; the best one where a space has none."""
        best: dict[Any, Entry] = {}
        for entry in self.done:
            best.setdefault(entry["values"].get("model"), entry)
        return list(best.values())


def tuning_of(study: Study, rows: Sequence[ComparativeRow]) -> Tuning | None:
    """Return what the search before a study says; None where there was none, or no trial came to its end.

    Raises:
        RefusedError: the record of the search is damaged.
    """
    record = read_record(study.folder / "search")
    done = ranked(record["trials"]) if record else []
    if not record or not done:
        return None
    return Tuning(
        folds=tuple(record["folds"]),
        num_test_clips=record["num_unheard"],
        states=Counter(entry["state"] for entry in record["trials"]),
        done=tuple(done),
        pruned=tuple(entry for entry in record["trials"] if entry["state"] == "pruned"),
        tested=tuple(row for row in rows if row.model.endswith(f"-trial-{done[0]['number']}")),
        **{name: record[name] for name in ("protocol", "sampler", "pruner", "num_trials", "num_clips")},
        **{name: record[name] for name in ("parameters", "importance")},
    )
