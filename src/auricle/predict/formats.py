"""Write stretches as text: a readable table, CSV, JSON lines, Audacity labels, Raven selection tables."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from auricle.files import write_bytes
from auricle.predict.classifier import NONE_OF_THESE
from auricle.predict.clock import clock_text
from auricle.predict.stretches import Stretch, named_stretches
from auricle.text import csv_text, json_text, one_line, path_cell, quoted, visible

SUFFIXES = {"csv": ".csv", "jsonl": ".jsonl", "audacity": ".txt", "raven": ".selections.txt"}
RAVEN_COLUMNS = (
    "Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)",
    "Begin File", "Begin Path", "File Offset (s)", "Label", "Score",
)  # fmt: skip
IN_SEQUENCE = ("Begin Time (s)", "End Time (s)")


@dataclass(frozen=True)
class LabelledRecording:
    """The detections in one file."""

    path: Path  # the file, as given
    duration_s: float | None  # None: unknown
    stretches: tuple[Stretch, ...]
    began: datetime | None = None  # local if it has no time zone; None: unknown
    refused: str = ""  # why it could not be classified
    cut_off: str = ""  # why its end is missing, if only the start could be classified


def to_table(recordings: Sequence[LabelledRecording]) -> str:
    """Return lines for a person: the time of day where it is known, the stretch, its class, the next ones."""
    lines = []
    for index, recording in enumerate(recordings):
        if len(recordings) > 1:
            lines += [*([""] if index else []), visible(str(recording.path))]
        for stretch in recording.stretches:
            clock = _time_of_day(recording.began, stretch.start_s)
            span = f"{short_time(stretch.start_s):>8} – {short_time(stretch.end_s):>8}"
            others = "   ".join(f"{visible(name)} {value:.0%}" for name, value in stretch.top[1:])
            line = f"{span}  {visible(stretch.label):20} {stretch.probability:4.0%}  {others}".rstrip()
            lines.append(f"{clock}  {line}" if clock else line)
    return "".join(f"{line}\n" for line in lines)


def _time_of_day(began: datetime | None, seconds: float) -> str:
    """Write a time without its date and milliseconds, with the zone where one is known."""
    text = clock_text(began, seconds)
    return text[11:19] + text[23:]


def short_time(seconds: float) -> str:
    """Write a time in a recording.

    >>> short_time(5.0), short_time(75.5), short_time(7325.0)
    ('0:05.0', '1:15.5', '2:02:05')
    """
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    if minutes >= 60:
        return f"{minutes // 60}:{minutes % 60:02}:{rest // 10:02}"
    return f"{minutes}:{rest // 10:02}.{rest % 10}"


def to_csv(recordings: Sequence[LabelledRecording], *, top: int = 1) -> str:
    """Return one row per stretch, safe from formulas; with `top` > 1 the next classes in columns of their own."""
    more = [f"{column}_{rank}" for rank in range(2, top + 1) for column in ("label", "probability")]
    rows = [("file", "start_s", "end_s", "start_time", "label", "probability", *more)]
    for recording in recordings:
        for stretch in recording.stretches:
            rest = [cell for name, value in stretch.top[1:] for cell in (quoted(name), f"{value:.4f}")]
            span = (f"{stretch.start_s:.3f}", f"{stretch.end_s:.3f}", clock_text(recording.began, stretch.start_s))
            label = quoted(stretch.label), f"{stretch.probability:.4f}"
            rows.append((path_cell(str(recording.path)), *span, *label, *rest))
    return csv_text(rows)


def to_json_lines(recordings: Sequence[LabelledRecording]) -> str:
    """Return one object per stretch."""
    lines = []
    for recording in recordings:
        for stretch in recording.stretches:
            record = {
                "file": str(recording.path),
                "start_s": round(stretch.start_s, 3),
                "end_s": round(stretch.end_s, 3),
                "start_time": clock_text(recording.began, stretch.start_s) or None,
                "label": None if stretch.label == NONE_OF_THESE else stretch.label,
                "probability": round(stretch.probability, 4),
                "none_of_these": stretch.label == NONE_OF_THESE,
                "top": [{"label": name, "probability": round(value, 4)} for name, value in stretch.top],
            }
            lines.append(json_text(record) + "\n")
    return "".join(lines)


def to_audacity(recordings: Sequence[LabelledRecording]) -> str:
    """Return a label track of one recording: start, end, label."""
    return "".join(
        f"{stretch.start_s:.6f}\t{stretch.end_s:.6f}\t{one_line(stretch.label)}\n"
        for recording in recordings
        for stretch in named_stretches(recording.stretches)
    )


def to_raven(recordings: Sequence[LabelledRecording], *, band_hz: tuple[float, float]) -> str:
    """Return a selection table; the recordings, refused ones too, count as one sequence with continuous begin times.

    `band_hz` is the frequency range of the model's input. If the duration of an earlier recording is unknown, the table
    has only the times within each file, not in the sequence.
    """
    rows: list[tuple[str, ...]] = [RAVEN_COLUMNS]
    before_s = 0.0
    for recording in recordings:
        for stretch in named_stretches(recording.stretches):
            begin, end = (f"{before_s + value:.6f}" for value in (stretch.start_s, stretch.end_s))
            path = os.path.abspath(recording.path)  # noqa: PTH100 - a link keeps its name
            cells = (
                str(len(rows)), "Spectrogram 1", "1", begin, end, *(f"{edge:.1f}" for edge in band_hz),
                one_line(path_cell(recording.path.name)), one_line(path), f"{stretch.start_s:.6f}",
                one_line(quoted(stretch.label)), f"{stretch.probability:.4f}",
            )  # fmt: skip
            rows.append(cells)
        before_s += math.nan if recording.duration_s is None else recording.duration_s
    columns = [index for index, name in enumerate(RAVEN_COLUMNS) if name not in IN_SEQUENCE or is_sequence(recordings)]
    return "".join("\t".join(row[index] for index in columns) + "\n" for row in rows)


def is_sequence(recordings: Sequence[LabelledRecording]) -> bool:
    """Return whether the position in the sequence is known for every recording with a detection."""
    unknown = [recording.duration_s is None for recording in recordings]
    named = [bool(named_stretches(recording.stretches)) for recording in recordings]
    return True not in unknown or not any(named[unknown.index(True) + 1 :])


FORMATS = {"table": to_table, "jsonl": to_json_lines, "audacity": to_audacity}


def as_text(recordings: Sequence[LabelledRecording], format: str, *, top: int, band_hz: tuple[float, float]) -> str:
    """Return recordings in a format; `top` is for CSV, and only in a sequence of Raven's do the refused ones count."""
    if format == "raven":
        return to_raven(recordings, band_hz=band_hz)
    readable = [recording for recording in recordings if not recording.refused]
    return to_csv(readable, top=top) if format == "csv" else FORMATS[format](readable)


def write_text(path: Path, text: str) -> None:
    """Write a file, never a partial one; names that are not UTF-8 keep their bytes."""
    write_bytes(path, text.encode("utf-8", "surrogateescape"))
