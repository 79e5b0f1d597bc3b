"""The parts of a training: clips on the device, an epoch with its learning curves, predictions at the end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from auricle.config import Preset
from auricle.data.cache import Recordings
from auricle.data.folds import Split
from auricle.model.classifier import Classifier
from auricle.model.describe import window_starts_s
from auricle.scoring.predictions import Predictions
from auricle.training.loop import Clips, Trainer, curve_point, cut_windows, window_probabilities
from auricle.training.start import fresh_model, fresh_trainer


@dataclass(frozen=True)
class Sets:
    """The clips of a split, on the device; the test clips are touched once, after the last epoch."""

    frames: Tensor
    targets: Tensor
    split: Split
    starts: list[int]  # of the windows that score a clip, in frames

    def clips(self, indices: np.ndarray) -> Clips:
        """Return the clips of some places in the manifest."""
        places = torch.from_numpy(indices).to(self.frames.device)
        return Clips(self.frames[places], self.targets[places])

    def windows(self, indices: np.ndarray, window_frames: int) -> Clips:
        """Return every window that scores these clips, a clip of its own with the label of the whole."""
        clips = self.clips(indices)
        windows = cut_windows(clips.frames, self.starts, window_frames).flatten(0, 1)  # (N W, F, T)
        return Clips(windows, clips.targets.repeat_interleave(len(self.starts), dim=0))

    def drawn_from(self, trainer: Trainer) -> Clips:
        """Return what an epoch of a training draws its windows from: the training clips, or their grid of windows."""
        if trainer.preset.training.windows == "grid":
            return self.windows(self.split.train, trainer.window_frames)
        return self.clips(self.split.train)


def prepare_training(
    preset: Preset, recordings: Recordings, split: Split, seed: int, device: torch.device
) -> tuple[Trainer, Sets]:
    """Build the model and the optimiser afresh from the seed and put the clips on the device.

    Raises:
        UsageError: the preset does not build.
    """
    categories = recordings.manifest.categories
    model = fresh_model(preset, len(categories), seed, device)
    with torch.no_grad():
        parts = [
            model.frontend.frames(torch.from_numpy(np.array(part)).to(device))
            for part in np.array_split(recordings.waveforms, -(-len(recordings.waveforms) // 64))
        ]
        frames = torch.cat(parts)  # (N, F, T)
        model.frontend.fit(frames[torch.from_numpy(split.train).to(device)])
    targets = F.one_hot(torch.from_numpy(recordings.manifest.labels), len(categories)).float().to(device)
    starts_s = window_starts_s(preset, recordings.manifest.clip_s)
    starts = [round(start_s * model.frontend.frames_per_s) for start_s in starts_s]
    return fresh_trainer(preset, model, seed, device), Sets(frames, targets, split, starts)


def run_epoch(trainer: Trainer, seen: Clips, measured: Mapping[str, Clips], epoch: int) -> dict[str, Any]:
    """Train through one epoch (from 0) and measure the learning curves after it: one line of a history.

    Args:
        trainer: moves on.
        seen: what windows are drawn from.
        measured: name of a set to its clips; one that is empty has no curve.
        epoch: from 0.
    """
    start, cpu = time.perf_counter(), time.process_time()
    numbers = trainer.epoch(epoch, seen)
    step_s = (time.perf_counter() - start) / numbers["steps"]
    record: dict[str, Any] = {"epoch": epoch + 1}
    for name, clips in measured.items():
        if len(clips):
            point = curve_point(trainer.model, clips, trainer.window_frames, trainer.precision)
            record |= {f"{name}_{quantity}": value for quantity, value in asdict(point).items()}
    spent = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
    return {**record, **numbers, "step_seconds": step_s, **spent}


def predict_windows(
    model: Classifier, preset: Preset, recordings: Recordings, sets: Sets, num_frames: int
) -> Predictions:
    """Score every window of the validation and the test clips."""
    starts_s = window_starts_s(preset, recordings.manifest.clip_s)
    indices = np.concatenate([sets.split.validation, sets.split.test])
    windows = sets.windows(indices, num_frames).frames  # (N W, F, T)
    probabilities = window_probabilities(model, windows).double().cpu().numpy()
    names = ["validation"] * len(sets.split.validation) + ["test"] * len(sets.split.test)
    rows = np.repeat(np.arange(len(indices)), len(starts_s))
    return Predictions(
        clips=tuple(recordings.manifest.clips[indices[row]].name for row in rows),
        sets=tuple(names[row] for row in rows),
        labels=recordings.manifest.labels[indices[rows]],
        starts_s=np.tile(np.array(starts_s), len(indices)),
        probabilities=probabilities,
        categories=recordings.manifest.categories,
    )
