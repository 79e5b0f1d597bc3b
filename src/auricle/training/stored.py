"""The sets of a training with too many clips for memory: read from the cache batch by batch.

The training differs from that of `start.py` only in this: frames have half precision, the frontend is fitted to some of
the training clips, and learning curves are measured on some clips of each set. All clips are trained on and scored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from auricle.config import Preset
from auricle.data.cache import LargeRecordings, Recordings
from auricle.data.folds import Split
from auricle.data.rows import StoredRows
from auricle.errors import UsageError
from auricle.model.half_frames import MOST_MEASURED, HalfFrames
from auricle.model.windows import ClipWindows
from auricle.training.evaluate import Clips, Sets
from auricle.training.loop import Trainer
from auricle.training.start import fresh_model, fresh_trainer, prepare_training

MOST_FITTED = 512  # training clips to which the frontend is fitted


def evenly(indices: np.ndarray, most: int) -> np.ndarray:
    """Return at most `most` of some indices, evenly spaced.

    >>> evenly(np.arange(10), 4)
    array([0, 2, 5, 7])
    """
    return indices if len(indices) <= most else indices[np.arange(most) * len(indices) // most]


@dataclass(frozen=True, eq=False)
class StoredFrames:
    """The frames of some clips, (n, F, T), read when indexed."""

    rows: StoredRows
    num_squares: int  # how often the rows have to be squared
    device: torch.device
    indices: np.ndarray  # rows of the clips

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, chosen: Any) -> Tensor:
        """Read the frames of some clips, (m, F, T), as float32."""
        indices = self.indices[chosen if isinstance(chosen, slice) else chosen.cpu().numpy()]
        frames = torch.from_numpy(self.rows[indices]).to(self.device).float()
        for _ in range(self.num_squares):
            frames.square_()
        return frames

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """Read the frames of a batch, (m, F, T); `train_epoch` indexes tensors this way."""
        assert dim == 0, "frames are read clip by clip"
        return self[index]


@dataclass(frozen=True)
class StoredSets(Sets):
    """The clips of a split in the cache; only the windows of the learning curves are in memory."""

    @override
    def fullest(self, indices: np.ndarray) -> Clips:
        return super().fullest(evenly(indices, MOST_MEASURED))


def prepare_sets(
    preset: Preset, recordings: Recordings, split: Split, seed: int, device: torch.device
) -> tuple[Trainer, Sets]:
    """Do the same as `prepare_training`, also for recordings of which only frames are stored.

    Raises:
        UsageError: the model of the preset cannot be built, or needs frames that are not stored.
        MachineError: the cache is missing or damaged.
    """
    if not isinstance(recordings, LargeRecordings):
        return prepare_training(preset, recordings, split, seed, device)
    form = HalfFrames.of(preset)
    if form not in recordings.frames:
        advice = "for large data they are computed once: keep the frontend fields of the preset"
        raise UsageError(f"preset {preset.name}: no frames of this frontend are stored; {advice}")
    rows = recordings.frames[form]
    rows.keep()

    def frames(indices: np.ndarray) -> StoredFrames:
        return StoredFrames(rows, form.num_roots, device, indices)

    manifest, rule = recordings.manifest, ClipWindows.of(preset.audio, preset.frontend)
    model = fresh_model(preset, len(manifest.categories), seed, device)
    model.frontend.fit(frames(evenly(split.train, MOST_FITTED))[:])
    targets = F.one_hot(torch.from_numpy(manifest.labels), len(manifest.categories)).float().to(device)
    return fresh_trainer(preset, model, seed, device), StoredSets(frames, targets, split, rule)
