"""Stand-ins for a training, in a module of their own so that workers can import them."""

import contextlib
import json
import os
import resource
import signal
import time

import numpy as np

from auricle import files, runs
from auricle.config import to_yaml
from auricle.errors import DivergedError, MachineError
from auricle.scoring.predictions import Predictions, write_predictions


def layers(preset, num_classes, clip_s):
    """Stand in for what a model is made of."""
    counts = {"parameters": 7, "multiply_adds": 70, "multiply_adds_per_window": 70, "frames_per_window": 7}
    return {"name": preset.name, "layers": [], **counts}


def quick(cell, preset, recordings, split, *, device, threads, on_epoch):
    """Write in no time what a training writes, going on from the epochs that are there."""
    files.write_text(cell.config, to_yaml(preset))
    for epoch in range(len(runs.read_history(cell)) + 1, preset.training.epochs + 1):
        write_epoch(cell, epoch, on_epoch)
    finish(cell, preset, recordings, split)


def write_epoch(cell, epoch, on_epoch):
    record = {"epoch": epoch, "train_loss": 1 / epoch, "train_accuracy": 0.5, "learning_rate": 0.01, "seconds": 0.01}
    if cell.name.protocol in ("test-split", "k-fold"):
        record |= {"validation_loss": 2 / epoch, "validation_accuracy": 0.25}
    with cell.history.open("a") as file:
        file.write(json.dumps(record) + "\n")
    on_epoch(record)


def finish(cell, preset, recordings, split):
    manifest = recordings.manifest
    indices = np.concatenate([split.validation, split.test])
    labels = manifest.labels[indices]
    probabilities = np.full((len(indices), len(manifest.categories)), 0.4 / (len(manifest.categories) - 1))
    probabilities[np.arange(len(indices)), labels] = 0.6
    predictions = Predictions(
        clips=tuple(manifest.clips[index].name for index in indices),
        sets=("validation",) * len(split.validation) + ("test",) * len(split.test),
        labels=labels,
        starts_s=np.zeros(len(indices)),
        probabilities=probabilities,
        categories=manifest.categories,
    )
    write_predictions(cell.predictions, predictions)
    scores = {name: scored(predictions.of(name), accuracy) for name, accuracy in (("test", 1.0), ("validation", 0.5))}
    costs = {"parameters": 7, "trainable_parameters": 7, "non_trainable_parameters": 0, "multiply_adds": 70}
    times = {"epochs": preset.training.epochs, "seconds": 0.1, "cpu_seconds": 0.1, "device": "cpu"}
    nums = {"num_train": len(split.train), "num_validation": len(split.validation), "num_test": len(split.test)}
    leaky = {"leaky": split.leaky, "cell": str(cell.name)}
    runs.write_metrics(cell, {**scores, **costs, **times, **nums, **leaky})


def scored(predictions, accuracy):
    """Return what stands in metrics.json; no worker needs scikit-learn for it."""
    if not predictions.clips:
        return None
    rest = ("loss", "macro_precision", "macro_recall", "macro_f1", "macro_auc", "calibration_error")
    clip = {"num": len(predictions.clips), "accuracy": accuracy, **dict.fromkeys(rest, 0.5)}
    return {"clip": clip, "window": {"accuracy": accuracy, "loss": 0.5, "num": len(predictions.clips)}}


def cnn_diverges(cell, preset, recordings, split, **options):
    if preset.name == "cnn":
        write_epoch(cell, 1, options["on_epoch"])
        raise DivergedError("loss nan in epoch 2; lower training.learning_rate")
    quick(cell, preset, recordings, split, **options)


def cnn_is_killed(cell, preset, recordings, split, **options):
    if preset.name == "cnn":
        os.kill(os.getpid(), signal.SIGKILL)
    quick(cell, preset, recordings, split, **options)


def cnn_leaves(cell, preset, recordings, split, **options):
    if preset.name == "cnn":
        raise SystemExit(9)
    quick(cell, preset, recordings, split, **options)


def disk_is_full(cell, preset, recordings, split, **options):
    raise MachineError(f"cannot write {cell.metrics}: No space left on device")


def never_ends(cell, preset, recordings, split, *, device, threads, on_epoch):
    """Train on until somebody ends the process; ten minutes, in case nobody does."""
    write_epoch(cell, 1, on_epoch)
    files.write_text(cell.folder / "pid", str(os.getpid()))
    time.sleep(600)


def slowly(cell, preset, recordings, split, *, device, threads, on_epoch):
    """Train a few seconds, going on from the checkpoint."""
    files.write_text(cell.config, to_yaml(preset))
    begun = int(cell.checkpoint.read_text()) if cell.checkpoint.exists() else 0
    cell.history.write_text("".join(f'{{"epoch": {epoch}}}\n' for epoch in range(1, begun + 1)))
    for epoch in range(begun + 1, preset.training.epochs + 1):
        time.sleep(0.3)
        files.write_text(cell.checkpoint, str(epoch))
        write_epoch(cell, epoch, on_epoch)
    finish(cell, preset, recordings, split)
    cell.checkpoint.unlink()


def writes_when_it_runs(cell, preset, recordings, split, **options):
    """Say much, as a training of many short epochs does, and write from when to when."""
    begun_s = time.time()
    for epoch in range(1, 21):
        time.sleep(0.05)
        write_epoch(cell, epoch, options["on_epoch"])
    finish(cell, preset, recordings, split)
    files.write_json(cell.folder / "when.json", {"begun_s": begun_s, "ended_s": time.time()})


def never_called(cell, preset, recordings, split, **options):
    raise AssertionError(f"{cell.name} was trained again")


def writes_what_it_hears(cell, preset, recordings, split, **options):
    waveforms = recordings.waveforms
    heard = {"kind": type(waveforms).__name__, "sum": int(waveforms[:].sum())}
    files.write_json(cell.folder / "heard.json", heard)
    quick(cell, preset, recordings, split, **options)


def is_killed_in_a_step(work, device, threads):
    os.kill(os.getpid(), signal.SIGKILL)


def does_not_listen(cell, preset, recordings, split, *, device, threads, on_epoch):
    """Train on whatever is asked, as a long step in C does; ten minutes, in case nobody ends it."""
    for epoch in range(1, 600):
        with contextlib.suppress(BaseException):
            write_epoch(cell, epoch, on_epoch)
            time.sleep(600)


def cnn_needs_too_much(cell, preset, recordings, split, **options):
    if preset.name == "cnn":
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (2**33, hard))
        try:
            np.ones(2**33)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    quick(cell, preset, recordings, split, **options)


def cnn_needs_too_many_tensors(cell, preset, recordings, split, **options):
    if preset.name == "cnn":
        import torch

        torch.empty(2**50)
    quick(cell, preset, recordings, split, **options)
