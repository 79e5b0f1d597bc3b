"""Hyper-parameter tuning: what was tried on the validation folds, what decided, and which set was best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auricle.report.document import Block, Callout, Figure, Paragraph, Section
from auricle.report.evidence import Study
from auricle.report.figures.style import panel
from auricle.report.figures.tuning import importance_bars, parallel, progress, short_names
from auricle.report.tables import ComparativeRow
from auricle.report.table import Column, Table
from auricle.report.wording import Code, Ref, Strong, Text, count, decimal, listing, percent
from auricle.search.record import ranked, read_record

MODEL = "model"
NUM_LISTED = 16  # trials in the table: all of a small grid
NUM_LONG = 8  # where each has many values
Entry = dict[str, Any]
SAMPLERS = {
    "tpe": "Optuna's tree-structured Parzen estimator (multivariate) chose each set from what the earlier ones gave",
    "grid": "Every combination of the values was tried once",
}
ENDINGS = {
    "done": "came to their end",
    "pruned": "ended early or diverged",
    "failed": "failed",
    "running": "are in training",
    "waiting": "wait",
}
PRUNERS = {
    "median": " A trial whose best epoch was behind the median of the others at the same epoch ended early.",
    "halving": " Of the trials at an epoch only the best quarter went on (successive halving); the others ended early.",
    "none": "",
}


def tuning_chapter(study: Study, rows: Sequence[ComparativeRow]) -> tuple[Section, ...]:
    """Return the chapter, where a search came before the study and a trial of it came to its end.

    Raises:
        RefusedError: the record of the search is damaged.
    """
    record = read_record(study.folder / "search")
    done = ranked(record["trials"]) if record else []
    if not record or not done:
        return ()
    blocks: list[Block] = [
        Paragraph(_method(record)),
        _best_set(record, done[0]),
        Paragraph(_outcome(record, done, rows)),
        *_figures(record, done),
        _trials(record, done),
    ]
    if len(done) > 1:
        words = (
            f"The best of {len(done)} validation scores is a little too good, because it was picked for being so. The "
            "score on the test fold is not: no trial heard it."
        )
        blocks.append(Callout("A validation score that was picked", (words,)))
    return (Section("tuning", "Hyper-parameter tuning", tuple(blocks)),)


def _method(record: Mapping[str, Any]) -> Text:
    folds = listing(map(str, record["folds"]))
    where = (
        f"fold {folds}, the validation fold" if len(record["folds"]) == 1 else f"folds {folds}, the validation folds"
    )
    words = (
        f"{count(record['num_trials'], 'set')} of values were tried, each judged by its mean loss on the clips of "
        f"{where} of {record['protocol']}. The {count(record['num_unheard'], 'clip')} of the test fold were not "
        f"loaded; the trials were given the other {record['num_clips']:,}. {SAMPLERS[record['sampler']]}."
        f"{PRUNERS[record['pruner']]} "
    )
    return (words, Ref("table-best-set"), " gives the space and the best set.")


def _best_set(record: Mapping[str, Any], best: Entry) -> Table:
    columns = (
        Column("parameter", "Parameter", "code"),
        Column("tried", "Tried", grows=True),
        Column("best", "Best", "code"),
        Column("importance", "Importance, %", "percent"),
    )
    rows = [
        (name, _tried(described), shown(best["values"][name]) if name in best["values"] else None,
         record["importance"].get(name))
        for name, described in record["parameters"].items()
    ]  # fmt: skip
    caption = (
        "The space, the best set, and the share of each parameter in what made trials good (PED-ANOVA, "
        "arXiv:2304.10255).",
    )
    return Table("table-best-set", caption, columns, {"": rows})


def shown(value: Any) -> str:
    """Write a value of a set.

    >>> shown(0.0012345), shown("adam"), shown(True), shown(None)
    ('0.001234', 'adam', 'true', 'null')
    """
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _tried(described: Mapping[str, Any]) -> str:
    if "choices" in described:
        return ", ".join(shown(value) for value in described["choices"])
    spread = ", evenly over its logarithm" if described["log"] else ", whole" if described["whole"] else ""
    return f"{shown(described['low'])} to {shown(described['high'])}{spread}"


def _outcome(record: Mapping[str, Any], done: Sequence[Entry], rows: Sequence[ComparativeRow]) -> Text:
    """Return what came of the trials, and of the best set on the test fold."""
    best = done[0]
    states = [entry["state"] for entry in record["trials"]]
    ended = [f"{states.count(state)} {words}" for state, words in ENDINGS.items() if state in states]
    pieces: list[Any] = [
        f"Of {count(len(states), 'trial')}, {listing(ended)}. The best is trial {best['number']}, with a validation "
        f"loss of {decimal(best['loss'], 3)} and an accuracy of {percent(best['accuracy'])}. ",
    ]
    scored = [row for row in rows if row.model.endswith(f"-trial-{best['number']}")]
    for row in scored:
        pieces += [
            "Its set was trained afresh and scored once on the test fold, as ", Code(row.model), ": ",
            Strong(f"{percent(row.accuracy)} of test clips"),
            f" (95 % interval {percent(row.accuracy_low)} to {percent(row.accuracy_high)}; ", Ref("table-comparative"),
            "). ",
        ]  # fmt: skip
    pieces.append(Ref("figure-search"))
    pieces.append(" shows how the search went" + (" and what decided" if record["importance"] else "") + "; ")
    pieces += [Ref("figure-parallel"), " which values went together."]
    return tuple(pieces)


def _figures(record: Mapping[str, Any], done: Sequence[Entry]) -> list[Figure]:
    pruned = [entry for entry in record["trials"] if entry["state"] == "pruned"]
    panels = [
        panel(progress(done, pruned, record["num_trials"]), "search-history", "Validation loss by trial, best so far")
    ]
    if record["importance"]:
        shares = record["importance"]
        panels.append(panel(importance_bars(shares), "search-importance", f"Importance of {listing(shares)}"))
    words = "Validation loss of each trial, and the best so far; marks on the axis are trials that ended early."
    caption = (words if pruned else "Validation loss of each trial, and the best so far.",)
    lines = panel(
        parallel(record["parameters"], done), "search-parallel", "Values of each trial as a line to its validation loss"
    )
    about = (
        "Every trial that came to its end is a line through its values to its validation loss: the darker, the better; "
        "the best is the thick one.",
    )
    return [Figure("figure-search", tuple(panels), caption), Figure("figure-parallel", (lines,), about)]


def _trials(record: Mapping[str, Any], done: Sequence[Entry]) -> Table:
    """Return the best trials, and the best of every model where there are several."""
    models = {entry["values"].get(MODEL) for entry in done}
    num_listed = NUM_LISTED if len(record["parameters"]) <= 5 else NUM_LONG
    listed = list(done[:num_listed])
    for model in models:
        first = next(entry for entry in done if entry["values"].get(MODEL) == model)
        listed += [first] if first not in listed else []
    names = [name for name in record["parameters"] if name != MODEL]
    columns = (
        Column("trial", "Trial", "count"),
        *((Column("model", "Model", "code"),) if MODEL in record["parameters"] else ()),
        Column("loss", "Valid. loss", "ratio", best="low"),
        Column("accuracy", "Valid. acc. %", "percent", best="high"),
        Column("values", "Values", grows=True),
    )
    rows = [
        (
            entry["number"],
            *((entry["values"].get(MODEL),) if MODEL in record["parameters"] else ()),
            entry["loss"],
            entry["accuracy"],
            _values(names, entry),
        )
        for entry in listed
    ]
    which = "All trials" if len(listed) == len(done) else f"The best {num_listed} of {len(done)} trials"
    also = ", and the best of every model" if len(listed) > num_listed else ""
    return Table("table-trials", (f"{which}{also} that came to their end.",), columns, {"": rows})


def _values(names: Sequence[str], entry: Entry) -> str:
    values = {name: entry["values"][name] for name in names if name in entry["values"]}
    return ", ".join(
        f"{short} {shown(value)}" for short, value in zip(short_names(values), values.values(), strict=True)
    )
