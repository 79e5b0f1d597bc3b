"""The presets of the four reports: every one trains and is scored; the large ones in bounded memory."""

import json
from pathlib import Path

import numpy as np
import pytest

from auricle import runs
from auricle.config import load_preset, preset_names
from auricle.data.cache import Recordings
from auricle.data.folds import make_splits
from auricle.data.manifest import Clip, Manifest
from auricle.runs import CellName, StudyFolder
from auricle.scoring.predictions import read_predictions
from auricle.training.fit import fit_cell

REPORTS = [name for name in preset_names() if name.startswith("report-")]
HUGE = [name for name in REPORTS if name.startswith("report-d-transformer")]
RATE_HZ, CLIP_S = 16_000, 1.5


@pytest.fixture
def sounds() -> Recordings:
    """Two classes of six noises and tones of 1.5 s, two a fold, and more of the third fold, which trains."""
    rng = np.random.default_rng(0)
    clips = [Clip(Path(), f"{fold}-{kind}-{take}", f"class {kind}", fold, f"{fold}-{kind}-{take}")
             for fold in (1, 2, 3) for kind in range(2) for take in range(3 if fold == 3 else 1)]  # fmt: skip
    time_s = np.arange(round(RATE_HZ * CLIP_S)) / RATE_HZ
    waveforms = rng.standard_normal((len(clips), len(time_s))).astype(np.float32) * 0.1
    for waveform, clip in zip(waveforms, clips, strict=True):
        if clip.category == "class 1":
            waveform += np.sin(2 * np.pi * 440 * time_s).astype(np.float32)
    return Recordings(Manifest("sounds", tuple(clips), CLIP_S), waveforms, RATE_HZ, "digest")


def train(name: str, recordings: Recordings, folder: Path, **overrides: int) -> dict:
    preset = load_preset(name, {f"training.{field}": value for field, value in overrides.items()})
    cell = StudyFolder(folder).cell(CellName(name, "test-split", 2, 0))
    fit_cell(cell, preset, recordings, make_splits(recordings.manifest, "test-split")[0], device="cpu", threads=1)
    assert len(runs.read_history(cell)) == overrides["epochs"]
    num_windows = 1 if name.startswith(("report-a", "report-b")) else 2  # the whole clip; or 1 s every 0.5 s
    assert len(read_predictions(cell.predictions).clips) == 4 * num_windows
    return json.loads(cell.metrics.read_text())


@pytest.mark.parametrize("name", [name for name in REPORTS if name not in HUGE])
def test_every_report_trains_and_is_scored(name: str, sounds: Recordings, tmp_path: Path) -> None:
    metrics = train(name, sounds, tmp_path, epochs=2, batch_size=5)
    assert metrics["test"]["clip"]["num"] == 2


@pytest.mark.long
@pytest.mark.parametrize("name", HUGE)
def test_48_million_parameters_train_within_six_gigabytes(name: str, sounds: Recordings, tmp_path: Path) -> None:
    metrics = train(name, sounds, tmp_path, epochs=1)
    assert load_preset(name).training.batch_size == 32  # 6 clips x 9 views: a full batch
    assert metrics["parameters"] == 48_467_594 - 8 * (2000 + 1)  # two classes in place of ten
    assert metrics["peak_memory_mb"] < 6_000
