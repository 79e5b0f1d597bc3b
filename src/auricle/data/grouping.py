"""Groups from the names of files: a pattern such as `{fold}-{source}-*`.

A field in braces takes a piece of the name, `*` takes a piece that does not matter, everything else stands for
itself. Each takes as little as it can, from left to right; only the last one takes the rest. `{fold}` is the clip's
fold, `{class}` its class, all other fields together are its group.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from auricle.data.manifest import Manifest
from auricle.data.tables import whole_number
from auricle.errors import RefusedError, UsageError

EXAMPLE = "{fold}-{source}-*"
FOLD, CLASS = "fold", "class"
_PART = re.compile(r"(\{[^{}]*\}|\*)")


@dataclass(frozen=True)
class NamePattern:
    """A pattern, taken apart: what stands before the first field, then each field (None: `*`) and what follows it."""

    text: str
    start: str
    fields: tuple[tuple[str | None, str], ...]

    @classmethod
    def parse(cls, text: str) -> NamePattern:
        """Read a pattern.

        >>> NamePattern.parse("{fold}-{source}-*").match("1-100032-A-0.ogg")
        {'fold': '1', 'source': '100032'}

        Raises:
            UsageError: no field, or one of `fold` alone, twice the same, without a name, or next to another.
        """
        start, *rest = _PART.split(text)
        names = [None if part == "*" else part[1:-1] for part in rest[::2]]
        named = [name for name in names if name is not None]
        problem = None
        if not set(named) - {FOLD}:
            problem = "needs a {field} for the group, or {class}"
        elif any(not name.isidentifier() for name in named) or "{" in start + "".join(rest[1::2]):
            problem = "names its fields with letters, digits and _"
        elif len(set(named)) < len(named):
            problem = "names a field twice"
        elif "" in rest[1:-1:2]:
            problem = "needs something between two fields"
        if problem:
            raise UsageError(f"--group-by {text!r} {problem}, as in '{EXAMPLE}'; a word without braces names a column")
        return cls(text, start, tuple(zip(names, rest[1::2], strict=True)))

    def has(self, field: str) -> bool:
        """Return whether the pattern has a field."""
        return any(name == field for name, _ in self.fields)

    def match(self, name: str) -> dict[str, str] | None:
        """Return what each field takes of a name; None where the name does not fit. Fields are not empty."""
        if not name.startswith(self.start):
            return None
        taken, rest = {}, name[len(self.start) :]
        for place, (field, after) in enumerate(self.fields):
            if place < len(self.fields) - 1:
                fits = after in rest
                piece, _, rest = rest.partition(after)
            else:
                fits = rest.endswith(after)
                piece = rest[: len(rest) - len(after)]
            if not fits or (field and not piece):
                return None
            if field:
                taken[field] = piece
        return taken


@dataclass(frozen=True)
class Hint:
    """A pattern that names of clips seem to follow: how many sources it tells apart, and one of the names."""

    pattern: str
    num_sources: int
    example: str

    def __str__(self) -> str:
        """Say what to do."""
        return (
            f"Names such as {self.example!r} look as if {self.num_sources} sources were recorded: --group-by "
            f"'{self.pattern}' keeps the clips of each together."
        )


_SPLIT = re.compile(r"([-_ .]+)")
_CUT = re.compile(
    r"[0-9]+|[A-Za-z]|(?:clip|seg|segment|part|chunk|cut|take|slice|frame|win|window)[0-9]*", re.IGNORECASE
)
FOLLOWED = 0.9  # of the names have the same separators


def pattern_in_names(manifest: Manifest) -> Hint | None:
    """Return what names such as `3_george_12.wav` say of their sources; None where they say nothing.

    Left out of the pattern: what is the same in all names, what the class decides, and a last piece that counts cuts.

    >>> from pathlib import Path
    >>> from auricle.data.manifest import Clip
    >>> clips = [Clip(Path(), f"{who}_{cut}.wav", "bark", 1, "") for who in ("rex", "bello") for cut in range(3)]
    >>> pattern_in_names(Manifest("", tuple(clips), 1.0)).pattern
    '{source}_*'
    """
    stems = [PurePosixPath(clip.name).stem for clip in manifest.clips]
    pieces = [_SPLIT.split(stem) for stem in stems]
    separators = Counter(tuple(piece[1::2]) for piece in pieces).most_common(1)[0][0] if pieces else ()
    rows = [(clip, piece[::2]) for clip, piece in zip(manifest.clips, pieces, strict=True)]
    rows = [(clip, row) for (clip, row), piece in zip(rows, pieces, strict=True) if tuple(piece[1::2]) == separators]
    if not separators or len(rows) < FOLLOWED * len(pieces):
        return None
    columns = list(zip(*(row for _, row in rows), strict=True))
    categories = [clip.category for clip, _ in rows]
    by_class = [len(set(zip(categories, column, strict=True))) == len(set(categories)) for column in columns]
    kept = [place for place, column in enumerate(columns) if len(set(column)) > 1 and not by_class[place]]
    if kept and all(_CUT.fullmatch(piece) for piece in columns[kept[-1]]):
        kept.pop()
    sources = {tuple(row[place] for place in kept) for _, row in rows}
    if not kept or not 1 < len(sources) <= FOLLOWED * len(rows):
        return None
    names = iter(["source"] if len(kept) == 1 else [f"source{number}" for number in range(1, len(kept) + 1)])
    fields = [f"{{{next(names)}}}" if place in kept else "*" for place in range(max(kept) + 1)]
    pattern = "".join(part for field, after in zip(fields, (*separators, ""), strict=False) for part in (field, after))
    pattern += "*" if max(kept) < len(columns) - 1 else ""
    return Hint(pattern, len(sources), manifest.clips[0].name)


def grouped_by_name(manifest: Manifest, pattern: NamePattern) -> Manifest:
    """Return the manifest with groups, folds and classes from the names of its clips, those that the pattern has.

    A pattern with a `/` is held against the whole name, any other against its last part. A `RefusedError` tells of a
    name that does not fit, or a fold that is no number.
    """
    clips, strangers = [], []
    for clip in manifest.clips:
        taken = pattern.match(clip.name if "/" in pattern.text else PurePosixPath(clip.name).name)
        if taken is None:
            strangers.append(clip.name)
            continue
        text = taken.pop(FOLD, None)
        fold = clip.fold if text is None else whole_number(text)
        if fold is None:
            raise RefusedError(f"{manifest.source}: in {clip.name!r}, {{fold}} is {text!r} and no whole number from 0")
        category = taken.pop(CLASS, clip.category)
        group = "-".join(taken.values()) or clip.group
        clips.append(replace(clip, category=category, group=group, fold=fold))
    if strangers:
        raise RefusedError(
            f"{manifest.source}: {len(strangers)} of {len(manifest.clips)} names do not fit {pattern.text!r}, first "
            f"{strangers[0]!r}; rename them or mend the pattern"
        )
    groups_too = any(name not in (None, FOLD, CLASS) for name, _ in pattern.fields)
    return replace(manifest, clips=tuple(clips), grouping=f"the names, as {pattern.text}" if groups_too else None)
