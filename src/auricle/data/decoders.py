"""The two decoders: libsndfile (WAV, FLAC, Ogg, MP3 and older formats), and FFmpeg by PyAV (the extra `media`).

FFmpeg reads M4A, AAC, WMA and the soundtracks of videos.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from fractions import Fraction
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from auricle.data.containers import mp3_damage, mp3_declares_length, ogg_damage
from auricle.errors import RefusedError

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

SOUND_FORMATS = {  # and the suffixes of each
    "wav": (".wav", ".wave", ".rf64"), "flac": (".flac",), "ogg": (".ogg", ".opus", ".oga"), "mp3": (".mp3",),
    "aiff": (".aiff", ".aif", ".aifc"), "au": (".au", ".snd"), "caf": (".caf",), "w64": (".w64",),
    "voc": (".voc",), "nist": (".nist", ".sph"),
}  # fmt: skip

_UNKNOWN_BYTES = 0x7FFF_F000  # a writer into a pipe declares at least this much, for "until the end"
_CHUNK = re.compile(r"^ *(?:data|SSND|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)\)", re.MULTILINE)
# The demuxer is named, so that no file can ask for one that reads playlists, other files or the network.
MEDIA_FORMATS = (
    dict.fromkeys((".m4a", ".mp4", ".m4v", ".m4b", ".mov", ".3gp"), "mov")
    | dict.fromkeys((".mkv", ".mka", ".webm"), "matroska")
    | dict.fromkeys((".wma", ".wmv"), "asf")
    | {".aac": "aac", ".avi": "avi", ".mpg": "mpeg", ".mpeg": "mpeg", ".ts": "mpegts", ".flv": "flv", ".amr": "amr"}
)
_SURE_FORMATS = ("mov", "matroska", "avi")  # whose lengths are written down and not guessed from the bitrate
_MISSING_S = 0.25  # encoders pad, and containers round


class SoundFile:
    """An open recording: its header, its sound in blocks, and what is wrong with it."""

    def __init__(self, file: BufferedReader, sound: soundfile.SoundFile) -> None:
        self.rate_hz: int = sound.samplerate
        self.channels: int = sound.channels
        self.num_frames: int | None = sound.frames  # that the header declares
        self._file = file
        self._sound = sound

    def blocks(self, num_samples: int) -> Iterator[np.ndarray]:
        """Yield what is decoded, float32 (T, channels) of about so many samples, a view that the next overwrites."""
        block = np.empty((num_samples // self.channels, self.channels), np.float32)
        while len(frames := self._sound.read(out=block)):
            yield frames

    def damage(self, num_read: int) -> str | None:
        """Say what is wrong with a file of which so many frames could be read, or None.

        VOC, NIST and older formats are not checked. Inside an MP3 frame and inside a WAV nothing tells a wrong bit.
        """
        declared, sound = self._sound.frames, self._sound
        if num_read < declared and not (sound.format == "MP3" and not mp3_declares_length(self._file)):
            return f"cut off or damaged: {num_read} of {declared} frames could be decoded"
        for there, found in _CHUNK.findall(sound.extra_info):
            if int(found) < int(there) < _UNKNOWN_BYTES:
                return f"cut off: {found} of {there} bytes of sound are there"
        if sound.format == "OGG":
            return ogg_damage(self._file)
        return mp3_damage(self._file) if sound.format == "MP3" else None


@contextlib.contextmanager
def open_sound(path: Path, file: BufferedReader) -> Iterator[SoundFile]:
    """Open a recording for libsndfile, whose errors become a `RefusedError`, here and inside the block."""
    try:
        with soundfile.SoundFile(os.fsencode(path)) as sound:
            yield SoundFile(file, sound)
    except soundfile.LibsndfileError as error:
        reason = error.error_string.strip().rstrip(".").removeprefix("Error : ")
        if not reason or reason.startswith(("Internal error", "File does not exist")):  # it does exist
            reason = "the file is damaged"
        raise RefusedError(f"{path}: cannot be decoded: {reason}") from error
    except (OSError, TypeError, UnicodeEncodeError) as error:  # TypeError: a .raw has no header
        raise RefusedError(f"{path}: cannot be read: {error}") from error


def media_suffixes(demuxer: str) -> tuple[str, ...]:
    """Return the suffixes of the files that a demuxer of FFmpeg reads."""
    return tuple(suffix for suffix, name in MEDIA_FORMATS.items() if name == demuxer)


def media_version() -> str:
    """Return the version of PyAV; empty where it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("av")
    except PackageNotFoundError:
        return ""


