"""Our training step against notebooks, same model: `python benchmarks/step.py [--results RESULTS.md]`.

plain    one training that has all cores to itself; notebook.py says what it does: it decodes every window anew. It is
         measured twice: with PyTorch's own choice of threads, and with one thread beside the two workers of its loader,
         which is faster where cores are few, as threads that wait for each other at every operation burn time
expert   two trainings at a time, one thread each, of the notebook of an expert: mel power computed once, bfloat16,
         fused Adam, no augmentation, no average of the weights
ours     two trainings at a time, each in a process of one thread, as `auricle study` runs them; `train_epoch` with
         all that the preset asks for: augmentation, smoothing, clipping, its optimiser, the average of the weights.
         The encoder learns from the first step on, which is the longer of the two kinds of step

All learn the training clips of the first official fold. What expert and ours do once (decoding into an empty cache, mel
power of all clips) counts too, spread over the windows of one training. A round is an epoch of each side, in turn, in
processes that stay; the first does not count. Learning curves, checkpoints and scores are left out on all sides.
Seconds are of the clock, from the word to start to the last answer; CPU seconds are of the processes and their workers.

The clock needs a quiet machine: beside other work, waiting threads make the plain notebook look several times as slow
as it is. Ratios of CPU seconds of the other sides hold on a busy one, too.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from auricle.config import Preset, load_preset
from auricle.data.cache import prepare
from auricle.data.folds import Split, make_splits
from auricle.data.manifest import Manifest
from auricle.system import keep_freed_memory
from auricle.training.loop import epoch_means, train_epoch
from auricle.training.start import prepare_training
from measure import in_turn, publish, ratio, recordings_here, table
from notebook import expert_training, notebook_training

MODELS = ("cnn", "transformer-h4")
NUM_CELLS = 2  # of ours at a time
SHORT = {"training.views": 2, "training.base_share": 0}  # an epoch of ours in seconds, each step with the encoder
Epoch = Callable[[], int]
SetUp = Callable[[Preset, Manifest, Split], Epoch]


@dataclass(frozen=True)
class Cost:
    """What some windows cost."""

    seconds: float
    cpu_seconds: float
    num_windows: int

    def __add__(self, other: Cost) -> Cost:
        """Add what the same windows cost besides."""
        return Cost(self.seconds + other.seconds, self.cpu_seconds + other.cpu_seconds, self.num_windows)

    def of(self, num_windows: int, *, per: int) -> Cost:
        """Spread the cost over a number of windows, and return what so many of them cost."""
        return Cost(self.seconds * per / num_windows, self.cpu_seconds * per / num_windows, per)


def measure(work: Callable[[], int]) -> Cost:
    """Return the cost of something in this process and in its children that have ended."""
    start, before = time.perf_counter(), _cpu_seconds()
    num_windows = work()
    return Cost(time.perf_counter() - start, _cpu_seconds() - before, num_windows)


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def our_training(preset: Preset, manifest: Manifest, split: Split, device: str = "cpu") -> Epoch:
    """Set a training up as a cell does; what is returned trains an epoch and tells how many windows it saw."""
    keep_freed_memory()
    return training_that_gives_back(preset, manifest, split, device)


def training_that_gives_back(preset: Preset, manifest: Manifest, split: Split, device: str = "cpu") -> Epoch:
    """Set a training up, but leave freed memory to the C library."""
    recordings = prepare(manifest, sample_rate_hz=preset.audio.sample_rate_hz)
    trainer, sets = prepare_training(preset, recordings, split, 0, torch.device(device))
    clips = sets.clips(split.train)
    num_windows = sum(len(batch) for batch in trainer.batches(clips))

    def epoch() -> int:
        epoch_means(list(train_epoch(trainer, clips, 0)), 0)  # waits for a GPU
        return num_windows

    return epoch


def train_when_told(
    channel: Connection, set_up: SetUp, preset: Preset, manifest: Manifest, threads: int | None
) -> None:
    """In a process of its own: set up, tell what that cost, then train an epoch whenever told."""
    if threads:
        torch.set_num_threads(threads)
    start, before = time.perf_counter(), _cpu_seconds()
    epoch = set_up(preset, manifest, make_splits(manifest, "official")[0])
    channel.send(Cost(time.perf_counter() - start, _cpu_seconds() - before, 0))
    with contextlib.suppress(EOFError):  # until the channel closes
        while channel.recv():
            channel.send(measure(epoch))


class Trainings:
    """A side: trainings at the same time, each in a process that stays. `once` is what setting one up cost."""

    def __init__(
        self, set_up: SetUp, preset: Preset, manifest: Manifest, *, num: int = 1, threads: int | None = 1
    ) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.channels, self.processes = [], []
        for _ in range(num):
            near, far = spawn.Pipe()
            self.processes.append(spawn.Process(target=train_when_told, args=(far, set_up, preset, manifest, threads)))
            self.processes[-1].start()
            far.close()
            self.channels.append(near)

    def ready(self) -> None:
        """Wait until all are set up."""
        self.once: Cost = [channel.recv() for channel in self.channels][-1]

    def epoch(self) -> Cost:
        """Let all train an epoch at once; return what a thousand windows cost."""
        start = time.perf_counter()
        for channel in self.channels:
            channel.send(True)
        costs: list[Cost] = [channel.recv() for channel in self.channels]
        together = Cost(time.perf_counter() - start, sum(cost.cpu_seconds for cost in costs), 0)
        return together.of(sum(cost.num_windows for cost in costs), per=1000)

    def end(self) -> None:
        """Let them go, or what is left of them."""
        for channel, process in zip(self.channels, self.processes, strict=True):
            channel.close()
            process.join()


def epochs_in_turn(sides: dict[str, Trainings], num_rounds: int) -> dict[str, list[Cost]]:
    """Return what a thousand windows cost each side in each round; the sides are then gone."""
    try:
        for side in sides.values():
            side.ready()
        return in_turn({name: side.epoch for name, side in sides.items()}, num_rounds)
    finally:
        for side in sides.values():
            side.end()


def compare(model: str, manifest: Manifest, num_rounds: int) -> list[tuple[str, ...]]:
    """Return the rows of a model."""
    preset, short = load_preset(model), load_preset(model, SHORT)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["AURICLE_CACHE"] = cache  # empty, and the processes inherit it
        decoding = measure(lambda: len(prepare(manifest, sample_rate_hz=preset.audio.sample_rate_hz).waveforms))
        sides = {
            "plain notebook": Trainings(notebook_training, short, manifest, threads=None),
            "plain notebook, one thread": Trainings(notebook_training, short, manifest),
            f"expert's notebook, {NUM_CELLS} at a time": Trainings(expert_training, short, manifest, num=NUM_CELLS),
            f"ours, {NUM_CELLS} at a time": Trainings(our_training, short, manifest, num=NUM_CELLS),
        }
        found = epochs_in_turn(sides, num_rounds)
    *_, expert, ours = sides
    num_windows = len(make_splits(manifest, "official")[0].train) * preset.training.views * preset.training.epochs
    for name in (expert, ours):
        once = (decoding + sides[name].once).of(num_windows, per=1000)
        found[name] = [cost + once for cost in found[name]]
    return _rows(model, found, ours)


def _rows(model: str, found: dict[str, list[Cost]], ours: str) -> list[tuple[str, ...]]:
    clock = {name: [cost.seconds for cost in costs] for name, costs in found.items()}
    cpu = {name: [cost.cpu_seconds for cost in costs] for name, costs in found.items()}
    rows = []
    for name in found:
        cells = [f"{statistics.median(clock[name]):.2f}", f"{statistics.median(cpu[name]):.2f}"]
        over = ["1"] * 2 if name == ours else [ratio(clock[name], clock[ours]), ratio(cpu[name], cpu[ours])]
        rows.append((f"{model}: {name}", *cells, *over))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    manifest, name = recordings_here()
    rows = [row for model in asked.models for row in compare(model, manifest, asked.rounds)]
    about = (
        f"Seconds for 1,000 windows of {name}. The plain notebook decodes every window anew in a two-worker "
        f"DataLoader and trains in float32, alone on all cores. The expert's computes mel power once and trains in "
        f"bfloat16 on random crops, with fused Adam and no augmentation; both have PyTorch's own encoder. {NUM_CELLS} "
        f"of the expert's and of ours share the cores, one thread each; ours with all augmentation, Muon and the "
        f"average of the weights. Medians of {asked.rounds} rounds, ratios with their lowest and highest round."
    )
    header = ("training", "seconds", "CPU seconds", "seconds over ours", "CPU seconds over ours")
    publish("Training step", about, table(header, rows), asked.results)


if __name__ == "__main__":
    main()
