"""FFmpeg by PyAV (the extra `media`): M4A, AAC, WMA, soundtracks of videos, and codecs that libsndfile lacks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from auricle.data.containers import Damage, ogg_damage
from auricle.data.spliced import spliced
from auricle.data.wav import read_wav
from auricle.errors import RefusedError
from auricle.extras import install_hint

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

# formats that store their length, instead of estimating it from the bitrate
_SURE_FORMATS = ("mov", "matroska", "avi", "aiff", "au", "caf", "w64")
_MISSING_S = 0.25  # tolerance, as encoders pad and containers round


class Media:
    """An open recording: its first audio stream in blocks, and its damage."""

    def __init__(self, file: BufferedReader, start: int, container: Any, frames: Iterator[AudioFrame]) -> None:
        stream = container.streams.audio[0]
        self._first = next(frames)
        self.rate_hz = int(self._first.sample_rate)
        self.channels = int(self._first.layout.nb_channels)
        self.num_frames: int | None = None  # declared or estimated by the container; None if unknown
        if stream.duration is not None and stream.time_base:
            self.num_frames = round(stream.duration * Fraction(stream.time_base) * self.rate_hz)
        elif container.duration is not None:  # in microseconds
            self.num_frames = container.duration * self.rate_hz // 1_000_000
        alone = len(container.streams) == 1  # otherwise the length may be that of the video
        self._form = container.format.name.split(",")[0]
        self._sure = (alone or stream.duration is not None) and self._form in _SURE_FORMATS
        self._file, self._start, self._frames = file, start, frames
        self._failure: str | None = None

    def blocks(self, num_samples: int) -> Iterator[np.ndarray]:
        """Yield decoded blocks, float32 (T, channels) of at least `num_samples` samples, except the last."""
        from av import AudioResampler

        resampler = AudioResampler("fltp", self._first.layout, self.rate_hz)
        waiting: list[np.ndarray] = []
        num_waiting = 0
        for frame in chain([self._first], self._decoded(), [None]):
            for part in resampler.resample(frame):
                waiting.append(part.to_ndarray())  # (channels, T)
                num_waiting += waiting[-1].size
            if num_waiting and (num_waiting >= num_samples or frame is None):
                yield np.ascontiguousarray(np.concatenate(waiting, axis=1).T)  # (T, channels)
                waiting, num_waiting = [], 0

    def _decoded(self) -> Iterator[AudioFrame]:
        """Yield frames until one cannot be decoded."""
        from av import FFmpegError

        try:
            yield from self._frames
        except FFmpegError as error:
            self._failure = _one_line(error)

    def damage(self, num_read: int) -> Damage | None:
        """Return the damage of a file of which `num_read` frames could be read, or None."""
        at_end = not self._file.read(1)
        if self._failure is not None:
            return Damage(f"cannot be decoded: cut off or damaged ({self._failure})", at_end)
        if self._sure and self.num_frames and num_read < self.num_frames - _MISSING_S * self.rate_hz:
            return Damage(f"cut off or damaged: {num_read} of {self.num_frames} frames could be decoded", at_end)
        if self._form == "wav":
            return wav.damage if (wav := read_wav(self._file, self._start)) else None
        return ogg_damage(self._file, self._start) if self._form == "ogg" else None


@contextlib.contextmanager
def open_media(path: Path, file: BufferedReader, demuxer: str, start: int, what: str) -> Iterator[Media]:
    """Open a recording at an offset with an FFmpeg demuxer, and turn its errors into a `RefusedError`.

    FFmpeg can read only the open file. A recording without an audio stream is refused, and any without PyAV; `what`
    says in the message what needs it.
    """
    try:
        import av
    except ImportError:
        raise RefusedError(f"{path}: {what} needs the extra media: {install_hint('media')}") from None
    source = spliced(file, [(start, file.seek(0, 2))])
    try:
        with av.open(source, "r", format=demuxer, metadata_errors="replace", io_open=_no_other) as container:
            if not container.streams.audio:
                raise RefusedError(f"{path}: contains no sound (no audio stream)")
            frames = container.decode(audio=0)
            first = next(frames, None)
            if first is None:
                raise RefusedError(f"{path}: contains no sound (nothing could be decoded)")
            yield Media(file, start, container, chain([first], frames))
    except (av.FFmpegError, ValueError, OverflowError) as error:
        raise RefusedError(f"{path}: cannot be decoded: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())


def _no_other(url: str, flags: int, options: dict[str, str]) -> Any:
    raise PermissionError(f"a recording refers to another file: {url!r}")
