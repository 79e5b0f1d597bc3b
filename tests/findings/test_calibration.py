from dataclasses import dataclass, replace

import numpy as np
import pytest

from auricle.findings.calibration import calibrations
from auricle.findings.study import Study, load_study
from auricle.scoring import statistics
from auricle.scoring.calibration import calibration_error, fit, softmax, temperature_scaled
from auricle.scoring.difference import adjusted, difference
from auricle.scoring.predictions import Predictions


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
    after = [
        temperature_scaled(cell.windows.of("test"), t).by_clip() for cell, t in zip(cells, temperatures, strict=True)
    ]
    assert cnn.temperatures == tuple(temperatures)
    assert cnn.error == pytest.approx(np.mean(before))
    assert cnn.scaled_error == pytest.approx(
        np.mean([calibration_error(clips.probabilities, clips.labels) for clips in after])
    )
    assert cnn.bins.num.sum() == cnn.scaled_bins.num.sum() == 320


def test_a_model_that_is_made_too_sure_is_called_so_and_a_temperature_mends_it(small: Study):
    sharp = calibrations(sharpened(small, 6.0), "k-fold")
    for model, plain in zip(sharp, calibrations(small, "k-fold"), strict=True):
        assert model.surplus.significant
        assert model.surplus.mean > 0.05
        assert model.gain.significant
        assert model.gain.mean > 0
        assert model.scaled_error == pytest.approx(plain.scaled_error, abs=0.005)
        assert model.scaled_loss < model.loss


def test_a_model_that_is_made_too_cautious_is_called_so(small: Study):
    found = calibrations(sharpened(small, 0.3), "k-fold")
    assert all(model.surplus.significant and model.surplus.mean < 0 for model in found)


def test_a_temperature_that_is_right_already_is_not_called_a_gain(small: Study):
    honest = calibrations(small, "k-fold")
    mended = sharpened(small, 1 / float(np.mean(honest[0].temperatures)))
    cnn = calibrations(mended, "k-fold")[0]
    assert np.mean(cnn.temperatures) == pytest.approx(1, abs=0.1)
    assert not cnn.gain.significant


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


def test_no_false_alarm_in_a_few_clips_is_not_taken_for_never(make_study):
    folder = make_study(
        categories=("cat", "dog"), models=("cnn",), protocols=("test-split",), epochs=1, clip_s=36.0,
        clips_per_class_and_fold=2, skill={"cnn": 60.0},
    )  # fmt: skip
    (model,) = calibrations(load_study(folder), "test-split")
    assert model.alarm_rate == 0
    assert model.alarm_interval == pytest.approx((0, -np.log(0.025) / 2 * 100))  # two groups; 100 clips are an hour


def test_without_validation_clips_nothing_is_fitted(make_study):
    folder = make_study(categories=("cat", "dog"), models=("cnn",), protocols=("official",), epochs=1, clip_s=0.1)
    study = load_study(folder)
    (model,) = calibrations(study, "official")
    assert (set(model.temperatures), model.gain, model.is_fitted) == ({1.0}, None, False)
    assert model.scaled_error == pytest.approx(model.error, abs=1e-6)


def test_one_clip_a_class_has_a_calibration_that_claims_nothing(make_study):
    folder = make_study(
        categories=("cat", "dog"), models=("cnn", "transformer-h1"), protocols=("test-split",), epochs=1, clip_s=0.1,
        clips_per_class_and_fold=1,
    )  # fmt: skip
    found = calibrations(load_study(folder), "test-split")
    assert not any(model.gain.significant or model.surplus.significant for model in found)


def test_a_collapsed_model_has_a_calibration(make_study):
    folder = make_study(
        categories=("cat", "dog"), models=("cnn",), protocols=("test-split",), epochs=1, clip_s=0.1,
        skill={"cnn": None},
    )  # fmt: skip
    (model,) = calibrations(load_study(folder), "test-split")
    assert np.isfinite([model.error, model.scaled_error, model.loss, model.scaled_loss, model.alarm_rate]).all()
    assert model.error == pytest.approx(0.5, abs=0.01)


@dataclass(frozen=True)
class Trained:
    """Cells of a model whose confidence is exactly the chance to be right, up to luck of its own in each group."""

    group_clips: int
    trainings: int

    def surplus(self, generator: np.random.Generator) -> np.ndarray:
        """Draw confidence less whether the answer is right, (T, 80)."""
        chance = generator.beta(6, 2, (self.trainings, 80))
        shared = np.repeat(generator.random((1, 80 // self.group_clips)), self.group_clips, axis=1)
        own = generator.random((self.trainings, 80))
        right = np.where(generator.random((self.trainings, 80)) < 0.3, shared, own) < chance
        return chance - right


def share_of_false_claims(world: Trained, num: int, monkeypatch) -> float:
    monkeypatch.setattr(statistics, "BOOTSTRAP_RESAMPLES", 300)
    generator, groups = np.random.default_rng(5), np.arange(80) // world.group_clips
    found = [difference(world.surplus(generator), groups, mirrored=False) for _ in range(num)]
    return sum(one.significant for one in adjusted_alone(found)) / num


def adjusted_alone(found):
    return [adjusted({0: one})[0] for one in found]


WORLDS = [Trained(group_clips, trainings) for group_clips in (1, 4, 8) for trainings in (1, 4)]


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_exact_probabilities_are_seldom_called_too_sure_or_too_cautious(world: Trained, monkeypatch):
    assert share_of_false_claims(world, 100, monkeypatch) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 100)


@pytest.mark.long
@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_of_four_hundred_exact_models_one_in_twenty_is_called_too_sure(world: Trained, monkeypatch):
    assert share_of_false_claims(world, 400, monkeypatch) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
