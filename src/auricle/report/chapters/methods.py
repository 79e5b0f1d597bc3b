"""How it was done: who trains, validates and tests, what becomes of a recording, and the networks, layer by layer."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from auricle.findings.reference import PUBLISHED_SOURCE
from auricle.report.document import Chapter, Exhibit, Report
from auricle.report.table import Table, columns

Layers = Mapping[str, Any]


def methods(report: Report) -> Chapter:
    """Return the chapter on protocols and preprocessing."""
    study = report.study
    alike: dict[tuple[Any, ...], list[str]] = {}  # what is the same for several models is said once
    for model in study.models:
        preset = study.presets[model]
        test = next(cell.test for cell in study.cells if cell.name.model == model)
        num_windows = round(test["window"]["num"] / test["clip"]["num"])  # that score a clip
        alike.setdefault((preset.audio, preset.frontend, preset.training.windows, num_windows), []).append(model)
    return Chapter({"study": study, "inputs": [(models, *key) for key, models in alike.items()]})


def architectures(report: Report) -> Chapter:
    """Return the chapter on the networks: a table of their totals, and one a shape of network."""
    study = report.study
    known = {model: study.layers[model] for model in study.models if model in study.layers}
    totals = columns("parameters")
    rows = [(model, *(layers.get(column.key) for column in totals[1:])) for model, layers in known.items()]
    exhibits: dict[str, Exhibit] = {"table-parameters": Table(totals, {"": rows})}
    of_one_shape: dict[tuple[Any, ...], list[str]] = {}
    for model, description in known.items():
        shape = tuple((layer["name"], *layer["output_shape"], layer["parameters"]) for layer in description["layers"])
        of_one_shape.setdefault(shape, []).append(model)
    networks = []
    for models in of_one_shape.values():
        name, first = report.anchors[models[0]], known[models[0]]
        exhibits[f"table-layers-{name}"] = _layer_table(first["layers"])
        differences = _differences([known[model]["layers"] for model in models])
        networks.append((name, models, _about(first.get("about"), study.dataset.source), differences))
    return Chapter({"networks": networks}, exhibits)


def _about(text: str | None, source: str) -> str:
    """Return what a network is; what it reached on ESC-10 only where the study is of that.

    >>> _about("1D convolutions. 95.6 % of ESC-10 (five folds).", "birds/")
    '1D convolutions.'
    """
    sentences = re.split(r"(?<=\.) ", text or "")
    return " ".join(each for each in sentences if source == PUBLISHED_SOURCE or "ESC-10" not in each)


def _layer_table(layers: Sequence[Layers]) -> Table:
    rows = [
        (layer["name"], layer["kind"], " × ".join(map(str, layer["output_shape"])), layer["parameters"],
         layer["multiply_adds"])
        for layer in layers
    ]  # fmt: skip
    totals = (sum(layer[key] for layer in layers) for key in ("parameters", "multiply_adds"))
    return Table(columns("layers"), {"": [*rows, ("all", "", "", *totals)]}, totals=True)


def _differences(networks: Sequence[Sequence[Layers]]) -> dict[tuple[str, ...], str]:
    """Return how the kinds of layers differ between networks of one shape, each way once, with the first such layer."""
    found: dict[tuple[str, ...], str] = {}
    for layers in zip(*networks, strict=True):
        kinds = tuple(layer["kind"] for layer in layers)
        if len(set(kinds)) > 1:
            found.setdefault(kinds, layers[0]["name"])
    return found
