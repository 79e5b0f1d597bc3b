"""The recipe, and how training went: learning curves."""

from __future__ import annotations

from collections.abc import Iterator

from auricle.config import AugmentationConfig, TrainingConfig
from auricle.report.collapses import collapses
from auricle.report.document import Block, Bullets, Figure, Paragraph, Section
from auricle.report.evidence import Study
from auricle.report.figures.style import drawable, palette, panel
from auricle.report.figures.training import Quantity, curves, largest_loss
from auricle.report.table import Column, Table
from auricle.report.wording import Code, Ref, Strong, Text, anchors, listing

MOST_PANELS = 12  # two a model; they fill a page
LONGEST_TITLE = 70  # letters of a column's title


def training_chapter(study: Study) -> Section:
    """Return the chapter on the recipe, a column for the models that share it, and the curves."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for model in study.models:
        alike.setdefault(tuple(_recipe(study, model).values()), []).append(model)
    settings = list(_recipe(study, study.models[0]))
    titles = [listing(models) for models in alike.values()] if len(alike) > 1 else ["All models"]
    named: list[Block] = []
    if max(map(len, titles)) > LONGEST_TITLE:
        titles = [f"Recipe {n}" for n in range(1, len(alike) + 1)]
        named = [
            Bullets(
                tuple(
                    (Strong(title), f": {', '.join(models)}.")
                    for title, models in zip(titles, alike.values(), strict=True)
                )
            )
        ]
    columns = (
        Column("setting", "Setting"),
        *(Column(f"recipe_{n}", title, grows=True) for n, title in enumerate(titles, 1)),
    )
    rows = [(setting, *(recipe[place] for recipe in alike)) for place, setting in enumerate(settings)]
    table = Table("table-recipe", ("Training and augmentation, from the configuration.",), columns, {"": rows})
    text: Text = (
        "Every cell starts from fresh weights and a fresh optimiser. The test clips are scored once, after the "
        "last epoch: no epoch is chosen by its score. The recipe is in ", Ref("table-recipe"), ".",
    )  # fmt: skip
    curves = tuple(_curves(study))
    sections = (Section("curves", "Learning curves", curves),) if curves else ()
    return Section("training", "Training", (Paragraph(text), *named, table, *_overrides(study)), sections)


def _curves(study: Study) -> Iterator[Block]:
    """Yield figures of accuracy and loss by epoch for each protocol that has a history."""
    drawn = [figures for protocol in study.protocols if (figures := _protocol_curves(study, protocol))]
    if not drawn:
        return
    refs = [piece for first, *_ in drawn for piece in (" and ", Ref(first.name))][1:]
    words = (
        " show accuracy and loss by epoch, measured after each epoch on the middle window of every clip without "
        "augmentation, for training and validation alike. "
    )
    averaged = any(preset.training.weight_average for preset in study.presets.values())
    note = "They are of the weights as they stand, not of the average that is scored at the end." if averaged else ""
    yield Paragraph((*refs, words if len(drawn) > 1 else words.replace("show", "shows", 1), note))
    for figures in drawn:
        yield from figures


def _protocol_curves(study: Study, protocol: str) -> list[Figure]:
    """Draw two panels a model, all models on the same axes, as many in a figure as a page holds."""
    colours, names = palette(tuple(study.presets)), anchors(study.presets)
    histories = {model: [cell.history for cell in study.of(model, protocol) if cell.history] for model in study.models}
    marks = {
        model: [fallen.epoch for fallen in collapses(study.of(model, protocol)) if fallen.epoch] for model in histories
    }
    every = [history for cells in histories.values() for history in cells]
    tops: dict[Quantity, float] = {"accuracy": 1.0, "loss": largest_loss(every)}
    panels = []
    for place, (model, cells) in enumerate(histories.items()):
        for quantity, top in tops.items() if cells else ():
            title = f"{drawable(model, place, 30)}: {quantity}"
            figure = curves(cells, quantity, colour=colours[model], top=top, title=title, marks=marks[model])
            alt = f"{quantity.capitalize()} of {model} by epoch under {protocol}, training and validation"
            panels.append(panel(figure, f"{quantity}-{protocol}-{names[model]}", alt))
    words = f"Learning curves under {protocol}, which has no validation set: training only."
    if any("validation_loss" in history[-1] for history in every):
        words = (
            f"Learning curves under {protocol}. Dashed: training; solid: validation; thin lines: single cells, "
            "where there are several; thick: their mean. The distance of dashed and solid is the overfitting gap."
        )
    if any(marks.values()):
        words += " An upright dotted line: the epoch at which a training was found to have collapsed."
    parts = [tuple(panels[start : start + MOST_PANELS]) for start in range(0, len(panels), MOST_PANELS)]
    return [
        Figure(f"figure-curves-{protocol}" + f"-{place}" * (place > 1), part, (words if place == 1 else "Continued.",))
        for place, part in enumerate(parts, 1)
    ]


def _overrides(study: Study) -> list[Block]:
    if not study.config.overrides:
        return []
    words = [Code(f"{name}={value}") for name, value in study.config.overrides.items()]
    listed = [piece for word in words for piece in (", ", word)][1:]
    return [Paragraph(("For this study, every model was changed by ", *listed, "."))]


def _recipe(study: Study, model: str) -> dict[str, str]:
    """Return the settings of training and augmentation, in words."""
    preset = study.presets[model]
    recipe = _training(preset.training) | _augmentation(preset.augmentation)
    used = {cell.costs["precision"] for cell in study.cells if cell.name.model == model and "precision" in cell.costs}
    if preset.training.precision == "auto" and used:
        recipe["Precision"] = f"{listing(sorted(used))} (auto)"
    return recipe


def _training(t: TrainingConfig) -> dict[str, str]:
    optimisers = {
        "adam": "Adam",
        "adamw": "AdamW",
        "sgd": f"SGD, momentum {t.momentum:g}",
        "muon": f"Muon, momentum {t.momentum:g}; AdamW for first and last layer, norms and biases",
    }
    rate = (
        f"{t.matrix_learning_rate:g} (AdamW {t.learning_rate:g})" if t.optimizer == "muon" else f"{t.learning_rate:g}"
    )
    averaged = f"average over steps, decay {t.weight_average:g}"
    return {
        "Epochs": f"{t.epochs}",
        "Batch": f"{t.batch_size} windows",
        "Windows of a clip in an epoch": f"{t.views}, at random places",
        "Loss": f"cross-entropy, label smoothing {t.label_smoothing:g}",
        "Optimiser": optimisers[t.optimizer],
        "Learning rate": f"{rate}, {t.schedule}, warm-up of {t.warmup_epochs:g} epochs",
        "Weight decay": f"{t.weight_decay:g}",
        "Largest norm of the gradient": f"{t.gradient_clip:g}" if t.gradient_clip else "no limit",
        "Weights that are scored": averaged if t.weight_average else "those of the last epoch",
        "Precision": t.precision,
    }


def _augmentation(a: AugmentationConfig) -> dict[str, str]:
    return {
        "Shift in time": "cyclic, anywhere" if a.shift else "off",
        "Mixed with another clip's window": f"{100 * a.mix:g} % of windows" if a.mix else "off",
        "Gain": f"up to ± {a.gain_db:g} dB" if a.gain_db else "off",
        "Shift in frequency": f"up to ± {a.band_shift} bands" if a.band_shift else "off",
        "Random filter": f"standard deviation {a.filter_db:g} dB" if a.filter_db else "off",
        "Time blanked": f"up to {a.time_mask_s:g} s" if a.time_mask_s else "off",
        "Bands blanked": f"up to {a.band_mask}" if a.band_mask else "off",
    }
