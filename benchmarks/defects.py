"""Make recordings with every defect that the check must name: `python benchmarks/defects.py FOLDER`.

Good recordings are coloured noise in WAV, FLAC, Ogg and MP3, in class folders; bad ones stand among them, called after
their defect. Everything comes from a seed: the bytes that are cut, flipped and forged too.
"""

from __future__ import annotations

import argparse
import io
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 16_000
CLASSES = ("alarm", "bell", "brook", "door", "engine")
FORMATS = ("wav", "flac", "ogg", "mp3")
FIRST_BAD = 10_000  # number of the first source of which a bad recording is made
_SUBTYPES = {"opus": ("OGG", "OPUS"), "f32": ("WAV", "FLOAT")}

Sound = np.ndarray
Maker = Callable[[Sound, np.random.Generator], bytes]


def encoded(sound: Sound, form: str, rate_hz: int = RATE_HZ) -> bytes:
    """Return a sound as the bytes of a file."""
    file = io.BytesIO()
    form, subtype = _SUBTYPES.get(form, (form.upper(), None))
    soundfile.write(file, sound, rate_hz, format=form, subtype=subtype)
    return file.getvalue()


def cut(content: bytes, generator: np.random.Generator) -> bytes:
    """Return the first third or more, but never all."""
    return content[: int(len(content) * generator.uniform(0.35, 0.9))]


