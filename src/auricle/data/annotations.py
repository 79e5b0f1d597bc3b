"""Cut annotated long recordings into clips: annotations are read beside the recordings, clips kept in the cache.

    garden.wav, garden.txt | garden.selections.txt | garden.Table.1.selections.txt    Audacity labels, Raven selections
      -> stretches with a label -> pieces of one length
      -> CACHE/cut/HASH/12.500-15.500.wav                                             one file per piece, float32, mono

A piece includes the sound around a short stretch, up to the input length of a model, but none of a stretch of another
class; a long stretch becomes several pieces. Pieces of a recording stay in one group.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from auricle.data.audio import MAX_STREAM_BYTES, SUFFIXES, open_recording, stream_mono
from auricle.data.manifest import Clip
from auricle.data.own_tables import CLASS_COLUMNS, ONE_CLASS, Span, span
from auricle.data.processes import in_processes
from auricle.data.store import cut_folder
from auricle.data.tables import MAX_TABLE_BYTES, find_recording, named_columns
from auricle.errors import RefusedError
from auricle.files import part_of, write_atomically
from auricle.system import relative_path
from auricle.text import one_line, path_cell, unquoted

RAVEN = ("begin time (s)", "end time (s)")  # columns of a selection table, in lower case
LABEL_COLUMNS = ("annotation", *CLASS_COLUMNS, "common name", "species code")
CUT_LIMIT_S = 3600.0  # time to decode a recording, which may be days long
MIN_OVERLAP_S = 1e-3
LITTLE_MORE = 1.1  # a stretch up to this many times the length of a piece becomes one piece


def annotations_beside(
    recordings: Sequence[Path], root: Path, *, label_column: str | None = None
) -> tuple[list[Clip], list[Span]]:
    """Read the label files beside recordings: for each stretch, a clip of the whole recording, and the stretch.

    Both are empty if no recording has a label file. A `RefusedError` names a line that cannot be parsed.
    """
    clips, spans = [], []
    for text, recording in _label_files(recordings):
        for path, label, stretch in dict.fromkeys(_stretches(text, recording, label_column)):
            name = relative_path(path, root).as_posix()
            clips.append(Clip(path, name, label, 0, name))
            spans.append(stretch)
    return clips, spans


def _label_files(recordings: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """Yield the text files named like a recording in their folder, each with that recording.

    Empty ones are left out, as `predict` writes a label track where it detects nothing.
    """
    by_folder: defaultdict[Path, dict[str, Path]] = defaultdict(dict)
    for path in recordings:
        by_folder[path.parent] |= {path.stem: path, path.name: path}
    for folder, named in by_folder.items():
        for text in sorted(folder.glob("*.[tT][xX][tT]")):
            name = text.stem
            while name not in named and "." in name:
                name = name.rpartition(".")[0]
            if name in named and text.is_file() and text.stat().st_size:
                yield text, named[name]


def _stretches(text: Path, recording: Path, label_column: str | None) -> Iterator[tuple[Path, str, Span]]:
    """Yield file, label and stretch of each line of a selection table or a label track; nothing for other texts."""
    with open_recording(text, max_bytes=MAX_TABLE_BYTES) as file:
        lines = file.read().decode("utf-8-sig", "replace").splitlines()
    rows = [line.split("\t") for line in lines]
    header = [column.strip().casefold() for column in rows[0]] if rows else []
    if set(RAVEN) <= set(header):
        yield from _selections(text, recording, rows[0], rows[1:], label_column)
    elif rows and len(rows[0]) > 1 and all(_is_number(value) for value in rows[0][:2]):
        for number, row in enumerate(rows, start=1):
            if row != [""] and row[0].strip() != "\\":  # a line of frequencies belongs to the label before it
                where = f"{text}: line {number}"
                if not (label := "\t".join(row[2:]).strip()):
                    raise RefusedError(
                        f"{where}: a line of a label track is start, end and label, separated by tabs; add the label"
                    )
                yield recording, label, span(where, row[0].strip(), row[1].strip())


def _selections(
    text: Path, recording: Path, columns: Sequence[str], rows: Sequence[Sequence[str]], label_column: str | None
) -> Iterator[tuple[Path, str, Span]]:
    """Yield the selections of a Raven table; a table of several files gives the file of each, and the offset in it.

    Without the offset, times in such a table count from the begin of the first file.
    """
    known = {column.strip().casefold(): index for index, column in enumerate(columns)}
    asked = (label_column.casefold(),) if label_column else LABEL_COLUMNS
    label = next((known[name] for name in asked if name in known), None)
    if label is None:
        raise RefusedError(
            f"{text}: no column {' or '.join(asked)}; its columns are {named_columns(columns)}; choose one with --label"
        )
    files = {row[known["begin file"]].strip() for row in rows if "begin file" in known and len(row) >= len(columns)}
    for number, row in enumerate(rows, start=2):
        where = f"{text}: line {number}"
        if len(row) < len(columns) or not row[label].strip():
            raise RefusedError(f"{where} has no {columns[label].strip()}; fill it in or delete the line")
        values = {name: row[index].strip() for name, index in known.items()}
        start_s, end_s = span(where, values[RAVEN[0]], values[RAVEN[1]])
        path = recording
        if other := values.get("begin file"):
            path = recording if other == _listed(recording) else find_recording(text.parent, other)
            if not (offset := values.get("file offset (s)")):
                if len(files) > 1:
                    raise RefusedError(f"{where} has no File Offset (s), which a table of several files needs; add it")
                offset = str(start_s)
            if not _is_number(offset):
                raise RefusedError(f"{where}: file offset {offset!r} is not a number of seconds; correct it")
            start_s, end_s = span(where, offset, str(float(offset.replace(",", ".")) + end_s - start_s))
        yield path, unquoted(row[label].strip()), (start_s, end_s)


def _listed(recording: Path) -> str:
    """Return the name of a recording as `predict` writes it into a Raven table."""
    return one_line(path_cell(os.fsencode(recording.name).decode("utf-8", "replace"))).strip()


def _is_number(text: str) -> bool:
    try:
        return float(text.replace(",", ".")) >= 0
    except ValueError:
        return False


def cut_clips(clips: Sequence[Clip], spans: Sequence[Span], piece_s: float) -> tuple[list[Clip], list[tuple[str, str]]]:
    """Cut stretches of recordings into pieces; also return the names of the stretches left out, with reasons.

    A stretch is left out if it overlaps one of another class, or begins after the end of its recording. A recording
    that cannot be decoded becomes one clip per class, which is refused when it is prepared, like any other.

    Args:
        clips: for each stretch, its recording and class.
        spans: the stretches.
        piece_s: the maximum length of a piece in seconds.
    """
    pieces: defaultdict[Path, list[tuple[Span, Clip]]] = defaultdict(list)
    left_out = []
    for path, indices in _by_recording(clips).items():
        starts, ends = np.array([spans[index] for index in indices]).T
        kinds = np.unique([clips[index].category for index in indices], return_inverse=True)[1]
        for index, kind in zip(indices, kinds.tolist(), strict=True):
            (start, end), clip = spans[index], clips[index]
            others = kinds != kind
            if (others & (starts < end - MIN_OVERLAP_S) & (ends > start + MIN_OVERLAP_S)).any():
                left_out.append((_name(clip, spans[index]), f"overlaps a stretch of another class; {ONE_CLASS}"))
                continue
            free_from = ends[others & (ends <= start + MIN_OVERLAP_S)].max(initial=0.0)
            free_to = starts[others & (starts >= end - MIN_OVERLAP_S)].min(initial=np.inf)
            pieces[path] += [(piece, clip) for piece in _pieces(start, end, piece_s, float(free_from), float(free_to))]
    folders = {path: _folder_of(path) for path in pieces}
    for folder in folders.values():
        with contextlib.suppress(OSError):  # not cut yet
            os.utime(folder)  # in use: `prune_entries` keeps it for another month
    wanted = {
        path: {piece: folders[path] / _file_name(piece) for piece, _ in sorted(found, key=lambda each: each[0][1])}
        for path, found in pieces.items()
    }
    uncut = [path for path, files in wanted.items() if not all(file.exists() for file in files.values())]
    answers = list(in_processes(partial(_cut_recording, wanted), uncut, time_limit_s=CUT_LIMIT_S))
    refused = {path for path, answer in zip(uncut, answers, strict=True) if isinstance(answer, RefusedError)}
    made = {}
    for path, found in pieces.items():
        if path in refused:
            found = list({clip.category: (piece, clip) for piece, clip in found}.values())
        for piece, clip in found:
            file, name = wanted[path][piece], _name(clip, piece)
            if path in refused:
                made[name] = replace(clip, name=name)
            elif file.exists():
                made[name] = replace(clip, path=file, name=name)
            else:
                left_out.append((name, "begins after the end of its recording"))
    return list(made.values()), left_out


def is_piece(name: str) -> bool:
    """Return whether a clip of this name is a piece of an annotated recording.

    >>> is_piece("site/garden.wav/2.000-3.000.wav"), is_piece("garden.wav")
    (True, False)
    """
    return Path(name).parent.suffix.lower() in SUFFIXES


def _by_recording(clips: Sequence[Clip]) -> Mapping[Path, list[int]]:
    indices: defaultdict[Path, list[int]] = defaultdict(list)
    for index, clip in enumerate(clips):
        indices[clip.path].append(index)
    return indices


def _pieces(start: float, end: float, piece_s: float, free_from: float, free_to: float) -> list[Span]:
    """Return pieces that cover a stretch, within the sound that is free of other classes.

    >>> _pieces(10.0, 11.0, 3.0, 0.0, 60.0), _pieces(10.0, 11.0, 3.0, 9.5, 60.0), _pieces(10.0, 15.0, 3.0, 0.0, 60.0)
    ([(9.0, 12.0)], [(9.5, 12.5)], [(10.0, 13.0), (12.0, 15.0)])
    """
    if end - start > LITTLE_MORE * piece_s:
        num = int(np.ceil((end - start) / piece_s))
        return [(float(first), float(first) + piece_s) for first in np.linspace(start, end - piece_s, num)]
    if end - start > piece_s:
        return [(float(start), float(end))]
    first = max(free_from, (start + end - piece_s) / 2)
    last = min(free_to, first + piece_s)
    return [(max(free_from, last - piece_s), last)]


def _folder_of(recording: Path) -> Path:
    """Return the folder of the pieces of a recording, by its content; a missing file has no pieces."""
    try:
        with open_recording(recording, max_bytes=MAX_STREAM_BYTES) as file:
            return cut_folder() / hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except (OSError, RefusedError):
        return cut_folder() / "none"


def _file_name(piece: Span) -> str:
    return f"{piece[0]:.3f}-{piece[1]:.3f}.wav"


def _name(clip: Clip, piece: Span) -> str:
    return f"{clip.name}/{_file_name(piece)}"


def _cut_recording(wanted: Mapping[Path, Mapping[Span, Path]], recording: Path) -> None:
    """Write the pieces of a recording in one pass; the last one may be shorter than requested.

    The files are renamed when the recording has been read to its end, so that a recording damaged at the end leaves no
    pieces that the next call would use.
    """
    pieces = deque(wanted[recording].items())  # sorted by end
    longest_s = max(end - start for start, end in wanted[recording])
    kept, first = np.zeros(0, np.float32), 0  # the samples that a piece may still need, and the index of their first
    parts: dict[Path, Path] = {}

    def write(piece: Span, file: Path) -> None:
        start, end = (max(0, round(second * rate_hz) - first) for second in piece)
        if len(samples := kept[start:end]):
            parts[file] = part_of(file)
            write_atomically(parts[file], lambda out: soundfile.write(out, samples, rate_hz, "FLOAT", format="WAV"))

    try:
        for rate_hz, block in stream_mono(recording):
            kept = np.concatenate([kept, block])
            while pieces and round(pieces[0][0][1] * rate_hz) <= first + len(kept):
                write(*pieces.popleft())
            done = len(kept) if not pieces else int((pieces[0][0][1] - longest_s) * rate_hz) - first - 1
            done = min(max(done, 0), len(kept))
            kept, first = kept[done:], first + done
        for piece, file in pieces:
            write(piece, file)
        for file, part in parts.items():
            part.replace(file)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
