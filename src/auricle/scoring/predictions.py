"""The prediction table of a cell: one row per scored window.

    clip,set,label,start_s,weight,<one column per category>
    1-100032-A-0.wav,test,dog,0,1,0.9312,...

Tables of more than five million probabilities are NumPy arrays (predictions.npz, float32) instead of CSV.

A clip's probabilities are the mean over its windows, by weight (`model.windows`). Tables of earlier versions have no
column of weights; then all windows count the same.

Every score of a study is computed from these tables, and can be recomputed from them.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from auricle.errors import RefusedError
from auricle.files import write_atomically, write_bytes

SUM_TOLERANCE = 1e-3
MAX_WEIGHT = 1e6
LEADING_COLUMNS = ("clip", "set", "label", "start_s")
WEIGHT = "weight"
MOST_AS_TEXT = 5_000_000  # probabilities; text of more takes gigabytes to write and to read
BINARY = ".npz"


@dataclass(frozen=True, eq=False)
class ClipPredictions:
    """The predictions of a model for N clips, one row per clip."""

    clips: tuple[str, ...]  # names, each once
    labels: np.ndarray  # index of the true category, int64, shape (N,)
    probabilities: np.ndarray  # float64, shape (N, K)
    categories: tuple[str, ...]  # the K names, in the order of the columns

    @property
    def answers(self) -> np.ndarray:
        """Index of the most probable category of each clip, shape (N,)."""
        return self.probabilities.argmax(axis=1)

    def of_classes(self, categories: Collection[str]) -> ClipPredictions:
        """Return the clips of some classes, in the same order; possibly none."""
        rows = np.flatnonzero([self.categories[label] in categories for label in self.labels.tolist()])
        clips = tuple(self.clips[row] for row in rows)
        return ClipPredictions(clips, self.labels[rows], self.probabilities[rows], self.categories)


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predictions of a model for R windows: one row per window."""

    clips: tuple[str, ...]  # name of the clip that each window is cut from
    sets: tuple[str, ...]  # "validation" or "test", for each row
    labels: np.ndarray  # index of the true category, int64, shape (R,)
    starts_s: np.ndarray  # where the window starts in its clip, float64, shape (R,)
    probabilities: np.ndarray  # float64, shape (R, K)
    categories: tuple[str, ...]  # the K names, in the order of the columns
    weights: np.ndarray = None  # type: ignore[assignment]  # in the mean of its clip, (R,); not given: all alike

    def __post_init__(self) -> None:
        rows = len(self.clips)
        if self.weights is None:
            object.__setattr__(self, "weights", np.ones(rows))
        shapes = (*map(len, (self.sets, self.labels, self.starts_s, self.weights)), self.probabilities.shape)
        if shapes != (rows, rows, rows, rows, (rows, len(self.categories))):
            raise ValueError(f"{rows} clips and {len(self.categories)} categories do not fit columns of {shapes}")

    def of(self, set_name: str) -> Predictions:
        """Return the rows of one set, in the same order; possibly none."""
        rows = [row for row, name in enumerate(self.sets) if name == set_name]
        clips = tuple(self.clips[row] for row in rows)
        labels, starts_s, probabilities, weights = (
            array[rows] for array in (self.labels, self.starts_s, self.probabilities, self.weights)
        )
        return Predictions(clips, (set_name,) * len(rows), labels, starts_s, probabilities, self.categories, weights)

    def by_clip(self) -> ClipPredictions:
        """Average the window probabilities of each clip by weight; clips are in the order of their first window.

        >>> windows = Predictions(("a", "a"), ("test", "test"), np.array([1, 1]), np.array([0.0, 1.0]),
        ...                       np.array([[0.4, 0.6], [0.0, 1.0]]), ("cat", "dog"), np.array([1.0, 3.0]))
        >>> windows.by_clip().probabilities
        array([[0.1, 0.9]])
        """
        clips, clip_of_row = tuple(dict.fromkeys(self.clips)), numbered(self.clips)
        totals = np.zeros((len(clips), len(self.categories)))
        np.add.at(totals, clip_of_row, self.probabilities * self.weights[:, None])
        windows = np.bincount(clip_of_row, self.weights, minlength=len(clips))
        labels = np.zeros(len(clips), dtype=np.int64)
        labels[clip_of_row] = self.labels
        return ClipPredictions(clips, labels, totals / windows[:, None], self.categories)


def mean_of(tables: Sequence[Predictions]) -> Predictions:
    """Return the mean probabilities of several trainings for the same windows, as of an ensemble.

    Raises:
        ValueError: the tables have different windows.
    """
    first = tables[0]
    for table in tables[1:]:
        if (table.clips, table.sets, *table.starts_s) != (first.clips, first.sets, *first.starts_s):
            raise ValueError("the tables have different windows")
    return replace(first, probabilities=np.mean([table.probabilities for table in tables], axis=0))


