"""The searches that belong to a study: the values tried, how the trials ended, and the best set."""

import statistics
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from auricle.errors import RefusedError
from auricle.findings.scores import ComparativeRow, network_rows
from auricle.findings.study import CellEvidence, Study, load_study
from auricle.runs import StudyFolder
from auricle.search.record import ENDED, Entry, ranked, read_record
from auricle.search.space import MODEL


@dataclass(frozen=True)
class Tuning:
    """A search with at least one finished trial."""

    name: str
    folder: str  # name of its folder; empty for the search in the study's own folder
    overrides: Mapping[str, Any]  # fields changed in every set
    protocol: str  # whose validation folds were used
    folds: tuple[int, ...]
    sampler: str
    pruner: str
    num_trials: int
    num_clips: int  # used by the trials
    num_test_clips: int  # not loaded
    parameters: Mapping[str, Mapping[str, Any]]  # name to its possible values: {choices} or {low, high, log, whole}
    importance: Mapping[str, float]  # of each parameter for the validation loss, shares of 1; empty where unknown
    states: Mapping[str, int]  # number of trials by state
    done: tuple[Entry, ...]  # the finished trials, the lowest validation loss first
    pruned: tuple[Entry, ...]
    tested: tuple[ComparativeRow, ...]  # the best set as the study trained it, under each protocol
    # Of a search beside the study: its models to their validation accuracy as the study trained them, like that of a
    # trial a share of clips even where classes are of unequal size; None where it lacks a fold of the search
    standard: Mapping[str, float | None]

    @property
    def best(self) -> Entry:
        """Return the trial with the lowest validation loss."""
        return self.done[0]

    def best_of_models(self) -> list[Entry]:
        """Return the best trial of each model of the space; the best one where a space has none."""
        best: dict[Any, Entry] = {}
        for entry in self.done:
            best.setdefault(entry["values"].get(MODEL), entry)
        return list(best.values())


def searches_of(study: Study, rows: Sequence[ComparativeRow], on_note: Callable[[str], None]) -> tuple[Tuning, ...]:
    """Return the searches of a study: the one in its folder, then those in the folders beside it.

    A folder beside it counts if its search is finished, tried only this study's models, and trained the best set on the
    same recordings. `rows` are the study's own. Searches that cannot be read are left out, with a message to `on_note`.

    Raises:
        RefusedError: the record of the search in the study's own folder is damaged.
    """
    return tuple(_searches(study, rows, on_note))


def own_search(study: Study, rows: Sequence[ComparativeRow]) -> Tuning | None:
    """Return the search in the study's folder; None where there is none. `rows` are the study's own.

    Raises:
        RefusedError: its record is damaged.
    """
    record = read_record(study.folder / "search")
    return next(_tuning(record, "", rows), None) if record else None


def _searches(study: Study, rows: Sequence[ComparativeRow], on_note: Callable[[str], None]) -> Iterator[Tuning]:
    if own := own_search(study, rows):
        yield own
    for folder in sorted(path.parent for path in study.folder.resolve().parent.glob("*/search")):
        if folder != study.folder.resolve() and StudyFolder(folder).description.exists():
            try:
                yield from _beside(study, folder)
            except RefusedError as error:
                on_note(f"left out a search: {error}")


def _beside(study: Study, folder: Path) -> Iterator[Tuning]:
    record = read_record(folder / "search")
    num_ended = sum(entry["state"] in ENDED for entry in record["trials"]) if record else 0
    if record and num_ended >= record["num_trials"] and set(record["epochs"]) <= set(study.presets):
        trained = load_study(folder)
        if trained.dataset.digest == study.dataset.digest and record["protocol"] in trained.protocols:
            cells = {model: study.of(model, record["protocol"]) for model in study.models if model in record["epochs"]}
            own = {model: _validation_accuracy(each, record["folds"]) for model, each in cells.items() if each}
            yield from _tuning(record, folder.name, network_rows(trained, record["protocol"]), own)


def _validation_accuracy(cells: Sequence[CellEvidence], folds: Collection[int]) -> float | None:
    """Return the mean validation accuracy on the folds of a search; None where one of them is missing."""
    accuracies = {cell.name: cell.validation["clip"]["accuracy"] for cell in cells if cell.validation}
    known = {name: accuracy for name, accuracy in accuracies.items() if name.fold in folds}
    return statistics.fmean(known.values()) if {name.fold for name in known} == {*folds} else None


def _tuning(
    record: Mapping[str, Any],
    folder: str,
    rows: Sequence[ComparativeRow],
    own: Mapping[str, float | None] = MappingProxyType({}),
) -> Iterator[Tuning]:
    if done := ranked(record["trials"]):
        yield Tuning(
            folder=folder,
            folds=tuple(record["folds"]),
            num_test_clips=record["num_unheard"],
            states=Counter(entry["state"] for entry in record["trials"]),
            done=tuple(done),
            pruned=tuple(entry for entry in record["trials"] if entry["state"] == "pruned"),
            tested=tuple(row for row in rows if row.model.endswith(f"-trial-{done[0]['number']}")),
            standard=own,
            **{name: record[name] for name in ("name", "overrides", "protocol", "sampler", "pruner")},
            **{name: record[name] for name in ("num_trials", "num_clips", "parameters", "importance")},
        )
