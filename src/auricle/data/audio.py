"""Read a file as a waveform, or refuse it with a reason.

libsndfile opens a WAV, an MP3 or an Ogg that was cut in half without an error, and a forged header can
declare terabytes. So nothing is allocated from a header: a file is read in blocks to its end, within limits; the length
is compared with the declared one, and the container is checked (`containers.py`).
"""

import contextlib
import math
import stat
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path

import numpy as np
import soxr

from auricle.data.decoders import MEDIA_FORMATS, SOUND_FORMATS, Media, SoundFile, open_decoder
from auricle.errors import RefusedError

MAX_DURATION_S = 3600
MAX_KEPT_BYTES = 2**30  # of one recording in memory, as mono; an hour at 48 kHz takes 691 MB
MAX_CHANNELS = 32
MAX_FILE_BYTES = 4 * 2**30
MAX_STREAM_S = 7 * 24 * 3600  # recordings read block by block may be long
MAX_STREAM_BYTES = 256 * 2**30
MIN_RATE_HZ, MAX_RATE_HZ = 1_000, 768_000
MAX_PEAK = 65_536.0  # unscaled 16-bit samples reach 32,768; their powers still fit float32
SUFFIXES = (*(suffix for suffixes in SOUND_FORMATS.values() for suffix in suffixes), *MEDIA_FORMATS)
SILENT_PEAK = 1e-4  # -80 dB of full scale: below this a recording is silent

_BLOCK_SAMPLES = 2**20
STREAM_SAMPLES = 2**17  # fits the CPU's cache
_MARGIN_S = 1.0  # read beyond the requested end, for the resampler's filter

OpenRecording = SoundFile | Media


def load_waveform(path: Path, *, sample_rate_hz: int, duration_s: float | None) -> np.ndarray:
    """Read a recording as mono at a rate (soxr, quality HQ), cut or zero-padded to a length; None keeps it.

    float32, finite, (T,), T = round(duration_s * sample_rate_hz) if a duration is given; channels are averaged, full
    scale is 1, and nothing is clipped or normalised.

    Raises:
        RefusedError: missing, empty, undecodable, cut off, not finite, or beyond the limits of this module.
    """
    mono, rate_hz = read_mono(path, limit_s=duration_s)
    waveform = at_rate(mono, rate_hz, sample_rate_hz=sample_rate_hz, duration_s=duration_s)
    if not len(waveform):
        raise RefusedError(f"{path}: shorter than one sample at {sample_rate_hz} Hz")
    return waveform


def at_rate(mono: np.ndarray, rate_hz: int, *, sample_rate_hz: int, duration_s: float | None) -> np.ndarray:
    """Return a waveform at another rate (soxr, quality HQ), cut or padded with zeros to a length; None keeps it.

    Args:
        mono: float32, shape (T,), not changed; sample rate `rate_hz`.
        rate_hz: that of `mono`.
        sample_rate_hz: that of the result.
        duration_s: length of the result in seconds, 0 or more.

    Returns:
        float32, (round(duration_s * sample_rate_hz),). Without a duration `mono` itself if the rates are equal, else as
        long as soxr makes it: no sample if `mono` is shorter than one sample of the result.

    >>> at_rate(np.ones(3, np.float32), 4, sample_rate_hz=4, duration_s=1.25)
    array([1., 1., 1., 0., 0.], dtype=float32)
    """
    if rate_hz != sample_rate_hz:
        mono = soxr.resample(mono, rate_hz, sample_rate_hz, quality="HQ")
    if duration_s is None:
        return mono
    waveform = np.zeros(round(duration_s * sample_rate_hz), np.float32)
    waveform[: len(mono)] = mono[: len(waveform)]
    return waveform


def read_mono(path: Path, *, limit_s: float | None = None) -> tuple[np.ndarray, int]:
    """Decode a recording to its end at its own rate, and return at most `limit_s` (plus a second) of it, and the rate.

    The mean of the channels, float32 (T,), T >= 1; errors as in `load_waveform`.
    """
    with _decoder(path) as sound:
        most = MAX_KEPT_BYTES // 4  # float32
        limit = most if limit_s is None else min(most, math.ceil((limit_s + _MARGIN_S) * sound.rate_hz))
        kept: list[np.ndarray] = []
        num_read = 0
        for frames in _blocks(path, sound, _BLOCK_SAMPLES, MAX_DURATION_S):
            if num_read < limit:
                kept.append(frames[: limit - num_read].mean(axis=1))
            num_read += len(frames)
            if limit == most < num_read:
                raise RefusedError(
                    f"{path}: needs more than {MAX_KEPT_BYTES / 2**30:g} GiB of memory at {sound.rate_hz} Hz; split it"
                )
        return np.concatenate(kept), sound.rate_hz


