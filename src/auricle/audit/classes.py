"""Check the classes of a dataset: their names, their sizes and their folders."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path

from auricle.audit.finding_types import Finding
from auricle.data.audio import SUFFIXES
from auricle.data.class_names import plain, spellings, spellings_note
from auricle.data.folds import NUM_FOLDS
from auricle.data.manifest import backgrounds_of, imbalance
from auricle.errors import count, listing

FEW_CLIPS = 10
TYPO_MIN_LETTERS, TYPO_MAX_SHARE = 5, 1 / 3
MAX_ENTRIES = 10_000  # entries of a hidden folder
_MAX_CLASSES = 2_000  # with more, names are not compared in pairs: their number grows with the square


def name_findings(counts: Mapping[str, int]) -> Iterator[Finding]:
    """Find classes that are, or may be, one class spelt in several ways; `counts` are clips per class."""
    for names in spellings(counts):
        yield Finding("label-spelling", spellings_note(names, counts))
    if len(named := backgrounds_of(counts)) > 1:
        yield Finding("two-backgrounds", listing(map(repr, named)))
    if len(counts) <= _MAX_CLASSES:
        letters = {name: plain(name) for name in counts}
        for one, other in itertools.combinations(sorted(counts), 2):
            rare, common = sorted((one, other), key=lambda name: (counts[name], name))
            if counts[rare] <= TYPO_MAX_SHARE * counts[common] and _may_be_typo(letters[rare], letters[common]):
                reason = f"{rare!r} ({count(counts[rare], 'clip')}) may be a typo of {common!r} ({counts[common]})"
                yield Finding("label-typo", reason)


def _may_be_typo(one: str, other: str) -> bool:
    """Whether two names differ by one letter (two in long names) or by two swapped letters; digits never count."""
    if one == other or min(len(one), len(other)) < TYPO_MIN_LETTERS or abs(len(one) - len(other)) > 2:
        return False
    differing = [at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b]
    if len(one) == len(other) and len(differing) == 2 and sorted(one) == sorted(other):
        return differing[1] == differing[0] + 1
    most_letters = 2 if len(one) > 2 * TYPO_MIN_LETTERS - 2 else 1
    if max(len(one), len(other)) - (Counter(one) & Counter(other)).total() > most_letters:
        return False  # as nearly always; the comparison in order takes several times as long
    changes = [part for part in SequenceMatcher(None, one, other, autojunk=False).get_opcodes() if part[0] != "equal"]
    changed = "".join(one[a:b] + other[c:d] for _, a, b, c, d in changes)
    num_letters = sum(max(b - a, d - c) for _, a, b, c, d in changes)
    return num_letters <= most_letters and not any(map(str.isdigit, changed))


def size_findings(counts: Mapping[str, int], num_folds: int) -> Iterator[Finding]:
    """Find classes that are too small to learn, or much smaller than others.

    `counts` are usable clips per class; `num_folds` is 0 where auricle makes the folds.
    """
    if len(counts) < 2:
        yield Finding("few-classes", f"{count(len(counts), 'class', 'classes')}; a classifier needs at least two")
        return
    needed = num_folds or NUM_FOLDS
    for category, num in counts.items():
        if num < needed:
            yield Finding("tiny-class", f"{category!r} has {count(num, 'usable clip')} for {needed} folds")
        elif num < FEW_CLIPS:
            yield Finding("few-clips", f"{category!r} has {count(num, 'clip')}; a score on so few is unreliable")
    if unequal := imbalance(counts):
        yield Finding("imbalance", unequal)


def folder_findings(root: Path, categories: Sequence[str]) -> Iterator[Finding]:
    """Find class folders without recordings, and hidden folders with some, where each class has a folder."""
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        num_recordings = sum(
            path.suffix.lower() in SUFFIXES and not path.name.startswith("._")
            for path in itertools.islice(folder.rglob("*"), MAX_ENTRIES)
        )
        if folder.name.startswith(".") or folder.name == "__MACOSX":
            if num_recordings:
                reason = f"{folder.name!r} contains {count(num_recordings, 'recording')} that auricle does not read"
                yield Finding("hidden-folder", reason)
        elif folder.name not in categories and not num_recordings:
            content = "contains files, but no recordings" if any(folder.iterdir()) else "is empty"
            yield Finding("empty-class", f"{folder.name!r} {content}")
