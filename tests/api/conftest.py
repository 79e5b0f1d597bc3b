"""Surroundings of its own for each test, and a few sounds."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "search"))

from made_sounds import write_sounds


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder to stand in, a cache of its own, no W&B, and no free baselines."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AURICLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.delenv("AURICLE_DATA", raising=False)
    monkeypatch.setattr("auricle.study.study.run_baselines", lambda *whatever: [])  # tests/study/test_baselines.py


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Two classes of six tones each."""
    return write_sounds(tmp_path / "sounds", num_takes=6)
