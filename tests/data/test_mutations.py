"""Changed files of four containers: refused by name, or heard as far as FFmpeg hears them; never a crash.

The oracle is FFmpeg (PyAV), which is told the container, and decodes packet by packet, passing over those that it
cannot decode: as long as it finds sound, so must we. `check` must refuse what training refuses, and nothing else.
Of an MP3 it is given what begins with the first frame, and a table of lengths is not counted: FFmpeg takes a table
behind a tag that it does not know, and one in the middle, for a frame of sound, and then counts what the encoder put
before and after the sound too.
"""

import io
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from auricle.audit.finding_types import FINDING_TYPES
from auricle.audit.recording import examine
from auricle.data.audio import read_mono
from auricle.errors import RefusedError

av = pytest.importorskip("av", reason="needs the extra media")
MISSING_S = 0.1
ID3 = b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)
APE = b"APETAGEX" + b"\xd0\x07\0\0\x20\0\0\0\0\0\0\0\0\0\0\xa0" + bytes(8)
APE_END = b"APETAGEX" + b"\xd0\x07\0\0\x20\0\0\0\0\0\0\0\0\0\0\x80" + bytes(8)
TAGS = (ID3, b"TAG" + bytes(125), APE + APE_END, b"LIST\x04\0\0\0INFO", bytes(512))
KINDS = {
    "wav": [("WAV", "PCM_16", 8_000, 1), ("WAV", "PCM_24", 16_000, 2), ("WAV", "FLOAT", 16_000, 1),
            ("WAVEX", "PCM_16", 11_025, 2), ("RF64", "PCM_16", 16_000, 1)],
    "flac": [("FLAC", "PCM_16", 8_000, 1), ("FLAC", "PCM_24", 16_000, 2), ("FLAC", "PCM_S8", 44_100, 1)],
    "ogg": [("OGG", "VORBIS", 8_000, 1), ("OGG", "VORBIS", 22_050, 2), ("OGG", "OPUS", 16_000, 1)],
    "mp3": [("MP3", "MPEG_LAYER_III", 8_000, 1), ("MP3", "MPEG_LAYER_III", 16_000, 2),
            ("MP3", "MPEG_LAYER_III", 44_100, 1)],
}  # fmt: skip
Mutation = Callable[[bytes, np.random.Generator, list[bytes]], bytes]


