"""The two decoders: libsndfile (WAV, FLAC, Ogg, MP3 and older formats), and FFmpeg by PyAV (the extra `media`).

FFmpeg reads M4A, AAC, WMA and the soundtracks of videos, and codecs in older formats that libsndfile lacks. The first
bytes of a file decide, or its suffix if they are not known.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

import numpy as np
import soundfile

from auricle.data.caf import Caf, read_caf
from auricle.data.containers import Damage, ogg_damage
from auricle.data.flac import Flac, read_flac
from auricle.data.lame import CHECKED_BYTES, mp3_contradiction
from auricle.data.media import Media, open_media
from auricle.data.mpeg import Mp3, has_own_bitrate, read_mp3
from auricle.data.native_messages import without_decoder_messages
from auricle.data.signatures import first_bytes, format_of, read_at
from auricle.data.spliced import Piece, spliced
from auricle.data.wav import Wav, read_wav, wav_contradiction
from auricle.errors import RefusedError
from auricle.extras import install_hint

SOUND_FORMATS = {  # format to suffixes
    "wav": (".wav", ".wave", ".rf64"), "flac": (".flac",), "ogg": (".ogg", ".opus", ".oga"), "mp3": (".mp3",),
    "aiff": (".aiff", ".aif", ".aifc"), "au": (".au", ".snd"), "caf": (".caf",), "w64": (".w64",),
    "voc": (".voc",), "nist": (".nist", ".sph"),
}  # fmt: skip

_UNKNOWN_BYTES = 0x7FFF_F000  # a program that writes to a pipe declares at least this size, for "until the end"
_CHUNK = re.compile(r"^ *(?:data|SSND|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)\)", re.MULTILINE)
# The demuxer is fixed, so that no file can select one that reads playlists, other files or the network.
MEDIA_FORMATS = (
    dict.fromkeys((".m4a", ".mp4", ".m4v", ".m4b", ".mov", ".3gp"), "mov")
    | dict.fromkeys((".mkv", ".mka", ".webm"), "matroska")
    | dict.fromkeys((".wma", ".wmv"), "asf")
    | {".aac": "aac", ".avi": "avi", ".mpg": "mpeg", ".mpeg": "mpeg", ".ts": "mpegts", ".flv": "flv", ".amr": "amr"}
)
# By the format of the first bytes: those only FFmpeg reads, and those it may read if libsndfile cannot.
_DEMUXERS = {"mp4": "mov", "adts": "aac"} | {
    name: name for name in ("matroska", "asf", "avi", "mpeg", "mpegts", "flv", "amr")
}
_OTHER_DEMUXERS = {"nist": "nistsphere"} | {name: name for name in ("wav", "aiff", "au", "caf", "w64", "voc", "ogg")}
_MOST_PADDING_FRAMES = 16  # of an MP3, added by its encoder before and after the sound: counted by 12 bits each
_DAMAGED = "the file is damaged"

SoundLayout = Wav | Flac | Mp3 | Caf


class _Forward(soundfile.SoundFile):
    """Not seekable: soundfile would seek after every block, which streams do not support."""

    def seekable(self) -> bool:
        return False


class SoundFile:
    """An open recording: its header, its sound in blocks, and its damage."""

    def __init__(
        self, file: BufferedReader, sound: soundfile.SoundFile, start: int, layout: SoundLayout | None
    ) -> None:
        self.rate_hz: int = sound.samplerate
        self.channels: int = sound.channels
        self.num_frames: int | None = layout.num_frames if isinstance(layout, Flac) else sound.frames  # of its header
        self._file = file
        self._sound = sound
        self._start = start  # offset in the file
        self._layout = layout
        self._failure: str | None = None

    def blocks(self, num_samples: int) -> Iterator[np.ndarray]:
        """Yield decoded blocks, float32 (T, channels) of about `num_samples` samples; the next one overwrites it."""
        checksum = self._layout.checksum if isinstance(self._layout, Flac) else None
        block = np.empty((num_samples // self.channels, self.channels), np.float32)
        # 16 bits become the same numbers in a third of the time if NumPy divides them
        coded = np.empty(block.shape, np.int16) if self._sound.subtype == "PCM_16" else block
        num_read = 0
        while self._failure is None:
            try:
                with _quietly(self._sound.format.lower()):
                    frames = self._sound.read(out=coded)
            except soundfile.LibsndfileError as error:
                self._failure = _reason(error)
                frames = coded[: max(0, self._sound.tell() - num_read)]  # those before the failure
            if not len(frames):
                return
            if coded is not block:
                frames = np.divide(frames, np.float32(2**15), out=block[: len(frames)])
            if checksum:
                checksum.add(frames)
            num_read += len(frames)
            yield frames

    def damage(self, num_read: int) -> Damage | None:
        """Return the damage of a file of which `num_read` frames could be read, or None.

        VOC, NIST and older formats are not checked. MP3 frames and WAV samples have no checksum against wrong bits.
        """
        layout, declared = self._layout, self._sound.frames
        if isinstance(layout, Flac):
            return layout.damage(self._file, num_read, self._failure)
        if damage := _container_damage(self._file, self._start, self._sound.format.lower(), layout):
            return damage
        if isinstance(layout, Mp3) and num_read < (layout.num_frames - _MOST_PADDING_FRAMES) * layout.frame_samples:
            return Damage(f"damaged: {num_read} samples of {layout.num_frames} MP3 frames could be decoded")
        is_guess = layout is None and self._sound.format == "MP3"  # free-format bitrate
        if self._failure is not None or (num_read < declared and not is_guess):
            return Damage(f"cut off or damaged: {num_read} of {declared} frames could be decoded")
        for there, found in [] if layout else _CHUNK.findall(self._sound.extra_info):
            if int(found) < int(there) < _UNKNOWN_BYTES:
                return Damage(f"cut off: only {found} of {there} bytes of sound", True)
        is_mp3 = isinstance(layout, Mp3)
        return mp3_contradiction(read_at(self._file, self._start, CHECKED_BYTES)) if is_mp3 else None


@contextlib.contextmanager
def open_decoder(path: Path, file: BufferedReader) -> Iterator[SoundFile | Media]:
    """Open a recording with the decoder for its first bytes; errors as in `open_sound` and `open_media`."""
    start, head = first_bytes(file)
    suffix = path.suffix.lower()
    form = format_of(head) or ("mp3" if suffix == ".mp3" else None)
    demuxer = _DEMUXERS.get(form) if form else MEDIA_FORMATS.get(suffix)
    what = suffix if suffix in MEDIA_FORMATS else f"it is {(demuxer or '').upper()}, which"
    with contextlib.ExitStack() as stack:
        sound: SoundFile | Media
        if demuxer:
            sound = stack.enter_context(open_media(path, file, demuxer, start, what))
        else:
            try:
                sound = stack.enter_context(open_sound(path, file, form, start))
            except RefusedError as refusal:
                other = _OTHER_DEMUXERS.get(form or "")
                if not other or "cannot be decoded" not in str(refusal) or _DAMAGED in str(refusal):
                    raise
                if not media_version():
                    raise RefusedError(f"{refusal}; the extra media may read it: {install_hint('media')}") from None
                try:
                    sound = stack.enter_context(open_media(path, file, other, start, what))
                except RefusedError:
                    raise refusal from None
        yield sound


@contextlib.contextmanager
def open_sound(path: Path, file: BufferedReader, form: str | None, start: int) -> Iterator[SoundFile]:
    """Open a recording with libsndfile, and turn its errors into a `RefusedError`, also inside the block."""
    try:
        layout, pieces = _layout(file, form, start)
    except ValueError as error:
        raise RefusedError(f"{path}: {error}") from None
    if isinstance(layout, Mp3) and not pieces:
        raise RefusedError(f"{path}: cannot be decoded: {_DAMAGED}, or not an MP3 (no two consecutive frames)")
    if isinstance(layout, Wav) and (contradiction := wav_contradiction(layout.format)) and contradiction[1]:
        raise RefusedError(f"{path}: {contradiction[0]}")
    try:
        with _quietly(form):
            sound = _Forward(spliced(file, pieces) if pieces else os.fsencode(path))
        with sound:
            yield SoundFile(file, sound, start, layout)
    except soundfile.LibsndfileError as error:
        damage = _container_damage(file, start, form, layout)
        raise RefusedError(f"{path}: {damage.reason if damage else f'cannot be decoded: {_reason(error)}'}") from error
    except (OSError, TypeError, UnicodeEncodeError) as error:  # TypeError: a .raw has no header
        raise RefusedError(f"{path}: cannot be read: {error}") from error


def _quietly(form: str | None) -> contextlib.AbstractContextManager[None]:
    """Suppress what the decoder of a format writes to standard error; only that of MP3 does."""
    return without_decoder_messages() if form == "mp3" else contextlib.nullcontext()


def _layout(file: BufferedReader, form: str | None, start: int) -> tuple[SoundLayout | None, tuple[Piece, ...] | None]:
    """Parse a container, and return the pieces that libsndfile should read, None if it can read the file as it is."""
    whole = ((start, file.seek(0, 2)),) if start else None
    if form == "wav":
        wav = read_wav(file, start)
        if wav and wav.is_mp3 and not wav.damage:
            mp3 = read_mp3(file, wav.start, wav.end)
            return mp3, mp3.pieces(file)
        return wav, (wav and wav.pieces) or whole
    if form == "flac":
        flac = read_flac(file, start)
        return flac, flac.pieces if flac else whole
    if form == "caf" and (caf := read_caf(file, start)):
        return caf, caf.pieces
    if form == "mp3":
        mp3 = read_mp3(file, start)
        if mp3.runs or not has_own_bitrate(read_at(file, start, 4)):
            return mp3, mp3.pieces(file)
    return None, whole


def _container_damage(file: BufferedReader, start: int, form: str | None, layout: SoundLayout | None) -> Damage | None:
    if isinstance(layout, Wav | Mp3 | Caf):
        return layout.damage
    return ogg_damage(file, start) if form == "ogg" else None


def _reason(error: soundfile.LibsndfileError) -> str:
    reason = error.error_string.strip().rstrip(".").removeprefix("Error : ")
    if not reason or reason.startswith(("Internal error", "File does not exist")):  # misleading: the file exists
        return _DAMAGED
    if reason.endswith("file is malformed"):
        return f"{_DAMAGED} or cut off"
    return str(reason)


def media_suffixes(demuxer: str) -> tuple[str, ...]:
    """Return the suffixes of the files that an FFmpeg demuxer reads."""
    return tuple(suffix for suffix, name in MEDIA_FORMATS.items() if name == demuxer)


def media_version() -> str:
    """Return the version of PyAV; empty if it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("av")
    except PackageNotFoundError:
        return ""
