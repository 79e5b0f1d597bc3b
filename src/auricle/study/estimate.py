"""Estimate the cost of a study before its first cell: minutes and memory of each model.

    steps per epoch x multiply-adds  ->  is it long?  ->  two steps, measured in a process of their own

A short study is not delayed by measurements: its cost is only computed.
"""

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auricle.config import Preset
from auricle.data.cache import keeps_frames
from auricle.data.manifest import Manifest
from auricle.errors import MachineError
from auricle.model.half_frames import MOST_MEASURED
from auricle.runs.plan import num_epochs, windows_per_epoch
from auricle.system import free_bytes, keep_freed_memory, peak_memory_mb
from auricle.work.workers import running_beside

LONG_S = 600.0  # a study that may take longer is measured first
MULTIPLY_ADDS_PER_SECOND = 2e10  # of one cell in training; a low value, so that no long study passes for a short one
PASSES = 3  # a step costs one forward pass and a backward pass of twice as many multiply-adds
PROCESS_BYTES = 4e8  # Python and PyTorch themselves
NUM_STEPS = 2


@dataclass(frozen=True)
class ModelWork:
    """The work left for a model; `facts` come from `model.describe`, `num_train` is that of the largest cell."""

    preset: Preset
    facts: Mapping[str, Any]
    num_cells: int
    num_train: int
    num_clips: int
    num_classes: int
    clip_s: float

    @property
    def passes(self) -> float:
        """Forward passes of a cell: three per window in a training step, one per clip for the learning curves."""
        training, of_cell = self.preset.training, (self.preset, self.num_train, self.clip_s)
        most = (training.max_steps or math.inf) * training.batch_size
        windows = min(training.epochs * windows_per_epoch(*of_cell), most)
        return PASSES * windows + num_epochs(*of_cell) * self.num_clips

    @property
    def rough_s(self) -> float:
        """Estimated seconds of a cell, from its multiply-adds."""
        return self.passes * self.facts["multiply_adds_per_window"] / MULTIPLY_ADDS_PER_SECOND

    @property
    def state_bytes(self) -> float:
        """Bytes of a checkpoint: weights, their average, and the state of the optimiser."""
        training = self.preset.training
        optimizer_values = {"sgd": bool(training.momentum), "muon": 1}.get(training.optimizer, 2)  # per weight
        return 4.0 * self.facts["parameters"] * (1 + bool(training.weight_average) + optimizer_values)

    @property
    def data_bytes(self) -> float:
        """Bytes of training clips as frames and of all windows; of a large dataset only those of learning curves."""
        rate_hz, bands = self.preset.audio.sample_rate_hz, self.preset.frontend.num_bands
        bands = 1 if self.preset.frontend.kind == "raw" else bands
        frames = self.clip_s * self.facts["frames_per_window"] / self.preset.audio.window_s
        is_large = keeps_frames(self.num_clips, self.clip_s, rate_hz)
        return 4.0 * bands * frames * (2 * MOST_MEASURED if is_large else 2 * self.num_clips)

    @property
    def computed_bytes(self) -> float:
        """Memory of a cell: process, data, weights, gradients, checkpoint, activations kept for the backward pass."""
        kept = sum(math.prod(row["output_shape"]) for row in self.facts["layers"])
        activations = 2 * 4.0 * kept * self.preset.training.batch_size
        return PROCESS_BYTES + self.data_bytes + 2 * self.state_bytes + 4.0 * self.facts["parameters"] + activations


@dataclass(frozen=True)
class Estimate:
    """The estimated cost of a model.

    Attributes:
        multiply_adds: per window.
        step_s: measured seconds per step; None if the study is too short to measure.
        memory_gb: of a training process.
    """

    model: str
    num_cells: int
    parameters: int
    multiply_adds: int
    step_s: float | None
    cell_s: float
    memory_gb: float


def estimate_costs(
    works: Sequence[ModelWork], *, device: str, num_workers: int, threads: int, doing: Callable[[str], object]
) -> list[Estimate]:
    """Return the estimated cost of each model, measured if the study may take more than ten minutes.

    Raises:
        MachineError: too little memory for a model; the message says how much it needs.
    """
    free = free_bytes() if device == "cpu" else None
    rough = [_estimate_one(work) for work in works]
    _check_memory(rough, num_workers, free)
    if sum(work.rough_s * work.num_cells for work in works) / num_workers < LONG_S:
        return rough
    measured: dict[str, Measured] = {}
    for work in works:
        if (cost := _cost(work)) not in measured:
            doing(f"measuring two steps of {work.preset.name}")
            measured[cost] = measure(work, device=device, threads=threads)
    estimates = [_estimate_one(work, measured[_cost(work)]) for work in works]
    _check_memory(estimates, num_workers, free)
    return estimates


def _cost(work: ModelWork) -> str:
    """Return a key that is equal for models of equal cost; the number of heads changes no multiply-adds."""
    ignored: dict[str, Any] = {
        "name": True,
        "about": True,
        "encoder": {"num_heads", "pad_heads"},
        "training": {"epochs", "max_steps", "learning_rate", "matrix_learning_rate", "views", "windows", "schedule"},
    }
    return json.dumps(work.preset.model_dump(mode="json", exclude=ignored))


