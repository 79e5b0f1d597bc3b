"""Training on a GPU: `python benchmarks/gpu.py [--results RESULTS.md]`; needs PyTorch for CUDA and such a GPU.

checks   a training gives the same numbers twice, and after an interruption; scored on the CPU, its network gives the
         same probabilities; an exported bundle agrees with it
speed    epochs of one to sixteen trainings at a time on the card, each in a process of its own with one CPU thread,
         beside one on one CPU thread and one on each core, as `auricle study` runs them without a GPU

`--device cpu` tries the script on a machine without a GPU.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch

import auricle
from auricle.config import Preset, load_preset
from auricle.data.cache import Recordings, prepare
from auricle.data.folds import Split, make_splits
from auricle.data.manifest import Manifest
from auricle.runs import Cell, CellName, StudyFolder
from auricle.runs.provenance import machine
from auricle.scoring.predictions import read_predictions
from auricle.system import num_cores
from auricle.training.evaluate import scored_probabilities
from auricle.training.fit import fit_cell
from auricle.training.loop import EpochRecord
from auricle.training.start import load_network, prepare_training
from measure import publish, ratio, recordings_here, table
from step import Trainings, epochs_in_turn, our_training

MODELS = ("cnn", "transformer-h4", "raw-cnn")
AT_A_TIME = (1, 4, 16)
NUM_EPOCHS = 6
SHORT = {"training.views": 2, "training.base_share": 0}  # an epoch in seconds, each step with the encoder


def interrupt(record: EpochRecord) -> None:
    """Stop a training after the third epoch."""
    if record["epoch"] == 3:
        raise KeyboardInterrupt


def farthest(cell: Cell, others: np.ndarray) -> float:
    """Return the largest difference of a probability between what a cell has stored and others, (rows, K)."""
    return float(np.abs(read_predictions(cell.predictions).probabilities - others).max())


def check_training(folder: Path, manifest: Manifest, device: str) -> list[tuple[str, str]]:
    """Train one cell three times, once with an interruption, and score it on the CPU; return what differs."""
    preset = load_preset("cnn", {"training.epochs": NUM_EPOCHS})
    recordings = prepare(manifest, sample_rate_hz=preset.audio.sample_rate_hz)
    split = make_splits(recordings.manifest, "official")[0]
    first, second, third = (StudyFolder(folder / name).cell(CellName("cnn", "official", 1, 0)) for name in "123")
    train = partial(fit_cell, preset=preset, recordings=recordings, split=split, device=device, threads=1)
    for cell in (first, second, third):
        cell.folder.mkdir(parents=True)
    train(first)
    train(second)
    with contextlib.suppress(KeyboardInterrupt):
        train(third, on_epoch=interrupt)
    train(third)
    once = read_predictions(first.predictions).probabilities
    return [
        ("the same training twice: largest difference of a probability", f"{farthest(second, once):.1e}"),
        ("interrupted after 3 of 6 epochs and resumed", f"{farthest(third, once):.1e}"),
        ("the trained network scored on the CPU", f"{farthest(first, on_cpu(first, preset, recordings, split)):.1e}"),
    ]


def on_cpu(cell: Cell, preset: Preset, recordings: Recordings, split: Split) -> np.ndarray:
    """Score the windows of a finished cell on the CPU, (rows, K)."""
    trainer, sets = prepare_training(preset, recordings, split, 0, torch.device("cpu"))
    network = load_network(cell, preset, len(recordings.manifest.categories))
    probabilities, _ = scored_probabilities(network, sets, trainer.augmenter)
    return probabilities.reshape(-1, probabilities.shape[-1])


def check_study(folder: Path, source: str, device: str) -> list[tuple[str, str]]:
    """Train four cells, two at a time, and export one; the export raises if the bundle differs from PyTorch."""
    study = auricle.run_study(
        source, "cnn", protocols="k-fold", epochs=NUM_EPOCHS, out=folder / "study",
        device=device, workers=2, wandb="off", progress=False,
    )  # fmt: skip
    study.export(folder / "bundle")
    accuracies = [100 * score for score in study.results["accuracy"]]
    return [
        (f"four cells, two at a time, {NUM_EPOCHS} epochs: test accuracy, %", f"{statistics.mean(accuracies):.1f}"),
        ("bundle exported, ONNX Runtime on the CPU", "agrees"),
    ]


def compare(model: str, manifest: Manifest, num_rounds: int, device: str) -> list[tuple[str, ...]]:
    """Return the rows of a model."""
    preset = load_preset(model, SHORT)
    set_up = partial(our_training, device=device)
    sides = {"one CPU thread": Trainings(our_training, preset, manifest)}
    sides[f"{num_cores()} CPU threads, a training each"] = Trainings(our_training, preset, manifest, num=num_cores())
    for num in AT_A_TIME:
        sides[f"GPU, {num} at a time"] = Trainings(set_up, preset, manifest, num=num)
    found = {name: [cost.seconds for cost in costs] for name, costs in epochs_in_turn(sides, num_rounds).items()}
    alone = found["one CPU thread"]
    rows = [
        (f"{model}: {name}", f"{statistics.median(costs):.2f}", "1" if costs is alone else ratio(alone, costs))
        for name, costs in found.items()
    ]
    print(table(("training", "seconds", "throughput"), rows), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="*", default=MODELS)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    manifest, name = recordings_here()
    with tempfile.TemporaryDirectory() as folder:
        checked = check_training(Path(folder), manifest, asked.device)
        checked += check_study(Path(folder), manifest.source, asked.device)
    print(table(("check", "result"), checked), flush=True)
    rows = [row for model in asked.models for row in compare(model, manifest, asked.rounds, asked.device)]
    about = (
        f"Device {machine(asked.device)['device']}, PyTorch {torch.__version__}. Checks with `cnn` on {name}, then "
        f"seconds for 1,000 windows in training, on the clock: on the GPU, each training in a process of its own with "
        f"one CPU thread, and on the CPU of the same machine. Medians of {asked.rounds} epochs; throughput over one "
        f"CPU thread with its lowest and highest epoch."
    )
    speed = table(("training", "seconds", "throughput"), rows)
    publish("GPU", about, f"{table(('check', 'result'), checked)}\n\n{speed}", asked.results)


if __name__ == "__main__":
    main()
