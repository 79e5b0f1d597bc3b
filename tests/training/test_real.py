"""Both architectures on the real ESC-10, two epochs: they run, they are scored, they already know more than chance."""

import json
import os

import pytest

from auricle.config import load_preset
from auricle.data.cache import prepare
from auricle.data.datasets import load_manifest
from auricle.data.folds import make_splits
from auricle.runs import CellName, StudyFolder
from auricle.training.fit import fit_cell

pytestmark = [
    pytest.mark.long,
    pytest.mark.real,
    pytest.mark.skipif("AURICLE_DATA" not in os.environ, reason="AURICLE_DATA does not say where esc10 lies"),
]


@pytest.mark.parametrize(
    "name", ["cnn", *(pytest.param(f"transformer-h{n}", marks=pytest.mark.long) for n in (1, 2)), "transformer-h4"]
)
def test_two_epochs_on_esc10_beat_chance(tmp_path, name: str) -> None:
    recordings = prepare(load_manifest("esc10"), sample_rate_hz=16_000)
    split = make_splits(recordings.manifest, "k-fold")[0]
    cell = StudyFolder(tmp_path).cell(CellName(name, "k-fold", split.fold, 0))
    preset = load_preset(name, {"training.epochs": 2, "training.warmup_epochs": 0.5, "training.weight_average": 0})
    fit_cell(cell, preset, recordings, split, device="cpu", threads=1)
    metrics = json.loads(cell.metrics.read_text())
    assert (metrics["num_train"], metrics["num_validation"], metrics["num_test"]) == (240, 80, 80)
    assert metrics["test"]["clip"]["accuracy"] > 0.2
    assert all(scores["recall"] is not None for scores in metrics["test"]["clip"]["per_class"].values())
