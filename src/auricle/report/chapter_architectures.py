"""The networks, layer by layer, and what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from auricle.report.document import Block, Paragraph, Section
from auricle.report.evidence import Study
from auricle.report.table import Column, Table, Value
from auricle.report.wording import Ref, anchors, listing

Layers = Mapping[str, Any]

_PARAMETERS = (
    Column("model", "Model", "code"),
    Column("trainable_parameters", "Trainable", "count"),
    Column("non_trainable_parameters", "Non-trainable", "count"),
    Column("parameters", "Parameters", "count"),
    Column("running_statistics", "Running statistics", "count"),
    Column("multiply_adds_per_window", "Mult.-adds a window, M", "millions"),
    Column("multiply_adds", "Mult.-adds a clip, M", "millions"),
)
_LAYERS = (
    Column("layer", "Layer", "code"),
    Column("kind", "Kind", grows=True),
    Column("output_shape", "Output shape"),
    Column("parameters", "Parameters", "count"),
    Column("multiply_adds", "Mult.-adds", "count"),
)


def architectures_chapter(study: Study) -> Section:
    """Return the chapter on the networks: a table of their totals, and one a network."""
    known = {model: study.layers[model] for model in study.models if model in study.layers}
    if not known:
        words = "The study folder holds no description of its networks."
        return Section("architectures", "Architectures", (Paragraph((words,)),))
    names = anchors(study.presets)
    sections = [
        Section(f"layers-{names[models[0]]}", listing(models), tuple(_network(known, names, models)))
        for models in _of_one_shape(known)
    ]
    words = " counts the parameters of each model. In the tables of layers, shapes leave the batch out, and "
    text = (Ref("table-parameters"), words, "multiply-adds are those of one window.")
    return Section("architectures", "Architectures", (Paragraph(text), _parameters(known)), tuple(sections))


def _of_one_shape(known: Mapping[str, Layers]) -> list[list[str]]:
    """Group the models whose layers have the same names, shapes and counts."""
    alike: dict[tuple, list[str]] = {}
    for model, description in known.items():
        shape = tuple((row["name"], *row["output_shape"], row["parameters"]) for row in description["layers"])
        alike.setdefault(shape, []).append(model)
    return list(alike.values())


def _parameters(known: Mapping[str, Layers]) -> Table:
    rows = [(model, *(layers.get(column.key) for column in _PARAMETERS[1:])) for model, layers in known.items()]
    caption = (
        "Parameters and cost. Running statistics are the means and variances that batch norm keeps: neither trained "
        "nor counted as parameters. Multiply-adds are those of the network, without the Fourier transforms.",
    )
    return Table("table-parameters", caption, _PARAMETERS, {"": rows})


def _network(known: Mapping[str, Layers], names: Mapping[str, str], models: Sequence[str]) -> Iterator[Block]:
    """Yield what a network is, in what the others of its shape differ, and its layers."""
    first = models[0]
    if known[first].get("about"):
        yield Paragraph((known[first]["about"],))
    if differences := _differences([known[model]["layers"] for model in models]):
        words = f"{listing(models)} have the same layers, shapes and counts; they differ in {'; '.join(differences)}."
        yield Paragraph((words,))
    layers = known[first]["layers"]
    rows: list[tuple[Value, ...]] = [
        (row["name"], row["kind"], " × ".join(map(str, row["output_shape"])), row["parameters"], row["multiply_adds"])
        for row in layers
    ]
    rows.append(("all", "", "", *(sum(row[key] for row in layers) for key in ("parameters", "multiply_adds"))))
    caption = (f"Layers of {first}, in the order of the signal.",)
    yield Table(f"table-layers-{names[first]}", caption, _LAYERS, {"": rows}, totals=True)


def _differences(layers: Sequence[Sequence[Layers]]) -> list[str]:
    """Say how the kinds of layers differ between networks of one shape, each way once."""
    told: dict[tuple[str, ...], str] = {}
    for rows in zip(*layers, strict=True):
        kinds = tuple(row["kind"] for row in rows)
        if len(set(kinds)) > 1:
            told.setdefault(kinds, f"{rows[0]['name']} ({' / '.join(kinds)})")
    return list(told.values())
