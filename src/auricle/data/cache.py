"""The recordings of a dataset, decoded once into a memory-mapped array; for large datasets, the frames of the models.

    waveforms up to 2.5 GB   float32, one entry of the cache
    more than that           only frames, float16, in blocks of 1,024 clips: an interrupted run resumes at its block

The key of an array is a hash of every byte of every file, in order, and of everything else that determines its rows;
so an edited, added or removed file never leads to stale data. Names, labels, folds and groups are not in the cache but
in the manifest.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile
import soxr

from auricle.data.audio import load_waveform, open_recording, refusal_reason
from auricle.data.decoders import MEDIA_FORMATS, media_version
from auricle.data.manifest import Clip, Manifest, require_enough
from auricle.data.processes import in_processes, in_threads
from auricle.data.rows import FileWaveforms, StoredRows
from auricle.data.store import (
    LIMIT_BYTES,
    CacheEntry,
    find_entry,
    prune_entries,
    require_room,
    rows_path,
    write_entry,
)
from auricle.errors import RefusedError, count
from auricle.text import visible

DECODING_VERSION = 2  # of decoding unusual files; the rows of ordinary files stay the same
FORMAT_VERSION = 1  # of the rows; raise it when decoding, downmixing or resampling changes
NUM_NAMED = 5  # refused files named in a message
LARGE_BYTES = 2.5e9  # of waveforms; above this, only frames are stored
BLOCK_CLIPS = 1024

Progress = Callable[[int, int], None]  # called with the numbers of clips done and of all clips


@dataclass(frozen=True)
class Recordings:
    """A dataset ready to train on.

    `manifest` contains the readable clips, and the others in `skipped`. `waveforms` is float32 (N, T), a read-only
    memory map with one row per clip. `digest` is a hash of content, labels, folds, groups, sample rate and length.
    """

    manifest: Manifest
    waveforms: Any
    sample_rate_hz: int
    digest: str


@dataclass(frozen=True)
class LargeRecordings(Recordings):
    """A dataset with stored `frames`, float16 (N, F, T) for each form; `waveforms` are decoded when needed."""

    waveforms: FileWaveforms
    frames: Mapping[Any, StoredRows]


class RowForm(Protocol):
    """Converts a waveform to what is stored, float16; must be picklable for other processes."""

    @property
    def key(self) -> str:
        """Everything that determines a row."""

    def row_shape(self, num_samples: int) -> tuple[int, ...]:
        """Return the shape of a row for this number of samples."""

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        """Return the row of a waveform, (T,)."""


def prepare(
    manifest: Manifest,
    *,
    sample_rate_hz: int,
    skip_bad: bool = False,
    on_progress: Progress | None = None,
    workers: int | None = None,
    forms: Collection[RowForm] = (),
) -> Recordings:
    """Decode, downmix, resample and set the length of every clip, or load the result from the cache.

    Recordings of unknown origin are decoded in separate processes, so that a file that crashes or hangs the decoder or
    exhausts memory is refused, and the others are decoded.

    `skip_bad` leaves refused files out and lists them, instead of refusing all. `on_progress` is called with (clips
    decoded, all clips) after each, but not if the cache has them. `workers`: None: all cores that this process may
    use. `forms`: what to store instead of waveforms, one after the other, if these take more than `LARGE_BYTES`.

    Raises:
        RefusedError: a file is refused and `skip_bad` is off, or too little is left.
        MachineError: the cache cannot be written.
    """
    num_samples = round(manifest.clip_s * sample_rate_hz)
    hashes = list(in_threads(_content_hash, manifest.clips, workers))
    content = _content(manifest, sample_rate_hz, hashes)
    versions = [str(DECODING_VERSION), soundfile.__libsndfile_version__, soxr.__version__]
    if any(clip.path.suffix.lower() in MEDIA_FORMATS for clip in manifest.clips):
        versions.append(media_version())
    load = partial(_load, sample_rate_hz, manifest.clip_s, manifest.untrusted, workers)
    if forms and keeps_frames(len(hashes), manifest.clip_s, sample_rate_hz):
        starts, frames = range(0, len(hashes), BLOCK_CLIPS), {}
        contents = [_content(manifest, sample_rate_hz, hashes[start : start + BLOCK_CLIPS]) for start in starts]
        for form in forms:
            keys = [_hash([each, *versions, form.key]) for each in contents]
            decode = partial(load, form=form, on_progress=on_progress)
            frames[form], refused = _store(keys, manifest.clips, form.row_shape(num_samples), decode)
        kept = _without(manifest, refused, skip_bad)
        waveforms = FileWaveforms(kept.clips, num_samples, load)
        return LargeRecordings(kept, waveforms, sample_rate_hz, _digest(manifest, content), frames)
    key = _hash([content, *versions])
    entry = find_entry(key)
    if entry is None or _may_be_read(entry, manifest.clips, load):
        rows = load(manifest.clips, on_progress=on_progress)
        entry = write_entry(key, rows, num_samples, most_rows=len(manifest.clips))
        prune_entries(LIMIT_BYTES)
    kept = _without(manifest, entry.refused, skip_bad)
    return Recordings(kept, entry.waveforms, sample_rate_hz, _digest(manifest, content))


def keeps_frames(num_clips: int, clip_s: float, sample_rate_hz: int) -> bool:
    """Return whether there are too many clips to store their waveforms, so that frames are stored."""
    return 4.0 * num_clips * round(clip_s * sample_rate_hz) > LARGE_BYTES


def _may_be_read(entry: CacheEntry, clips: Sequence[Clip], load: Callable[..., Iterator[np.ndarray | str]]) -> bool:
    """Return whether a clip that was refused when an entry was written is readable now."""
    return any(not isinstance(row, str) for row in load([clips[index] for index in entry.refused]))


def _store(
    keys: Sequence[str], clips: Sequence[Clip], row_shape: tuple[int, ...], load: Callable[..., Iterator[Any]]
) -> tuple[StoredRows, dict[int, str]]:
    """Decode the blocks of clips that are not in the cache; return the rows of all blocks, and the refusals."""
    blocks = [clips[start : start + BLOCK_CLIPS] for start in range(0, len(clips), BLOCK_CLIPS)]
    found: list[tuple[int, dict[int, str]] | None] = []  # rows and refusals of each, without its memory map
    for key, block in zip(keys, blocks, strict=True):
        entry = find_entry(key, "f2")
        is_there = entry is not None and not _may_be_read(entry, block, partial(load, on_progress=None))
        found.append((len(entry.waveforms), entry.refused) if entry and is_there else None)
    left = [number for number, known in enumerate(found) if known is None]
    missing = [clip for number in left for clip in blocks[number]]
    require_room(2 * len(missing) * prod(row_shape))
    rows = load(missing)
    for number in left:
        own = islice(rows, len(blocks[number]))
        entry = write_entry(keys[number], own, prod(row_shape), dtype="f2", most_rows=len(blocks[number]))
        found[number] = len(entry.waveforms), entry.refused
    known = [each for each in found if each is not None]
    if left:
        prune_entries(LIMIT_BYTES)
    ends = np.cumsum([num for num, _ in known]).tolist()
    paths = tuple(rows_path(key, "f2") for key in keys)
    refused = {n * BLOCK_CLIPS + index: why for n, (_, own) in enumerate(known) for index, why in own.items()}
    return StoredRows(paths, tuple(ends), row_shape, "<f2"), refused


def digest_of(manifest: Manifest, *, sample_rate_hz: int) -> str:
    """Return the digest of these recordings in `prepare`, without decoding them."""
    hashes = list(in_threads(_content_hash, manifest.clips))
    return _digest(manifest, _content(manifest, sample_rate_hz, hashes))


def _content(manifest: Manifest, sample_rate_hz: int, hashes: Sequence[str]) -> str:
    """Hash everything that determines the rows of files with these hashes."""
    return _hash([FORMAT_VERSION, sample_rate_hz, round(manifest.clip_s * sample_rate_hz), hashes])


def _digest(manifest: Manifest, content: str) -> str:
    table = [(clip.name, clip.category, clip.fold, clip.group) for clip in manifest.clips]
    return _hash([content, table])


def _without(manifest: Manifest, refused: dict[int, str], skip_bad: bool) -> Manifest:
    """Leave refused clips out, or refuse the dataset."""
    if not refused:
        return manifest
    bad = tuple((manifest.clips[index].name, reason) for index, reason in sorted(refused.items()))
    clips = tuple(clip for index, clip in enumerate(manifest.clips) if index not in refused)
    if not skip_bad or not clips:
        named = "; ".join(f"{visible(name)} ({reason})" for name, reason in bad[:NUM_NAMED])
        more = f"; and {len(bad) - NUM_NAMED} more" if len(bad) > NUM_NAMED else ""
        all_of_them = count(len(manifest.clips), "recording")
        remedy = "repair or delete them" + (", or leave them out with --skip-bad" if clips else "")
        raise RefusedError(f"{len(bad)} of {all_of_them} cannot be used: {named}{more}; {remedy}")
    kept = replace(manifest, clips=clips, skipped=(*manifest.skipped, *bad))
    try:
        require_enough(kept, len(set(manifest.folds.tolist())))
    except RefusedError as error:
        raise RefusedError(f"with {count(len(bad), 'recording')} left out, {error}") from None
    for what, before, after in (
        ("class", set(manifest.categories), set(kept.categories)),
        ("fold", set(manifest.folds.tolist()), set(kept.folds.tolist())),
    ):
        if lost := before - after:
            raise RefusedError(f"with {count(len(bad), 'recording')} left out, {what} {min(lost)} has no clips")
    return kept


def _load(
    sample_rate_hz: int,
    duration_s: float,
    isolated: bool,
    workers: int | None,
    clips: Sequence[Clip],
    *,
    form: RowForm | None = None,
    on_progress: Progress | None = None,
) -> Iterator[np.ndarray | str]:
    """Yield the row of each clip, or the reason of its refusal."""
    decode = partial(_row, form, sample_rate_hz=sample_rate_hz, duration_s=duration_s)
    paths = [clip.path for clip in clips]
    rows = (
        in_processes(decode, paths, workers=workers)
        if isolated
        else in_threads(partial(_or_refusal, decode), paths, workers)
    )
    for done, (clip, row) in enumerate(zip(clips, rows, strict=True), start=1):
        if on_progress:
            on_progress(done, len(clips))
        yield refusal_reason(clip.path, row) if isinstance(row, RefusedError) else row


def _row(form: RowForm | None, path: Path, **wanted: Any) -> np.ndarray:
    """Return the row of a recording: its waveform, or a form of it."""
    waveform = load_waveform(path, **wanted)
    return form(waveform) if form else waveform


def _or_refusal(decode: Callable[[Path], np.ndarray], path: Path) -> np.ndarray | RefusedError:
    try:
        return decode(path)
    except RefusedError as error:
        return error


def _content_hash(clip: Clip) -> str:
    """Hash every byte of a file, and its suffix, by which libsndfile recognises an MP3."""
    try:
        with open_recording(clip.path) as file:
            return clip.path.suffix.lower() + hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, RefusedError) as error:
        return refusal_reason(clip.path, error)


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
