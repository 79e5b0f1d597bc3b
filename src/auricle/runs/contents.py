"""Every file that a study or a search leaves behind, and what it is for; the reference of the run folder is made of it.

Words in capitals stand for names, `*` for anything; a line that ends in a slash is a folder whose files follow others'
rules. `auricle.runs.folder` knows where the files are that rooms read and write.
"""

from collections.abc import Mapping
from types import MappingProxyType

CELL_FILES: Mapping[str, str] = MappingProxyType({
    "config.yaml": "the resolved preset of the training",
    "history.jsonl": "one JSON object a line for each epoch: losses, accuracies, learning rate, seconds",
    "predictions.csv": "one row a scored window: clip, set, label, start, weight, then the probability of every class",
    "predictions.npz": "the same as arrays, where there are more than five million probabilities",
    "model.safetensors": "the weights that were scored",
    "checkpoint.pt": "where a training that was stopped goes on from; only while it is unfinished",
    "metrics.json": "scores and costs, with a hash of each file beside it; written last: the training is done",
    "error.json": "why the training failed, if it did",
    "tracking*.json": "how far trackers have followed the training, if any do",
})  # fmt: skip

CONTENTS: Mapping[str, str] = MappingProxyType({
    "study.yaml": "what was asked: configuration, dataset (name, hash, classes, files left out), versions, commands",
    "results.csv": "one row for each finished training and each baseline",
    "front.json": "author, title and link of the report, if they were given",
    "workers.log": "what the worker processes printed",
    ".lock": "held while a process works on the study",
    "dataset/manifest.csv": "the table of clips: clip, category, fold, group",
    "dataset/human.csv": "what people heard (clip, heard_as, count), if the dataset says so",
    "dataset/samples.npz": "one clip of each class, for the pictures in the report",
    "dataset/SHA256SUMS": "hashes of the files beside it, as `sha256sum -c` reads them",
    "models/MODEL.json": "the layers of a model: shapes, parameters, multiply-adds",
    **{f"cells/MODEL/PROTOCOL-FOLD-SEED/{name}": about for name, about in CELL_FILES.items()},
    "baselines/NAME/PROTOCOL-FOLD-0/predictions.csv": "the answers of a baseline, as those of a model",
    "baselines/NAME/PROTOCOL-FOLD-0/metrics.json": "its scores",
    "insight/MODEL/PROTOCOL-FOLD-SEED.json": "what a trained model uses: the cost of each change, its attention",
    "final/MODEL/all-0-SEED/*": "as of a training: a model trained on all clips, by `auricle export --final`",
    "wandb/": "what Weights & Biases mirrors; `wandb sync` uploads a folder of it",
    "tensorboard/": "what TensorBoard mirrors; `tensorboard --logdir` shows it",
    "mlflow/": "what MLflow mirrors, unless a server does: its database",
    "report/report.html": "the report, one file that needs no network",
    "report/report.pdf": "the same to print and to hand in",
    "report/errors.html": "the most confident mistakes, to be heard",
    "report/findings.json": "what the report claims, as numbers for programs",
    "report/figures/": "each figure as SVG",
    "report/tables/": "each table as CSV",
    "search/search.yaml": "of a search: what was asked",
    "search/journal.log": "its trials as Optuna keeps them, if no other storage was named",
    "search/trials.json": "every trial: its values, its scores, how it ended",
    "search/": "the rest of a search: its lock, its log and the trainings of its trials in cells/trial-N/",
})  # fmt: skip