def sounds(form: str) -> list[bytes]:
    """Encode a second and a half, first soft, as each kind of a container; MP3 with and without a table of lengths."""
    made = []
    for number, (major, subtype, rate_hz, channels) in enumerate(KINDS[form]):
        noise = np.random.default_rng(number).normal(0, 0.1, (round(1.5 * rate_hz), channels))
        noise[: rate_hz // 2] /= 1_000
        file = io.BytesIO()
        options = {"bitrate_mode": ("VARIABLE", "CONSTANT")[number % 2]} if form == "mp3" else {}
        soundfile.write(file, noise, rate_hz, format=major, subtype=subtype, **options)
        made.append(file.getvalue())
    if form == "mp3":
        made += [content[content.index(content[:2], 4) :] for content in made]
    return made


def cut(content: bytes, generator: np.random.Generator, others: list[bytes]) -> bytes:
    return content[: generator.integers(1, len(content))]


def flip(content: bytes, generator: np.random.Generator, others: list[bytes]) -> bytes:
    changed = bytearray(content)
    for place in generator.integers(0, len(content), generator.integers(1, 9)):
        changed[place] ^= 1 << int(generator.integers(8))
    return bytes(changed)


def forge(content: bytes, generator: np.random.Generator, others: list[bytes]) -> bytes:
    """Write another number over one of the header."""
    size = int(generator.choice([1, 2, 4]))
    place = int(generator.integers(0, min(120, len(content) - size)))
    value = int(generator.choice([0, 1, 2**31 - 1, 2**32 - 1, generator.integers(2**32)])) % 256**size
    return content[:place] + value.to_bytes(size, "little") + content[place + size :]


def block(content: bytes, generator: np.random.Generator) -> tuple[int, int]:
    """Choose some bytes; mostly from one page, frame or chunk to another."""
    marks = {b"Og": b"OggS", b"RI": b"data", b"fL": content[content.find(b"\xff\xf8", 42) :][:2] or b"\xff\xf8"}
    mark = marks.get(content[:2], content[:2])
    places = [at for at in range(len(content)) if content.startswith(mark, at)]
    if len(places) < 3 or generator.random() < 0.3:
        places = generator.integers(0, len(content), 9).tolist()
    first, last = sorted(generator.choice(places, 2))
    return int(first), int(last)


def remove(content: bytes, generator: np.random.Generator, others: list[bytes]) -> bytes:
    first, last = block(content, generator)
    return content[:first] + content[last:] or b"\0"


def repeat(content: bytes, generator: np.random.Generator, others: list[bytes]) -> bytes:
    first, last = block(content, generator)
    return content[:last] + content[first:]


def join(content: bytes, generator: np.random.Generator, others: list[bytes]) -> bytes:
    return content + (b"", ID3)[generator.integers(2)] + others[generator.integers(len(others))]


def tag(content: bytes, generator: np.random.Generator, others: list[bytes]) -> bytes:
    place = (0, len(content), block(content, generator)[0])[generator.integers(3)]
    return content[:place] + TAGS[generator.integers(len(TAGS))] + content[place:]


MUTATIONS: tuple[Mutation, ...] = (cut, flip, forge, remove, repeat, join, tag)


def ffmpeg_s(path: Path, form: str) -> float:
    """Return how many seconds of sound FFmpeg finds, whatever it has to pass over."""
    heard_s = 0.0
    try:
        content = path.read_bytes()
        start = max(0, content.find(b"\xff")) if form == "mp3" else 0
        with av.open(io.BytesIO(content[start:]), format=form) as container:
            packets = container.demux(container.streams.audio)
            while (packet := next(packets, None)) is not None:
                is_table = form == "mp3" and any(mark in bytes(packet)[:64] for mark in (b"Xing", b"Info"))
                try:
                    frames = packet.decode()
                    heard_s += sum(frame.samples / frame.sample_rate for frame in frames) if not is_table else 0
                except av.FFmpegError:
                    continue
    except (av.FFmpegError, ValueError):
        pass
    return heard_s


def outcome(path: Path, form: str) -> str:
    """Return what is wrong with how a file is taken; empty where nothing is."""
    refused = ""
    heard_s = 0.0
    try:
        waveform, rate_hz = read_mono(path)
        heard_s = len(waveform) / rate_hz
    except RefusedError as error:
        refused = str(error)
        if "\n" in refused or not refused.startswith(f"{path}: "):
            return f"message {refused!r}"
    errors = [each.kind for each in examine(path).problems if FINDING_TYPES[each.kind].severity == "error"]
    if bool(errors) != bool(refused):
        return f"training says {refused!r}, the check says {errors}"
    if not refused and heard_s < (expected_s := ffmpeg_s(path, form)) - MISSING_S:
        return f"{heard_s:.3f} of {expected_s:.3f} s"
    return ""


@pytest.mark.parametrize("form", KINDS)
@pytest.mark.parametrize("num", [25, pytest.param(1_000, marks=pytest.mark.long)])
def test_a_changed_file_is_refused_or_heard_as_far_as_ffmpeg_hears_it(tmp_path: Path, form: str, num: int) -> None:
    whole = sounds(form)
    found = {}
    for number, mutation in zip(range(num), itertools.cycle(MUTATIONS), strict=False):
        generator = np.random.default_rng([number, len(form)])
        content = mutation(whole[generator.integers(len(whole))], generator, whole)
        path = tmp_path / f"{number}-{mutation.__name__}.{form}"
        path.write_bytes(content)
        if wrong := outcome(path, form):
            found[path.name] = wrong
        else:
            path.unlink()
    assert found == {}
