import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from auricle.cli.results import print_results
from auricle.config import StudyConfig
from auricle.data.cache import Recordings, prepare
from auricle.data.datasets import load_manifest
from auricle.data.folds import make_splits
from auricle.findings.scores import comparative
from auricle.findings.study import load_study
from auricle.runs import CellName, StudyFolder, read_metrics
from auricle.scoring.predictions import read_predictions
from auricle.study import baselines
from auricle.study.baselines import BASELINES, mfcc_statistics, run_baselines
from auricle.study.study import run_study
from auricle.work.options import RunOptions
from made_sounds import write_sounds


@pytest.fixture
def recordings(sounds: Path) -> Recordings:
    return prepare(load_manifest(str(sounds)), sample_rate_hz=8_000)


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "NUM_TREES", 10)


@pytest.fixture
def study(tmp_path: Path, recordings: Recordings) -> StudyFolder:
    """A folder with the baselines of one split."""
    folder = StudyFolder(tmp_path / "study")
    assert run_baselines(folder, recordings, make_splits(recordings.manifest, "test-split")) == []
    return folder


def test_every_baseline_scores_the_clips_of_its_split(study: StudyFolder, recordings: Recordings) -> None:
    (split,) = make_splits(recordings.manifest, "test-split")
    assert [str(cell.name) for cell in study.baselines()] == [f"{name}/test-split-2-0" for name in sorted(BASELINES)]
    for cell in study.baselines():
        predictions = read_predictions(cell.predictions)
        for name, places in (("validation", split.validation), ("test", split.test)):
            scored = predictions.of(name).by_clip()
            assert scored.clips == tuple(recordings.manifest.clips[place].name for place in places)
            np.testing.assert_array_equal(scored.labels, recordings.manifest.labels[places])
            np.testing.assert_allclose(scored.probabilities.sum(axis=1), 1, atol=1e-5)
        assert json.loads(cell.metrics.read_text())["test"]["clip"]["num"] == len(split.test)


def test_the_majority_gives_one_answer_and_the_others_tell_tones_apart(study: StudyFolder) -> None:
    accuracy = {
        cell.name.model: json.loads(cell.metrics.read_text())["test"]["clip"]["accuracy"] for cell in study.baselines()
    }
    assert accuracy == {"majority": 0.5, "mfcc-logistic": 1.0, "mfcc-forest": 1.0}
    majority = study.baseline(CellName("majority", "test-split", 2, 0))
    assert len(set(read_predictions(majority.predictions).by_clip().answers.tolist())) == 1


def test_the_majority_is_of_the_classes_and_never_background(sounds: Path, tmp_path: Path) -> None:
    (sounds / "cat").rename(sounds / "background")
    write_sounds(sounds, num_classes=3)
    recordings = prepare(load_manifest(str(sounds)), sample_rate_hz=8_000)
    folder = StudyFolder(tmp_path / "study")
    run_baselines(folder, recordings, make_splits(recordings.manifest, "official")[:1])
    clips = read_predictions(folder.baseline(CellName("majority", "official", 1, 0)).predictions).by_clip()
    assert clips.categories[0] == "background"
    assert (clips.probabilities[:, 0] == 0).all()


def test_the_statistics_of_a_louder_clip_differ_in_the_level_alone(recordings: Recordings) -> None:
    every = np.arange(len(recordings.manifest.clips))
    quiet = mfcc_statistics(recordings, every)
    louder = mfcc_statistics(
        Recordings(recordings.manifest, 2 * np.asarray(recordings.waveforms), recordings.sample_rate_hz, ""), every
    )
    assert quiet.shape == (10, 60)
    level = (louder - quiet)[:, 0] / np.sqrt(40)  # the first coefficient: the sum over the bands, over the root of 40
    assert (level > 0.3).all()
    assert (level < 2 * np.log(2)).all()
    assert np.isfinite(quiet).all()


