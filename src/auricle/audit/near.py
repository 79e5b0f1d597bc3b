"""Recordings that are nearly the same, found by what a sound keeps when it is coded again, made louder or trimmed.

A fingerprint has 32 bits every 16 ms. Each says whether the energy difference of two neighbouring bands grows from one
frame to the next; gain cancels out, and frames of half a second that overlap by 97 % make up for a start that was
moved. J. Haitsma and T. Kalker, "A Highly Robust Audio Fingerprinting System", ISMIR 2002, with wider bands: sounds of
the environment are no music. Pairs are found among any number of fingerprints in bounded memory:

    add: words -> disk, and each telling word with its place -> one of 64 bins on disk, by a hash of the word
    pairs: bin by bin, sorted by word: neighbours of one word are candidates -> compared word by word at that offset

A bin fits in memory, a word has a few neighbours only, however common it is, and of sounds already known to be the
same none are compared: so time is linear and memory flat.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import soxr

RATE_HZ = 8_000
FRAME_SAMPLES, HOP_SAMPLES = 4_096, 128
NUM_BITS = 32
LOW_HZ, HIGH_HZ = 200.0, 3_600.0
MAX_S = 30.0  # of a recording, from its start
QUIET = 1e-6  # of the loudest frame's energy: what is below says nothing
STEADY = 1e-3  # a frame whose bands change by less, relative to their energy, says nothing either
_BLOCK_FRAMES = 256
NUM_BINS = 64
NUM_NEIGHBOURS = 4  # entries of one word that each is compared with
MIN_WORDS, MANY_WORDS = 16, 64
MAX_DISTANCE, MAX_DISTANCE_FEW = 0.25, 0.18  # of bits; two different sounds differ in about half, never in 0.3
_PENDING = 2**18  # entries gathered before they are written
_ENTRY = np.dtype([("word", "<u4"), ("clip", "<u4"), ("frame", "<u2")])


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """A word of 32 bits for each frame that has one before it."""

    words: np.ndarray  # uint32 (F,)
    doubtful: np.ndarray  # the same words with their least certain bit turned, uint32 (F,)
    telling: np.ndarray  # which of them mean something, bool (F,)


def fingerprint(mono: np.ndarray, rate_hz: int) -> Fingerprint:
    """Return the F = (T' - 4096) // 128 words of a recording's first 30 s: T' samples at 8 kHz, two frames at least."""
    mono = mono[: round(MAX_S * rate_hz)]
    if rate_hz != RATE_HZ:
        mono = soxr.resample(mono, rate_hz, RATE_HZ, quality="LQ")
    mono = np.pad(mono, (0, max(0, FRAME_SAMPLES + HOP_SAMPLES - len(mono))))
    energies = _energies(mono)  # (F + 1, 33)
    slopes = np.diff(np.diff(energies, axis=1), axis=0)  # (F, 32)
    words = np.packbits(slopes > 0, axis=1).view(">u4")[:, 0].astype(np.uint32)
    bands = np.maximum(energies[1:, :-1] + energies[1:, 1:], np.finfo(np.float32).tiny)
    weakest = (NUM_BITS - 1 - np.argmin(np.abs(slopes) / bands, axis=1)).astype(np.uint32)
    totals = np.minimum(energies[1:].sum(axis=1), energies[:-1].sum(axis=1))
    telling = (totals > QUIET * totals.max()) & (np.abs(slopes).sum(axis=1) > STEADY * totals)
    return Fingerprint(words, words ^ (np.uint32(1) << weakest), telling)


def _energies(mono: np.ndarray) -> np.ndarray:
    """Return the energy of 33 bands, evenly spaced in the logarithm of frequency, in each frame: (F + 1, 33)."""
    from scipy.fft import rfft

    frames = np.lib.stride_tricks.sliding_window_view(mono, FRAME_SAMPLES)[::HOP_SAMPLES]
    window = np.hanning(FRAME_SAMPLES).astype(np.float32)
    edges = np.round(np.geomspace(LOW_HZ, HIGH_HZ, NUM_BITS + 2) * FRAME_SAMPLES / RATE_HZ).astype(int)
    energies = np.empty((len(frames), NUM_BITS + 1), np.float64)
    for start in range(0, len(frames), _BLOCK_FRAMES):
        block = slice(start, start + _BLOCK_FRAMES)
        power = np.abs(rfft(frames[block] * window, axis=1)) ** 2
        energies[block] = np.add.reduceat(power, edges, axis=1)[:, :-1]
    return energies


@dataclass(frozen=True)
class Pair:
    """Two clips, the earlier first: over how many seconds they are alike, and in which share of bits they differ."""

    one: int
    other: int
    alike_s: float
    distance: float


class FingerprintIndex:
    """Fingerprints on disk, under numbers from 0 in the order in which they are added. A context: it ends, they go."""

    def __enter__(self) -> FingerprintIndex:
        self._folder = tempfile.TemporaryDirectory(prefix="auricle-")
        folder = Path(self._folder.name)
        self._bins: list[IO[bytes]] = [(folder / f"bin-{place}").open("w+b") for place in range(NUM_BINS)]
        self._words = (folder / "words").open("w+b")
        self._starts = [0]
        self._pending: list[np.ndarray] = []
        self._num_pending = 0
        return self

    def __exit__(self, *error: object) -> None:
        for file in (*self._bins, self._words):
            file.close()
        self._folder.cleanup()

    def add(self, clip: Fingerprint | None) -> None:
        """Give a fingerprint the next number; None takes one and is like no other."""
        num_words = 0
        if clip is not None and clip.telling.sum() >= MIN_WORDS:
            num_words = len(clip.words)
            rows = np.stack([clip.words, clip.telling.astype(np.uint32)], axis=1)  # (F, 2)
            self._words.write(rows.astype("<u4").tobytes())
            frames = np.flatnonzero(clip.telling)
            entries = np.empty((2, len(frames)), _ENTRY)
            entries["word"] = clip.words[frames], clip.doubtful[frames]
            entries["clip"], entries["frame"] = len(self._starts) - 1, frames
            self._pending.append(entries.ravel())
            self._num_pending += entries.size
            if self._num_pending >= _PENDING:
                self._write()
        self._starts.append(self._starts[-1] + num_words)

    def _write(self) -> None:
        """Write what was gathered into its bins."""
        if not self._pending:
            return
        entries = np.concatenate(self._pending)
        places = (entries["word"].astype(np.uint64) * 2_654_435_761 >> 13) % NUM_BINS
        entries = entries[np.argsort(places, kind="stable")]
        counts = np.bincount(places.astype(np.int64), minlength=NUM_BINS)
        for file, part in zip(self._bins, np.split(entries, np.cumsum(counts)[:-1]), strict=True):
            file.write(part.tobytes())
        self._pending, self._num_pending = [], 0

    def pairs(self) -> Iterator[Pair]:
        """Yield pairs of clips that are nearly the same; of many alike, as many as connect them all."""
        self._write()
        self._words.flush()
        if not self._starts[-1]:
            return
        from scipy.cluster.hierarchy import DisjointSet

        words = np.memmap(self._words.name, "<u4", "r", shape=(self._starts[-1], 2))
        alike = DisjointSet(range(len(self._starts)))
        for file in self._bins:
            file.seek(0)
            for one, other, offset in _candidates(np.frombuffer(file.read(), _ENTRY)):
                if not alike.connected(one, other) and (pair := self._compare(words, one, other, offset)):
                    alike.merge(one, other)
                    yield pair

    def _compare(self, rows: np.ndarray, one: int, other: int, offset: int) -> Pair | None:
        """Compare two clips where word n of one stands beside word n + offset of the other."""
        words = [rows[self._starts[clip] : self._starts[clip + 1]] for clip in (one, other)]
        start, stop = max(0, -offset), min(len(words[0]), len(words[1]) - offset)
        here, there = words[0][start:stop], words[1][start + offset : stop + offset]  # (F, 2)
        both = (here[:, 1] & there[:, 1]).astype(bool)
        num_words = int(both.sum())
        if num_words < MIN_WORDS:
            return None
        distance = float(np.bitwise_count(here[both, 0] ^ there[both, 0]).sum()) / (NUM_BITS * num_words)
        if distance > (MAX_DISTANCE if num_words >= MANY_WORDS else MAX_DISTANCE_FEW):
            return None
        return Pair(one, other, num_words * HOP_SAMPLES / RATE_HZ, distance)


def _candidates(entries: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Yield (clip, later clip, offset of frames) for neighbours of one word, each once."""
    entries = entries[np.argsort(entries["word"], kind="stable")]
    again = (entries["word"][1:] == entries["word"][:-1]) & (entries["clip"][1:] == entries["clip"][:-1])
    entries = entries[np.append(True, ~again)[: len(entries)]]  # once a clip and word
    found = []
    for step in range(1, NUM_NEIGHBOURS + 1):
        first, second = entries[:-step], entries[step:]
        alike = (first["word"] == second["word"]) & (first["clip"] < second["clip"])
        offsets = second["frame"][alike].astype(np.int64) - first["frame"][alike]
        found.append(np.stack([first["clip"][alike], second["clip"][alike], offsets], axis=1).astype(np.int64))
    for one, other, offset in np.unique(np.concatenate(found), axis=0):
        yield int(one), int(other), int(offset)
