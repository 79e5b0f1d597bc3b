"""Ten classes of synthetic sound, made on the spot from a seed, so that everything runs without a download.

A class is a way of changing in time and frequency within a register that overlaps with others'; pitch, speed, level,
onset, length and background noise vary. Two clips share a *source*, the same pitch and speed recorded
twice, as real datasets cut several clips from one recording: a source is a group.
"""

import contextlib
import csv
import io
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from auricle.data.folds import NUM_FOLDS
from auricle.data.store import cache_folder
from auricle.data.tables import ESC50_TABLE
from auricle.files import machine_errors

VERSION = 1  # of the sounds; raise it when they change
SAMPLE_RATE_HZ = 16_000
CLIP_S = 2.0
SOURCES_PER_FOLD = 2  # of a class
CLIPS_PER_SOURCE = 2

Synthesis = Callable[[np.ndarray, float, float, np.random.Generator], np.ndarray]


def _sine(times_s: np.ndarray, frequencies_hz: np.ndarray | float, harmonics: int) -> np.ndarray:
    """A tone of a frequency that may change, with a few weaker harmonics."""
    frequencies_hz = np.broadcast_to(frequencies_hz, times_s.shape)
    phases = 2 * np.pi * np.cumsum(frequencies_hz) / SAMPLE_RATE_HZ
    return sum((np.sin(n * phases) / n**2 for n in range(1, harmonics + 1)), np.zeros(len(times_s)))


def _band_noise(num_samples: int, low_hz: float, high_hz: float, generator: np.random.Generator) -> np.ndarray:
    """White noise between two frequencies, of root mean square 0.5."""
    spectrum = np.fft.rfft(generator.standard_normal(num_samples))
    frequencies_hz = np.fft.rfftfreq(num_samples, 1 / SAMPLE_RATE_HZ)
    noise = np.fft.irfft(spectrum * ((frequencies_hz >= low_hz) & (frequencies_hz < high_hz)), num_samples)
    return noise * 0.5 / np.sqrt(np.mean(noise**2))


def _background(num_samples: int, tilt: float, generator: np.random.Generator) -> np.ndarray:
    """Noise between white (tilt 0) and pink (tilt 0.5) and brown (tilt 1), of root mean square 0.5."""
    spectrum = np.fft.rfft(generator.standard_normal(num_samples))
    noise = np.fft.irfft(spectrum * np.maximum(np.arange(len(spectrum)), 100) ** -tilt, num_samples)
    return noise * 0.5 / np.sqrt(np.mean(noise**2))


def _cycle(times_s: np.ndarray, per_s: float) -> np.ndarray:
    """The place in a cycle, 0..1."""
    return (times_s * per_s) % 1.0


def _tone(t: np.ndarray, pitch_hz: float, speed: float, generator: np.random.Generator) -> np.ndarray:
    return _sine(t, pitch_hz, 1)


def _warble(t: np.ndarray, pitch_hz: float, speed: float, generator: np.random.Generator) -> np.ndarray:
    return _sine(t, pitch_hz * (1 + 0.12 * np.sin(2 * np.pi * (6 + 4 * speed) * t)), 2)


def _siren(t: np.ndarray, pitch_hz: float, speed: float, generator: np.random.Generator) -> np.ndarray:
    return _sine(t, pitch_hz * 2 ** (0.6 * np.sin(2 * np.pi * (0.8 + 0.7 * speed) * t)), 3)


def _chirp_up(t: np.ndarray, pitch_hz: float, speed: float, generator: np.random.Generator) -> np.ndarray:
    return _sine(t, pitch_hz * 2 ** (2 * _cycle(t, 1.5 + 2 * speed) - 1), 2)


def _chirp_down(t: np.ndarray, pitch_hz: float, speed: float, generator: np.random.Generator) -> np.ndarray:
    return _sine(t, pitch_hz * 2 ** (1 - 2 * _cycle(t, 1.5 + 2 * speed)), 4)


def _tremolo(t: np.ndarray, pitch_hz: float, speed: float, generator: np.random.Generator) -> np.ndarray:
    """A buzz of many harmonics that swells and fades several times a second."""
    return _sine(t, pitch_hz, 12) * (0.5 - 0.5 * np.cos(2 * np.pi * (5 + 5 * speed) * t))


def _chord(t: np.ndarray, pitch_hz: float, speed: float, generator: np.random.Generator) -> np.ndarray:
    """A struck chord of three notes that rings out, again and again."""
    notes = sum(_sine(t, pitch_hz * ratio, 5) for ratio in (1.0, 1.26, 1.5)) / 3
    return notes * np.exp(-4 * _cycle(t, 1 + 1.5 * speed))


