"""What the trainings came to: files of each, a table and figures of all."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auricle.data.folds import Split
from auricle.report.figures.results import confusion, f1_bars, roc
from auricle.report.figures.style import palette, style
from auricle.report.figures.training import curves, largest_loss
from auricle.scoring.metrics import mean_curve, one_vs_rest
from auricle.scoring.predictions import Predictions, to_csv

COLUMNS = ("protocol", "model", "cells", "parameters", "accuracy", "sd", "macro_f1", "macro_auc", "validation")


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one training came to.

    Attributes:
        model: its name.
        split: who trained, validated and tested.
        seed: of weights, order and augmentation.
        parameters: how many numbers the network learnt.
        history: one record an epoch.
        predictions: of every window of the validation and the test clips.
        test: scores of the test clips.
        validation: the same of the validation clips; None where the protocol has none.
    """

    model: str
    split: Split
    seed: int
    parameters: int
    history: list[dict[str, Any]]
    predictions: Predictions
    test: dict[str, Any]
    validation: dict[str, Any] | None


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """Write MODEL/PROTOCOL-FOLD-SEED/ with history.jsonl, predictions.csv and metrics.json."""
    place = folder / outcome.model / f"{outcome.split.protocol}-{outcome.split.fold}-{outcome.seed}"
    place.mkdir(parents=True, exist_ok=True)
    (place / "history.jsonl").write_text("".join(json.dumps(record) + "\n" for record in outcome.history))
    (place / "predictions.csv").write_bytes(to_csv(outcome.predictions))
    scores = {"test": outcome.test, "validation": outcome.validation, "parameters": outcome.parameters}
    (place / "metrics.json").write_text(json.dumps(scores, indent=1))


def compare(outcomes: Sequence[Outcome], categories: Sequence[str], out: Path) -> str:
    """Write results.csv, one row a model under a protocol, and the figures of each; return the table as lines."""
    (out / "figures").mkdir(parents=True, exist_ok=True)
    pairs = dict.fromkeys((outcome.split.protocol, outcome.model) for outcome in outcomes)
    colours = palette(list(dict.fromkeys(model for _, model in pairs)))
    top = largest_loss([outcome.history for outcome in outcomes])
    rows = []
    for protocol, model in pairs:
        own = [outcome for outcome in outcomes if (outcome.split.protocol, outcome.model) == (protocol, model)]
        rows.append(_row(own))
        draw(own, categories, colours[model], top, out / "figures")
    with (out / "results.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows(rows)
    return "\n".join(map(_line, [COLUMNS, *rows]))


def _line(row: Sequence[Any]) -> str:
    words = (f"{value:.4f}" if isinstance(value, float) else "-" if value is None else str(value) for value in row)
    return "".join(f"{word:>{24 if place == 1 else 12}}" for place, word in enumerate(words))


def _row(own: Sequence[Outcome]) -> tuple:
    """Return a row of results.csv: means over the cells of a model under a protocol, and the spread of accuracy."""
    tests = [outcome.test["clip"] for outcome in own]
    accuracies = [test["accuracy"] for test in tests]
    spread = float(np.std(accuracies, ddof=1)) if len(own) > 1 else None
    areas = [test["macro_auc"] for test in tests if test["macro_auc"] is not None]
    validated = [outcome.validation["clip"]["accuracy"] for outcome in own if outcome.validation]
    means = [float(np.mean(values)) if values else None for values in (areas, validated)]
    f1 = float(np.mean([test["macro_f1"] for test in tests]))
    head = (own[0].split.protocol, own[0].model, len(own), own[0].parameters)
    return (*head, float(np.mean(accuracies)), spread, f1, *means)


def draw(own: Sequence[Outcome], categories: Sequence[str], colour: str, top: float, folder: Path) -> None:
    """Draw a model under a protocol: learning curves, confusion, F1 and ROC, over all its cells."""
    name = f"{own[0].model}-{own[0].split.protocol}"
    histories = [outcome.history for outcome in own]
    tests = [outcome.test["clip"] for outcome in own]
    clips = [outcome.predictions.of("test").by_clip() for outcome in own]
    probabilities = np.concatenate([some.probabilities for some in clips])
    areas = one_vs_rest(probabilities, np.concatenate([some.labels for some in clips]))
    f1 = [[test["per_class"][category]["f1"] for test in tests] for category in categories]
    with style():
        drawn = {
            "accuracy": curves(histories, "accuracy", colour=colour, top=1.02, title=f"{name}: accuracy"),
            "loss": curves(histories, "loss", colour=colour, top=top, title=f"{name}: loss"),
            "confusion": confusion(np.sum([test["confusion"] for test in tests], axis=0), categories, colour),
            "f1": f1_bars([float(np.mean(values)) for values in f1], f1, categories, colour),
            "roc": roc(areas, mean_curve(areas), categories),
        }
        for kind, figure in drawn.items():
            figure.savefig(folder / f"{name}-{kind}.png", dpi=200, bbox_inches="tight", facecolor="white")
