"""Stretches as text: a table to read, CSV, JSON lines, Audacity labels, Raven selection tables."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from auricle.files import write_bytes
from auricle.predict.classifier import NONE_OF_THESE
from auricle.predict.clock import clock_text
from auricle.predict.stretches import Stretch, named_stretches

SUFFIXES = {"csv": ".csv", "jsonl": ".jsonl", "audacity": ".txt", "raven": ".selections.txt"}
RAVEN_COLUMNS = (
    "Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)",
    "Begin File", "File Offset (s)", "Label", "Score",
)  # fmt: skip


@dataclass(frozen=True)
class LabelledRecording:
    """What was heard in one file."""

    path: Path  # the file, as it was named
    duration_s: float
    stretches: tuple[Stretch, ...]
    began: datetime | None = None  # local if it has no time zone; None: not known


def to_table(recordings: Sequence[LabelledRecording], *, top: int = 1) -> str:
    """Return lines for a person: the time of day where it is known, the stretch, its class, the next ones."""
    lines = []
    for index, recording in enumerate(recordings):
        if len(recordings) > 1:
            lines += [*([""] if index else []), str(recording.path)]
        for stretch in recording.stretches:
            clock = _time_of_day(recording.began, stretch.start_s)
            span = f"{short_time(stretch.start_s):>8} – {short_time(stretch.end_s):>8}"
            others = "   ".join(f"{name} {value:.0%}" for name, value in stretch.top[1:])
            line = f"{clock + '  ' if clock else ''}{span}  {stretch.label:20} {stretch.probability:4.0%}  {others}"
            lines.append(line.rstrip())
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
    """Return one row a stretch; with `top` > 1 the next classes in columns of their own."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    more = [f"{column}_{rank}" for rank in range(2, top + 1) for column in ("label", "probability")]
    writer.writerow(("file", "start_s", "end_s", "start_time", "label", "probability", *more))
    for recording in recordings:
        for stretch in recording.stretches:
            rest = [cell for name, value in stretch.top[1:] for cell in (name, f"{value:.4f}")]
            span = (f"{stretch.start_s:.3f}", f"{stretch.end_s:.3f}", clock_text(recording.began, stretch.start_s))
            writer.writerow((str(recording.path), *span, stretch.label, f"{stretch.probability:.4f}", *rest))
    return text.getvalue()


def to_json_lines(recordings: Sequence[LabelledRecording], *, top: int = 1) -> str:
    """Return one object a stretch."""
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
            lines.append(json.dumps(record, ensure_ascii=False) + "\n")
    return "".join(lines)


def to_audacity(recordings: Sequence[LabelledRecording], *, top: int = 1) -> str:
    """Return a label track of one recording: start, end, label."""
    return "".join(
        f"{stretch.start_s:.6f}\t{stretch.end_s:.6f}\t{_one_line(stretch.label)}\n"
        for recording in recordings
        for stretch in named_stretches(recording.stretches)
    )


def to_raven(recordings: Sequence[LabelledRecording], *, top: int = 1) -> str:
    """Return a selection table; the recordings count as one sequence, in which begin times go on."""
    lines = ["\t".join(RAVEN_COLUMNS) + "\n"]
    before_s = 0.0
    for recording in recordings:
        for stretch in named_stretches(recording.stretches):
            begin, end = (f"{before_s + value:.6f}" for value in (stretch.start_s, stretch.end_s))
            cells = (
                str(len(lines)), "Spectrogram 1", "1", begin, end, "0.0", "0.0", _one_line(recording.path.name),
                f"{stretch.start_s:.6f}", _one_line(stretch.label), f"{stretch.probability:.4f}",
            )  # fmt: skip
            lines.append("\t".join(cells) + "\n")
        before_s += recording.duration_s
    return "".join(lines)


FORMATS = {"table": to_table, "csv": to_csv, "jsonl": to_json_lines, "audacity": to_audacity, "raven": to_raven}


def _one_line(text: str) -> str:
    """Keep a tab or an end of line from breaking a table."""
    return " ".join(text.split())


def write_recordings(path: Path, recordings: Sequence[LabelledRecording], format: str, *, top: int = 1) -> None:
    """Write a file in one of `FORMATS`, whole or not at all."""
    write_bytes(path, FORMATS[format](recordings, top=top).encode("utf-8", "surrogatepass"))  # of names not in UTF-8
