"""The networks, layer by layer, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auricle.report.document import Chapter, Exhibit, Report
from auricle.report.table import Column, Table, Value

Layers = Mapping[str, Any]

PARAMETERS = (
    Column("model", "Model", "code"),
    Column("trainable_parameters", "Trainable", "count"),
    Column("non_trainable_parameters", "Non-trainable", "count"),
    Column("parameters", "Parameters", "count"),
    Column("running_statistics", "Running statistics", "count"),
    Column("multiply_adds_per_window", "Mult.-adds a window, M", "millions"),
    Column("multiply_adds", "Mult.-adds a clip, M", "millions"),
)
LAYERS = (
    Column("layer", "Layer", "code"),
    Column("kind", "Kind", grows=True),
    Column("output_shape", "Output shape"),
    Column("parameters", "Parameters", "count"),
    Column("multiply_adds", "Mult.-adds", "count"),
)


def architectures(report: Report) -> Chapter:
    """Return the chapter on the networks: a table of their totals, and one a shape of network."""
    study = report.study
    known = {model: study.layers[model] for model in study.models if model in study.layers}
    rows = [(model, *(layers.get(column.key) for column in PARAMETERS[1:])) for model, layers in known.items()]
    exhibits: dict[str, Exhibit] = {"table-parameters": Table(PARAMETERS, {"": rows})}
    networks = []
    for models in _of_one_shape(known):
        name, first = report.anchors[models[0]], known[models[0]]
        exhibits[f"table-layers-{name}"] = _layer_table(first["layers"])
        differences = _differences([known[model]["layers"] for model in models])
        networks.append((name, models, first.get("about"), differences))
    return Chapter({"networks": networks}, exhibits)


def _of_one_shape(known: Mapping[str, Layers]) -> list[list[str]]:
    """Group the models whose layers have the same names, shapes and counts."""
    alike: dict[tuple[Any, ...], list[str]] = {}
    for model, description in known.items():
        shape = tuple((layer["name"], *layer["output_shape"], layer["parameters"]) for layer in description["layers"])
        alike.setdefault(shape, []).append(model)
    return list(alike.values())


def _layer_table(layers: Sequence[Layers]) -> Table:
    rows: list[tuple[Value, ...]] = [
        (layer["name"], layer["kind"], " × ".join(map(str, layer["output_shape"])), layer["parameters"],
         layer["multiply_adds"])
        for layer in layers
    ]  # fmt: skip
    totals = (sum(layer[key] for layer in layers) for key in ("parameters", "multiply_adds"))
    return Table(LAYERS, {"": [*rows, ("all", "", "", *totals)]}, totals=True)


def _differences(networks: Sequence[Sequence[Layers]]) -> dict[tuple[str, ...], str]:
    """Return how the kinds of layers differ between networks of one shape, each way once, with the first such layer."""
    found: dict[tuple[str, ...], str] = {}
    for layers in zip(*networks, strict=True):
        kinds = tuple(layer["kind"] for layer in layers)
        if len(set(kinds)) > 1:
            found.setdefault(kinds, layers[0]["name"])
    return found
