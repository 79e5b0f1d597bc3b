"""A folder of class folders, made on the spot, and how its files are decoded."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from auricle.data.audio import load_waveform
from auricle.errors import RefusedError

RATE_HZ = 8_000


def write_sounds(folder: Path, num_classes: int = 2, num_takes: int = 5, duration_s: float = 0.5) -> Path:
    """Write tones, each class in its own octave and each take with its own pitch and noise."""
    rng = np.random.default_rng(0)
    time_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    for category, pitch_hz in zip(("cat", "dog", "hen", "owl")[:num_classes], (250, 500, 1_000, 2_000), strict=False):
        for take in range(num_takes):
            tone = 0.3 * np.sin(2 * np.pi * pitch_hz * rng.uniform(1.0, 1.3) * time_s)
            path = folder / category / f"{category} {take}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, tone + 0.01 * rng.standard_normal(len(tone)), RATE_HZ)
    return folder


def decode_here(monkeypatch: pytest.MonkeyPatch, all_but: Path | None = None) -> None:
    """Decode in this process, and refuse one file as without the package for its format."""

    def row(form: object, path: Path, **wanted: object) -> np.ndarray | RefusedError:
        return RefusedError("no decoder") if path == all_but else load_waveform(path, **wanted)

    monkeypatch.setattr("auricle.data.cache.in_processes", lambda decode, paths, workers: map(decode, paths))
    monkeypatch.setattr("auricle.data.cache._row", row)
