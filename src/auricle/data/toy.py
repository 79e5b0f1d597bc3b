"""Ten classes of synthetic sounds, generated from a seed, so that everything runs without a download.

They are five pairs that differ only in temporal order, not in means or variances over time: four are a sound and its
reverse, one is knocks, evenly spaced or in pairs. Pitch, speed, level, onset, length and background noise vary. Two
clips share a *source*, the same pitch and speed recorded twice, like several clips cut from one recording in real
datasets: a source is a group.
"""

import contextlib
import csv
import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from auricle.data.folds import NUM_FOLDS
from auricle.data.store import cache_folder
from auricle.data.tables import ESC50_TABLE
from auricle.files import machine_errors, part_of, remove_leftovers

VERSION = 2  # raise it when the sounds change
SAMPLE_RATE_HZ = 16_000
CLIP_S = 2.0
SOURCES_PER_FOLD = 2  # per class
CLIPS_PER_SOURCE = 2

Synthesis = Callable[[np.ndarray, float, float, np.random.Generator], np.ndarray]


def _sine(times_s: np.ndarray, frequencies_hz: np.ndarray | float, harmonics: int) -> np.ndarray:
    """A tone with a frequency that may vary, and weaker harmonics."""
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
    """The phase of a cycle, 0..1."""
    return (times_s * per_s) % 1.0


def _swell(phase: np.ndarray) -> np.ndarray:
    """The envelope of a note in each cycle, with soft onset and end."""
    return np.sqrt(np.sin(np.pi * np.clip(phase, 0, 1)))


def _rising(t: np.ndarray, pitch_hz: float, speed: float, generator: np.random.Generator) -> np.ndarray:
    """Repeated glides up by an octave."""
    phase = _cycle(t, 1.2 + 1.3 * speed)
    return _sine(t, pitch_hz * 2 ** (phase - 0.5), 3) * _swell(phase)


def _cuckoo(t: np.ndarray, pitch_hz: float, speed: float, generator: np.random.Generator) -> np.ndarray:
    """Calls of two notes, the high one first, and a pause."""
    phase = _cycle(t, 1.1 + 0.6 * speed)
    second = phase >= 0.3
    return _sine(t, pitch_hz * np.where(second, 0.84, 1.19), 3) * _swell((phase - 0.3 * second) / 0.26)


def _opening(t: np.ndarray, pitch_hz: float, speed: float, generator: np.random.Generator) -> np.ndarray:
    """Repeated "wah": a buzz whose formant rises at a constant pitch."""
    phase = _cycle(t, 1.2 + 1.3 * speed)
    loudest = 6 * 4 ** (phase - 0.5)
    harmonics = (_sine(t, n * pitch_hz, 1) * np.exp(-((np.log2(n / loudest) / 0.5) ** 2)) for n in range(1, 20))
    return 0.5 * sum(harmonics, np.zeros(len(t))) * _swell(phase)


def _two_knocks(
    t: np.ndarray, pitch_hz: float, second: float, per_s: float, generator: np.random.Generator
) -> np.ndarray:
    """Two bursts of noise per cycle, the second at a given phase."""
    phase = _cycle(t, per_s)
    since_s = (phase - np.where(phase >= second, second, 0)) / per_s
    return 2 * _band_noise(len(t), pitch_hz, 4 * pitch_hz, generator) * np.exp(-since_s / 0.02)


def _gallop(t: np.ndarray, pitch_hz: float, speed: float, generator: np.random.Generator) -> np.ndarray:
    """Knocks in pairs, 0.15 s apart."""
    per_s = 1.3 + 0.6 * speed
    return _two_knocks(t, pitch_hz, 0.15 * per_s, per_s, generator)


def _knocks(t: np.ndarray, pitch_hz: float, speed: float, generator: np.random.Generator) -> np.ndarray:
    """As many knocks as in a gallop, evenly spaced."""
    return _two_knocks(t, pitch_hz, 0.5, 1.3 + 0.6 * speed, generator)


