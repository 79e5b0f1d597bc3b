"""One cell from start to end: a new model, its training and its scores; resumable after every epoch."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from safetensors.torch import save as to_safetensors

from auricle.config import Preset, to_yaml
from auricle.data.cache import Recordings
from auricle.data.folds import Split
from auricle.data.manifest import Manifest
from auricle.files import machine_errors, write_bytes, write_text
from auricle.model.describe import describe
from auricle.model.windows import window_starts_s
from auricle.runs import Cell, json_line, write_metrics
from auricle.scoring.predictions import Predictions, read_predictions, write_predictions
from auricle.system import forget_peak_memory, give_back_memory, keep_freed_memory, peak_memory_mb
from auricle.training.causes import Case, collapse
from auricle.training.checkpoint import resume, save_checkpoint
from auricle.training.evaluate import Clips, scored_probabilities
from auricle.training.joint import JointTrainer
from auricle.training.loop import EpochRecord, Trainer, run_training
from auricle.training.measure import measure
from auricle.training.start import choose_device, training_clips
from auricle.training.stored import prepare_sets
from auricle.training.watch import Watch, standing

COUNTS = ("parameters", "trainable_parameters", "non_trainable_parameters", "multiply_adds")  # of `describe`


@dataclass(frozen=True)
class EpochKeeper:
    """Called after each epoch: detects a collapse, and saves the record of the epoch and the checkpoint."""

    cell: Cell
    trainer: Trainer
    clips: Clips  # from which windows are drawn
    windows: Clips  # on which the training curve is measured
    watch: Watch
    damage: str  # message about a damaged checkpoint, after which the training started over
    on_epoch: Callable[[EpochRecord], None] | None

    def __call__(self, history: list[EpochRecord]) -> None:
        """Save the last epoch of a history.

        Raises:
            MachineError: a file cannot be written.
        """
        record = history[-1]
        if self.damage and len(history) == 1:
            record["restarted"] = self.damage
        news = self.watch.news(history)
        if news == "recovered":
            record["recovered"] = True
        elif news is not None:
            case = Case(self.trainer.preset, *measure(self.trainer, self.clips, self.windows, self.cell.name.seed))
            record["collapse"] = collapse(news, record, case)
        save_checkpoint(self.cell, self.trainer, history)
        line = json_line(record)
        with (
            machine_errors(self.cell.history, need_bytes=len(line)),
            self.cell.history.open("a", encoding="utf-8") as file,
        ):
            file.write(line)
        if self.on_epoch:
            self.on_epoch(record)


def predictions_of(
    manifest: Manifest, split: Split, hop_s: float, probabilities: np.ndarray, weights: np.ndarray
) -> Predictions:
    """Return the table of predictions from (N, W, K) and (N, W), validation clips first, then test clips."""
    num_windows = weights.shape[1]
    rows = np.repeat(split.scored, num_windows)
    names = ["validation"] * len(split.validation) + ["test"] * len(split.test)
    return Predictions(
        clips=tuple(manifest.clips[index].name for index in rows),
        sets=tuple(name for name in names for _ in range(num_windows)),
        labels=manifest.labels[rows],
        starts_s=np.tile(window_starts_s(num_windows, hop_s), len(names)),
        weights=weights.reshape(-1),
        probabilities=probabilities.reshape(len(rows), -1),
        categories=manifest.categories,
    )


def fit_cell(
    cell: Cell,
    preset: Preset,
    recordings: Recordings,
    split: Split,
    *,
    device: str = "auto",
    threads: int | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    joint: bool = False,
) -> None:
    """Train and score one cell into its folder; an interrupted cell resumes from its last epoch.

    The scored weights are those of the last epoch, or their average over the steps (`training.weight_average`); no
    score selects them. The test clips are predicted once, at the end. If a split has no clips to score, the
    predictions already in the folder are kept (`study.final`).

    Args:
        cell: where to write; its seed is that of weights, order and augmentation.
        preset: the model and its training configuration.
        recordings: all clips of the dataset.
        split: which of them are for training, validation and test.
        device: auto, cpu, cuda or mps.
        threads: CPU threads of this process; None: PyTorch's default.
        on_epoch: called with the record of each epoch.
        joint: whether the processes of PyTorch's default group train the cell together, each with its own folder; the
            files of the first count.

    Raises:
        DivergedError: loss or gradient was not finite; the checkpoint of the last epoch is kept.
        MachineError: no such device, or a file cannot be written.
        RefusedError: the checkpoint is from another version of auricle.
        UsageError: the model of the preset cannot be built.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    if threads:
        torch.set_num_threads(threads)
    keep_freed_memory()
    forget_peak_memory()  # of the cells before this one in the same process
    write_text(cell.config, to_yaml(preset))
    with torch.random.fork_rng():
        trainer, sets = prepare_sets(preset, recordings, split, cell.name.seed, choose_device(device))
        before, damage = resume(cell, trainer)
        if joint:
            trainer = JointTrainer.of(trainer)
        clips, measured = training_clips(trainer, sets)
        watch = Watch.over(recordings.manifest.labels[split.train], preset.training, len(measured["train"]))
        keep = EpochKeeper(cell, trainer, clips, measured["train"], watch, damage, on_epoch)
        history = run_training(trainer, clips, measured, history=before, on_epoch=keep)
        model = trainer.scored_model
        if len(split.scored):
            scored = scored_probabilities(model, sets, trainer.augmenter)
            table = predictions_of(recordings.manifest, split, preset.audio.window_hop_s, *scored)
            write_predictions(cell.predictions, table)
    from auricle.scoring.metrics import score_predictions  # imports scikit-learn: 140 MB that training does not need

    give_back_memory()
    predictions = read_predictions(cell.predictions)  # score what is stored
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    write_bytes(cell.weights, to_safetensors(weights, {"preset": preset.name}))
    facts = describe(preset, len(recordings.manifest.categories), recordings.manifest.clip_s)
    write_metrics(
        cell,
        {
            "cell": str(cell.name),
            "test": score_predictions(predictions, "test"),
            "validation": score_predictions(predictions, "validation"),
            **{name: facts[name] for name in COUNTS},
            "epochs": len(history),
            "collapse": standing(history),
            "leaky": split.leaky,
            "num_train": len(split.train),
            "num_validation": len(split.validation),
            "num_test": len(split.test),
            "seconds": sum(record["seconds"] for record in history),
            "session_seconds": time.perf_counter() - wall,
            "cpu_seconds": time.process_time() - cpu + sum(record.get("cpu_seconds", 0.0) for record in before),
            "peak_memory_mb": peak_memory_mb(),
            "device": str(trainer.precision.device),
            "threads": torch.get_num_threads(),
            "workers": dist.get_world_size() if joint else 1,
            "precision": str(trainer.precision.dtype).removeprefix("torch."),
        },
    )
    cell.checkpoint.unlink(missing_ok=True)
