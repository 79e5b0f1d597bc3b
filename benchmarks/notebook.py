"""Trainings as notebooks write them, the other sides of `step.py`: a plain one, and that of an expert.

plain    for every window a Dataset decodes the whole file with soundfile, resamples it with soxr (HQ), cuts a window at
         random and computes its mel power with our own frontend. A DataLoader starts two workers an epoch, as by
         default, and collates. The network is in float32
expert   the mel power of all clips is computed once and kept in memory. A step cuts a window at random out of each clip
         of its batch and trains in bfloat16 where our training does, with fused Adam; nothing waits for a number

Both have the network of the preset with `nn.TransformerEncoder` in place of our blocks, and no augmentation.
"""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from auricle.config import Preset
from auricle.data.cache import prepare
from auricle.data.folds import Split
from auricle.data.manifest import Manifest
from auricle.model.classifier import Classifier, build_model
from auricle.model.transformer import Encoder
from auricle.model.windows import ClipWindows
from auricle.system import keep_freed_memory
from auricle.training.evaluate import Precision

NUM_WORKERS = 2


class Windows(Dataset[tuple[Tensor, int]]):
    """A random window of each recording, from the file every time."""

    def __init__(self, paths: list[Path], labels: list[int], preset: Preset, model: Classifier) -> None:
        self.paths, self.labels = paths, labels
        self.frontend = model.frontend
        self.rate_hz = preset.audio.sample_rate_hz
        self.window_samples = round(preset.audio.window_s * self.rate_hz)
        self.window_frames = ClipWindows.of(preset.audio, preset.frontend).window_frames

    def __len__(self) -> int:
        return len(self.paths)

    @torch.no_grad()
    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        waveform, rate_hz = soundfile.read(self.paths[place], dtype="float32")
        if rate_hz != self.rate_hz:
            waveform = soxr.resample(waveform, rate_hz, self.rate_hz, quality="HQ")
        waveform = np.pad(waveform, (0, max(0, self.window_samples - len(waveform))))
        start = random.randint(0, len(waveform) - self.window_samples)
        window = torch.from_numpy(waveform[start : start + self.window_samples])
        return self.frontend.frames(window[None])[0, :, : self.window_frames], self.labels[place]


def plain_model(preset: Preset, num_classes: int) -> Classifier:
    """Return the network of a preset with PyTorch's own encoder layers in place of ours."""
    model = build_model(preset, num_classes)
    if preset.encoder is not None:
        assert isinstance(model.summary, Encoder)
        size = preset.encoder
        layer = nn.TransformerEncoderLayer(
            size.width, size.num_heads, size.mlp_width, size.dropout, "gelu", batch_first=True, norm_first=True
        )
        model.summary.blocks = nn.TransformerEncoder(layer, size.num_blocks, enable_nested_tensor=False)  # type: ignore[assignment]
    return model


def notebook_training(preset: Preset, manifest: Manifest, split: Split) -> Callable[[], int]:
    """Set a training up; what is returned trains an epoch and tells how many windows it saw."""
    model = plain_model(preset, len(manifest.categories))
    paths, labels = [manifest.clips[place].path for place in split.train], manifest.labels[split.train].tolist()
    dataset = Windows(paths, labels, preset, model)
    loader = DataLoader(
        dataset,
        preset.training.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=NUM_WORKERS,
        # The system's own way, as in a notebook: a spawned process would spawn them, and each would import torch.
        multiprocessing_context=multiprocessing.get_all_start_methods()[0],
    )
    model.frontend.fit(next(iter(loader))[0])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()
    model.train()

    def epoch() -> int:
        num_windows, total = 0, 0.0
        for windows, targets in loader:
            optimizer.zero_grad()
            loss = criterion(model(windows), targets)
            loss.backward()
            optimizer.step()
            total += loss.item()
            num_windows += len(windows)
        return num_windows

    return epoch


def expert_training(preset: Preset, manifest: Manifest, split: Split) -> Callable[[], int]:
    """Set a training up; what is returned trains an epoch and tells how many windows it saw."""
    keep_freed_memory()
    model = plain_model(preset, len(manifest.categories))
    waveforms = prepare(manifest, sample_rate_hz=preset.audio.sample_rate_hz).waveforms
    with torch.no_grad():
        frames = torch.cat([model.frontend.frames(torch.from_numpy(waveforms[[row]])) for row in split.train])
        model.frontend.fit(frames)
    labels = torch.from_numpy(manifest.labels[split.train])
    window_frames = ClipWindows.of(preset.audio, preset.frontend).window_frames
    windows = frames.unfold(2, window_frames, 1)  # (N, F, starts, window_frames): views, nothing is copied
    precision = Precision.choose(preset.training.precision, torch.device("cpu"))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    criterion = nn.CrossEntropyLoss()
    model.train()

    def epoch() -> int:
        batches = torch.randperm(len(labels)).split(preset.training.batch_size)
        batches = batches[: len(labels) // preset.training.batch_size]
        for batch in batches:
            starts = torch.randint(windows.shape[2], batch.shape)
            optimizer.zero_grad()
            with precision.autocast():
                logits = model(windows[batch, :, starts])
            criterion(logits.float(), labels[batch]).backward()
            optimizer.step()
        return sum(len(batch) for batch in batches)

    return epoch
