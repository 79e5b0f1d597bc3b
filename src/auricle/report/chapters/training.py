"""The recipe, from the fields of the configuration; learning curves; and the tuning that came before."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from auricle.config import Preset, settings
from auricle.findings.study import Study
from auricle.findings.tuning import Tuning
from auricle.report.document import Chapter, Figure, Report
from auricle.report.figures.drawing import Drawing, Panel, panel
from auricle.report.figures.style import drawable
from auricle.report.figures.training import Quantity, curves, largest_loss
from auricle.report.figures.tuning import importance_bars, parallel, progress, short_names
from auricle.report.table import Column, Table, Value, columns
from auricle.report.wording import listing
from auricle.search.record import Entry
from auricle.search.space import MODEL

MOST_PANELS = 12  # two a model; they fill a page
MOST_RECIPES = 6  # columns that a page holds
LONGEST_TITLE = 70  # letters of a column's title
ABSENT = "–"
Field = tuple[str, str]  # a section of the configuration, and the label of one of its fields
FEW_PARAMETERS = 5
NUM_LISTED = 16  # trials in the table: all of a small grid
NUM_LONG = 8  # where each has many values
ENDINGS = {
    "done": "finished", "pruned": "ended early or diverged", "failed": "failed", "running": "are in training",
    "waiting": "wait",
}  # fmt: skip


def training(report: Report) -> Chapter:
    """Return the chapter on the recipe, a column for the models that share it, and the curves."""
    study = report.study
    alike: dict[tuple[tuple[Field, str], ...], list[str]] = {}
    for model in study.models:
        alike.setdefault(tuple(recipe(study, model).items()), []).append(model)
    titles = [listing(models) for models in alike.values()] if len(alike) > 1 else ["All models"]
    numbered = max(map(len, titles)) > LONGEST_TITLE or len(titles) > MOST_RECIPES
    if numbered:
        titles = [f"Recipe {number}" for number in range(1, len(alike) + 1)]
    recipes = list(zip(titles, map(dict, alike), strict=True))
    tables = {
        f"table-recipe{_part(number)}": _recipes(recipes[start : start + MOST_RECIPES], start)
        for number, start in enumerate(range(0, len(recipes), MOST_RECIPES), 1)
    }
    drawn = {protocol: figures for protocol in study.protocols if (figures := _curves(report, protocol))}
    values = {
        "study": study,
        "recipes": list(tables),
        "named": list(zip(titles, alike.values(), strict=True)) if numbered else [],
        "base_first": [model for model in study.models if study.presets[model].training.base_share],
        "tracked": (study.folder / "wandb").is_dir(),
        "muon": any(study.presets[model].training.optimizer == "muon" for model in study.models),
        "curves": {protocol: list(figures) for protocol, figures in drawn.items()},
        "validated": {cell.name.protocol for cell in study.cells if "validation_loss" in (cell.history or [{}])[-1]},
        "marked": {fallen.cell.protocol for fallen in report.findings.collapses if fallen.epoch},
    }
    return Chapter(values, tables | {name: figure for figures in drawn.values() for name, figure in figures.items()})


def _part(number: int) -> str:
    """Return the end of a name of the parts of what one page does not hold."""
    return f"-{number}" if number > 1 else ""


def recipe(study: Study, model: str) -> dict[Field, str]:
    """Return every setting that takes part in a model, with what `auto` precision came to."""
    found = {(one.section, one.label): one.value for one in settings(study.presets[model]) if one.applies}
    used = {cell.costs["precision"] for cell in study.cells if cell.name.model == model and "precision" in cell.costs}
    precision = ("training", "Precision")
    if found[precision] == "auto" and used:
        found[precision] = f"{listing(sorted(used))} (auto)"
    return found


def _recipes(recipes: Sequence[tuple[str, Mapping[Field, str]]], start: int) -> Table:
    """Return a table with a column a recipe, grouped by section, training and augmentation first."""
    sections = ["training", "augmentation", *Preset.model_fields]
    fields = dict.fromkeys(field for _, found in recipes for field in found)
    groups: dict[str, list[tuple[Value, ...]]] = {}
    for section, label in sorted(fields, key=lambda field: sections.index(field[0])):
        values = [found.get((section, label), ABSENT) for _, found in recipes]
        groups.setdefault(Preset.model_fields[section].title or section, []).append((label, *values))
    heads = (Column(f"recipe_{number}", title, grows=True) for number, (title, _) in enumerate(recipes, start + 1))
    return Table((Column("setting", "Setting"), *heads), groups)


def _curves(report: Report, protocol: str) -> dict[str, Figure]:
    """Draw two panels a model, as many in a figure as a page holds."""
    panels = []
    for (model, quantity), drawn in curves_of(report, protocol).items():
        alt = f"{quantity.capitalize()} of {model} by epoch under {protocol}, training and validation"
        panels.append(panel(drawn, f"{quantity}-{protocol}-{report.anchors[model]}", alt))
    return {
        f"figure-curves-{protocol}{_part(number)}": Figure(tuple(panels[start : start + MOST_PANELS]))
        for number, start in enumerate(range(0, len(panels), MOST_PANELS), 1)
    }


def curves_of(report: Report, protocol: str) -> dict[tuple[str, Quantity], Drawing]:
    """Return the learning curves of each model under a protocol, by model and quantity, all on the same axes."""
    study, fallen = report.study, report.findings.collapses
    histories = {model: [cell.history for cell in study.of(model, protocol) if cell.history] for model in study.models}
    every = [history for cells in histories.values() for history in cells]
    tops: dict[Quantity, float] = {"accuracy": 1.0, "loss": largest_loss(every)}
    drawn: dict[tuple[str, Quantity], Drawing] = {}
    for index, (model, cells) in enumerate(histories.items()):
        marks = [one.epoch for one in fallen if one.epoch and (one.cell.model, one.cell.protocol) == (model, protocol)]
        for quantity, top in tops.items() if cells else ():
            title = f"{drawable(model, index, 30)}: {quantity}"
            colour = report.colours[model]
            drawn[model, quantity] = curves(cells, quantity, colour=colour, top=top, title=title, marks=marks)
    return drawn


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