def _clicks(t: np.ndarray, pitch_hz: float, speed: float, generator: np.random.Generator) -> np.ndarray:
    per_s = 4 + 6 * speed
    return 2 * _band_noise(len(t), pitch_hz, 7_500, generator) * np.exp(-_cycle(t, per_s) / per_s / 0.003)


def _puffs(t: np.ndarray, pitch_hz: float, speed: float, generator: np.random.Generator) -> np.ndarray:
    """Bursts of low noise, as long as the pauses between them."""
    return _band_noise(len(t), pitch_hz, 6 * pitch_hz, generator) * (_cycle(t, 1.5 + 2.5 * speed) < 0.5)


def _hiss(t: np.ndarray, pitch_hz: float, speed: float, generator: np.random.Generator) -> np.ndarray:
    return _band_noise(len(t), pitch_hz, pitch_hz * (1.5 + speed), generator)


# The sound, and the middle of its pitches: a source lies up to half an octave above or below.
CLASSES: dict[str, tuple[Synthesis, float]] = {
    "chirp_down": (_chirp_down, 700),
    "chirp_up": (_chirp_up, 1_400),
    "chord": (_chord, 300),
    "clicks": (_clicks, 700),
    "hiss": (_hiss, 3_000),
    "puffs": (_puffs, 250),
    "siren": (_siren, 800),
    "tone": (_tone, 1_000),
    "tremolo": (_tremolo, 400),
    "warble": (_warble, 2_200),
}


def make_clip(category: str, source: int, take: int) -> np.ndarray:
    """Make one clip: the pitch and speed of a source; the onset, length, level and background of a take.

    int16, the same on every machine: 2 s at 16 kHz.

    >>> make_clip("siren", 3, 1).shape
    (32000,)
    """
    place = list(CLASSES).index(category)
    of_source = np.random.default_rng((VERSION, place, source))
    make, middle_hz = CLASSES[category]
    pitch_hz, speed = middle_hz * 2 ** of_source.uniform(-0.5, 0.5), of_source.random()
    of_take = np.random.default_rng((VERSION, place, source, take))
    num_samples = round(CLIP_S * SAMPLE_RATE_HZ)
    length_s = of_take.uniform(1.2, CLIP_S)
    start = int(of_take.uniform(0, CLIP_S - length_s) * SAMPLE_RATE_HZ)
    times_s = np.arange(int(length_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    ramp = np.minimum(1, np.minimum(times_s, times_s[::-1]) / 0.01)  # no clicks at the ends
    sound = np.zeros(num_samples)
    sound[start : start + len(times_s)] = ramp * make(times_s, pitch_hz, speed, of_take)
    background = _background(num_samples, of_take.uniform(0, 1), of_take)
    mixed = sound + background * 10 ** (of_take.uniform(-36, -8) / 20)
    level = 10 ** (of_take.uniform(-18, -1) / 20)
    return np.round(mixed / np.abs(mixed).max() * level * 32_767).astype(np.int16)


def toy_folder() -> Path:
    """Return the folder of the toy set, in ESC-50's layout, made in the user's cache where it is not there."""
    folder = cache_folder() / f"toy-{VERSION}"
    with machine_errors(folder):
        if not (folder / ESC50_TABLE).is_file():
            beside = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.part")
            try:
                write_toy(beside)
                with contextlib.suppress(OSError):  # another process was first: its folder is the same
                    beside.rename(folder)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
    return folder


def write_toy(folder: Path) -> None:
    """Write the toy set into a folder that is not there yet, in ESC-50's layout."""
    (folder / "audio").mkdir(parents=True)
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(("filename", "fold", "target", "category", "esc10", "src_file", "take"))
    for target, category in enumerate(CLASSES):
        for source in range(NUM_FOLDS * SOURCES_PER_FOLD):
            for take in range(CLIPS_PER_SOURCE):
                name = f"{category}-{source}-{'AB'[take]}.wav"
                fold = source % NUM_FOLDS + 1
                sound = io.BytesIO()  # libsndfile has no error of its own for a full disk
                soundfile.write(sound, make_clip(category, source, take), SAMPLE_RATE_HZ, format="WAV")
                (folder / "audio" / name).write_bytes(sound.getvalue())
                rows.writerow((name, fold, target, category, False, f"{category}-{source}", "AB"[take]))
    (folder / ESC50_TABLE.parent).mkdir()
    (folder / ESC50_TABLE).write_text(table.getvalue(), encoding="utf-8")
