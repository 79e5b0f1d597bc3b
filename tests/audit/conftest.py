import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from defects import good_sound


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own for every test."""
    monkeypatch.setenv("AURICLE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def noise() -> Callable[[int], np.ndarray]:
    """Coloured noise of about 2 s at 16 kHz, another for each number."""
    return lambda number: good_sound(number)[1]