def flipped(content: bytes, generator: np.random.Generator) -> bytes:
    """Turn eight bits in the middle half."""
    changed = bytearray(content)
    for place in generator.integers(len(content) // 4, 3 * len(content) // 4, 8):
        changed[place] ^= 1 << int(generator.integers(8))
    return bytes(changed)


def hole(content: bytes, generator: np.random.Generator) -> bytes:
    """Overwrite a tenth with zeros."""
    start = int(len(content) * generator.uniform(0.3, 0.6))
    length = len(content) // 10
    return content[:start] + bytes(length) + content[start + length :]


def pages(content: bytes) -> list[bytes]:
    """Return the pages of an Ogg file."""
    return [b"OggS" + page for page in content.split(b"OggS")[1:]]


def patched(content: bytes, place: int, layout: str, value: int) -> bytes:
    """Write a number over the bytes at a place."""
    new = struct.pack(layout, value)
    return content[:place] + new + content[place + len(new) :]


def without_length_table(content: bytes) -> bytes:
    """Return an MP3 without its first frame, which tells its length."""
    return content[content.index(content[:2], 4) :]


@dataclass(frozen=True)
class Defect:
    """A suffix, the kinds of finding one of which must name it, and how it is made."""

    suffix: str
    kinds: tuple[str, ...]
    make: Maker


def _wav(place: int, layout: str, value: int) -> Maker:
    return lambda sound, generator: patched(encoded(sound, "wav"), place, layout, value)


def _coded(form: str, spoil: Callable[[bytes, np.random.Generator], bytes]) -> Maker:
    return lambda sound, generator: spoil(encoded(sound, form), generator)


def _sound(change: Callable[[Sound, np.random.Generator], Sound], form: str = "wav", rate_hz: int = RATE_HZ) -> Maker:
    return lambda sound, generator: encoded(change(sound, generator), form, rate_hz)


def _bytes(content: bytes) -> Maker:
    return lambda sound, generator: content


def _with_value(value: float) -> Maker:
    def change(sound: Sound, generator: np.random.Generator) -> Sound:
        changed = sound.copy()
        changed[generator.integers(len(sound), size=5)] = value
        return changed

    return _sound(change, "f32")


def _flac_length(sound: Sound, generator: np.random.Generator) -> bytes:
    content = encoded(sound, "flac")
    return patched(content, 22, ">I", int(len(sound) * generator.uniform(2, 9)))


def _silence(num_samples: int) -> Sound:
    return np.zeros(num_samples, np.float32)


def _peak(sound: Sound, peak: float) -> Sound:
    return sound * (peak / np.abs(sound).max())


UNREAL = ("forged-header", "undecodable", "not-audio", "no-sound")
DEFECTS: dict[str, Defect] = {
    "empty": Defect(".wav", ("empty",), _bytes(b"")),
    "text": Defect(".wav", ("not-audio",), _bytes(b"This is no sound.\n" * 40)),
    "web-page": Defect(".mp3", ("not-audio",), _bytes(b"<!DOCTYPE html><html>404</html>" * 20)),
    "picture": Defect(".ogg", ("not-audio",), lambda s, g: b"\xff\xd8\xff\xe0" + g.bytes(4_000)),
    "archive": Defect(".flac", ("not-audio",), lambda s, g: b"PK\x03\x04" + g.bytes(4_000)),
    "zeros": Defect(".wav", ("not-audio",), _bytes(bytes(8_000))),
    "random-bytes": Defect(".wav", ("not-audio",), lambda s, g: b"\x07" + g.bytes(6_000)),
    "lfs-pointer": Defect(".wav", ("not-audio",), _bytes(b"version https://git-lfs.github.com/spec/v1\n")),
    "wav-cut": Defect(".wav", ("truncated",), _coded("wav", cut)),
    "wav-header-only": Defect(".wav", ("truncated", "no-sound"), lambda s, g: encoded(s, "wav")[:44]),
    "wav-no-samples": Defect(".wav", ("no-sound",), _sound(lambda s, g: s[:0])),
    "wav-endless": Defect(".wav", ("truncated", "forged-header"), _wav(40, "<I", 0x7000_0000)),
    "wav-rate-0": Defect(".wav", UNREAL, _wav(24, "<I", 0)),
    "wav-rate-huge": Defect(".wav", UNREAL, _wav(24, "<I", 2**31 - 1)),
    "wav-rate-forged": Defect(".wav", ("odd-header",), _wav(24, "<I", 48_000)),
    "wav-no-channels": Defect(".wav", UNREAL, _wav(22, "<H", 0)),
    "wav-60000-channels": Defect(".wav", UNREAL, _wav(22, "<H", 60_000)),
    "wav-no-bits": Defect(".wav", UNREAL, _wav(34, "<H", 0)),
    "wav-bits-forged": Defect(".wav", UNREAL, _wav(34, "<H", 24)),
    "flac-cut": Defect(".flac", ("truncated", "damaged", "undecodable"), _coded("flac", cut)),
    "flac-flipped": Defect(".flac", ("damaged", "truncated", "undecodable"), _coded("flac", flipped)),
    "flac-length-forged": Defect(".flac", ("truncated", "damaged"), _flac_length),
    "ogg-cut": Defect(".ogg", ("truncated",), lambda s, g: cut(encoded(s, "ogg")[:-1], g)),
    "ogg-no-end": Defect(".ogg", ("truncated",), lambda s, g: b"".join(pages(encoded(s, "ogg"))[:-1])),
    "ogg-flipped": Defect(".ogg", ("damaged",), _coded("ogg", flipped)),
    "ogg-page-lost": Defect(
        ".ogg", ("damaged",), lambda s, g: b"".join(page for at, page in enumerate(pages(encoded(s, "ogg"))) if at != 2)
    ),
    "opus-cut": Defect(".opus", ("truncated",), lambda s, g: cut(encoded(s, "opus")[:-1], g)),
    "mp3-cut": Defect(".mp3", ("truncated",), _coded("mp3", cut)),
    "mp3-cut-without-table": Defect(".mp3", ("truncated",), lambda s, g: without_length_table(encoded(s, "mp3"))[:-37]),
    "mp3-flipped": Defect(".mp3", ("damaged", "truncated"), _coded("mp3", flipped)),
    "mp3-hole": Defect(".mp3", ("damaged", "truncated"), _coded("mp3", hole)),
    "aiff-cut": Defect(".aiff", ("truncated",), _coded("aiff", cut)),
    "au-cut": Defect(".au", ("truncated",), _coded("au", cut)),
    "nan": Defect(".wav", ("not-finite",), _with_value(np.nan)),
    "infinite": Defect(".wav", ("not-finite",), _with_value(-np.inf)),
    "huge-samples": Defect(".wav", ("over-limits",), _with_value(1e9)),
    "over-scale": Defect(".wav", ("over-scale",), _sound(lambda s, g: _peak(s, g.uniform(2, 50)), "f32")),
    "silent": Defect(".flac", ("silent",), _sound(lambda s, g: _silence(len(s)), "flac")),
    "nearly-silent": Defect(".wav", ("silent",), _sound(lambda s, g: g.integers(-2, 3, len(s)) / 2**15)),
    "padded-start": Defect(
        ".flac", ("padded",), _sound(lambda s, g: np.append(_silence(g.integers(8_000, 16_000)), s), "flac")
    ),
    "padded-end": Defect(".wav", ("padded",), _sound(lambda s, g: np.append(s, _silence(g.integers(8_000, 16_000))))),
    "clipped": Defect(".wav", ("clipped",), _sound(lambda s, g: np.clip(_peak(s, g.uniform(2, 6)), -1, 1))),
    "clipped-and-turned-down": Defect(
        ".flac", ("clipped",), _sound(lambda s, g: 0.4 * np.clip(_peak(s, g.uniform(2, 6)), -1, 1), "flac")
    ),
    "dc-offset": Defect(".wav", ("dc-offset",), _sound(lambda s, g: _peak(s, 0.5) + g.uniform(0.1, 0.4))),
    "strange-rate": Defect(".wav", ("odd-rate",), _sound(lambda s, g: s, rate_hz=13_370)),
    "other-rate": Defect(".flac", ("odd-rate",), _sound(lambda s, g: s, "flac", 44_100)),
    "one-channel": Defect(".wav", ("one-channel",), _sound(lambda s, g: np.stack([s, _silence(len(s))], axis=1))),
    "cancelling": Defect(".wav", ("cancelling",), _sound(lambda s, g: np.stack([s, -s], axis=1))),
    "too-short": Defect(".wav", ("too-short",), _sound(lambda s, g: s[8_000 : 8_000 + g.integers(200, 1_500)])),
    "too-long": Defect(".ogg", ("too-long",), _sound(lambda s, g: np.tile(s, 20), "ogg")),
    "flac-called-wav": Defect(".wav", ("wrong-suffix",), lambda s, g: encoded(s, "flac")),
    "ogg-called-mp3": Defect(".mp3", ("wrong-suffix", "undecodable"), lambda s, g: encoded(s, "ogg")),
}  # fmt: skip
LINKS = {"missing": ("missing",), "pipe": ("no-file",)}  # what is no file at all


def good_sound(number: int) -> tuple[str, Sound]:
    """Return the class and the samples of a good recording: noise through resonances, which swells and fades.

    No two of them are alike, which synthetic tones often are.
    """
    generator = np.random.default_rng((1, number))
    num_samples = int(generator.uniform(1.8, 2.2) * RATE_HZ)
    bins_hz = np.fft.rfftfreq(num_samples, 1 / RATE_HZ)
    centres_hz = generator.uniform(200, 6_000, 3)[:, None]
    shape = 0.02 + (1 / (1 + ((bins_hz - centres_hz) / generator.uniform(50, 800, (3, 1))) ** 2)).sum(axis=0)
    noise = np.fft.irfft(shape * np.fft.rfft(generator.normal(size=num_samples)), num_samples)
    knots = generator.uniform(0.05, 1, 12)
    swell = np.interp(np.arange(num_samples), np.linspace(0, num_samples, len(knots)), knots)
    return CLASSES[number % len(CLASSES)], _peak(noise * swell, generator.uniform(0.1, 0.9)).astype(np.float32)


def make_good(folder: Path, num: int) -> None:
    """Write good recordings into class folders."""
    for number in range(num):
        category, sound = good_sound(number)
        form = FORMATS[number // len(CLASSES) % len(FORMATS)]
        _write(folder / category / f"good-{number:05}.{form}", encoded(sound, form))


def make_bad(folder: Path, each: int, seed: int = 0) -> dict[str, tuple[str, ...]]:
    """Write bad recordings beside them.

    Returns:
        The name of each below the folder, and the kinds of finding one of which must name it.
    """
    expected = {}
    for at, (name, defect) in enumerate(DEFECTS.items()):
        for copy in range(each):
            generator = np.random.default_rng([seed, at, copy])
            category, sound = good_sound(FIRST_BAD + 100 * at + copy)
            path = folder / category / f"{name}-{copy:02}{defect.suffix}"
            _write(path, defect.make(sound, generator))
            expected[path.relative_to(folder).as_posix()] = defect.kinds
    for name, kinds in LINKS.items():
        for copy in range(each):
            path = folder / good_sound(copy)[0] / f"{name}-{copy:02}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to("nowhere.wav") if name == "missing" else os.mkfifo(path)
            expected[path.relative_to(folder).as_posix()] = kinds
    return expected


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--each", type=int, default=25)
    parser.add_argument("--good", type=int, default=1_000)
    asked = parser.parse_args()
    make_good(asked.folder, asked.good)
    print(f"{asked.good} good and {len(make_bad(asked.folder, asked.each))} bad recordings in {asked.folder}")


if __name__ == "__main__":
    main()
