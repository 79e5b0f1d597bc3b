"""The results of the trainings: scores by scikit-learn, files of each, a table and figures of all."""

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

from auricle.config import Preset
from auricle.data.folds import Split
from auricle.data.manifest import Manifest
from auricle.model.windows import mean_over_windows

COLUMNS = ("protocol", "model", "cells", "parameters", "accuracy", "sd", "macro_f1", "macro_auc", "validation")


@dataclass(frozen=True)
class TrainingResult:
    """The result of one training; probabilities (N, W, K) are those of the windows of validation, then test clips."""

    preset: Preset
    manifest: Manifest
    split: Split
    seed: int
    num_parameters: int
    history: list[dict[str, Any]]
    probabilities: np.ndarray
    weights: np.ndarray  # of the windows in the mean of their clip, (N, W)
    not_scored: str | None  # the background class, which does not count in accuracy

    @property
    def cell(self) -> str:
        """The protocol, the fold and the seed."""
        return f"{self.split.protocol}-{self.split.fold}-{self.seed}"

    @cached_property
    def of_clips(self) -> np.ndarray:
        """The probabilities of the clips, (N, K), from those of windows, rounded to seven digits as in the file."""
        return mean_over_windows(np.vectorize(lambda p: float(f"{p:.7g}"))(self.probabilities), self.weights)

    @cached_property
    def tested(self) -> tuple[np.ndarray, np.ndarray]:
        """Labels (N,) and probabilities (N, K) of the test clips."""
        return self.manifest.labels[self.split.test], self.of_clips[len(self.split.validation) :]

    @property
    def scored(self) -> np.ndarray:
        """The labels that count in accuracy and means."""
        return np.flatnonzero([category != self.not_scored for category in self.manifest.categories])

    @cached_property
    def test(self) -> dict[str, Any]:
        """The scores of the test clips."""
        return score_clips(*self.tested, self.scored)

    @cached_property
    def validation_accuracy(self) -> float | None:
        """The accuracy on the validation clips; None where the protocol has none."""
        probabilities = self.of_clips[: len(self.split.validation)]
        labels = self.manifest.labels[self.split.validation]
        right = (probabilities.argmax(1) == labels)[np.isin(labels, self.scored)]
        return float(right.mean()) if len(right) else None


def score_clips(labels: np.ndarray, probabilities: np.ndarray, scored: np.ndarray) -> dict[str, Any]:
    """Return accuracy, macro F1, macro one-vs-rest ROC-AUC, the F1 of each class, and the confusion of clips."""
    answers, every = probabilities.argmax(1), range(probabilities.shape[1])
    curves = [label for label in scored if 0 < (labels == label).sum() < len(labels)]
    occur = np.intersect1d(scored, np.concatenate([labels, answers]))
    areas = [roc_auc_score(labels == label, probabilities[:, label]) for label in curves]
    return {
        "accuracy": float(np.mean((labels == answers)[np.isin(labels, scored)])),
        "macro_f1": float(f1_score(labels, answers, labels=occur, average="macro", zero_division=0.0)),
        "macro_auc": float(np.mean(areas)) if areas else None,
        "f1": f1_score(labels, answers, labels=every, average=None, zero_division=0.0).tolist(),
        "confusion": confusion_matrix(labels, answers, labels=every).tolist(),
    }


def write_result(folder: Path, result: TrainingResult) -> None:
    """Write MODEL/PROTOCOL-FOLD-SEED/ with history.jsonl, predictions.csv and metrics.json."""
    own, split = folder / result.preset.name / result.cell, result.split
    own.mkdir(parents=True, exist_ok=True)
    (own / "history.jsonl").write_text("".join(json.dumps(record) + "\n" for record in result.history))
    scores = {"test": result.test, "validation_accuracy": result.validation_accuracy}
    (own / "metrics.json").write_text(json.dumps({**scores, "parameters": result.num_parameters}, indent=1))
    sets = ["validation"] * len(split.validation) + ["test"] * len(split.test)
    with (own / "predictions.csv").open("w", newline="", encoding="utf-8", errors="surrogatepass") as file:
        table = csv.writer(file)
        table.writerow(("clip", "set", "label", "start_s", "weight", *result.manifest.categories))
        for index, name, weights, windows in zip(split.scored, sets, result.weights, result.probabilities, strict=True):
            clip = result.manifest.clips[index]
            for number, (weight, row) in enumerate(zip(weights, windows, strict=True)):
                numbers = [f"{one:.7g}" for one in (number * result.preset.audio.window_hop_s, weight, *row)]
                table.writerow((clip.name, name, clip.category, *numbers))


