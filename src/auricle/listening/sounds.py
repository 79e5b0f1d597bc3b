"""A sound as a page can play it."""

from __future__ import annotations

import base64
import io

import numpy as np
import soundfile

from auricle.errors import RefusedError

PLAYED_HZ = 16_000
COMPRESSION = 0.5  # of MP3, 0 to 1: about 40 kbit/s for a mono sound


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
