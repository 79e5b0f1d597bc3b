"""Bundles of tiny networks, exported once for all rooms and all processes that run tests."""

import fcntl
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parent))

import tiny_cells


@pytest.fixture(scope="session")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_cells.write_cell(tmp_path_factory.mktemp("study"), encoder=False)


@pytest.fixture(scope="session")
def transformer_cell(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_cells.write_cell(tmp_path_factory.mktemp("study"), encoder=True)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that the first process to ask for it makes, for all that run tests beside it."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            make(folder)
    return folder


def exported(cell: Path, to: Path) -> Path:
    """Export a cell after a comparison on a hundred sounds; the tests of the command line hear the thousand."""
    from auricle.bundle.export import export_cell

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("auricle.bundle.parity.NUM_SOUNDS", 100)
        return export_cell(cell, to).folder


@pytest.fixture(scope="session")
def bundle(cell: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "cnn", lambda folder: exported(cell, folder))


@pytest.fixture(scope="session")
def transformer_bundle(transformer_cell: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "transformer", lambda folder: exported(transformer_cell, folder))


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    """A bundle to damage."""
    import shutil

    return Path(shutil.copytree(bundle, tmp_path / "copy"))


@pytest.fixture
def recording(tmp_path: Path) -> Callable[..., Path]:
    def recording(name: str = "a.wav", *, seconds: float = 2.0, rate_hz: int = 4_000, channels: int = 1) -> Path:
        noise = np.random.default_rng(0).standard_normal((round(seconds * rate_hz), channels)) * 0.1
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, noise, rate_hz)
        return path

    return recording
