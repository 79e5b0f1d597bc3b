"""Every file that a study or a search writes, and what it is for; the reference of the run folder is built from it.

Words in capitals stand for names, `*` for anything; a line that ends in a slash is a folder whose files are defined by
other tools. `auricle.runs.folder` has the paths of the files that auricle itself reads.
"""

from collections.abc import Mapping
from types import MappingProxyType

CELL_FILES: Mapping[str, str] = MappingProxyType({
    "config.yaml": "the resolved preset of the training",
    "history.jsonl": "one line of JSON per epoch: losses, accuracies, learning rate, seconds",
    "predictions.csv": "one row per scored window: clip, set, label, start, weight, and the probability of every class",
    "predictions.npz": "the same as arrays, instead of the CSV, if there are more than five million probabilities",
    "model.safetensors": "the weights that were scored",
    "checkpoint.pt": "the state from which a stopped training resumes; deleted when it is finished",
    "metrics.json": "scores and costs, with hashes of the other files; written last, so it marks a finished cell",
    "error.json": "why the training failed, if it did",
    "tracking*.json": "which epochs were sent to a tracker, if one is used",
})  # fmt: skip

CONTENTS: Mapping[str, str] = MappingProxyType({
    "study.yaml": "the study: configuration, dataset (name, hash, classes, files left out), versions, commands",
    "results.csv": "one row per finished cell and per baseline",
    "front.json": "author, title and link of the report, if given",
    "workers.log": "output of the worker processes",
    ".lock": "locked while a process works on the study",
    "dataset/manifest.csv": "the table of clips: clip, category, fold, group",
    "dataset/human.csv": "classifications by human listeners (clip, heard_as, count), if the dataset has them",
    "dataset/samples.npz": "one clip of each class, for figures in the report",
    "dataset/SHA256SUMS": "hashes of the other files in the folder, for `sha256sum -c`",
    "models/MODEL.json": "the layers of a model: shapes, parameters, multiply-adds",
    **{f"cells/MODEL/PROTOCOL-FOLD-SEED/{name}": about for name, about in CELL_FILES.items()},
    "baselines/NAME/PROTOCOL-FOLD-0/predictions.csv": "predictions of a baseline, in the format of a cell's",
    "baselines/NAME/PROTOCOL-FOLD-0/metrics.json": "scores of a baseline",
    "insight/MODEL/PROTOCOL-FOLD-SEED.json": "what a trained model relies on: accuracy lost by each change, attention",
    "final/MODEL/all-0-SEED/*": "the files of a cell: a model trained on all clips, by `auricle export --final`",
    "bundles/MODEL/": "the bundle of a model, made when `auricle demo` serves the study",
    "wandb/": "runs of Weights & Biases; `wandb sync` uploads them",
    "tensorboard/": "event files of TensorBoard, for `tensorboard --logdir`",
    "mlflow/": "database of MLflow, unless a server is used",
    "report/report.html": "the report, a single file that works offline",
    "report/report.pdf": "the report as PDF, to print or hand in",
    "report/errors.html": "the most confident mistakes, to listen to",
    "report/findings.json": "the results of the report, as numbers for programs",
    "report/figures/": "each figure as SVG",
    "report/tables/": "each table as CSV",
    "search/search.yaml": "the configuration of a search",
    "search/journal.log": "trials in Optuna's format, unless another storage was given",
    "search/trials.json": "every trial: its values, its scores, how it ended",
    "search/": "other files of a search: its lock, its log, and the cells of its trials in cells/trial-N/",
})  # fmt: skip
