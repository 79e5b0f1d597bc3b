"""Tables of clips: reading CSV files, the layouts of ESC-50 and UrbanSound8K, and finding files by name."""

import csv
import os
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from auricle.data.audio import SUFFIXES
from auricle.data.manifest import Clip
from auricle.errors import RefusedError, count

ESC50_TABLE = Path("meta", "esc50.csv")
URBANSOUND8K_TABLE = Path("metadata", "UrbanSound8K.csv")
ESC50_GROUP, URBANSOUND8K_GROUP = "src_file", "fsID"
MAX_DIGITS = 9  # of a fold or a count
MAX_TABLE_BYTES = 2**28
TABLE_SUFFIXES = (".csv", ".tsv")
DELIMITERS = ",;\t|"  # in order of preference


def is_esc10(row: Mapping[str, str]) -> bool:
    """Return whether a row of ESC-50's table belongs to ESC-10."""
    return row.get("esc10", "").lower() in ("true", "1")


def esc50_clips(folder: Path, *, only_esc10: bool = False, group_column: str = ESC50_GROUP) -> list[Clip]:
    """Read ESC-50's layout: `meta/esc50.csv`, `audio/`; the group is the source recording, or another column."""
    table = folder / ESC50_TABLE
    clips = []
    for line, row in read_table(table, ("filename", "fold", "category", "esc10", group_column)):
        if not only_esc10 or is_esc10(row):
            path = find_recording(folder / "audio", row["filename"])
            fold = fold_number(table, line, row["fold"])
            clips.append(Clip(path, row["filename"], row["category"], fold, row[group_column]))
    return clips


def urbansound8k_clips(folder: Path, *, group_column: str = URBANSOUND8K_GROUP) -> list[Clip]:
    """Read UrbanSound8K: `metadata/UrbanSound8K.csv`, `audio/fold1` to `fold10`; the group is the Freesound id."""
    table = folder / URBANSOUND8K_TABLE
    clips = []
    for line, row in read_table(table, ("slice_file_name", "fsID", "fold", "class", group_column)):
        fold = fold_number(table, line, row["fold"])
        path = find_recording(folder / "audio" / f"fold{fold}", row["slice_file_name"])
        clips.append(Clip(path, row["slice_file_name"], row["class"], fold, row[group_column]))
    return clips


@dataclass(frozen=True)
class Layout:
    """The layout of a published dataset: its table, the function that reads it, and properties of its clips."""

    table: Path
    read: Callable[..., list[Clip]]
    group_column: str
    clip_s: float


ESC50 = Layout(ESC50_TABLE, esc50_clips, ESC50_GROUP, clip_s=5.0)
URBANSOUND8K = Layout(URBANSOUND8K_TABLE, urbansound8k_clips, URBANSOUND8K_GROUP, clip_s=4.0)


def read_table(path: Path, required: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Read a UTF-8 table with a header: for each row its last line number, and its stripped values by column.

    The delimiter is the most frequent of comma, semicolon, tab and | in the first line. A `RefusedError` if the table
    cannot be read, a required column is missing or empty, or a row is too long or short.
    """
    lines = _table_lines(path)
    header = [column.strip() for column in (lines[0][1] if lines else [])]
    if absent := [column for column in required if column not in header]:
        raise RefusedError(f"{path}: no column {', '.join(absent)}; its columns are {named_columns(header)}")
    if len(set(header)) < len(header):
        raise RefusedError(f"{path}: duplicate column: {named_columns(header)}; keep one")
    rows = []
    for line, values in lines[1:]:
        if len(values) != len(header):
            has, columns = count(len(values), "value"), count(len(header), "column")
            raise RefusedError(f"{path}: line {line} has {has}, the header {columns}")
        row = dict(zip(header, map(str.strip, values), strict=True))
        if empty := [column for column in required if not row[column]]:
            raise RefusedError(f"{path}: line {line} has no {empty[0]}; fill it in or delete the line")
        rows.append((line, row))
    return rows


def named_columns(header: Iterable[str]) -> str:
    """Return all column names for a message."""
    return ", ".join(header) or "nothing"


def _table_lines(path: Path) -> list[tuple[int, list[str]]]:
    """Return the non-empty lines, with their numbers."""
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise RefusedError(f"{path}: {path.stat().st_size} bytes; the limit of a table is {MAX_TABLE_BYTES}")
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, strict=True, delimiter=max(DELIMITERS, key=first.count))
            return [(reader.line_num, values) for values in reader if values]
    except UnicodeDecodeError as error:
        raise RefusedError(f"{path}: not UTF-8 ({error.reason}); save it as a CSV in UTF-8") from error
    except csv.Error as error:
        raise RefusedError(f"{path}: not a CSV file: {error}") from error
    except OSError as error:
        raise RefusedError(f"{path}: cannot be read: {error.strerror}") from error


def find_recording(folder: Path, filename: str) -> Path:
    """Return the file of that name or, if it does not exist, the file that is probably meant.

    That is one with another Unicode normalisation (macOS decomposes characters), with backslashes of Windows instead of
    slashes, or with another suffix, or another case of it.
    """
    path = folder / filename
    if exists(path):
        return path
    slashed = filename.replace("\\", "/")
    spelt = [folder / name for name in dict.fromkeys(unicodedata.normalize(form, slashed) for form in ("NFC", "NFD"))]
    if path.suffix.lower() in SUFFIXES:
        ends = [end for suffix in SUFFIXES for end in (suffix, suffix.upper())]
        spelt += [each.with_suffix(end) for each in spelt for end in ends]
    return next((other for other in spelt if exists(other)), path)


def exists(path: Path) -> bool:
    """Whether a file exists; unlike Path.exists, no error for a folder without permission."""
    return os.path.exists(path)  # noqa: PTH110


def whole_number(text: str) -> int | None:
    """Read a whole number from 0 with at most `MAX_DIGITS` digits; None if it is not one.

    >>> whole_number("12"), whole_number("-1"), whole_number("²")
    (12, None, None)
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else None


def fold_number(table: Path, line: int, value: str) -> int:
    """Read a fold of a table, or refuse the line."""
    fold = whole_number(value.removesuffix(".0"))  # which pandas appends to a column that had gaps
    if fold is None:
        sets = ", or train, validation or test"
        raise RefusedError(f"{table}: line {line}: a fold is a whole number from 0{sets}, not {value[:40]!r}")
    return fold
