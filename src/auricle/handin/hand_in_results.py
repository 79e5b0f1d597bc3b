"""What the trainings came to: scores by scikit-learn, files of each, a table and figures of all."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay, RocCurveDisplay, confusion_matrix, f1_score, roc_auc_score

from auricle.data.folds import Split
from auricle.scoring.predictions import ClipPredictions, Predictions, to_csv

COLUMNS = ("protocol", "model", "cells", "parameters", "accuracy", "sd", "macro_f1", "macro_auc", "validation")


@dataclass(frozen=True)
class TrainingResult:
    """What one training came to.

    Attributes:
        model: its name.
        split: who trained, validated and tested.
        seed: of weights, order and augmentation.
        num_parameters: that the network learnt.
        history: one record an epoch.
        predictions: of every window of the validation and the test clips.
    """

    model: str
    split: Split
    seed: int
    num_parameters: int
    history: list[dict[str, Any]]
    predictions: Predictions

    @property
    def cell(self) -> str:
        """The protocol, the fold and the seed."""
        return f"{self.split.protocol}-{self.split.fold}-{self.seed}"

    @cached_property
    def test(self) -> dict[str, Any]:
        """The scores of the test clips."""
        return score_clips(self.predictions.of("test").by_clip())

    @cached_property
    def validation(self) -> dict[str, Any] | None:
        """The scores of the validation clips; None where the protocol has none."""
        windows = self.predictions.of("validation")
        return score_clips(windows.by_clip()) if windows.clips else None


def score_clips(clips: ClipPredictions) -> dict[str, Any]:
    """Return accuracy, macro F1, macro one-vs-rest ROC-AUC, the F1 of each class, and the confusion of clips.

    Macro means are over the classes that occur; the AUC of a class that is absent, or alone, does not count.
    """
    labels, answers, every = clips.labels, clips.answers, np.arange(len(clips.categories))
    mixed = [label for label in every if 0 < np.sum(labels == label) < len(labels)]
    areas = [roc_auc_score(labels == label, clips.probabilities[:, label]) for label in mixed]
    return {
        "accuracy": float(np.mean(labels == answers)),
        "macro_f1": float(f1_score(labels, answers, average="macro", zero_division=0.0)),
        "macro_auc": float(np.mean(areas)) if areas else None,
        "f1": f1_score(labels, answers, labels=every, average=None, zero_division=0.0).tolist(),
        "confusion": confusion_matrix(labels, answers, labels=every).tolist(),
    }


def write_result(folder: Path, result: TrainingResult) -> None:
    """Write MODEL/PROTOCOL-FOLD-SEED/ with history.jsonl, predictions.csv and metrics.json."""
    own = folder / result.model / result.cell
    own.mkdir(parents=True, exist_ok=True)
    (own / "history.jsonl").write_text("".join(json.dumps(record) + "\n" for record in result.history))
    (own / "predictions.csv").write_bytes(to_csv(result.predictions))
    scores = {"test": result.test, "validation": result.validation, "parameters": result.num_parameters}
    (own / "metrics.json").write_text(json.dumps(scores, indent=1))


def compare(results: Sequence[TrainingResult], categories: Sequence[str], out: Path) -> str:
    """Write results.csv, one row a model under a protocol, and a figure of each; return both tables as lines."""
    (out / "figures").mkdir(parents=True, exist_ok=True)
    rows, confusions = [], []
    for protocol, model in dict.fromkeys((result.split.protocol, result.model) for result in results):
        own = [result for result in results if (result.split.protocol, result.model) == (protocol, model)]
        accuracies = [result.test["accuracy"] for result in own]
        areas = [result.test["macro_auc"] for result in own if result.test["macro_auc"] is not None]
        validated = [result.validation["accuracy"] for result in own if result.validation]
        spread = float(np.std(accuracies, ddof=1)) if len(own) > 1 else None
        f1s = [result.test["macro_f1"] for result in own]
        means = [float(np.mean(values)) if values else None for values in (f1s, areas, validated)]
        rows.append((protocol, model, len(own), own[0].num_parameters, float(np.mean(accuracies)), spread, *means))
        confusion = np.sum([result.test["confusion"] for result in own], axis=0)
        draw(own, confusion, categories).savefig(out / "figures" / f"{model}-{protocol}.png", dpi=150)
        confusions.append(f"\n{model}, {protocol}: rows are true classes, columns answers\n{confusion}")
    with (out / "results.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return "\n".join([*map(_aligned, [COLUMNS, *rows]), *confusions])


def _aligned(row: Sequence[Any]) -> str:
    cells = [f"{value:.4f}" if isinstance(value, float) else "-" if value is None else str(value) for value in row]
    return "".join(f"{cell:>{24 if column == 1 else 12}}" for column, cell in enumerate(cells))


def draw(own: Sequence[TrainingResult], confusion: np.ndarray, categories: Sequence[str]) -> Figure:
    """Draw a model under a protocol, over all its cells: learning curves, F1 of each class, confusion and ROC."""
    figure = Figure(figsize=(18, 11), layout="constrained")
    losses, accuracies, f1s, confused, rocs, averages = figure.subplots(2, 3).flat
    averages.set_axis_off()
    figure.suptitle(f"{own[0].model}, {own[0].split.protocol}", parse_math=False)
    for axes, quantity in ((losses, "loss"), (accuracies, "accuracy")):
        for result in own:
            for name, style in (("train", "-"), ("validation", "--")):
                values = [record.get(f"{name}_{quantity}", np.nan) for record in result.history]
                axes.plot(range(1, len(values) + 1), values, style, label=f"{name}, {result.cell}")
        axes.set(xlabel="epoch", ylabel=quantity)
    averages.legend(*losses.get_legend_handles_labels(), loc="center")
    f1s.barh(range(len(categories)), np.mean([result.test["f1"] for result in own], axis=0))
    f1s.set_yticks(range(len(categories)), categories, parse_math=False)
    f1s.set(xlabel="F1 on the test clips", xlim=(0, 1))
    ConfusionMatrixDisplay(confusion).plot(ax=confused, colorbar=False)
    clips = [result.predictions.of("test").by_clip() for result in own]
    labels, probabilities = (
        np.concatenate([getattr(some, name) for some in clips]) for name in ("labels", "probabilities")
    )
    for label, category in enumerate(categories):
        if 0 < np.sum(labels == label) < len(labels):
            curve = {"name": category.replace("$", r"\$"), "ax": rocs}
            RocCurveDisplay.from_predictions(labels == label, probabilities[:, label], **curve)
    return figure
