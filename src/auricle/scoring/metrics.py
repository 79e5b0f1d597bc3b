"""Compute scores from probabilities and labels, by scikit-learn.

Macro means are unweighted means over the classes that occur in the labels or the predictions. Where there is a
background class, accuracy and macro means concern the other classes (`data.manifest.scored_of`): predicting background
for a clip of theirs is an error, and predicting one of them for background lowers its precision. AUC is one-vs-rest:
how often a clip of the class gets a higher probability for it than a clip of another class.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import auc, confusion_matrix, precision_recall_fscore_support, roc_curve

from auricle.data.manifest import scored_of
from auricle.scoring.calibration import calibration_error, losses
from auricle.scoring.predictions import Predictions

Curve = tuple[np.ndarray, np.ndarray, float]  # false positive rates, true positive rates, the area under them


def score(
    probabilities: np.ndarray, labels: np.ndarray, categories: Sequence[str], *, with_auc: bool = True
) -> dict[str, Any]:
    """Compute every score of one set, ready for JSON.

    Probabilities are (N, K), finite, N >= 1, rows that sum to 1 within rounding; labels are indices of the true
    classes, 0..K-1, (N,). Without `with_auc`, every AUC is None; computing them takes nearly all of the time.

    Returns:
        `num`, `accuracy`, `loss` (mean negative log-likelihood, nats), `macro_precision`, `macro_recall`,
        `macro_f1`, `macro_auc` (None where no class has an AUC), `calibration_error` (see there), `per_class`
        (category to `precision`, `recall`, `f1`, `auc`, `support`; the AUC is None where a class is absent, or the
        only one), and `confusion` (rows: true classes, columns: predictions). A ratio of 0 to 0 counts as 0.

    Raises:
        ValueError: no rows, shapes that do not fit, or a probability that is not finite.
    """
    probabilities, labels = _checked(probabilities, labels, categories)
    answers = probabilities.argmax(axis=1)
    every, scored = np.arange(len(categories)), np.isin(categories, scored_of(categories))
    precision, recall, f1, support = precision_recall_fscore_support(labels, answers, labels=every, zero_division=0.0)
    occurs = scored & np.isin(every, np.concatenate([labels, answers]))
    curves = one_vs_rest(probabilities, labels) if with_auc else [None] * len(every)
    aucs = [curve[2] if curve else None for curve in curves]
    known = [value for value, counts in zip(aucs, scored, strict=True) if value is not None and counts]
    columns = zip(categories, precision, recall, f1, aucs, support, strict=True)
    return {
        "num": len(labels),
        "accuracy": float((answers == labels)[scored[labels]].mean()),
        "loss": _loss(probabilities, labels),
        "macro_precision": float(precision[occurs].mean()),
        "macro_recall": float(recall[occurs].mean()),
        "macro_f1": float(f1[occurs].mean()),
        "macro_auc": float(np.mean(known)) if known else None,
        "calibration_error": calibration_error(probabilities, labels),
        "per_class": {
            name: {"precision": float(p), "recall": float(r), "f1": float(f), "auc": a, "support": int(s)}
            for name, p, r, f, a, s in columns
        },
        "confusion": confusion_matrix(labels, answers, labels=every).tolist(),
    }


def score_predictions(predictions: Predictions, set_name: str, *, with_auc: bool = True) -> dict[str, Any] | None:
    """Score one set: `{"clip": score(...), "window": {"accuracy", "loss", "num"}}`; None where it is empty.

    Windows of weight 0 count in `num` and in the loss of windows, but not in their accuracy.
    """
    windows = predictions.of(set_name)
    if not windows.clips:
        return None
    clips = windows.by_clip()
    scored = np.isin(windows.categories, scored_of(windows.categories))[windows.labels] & (windows.weights > 0)
    return {
        "clip": score(clips.probabilities, clips.labels, clips.categories, with_auc=with_auc),
        "window": {
            "accuracy": float((windows.probabilities.argmax(axis=1) == windows.labels)[scored].mean()),
            "loss": _loss(windows.probabilities, windows.labels),
            "num": len(windows.labels),
        },
    }


def one_vs_rest(probabilities: np.ndarray, labels: np.ndarray) -> list[Curve | None]:
    """Return each class's ROC curve; None for a class that is absent from the labels, or the only one."""
    curves: list[Curve | None] = []
    for index in range(probabilities.shape[1]):
        positive = labels == index
        if positive.all() or not positive.any():
            curves.append(None)
            continue
        false_positive, true_positive, _ = roc_curve(positive, probabilities[:, index])
        curves.append((false_positive, true_positive, float(auc(false_positive, true_positive))))
    return curves


def mean_curve(curves: Sequence[Curve | None]) -> Curve | None:
    """Return the mean of ROC curves: true positive rates averaged on a grid of 201 false positive rates."""
    known = [curve for curve in curves if curve is not None]
    if not known:
        return None
    grid = np.linspace(0.0, 1.0, 201)
    rates, areas = zip(*((np.interp(grid, *curve[:2]), curve[2]) for curve in known), strict=True)
    return np.r_[0.0, grid], np.r_[0.0, np.mean(rates, axis=0)], float(np.mean(areas))


def roc(probabilities: np.ndarray, labels: np.ndarray, categories: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
    """Compute one-vs-rest ROC curves, ready for JSON; arguments and errors are those of `score`.

    Returns each category with `{"fpr": [...], "tpr": [...], "auc": float}`, and last their mean as `macro`. A class
    without a curve (absent from the labels, or the only one) is left out.
    """
    probabilities, labels = _checked(probabilities, labels, categories)
    curves = one_vs_rest(probabilities, labels)
    named = [*zip(categories, curves, strict=True), ("macro", mean_curve(curves))]
    return [
        (name, {"fpr": curve[0].tolist(), "tpr": curve[1].tolist(), "auc": curve[2]})
        for name, curve in named
        if curve is not None
    ]


def _checked(probabilities: np.ndarray, labels: np.ndarray, categories: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return float64 probabilities and int64 labels, or raise a ValueError."""
    probabilities, labels = np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if probabilities.shape != (len(labels), len(categories)) or not len(labels):
        raise ValueError(
            f"probabilities of {probabilities.shape} do not fit {len(labels)} labels and {len(categories)} classes"
        )
    if not np.isfinite(probabilities).all():
        raise ValueError("a probability is not finite")
    if labels.min() < 0 or labels.max() >= len(categories):
        raise ValueError(f"labels must be in 0..{len(categories) - 1}, not {labels.min()}..{labels.max()}")
    return probabilities, labels


def _loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean negative log-likelihood; rows are normalised first, as rounding makes their sums miss 1."""
    return float(losses(probabilities / probabilities.sum(axis=1, keepdims=True), labels).mean())
