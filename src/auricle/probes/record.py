"""The file with the probe of a finished cell, written here and read by the report, without torch."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auricle import files
from auricle.errors import RefusedError
from auricle.runs import Cell

FORMAT = 1  # of the file and of the measurement; increase it when either changes


@dataclass(frozen=True, eq=False)
class ProbeAnswers:
    """The answers of a network to N clips."""

    classes: np.ndarray  # index of the most probable class, int64, shape (N,)
    truth: np.ndarray  # probability of the true class, shape (N,)


@dataclass(frozen=True, eq=False)
class Blanked:
    """The answers of a network when parts of every clip are masked, one part at a time."""

    edges: np.ndarray  # where the P parts begin and end, in Hz or in seconds, shape (P + 1,)
    parts: tuple[ProbeAnswers, ...]


@dataclass(frozen=True, eq=False)
class AttentionReading:
    """Attention of `<cls>`: its row of the attention of L layers and H heads, means over windows unless stated.

    `moments` and `loudness` are None where tokens are not points in time.
    """

    num_tokens: int  # including `<cls>`
    own: np.ndarray  # attention of `<cls>` to itself, (L, H)
    spread: np.ndarray  # effective number of tokens: exponential of the entropy, 1..num_tokens, (L, H)
    overlap: np.ndarray  # share of attention that two heads of a layer give to the same tokens, (L, H, H); 1: identical
    moments: np.ndarray | None  # attention to S time steps of the window by class, sums of 1 over S, (L, H, K, S)
    loudness: np.ndarray | None  # correlation with loudness, mean over the windows of a clip, (N, L, H)


@dataclass(frozen=True, eq=False)
class Probe:
    """What a finished cell uses, measured on N of its test clips."""

    clips: tuple[str, ...]
    labels: np.ndarray  # index of the true class, int64, shape (N,)
    window_s: float
    plain: ProbeAnswers  # with unchanged clips and network
    changes: Mapping[str, ProbeAnswers]  # name of a change of sound or network to the answers
    bands: Blanked
    moments: Blanked
    loudness: np.ndarray  # share of a clip's energy in each interval, (N, P)
    reading: AttentionReading | None  # None where there is no encoder


def probe_key(cell: Cell, digest: str) -> str:
    """Return what a probe depends on, as a hash: the weights, the configuration, the recordings, this format.

    Raises:
        OSError: the cell has no weights.
    """
    parts = [str(FORMAT).encode(), cell.weights.read_bytes(), cell.config.read_bytes(), digest.encode()]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def write_probe(path: Path, probe: Probe, key: str) -> None:
    """Write a probe; never a partial file.

    Raises:
        MachineError: the disk refuses.
    """
    files.write_sealed(path, {"key": key, **asdict(probe, dict_factory=_plain)})


def read_probe(path: Path, key: str | None = None) -> Probe | None:
    """Read a probe; None where there is none, or it has another key than the one asked for.

    Raises:
        RefusedError: it is damaged.
    """
    if not path.exists():
        return None
    try:
        content = files.read_sealed(path)
        return _probe(content) if key in (None, content["key"]) else None
    except (RefusedError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        reason = str(error) if isinstance(error, RefusedError) else f"{path} is damaged"
        raise RefusedError(f"{reason}; run the study again to measure it again, or delete it") from error


def _plain(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the fields of a record with arrays as lists, numbers to five digits."""
    arrays = {name: value for name, value in fields if isinstance(value, np.ndarray)}
    digits = {name: 0 if array.dtype.kind == "i" else 5 for name, array in arrays.items()}
    return dict(fields) | {name: np.round(array, digits[name]).tolist() for name, array in arrays.items()}


def _probe(content: Any) -> Probe:
    labels = np.array(content["labels"], np.int64)
    reading = content["reading"]
    probe = Probe(
        clips=tuple(map(str, content["clips"])),
        labels=labels,
        window_s=float(content["window_s"]),
        plain=_answers(content["plain"], len(labels)),
        changes={str(name): _answers(part, len(labels)) for name, part in content["changes"].items()},
        bands=_blanked(content["bands"], len(labels)),
        moments=_blanked(content["moments"], len(labels)),
        loudness=np.array(content["loudness"], np.float64),
        reading=None if reading is None else _reading(reading),
    )
    if not len(labels) == len(probe.clips) == len(probe.loudness) or not len(labels):
        raise ValueError("clips, labels and loudness do not fit")
    return probe


def _answers(content: Any, num: int) -> ProbeAnswers:
    answers = ProbeAnswers(np.array(content["classes"], np.int64), np.array(content["truth"], np.float64))
    if answers.classes.shape != (num,) or answers.truth.shape != (num,):
        raise ValueError(f"{answers.classes.shape} answers for {num} clips")
    return answers


def _blanked(content: Any, num: int) -> Blanked:
    parts = tuple(_answers(part, num) for part in content["parts"])
    edges = np.array(content["edges"], np.float64)
    if edges.shape != (len(parts) + 1,):
        raise ValueError(f"{edges.shape} edges for {len(parts)} parts")
    return Blanked(edges, parts)


def _reading(content: Any) -> AttentionReading:
    arrays = {
        name: None if content[name] is None else np.array(content[name], np.float64)
        for name in ("own", "spread", "overlap", "moments", "loudness")
    }
    return AttentionReading(num_tokens=int(content["num_tokens"]), **arrays)  # type: ignore[arg-type]  # None where it may be
