"""Groups and classes from the names of files: a pattern such as `{fold}-{source}-*`.

A field in braces matches a part of the name, `*` matches a part that is ignored, everything else matches itself.
Matches are as short as possible, from left to right; only the last one takes the rest. `{fold}` is the clip's fold,
`{class}` its class, all other fields together are its group. In a pattern for classes (`--label`) without `{class}`
the first field is the class.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from auricle.data.audio import SUFFIXES
from auricle.data.manifest import Manifest
from auricle.data.tables import whole_number
from auricle.errors import RefusedError, UsageError

EXAMPLE, LABEL_EXAMPLE = "{fold}-{source}-*", "{class}_{source}_*"
FOLD, CLASS = "fold", "class"
_PART = re.compile(r"(\{[^{}]*\}|\*)")


@dataclass(frozen=True)
class NamePattern:
    """A parsed pattern: the text before the first field, then each field (None: `*`) with the text after it."""

    text: str
    start: str
    fields: tuple[tuple[str | None, str], ...]
    class_field: str | None  # the field of the class

    @classmethod
    def parse(cls, text: str, option: str = "--group-by") -> NamePattern:
        """Read a pattern, the value of an option: `--group-by`, or `--label`.

        >>> NamePattern.parse("{fold}-{source}-*").match("1-100032-A-0.ogg")
        {'fold': '1', 'source': '100032'}

        Raises:
            UsageError: no field except `fold`, a field twice, an invalid name, or two fields without text between.
        """
        start, *rest = _PART.split(text)
        names = [None if part == "*" else part[1:-1] for part in rest[::2]]
        named = [name for name in names if name is not None]
        problem = None
        if not set(named) - {FOLD}:
            problem = "needs a {field} for the group, or {class}"
        elif any(not name.isidentifier() for name in named) or "{" in start + "".join(rest[1::2]):
            problem = "has a field whose name is not letters, digits and _"
        elif len(set(named)) < len(named):
            problem = "has a field twice"
        elif "" in rest[1:-1:2]:
            problem = "needs text between two fields"
        if problem:
            example = EXAMPLE if option == "--group-by" else LABEL_EXAMPLE
            raise UsageError(f"{option} {text!r} {problem}, as in '{example}'; a column is named without braces")
        first = next(name for name in named if name != FOLD)
        class_field = CLASS if CLASS in named else first if option == "--label" else None
        return cls(text, start, tuple(zip(names, rest[1::2], strict=True)), class_field)

    @property
    def group_fields(self) -> tuple[str, ...]:
        """The fields that together form the group."""
        return tuple(name for name, _ in self.fields if name and name not in (FOLD, self.class_field))

    def has(self, field: str) -> bool:
        """Return whether the pattern has a field."""
        return any(name == field for name, _ in self.fields)

    def match(self, name: str) -> dict[str, str] | None:
        """Return the value of each field in a name, not empty; None if the name does not match."""
        if not name.startswith(self.start):
            return None
        taken, rest = {}, name[len(self.start) :]
        for index, (field, after) in enumerate(self.fields):
            if index < len(self.fields) - 1:
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
    """A pattern that clip names seem to follow, the number of sources by it, and one of the names."""

    pattern: str
    num_sources: int
    example: str

    def __str__(self) -> str:
        """Return the advice for the user."""
        return (
            f"Names such as {self.example!r} suggest {self.num_sources} sources: use --group-by "
            f"'{self.pattern}' to keep the clips of each source together."
        )


_SPLIT = re.compile(r"([-_ .]+)")
_CUT = re.compile(
    r"[0-9]+|[A-Za-z]|(?:clip|seg|segment|part|chunk|cut|take|slice|frame|win|window)[0-9]*", re.IGNORECASE
)
OWN_FOLDERS = "put the recordings of each class into its own folder"
FOLLOWED = 0.9  # share of the names with the same separators


def pattern_in_names(manifest: Manifest) -> Hint | None:
    """Return the pattern for sources in names such as `3_george_12.wav`; None if there is none.

    The pattern skips parts that are equal in all names, that depend on the class, and a last part that counts cuts.

    >>> from pathlib import Path
    >>> from auricle.data.manifest import Clip
    >>> clips = [Clip(Path(), f"{who}_{cut}.wav", "bark", 1, "") for who in ("rex", "bello") for cut in range(3)]
    >>> pattern_in_names(Manifest("", tuple(clips), 1.0)).pattern
    '{source}_*'
    """
    found = _name_parts([clip.name for clip in manifest.clips])
    if found is None:
        return None
    separators, followed = found
    rows = [(manifest.clips[index], parts) for index, parts in followed.items()]
    columns = list(zip(*followed.values(), strict=True))
    categories = [clip.category for clip, _ in rows]
    by_class = [len(set(zip(categories, column, strict=True))) == len(set(categories)) for column in columns]
    kept = [index for index, column in enumerate(columns) if len(set(column)) > 1 and not by_class[index]]
    if kept and all(_CUT.fullmatch(piece) for piece in columns[kept[-1]]):
        kept.pop()
    sources = {tuple(row[index] for index in kept) for _, row in rows}
    if not kept or not 1 < len(sources) <= FOLLOWED * len(rows):
        return None
    names = iter(["source"] if len(kept) == 1 else [f"source{number}" for number in range(1, len(kept) + 1)])
    fields = [f"{{{next(names)}}}" if index in kept else "*" for index in range(max(kept) + 1)]
    pattern = "".join(part for field, after in zip(fields, (*separators, ""), strict=False) for part in (field, after))
    pattern += "*" if max(kept) < len(columns) - 1 else ""
    return Hint(pattern, len(sources), manifest.clips[0].name)


def _name_parts(names: Sequence[str]) -> tuple[tuple[str, ...], dict[int, list[str]]] | None:
    """Return the separators of most names, and the parts of these names by index; None if few names are alike."""
    pieces = [_SPLIT.split(PurePosixPath(name).stem) for name in names]
    separators = Counter(tuple(piece[1::2]) for piece in pieces).most_common(1)[0][0] if pieces else ()
    parts = {index: piece[::2] for index, piece in enumerate(pieces) if tuple(piece[1::2]) == separators}
    return (separators, parts) if separators and len(parts) >= FOLLOWED * len(pieces) else None


def parts_of_names(names: Sequence[str]) -> str:
    """Describe the parts of names, and a pattern that reads classes from them.

    >>> print(parts_of_names([f"{digit}_{who}_{take}.wav" for digit in "012" for who in ("a", "b") for take in "01"]))
    names such as '0_a_0.wav' have parts of 3 values (0, 1, ...), 2 (a, b), 2 (0, 1): --label '{class}_{source}_*'
    """
    found = _name_parts(names)
    if found is None:
        return OWN_FOLDERS
    separators, followed = found
    columns = [list(dict.fromkeys(column)) for column in zip(*followed.values(), strict=True)]
    shown = [f"{len(values)} ({', '.join([*values[:2], '...'] if len(values) > 2 else values)})" for values in columns]
    parts = ", ".join([f"{len(columns[0])} values{shown[0].removeprefix(str(len(columns[0])))}", *shown[1:]])
    few = [index for index, values in enumerate(columns) if 1 < len(values) <= len(followed) / 2]
    if not few:
        return OWN_FOLDERS
    fields = dict(zip(few, ("{class}", "{source}"), strict=False))
    pattern = "".join(
        fields.get(index, "*") + after
        for index, after in enumerate([*separators, ""])
        if index <= max(fields, default=0) + 1
    )
    return f"names such as {names[0]!r} have parts of {parts}: --label '{pattern}'"


def _match_recording(pattern: NamePattern, name: str) -> dict[str, str] | None:
    """Match a name without the suffix of its format, which is no part of a class or a source; else the whole name."""
    suffix = PurePosixPath(name).suffix
    bare = name.removesuffix(suffix) if suffix.lower() in SUFFIXES else name
    return pattern.match(bare) or pattern.match(name)


def grouped_by_name(manifest: Manifest, pattern: NamePattern) -> Manifest:
    """Return the manifest with groups, folds and classes from clip names, as far as the pattern has fields for them.

    A pattern with a `/` is matched to the whole name, any other to its last part; both without the suffix, unless the
    pattern only matches with it. A note is added if a field does not make useful groups. A `RefusedError` for a name
    that does not match, or a fold that is not a number.
    """
    clips, strangers, values = [], [], []
    for clip in manifest.clips:
        taken = _match_recording(pattern, clip.name if "/" in pattern.text else PurePosixPath(clip.name).name)
        if taken is None:
            strangers.append(clip.name)
            continue
        values.append(taken)
        text = taken.get(FOLD)
        fold = clip.fold if text is None else whole_number(text)
        if fold is None:
            raise RefusedError(f"{manifest.source}: {{fold}} in {clip.name!r} is {text!r}, not a whole number from 0")
        category = taken[pattern.class_field] if pattern.class_field else clip.category
        group = "-".join(taken[field] for field in pattern.group_fields) or clip.group
        clips.append(replace(clip, category=category, group=group, fold=fold))
    if strangers:
        raise RefusedError(
            f"{manifest.source}: {len(strangers)} of {len(manifest.clips)} names do not match {pattern.text!r}, first "
            f"{strangers[0]!r}; rename them or change the pattern"
        )
    notes = (
        [f"Classes are taken from {{{pattern.class_field}}} in the names, by the pattern {pattern.text}."]
        if pattern.class_field
        else []
    )
    by_class = {clip.category for clip in clips}
    for field in pattern.group_fields:
        pairs = {(clip.category, taken[field]) for clip, taken in zip(clips, values, strict=True)}
        if 1 < len(pairs) == len(by_class) < len(clips):
            other = pattern.text.replace(f"{{{field}}}", "*")
            notes.append(
                f"{{{field}}} is the class, and all fields of {pattern.text!r} together are the group, so a source of "
                f"several classes can be in both training and test set; --group-by '{other}' keeps it together."
            )
    return replace(
        manifest,
        clips=tuple(clips),
        notes=(*manifest.notes, *notes),
        grouping=f"the names, by the pattern {pattern.text}" if pattern.group_fields else manifest.grouping,
    )
