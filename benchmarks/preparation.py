"""Preparing ESC-10 against the bare cost of decoding it: `python benchmarks/preparation.py [--results RESULTS.md]`.

bare loop    `soundfile.read` and `soxr.resample` (HQ) of every file, one after another, in one thread
bare pool    the same in a pool of two processes that send the waveforms back; its start is counted
first time   `auricle.data.cache.prepare` into an empty cache: every byte hashed, every file checked to its end,
             decoded, mixed down, resampled, cut to length, written to the disk
in processes the same as a person's own files are prepared: in processes with limits on memory and time, started anew
second time  the same with the cache full: every byte hashed, the array mapped

Without ESC-10 on this machine the toy recordings take its place. All files are read once before, so that the disk
plays no part.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import soxr

from auricle.data.cache import prepare
from auricle.data.manifest import Manifest
from measure import in_turn, publish, ratio, recordings_here, seconds, table

RATE_HZ = 16_000
NUM_PROCESSES = 2


def decode(path: Path) -> np.ndarray:
    """Read and resample a recording, and no more."""
    waveform, rate_hz = soundfile.read(path, dtype="float32")
    return waveform if rate_hz == RATE_HZ else soxr.resample(waveform, rate_hz, RATE_HZ, quality="HQ")


def in_loop(paths: list[Path]) -> list[np.ndarray]:
    return [decode(path) for path in paths]


def in_pool(paths: list[Path]) -> list[np.ndarray]:
    with multiprocessing.Pool(NUM_PROCESSES) as pool:
        return pool.map(decode, paths)


def first_time(manifest: Manifest) -> float:
    """Return the seconds of `prepare` in a cache of its own, which is empty."""
    with tempfile.TemporaryDirectory() as cache:
        before = os.environ["AURICLE_CACHE"]
        os.environ["AURICLE_CACHE"] = cache
        try:
            return seconds(partial(prepare, manifest, sample_rate_hz=RATE_HZ))
        finally:
            os.environ["AURICLE_CACHE"] = before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    manifest, name = recordings_here()
    paths = [clip.path for clip in manifest.clips]
    with tempfile.TemporaryDirectory() as cache:
        os.environ["AURICLE_CACHE"] = cache
        prepare(manifest, sample_rate_hz=RATE_HZ)
        sides = {
            "bare loop": partial(seconds, partial(in_loop, paths)),
            "prepare, first time": partial(first_time, manifest),
            "prepare in processes": partial(first_time, replace(manifest, untrusted=True)),
            f"bare pool of {NUM_PROCESSES} processes": partial(seconds, partial(in_pool, paths)),
            "prepare, second time": partial(seconds, partial(prepare, manifest, sample_rate_hz=RATE_HZ)),
        }
        found = in_turn(sides, asked.rounds, warm_up=False)
    loop, _, _, pool, _ = sides
    rows = [
        (
            side,
            f"{statistics.median(times):.2f}",
            *("1" if side == bare else ratio(times, found[bare]) for bare in (loop, pool)),
        )
        for side, times in found.items()
    ]
    about = (
        f"{len(paths)} recordings of {name}, to mono at {RATE_HZ:,} Hz. Bare is decoding and resampling alone; "
        f"preparing also hashes every byte, "
        f"checks that every file is whole, and writes the array that trainings map; in processes, as a "
        f"person's own files are. Medians of "
        f"{asked.rounds} rounds, ratios with their lowest and highest round."
    )
    header = ("what", "seconds", "over the loop", "over the pool")
    publish("Data preparation", about, table(header, rows), asked.results)


if __name__ == "__main__":
    main()
