from dataclasses import replace

import numpy as np
import pytest

from auricle.findings.study import Study, load_study
from auricle.report.calibrations import calibrations
from auricle.report.chapter_calibration import calibration_chapter
from auricle.report.figures import style
from auricle.report.tables import comparative_rows
from auricle.report.wording import Text
from auricle.scoring.calibration import calibration_error, fit, softmax, tempered
from auricle.scoring.predictions import Predictions


def words(text: Text) -> str:
    return "".join(piece if isinstance(piece, str) else getattr(piece, "words", "") for piece in text)


def sharpened(study: Study, factor: float) -> Study:
    """Return a study whose logits are all `factor` times larger."""

    def changed(windows: Predictions) -> Predictions:
        return replace(windows, probabilities=softmax(factor * np.log(windows.probabilities)))

    cells = [replace(cell, windows=changed(cell.windows)) for cell in study.cells]
    return replace(study, cells=tuple(replace(cell, clips=cell.windows.of("test").by_clip()) for cell in cells))


@pytest.fixture(scope="module")
def small(make_study) -> Study:
    return load_study(
        make_study(
            models=("cnn", "transformer-h1"),
            protocols=("k-fold",),
            epochs=1,
            clip_s=0.1,
            skill=dict.fromkeys(("cnn", "transformer-h1"), 2.0),
        )
    )


def test_errors_are_means_over_cells_and_the_temperature_is_that_of_validation_clips(small: Study):
    cnn = calibrations(small, "k-fold")[0]
    cells = small.of("cnn", "k-fold")
    temperatures = [fit(cell.windows).temperature for cell in cells]
    before = [calibration_error(cell.clips.probabilities, cell.clips.labels) for cell in cells]
    after = [tempered(cell.windows.of("test"), t).by_clip() for cell, t in zip(cells, temperatures, strict=True)]
    assert cnn.temperatures == tuple(temperatures)
    assert cnn.error == pytest.approx(np.mean(before))
    assert cnn.tempered_error == pytest.approx(
        np.mean([calibration_error(clips.probabilities, clips.labels) for clips in after])
    )
    assert cnn.bins.num.sum() == cnn.tempered_bins.num.sum() == 320


def test_a_model_that_is_made_too_sure_is_called_so_and_a_temperature_mends_it(small: Study):
    sharp = calibrations(sharpened(small, 6.0), "k-fold")
    for model, plain in zip(sharp, calibrations(small, "k-fold"), strict=True):
        assert model.surplus > 0.05
        assert model.surplus_p < 0.05
        assert model.gain == "better"
        assert model.tempered_error == pytest.approx(plain.tempered_error, abs=0.005)
        assert model.tempered_loss < model.loss
    with style():
        blocks = calibration_chapter(sharpened(small, 6.0), comparative_rows(small), "k-fold").blocks
    assert "Shown to be surer than they are right: " in words(blocks[1].items[0])
    assert "The temperature lowers the loss of cnn (" in words(blocks[1].items[1])


def test_a_model_that_is_made_too_cautious_is_called_so(small: Study):
    assert all(model.surplus < 0 and model.surplus_p < 0.05 for model in calibrations(sharpened(small, 0.3), "k-fold"))
    with style():
        blocks = calibration_chapter(sharpened(small, 0.3), comparative_rows(small), "k-fold").blocks
    assert "Shown to be more often right than they are sure: cnn (by " in words(blocks[1].items[0])


def test_a_temperature_that_is_right_already_is_not_called_a_gain(small: Study):
    honest = calibrations(small, "k-fold")
    mended = sharpened(small, 1 / float(np.mean(honest[0].temperatures)))
    cnn = calibrations(mended, "k-fold")[0]
    assert np.mean(cnn.temperatures) == pytest.approx(1, abs=0.1)
    assert cnn.gain == "no difference"


def test_false_alarms_are_counted_by_hand(small: Study):
    cell = small.of("cnn", "k-fold")[0]
    names, labels = ("a", "a", "a", "b"), np.array([0, 0, 0, 1])
    answers = np.array([1, 0, 1, 1])  # class 1 is named twice in a clip of class 0, and once in its own
    probabilities = np.where(np.arange(10) == answers[:, None], 0.91, 0.01)
    windows = Predictions(
        names, ("test",) * 4, labels, np.array([0.0, 1.0, 2.0, 0.0]), probabilities, cell.windows.categories
    )
    only = replace(cell, windows=windows, clips=windows.by_clip())
    study = replace(small, cells=(only,), dataset=replace(small.dataset, clip_s=36.0))
    (model,) = calibrations(study, "k-fold")
    assert not model.is_fitted
    assert model.alarm_rates[1] == pytest.approx(2 / 0.01)
    assert model.alarm_rate == pytest.approx(2 / 0.02)
    assert model.hit_rates[:2].tolist() == [1.0, 1.0]
    assert np.isnan(model.hit_rates[2])
    assert model.alarm_rates[2] == 0
    assert set(model.thresholds) == {0.5}


def test_without_validation_clips_nothing_is_fitted_and_the_chapter_says_so(make_study):
    folder = make_study(categories=("cat", "dog"), models=("cnn",), protocols=("official",), epochs=1, clip_s=0.1)
    study = load_study(folder)
    (model,) = calibrations(study, "official")
    assert (set(model.temperatures), model.gain, model.is_fitted) == ({1.0}, "no difference", False)
    assert model.tempered_error == pytest.approx(model.error, abs=1e-6)
    with style():
        chapter = calibration_chapter(study, comparative_rows(study), "official")
    assert "There are no validation clips, so nothing can be fitted" in words(chapter.blocks[0].text)
    (row,) = chapter.blocks[2].groups[""]
    assert (row[1], row[3], row[-1]) == (None, None, "not fitted")


def test_one_clip_a_class_has_a_calibration_that_claims_nothing(make_study):
    folder = make_study(
        categories=("cat", "dog"), models=("cnn", "transformer-h1"), protocols=("test-split",), epochs=1, clip_s=0.1,
        clips_per_class_and_fold=1,
    )  # fmt: skip
    study = load_study(folder)
    assert all(model.gain == "no difference" and model.surplus_p > 0.05 for model in calibrations(study, "test-split"))
    with style():
        assert calibration_chapter(study, comparative_rows(study), "test-split").blocks


def test_a_collapsed_model_has_a_calibration(make_study):
    folder = make_study(
        categories=("cat", "dog"), models=("cnn",), protocols=("test-split",), epochs=1, clip_s=0.1,
        skill={"cnn": None},
    )  # fmt: skip
    (model,) = calibrations(load_study(folder), "test-split")
    assert np.isfinite([model.error, model.tempered_error, model.loss, model.tempered_loss, model.alarm_rate]).all()
    assert model.error == pytest.approx(0.5, abs=0.01)