def _inhale(t: np.ndarray, pitch_hz: float, speed: float, generator: np.random.Generator) -> np.ndarray:
    """Breaths of noise with rising pitch."""
    phase = _cycle(t, 1.2 + 1.3 * speed)
    breath = _sine(t, pitch_hz * 2 ** (phase - 0.5), 1) * _swell(phase)
    return 2 * breath * _band_noise(len(t), 0, 0.15 * pitch_hz, generator)


def _reversed(synthesis: Synthesis) -> Synthesis:
    """The same sound, reversed."""
    return lambda t, pitch_hz, speed, generator: synthesis(t, pitch_hz, speed, generator)[::-1]


# The sound, and its middle pitch: sources are up to half an octave above or below.
CLASSES: dict[str, tuple[Synthesis, float]] = {
    "closing": (_reversed(_opening), 200),
    "cuckoo": (_cuckoo, 900),
    "exhale": (_reversed(_inhale), 1_800),
    "falling": (_reversed(_rising), 900),
    "gallop": (_gallop, 500),
    "inhale": (_inhale, 1_800),
    "knocks": (_knocks, 500),
    "opening": (_opening, 200),
    "peewit": (_reversed(_cuckoo), 900),
    "rising": (_rising, 900),
}


def make_clip(category: str, source: int, take: int) -> np.ndarray:
    """Make one clip: the pitch and speed of a source; the onset, length, level and background of a take.

    int16, the same on every machine: 2 s at 16 kHz.

    >>> make_clip("cuckoo", 3, 1).shape
    (32000,)
    """
    label = list(CLASSES).index(category)
    of_source = np.random.default_rng((VERSION, label, source))
    make, middle_hz = CLASSES[category]
    pitch_hz, speed = middle_hz * 2 ** of_source.uniform(-0.5, 0.5), of_source.random()
    of_take = np.random.default_rng((VERSION, label, source, take))
    num_samples = round(CLIP_S * SAMPLE_RATE_HZ)
    length_s = of_take.uniform(1.2, CLIP_S)
    start = int(of_take.uniform(0, CLIP_S - length_s) * SAMPLE_RATE_HZ)
    times_s = np.arange(int(length_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    ramp = np.minimum(1, np.minimum(times_s, times_s[::-1]) / 0.01)  # avoids clicks at the ends
    sound = np.zeros(num_samples)
    sound[start : start + len(times_s)] = ramp * make(times_s, pitch_hz, speed, of_take)
    background = _background(num_samples, of_take.uniform(0, 1), of_take)
    mixed = sound + background * 10 ** (of_take.uniform(-36, -10) / 20)
    level = 10 ** (of_take.uniform(-18, -1) / 20)
    return np.round(mixed / np.abs(mixed).max() * level * 32_767).astype(np.int16)


def toy_folder() -> Path:
    """Return the folder of the toy dataset, in ESC-50's layout, generated in the user's cache if missing."""
    folder = cache_folder() / f"toy-{VERSION}"
    with machine_errors(folder):
        if not (folder / ESC50_TABLE).is_file():
            remove_leftovers(folder.parent)
            beside = part_of(folder)
            try:
                write_toy(beside)
                with contextlib.suppress(OSError):  # another process was faster: its folder is the same
                    beside.rename(folder)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
    return folder


def write_toy(folder: Path) -> None:
    """Write the toy dataset into a new folder, in ESC-50's layout."""
    (folder / "audio").mkdir(parents=True)
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(("filename", "fold", "target", "category", "esc10", "src_file", "take"))
    for target, category in enumerate(CLASSES):
        for source in range(NUM_FOLDS * SOURCES_PER_FOLD):
            for take in range(CLIPS_PER_SOURCE):
                name = f"{category}-{source}-{'AB'[take]}.wav"
                fold = source % NUM_FOLDS + 1
                sound = io.BytesIO()  # libsndfile does not report a full disk
                soundfile.write(sound, make_clip(category, source, take), SAMPLE_RATE_HZ, format="WAV")
                (folder / "audio" / name).write_bytes(sound.getvalue())
                rows.writerow((name, fold, target, category, False, f"{category}-{source}", "AB"[take]))
    (folder / ESC50_TABLE.parent).mkdir()
    (folder / ESC50_TABLE).write_text(table.getvalue(), encoding="utf-8")
