"""A study whose networks are untrained and wrong now and then, on recordings with names that mean harm."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parents[1]))

import fake_fits
from auricle import files
from auricle.config import StudyConfig
from auricle.report.evidence import Study, load_study
from auricle.scoring.predictions import Predictions, read_predictions, write_predictions
from auricle.study.study import run_study
from auricle.work.options import RunOptions

HOSTILE = ("<img src=x onerror=document.title='hacked'>", "=cmd|' calc'!A0", "dog")
RATE_HZ = 8_000
SMALL = {"training.epochs": 1, "audio.window_s": 0.5, "audio.window_hop_s": 0.25, "frontend.num_bands": 16}


def mistaken(cell, preset, recordings, split, *, device, threads, on_epoch):
    """Take the first half of the clips for the next class, and leave the weights of an untrained network."""
    from safetensors.torch import save

    from auricle.training.start import fresh_model, torch

    fake_fits.quick(cell, preset, recordings, split, device=device, threads=threads, on_epoch=on_epoch)
    right = read_predictions(cell.predictions)
    half = len(right.clips) // 2
    probabilities = right.probabilities.copy()
    probabilities[:half] = np.roll(probabilities[:half], 1, axis=1)
    columns = (right.clips, ("test",) * half + right.sets[half:], right.labels, right.starts_s)
    write_predictions(cell.predictions, Predictions(*columns, probabilities, right.categories))
    state = fresh_model(preset, len(right.categories), 0, torch.device("cpu")).state_dict()
    content = save({name: value.contiguous() for name, value in state.items()})
    files.write_atomically(cell.weights, lambda file: file.write(content))


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five tones of each of three classes, one second each."""
    folder = tmp_path_factory.mktemp("data") / "sounds"
    time_s = np.arange(RATE_HZ) / RATE_HZ
    for place, category in enumerate(HOSTILE):
        (folder / category).mkdir(parents=True)
        for take in range(5):
            tone = 0.3 * np.sin(2 * np.pi * 200 * (1 + place + take / 10) * time_s) * (time_s > 0.1 * take)
            soundfile.write(folder / category / f'{take}"><svg onload=alert(1)>.wav', tone, RATE_HZ)
    return folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, sounds: Path) -> Path:
    """The folder of the study."""
    config = StudyConfig(
        name="mishears", data=str(sounds), models=("cnn", "transformer-h2"), protocols=("k-fold",), overrides=SMALL
    )
    out = tmp_path_factory.mktemp("runs") / "mishears"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AURICLE_CACHE", str(tmp_path_factory.mktemp("cache")))
        run_study(config, out, RunOptions(workers=1), fit=mistaken)
    return out


@pytest.fixture(scope="session")
def study(folder: Path) -> Study:
    """The study, read."""
    return load_study(folder)
