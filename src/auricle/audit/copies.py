"""Find the same sound under several names, exactly or nearly, by comparing fingerprints (32-bit words, one per frame).

    add: all words -> one file; each reliable word with its clip and frame -> one of 64 bins on disk, by a hash
    pairs: bin by bin, sorted by word: clips that share a word are candidates -> compared word by word at that offset

Each bin fits in memory, each entry is compared with a few neighbours only, however common its word is, and clips that
are already known to be copies are not compared again: time is linear in the number of clips, and memory constant.
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
from auricle.errors import listing

NUM_BINS = 64
NUM_NEIGHBOURS = 4  # entries with the same word that each entry is compared with
MIN_WORDS, MANY_WORDS = 16, 64
MAX_DISTANCE, MAX_DISTANCE_FEW = 0.25, 0.18  # share of bits; different sounds differ in about half, never below 0.3
_PENDING = 2**18  # entries collected before they are written
_ENTRY = np.dtype([("word", "<u4"), ("clip", "<u4"), ("frame", "<u2")])


@dataclass(frozen=True)
class Pair:
    """Two similar clips, the earlier one first: for how many seconds they match, and the share of differing bits."""

    one: int
    other: int
    alike_s: float
    distance: float


class FingerprintIndex(ExitStack):
    """Fingerprints on disk, numbered from 0 in the order they are added; leaving the context deletes them."""

    def __init__(self) -> None:
        super().__init__()
        folder = Path(self.enter_context(TemporaryDirectory(prefix="auricle-")))
        self._words = self.enter_context((folder / "words").open("w+b"))
        self._bins = [folder / str(number) for number in range(NUM_BINS)]  # opened one at a time: systems limit them
        self._starts = [0]
        self._pending: list[np.ndarray] = []
        self._num_pending = 0

    def add(self, clip: Fingerprint | None) -> None:
        """Store a fingerprint under the next number; None takes a number too and matches nothing."""
        num_words = 0
        if clip is not None and clip.reliable.sum() >= MIN_WORDS:
            num_words = len(clip.words)
            rows = np.stack([clip.words, clip.reliable.astype(np.uint32)], axis=1)  # (F, 2)
            self._words.write(rows.astype("<u4").tobytes())
            frames = np.flatnonzero(clip.reliable)
            entries = np.empty((2, len(frames)), _ENTRY)
            words = clip.words[frames]
            entries["word"] = words, words ^ (np.uint32(1) << clip.weakest[frames])  # and with that bit flipped
            entries["clip"], entries["frame"] = len(self._starts) - 1, frames
            self._pending.append(entries.ravel())
            self._num_pending += entries.size
            if self._num_pending >= _PENDING:
                self._write()
        self._starts.append(self._starts[-1] + num_words)

    def _write(self) -> None:
        """Write the pending entries into their bins."""
        if not self._pending:
            return
        entries = np.concatenate(self._pending)
        bins = (entries["word"].astype(np.uint64) * 2_654_435_761 >> 13) % NUM_BINS
        entries = entries[np.argsort(bins, kind="stable")]
        counts = np.bincount(bins.astype(np.int64), minlength=NUM_BINS)
        for path, part in zip(self._bins, np.split(entries, np.cumsum(counts)[:-1]), strict=True):
            with path.open("ab") as file:
                file.write(part.tobytes())
        self._pending, self._num_pending = [], 0

    def pairs(self) -> Iterator[Pair]:
        """Yield pairs of nearly identical clips: for a set of copies, just enough pairs to connect all of them."""
        self._write()
        self._words.flush()
        if not self._starts[-1]:
            return
        words = np.memmap(self._words.name, "<u4", "r", shape=(self._starts[-1], 2))
        alike = DisjointSet(range(len(self._starts) - 1))
        for path in self._bins:
            found = _candidates(np.frombuffer(path.read_bytes(), _ENTRY))
            roots = np.array([alike[clip] for clip in alike])
            for one, other, offset in found[roots[found[:, 0]] != roots[found[:, 1]]].tolist():
                if not alike.connected(one, other) and (pair := self._compare(words, one, other, offset)):
                    alike.merge(one, other)
                    yield pair

    def _compare(self, rows: np.ndarray, one: int, other: int, offset: int) -> Pair | None:
        """Compare two clips with word n of one aligned to word n + offset of the other; None: they differ."""
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


def _candidates(entries: np.ndarray) -> np.ndarray:
    """Return (clip, later clip, frame offset) of entries with the same word, each triple once: int64 (N, 3)."""
    entries = entries[np.argsort(entries["word"], kind="stable")]
    again = (entries["word"][1:] == entries["word"][:-1]) & (entries["clip"][1:] == entries["clip"][:-1])
    entries = entries[np.append(True, ~again)[: len(entries)]]  # one entry for each clip and word
    found = []
    for step in range(1, NUM_NEIGHBOURS + 1):
        first, second = entries[:-step], entries[step:]
        alike = (first["word"] == second["word"]) & (first["clip"] < second["clip"])
        offsets = second["frame"][alike].astype(np.int64) - first["frame"][alike]
        found.append(np.stack([first["clip"][alike], second["clip"][alike], offsets], axis=1).astype(np.int64))
    return np.unique(np.concatenate(found), axis=0)


@dataclass(frozen=True)
class Copies:
    """Sets of clips that are the same sound, as sorted indices."""

    exact: tuple[tuple[int, ...], ...]  # identical samples
    near: tuple[tuple[tuple[int, ...], tuple[Pair, ...]], ...]  # each set, exact copies included, with its pairs

    @classmethod
    def of(cls, contents: Mapping[int, str], pairs: Iterable[Pair]) -> Copies:
        """Group clips whose samples have the same hash (`contents`: index to hash), and clips of similar `pairs`."""
        same: defaultdict[str, list[int]] = defaultdict(list)
        for index, content in contents.items():
            same[content].append(index)
        exact = tuple(tuple(indices) for indices in same.values() if len(indices) > 1)
        links = [pair for pair in pairs if contents.get(pair.one) != contents.get(pair.other)]
        joined = connected([*exact, *((pair.one, pair.other) for pair in links)])
        set_of = {index: number for number, indices in enumerate(joined) for index in indices}
        by_set: defaultdict[int, list[Pair]] = defaultdict(list)
        for pair in links:
            by_set[set_of[pair.one]].append(pair)
        return cls(exact, tuple((joined[number], tuple(found)) for number, found in sorted(by_set.items())))


def connected(sets: Collection[Sequence[int]]) -> list[tuple[int, ...]]:
    """Merge sets that share a member.

    >>> connected([(1, 2), (4, 5), (2, 3)])
    [(1, 2, 3), (4, 5)]
    """
    joined = DisjointSet({member for members in sets for member in members})
    for first, *others in sets:
        for other in others:
            joined.merge(first, other)
    return sorted(tuple(sorted(members)) for members in joined.subsets())


def copy_findings(copies: Copies, clips: Sequence[Clip], *, has_folds: bool) -> Iterator[Finding]:
    """Sort copies by consequence: different labels, a leak between given folds, or a harmless duplicate."""
    for indices in copies.exact:
        yield _finding(indices, clips, has_folds, "", "identical samples")
    for indices, pairs in copies.near:
        if len({clips[index].group for index in indices}) == 1:
            continue  # clips of one source may overlap, and a group is never split
        closest = min(pairs, key=lambda pair: pair.distance)
        reason = f"{closest.alike_s:.1f} s match; {100 * closest.distance:.0f} % of their fingerprint bits differ"
        yield _finding(indices, clips, has_folds, "near-", reason)


def _finding(indices: Sequence[int], clips: Sequence[Clip], has_folds: bool, nearly: str, reason: str) -> Finding:
    members = [clips[index] for index in indices]
    names = tuple(clip.name for clip in members)
    folds = sorted({clip.fold for clip in members})
    if len({plain(clip.category) for clip in members}) > 1:
        labels = listing(sorted({clip.category for clip in members}))
        return Finding(f"{nearly}contradiction", f"{reason}; labelled {labels}", names)
    if has_folds and len(folds) > 1:
        return Finding(f"{nearly}leak", f"{reason}; in folds {listing(folds)}", names)
    return Finding(f"{nearly}duplicate", reason, names)