def numbered(names: Sequence[Hashable]) -> np.ndarray:
    """Number names from 0 in the order of their first occurrence, int64, shape (N,).

    >>> numbered(["b", "a", "b"])
    array([0, 1, 0])
    """
    index_of: dict[Hashable, int] = {}
    return np.array([index_of.setdefault(name, len(index_of)) for name in names], dtype=np.int64)


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write a prediction table as CSV in UTF-8, with seven significant digits; never a partial file.

    A table of more than `MOST_AS_TEXT` is written beside that path, as `.npz`: `Cell.predictions` finds either.

    Raises:
        MachineError: the file cannot be written.
    """
    text_path, arrays_path = path.with_suffix(".csv"), path.with_suffix(BINARY)
    if predictions.probabilities.size > MOST_AS_TEXT:
        _write_arrays(arrays_path, predictions)
        text_path.unlink(missing_ok=True)
        return
    text = io.StringIO(newline="")
    writer = csv.writer(text)  # "\r\n" ends a line, so that a bare "\r" or "\n" in a name is quoted
    writer.writerow((*LEADING_COLUMNS, WEIGHT, *predictions.categories))
    names = [predictions.categories[label] for label in predictions.labels.tolist()]
    numbers = np.column_stack([predictions.starts_s, predictions.weights, predictions.probabilities]).tolist()
    for *leading, row in zip(predictions.clips, predictions.sets, names, numbers, strict=True):
        writer.writerow((*leading, *(f"{number:.7g}" for number in row)))
    write_bytes(text_path, text.getvalue().encode("utf-8", "surrogatepass"))  # file names need not be UTF-8
    arrays_path.unlink(missing_ok=True)


def read_predictions(path: Path) -> Predictions:
    """Read a table that `write_predictions` wrote.

    Raises:
        RefusedError: the file is missing or not such a table; the message gives the row.
    """
    if path.suffix == BINARY:
        return _read_arrays(path)
    try:
        text = path.read_bytes().decode("utf-8", "surrogatepass")
    except OSError as error:
        raise RefusedError(f"{path}: {error.strerror}; run the study again to recreate it") from error
    lines = csv.reader(io.StringIO(text, newline=""))
    header = next(lines, [])
    has_weights = header[len(LEADING_COLUMNS) :][:1] == [WEIGHT]
    categories = tuple(header[len(LEADING_COLUMNS) + has_weights :])
    if tuple(header[: len(LEADING_COLUMNS)]) != LEADING_COLUMNS or len(categories) < 2:
        raise RefusedError(f"{path}: the first line must be {','.join(LEADING_COLUMNS)} and the categories")
    rows = list(_rows(path, lines, categories, has_weights))
    clips, sets, labels, starts_s, weights, probabilities = zip(*rows, strict=True) if rows else ((),) * 6
    return Predictions(
        tuple(clips),
        tuple(sets),
        np.array(labels, dtype=np.int64),
        np.array(starts_s, dtype=np.float64),
        np.array(probabilities, dtype=np.float64).reshape(len(rows), len(categories)),
        categories,
        np.array(weights, dtype=np.float64),
    )


def _rows(path: Path, lines: Iterator[list[str]], categories: tuple[str, ...], has_weights: bool) -> Iterator[tuple]:
    """Yield clip, set, label, start, weight and probabilities of each line, or raise a RefusedError."""
    index_of = {category: index for index, category in enumerate(categories)}
    for number, line in enumerate(lines, start=2):
        try:
            clip, set_name, label, start_s, *numbers = line
            weight, *probabilities = map(float, numbers if has_weights else ["1", *numbers])
            if not 0 <= weight <= MAX_WEIGHT:
                raise ValueError(f"a weight must be between 0 and {MAX_WEIGHT:g}")
            if len(probabilities) != len(categories) or not np.isfinite(probabilities).all():
                raise ValueError(f"{len(categories)} finite probabilities are needed")
            if min(probabilities) < 0 or abs(sum(probabilities) - 1) > SUM_TOLERANCE:
                raise ValueError(f"its probabilities sum to {sum(probabilities):.6g}, not 1")
            yield clip, set_name, index_of[label], float(start_s), weight, probabilities
        except (ValueError, KeyError) as error:
            raise RefusedError(
                f"{path}: row {number} is not clip, set, label, start, weight and probabilities: {error}"
            ) from error


def _write_arrays(path: Path, predictions: Predictions) -> None:
    names, clips = tuple(dict.fromkeys(predictions.clips)), numbered(predictions.clips)
    arrays = {
        **{name: _as_bytes(texts) for name, texts in (("names", names), ("categories", predictions.categories))},
        "clips": clips.astype(np.int32),
        "tests": np.array([name == "test" for name in predictions.sets]),
        "labels": predictions.labels.astype(np.int32),
        "starts_s": predictions.starts_s,
        "weights": predictions.weights.astype(np.float32),
        "probabilities": predictions.probabilities.astype(np.float32),
    }
    write_atomically(path, lambda file: np.savez(file, allow_pickle=False, **arrays))


def _as_bytes(texts: Sequence[str]) -> np.ndarray:
    """Return texts as the UTF-8 of a JSON list; names of files need not be UTF-8."""
    return np.frombuffer(json.dumps(texts).encode(), np.uint8)


def _read_arrays(path: Path) -> Predictions:
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
        names, categories = (json.loads(found[name].tobytes()) for name in ("names", "categories"))
        probabilities = found["probabilities"].astype(np.float64)
        if not (np.abs(probabilities.sum(1) - 1) <= SUM_TOLERANCE).all() or probabilities.min() < 0:
            raise ValueError("probabilities do not sum to 1")
        return Predictions(
            tuple(names[clip] for clip in found["clips"].tolist()),
            tuple("test" if test else "validation" for test in found["tests"].tolist()),
            found["labels"].astype(np.int64),
            found["starts_s"],
            probabilities,
            tuple(categories),
            found["weights"].astype(np.float64),
        )
    except Exception as error:  # NumPy raises many kinds
        raise RefusedError(f"{path} is damaged or missing ({error}); run the study again to make it") from error
