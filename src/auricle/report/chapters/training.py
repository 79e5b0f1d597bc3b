"""The recipe, from the fields of the configuration, and how training went: learning curves."""

from collections.abc import Mapping, Sequence

from auricle.config import Preset, settings
from auricle.findings.study import Study
from auricle.report.document import Chapter, Figure, Report
from auricle.report.figures.drawing import panel
from auricle.report.figures.style import drawable
from auricle.report.figures.training import Quantity, curves, largest_loss
from auricle.report.table import Column, Table, Value
from auricle.report.wording import listing

MOST_PANELS = 12  # two a model; they fill a page
MOST_RECIPES = 6  # columns that a page holds
LONGEST_TITLE = 70  # letters of a column's title
ABSENT = "–"

Field = tuple[str, str]  # a section of the configuration, and the label of one of its fields


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
    columns = list(zip(titles, map(dict, alike), strict=True))
    tables = {
        f"table-recipe{_part(number)}": _recipes(columns[start : start + MOST_RECIPES], start)
        for number, start in enumerate(range(0, len(columns), MOST_RECIPES), 1)
    }
    drawn = {protocol: figures for protocol in study.protocols if (figures := _curves(report, protocol))}
    values = {
        "study": study,
        "recipes": list(tables),
        "named": list(zip(titles, alike.values(), strict=True)) if numbered else [],
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


def _recipes(columns: Sequence[tuple[str, Mapping[Field, str]]], start: int) -> Table:
    """Return a table with a column a recipe, grouped by section, training and augmentation first."""
    sections = ["training", "augmentation", *Preset.model_fields]
    fields = dict.fromkeys(field for _, found in columns for field in found)
    groups: dict[str, list[tuple[Value, ...]]] = {}
    for section, label in sorted(fields, key=lambda field: sections.index(field[0])):
        values = [found.get((section, label), ABSENT) for _, found in columns]
        groups.setdefault(Preset.model_fields[section].title or section, []).append((label, *values))
    heads = (Column(f"recipe_{number}", title, grows=True) for number, (title, _) in enumerate(columns, start + 1))
    return Table((Column("setting", "Setting"), *heads), groups)


def _curves(report: Report, protocol: str) -> dict[str, Figure]:
    """Draw two panels a model, all models on the same axes, as many in a figure as a page holds."""
    study, fallen = report.study, report.findings.collapses
    histories = {model: [cell.history for cell in study.of(model, protocol) if cell.history] for model in study.models}
    every = [history for cells in histories.values() for history in cells]
    tops: dict[Quantity, float] = {"accuracy": 1.0, "loss": largest_loss(every)}
    panels = []
    for index, (model, cells) in enumerate(histories.items()):
        marks = [one.epoch for one in fallen if one.epoch and (one.cell.model, one.cell.protocol) == (model, protocol)]
        for quantity, top in tops.items() if cells else ():
            title = f"{drawable(model, index, 30)}: {quantity}"
            drawn = curves(cells, quantity, colour=report.colours[model], top=top, title=title, marks=marks)
            alt = f"{quantity.capitalize()} of {model} by epoch under {protocol}, training and validation"
            panels.append(panel(drawn, f"{quantity}-{protocol}-{report.anchors[model]}", alt))
    return {
        f"figure-curves-{protocol}{_part(number)}": Figure(tuple(panels[start : start + MOST_PANELS]))
        for number, start in enumerate(range(0, len(panels), MOST_PANELS), 1)
    }
