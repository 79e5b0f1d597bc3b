import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auricle.search.search import SearchResult, run_search
from auricle.search.space import SpaceConfig
from auricle.work.options import RunOptions

sys.path.insert(0, str(Path(__file__).parent))  # so that a worker finds fake_trials
sys.path.insert(0, str(Path(__file__).parents[1]))

import fake_trials

from made_sounds import write_sounds

PARAMETERS = {
    "training.learning_rate": {"low": 1e-4, "high": 1.0, "log": True},
    "training.batch_size": [16, 32, 64],
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own for every test."""
    monkeypatch.setattr("auricle.study.study.run_baselines", lambda *whatever: [])  # tests/study/test_baselines.py
    monkeypatch.setenv("AURICLE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Two classes of five tones each, one a fold."""
    return write_sounds(tmp_path / "sounds")


@pytest.fixture
def fakes():
    return fake_trials


@pytest.fixture
def space(sounds: Path) -> SpaceConfig:
    return SpaceConfig(
        name="small",
        data=str(sounds),
        models=("cnn",),
        trials=6,
        pruner="none",
        overrides={"training.epochs": 2},
        parameters=PARAMETERS,
    )


@pytest.fixture
def search(space: SpaceConfig, tmp_path: Path) -> Callable[..., SearchResult]:
    """Run the small search with one worker and a stand-in for the training, changed as told."""

    def search(fit: Any = fake_trials.quick, *, out: Path | None = None, **options: Any) -> SearchResult:
        changes = {name: options.pop(name) for name in list(options) if name in SpaceConfig.model_fields}
        storage, asked = options.pop("storage", None), RunOptions(**{"workers": 1, "device": "cpu"} | options)
        return run_search(space.model_copy(update=changes), out or tmp_path / "out", asked, storage=storage, fit=fit)

    return search
