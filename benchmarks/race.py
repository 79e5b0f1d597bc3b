"""Time to the same accuracy: `python benchmarks/race.py [--epochs 30] [--results RESULTS.md]`.

Each side learns the training clips of k-fold's first cell (folds 3 to 5; fold 2 validates, fold 1 is not loaded) and is
scored on the validation clips after each epoch. The processor seconds of one thread count, with features, without
decoding and scores, until an epoch reaches an accuracy for the first time.

forest     statistics of MFCCs and a random forest of 300 trees, as auricle's baseline
resnet18   the network (arXiv:1512.03385) and the recipe that OpenSoundscape's `CNN("resnet18", ...)` has by default:
           linear spectrograms in dB, 224 x 224, of whole clips to 11 kHz, batches of 64, SGD at 0.01 with momentum 0.9
           and weight decay 5e-4, the rate times 0.7 every 10 epochs, masks of time and frequency, noise. Two
           differences: the weights begin at random, as all sides learn from these clips alone (by default they are
           those of ImageNet), and spectrograms are computed once, not in each epoch
cnn, tiny  the presets, with all augmentation; the current weights are scored on one window of each clip

It is one training of each: the epoch at which 80 clips reach an accuracy is a matter of luck by a few epochs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.ensemble import RandomForestClassifier
from torch import Tensor, nn

from auricle.config import load_preset
from auricle.data.cache import Recordings, prepare
from auricle.data.folds import Split, make_splits
from auricle.study.baselines import NUM_TREES, SEED, mfcc_statistics
from auricle.training.loop import run_training
from auricle.training.start import prepare_training, training_clips
from measure import publish, recordings_here, table

RATE_HZ = 22_050
SIDE = 224  # pixels of a spectrogram
LEVELS = (0.7, 0.8, 0.9)
Points = Iterator[tuple[float, float]]  # processor seconds so far, validation accuracy


def forest(recordings: Recordings, split: Split) -> Points:
    """Fit once."""
    start, labels = time.process_time(), recordings.manifest.labels
    features = mfcc_statistics(recordings, np.concatenate([split.train, split.validation]))
    trained, unseen = np.split(features, [len(split.train)])
    fitted = RandomForestClassifier(NUM_TREES, random_state=SEED).fit(trained, labels[split.train])
    yield time.process_time() - start, fitted.score(unseen, labels[split.validation])


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut, (B, C, H, W) -> (B, C', H / stride, W / stride)."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.inside = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels),
        )  # fmt: skip
        changed = nn.Sequential(nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))
        self.shortcut = changed if stride > 1 else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Add the shortcut, then the activation."""
        return F.relu(self.inside(images) + self.shortcut(images))


def resnet18(num_classes: int) -> nn.Sequential:
    """Return the network for images of one channel."""
    blocks, channels = [], 64
    for width in (64, 128, 256, 512):
        blocks += [ResidualBlock(channels, width, 1 if width == channels else 2), ResidualBlock(width, width, 1)]
        channels = width
    stem = (nn.Conv2d(1, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, num_classes))


def images(waveforms: np.ndarray) -> Tensor:
    """Return spectrograms in dB, scaled from -100 and -20 to -1 and 1, (N, samples) -> (N, 1, 224, 224)."""
    window = torch.hann_window(512)
    found = []
    for waveform in waveforms:
        spectrum = torch.stft(torch.from_numpy(np.array(waveform)), 512, 256, window=window, return_complex=True)
        level_db = 10 * torch.log10(spectrum.abs().square() / window.sum() ** 2 + 1e-12)
        scaled = ((level_db + 60) / 40).clamp(-1, 1)
        found.append(F.interpolate(scaled[None, None], (SIDE, SIDE), mode="bilinear")[0])
    return torch.stack(found)


