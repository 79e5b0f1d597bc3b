"""The recordings of a study, found again, and a sound as a page can play it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile
import yaml

from auricle.data.cache import digest_of
from auricle.data.datasets import load_manifest
from auricle.errors import RefusedError
from auricle.report.evidence import Study
from auricle.runs import StudyFolder

PLAYED_HZ = 16_000
COMPRESSION = 0.5  # of MP3, 0 to 1: about 40 kbit/s for a mono sound


def find_recordings(study: Study, *, source: str | None = None, root: Path | None = None) -> Mapping[str, Path]:
    """Return the file of every clip of a study, having checked that they are those it was trained on.

    Args:
        study: as read from its folder.
        source: where a person's own recordings lie now; None: where they lay.
        root: where named datasets lie; None: as `load_manifest` says.

    Raises:
        UsageError: there is no such source.
        RefusedError: the recordings are not there, or are others.
    """
    manifest = load_manifest(source or study.dataset.source, root=root)
    description = yaml.safe_load(StudyFolder(study.folder).description.read_text(encoding="utf-8"))["dataset"]
    rate_hz = study.dataset.sample_rate_hz
    if digest_of(manifest, sample_rate_hz=rate_hz) not in {description["digest"], *description["digests"].values()}:
        raise RefusedError(f"{manifest.source}: other recordings than those of {study.folder}; name theirs with --data")
    return {clip.name: clip.path for clip in manifest.clips}


def playable(waveform: np.ndarray) -> str:
    """Return a waveform at `PLAYED_HZ`, shape (T,), as the address of an MP3 that stands in the page itself.

    Raises:
        RefusedError: this libsndfile writes no MP3; the one that soundfile brings along does.
    """
    file = io.BytesIO()
    try:
        soundfile.write(file, waveform, PLAYED_HZ, format="MP3", compression_level=COMPRESSION)
    except (soundfile.LibsndfileError, ValueError) as error:
        raise RefusedError(
            f"libsndfile {soundfile.__libsndfile_version__} writes no MP3; it takes 1.1 or later"
        ) from error
    return f"data:audio/mpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
