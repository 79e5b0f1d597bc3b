"""One cell, start to end: a fresh model, its training, its scores; resumable after every epoch."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from safetensors.torch import save as to_safetensors

from auricle import files, runs
from auricle.config import Preset, to_yaml
from auricle.data.cache import Recordings
from auricle.data.folds import Split
from auricle.errors import MachineError
from auricle.model.describe import describe
from auricle.runs import Cell
from auricle.scoring.metrics import score_predictions
from auricle.scoring.predictions import read_predictions, write_predictions
from auricle.system import keep_freed_memory
from auricle.training.causes import Case, collapse
from auricle.training.checkpoint import Record, resume, save_checkpoint
from auricle.training.loop import Clips, Trainer
from auricle.training.measure import measure
from auricle.training.parts import Sets, predict_windows, prepare_training, run_epoch
from auricle.training.share import Share
from auricle.training.watch import Watch, standing


def choose_device(name: str) -> torch.device:
    """Return the device that a name means; "auto" is CUDA, else Apple's GPU, else the CPU.

    Raises:
        MachineError: this machine has no such device.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, there in available.items() if there)
    if not available.get(name.partition(":")[0]):
        here = ", ".join(kind for kind, there in available.items() if there)
        raise MachineError(f"no device {name!r} on this machine; it has: {here}")
    return torch.device(name)


def _train(
    cell: Cell, trainer: Trainer, sets: Sets, on_epoch: Callable[[Record], None] | None
) -> tuple[list[Record], int]:
    """Train the epochs that are left and write down each; returns all of them, and how many were there before."""
    history, damage = resume(cell, trainer)
    num_before = len(history)
    train, validation = sets.clips(sets.split.train), sets.clips(sets.split.validation)
    seen = sets.drawn_from(trainer)
    watch = Watch.over(train.targets.argmax(1).cpu().numpy(), trainer.preset.training)
    while not trainer.is_over(history):
        epoch = len(history)
        record = run_epoch(trainer, seen, {"train": train, "validation": validation}, epoch)
        if damage and not epoch:
            record["restarted"] = damage
        history.append(record)
        _look(watch, history, trainer, seen, cell.name.seed)
        save_checkpoint(cell, trainer, history)
        line = runs.json_line(record)
        with files.machine_errors(cell.history, need_bytes=len(line)), cell.history.open("a", encoding="utf-8") as file:
            file.write(line)
        if on_epoch:
            on_epoch(record)
    return history, num_before


def _look(watch: Watch, history: list[Record], trainer: Trainer, train: Clips, seed: int) -> None:
    """Write into the last epoch that the training has collapsed, and why; or that it has recovered."""
    news = watch.news(history)
    if news == "recovered":
        history[-1]["recovered"] = True
    elif news is not None:
        case = Case(trainer.preset, *measure(trainer, train, seed))
        history[-1]["collapse"] = collapse(news, history[-1], case)


def peak_memory_mb() -> float:
    """Return the most memory that this process has held, in megabytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def fit_cell(
    cell: Cell,
    preset: Preset,
    recordings: Recordings,
    split: Split,
    *,
    device: str = "auto",
    threads: int | None = None,
    on_epoch: Callable[[Record], None] | None = None,
    share: Share | None = None,
) -> None:
    """Train and score one cell into its folder; a cell interrupted before goes on from its last epoch.

    The weights that are scored are those of the last epoch, or their average over the steps
    (`training.weight_average`); no score chooses them. The test clips are predicted once, at the end.

    Args:
        cell: where it is written; its seed is the seed of weights, order and augmentation.
        preset: the model and its recipe.
        recordings: all clips of the dataset.
        split: which of them train, validate and test.
        device: auto, cpu, cuda or mps.
        threads: processor threads for this process; None leaves PyTorch's own choice.
        on_epoch: called with each line of the history.
        share: of every batch, where several processes call this together, each with a folder of its own; None: all.

    Raises:
        DivergedError: a step was not finite; the checkpoint of the last epoch stays.
        MachineError: no such device, or the disk refuses.
        RefusedError: the checkpoint is of another version of auricle.
        UsageError: the preset does not build.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    if threads:
        torch.set_num_threads(threads)
    keep_freed_memory()
    files.write_text(cell.config, to_yaml(preset))
    with torch.random.fork_rng():
        trainer, sets = prepare_training(preset, recordings, split, cell.name.seed, choose_device(device))
        if share:
            share.join(trainer.model)
            trainer = replace(trainer, share=share)
        history, num_before = _train(cell, trainer, sets, on_epoch)
        model = trainer.average.model if trainer.average else trainer.model
        write_predictions(cell.predictions, predict_windows(model, preset, recordings, sets, trainer.window_frames))
    predictions = read_predictions(cell.predictions)  # what stands in the file is what is scored
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    files.write_bytes(cell.weights, to_safetensors(weights, {"preset": preset.name}))
    facts = describe(preset, len(recordings.manifest.categories), recordings.manifest.clip_s)
    runs.write_metrics(
        cell,
        {
            "cell": str(cell.name),
            "test": score_predictions(predictions, "test"),
            "validation": score_predictions(predictions, "validation"),
            **{
                name: facts[name]
                for name in ("parameters", "trainable_parameters", "non_trainable_parameters", "multiply_adds")
            },
            "epochs": len(history),
            "collapse": standing(history),
            "leaky": split.leaky,
            "num_train": len(split.train),
            "num_validation": len(split.validation),
            "num_test": len(split.test),
            "seconds": sum(record["seconds"] for record in history),
            "session_seconds": time.perf_counter() - wall,
            "cpu_seconds": time.process_time()
            - cpu
            + sum(record.get("cpu_seconds", 0.0) for record in history[:num_before]),
            "peak_memory_mb": peak_memory_mb(),
            "device": str(trainer.precision.device),
            "threads": torch.get_num_threads(),
            "workers": share.size if share else 1,
            "precision": str(trainer.precision.dtype).removeprefix("torch."),
        },
    )
    cell.checkpoint.unlink(missing_ok=True)