@dataclass(frozen=True)
class Measured:
    """Seconds per step, and the peak memory of the process that measured them, in bytes."""

    step_s: float
    peak_bytes: float


def _estimate_one(work: ModelWork, measured: Measured | None = None) -> Estimate:
    cell_s, memory, step_s = work.rough_s, work.computed_bytes, None
    if measured:
        step_s = measured.step_s
        cell_s = step_s * work.passes / PASSES / work.preset.training.batch_size
        memory = measured.peak_bytes + work.data_bytes + work.state_bytes
    counts = work.facts["parameters"], work.facts["multiply_adds_per_window"]
    return Estimate(work.preset.name, work.num_cells, *counts, step_s, cell_s, memory / 1e9)


def estimate_memory(works: Sequence[ModelWork], node_bytes: float | None = None) -> dict[str, float]:
    """Return the memory of a training of each model on the CPU, in bytes, if one fits.

    `node_bytes` is the memory of the largest node of a cluster; None: the cells are trained on this machine.

    Raises:
        MachineError: too little memory for a model; the message says how much it needs.
    """
    estimates = [_estimate_one(work) for work in works]
    if node_bytes is None:
        _check_memory(estimates, 1, free_bytes())
    else:
        _check_memory(estimates, 1, node_bytes, "the largest node of the cluster has {:.1f} GB")
    return {each.model: 1e9 * each.memory_gb for each in estimates}


def work_before_decoding(presets: Iterable[Preset], manifest: Manifest) -> list[ModelWork]:
    """Return the work of a cell of each model whose recordings take long to decode, if all clips could be read."""
    num, num_classes, clip_s = len(manifest.clips), len(manifest.categories), manifest.clip_s
    large = [preset for preset in presets if keeps_frames(num, clip_s, preset.audio.sample_rate_hz)]
    if not large:
        return []
    from auricle.model.describe import describe

    return [ModelWork(each, describe(each, num_classes, clip_s), 1, num, num, num_classes, clip_s) for each in large]


def _check_memory(
    estimates: Sequence[Estimate], num_workers: int, free: float | None, there: str = "only {:.1f} GB are free"
) -> None:
    """Refuse a model that needs more memory than there is, alone or with those trained in parallel."""
    if free is None or not estimates:
        return
    free_gb, largest = free / 1e9, max(estimates, key=lambda each: each.memory_gb)
    needs = sorted((each.memory_gb for each in estimates for _ in range(each.num_cells)), reverse=True)
    together_gb = sum(needs[:num_workers])
    if largest.memory_gb > free_gb:
        advice = "lower training.batch_size, or leave it out with --models"
    elif together_gb > free_gb:
        advice = f"{num_workers} trainings in parallel need {together_gb:.1f} GB: lower --workers"
    else:
        return
    need = f"{largest.model} needs about {largest.memory_gb:.1f} GB of memory"
    raise MachineError(f"{need}, but {there.format(free_gb)}; {advice}")


def measure(work: ModelWork, *, device: str, threads: int) -> Measured:
    """Run one warm-up step and two measured steps on noise, in a process of their own.

    Raises:
        MachineError: the process was killed, as happens when memory runs out.
    """
    with running_beside(_take_steps, work, device, threads) as measured:
        try:
            return measured()
        except EOFError:
            raise MachineError(
                f"three test steps of {work.preset.name} were killed, probably because memory ran out; it needs at "
                f"least {work.computed_bytes / 1e9:.1f} GB; leave it out with --models"
            ) from None


def _take_steps(work: ModelWork, device: str, threads: int) -> Measured:
    """Train on noise as a cell would."""
    import torch

    from auricle.model.windows import ClipWindows
    from auricle.training.evaluate import AT_ONCE, cut_windows, window_logits
    from auricle.training.start import fresh_model, fresh_trainer

    torch.set_num_threads(threads)
    keep_freed_memory()
    preset, on = work.preset, torch.device(device)
    model = fresh_model(preset, work.num_classes, 0, on)
    noise = torch.randn(preset.training.batch_size, round(work.clip_s * preset.audio.sample_rate_hz))
    frames = model.frontend.frames(noise.to(on))
    model.frontend.fit(frames)
    trainer = fresh_trainer(preset, model, 0, on)
    windows = cut_windows(frames, ClipWindows.of(preset.audio, preset.frontend))[:, 0]
    labels = torch.arange(len(noise), device=on) % work.num_classes
    targets = torch.nn.functional.one_hot(labels, work.num_classes).float()
    for step in range(1 + NUM_STEPS):
        if step == 1:
            start = time.perf_counter()
        norm = trainer.step(trainer.loss(windows if preset.training.windows == "grid" else frames, targets))
        norm.item()  # waits for an accelerator
        if trainer.average:
            trainer.average.update(step + 1)
    step_s = (time.perf_counter() - start) / NUM_STEPS
    window_logits(model, windows.repeat(-(-AT_ONCE // len(windows)), 1, 1)[:AT_ONCE])
    peak = torch.cuda.max_memory_reserved() if on.type == "cuda" else 1e6 * peak_memory_mb()
    return Measured(step_s, peak)
