"""Recordings that libsndfile decodes: WAV, FLAC, Ogg, MP3 and older formats."""

import contextlib
import re
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

import numpy as np
import soundfile

from auricle.data.containers import mp3_damage, mp3_declares_length, ogg_damage
from auricle.errors import RefusedError

SOUND_FORMATS = {  # and the suffixes of each
    "wav": (".wav", ".wave", ".rf64"), "flac": (".flac",), "ogg": (".ogg", ".opus", ".oga"), "mp3": (".mp3",),
    "aiff": (".aiff", ".aif", ".aifc"), "au": (".au", ".snd"), "caf": (".caf",), "w64": (".w64",),
    "voc": (".voc",), "nist": (".nist", ".sph"),
}  # fmt: skip

_UNKNOWN_BYTES = 0x7FFF_F000  # a writer into a pipe declares at least this much, for "until the end"
_CHUNK = re.compile(r"^ *(?:data|SSND|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)\)", re.MULTILINE)


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
    """Open a recording for libsndfile, whose errors become refusals, here and inside the block.

    Raises:
        RefusedError: libsndfile cannot read it.
    """
    try:
        with soundfile.SoundFile(path) as sound:
            yield SoundFile(file, sound)
    except soundfile.LibsndfileError as error:
        reason = error.error_string.strip().rstrip(".").removeprefix("Error : ")
        if not reason or reason.startswith(("Internal error", "File does not exist")):  # it does exist
            reason = "the file is damaged"
        raise RefusedError(f"{path}: cannot be decoded: {reason}") from error
    except (OSError, TypeError, UnicodeEncodeError) as error:  # TypeError: a .raw has no header
        raise RefusedError(f"{path}: cannot be read: {error}") from error
