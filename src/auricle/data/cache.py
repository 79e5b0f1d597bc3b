"""The recordings of a dataset, decoded once, as one memory-mapped array.

An array is found by a hash of every byte of every file, in order, and of all else that shapes its rows; so a file
that was edited, added or removed is never served stale. Names, labels, folds and groups are never taken from the
cache: they live in the manifest.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import soxr

from auricle.data.audio import load_waveform, open_recording, refusal_reason
from auricle.data.decoders import MEDIA_FORMATS, media_version
from auricle.data.manifest import Clip, Manifest, require_enough
from auricle.data.processes import in_processes, in_threads
from auricle.data.store import LIMIT_BYTES, find_entry, prune_entries, write_entry
from auricle.data.store import cache_folder as cache_folder
from auricle.errors import RefusedError
from auricle.text import visible

DECODING_VERSION = 2  # of what is heard of odd files; of those that were always heard whole the rows stay the same
FORMAT_VERSION = 1  # of the rows; raise it when decoding, mixing down or resampling changes
NUM_NAMED = 5  # refused files that a message spells out

Progress = Callable[[int, int], None]  # called with what is done, and all there is to do


@dataclass(frozen=True)
class Recordings:
    """A dataset ready to train on.

    `manifest` holds the clips that could be read, and the others in `skipped`. `waveforms` is float32 (N, T), a
    read-only memory map, one row a clip of it. `digest` names content, labels, folds, groups, rate and length.
    """

    manifest: Manifest
    waveforms: np.ndarray
    sample_rate_hz: int
    digest: str


def prepare(
    manifest: Manifest,
    *,
    sample_rate_hz: int,
    skip_bad: bool = False,
    on_progress: Progress | None = None,
    workers: int | None = None,
) -> Recordings:
    """Decode, mix down, resample and fix the length of every clip, or find that done before.

    Recordings of unknown origin are decoded in processes of their own, so that one that crashes the decoder, hangs it
    or eats memory is one that is refused.

    `skip_bad` leaves refused files out and lists them, instead of refusing all. `on_progress` is called with (clips
    decoded, all clips) after each, not at all where the cache has them. `workers`: None takes every core that this
    process may use.

    Raises:
        RefusedError: a file is refused and `skip_bad` is off, or too little is left.
        MachineError: the cache cannot be written.
    """
    num_samples = round(manifest.clip_s * sample_rate_hz)
    content = _content(manifest, sample_rate_hz, workers)
    versions = [str(DECODING_VERSION), soundfile.__libsndfile_version__, soxr.__version__]
    if any(clip.path.suffix.lower() in MEDIA_FORMATS for clip in manifest.clips):
        versions.append(media_version())
    key = _hash([content, *versions])

    load = partial(_load, sample_rate_hz, manifest.clip_s, manifest.untrusted, workers)
    entry = find_entry(key)
    if entry is None or any(
        not isinstance(row, str) for row in load([manifest.clips[place] for place in entry.refused])
    ):
        rows = load(manifest.clips, on_progress)
        entry = write_entry(key, rows, num_samples, most_rows=len(manifest.clips))
        prune_entries(LIMIT_BYTES)
    kept = _without(manifest, entry.refused, skip_bad)
    return Recordings(kept, entry.waveforms, sample_rate_hz, _digest(manifest, content))


def digest_of(manifest: Manifest, *, sample_rate_hz: int, workers: int | None = None) -> str:
    """Return the digest that `prepare` gives these recordings, without decoding them."""
    return _digest(manifest, _content(manifest, sample_rate_hz, workers))


def _content(manifest: Manifest, sample_rate_hz: int, workers: int | None) -> str:
    """Hash what shapes the rows."""
    hashes = list(in_threads(_content_hash, manifest.clips, workers))
    return _hash([FORMAT_VERSION, sample_rate_hz, round(manifest.clip_s * sample_rate_hz), hashes])


def _digest(manifest: Manifest, content: str) -> str:
    table = [(clip.name, clip.category, clip.fold, clip.group) for clip in manifest.clips]
    return _hash([content, table])


def _without(manifest: Manifest, refused: dict[int, str], skip_bad: bool) -> Manifest:
    """Leave out what was refused, or refuse it all."""
    if not refused:
        return manifest
    bad = tuple((manifest.clips[place].name, reason) for place, reason in sorted(refused.items()))
    clips = tuple(clip for place, clip in enumerate(manifest.clips) if place not in refused)
    if not skip_bad or not clips:
        named = "; ".join(f"{visible(name)} ({reason})" for name, reason in bad[:NUM_NAMED])
        more = f"; and {len(bad) - NUM_NAMED} more" if len(bad) > NUM_NAMED else ""
        remedy = "repair or delete them" + (", or --skip-bad leaves them out" if clips else "")
        raise RefusedError(f"{len(bad)} of {len(manifest.clips)} recordings are refused: {named}{more}; {remedy}")
    kept = replace(manifest, clips=clips, skipped=(*manifest.skipped, *bad))
    try:
        require_enough(kept, len(set(manifest.folds.tolist())))
    except RefusedError as error:
        raise RefusedError(f"with {len(bad)} recordings left out, {error}") from None
    for what, before, after in (
        ("class", set(manifest.categories), set(kept.categories)),
        ("fold", set(manifest.folds.tolist()), set(kept.folds.tolist())),
    ):
        if lost := before - after:
            raise RefusedError(f"with {len(bad)} recordings left out, nothing of {what} {min(lost)} is left")
    return kept


def _load(
    sample_rate_hz: int,
    duration_s: float,
    isolated: bool,
    workers: int | None,
    clips: Sequence[Clip],
    on_progress: Progress | None = None,
) -> Iterator[np.ndarray | str]:
    """Yield the row of each clip, or why it is refused."""
    decode = partial(load_waveform, sample_rate_hz=sample_rate_hz, duration_s=duration_s)
    paths = [clip.path for clip in clips]
    rows = (
        in_processes(decode, paths, workers=workers)
        if isolated
        else in_threads(partial(_or_refusal, decode), paths, workers)
    )
    for done, (clip, row) in enumerate(zip(clips, rows, strict=True), start=1):
        yield refusal_reason(clip.path, row) if isinstance(row, RefusedError) else row
        if on_progress:
            on_progress(done, len(clips))


def _or_refusal(decode: Callable[[Path], np.ndarray], path: Path) -> np.ndarray | RefusedError:
    try:
        return decode(path)
    except RefusedError as error:
        return error


def _content_hash(clip: Clip) -> str:
    """Hash a file, every byte; the suffix counts, because libsndfile knows an MP3 by it."""
    try:
        with open_recording(clip.path) as file:
            return clip.path.suffix.lower() + hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, RefusedError) as error:
        return refusal_reason(clip.path, error)


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
