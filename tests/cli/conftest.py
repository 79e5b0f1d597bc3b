import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from auricle.cli import main

sys.path.insert(0, str(Path(__file__).parents[1]))

import fake_fits
from made_sounds import write_sounds


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder to stand in, a cache of its own, no W&B, and no training that is meant in earnest."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AURICLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("AURICLE_DATA", "AURICLE_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("auricle.study.study.run_baselines", lambda *whatever: [])  # tests/study/test_baselines.py
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def auricle(capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run a command in this process."""

    def auricle(*words: str) -> Answer:
        code = main(words)
        out, err = capfd.readouterr()
        return Answer(code, out, err)

    return auricle


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Two classes of five tones each."""
    return write_sounds(tmp_path / "sounds")


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a stand-in, by its name in fake_fits, in the place of the training."""

    def training(name: str) -> None:
        monkeypatch.setattr("auricle.training.fit.fit_cell", getattr(fake_fits, name))

    training("quick")  # first: what it imports must find the real `describe`
    monkeypatch.setattr("auricle.model.describe.describe", fake_fits.layers)
    return training


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a tiny CNN, for all tests that need one."""
    import tiny_cells
    from bundle_fixtures import exported, made_once

    def make(folder: Path) -> None:
        exported(tiny_cells.write_cell(tmp_path_factory.mktemp("study"), encoder=False), folder)

    return made_once(tmp_path_factory, "cnn", make)


@pytest.fixture
def bundle(served: Path, tmp_path: Path) -> str:
    """A copy of that bundle in the present folder, by its name."""
    shutil.copytree(served, tmp_path / "bundle")
    return "bundle"
