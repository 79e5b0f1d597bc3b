"""Hyper-parameter tuning: what was tried on the validation folds, what decided, and which set was best."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from auricle.findings.tuning import Tuning
from auricle.report.document import Chapter, Figure, Report
from auricle.report.figures.drawing import Panel, panel
from auricle.report.figures.tuning import importance_bars, parallel, progress, short_names
from auricle.report.table import Table, columns
from auricle.report.wording import listing
from auricle.search.record import Entry
from auricle.search.space import MODEL

FEW_PARAMETERS = 5
NUM_LISTED = 16  # trials in the table: all of a small grid
NUM_LONG = 8  # where each has many values
ENDINGS = {
    "done": "finished", "pruned": "ended early or diverged", "failed": "failed", "running": "are in training",
    "waiting": "wait",
}  # fmt: skip


def tuning(report: Report) -> Chapter | None:
    """Return the chapter; None where no search came before the study."""
    if (found := report.findings.tuning) is None:
        return None
    num_listed = NUM_LISTED if len(found.parameters) <= FEW_PARAMETERS else NUM_LONG
    listed = list(found.done[:num_listed])
    listed += [entry for entry in found.best_of_models() if entry not in listed]
    values = {
        "found": found,
        "endings": [f"{found.states[state]} {words}" for state, words in ENDINGS.items() if found.states.get(state)],
        "num_listed": num_listed,
        "num_shown": len(listed),
    }
    best = found.best["values"]
    rows = [
        (name, tried(described), setting(best[name]) if name in best else None, found.importance.get(name))
        for name, described in found.parameters.items()
    ]
    drawn = parallel(found.parameters, found.done)
    alt = "Values of each trial as a line to its validation loss"
    return Chapter(values, {
        "table-best-set": Table(columns("best-set"), {"": rows}),
        "figure-search": Figure(tuple(_history(found))),
        "figure-parallel": Figure((panel(drawn, "search-parallel", alt),)),
        "table-trials": _trials(found, listed),
    })  # fmt: skip


def setting(value: Any) -> str:
    """Write a value of a set.

    >>> setting(0.0012345), setting("adam"), setting(True), setting(None)
    ('0.001234', 'adam', 'true', 'null')
    """
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def tried(described: Mapping[str, Any]) -> str:
    """Write what may be tried of a parameter.

    >>> tried({"choices": [32, 64]}), tried({"low": 0.001, "high": 0.1, "log": True, "whole": False})
    ('32, 64', '0.001 to 0.1, evenly over its logarithm')
    """
    if "choices" in described:
        return ", ".join(map(setting, described["choices"]))
    spread = ", evenly over its logarithm" if described["log"] else ", whole" if described["whole"] else ""
    return f"{setting(described['low'])} to {setting(described['high'])}{spread}"


def _history(found: Tuning) -> Iterator[Panel]:
    drawn = progress(found.done, found.pruned, found.num_trials)
    yield panel(drawn, "search-history", "Validation loss by trial, best so far")
    if found.importance:
        drawn = importance_bars(found.importance)
        yield panel(drawn, "search-importance", f"Importance of {listing(found.importance)}")


def _trials(found: Tuning, listed: Sequence[Entry]) -> Table:
    rows = []
    for entry in listed:
        values = {name: entry["values"][name] for name in found.parameters if name in entry["values"]}
        model = (values.pop(MODEL, None),) if MODEL in found.parameters else ()
        settings = map(" ".join, zip(short_names(values), map(setting, values.values()), strict=True))
        rows.append((entry["number"], *model, entry["loss"], entry["accuracy"], ", ".join(settings)))
    shown = (column for column in columns("trials") if column.key != "model" or MODEL in found.parameters)
    return Table(tuple(shown), {"": rows})
