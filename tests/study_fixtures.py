"""A small study, and who listens to it, for the rooms that run studies."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import fake_fits
from auricle.config import StudyConfig
from auricle.runs import CellName
from auricle.study.listener import Listener
from auricle.study.study import StudyResult, run_study
from auricle.tracking.tracking import choose_mode, mirrored
from auricle.work.options import RunOptions
from made_sounds import write_sounds


class Recorder(Listener):
    """Remembers what a study said."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Any]] = []

    def of(self, kind: str) -> list[Any]:
        return [what for said, what in self.said if said == kind]

    def note(self, text: str) -> None:
        self.said.append(("note", text))

    def planned(self, epochs: Mapping[CellName, int], num_done: int, num_workers: int) -> None:
        self.said.append(("planned", (len(epochs), num_done, num_workers)))

    def started(self, cell: CellName) -> None:
        self.said.append(("started", str(cell)))

    def epoch(self, cell: CellName, record: Mapping[str, Any]) -> None:
        self.said.append(("epoch", (str(cell), record["epoch"])))

    def done(self, cell: CellName) -> None:
        self.said.append(("done", str(cell)))

    def failed(self, cell: CellName, cause: str) -> None:
        self.said.append(("failed", (str(cell), cause)))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own for every test, and no word of W&B from the surroundings."""
    monkeypatch.setenv("AURICLE_CACHE", str(tmp_path / "cache"))
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_PROJECT", "WANDB_DIR", "WANDB_RUN_GROUP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.setattr("auricle.study.study.run_baselines", lambda *whatever: [])  # tests/study/test_baselines.py


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Two classes of five tones each."""
    return write_sounds(tmp_path / "sounds")


@pytest.fixture
def config(sounds: Path) -> StudyConfig:
    return StudyConfig(
        name="small",
        data=str(sounds),
        models=("cnn", "transformer-h2"),
        protocols=("test-split", "k-fold"),
        overrides={"training.epochs": 2},
    )


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def fakes():
    return fake_fits


@pytest.fixture
def run(
    config: StudyConfig, tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., StudyResult]:
    """Run the small study in this process and without W&B unless told otherwise, with stand-ins for what takes long."""

    def run(fit: Any = fake_fits.quick, *, out: Path | None = None, layers: Any = None, **options: Any) -> StudyResult:
        changes = {name: options.pop(name) for name in list(options) if name in StudyConfig.model_fields}
        beside = mirrored(choose_mode(options.pop("wandb_mode", "off")), recorder.note, options.pop("trackers", ()))
        folds, asked = options.pop("folds", None), RunOptions(**{"workers": 1, "device": "cpu"} | options)
        study, folder = config.model_copy(update=changes), out or tmp_path / "study"
        with monkeypatch.context() as patched:
            patched.setattr("auricle.model.describe.describe", layers or fake_fits.layers)
            return run_study(study, folder, asked, folds=folds, listener=recorder, beside=beside, fit=fit)

    return run
