"""Our network against the best published one on ESC-10: `python benchmarks/acdnet.py STUDY [--results RESULTS.md]`.

STUDY is a folder of `auricle study esc10-official`, of which accuracy and processor seconds of a fold are taken.
ACDNet (arXiv:2103.03483) is built here from its paper and public code, for its cost alone; nobody trains it here. A
fold of it is 2,000 epochs of 320 clips in batches of 64: 10,000 steps of what a step costs here, without loading,
augmentation or scoring, in float32 as published or under bfloat16 autocast with channels last, whichever is faster. A
clip is scored by ten crops of 1.5 s (ACDNet) or five windows of 3 s (ours), from the waveform at its own sample rate
to logits, in float32. All times are processor seconds of one thread.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import auricle as au
from auricle.findings.scores import ComparativeRow, network_rows
from auricle.findings.study import load_study
from measure import in_turn, publish, table

CROP_SAMPLES, NUM_CROPS = 30_225, 10  # 1.51 s at 20 kHz
BATCH, EPOCHS, TRAINING_CLIPS = 64, 2000, 320
PUBLISHED = 96.65
ROUNDS = 7
HEADER = ("network", "parameters", "accuracy, %", "epoch that is scored", "CPU s a fold", "ms a clip")


class ACDNet(nn.Module):
    """Two convolutions along the waveform make a map of 64 rows and 10 ms columns, ten more read it as an image."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.filters = nn.Sequential(
            *_layer(1, 8, (1, 9), stride=(1, 2)), *_layer(8, 64, (1, 5), stride=(1, 2)), nn.MaxPool2d((1, 50))
        )
        stages, channels = list(_layer(1, 32, 3, padding=1)), 32
        for width in (64, 128, 256, 512):
            stages += [nn.MaxPool2d(2), *_layer(channels, width, 3, padding=1), *_layer(width, width, 3, padding=1)]
            channels = width
        self.image = nn.Sequential(*stages, nn.MaxPool2d(2), nn.Dropout(0.2), *_layer(512, num_classes, 1))
        self.head = nn.Linear(num_classes, num_classes)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Waveforms (B, T) at 20 kHz to logits (B, K)."""
        rows = self.filters(waveforms[:, None, None])  # (B, 64, 1, frames)
        logits: Tensor = self.head(self.image(rows.transpose(1, 2)).mean(dim=(2, 3)))
        return logits


def _layer(inputs: int, outputs: int, kernel: int | tuple[int, int], **options: Any) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, bias=False, **options), nn.BatchNorm2d(outputs), nn.ReLU()]


def training_step(network: nn.Module, *, fast: bool) -> Callable[[], None]:
    """Return one step of its published recipe: SGD with Nesterov's momentum on a batch of mixed crops."""
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    crops, targets = torch.randn(BATCH, CROP_SAMPLES), torch.rand(BATCH, 10).softmax(1)
    if fast:
        network = network.to(memory_format=torch.channels_last)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast):
            logits = network(crops)
        F.kl_div(F.log_softmax(logits.float(), dim=1), targets, reduction="batchmean").backward()
        optimiser.step()

    return step


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def medians(works: Mapping[str, Callable[[], object]], num_rounds: int) -> dict[str, float]:
    """Return the processor seconds of each, the median of rounds in turn."""
    found = in_turn({name: partial(cpu_seconds, work) for name, work in works.items()}, num_rounds)
    return {name: statistics.median(times) for name, times in found.items()}


def measured(ours: ComparativeRow) -> tuple[list[tuple[str, ...]], float]:
    """Return the rows of the table, and the cost of ACDNet's fold over that of ours."""
    rival, network = ACDNet(10).eval(), au.create_model(ours.model, num_classes=10).eval()
    precisions = {name: training_step(ACDNet(10), fast=name == "bfloat16") for name in ("float32", "bfloat16")}
    step_s = min(medians(precisions, ROUNDS).values())
    fold_s = EPOCHS * math.ceil(TRAINING_CLIPS / BATCH) * step_s
    crops, windows = torch.randn(NUM_CROPS, CROP_SAMPLES), torch.randn(5, 3 * network.sample_rate_hz)
    with torch.inference_mode():
        clip_s = medians({"rival": lambda: rival(crops), "ours": lambda: network(windows)}, 10 * ROUNDS)
    count = sum(weight.numel() for weight in rival.parameters())
    interval = f"{100 * ours.accuracy:.1f} ({100 * ours.accuracy_low:.1f} to {100 * ours.accuracy_high:.1f})"
    ms = {side: f"{1000 * cost:.1f}" for side, cost in clip_s.items()}
    return [
        ("ACDNet, as published", f"{count:,}", f"{PUBLISHED}", "best on the test fold", f"{fold_s:,.0f}", ms["rival"]),
        (ours.model, f"{ours.parameters:,}", interval, "last", f"{ours.cpu_seconds:,.0f}", ms["ours"]),
    ], fold_s / (ours.cpu_seconds or math.nan)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--model", default="cnn")
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    ours = next(row for row in network_rows(load_study(asked.study), "official") if row.model == asked.model)
    rows, times = measured(ours)
    about = " ".join((__doc__ or "").split("\n\n")[1].split())
    about += f" The fold of ACDNet costs {times:,.0f} times as much as ours."
    publish("Against ACDNet", about, table(HEADER, rows), asked.results)


if __name__ == "__main__":
    main()
