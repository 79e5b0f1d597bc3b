"""The recipe, from the fields of the configuration; learning curves; and the tuning that came before."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from auricle.config import Preset, settings
from auricle.config.reference import ABSENT, changed_field
from auricle.findings.study import Study
from auricle.findings.tuning import Tuning
from auricle.report.document import Chapter, Figure, Report, part, parts
from auricle.report.figures.drawing import Drawing, Panel, panel
from auricle.report.figures.training import curves, largest_loss
from auricle.report.figures.tuning import importance_bars, parallel, progress, short_names
from auricle.report.table import Column, Spread, Table, Value, columns
from auricle.report.wording import NO_BREAK, listing
from auricle.search.record import Entry, setting
from auricle.search.space import MODEL
from auricle.tracking.tracking import TITLES

TRACKERS = TITLES | {"wandb": "Weights & Biases"}  # by the names of their folders
MOST_CURVES = 8  # models with learning curves on a page
MOST_RECIPES = 6  # columns on a page
MOST_BESIDE = 2  # columns on half a page
TABLES = {
    "recipe": ("training", "augmentation"),
    "networks": tuple(name for name in Preset.model_fields if name not in ("training", "augmentation")),
}
LONGEST_TITLE = 70  # letters of a column's title
Field = tuple[str, str]  # a section of the configuration, and the label of one of its fields
FEW_PARAMETERS = 5
NUM_LISTED = 16  # trials in the table: all of a small grid
NUM_LONG = 5  # where each has many values
ENDINGS = {
    "done": "finished", "pruned": "stopped early or diverged", "failed": "failed", "running": "are still running",
    "waiting": "are waiting",
}  # fmt: skip


def training(report: Report) -> Chapter:
    """Return the chapter on the recipe, a column for the models that share it, and the curves."""
    study = report.study
    recipes = _alike({model: recipe(study, model) for model in study.models})
    titles = [listing(models) for models, _ in recipes] if len(recipes) > 1 else ["All models"]
    numbered = max(map(len, titles)) > LONGEST_TITLE or len(titles) > MOST_RECIPES
    if numbered:
        titles = [f"Recipe {number}" for number in range(1, len(recipes) + 1)]
    columns_of = list(zip(titles, (settings for _, settings in recipes), strict=True))
    beside = len(titles) <= MOST_BESIDE
    tables = {
        f"table-{name}{part(number)}": _recipes(columns_of[start : start + MOST_RECIPES], start, sections)
        for number, start in enumerate(range(0, len(titles), MOST_RECIPES), 1)
        for name, sections in (TABLES if beside else {"recipe": (*TABLES["recipe"], *TABLES["networks"])}).items()
    }
    drawn = {protocol: figures for protocol in study.protocols if (figures := _curves(report, protocol))}
    values = {
        "study": study,
        "recipes": list(tables),
        "beside": beside,
        "named": [(title, models) for title, (models, _) in zip(titles, recipes, strict=True)] if numbered else [],
        "base_first": report.phrases["base_first"],
        "shares": sorted({preset.training.base_share for preset in study.presets.values()} - {0}),
        "trackers": [title for name, title in TRACKERS.items() if (study.folder / name).is_dir()],
        "muon": any(study.presets[model].training.optimizer == "muon" for model in study.models),
        "curves": {protocol: list(figures) for protocol, figures in drawn.items()},
        "validated": {cell.name.protocol for cell in study.cells if "validation_loss" in (cell.history or [{}])[-1]},
        "marked": {fallen.cell.protocol for fallen in report.findings.collapses if fallen.epoch},
    }
    return Chapter(values, tables | {name: figure for figures in drawn.values() for name, figure in figures.items()})


def recipe(study: Study, model: str) -> dict[Field, str]:
    """Return every setting that a model uses, with the precision that `auto` chose."""
    found = {(one.section, one.label): one.value for one in settings(study.presets[model]) if one.applies}
    used = {cell.costs["precision"] for cell in study.cells if cell.name.model == model and "precision" in cell.costs}
    precision = ("training", "Precision")
    if found[precision] == "auto" and used:
        found[precision] = f"{listing(sorted(used))} (auto)"
    return {field: value.replace(" × ", f"{NO_BREAK}×{NO_BREAK}") for field, value in found.items()}


def _alike(recipes: Mapping[str, dict[Field, str]]) -> list[tuple[list[str], dict[Field, str]]]:
    """Put models together that have one recipe, or differ in one field, each with its own value: `1 / 2 / 4`.

    The values are in the order of the models.
    """
    found: list[tuple[list[str], list[dict[Field, str]]]] = []
    alone = [own for own in recipes.values() if list(recipes.values()).count(own) == 1]
    for model, own in recipes.items():
        for models, members in found:
            if own in members or (own in alone and members[0] in alone and _listable([*members, own])):
                models.append(model)
                members.append(own)
                break
        else:
            found.append(([model], [own]))
    return [
        (models, {field: " / ".join(dict.fromkeys(one[field] for one in members)) for field in members[0]})
        for models, members in found
    ]


def _listable(members: Sequence[dict[Field, str]]) -> bool:
    """Return whether recipes have the same fields and values, but for one field that differs between any two."""
    if any(one.keys() != members[0].keys() for one in members):
        return False
    numbers = sorted(len({one[field] for one in members}) for field in members[0])
    return numbers[-1:] == [len(members)] and set(numbers[:-1]) <= {1}


def _recipes(recipes: Sequence[tuple[str, Mapping[Field, str]]], start: int, sections: Sequence[str]) -> Table:
    """Return a table with a column a recipe, grouped by section."""
    fields = dict.fromkeys(field for _, found in recipes for field in found if field[0] in sections)
    groups: dict[str, list[tuple[Value, ...]]] = {}
    for section, label in sorted(fields, key=lambda field: sections.index(field[0])):
        values = [found.get((section, label), ABSENT) for _, found in recipes]
        groups.setdefault(Preset.model_fields[section].title or section, []).append((label, *values))
    heads = (Column(f"recipe_{number}", title, grows=True) for number, (title, _) in enumerate(recipes, start + 1))
    return Table((Column("setting", "Setting"), *heads), groups)


def _curves(report: Report, protocol: str) -> dict[str, Figure]:
    """Draw the curves of all models, as many models in a figure as fit on a page."""
    study = report.study
    models = [model for model in study.models if any(cell.history for cell in study.of(model, protocol))]
    alt = f"Accuracy and loss by epoch under {protocol}, training and validation, of"
    return parts(f"curves-{protocol}", models, MOST_CURVES, partial(curves_of, report, protocol), alt)


def curves_of(report: Report, protocol: str, models: Sequence[str]) -> Drawing:
    """Return the learning curves of some models under a protocol, on the same axes as those of all others."""
    study, fallen = report.study, report.findings.collapses
    histories = {model: [cell.history for cell in study.of(model, protocol) if cell.history] for model in study.models}
    top = largest_loss([history for cells in histories.values() for history in cells])
    marks = {
        model: [one.epoch for one in fallen if one.epoch and (one.cell.model, one.cell.protocol) == (model, protocol)]
        for model in models
    }
    return curves({model: histories[model] for model in models}, report.colours, top, marks)


def tuning(report: Report) -> Chapter | None:
    """Return the chapter, a section a search; None where no search belongs to the study."""
    if not (searches := report.findings.tuning):
        return None
    chapters = [_search(found, part(number)) for number, found in enumerate(searches, 1)]
    exhibits = {name: exhibit for one in chapters for name, exhibit in one.exhibits.items()}
    return Chapter({"searches": [one.values for one in chapters]}, exhibits)


def _search(found: Tuning, part: str) -> Chapter:
    num_listed = NUM_LISTED if len(found.parameters) <= FEW_PARAMETERS else NUM_LONG
    listed = list(found.done[:num_listed])
    listed += [entry for entry in found.best_of_models() if entry not in listed]
    values = {
        "part": part,
        "found": found,
        "whole_grid": found.num_trials >= math.prod(len(one.get("choices", "-")) for one in found.parameters.values()),
        "overrides": [changed_field(name, value) for name, value in found.overrides.items()],
        "has_standard": any(accuracy is not None for accuracy in found.standard.values()),
        "standard": list(found.standard),
        "better": [model for model, own in found.standard.items() if (own or 0.0) > found.best["accuracy"]],
        "endings": [f"{found.states[state]} {text}" for state, text in ENDINGS.items() if found.states.get(state)],
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
        f"table-best-set{part}": Table(columns("best-set"), {"": rows}),
        f"figure-search{part}": Figure(tuple(_history(found, part))),
        f"figure-parallel{part}": Figure((panel(drawn, f"search-parallel{part}", alt),)),
        f"table-best-of-models{part}": _best_of_models(found),
        f"table-trials{part}": trials_of(found, listed),
    })  # fmt: skip


def tried(described: Mapping[str, Any]) -> str:
    """Describe the possible values of a parameter.

    >>> tried({"choices": [32, 64]}), tried({"low": 0.001, "high": 0.1, "log": True, "whole": False})
    ('32, 64', '0.001 to 0.1, evenly over its logarithm')
    """
    if "choices" in described:
        return ", ".join(map(setting, described["choices"]))
    spread = ", evenly over its logarithm" if described["log"] else ", whole" if described["whole"] else ""
    return f"{setting(described['low'])} to {setting(described['high'])}{spread}"


def _history(found: Tuning, part: str) -> Iterator[Panel]:
    drawn = progress(found.done, found.pruned, found.num_trials)
    yield panel(drawn, f"search-history{part}", "Validation loss by trial, best so far")
    if found.importance:
        drawn = importance_bars(found.importance)
        yield panel(drawn, f"search-importance{part}", f"Importance of {listing(found.importance)}")


def _best_of_models(found: Tuning) -> Table:
    """Return the best set of each model, and the validation accuracy of the model as the study trained it."""
    best, own = found.best_of_models(), found.standard
    models = [entry["values"].get(MODEL, next(iter(own), "")) for entry in best]
    table = trials_of(found, best)
    rows = [(*row, own.get(model)) for row, model in zip(table.groups[""], models, strict=True)]
    return Table((*table.columns, Column("own_accuracy", "Recipe here, valid. acc. %", "percent")), {"": rows})


def trials_of(found: Tuning, listed: Sequence[Entry]) -> Table:
    """Return the table of some finished trials: validation loss and accuracy, and the values tried."""
    rows = []
    for entry in listed:
        values = {name: entry["values"][name] for name in found.parameters if name in entry["values"]}
        model = (values.pop(MODEL, None),) if MODEL in found.parameters else ()
        settings = ", ".join(map(" ".join, zip(short_names(values), map(setting, values.values()), strict=True)))
        by_fold = entry.get("accuracies") or ()
        accuracy = Spread(entry["accuracy"], statistics.stdev(by_fold) if len(by_fold) > 1 else None)
        rows.append((entry["number"], *model, entry["loss"], accuracy, settings))
    shown = (column for column in columns("trials") if column.key != "model" or MODEL in found.parameters)
    return Table(tuple(shown), {"": rows})
