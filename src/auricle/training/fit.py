"""One cell, start to end: a fresh model, its training, its scores; resumable after every epoch."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
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
from auricle.system import give_back_memory, keep_freed_memory, peak_memory_mb
from auricle.training.causes import Case, collapse
from auricle.training.checkpoint import resume, save_checkpoint
from auricle.training.evaluate import Clips, scored_probabilities
from auricle.training.loop import EpochRecord, Trainer, run_training
from auricle.training.measure import measure
from auricle.training.share import Share
from auricle.training.start import choose_device, training_clips
from auricle.training.stored import prepare_sets
from auricle.training.watch import Watch, standing

COUNTS = ("parameters", "trainable_parameters", "non_trainable_parameters", "multiply_adds")  # of `describe`


@dataclass(frozen=True)
class EpochKeeper:
    """Called after each epoch: says whether the training has collapsed, and writes the epoch and the state down."""

    cell: Cell
    trainer: Trainer
    clips: Clips  # that windows are drawn from
    windows: Clips  # that the learning curve of training is measured on
    watch: Watch
    damage: str  # what was found damaged, so that the training began again
    on_epoch: Callable[[EpochRecord], None] | None

    def __call__(self, history: list[EpochRecord]) -> None:
        """Keep the last epoch of a history.

        Raises:
            MachineError: the disk refuses.
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
    """Return the table of what was scored: (N, W, K) and (N, W), of the validation, then of the test clips."""
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
    share: Share | None = None,
) -> None:
    """Train and score one cell into its folder; a cell interrupted before goes on from its last epoch.

    The weights that are scored are those of the last epoch, or their average over the steps
    (`training.weight_average`); no score chooses them. The test clips are predicted once, at the end. Where a split
    leaves nobody to score, the predictions that stand in the folder are kept (`study.final`).

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
    write_text(cell.config, to_yaml(preset))
    with torch.random.fork_rng():
        trainer, sets = prepare_sets(preset, recordings, split, cell.name.seed, choose_device(device))
        if share:
            share.join(trainer.model)
            trainer = replace(trainer, share=share)
        before, damage = resume(cell, trainer)
        clips, measured = training_clips(trainer, sets)
        watch = Watch.over(recordings.manifest.labels[split.train], preset.training)
        keep = EpochKeeper(cell, trainer, clips, measured["train"], watch, damage, on_epoch)
        history = run_training(trainer, clips, measured, history=before, on_epoch=keep)
        model = trainer.scored_model
        if len(split.scored):
            scored = scored_probabilities(model, sets, trainer.augmenter)
            table = predictions_of(recordings.manifest, split, preset.audio.window_hop_s, *scored)
            write_predictions(cell.predictions, table)
    from auricle.scoring.metrics import score_predictions  # brings scikit-learn: 140 MB that no step needs

    give_back_memory()
    predictions = read_predictions(cell.predictions)  # what stands in the file is what is scored
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
            "workers": share.size if share else 1,
            "precision": str(trainer.precision.dtype).removeprefix("torch."),
        },
    )
    cell.checkpoint.unlink(missing_ok=True)