class Media:
    """An open recording: its first soundtrack in blocks, and what is wrong with it."""

    def __init__(self, container: Any, frames: Iterator[AudioFrame], first: AudioFrame) -> None:
        stream = container.streams.audio[0]
        self.rate_hz = int(first.sample_rate)
        self.channels = int(first.layout.nb_channels)
        self.num_frames: int | None = None  # that the container declares, or guesses; None where it says nothing
        if stream.duration is not None and stream.time_base:
            self.num_frames = round(stream.duration * Fraction(stream.time_base) * self.rate_hz)
        elif container.duration is not None:  # in microseconds
            self.num_frames = container.duration * self.rate_hz // 1_000_000
        alone = len(container.streams) == 1  # else the length may be that of the picture
        self._sure = (alone or stream.duration is not None) and container.format.name.split(",")[0] in _SURE_FORMATS
        self._first, self._frames = first, frames

    def blocks(self, num_samples: int) -> Iterator[np.ndarray]:
        """Yield what is decoded, float32 (T, channels) of at least so many samples but for the last."""
        from av import AudioResampler

        resampler = AudioResampler("fltp", self._first.layout, self.rate_hz)
        waiting: list[np.ndarray] = []
        num_waiting = 0
        for frame in chain([self._first], self._frames, [None]):
            for part in resampler.resample(frame):
                waiting.append(part.to_ndarray())  # (channels, T)
                num_waiting += waiting[-1].size
            if num_waiting and (num_waiting >= num_samples or frame is None):
                yield np.ascontiguousarray(np.concatenate(waiting, axis=1).T)  # (T, channels)
                waiting, num_waiting = [], 0

    def damage(self, num_read: int) -> str | None:
        """Say that a file is cut off of which so many frames could be read, or None."""
        if self._sure and self.num_frames and num_read < self.num_frames - _MISSING_S * self.rate_hz:
            return f"cut off or damaged: {num_read} of {self.num_frames} frames could be decoded"
        return None


@contextlib.contextmanager
def open_media(path: Path, file: BufferedReader) -> Iterator[Media]:
    """Open a recording for FFmpeg, whose errors become a `RefusedError`, here and inside the block.

    FFmpeg gets nothing to read but the open file. Without PyAV or a soundtrack the recording is refused too.
    """
    suffix = path.suffix.lower()
    try:
        import av
    except ImportError:
        raise RefusedError(f"{path}: {suffix} needs the extra media: pip install 'auricle[media]'") from None
    try:
        with av.open(
            file, "r", format=MEDIA_FORMATS[suffix], metadata_errors="replace", io_open=_no_other
        ) as container:
            if not container.streams.audio:
                raise RefusedError(f"{path}: holds no sound (no soundtrack)")
            frames = container.decode(audio=0)
            first = next(frames, None)
            if first is None:
                raise RefusedError(f"{path}: holds no sound (nothing could be decoded)")
            yield Media(container, frames, first)
    except (av.FFmpegError, ValueError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RefusedError(f"{path}: cannot be decoded: {' '.join(str(reason).split())}") from error


def _no_other(url: str, flags: int, options: dict[str, str]) -> Any:
    raise PermissionError(f"a recording asks for another file: {url!r}")
