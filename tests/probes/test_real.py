"""The probes room on real recordings: ESC-10, a tiny network of one epoch."""

import os
from pathlib import Path

import pytest
from tiny_presets import ENCODER, tiny

from auricle.config import StudyConfig
from auricle.findings.human_labels import read_human_labels
from auricle.findings.study import load_study
from auricle.probes.probe import probe_study
from auricle.runs import StudyFolder
from auricle.study.study import run_study
from auricle.work.options import RunOptions

pytestmark = [
    pytest.mark.real,
    pytest.mark.long,
    pytest.mark.skipif("AURICLE_DATA" not in os.environ, reason="AURICLE_DATA names no real recordings"),
]


def test_a_study_of_esc10_is_probed_and_set_against_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("auricle.study.study.divide", lambda *_: (1, 1))
    config = StudyConfig(
        name="real", data="esc10", models=("tiny",), protocols=("test-split",),
        presets={"tiny": tiny(encoder=ENCODER, training={"epochs": 1, "batch_size": 32, "views": 1})},
    )  # fmt: skip
    run_study(config, tmp_path / "study", RunOptions(workers=1, device="cpu"))
    assert probe_study(tmp_path / "study") == []
    study = load_study(tmp_path / "study")
    assert StudyFolder(tmp_path / "study").insight(study.cells[0].name).exists()
    people = read_human_labels(study, study.answers["test-split"])
    assert people is not None
    assert len(people.right) == 65
    assert people.right.mean() == pytest.approx(0.95, abs=0.02)