def stream_mono(path: Path, *, on_cut_off: Callable[[str], object] | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """Decode a recording of at most a week block by block, in bounded memory; a truncated one is detected at its end.

    Yields the rate, and the next samples: the mean of the channels, float32 (T,), T >= 1. Errors: `load_waveform`.
    If only the end is missing, `on_cut_off` is called with the reason instead of a refusal.
    """
    for rate_hz, frames in _stream(path, MAX_STREAM_BYTES, MAX_STREAM_S, STREAM_SAMPLES, on_cut_off):
        yield rate_hz, frames[:, 0].copy() if frames.shape[1] == 1 else frames.mean(axis=1)


def stream_channels(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Decode a recording block by block, all channels; a truncated one is detected at its end.

    Yields the rate, and the next samples: float32 (T, channels), T >= 1, a view that the next one may overwrite. Errors
    as in `load_waveform`; those of damage come after the blocks before it.
    """
    yield from _stream(path, MAX_FILE_BYTES, MAX_DURATION_S, _BLOCK_SAMPLES)


def _stream(
    path: Path,
    max_bytes: int,
    max_s: int,
    block_samples: int,
    on_cut_off: Callable[[str], object] | None = None,
) -> Iterator[tuple[int, np.ndarray]]:
    with _decoder(path, max_bytes=max_bytes, max_s=max_s) as sound:
        for frames in _blocks(path, sound, block_samples, max_s, on_cut_off):
            yield sound.rate_hz, frames


def header_duration_s(path: Path) -> float:
    """Return the duration in seconds that the header declares, without decoding; if it declares none, decode.

    Raises:
        RefusedError: missing, empty, not a recording, beyond the limits of this module, or damaged if it is decoded.
    """
    with _decoder(path) as sound:
        if sound.num_frames is not None:
            return sound.num_frames / sound.rate_hz
        return sum(map(len, _blocks(path, sound, _BLOCK_SAMPLES, MAX_DURATION_S))) / sound.rate_hz


def open_recording(path: Path, *, max_bytes: int = MAX_FILE_BYTES) -> BufferedReader:
    """Open a file to read its bytes; never a pipe, a device or a folder.

    A `RefusedError` if the file is missing, not a regular file, empty, too large or not readable.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise RefusedError(f"{path}: a folder, not a file")
        if not stat.S_ISREG(status.st_mode):
            raise RefusedError(f"{path}: a pipe or a device, not a file")
        if status.st_size == 0:
            raise RefusedError(f"{path}: empty (0 bytes)")
        if status.st_size > max_bytes:
            raise RefusedError(f"{path}: {status.st_size} bytes; the limit is {max_bytes}")
        return path.open("rb")
    except FileNotFoundError:
        raise RefusedError(f"{path}: no such file") from None
    except OSError as error:
        raise RefusedError(f"{path}: cannot be opened: {error.strerror}") from error
    except ValueError as error:  # a null byte in the name
        raise RefusedError(f"{path}: invalid file name: {error}") from error


@contextlib.contextmanager
def _decoder(path: Path, *, max_bytes: int = MAX_FILE_BYTES, max_s: int = MAX_DURATION_S) -> Iterator[OpenRecording]:
    """Open a recording with its decoder, and check its header."""
    with open_recording(path, max_bytes=max_bytes) as file, open_decoder(path, file) as sound:
        frames, rate_hz, channels = sound.num_frames, sound.rate_hz, sound.channels
        if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
            raise RefusedError(f"{path}: sample rate {rate_hz} Hz; supported are {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz")
        if not 1 <= channels <= MAX_CHANNELS:
            raise RefusedError(f"{path}: {channels} channels; the limit is {MAX_CHANNELS}")
        if frames is not None and frames <= 0:
            damage = sound.damage(0)
            raise RefusedError(f"{path}: {damage.reason if damage else 'contains no sound (0 frames)'}")
        if frames is not None and frames > max_s * rate_hz:
            raise RefusedError(
                f"{path}: its header declares {frames} frames, {frames // rate_hz} s; the limit is {_longest(max_s)}"
            )
        yield sound


def _longest(max_s: int) -> str:
    return "an hour" if max_s == MAX_DURATION_S else f"{max_s // 86_400} days"


def _blocks(
    path: Path,
    sound: OpenRecording,
    num_samples: int,
    max_s: int,
    on_cut_off: Callable[[str], object] | None = None,
) -> Iterator[np.ndarray]:
    """Yield decoded blocks, (T, channels), which the next may overwrite; refuse damaged or too long recordings."""
    num_read = 0
    for frames in sound.blocks(num_samples):
        peak = float(np.abs(frames).max())
        if not math.isfinite(peak):
            raise RefusedError(f"{path}: contains samples that are not finite")
        if peak > MAX_PEAK:
            raise RefusedError(f"{path}: samples reach {peak:.3g}; full scale is 1")
        num_read += len(frames)
        if num_read > max_s * sound.rate_hz:
            raise RefusedError(f"{path}: contains more sound than declared; the limit is {_longest(max_s)}")
        yield frames
    damage = sound.damage(num_read)
    if damage and not (damage.is_cut and on_cut_off and num_read):
        raise RefusedError(f"{path}: {damage.reason}")
    if not num_read:
        raise RefusedError(f"{path}: contains no sound (0 of {sound.num_frames} frames could be decoded)")
    if damage and on_cut_off:
        on_cut_off(damage.reason)


def refusal_reason(path: Path, error: Exception) -> str:
    """Return why a file was refused, without its path."""
    return str(error).removeprefix(f"{path}: ")
