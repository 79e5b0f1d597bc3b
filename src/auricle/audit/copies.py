"""The same sound under several names: to the sample, or nearly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from auricle.audit.classes import plain
from auricle.audit.finding_types import Finding
from auricle.audit.near import Pair
from auricle.data.manifest import Clip


@dataclass(frozen=True)
class Copies:
    """Clips that are the same sound, by place, each set in order."""

    exact: tuple[tuple[int, ...], ...]  # sets that decode to the same samples
    # sets that are nearly the same, exact copies among them, and the pairs that say so
    near: tuple[tuple[tuple[int, ...], tuple[Pair, ...]], ...]

    @classmethod
    def of(cls, contents: Mapping[int, str], pairs: Iterable[Pair]) -> Copies:
        """Join what is the same: by place the hash of the samples, and pairs that are nearly the same."""
        same: defaultdict[str, list[int]] = defaultdict(list)
        for place, content in contents.items():
            same[content].append(place)
        sets = [tuple(places) for places in same.values()]
        exact = tuple(places for places in sets if len(places) > 1)
        links = [pair for pair in pairs if contents.get(pair.one) != contents.get(pair.other)]
        joined = connected([*sets, *((pair.one, pair.other) for pair in links)])
        home = {place: number for number, places in enumerate(joined) for place in places}
        by_set: defaultdict[int, list[Pair]] = defaultdict(list)
        for pair in links:
            by_set[home[pair.one]].append(pair)
        return cls(exact, tuple((joined[number], tuple(found)) for number, found in sorted(by_set.items())))


def connected(sets: Iterable[Sequence[int]]) -> list[tuple[int, ...]]:
    """Join sets that share a member.

    >>> connected([(1, 2), (4, 5), (2, 3)])
    [(1, 2, 3), (4, 5)]
    """
    from scipy.cluster.hierarchy import DisjointSet

    sets = list(sets)
    joined = DisjointSet(sorted({member for members in sets for member in members}))
    for first, *others in sets:
        for other in others:
            joined.merge(first, other)
    return [tuple(sorted(members)) for members in joined.subsets()]  # by their least members


def copy_findings(copies: Copies, clips: Sequence[Clip], *, has_folds: bool) -> Iterator[Finding]:
    """Say which copies are harmless, which leak from fold to fold where folds are given, and which have two labels."""
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
