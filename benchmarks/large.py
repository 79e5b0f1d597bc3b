"""What a dataset larger than memory costs: `python benchmarks/large.py [--clips N ...] [--results RESULTS.md]`.

It makes clips of 10 s, of 50 classes, mixed of a few sounds (8 kHz, FLAC of 8 bits, so that 100,000 take about 2 GB of
disk), and measures each step in a process of its own: the check of the dataset, keeping its frames, one epoch of `tiny`
on its first official fold with the scores after it. Everything it makes is deleted at the end. The epoch is compared
with one of ESC-10, whose clips fit in memory, right before and after, by CPU time per window.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import soundfile

from auricle.config import load_preset
from auricle.data.datasets import load_manifest
from auricle.data.folds import make_splits
from auricle.model.half_frames import prepare_for
from measure import publish, table

NUM_CLASSES, RATE_HZ, CLIP_S = 50, 8_000, 10
SHORT = {"training.epochs": 1}
POLL_S = 0.1  # between samples of the processes; `wait` does not report the grandchildren that decode


def make_sounds(folder: Path, num: int) -> None:
    """Write clips in the layout of class folders: each class has a sound of its own, mixed with one of a few others."""
    rng = np.random.default_rng(0)
    time_s = np.arange(3 * RATE_HZ) / RATE_HZ
    sounds = []
    for number in range(NUM_CLASSES):
        tone = np.sin(2 * np.pi * (150 + 60 * number) * time_s) * (np.sin(2 * np.pi * (1 + number % 7) * time_s) > 0)
        sounds.append(0.4 * tone + 0.1 * rng.standard_normal(len(time_s)) * (time_s * 5 % 1 < 0.3))
    for number in range(num):
        label = number % NUM_CLASSES
        clip = np.zeros(CLIP_S * RATE_HZ, np.float32)
        for sound, loudness in ((label, 1.0), (int(rng.integers(NUM_CLASSES)), 0.2)):
            start = int(rng.integers(len(clip) - len(time_s)))
            clip[start : start + len(time_s)] += loudness * rng.uniform(0.3, 1) * sounds[sound]
        path = folder / f"class {label:02}" / f"{number}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, clip, RATE_HZ, subtype="PCM_S8")


@dataclass(frozen=True)
class Cost:
    """What a process and those that it began took."""

    seconds: float
    cpu_seconds: float
    peak_mb: float  # of the largest of them
    output: str


def run(*words: str) -> Cost:
    """Run a command to its end; a check with findings exits with 3, which is not a failure."""
    start, cpu_seconds, peaks = time.perf_counter(), dict[int, float](), dict[int, float]()
    with tempfile.TemporaryFile("w+") as output:
        process = psutil.Popen([sys.executable, *words], stdout=output)
        while process.poll() is None:
            for each in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    cpu_seconds[each.pid] = sum(each.cpu_times()[:2])
                    peaks[each.pid] = max(peaks.get(each.pid, 0), each.memory_info().rss / 2**20)
            time.sleep(POLL_S)
        output.seek(0)
        text = output.read()
    if process.returncode not in (0, 3):
        raise SystemExit(f"{' '.join(words)} failed")
    return Cost(time.perf_counter() - start, sum(cpu_seconds.values()), max(peaks.values()), text)


def keep(source: str) -> None:
    """Keep what `tiny` trains on."""
    preset = load_preset("tiny")
    prepare_for([preset], load_manifest(source), preset.audio.sample_rate_hz)


def train(source: str, views: int) -> None:
    """Train `tiny` for one epoch, and print CPU milliseconds of a window in it."""
    from auricle.runs import Cell, CellName
    from auricle.training.fit import fit_cell

    preset = load_preset("tiny", {**SHORT, "training.views": views})
    manifest = load_manifest(source)
    recordings = prepare_for([preset], manifest, preset.audio.sample_rate_hz)
    split = make_splits(recordings.manifest, "official")[0]
    with tempfile.TemporaryDirectory() as folder:
        cell = Cell(CellName("tiny", "official", 1, 0), Path(folder))
        fit_cell(cell, preset, recordings, split, device="cpu", threads=1)
        (record,) = map(json.loads, cell.history.read_text().splitlines())
    num_windows = record["steps"] * preset.training.batch_size
    print(json.dumps({"window_ms": 1000 * record["cpu_seconds"] / num_windows, "windows": num_windows}))


def measure(num: int) -> list[tuple[str, ...]]:
    """Return a row a step, for so many clips."""
    with tempfile.TemporaryDirectory(prefix="auricle-large-") as folder:
        os.environ["AURICLE_CACHE"] = str(Path(folder) / "cache")
        sounds = Path(folder) / "sounds"
        make_sounds(sounds, num)
        steps = {
            "check": run("-m", "auricle", "check", str(sounds), "--json"),
            "keep frames": run(__file__, "--keep", str(sounds)),
            "epoch of `tiny`, and scores": run(__file__, "--train", str(sounds), "--views", "1"),
        }
        window_ms = json.loads(steps["epoch of `tiny`, and scores"].output)["window_ms"]
    rows = []
    for name, cost in steps.items():
        last = f"{window_ms:.2f}" if "epoch" in name else ""
        thousand = (f"{1000 * spent / num:.1f}" for spent in (cost.seconds, cost.cpu_seconds))
        rows.append((f"{num:,} clips: {name}", *thousand, f"{cost.peak_mb:.0f}", last))
    return rows


def esc10_row() -> tuple[str, ...]:
    """Return what an epoch of ESC-10 costs now: the speed of a shared machine changes, so it is measured repeatedly."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["AURICLE_CACHE"] = cache
        cost = run(__file__, "--train", "esc10", "--views", "8")
    window_ms = json.loads(cost.output)["window_ms"]
    return "ESC-10: epoch of `tiny`, and scores", "", "", f"{cost.peak_mb:.0f}", f"{window_ms:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, nargs="+", default=[5_000, 10_000, 20_000])
    parser.add_argument("--results", type=Path)
    parser.add_argument("--keep", help=argparse.SUPPRESS)
    parser.add_argument("--train", help=argparse.SUPPRESS)
    parser.add_argument("--views", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.keep or asked.train:
        keep(asked.keep) if asked.keep else train(asked.train, asked.views)
        return
    rows = [esc10_row()]
    for num in asked.clips:
        rows += [*measure(num), esc10_row()]
    about = (
        f"Made clips of {CLIP_S} s, {NUM_CLASSES} classes. Seconds of a thousand clips, peak memory of the largest "
        "process, CPU milliseconds of a window in training with its learning curves. Beyond 3,900 clips frames are "
        "stored instead of waveforms and read batch by batch; ESC-10 is in memory. The machine may be shared: compare "
        "CPU times."
    )
    header = ("step", "s a thousand", "CPU s a thousand", "peak MB", "CPU ms a window")
    publish("Large data", about, table(header, rows), asked.results)


if __name__ == "__main__":
    main()
