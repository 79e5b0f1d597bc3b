"""A bundle of a model with background says none of these where that wins, and its card says false alarms an hour."""

import numpy as np
import pytest

import tiny_cells
from auricle.bundle.export import export_cell
from auricle.predict.classifier import NONE_OF_THESE, Classifier
from auricle.predict.formats import LabelledRecording, to_json_lines
from auricle.predict.stream import WindowProbabilities
from auricle.predict.stretches import Pooling
from auricle.runs import StudyFolder
from auricle.runs.record import write_description

CATEGORIES = ("background", "click", "tone")


@pytest.fixture(scope="module")
def quiet_bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_cells, "CATEGORIES", CATEGORIES)
        patch.setattr("auricle.bundle.export.check_parity", lambda *whatever: None)  # tests/bundle/test_export.py
        cell = tiny_cells.write_cell(folder, encoder=False)
        dataset = {"source": "mine", "clip_s": 3.6, "digests": {}}
        study = {"name": "mine", "data": "mine", "models": ["tiny"]}
        write_description(StudyFolder(folder), {"study": study, "models": {}, "dataset": dataset})
        return export_cell(cell, tmp_path_factory.mktemp("bundles") / "cnn")


def test_the_card_has_false_alarms_an_hour_and_no_row_of_background(quiet_bundle):
    scores, clips = quiet_bundle.description.scores, tiny_cells.made_predictions().of("test").by_clip()
    false, right = (clips.answers != clips.labels)[clips.labels == 0], (clips.answers == clips.labels)[clips.labels > 0]
    assert scores.accuracy == pytest.approx(right.mean())
    assert scores.false_alarms.an_hour == pytest.approx(1000 * false.mean())
    assert (scores.false_alarms.num_clips, scores.false_alarms.hours) == (len(false), pytest.approx(len(false) / 1000))
    assert [*scores.recall] == ["click", "tone"]
    card = (quiet_bundle.folder / "README.md").read_text()
    assert "It recognises 2 classes, and background: click, tone." in card
    assert f"False alarms on background: {scores.false_alarms.an_hour:.1f} per hour (95 % interval " in card
    assert "| background |" not in card


def test_background_that_wins_is_none_of_these(quiet_bundle, monkeypatch):
    classifier = Classifier(quiet_bundle)
    for row, label, is_none in (([0.98, 0.01, 0.01], "background", True), ([0.01, 0.98, 0.01], "click", False)):
        monkeypatch.setattr(classifier.model, "probabilities", lambda windows, row=row: np.array([row] * len(windows)))
        prediction = classifier.predict(np.zeros(4_000, np.float32), 4_000)
        assert (prediction.label, prediction.none_of_these) == (label, is_none)


def test_a_stretch_of_background_is_none_of_these_whatever_the_threshold(tmp_path):
    windows = WindowProbabilities(2.0, np.array([0.0, 1.0]), np.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1]]))
    stretches = Pooling(CATEGORIES, (0.0, 0.0, 0.0), window_s=1.0, hop_s=1.0).stretches(windows)
    assert [stretch.label for stretch in stretches] == [NONE_OF_THESE, "click"]
    lines = to_json_lines([LabelledRecording(tmp_path / "a.wav", 2.0, tuple(stretches))]).splitlines()
    assert ['"none_of_these": true' in line for line in lines] == [True, False]
