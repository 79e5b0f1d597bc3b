"""Charts of the test set for Weights & Biases."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def charts(probabilities: np.ndarray, labels: np.ndarray, categories: Sequence[str]) -> dict[str, Any]:
    """Return the confusion matrix and the ROC curves of the test clips as W&B charts, by their names.

    The probabilities are of each clip, (N, K); the labels are the indices of the true classes, (N,).
    """
    import wandb

    from auricle.scoring.metrics import roc

    answers = probabilities.argmax(axis=1)
    names = list(categories)
    confusion = wandb.plot.confusion_matrix(
        y_true=labels.tolist(), preds=answers.tolist(), class_names=names, title="Confusion matrix, test clips"
    )
    rows = [
        (name, round(x, 4), round(y, 4))
        for name, curve in roc(probabilities, labels, names)
        for x, y in zip(curve["fpr"], curve["tpr"], strict=True)
    ]
    curves = wandb.plot_table(
        vega_spec_name="wandb/area-under-curve/v0",
        data_table=wandb.Table(columns=["class", "fpr", "tpr"], data=rows),
        fields={"x": "fpr", "y": "tpr", "class": "class"},
        string_fields={
            "title": "ROC, test clips, one class against the rest",
            "x-axis-title": "False positive rate",
            "y-axis-title": "True positive rate",
        },
    )
    return {"test/confusion_matrix": confusion, "test/roc": curves}