def augmented(batch: Tensor) -> Tensor:
    """Mask up to three stretches of up to a fifth of time and of frequency, and add noise."""
    batch = batch + 0.005 * torch.randn_like(batch)
    for image in batch:
        for axis in (1, 2):
            for _ in range(int(torch.randint(4, ()))):
                length = int(torch.randint(SIDE // 5, ()))
                image.narrow(axis, int(torch.randint(SIDE - length, ())), length).fill_(float(image.mean()))
    return batch


def of_opensoundscape(recordings: Recordings, split: Split, num_epochs: int) -> Points:
    """Train and score epoch by epoch."""
    torch.manual_seed(SEED)
    start, scoring, waveforms, manifest = time.process_time(), 0.0, recordings.waveforms, recordings.manifest
    inputs, unseen = images(waveforms[split.train]), images(waveforms[split.validation])
    labels = torch.from_numpy(manifest.labels)
    network = resnet18(len(manifest.categories)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 10, 0.7)
    for _ in range(num_epochs):
        network.train()
        for batch in torch.randperm(len(inputs)).split(64):
            optimizer.zero_grad()
            F.cross_entropy(network(augmented(inputs[batch])), labels[split.train][batch]).backward()
            optimizer.step()
        schedule.step()
        paused = time.process_time()
        with torch.inference_mode():
            answers = network.eval()(unseen).argmax(1)
        accuracy = float((answers == labels[split.validation]).float().mean())
        scoring += time.process_time() - paused
        yield time.process_time() - start - scoring, accuracy


def ours(model: str, recordings: Recordings, split: Split, num_epochs: int | None = None) -> Points:
    """Train a preset, which scores each epoch itself."""
    start, preset = time.process_time(), load_preset(model)
    trainer, sets = prepare_training(preset, recordings, split, SEED, torch.device("cpu"))
    clips, measured = training_clips(trainer, sets)
    spent = time.process_time() - start
    for record in run_training(trainer, clips, measured, num_epochs=num_epochs):
        spent += record["cpu_seconds"]
        yield spent, record["validation_accuracy"]


def row(name: str, points: Points) -> tuple[str, ...]:
    """Return when a side first reached each accuracy, and its best."""
    found = list(points)
    first = [next((f"{seconds:.0f}" for seconds, share in found if share >= level), "–") for level in LEVELS]
    best_s, best = max(found, key=lambda point: point[1])
    return name, *first, f"{100 * best:.1f}", f"{best_s:.0f}", f"{found[-1][0]:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=30, help="of resnet18")
    parser.add_argument("--our-epochs", type=int, help="default: those of the preset")
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    manifest, name = recordings_here()
    split, shared = make_splits(manifest, "k-fold")[0], prepare(manifest, sample_rate_hz=16_000)
    sides: dict[str, Callable[[], Points]] = {
        "forest": partial(forest, shared, split),
        f"resnet18, {asked.epochs} epochs": partial(
            of_opensoundscape, prepare(manifest, sample_rate_hz=RATE_HZ), split, asked.epochs
        ),
        "cnn": partial(ours, "cnn", shared, split, asked.our_epochs),
        "tiny": partial(ours, "tiny", shared, split, asked.our_epochs),
    }
    rows = []
    for side, run in sides.items():
        rows.append(row(side, run()))
        print(*rows[-1], sep="  ", file=sys.stderr, flush=True)  # half an hour in all
    about = (
        f"Processor seconds of one thread until an accuracy is reached for the first time on {len(split.validation)} "
        f"validation clips of {name}, after training on {len(split.train)} others; one training each. resnet18 has the "
        "recipe of OpenSoundscape, but begins at random weights like the others, not at those of ImageNet, and "
        "computes its spectrograms once. cnn and tiny are auricle's, with all augmentation."
    )
    header = ("side", *(f"s to {100 * level:.0f} %" for level in LEVELS), "best, %", "s to it", "s in all")
    publish("Race", about, table(header, rows), asked.results)


if __name__ == "__main__":
    main()
