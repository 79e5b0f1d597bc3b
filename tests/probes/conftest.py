"""A study of two tiny networks, trained in a second, and what it takes to probe it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from tiny_presets import ENCODER, tiny

from auricle.config import StudyConfig
from auricle.study.study import run_study
from auricle.work.options import RunOptions
from made_sounds import write_sounds


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study: a CNN and a transformer, each trained once on ten tones."""
    folder = tmp_path_factory.mktemp("probes")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AURICLE_CACHE", str(folder / "cache"))
        patched.setattr("auricle.study.study.divide", lambda *_: (1, 1))  # two threads are slower here
        config = StudyConfig(
            name="small",
            data=str(write_sounds(folder / "sounds", duration_s=1.0)),
            models=("tiny", "tiny-h2"),
            protocols=("test-split", "k-fold"),
            only={"tiny": ("test-split", "k-fold"), "tiny-h2": ("k-fold",)},
            presets={"tiny": tiny(), "tiny-h2": tiny(encoder=ENCODER)},
        )
        run_study(config, folder / "study", RunOptions(workers=1, device="cpu"))
    return folder