def compare(results: Sequence[TrainingResult], out: Path) -> str:
    """Write results.csv, one row per model and protocol, and a figure of each; return both tables as lines."""
    (out / "figures").mkdir(parents=True, exist_ok=True)
    rows, confusions = [], []
    for protocol, model in dict.fromkeys((result.split.protocol, result.preset.name) for result in results):
        own = [result for result in results if (result.split.protocol, result.preset.name) == (protocol, model)]
        accuracies = [result.test["accuracy"] for result in own]
        spread = float(np.std(accuracies, ddof=1)) if len(own) > 1 else None
        kinds = ((one.test["macro_f1"], one.test["macro_auc"], one.validation_accuracy) for one in own)
        means = [float(np.mean(values)) if None not in values else None for values in zip(*kinds, strict=True)]
        rows.append((protocol, model, len(own), own[0].num_parameters, float(np.mean(accuracies)), spread, *means))
        confusion = np.sum([result.test["confusion"] for result in own], axis=0)
        draw(own, confusion).savefig(out / "figures" / f"{model}-{protocol}.png", dpi=150)
        whole = np.array2string(confusion, max_line_width=10**9, threshold=10**9)  # all rows and columns
        confusions.append(f"\n{model}, {protocol}: rows are true classes, columns predictions\n{whole}")
    with (out / "results.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return "\n".join([*map(_aligned, [COLUMNS, *rows]), *confusions])


def _aligned(row: Sequence[Any]) -> str:
    cells = [f"{value:.4f}" if isinstance(value, float) else "-" if value is None else str(value) for value in row]
    return " ".join(f"{cell:>{24 if column == 1 else 11}}" for column, cell in enumerate(cells))


def draw(own: Sequence[TrainingResult], confusion: np.ndarray) -> Figure:
    """Draw a model under a protocol, over all its cells: learning curves, F1 of each class, confusion and ROC."""
    figure, categories = Figure(figsize=(18, 11), layout="constrained"), own[0].manifest.categories
    names = [" " + category.replace("$", r"\$") for category in categories]  # legends leave out what begins with _
    losses, accuracies, f1s, confused, rocs, rest = figure.subplots(2, 3).flat
    for axes, quantity in ((losses, "loss"), (accuracies, "accuracy")):
        for number, result in enumerate(own):
            for name, style in (("train", "-"), ("validation", "--")):
                values = [record.get(f"{name}_{quantity}", np.nan) for record in result.history]
                axes.plot(range(1, len(values) + 1), values, style, color=f"C{number}", label=f"{name}, {result.cell}")
        axes.set(xlabel="epoch", ylabel=quantity)
    rest.set_axis_off()
    rest.legend(*losses.get_legend_handles_labels(), loc="center")
    f1s.barh(names, np.mean([result.test["f1"] for result in own], axis=0))
    f1s.set(xlabel="F1 on the test clips", xlim=(0, 1))
    ConfusionMatrixDisplay(confusion, display_labels=names).plot(ax=confused, colorbar=False, xticks_rotation=90)
    labels, probabilities = (np.concatenate(parts) for parts in zip(*(result.tested for result in own), strict=True))
    for label, name in enumerate(names):
        if 0 < (labels == label).sum() < len(labels):  # some clips are of the class, and some are not
            RocCurveDisplay.from_predictions(labels == label, probabilities[:, label], name=name, ax=rocs)
    return figure