def test_what_is_there_is_not_made_again_and_what_is_missing_is(
    study: StudyFolder, recordings: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = make_splits(recordings.manifest, "test-split")
    before = {cell.name: cell.metrics.stat().st_mtime_ns for cell in study.baselines()}
    with monkeypatch.context() as patch:
        patch.setattr(baselines, "mfcc_statistics", None)
        assert run_baselines(study, recordings, splits) == []
    lost = study.baseline(CellName("mfcc-forest", "test-split", 2, 0))
    lost.metrics.unlink()
    assert run_baselines(study, recordings, splits) == []
    again = {cell.name: cell.metrics.stat().st_mtime_ns for cell in study.baselines()}
    assert {name for name in again if again[name] != before[name]} == {lost.name}


def test_a_baseline_that_fails_is_a_line_and_not_the_end(
    tmp_path: Path, recordings: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baselines, "NUM_TREES", -1)
    study = StudyFolder(tmp_path / "study")
    (note,) = run_baselines(study, recordings, make_splits(recordings.manifest, "test-split"))
    assert note.startswith("baseline mfcc-forest/test-split-2-0 failed: InvalidParameterError")
    assert note.endswith("the study continues without it")
    assert len([cell for cell in study.baselines() if cell.done]) == 2


def test_a_study_has_them_in_every_table_and_resumes_as_ever(
    config: StudyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fakes, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("auricle.study.study.run_baselines", run_baselines)
    monkeypatch.setattr("auricle.model.describe.describe", fakes.layers)
    options = RunOptions(workers=1, device="cpu")
    result = run_study(config, tmp_path / "out", options, fit=fakes.quick)
    study = StudyFolder(tmp_path / "out")
    assert len(study.baselines()) == 5 * len(BASELINES)
    assert len(study.cells()) == 10
    rows = list(csv.DictReader(study.results.open()))
    assert len(rows) == 25
    assert {row["model"] for row in rows[10:]} == set(BASELINES)
    table = comparative(study.folder)
    assert [row.model for row in table if row.protocol == "k-fold"][:2] == ["cnn", "transformer-h2"]
    assert [row.baseline for row in table].count(True) == 2 * len(BASELINES)
    assert len(load_study(study.folder).baselines_of("k-fold")["majority"]) == 4
    print_results(result)
    shown = capsys.readouterr().out
    assert "mfcc-logistic" in shown
    assert "k-fold: not better than the free baseline mfcc-" in shown
    again = run_study(config, tmp_path / "out", options, fit=fakes.never_called)
    assert again.num_ran == 0


def test_a_study_from_before_there_were_baselines_is_read_and_gets_them(
    config: StudyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fakes, make_bare: Callable[..., Path]
) -> None:
    out = make_bare(config, tmp_path / "out")
    assert load_study(out).baselines == ()
    assert not any(row.baseline for row in comparative(out))
    monkeypatch.setattr("auricle.study.study.run_baselines", run_baselines)
    run_study(config, out, RunOptions(workers=1, device="cpu"), fit=fakes.never_called)
    assert len(load_study(out).baselines) == 5 * len(BASELINES)


@pytest.fixture
def make_bare(monkeypatch: pytest.MonkeyPatch, fakes) -> Callable[..., Path]:
    """Run a study that leaves no baselines behind, as this room's conftest has it."""
    monkeypatch.setattr("auricle.model.describe.describe", fakes.layers)

    def make(config: StudyConfig, out: Path) -> Path:
        return run_study(config, out, RunOptions(workers=1, device="cpu"), fit=fakes.quick).folder

    return make


def test_of_many_clips_a_sample_of_every_class_and_fold_stands_for_them(
    study: StudyFolder, recordings: Recordings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(baselines, "MOST_CLIPS", 4)
    clips = [replace(clip, name=f"{clip.name} {take}") for take in range(3) for clip in recordings.manifest.clips]
    manifest = replace(recordings.manifest, clips=tuple(clips))
    recordings = replace(recordings, manifest=manifest, waveforms=np.tile(recordings.waveforms, (3, 1)))
    sample = baselines.sample_of(manifest)
    assert len(sample) < len(clips)
    assert {*zip(manifest.labels[sample], manifest.folds[sample], strict=True)} == {
        *zip(manifest.labels, manifest.folds, strict=True)
    }
    folder = StudyFolder(tmp_path / "sampled")
    notes = run_baselines(folder, recordings, make_splits(manifest, "test-split"))
    assert notes == [f"the free baselines learn and are scored on {len(sample)} of the {len(manifest.clips)} clips"]
    (cell,) = (cell for cell in folder.baselines() if cell.name.model == "majority")
    assert read_metrics(cell)["sampled"] is True
    names = {manifest.clips[index].name for index in sample}
    assert set(read_predictions(cell.predictions).clips) <= names


def test_a_sample_rate_too_low_for_the_bands_of_the_baselines_stops_no_study(tmp_path: Path, sounds: Path) -> None:
    slow = prepare(load_manifest(str(sounds)), sample_rate_hz=1_000)
    (note,) = run_baselines(StudyFolder(tmp_path / "slow"), slow, make_splits(slow.manifest, "test-split"))
    assert note.startswith("the free baselines failed: 11 of 40 mel bands are empty")
