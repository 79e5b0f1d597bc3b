"""Stand-ins for the training of a trial, in a module of their own so that workers can import them."""

import contextlib
import json
import math
import os
import random
import signal
import threading
import time
from pathlib import Path

from auricle import files, runs
from auricle.config import to_yaml
from auricle.errors import DivergedError


def loss_of(preset):
    """Lowest at a learning rate of 0.01 and a batch of 32."""
    distance = math.log10(preset.training.learning_rate) + 2
    return 0.5 + distance**2 + 0.3 * (preset.training.batch_size != 32) + 0.05 * (preset.encoder is not None)


def quick(cell, preset, recordings, split, *, device, threads, on_epoch):
    """Write in no time what a training without a test set writes, going on from the epochs that are there."""
    loss = loss_of(preset) + 0.01 * split.fold
    files.write_text(cell.config, to_yaml(preset))
    for epoch in range(len(runs.read_history(cell)) + 1, preset.training.epochs + 1):
        record = {"epoch": epoch, "train_loss": loss, "train_accuracy": 0.5, "learning_rate": 0.1, "seconds": 0.5}
        record |= {"validation_loss": loss + 1 / epoch, "validation_accuracy": 0.5}
        with cell.history.open("a") as file:
            file.write(json.dumps(record) + "\n")
        on_epoch(record)
    for path in (cell.weights, cell.predictions):
        path.write_bytes(b"")
    scores = {"num": len(split.validation), "accuracy": 1 / (1 + loss), "loss": loss}
    validation = {"clip": scores, "window": scores}
    epochs = preset.training.epochs
    files.write_json(cell.metrics, {"validation": validation, "test": None, "epochs": epochs, "seconds": 0.5 * epochs})


def heard(cell, preset, recordings, split, **options):
    """Say which clips a trial is given, and how the split uses them."""
    clips = recordings.manifest.clips
    sets = {name: [clips[i].name for i in getattr(split, name)] for name in ("train", "validation", "test")}
    given = {"clips": [[clip.name, clip.fold] for clip in clips], "num_rows": len(recordings.waveforms), **sets}
    files.write_json(cell.folder / "heard.json", given)
    quick(cell, preset, recordings, split, **options)


def batch_16_diverges(cell, preset, recordings, split, **options):
    if preset.training.batch_size == 16:
        raise DivergedError("loss nan in epoch 1; lower training.learning_rate")
    if preset.training.batch_size == 64:
        raise ValueError("broken")
    quick(cell, preset, recordings, split, **options)


def killed(cell, preset, recordings, split, **options):
    """Kill the own process at a random moment of the first few trainings, as `kills` beside the cells says."""
    kills = Path(os.environ["AURICLE_TEST_KILLS"])
    for number in range(int(kills.read_text())):
        with contextlib.suppress(FileExistsError):
            kills.with_name(f"kill-{number}").touch(exist_ok=False)
            delay_s = random.Random(number).uniform(0, 0.05)
            threading.Timer(delay_s, os.kill, (os.getpid(), signal.SIGKILL)).start()
            break
    quick(cell, preset, recordings, split, **options)


def dies(cell, preset, recordings, split, **options):
    os.kill(os.getpid(), signal.SIGKILL)


def never_ends(cell, preset, recordings, split, *, device, threads, on_epoch):
    """Train on until somebody ends the process; ten minutes, in case nobody does."""
    quick_epoch = {"epoch": 1, "train_loss": 1.0, "validation_loss": 1.0, "train_accuracy": 0.5, "seconds": 0.1}
    with cell.history.open("a") as file:
        file.write(json.dumps(quick_epoch) + "\n")
    on_epoch(quick_epoch | {"validation_accuracy": 0.5})
    files.write_text(cell.folder / "pid", str(os.getpid()))
    time.sleep(600)


def never_called(cell, preset, recordings, split, **options):
    raise AssertionError(f"{cell.name} was trained")


def unjudged(fit, storage, trial_id, pruner, *cell, **options):
    """Train without a word to the storage."""
    fit(*cell, **options)
