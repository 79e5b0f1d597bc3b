"""The recordings; training, validation and test sets; preprocessing; and the networks, layer by layer."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from auricle.config import Preset
from auricle.findings.dataset import Dataset, Samples
from auricle.report.document import Chapter, Exhibit, Figure, Report
from auricle.report.figures.dataset import class_counts, sample
from auricle.report.figures.drawing import panel
from auricle.report.figures.networks import Step, encoder_block, network, one_dimension
from auricle.report.figures.style import drawables
from auricle.report.table import Column, Table, Value, columns
from auricle.report.wording import count, listing, shortened, spoken

ESC10 = "esc10"  # the dataset of the ablation that is cited
Layers = Mapping[str, Any]
SAMPLES_A_FIGURE = 10
MOST_SAMPLES = 50
MOST_FOLD_COLUMNS = 12
MOST_FOLDS_BESIDE = 5  # folds of which the table leaves room for the figure


def methods(report: Report) -> Chapter:
    """Return the chapter on protocols and preprocessing."""
    study = report.study
    alike: dict[tuple[Any, ...], list[str]] = {}  # models with the same preprocessing are described together
    for model in study.models:
        preset = study.presets[model]
        test = next(cell.test for cell in study.cells if cell.name.model == model)
        num_windows = round(test["window"]["num"] / test["clip"]["num"])  # that score a clip
        alike.setdefault((preset.audio, preset.frontend, preset.training.windows, num_windows), []).append(model)
    inputs = [(models, *key) for key, models in alike.items()]
    return Chapter(report.phrases | {"inputs": inputs})


def architectures(report: Report) -> Chapter:
    """Return the chapter on the networks: a table of their totals, and one for each shape of network."""
    study = report.study
    known = {model: study.layers[model] for model in study.models if model in study.layers}
    totals = columns("parameters")
    rows = [(model, *(layers.get(column.key) for column in totals[1:])) for model, layers in known.items()]
    exhibits: dict[str, Exhibit] = {"table-parameters": Table(totals, {"": rows})}
    of_one_shape: dict[tuple[Any, ...], list[str]] = {}
    for model, description in known.items():
        shape = tuple((layer["name"], *layer["output_shape"], layer["parameters"]) for layer in description["layers"])
        of_one_shape.setdefault(shape, []).append(model)
    networks, shown = [], set[tuple[str, ...]]()
    for models in of_one_shape.values():
        name, first = report.anchors[models[0]], known[models[0]]
        preset = study.presets[models[0]]
        base = tuple(map(str, (layer for layer in first["layers"] if layer["name"].startswith("base."))))
        alike = [known[model]["layers"] for model in models]
        exhibits[f"table-layers-{name}"] = _layer_table(alike, base_known=base in shown)
        shown.add(base)
        drawn = network(*network_steps(preset, first["layers"]))
        exhibits[f"figure-network-{name}"] = Figure((panel(drawn, f"network-{name}", f"{models[0]}, step by step"),))
        networks.append((name, models, _about(first.get("about")), _differences(alike)))
    presets = [study.presets[model] for model in known]
    encoders = sorted((preset.encoder for preset in presets if preset.encoder), key=lambda one: max(one.heads))
    if encoders:
        block = panel(
            encoder_block(encoders[-1]), "encoder-block", "A block of the encoder, and a head of its attention"
        )
        exhibits["figure-encoder-block"] = Figure((block,))
    if report.phrases["is_map"]:
        axes = panel(one_dimension(), "one-dimension", "Three neighbours of a value along frequency, and along time")
        exhibits["figure-one-dimension"] = Figure((axes,))
    values = {
        "networks": networks,
        "is_map": report.phrases["is_map"],
        "encoder": encoders[-1] if encoders else None,
        "published": study.dataset.source == ESC10,
    }
    return Chapter(values, exhibits)


def network_steps(preset: Preset, layers: Sequence[Layers]) -> tuple[list[Step], int]:
    """Return the steps from the features to the classes, and how many of them are the base."""
    shapes = {layer["name"]: _shape(layer["output_shape"]) for layer in layers}
    frontend, head, encoder = preset.frontend, preset.head, preset.encoder
    rows = {"raw": "waveform", "mfcc": f"{frontend.num_coefficients} coefficients"}
    steps = [("input", rows.get(frontend.kind, f"log-mel, {frontend.num_bands} bands"), f"{preset.audio.window_s:g} s")]
    for block in preset.base.blocks:
        for repeat in range(block.repeat):
            number = len(steps) - 1
            own = [
                shape for name, shape in shapes.items() if name.startswith(f"base.{number}.") and "shortcut" not in name
            ]
            what = [f"kernel {block.kernel}"]
            what += [f"stride {block.stride}"] * (block.stride > 1 and not repeat)
            what += ["input added"] * block.residual
            steps.append((f"{number + 1}: {' + '.join(block.axes)}", ", ".join(what), own[-1] if own else ""))
    in_base, dropout = len(steps) - 1, f"dropout {head.dropout:g}"
    if encoder is None:
        pool = {"mean": "mean over the map", "max": "maximum over the map", "flatten": "flatten"}[head.pool]
        steps.append((pool, "", shapes.get("summary", "")))
    else:
        tokens = next((shape for name, shape in shapes.items() if name.startswith("summary.blocks.0")), "")
        positions = "" if encoder.positions == "none" else f", {encoder.positions} positions"
        heads = listing(dict.fromkeys(encoder.heads)) + (" head" if set(encoder.heads) == {1} else " heads")
        read = ("<cls>", "its output") if encoder.output == "cls" else ("mean of all tokens", "")
        steps += [
            ("tokens", f"<cls>{positions}", tokens),
            (f"encoder block × {encoder.num_blocks}", f"{heads}, MLP of {encoder.mlp_width or encoder.width}", tokens),
            (*read, str(encoder.width)),
        ]
    hidden = " → ".join(map(str, head.hidden))
    inside = f"{hidden}, GELU, {dropout}" if hidden else dropout
    steps.append(("MLP head" if hidden else "linear", inside, list(shapes.values())[-1] if shapes else ""))
    return steps, in_base


def _shape(sizes: Sequence[int]) -> str:
    return " × ".join(map(str, sizes))


def _about(text: str | None) -> str:
    """Return the description of a network without its accuracy in another study.

    >>> _about("1D convolutions. 95.6 % of ESC-10 (five folds).")
    '1D convolutions.'
    """
    return " ".join(each for each in re.split(r"(?<=\.) ", text or "") if "ESC-10" not in each)


def _layer_table(networks: Sequence[Sequence[Layers]], *, base_known: bool) -> Table:
    """Return the layers of networks of one shape, from input to output; a base that is listed before is one row."""
    layers = networks[0]
    of_base = [layer for layer in layers if layer["name"].startswith("base.")] if base_known else []
    rows = [
        (layer["name"], _alternatives(one["kind"] for one in alike), _shape(layer["output_shape"]),
         layer["parameters"], layer["multiply_adds"])
        for alike in zip(*networks, strict=True)
        if (layer := alike[0]) not in of_base
    ]  # fmt: skip
    base, totals = (
        [sum(layer[key] for layer in some) for key in ("parameters", "multiply_adds")] for some in (of_base, layers)
    )
    if of_base:
        rows.insert(0, ("base", "the same base", _shape(of_base[-1]["output_shape"]), *base))
    return Table(columns("layers"), {"": [*rows, ("all", "", "", *totals)]}, totals=True)


def _differences(networks: Sequence[Sequence[Layers]]) -> dict[str, list[str]]:
    """Return how networks of one shape differ, with the names of the layers in which they do."""
    found: dict[str, list[str]] = {}
    for layers in zip(*networks, strict=True):
        if len(kinds := dict.fromkeys(layer["kind"] for layer in layers)) > 1:
            found.setdefault(_alternatives(kinds), []).append(layers[0]["name"])
    return found


def _alternatives(kinds: Iterable[str]) -> str:
    """Join the kinds of a layer in several networks.

    >>> _alternatives(["self-attention, 1 head", "self-attention, 2 heads"]), _alternatives(["linear", "linear"])
    ('self-attention, 1 head / 2 heads', 'linear')
    """
    first, *others = dict.fromkeys(kinds)
    return " / ".join([first, *(kind.removeprefix(f"{first.rpartition(', ')[0]}, ") for kind in others)])


def dataset(report: Report) -> Chapter:
    """Return the chapter on the dataset."""
    data, samples = report.study.dataset, _samples(report.study.samples)
    skipped = [(shortened(name, 60), shortened(reason, 160)) for name, reason in data.skipped]
    numbers = [num for by_fold in data.counts.values() for num in by_fold.values()]
    most = max(numbers)
    values: dict[str, Any] = {
        "data": data,
        "even": most if most == min(numbers) else 0,
        "sizes": [sum(by_fold.values()) for by_fold in data.counts.values()],
        "beside": len(data.folds) <= MOST_FOLDS_BESIDE,
        "samples": list(samples),
        "num_drawn": sum(len(figure.panels) for figure in samples.values()),
        "skipped": skipped,
    }
    exhibits: dict[str, Exhibit] = {"table-skipped": Table(columns("skipped"), {"": skipped}), **samples}
    if not values["even"]:
        alt = f"Bars of the number of clips of {count(len(data.categories), 'class', 'classes')}, divided by fold"
        drawn = class_counts(data.counts, data.folds)
        exhibits |= {"table-classes": _classes(data), "figure-classes": Figure((panel(drawn, "classes", alt),))}
    return Chapter(values, exhibits)


def _classes(data: Dataset) -> Table:
    folds = data.folds if len(data.folds) <= MOST_FOLD_COLUMNS else ()
    shown = (
        Column("number", "No.", "count"),
        Column("class", "Class", grows=True),
        *(Column(f"fold_{fold}", f"{fold}", "count") for fold in folds),
        Column("clips", "Clips", "count"),
    )
    rows: list[tuple[Value, ...]] = [
        (number, spoken(category), *(by_fold[fold] for fold in folds), sum(by_fold.values()))
        for number, (category, by_fold) in enumerate(data.counts.items(), 1)
    ]
    totals = [sum(by_fold[fold] for by_fold in data.counts.values()) for fold in folds]
    return Table(shown, {"": [*rows, ("", "all", *totals, data.num_clips)]}, totals=True)


def _samples(samples: Samples | None) -> dict[str, Figure]:
    """Return figures of one clip a class, ten a figure."""
    if samples is None:
        return {}
    panels, titles = [], drawables(samples.categories, 16)
    for index, category in enumerate(samples.categories[:MOST_SAMPLES]):
        drawn = sample(samples.waveforms[index], samples.sample_rate_hz, titles[index], small=True)
        alt = f"Waveform and mel spectrogram of {samples.names[index]}, {spoken(category)}"
        panels.append(panel(drawn, f"sample-{index + 1}", alt))
    return {
        f"figure-samples-{number}": Figure(tuple(panels[start : start + SAMPLES_A_FIGURE]))
        for number, start in enumerate(range(0, len(panels), SAMPLES_A_FIGURE), 1)
    }
