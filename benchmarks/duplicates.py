"""Plant copies of recordings among them: exact, coded again, trimmed, louder or softer, and all of that at once."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from auricle.audit.audit import Audit
from auricle.data.audio import read_mono
from auricle.data.datasets import Survey
from auricle.data.manifest import Clip

CHANGES = ("exact", "coded again", "trimmed", "gain changed")
MAX_TRIM_S = 0.5
GAINS_DB = (-20.0, 6.0)
QUALITIES = (("mp3", 0.5), ("mp3", 0.9), ("ogg", 0.5), ("ogg", 0.9))  # the second: how hard it is compressed


def plant(survey: Survey, folder: Path, num: int, seed: int) -> tuple[Survey, list[tuple[str, int, int]]]:
    """Write copies of clips drawn from a dataset, and add them to it as sources of their own.

    Returns:
        The dataset with the copies; and for each copy how it was changed, its place and that of the original. Of the
        trimmed and of those with another gain every second one is coded again as well.
    """
    generator = np.random.default_rng(seed)
    clips = list(survey.manifest.clips)
    copies = []
    for number, place in enumerate(generator.choice(len(clips), num, replace=False).tolist()):
        change, original = CHANGES[number % len(CHANGES)], clips[place]
        sound, rate_hz = read_mono(original.path)
        content, suffix = _changed(sound, rate_hz, change, number // len(CHANGES) % 2 == 1, generator)
        path = folder / f"copy-{number:03}.{suffix}"
        path.write_bytes(content)
        copies.append((change, len(clips), place))
        clips.append(Clip(path, path.name, original.category, original.fold, path.name))
    return replace(survey, manifest=replace(survey.manifest, clips=tuple(clips))), copies


def _changed(
    sound: np.ndarray, rate_hz: int, change: str, coded: bool, generator: np.random.Generator
) -> tuple[bytes, str]:
    if change == "exact":
        return _bytes(sound, rate_hz, "wav", subtype="FLOAT"), "wav"
    if change == "trimmed":
        start, end = (generator.integers(0, int(MAX_TRIM_S * rate_hz), 2)).tolist()
        sound = sound[start : len(sound) - end]
    if change == "gain changed":
        sound = np.clip(sound * 10 ** (generator.uniform(*GAINS_DB) / 20), -1, 1)
    if change == "coded again" or coded:
        form, level = QUALITIES[generator.integers(len(QUALITIES))]
        return _bytes(sound, rate_hz, form, compression_level=level), form
    return _bytes(sound, rate_hz, "flac", subtype="PCM_16"), "flac"


def _bytes(sound: np.ndarray, rate_hz: int, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound, rate_hz, format=form.upper(), **options)
    return file.getvalue()


def found_of(audit: Audit, copies: list[tuple[str, int, int]]) -> dict[str, list[bool]]:
    """Return for each copy, by how it was changed, whether it was found with its original."""
    sets = [set(places) for places, _ in audit.copies.near] + [set(places) for places in audit.copies.exact]
    found: dict[str, list[bool]] = {change: [] for change in CHANGES}
    for change, copy, original in copies:
        found[change].append(any({copy, original} <= places for places in sets))
    return found
