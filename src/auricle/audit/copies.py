"""The same sound under several names: to the sample, or nearly, found among any number of fingerprints.

    add: words -> disk, and each telling word with its place -> one of 64 bins on disk, by a hash of the word
    pairs: bin by bin, sorted by word: neighbours of one word are candidates -> compared word by word at that offset

A bin fits in memory, a word has a few neighbours only, however common it is, and of sounds already known to be the
same none are compared: so time is linear and memory flat.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from auricle.audit.finding_types import Finding
from auricle.audit.fingerprint import HOP_SAMPLES, NUM_BITS, RATE_HZ, Fingerprint
from auricle.data.class_names import plain
from auricle.data.manifest import Clip

NUM_BINS = 64
NUM_NEIGHBOURS = 4  # entries of one word that each is compared with
MIN_WORDS, MANY_WORDS = 16, 64
MAX_DISTANCE, MAX_DISTANCE_FEW = 0.25, 0.18  # of bits; two different sounds differ in about half, never in 0.3
_PENDING = 2**18  # entries gathered before they are written
_ENTRY = np.dtype([("word", "<u4"), ("clip", "<u4"), ("frame", "<u2")])


@dataclass(frozen=True)
class Pair:
    """Two clips, the earlier first: over how many seconds they are alike, and in which share of bits they differ."""

    one: int
    other: int
    alike_s: float
    distance: float


class FingerprintIndex(ExitStack):
    """Fingerprints on disk, under numbers from 0 in the order in which they are added. A context: it ends, they go."""

    def __init__(self) -> None:
        super().__init__()
        folder = Path(self.enter_context(TemporaryDirectory(prefix="auricle-")))
        self._words = self.enter_context((folder / "words").open("w+b"))
        self._bins = [folder / str(number) for number in range(NUM_BINS)]  # opened one at a time: systems count them
        self._starts = [0]
        self._pending: list[np.ndarray] = []
        self._num_pending = 0

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
        for path, part in zip(self._bins, np.split(entries, np.cumsum(counts)[:-1]), strict=True):
            with path.open("ab") as file:
                file.write(part.tobytes())
        self._pending, self._num_pending = [], 0

    def pairs(self) -> Iterator[Pair]:
        """Yield pairs of clips that are nearly the same; of many alike, as many as connect them all."""
        self._write()
        self._words.flush()
        if not self._starts[-1]:
            return
        words = np.memmap(self._words.name, "<u4", "r", shape=(self._starts[-1], 2))
        alike = DisjointSet(range(len(self._starts) - 1))
        for path in self._bins:
            for one, other, offset in _candidates(np.frombuffer(path.read_bytes(), _ENTRY)):
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


@dataclass(frozen=True)
class Copies:
    """Clips that are the same sound, by place, each set in order."""

    exact: tuple[tuple[int, ...], ...]  # to the sample
    near: tuple[tuple[tuple[int, ...], tuple[Pair, ...]], ...]  # exact copies among them, and the pairs that say so

    @classmethod
    def of(cls, contents: Mapping[int, str], pairs: Iterable[Pair]) -> Copies:
        """Join clips whose samples have the same hash, by place in `contents`, and `pairs` that are nearly the same."""
        same: defaultdict[str, list[int]] = defaultdict(list)
        for place, content in contents.items():
            same[content].append(place)
        exact = tuple(tuple(places) for places in same.values() if len(places) > 1)
        links = [pair for pair in pairs if contents.get(pair.one) != contents.get(pair.other)]
        joined = connected([*exact, *((pair.one, pair.other) for pair in links)])
        home = {place: number for number, places in enumerate(joined) for place in places}
        by_set: defaultdict[int, list[Pair]] = defaultdict(list)
        for pair in links:
            by_set[home[pair.one]].append(pair)
        return cls(exact, tuple((joined[number], tuple(found)) for number, found in sorted(by_set.items())))


def connected(sets: Collection[Sequence[int]]) -> list[tuple[int, ...]]:
    """Join sets that share a member.

    >>> connected([(1, 2), (4, 5), (2, 3)])
    [(1, 2, 3), (4, 5)]
    """
    joined = DisjointSet({member for members in sets for member in members})
    for first, *others in sets:
        for other in others:
            joined.merge(first, other)
    return sorted(tuple(sorted(members)) for members in joined.subsets())


def copy_findings(copies: Copies, clips: Sequence[Clip], *, has_folds: bool) -> Iterator[Finding]:
    """Say which copies are harmless, which leak between folds if these are given, and which have two labels."""
    for places in copies.exact:
        yield _finding(places, clips, has_folds, "", "the same samples")
    for places, pairs in copies.near:
        if len({clips[place].group for place in places}) == 1 and has_folds:
            continue  # clips of one source may overlap: they stay together
        closest = min(pairs, key=lambda pair: pair.distance)
        words = f"alike over {closest.alike_s:.1f} s, {100 * closest.distance:.0f} % of the fingerprint differs"
        yield _finding(places, clips, has_folds, "near-", words)


def _finding(places: Sequence[int], clips: Sequence[Clip], has_folds: bool, nearly: str, words: str) -> Finding:
    members = [clips[place] for place in places]
    names = tuple(clip.name for clip in members)
    folds = sorted({clip.fold for clip in members})
    if len({plain(clip.category) for clip in members}) > 1:
        labels = " and ".join(sorted({clip.category for clip in members}))
        return Finding(f"{nearly}contradiction", f"{words}; labelled {labels}", names)
    if has_folds and len(folds) > 1:
        return Finding(f"{nearly}leak", f"{words}; in folds {', '.join(map(str, folds))}", names)
    return Finding(f"{nearly}duplicate", words, names)
