"""The user's own table of clips: `filename,category`, under common names of such columns.

| meaning | column, the first that exists, in any case |
|---|---|
| file | filename, file_name, file, path, filepath, audio |
| class | category, label, class, species, target |
| fold | fold, or split, subset, set with `train`, `validation`, `test` |
| group | group |
| stretch of a long recording | start_s, start, begin, onset and end_s, end, offset, in seconds |
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from auricle.data.manifest import Clip, fold_of_set
from auricle.data.tables import exists, find_recording, fold_number, named_columns, read_table
from auricle.errors import RefusedError, count
from auricle.text import unquoted

FILE_COLUMNS = ("filename", "file_name", "file", "path", "filepath", "audio")
CLASS_COLUMNS = ("category", "label", "class", "species", "target")
FOLD_COLUMNS, GROUP_COLUMNS = ("fold", "split", "subset", "set"), ("group",)
START_COLUMNS, END_COLUMNS = ("start_s", "start", "begin", "onset"), ("end_s", "end", "offset")
_JOINED = re.compile(r"\s*[;|,+]\s*")  # between class names in one cell
Span = tuple[float, float]  # seconds from the start of a recording
ONE_CLASS = "auricle needs one class per clip: keep one label, or label parts of the clip (start_s, end_s)"


@dataclass(frozen=True)
class OwnTable:
    """The contents of the user's table."""

    clips: tuple[Clip, ...]  # fold 0 if none is given; a clip without a group is its own group
    spans: tuple[Span, ...]  # of each clip, if rows are stretches of recordings; otherwise empty
    has_folds: bool
    grouping: str | None  # the source of groups, as in `Manifest.grouping`; None if no clip has one


def read_own_table(
    table: Path,
    *,
    label_column: str | None = None,
    group_column: str | None = None,
    may_miss: bool = False,
    labelled: bool = True,
) -> OwnTable:
    """Read the user's table; file names are relative to it.

    Args:
        table: columns separated by comma, semicolon, tab or |, named as above.
        label_column: column of the classes; None: as above.
        group_column: column of the groups; None: as above, if it exists.
        may_miss: files need not exist.
        labelled: False if classes come from elsewhere; then every category is empty.

    Raises:
        RefusedError: as `read_table`; no rows or no such column; missing files; clips with several classes; an invalid
            stretch.
    """
    rows = read_table(table, ())
    if not rows:
        raise RefusedError(f"{table} contains no clips; give it a header, such as path,label, and a row for each")
    columns = list(rows[0][1])
    known = {column.casefold(): column for column in columns}
    file = _column(table, known, FILE_COLUMNS, required=True)
    label = _class_column(table, rows, known, label_column) if labelled else None
    group = _asked(table, known, group_column, "group by") or _column(table, known, GROUP_COLUMNS)
    fold = _column(table, known, FOLD_COLUMNS)
    start, end = (_column(table, known, names) for names in (START_COLUMNS, END_COLUMNS))
    clips, spans, missing = [], [], []
    for line, row in rows:
        if empty := [column for column in (file, label) if column and not row[column]]:
            raise RefusedError(f"{table}: line {line} has no {empty[0]}; fill it in or delete the line")
        name = Path(row[file or ""]).as_posix()
        path = find_recording(table.parent, name)
        if not exists(path):
            missing.append((name, line))
        clip = Clip(
            path,
            name,
            unquoted(row[label]) if label else "",
            _fold(table, line, row[fold]) if fold else 0,
            (group and unquoted(row[group])) or name,
        )
        clips.append(clip)
        if start and end:
            spans.append(span(f"{table}: line {line}", row[start], row[end]))
    if missing and not may_miss:
        raise RefusedError(_missing(table, missing, len(rows)))
    if not spans:
        _require_one_class(table, clips)
    grouping = f"the column {group}" if group and any(row[group] for _, row in rows) else None
    return OwnTable(tuple(clips), tuple(spans), fold is not None, grouping)


def _column(table: Path, known: Mapping[str, str], names: Sequence[str], *, required: bool = False) -> str | None:
    """Return the first of some columns that exists, in the table's spelling."""
    found = next((known[name] for name in names if name in known), None)
    if required and not found:
        raise RefusedError(f"{table}: no column {' or '.join(names)}; its columns are {named_columns(known.values())}")
    return found


def _asked(table: Path, known: Mapping[str, str], column: str | None, purpose: str) -> str | None:
    if column is not None and column not in known.values():
        raise RefusedError(f"{table}: no column {column} to {purpose}; its columns are {named_columns(known.values())}")
    return column


def _class_column(
    table: Path, rows: Sequence[tuple[int, Mapping[str, str]]], known: Mapping[str, str], asked: str | None
) -> str | None:
    """Return the column of the classes; a table with several labels per clip is refused."""
    if found := _asked(table, known, asked, "take classes from") or _column(table, known, CLASS_COLUMNS):
        return found
    plural = next((known[f"{name}s"] for name in ("label", "tag", "target") if f"{name}s" in known), None)
    switches = [column for column in known.values() if rows and {row[column] for _, row in rows} <= {"0", "1"}]
    if plural or len(switches) > 1:
        where = f"column {plural!r}" if plural else f"columns of 0 and 1 ({named_columns(switches[:3])})"
        raise RefusedError(f"{table}: {where} give a clip several labels; {ONE_CLASS}, or name a column with --label")
    return _column(table, known, CLASS_COLUMNS, required=True)


def span(where: str, start: str, end: str) -> Span:
    """Read the begin and end of a stretch; `where` is the position in the error message."""
    try:
        start_s, end_s = (float(text.replace(",", ".")) for text in (start, end))
    except ValueError:
        start_s = end_s = 0.0
    if not 0 <= start_s < end_s < float("inf"):
        raise RefusedError(f"{where}: {start!r} to {end!r} s is not a valid stretch; the start must be before the end")
    return start_s, end_s


def _missing(table: Path, missing: Sequence[tuple[str, int]], num_rows: int) -> str:
    name, line = missing[0]
    elsewhere = PureWindowsPath(name).drive or name.startswith("/")
    remedy = "these are paths on another computer; give paths relative to that folder" if elsewhere else ""
    return (
        f"{table}: {len(missing)} of {count(num_rows, 'file')} not found, first {name!r} (line {line}); "
        f"names are relative to {table.parent.absolute()}{remedy and '; '}{remedy}"
    )


def _require_one_class(table: Path, clips: Iterable[Clip]) -> None:
    """Refuse clips with several classes: in several rows, or in one cell that joins classes of other rows."""
    by_name: defaultdict[str, set[str]] = defaultdict(set)
    for clip in clips:
        by_name[clip.name].add(clip.category)
    classes = {clip.category for clip in clips}
    several = {}
    for name, labels in by_name.items():
        pieces = {piece for label in labels for piece in _JOINED.split(label)}
        if len(labels) > 1 or (len(pieces) > 1 and pieces <= classes):
            several[name] = labels if len(labels) > 1 else pieces
    if several:
        name, labels = next(iter(several.items()))
        which = f"{count(len(several), 'clip')} with several labels, first {name!r} ({', '.join(sorted(labels))})"
        raise RefusedError(f"{table}: {which}; {ONE_CLASS}")


def _fold(table: Path, line: int, value: str) -> int:
    fold = fold_of_set(value)
    return fold_number(table, line, value) if fold is None else fold
