import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auricle.scoring.calibration import (
    calibration_error,
    count_detections,
    detected_classes,
    fit,
    fit_temperature,
    ideal_error,
    reliability,
    softmax,
    temperature_scaled,
)
from auricle.scoring.predictions import Predictions

CATEGORIES = ("click", "noise", "tone")


def made(sharpness: float = 1.0, num: int = 60, windows: int = 2, set_name: str = "validation") -> Predictions:
    """Clips whose labels are drawn from softmax(logits); the logits are then made `sharpness` times larger."""
    generator = np.random.default_rng(0)
    logits = 2 * generator.standard_normal((num, 3))
    labels = np.array([generator.choice(3, p=row) for row in softmax(logits)])
    return Predictions(
        tuple(f"{clip}.wav" for clip in np.repeat(np.arange(num), windows)),
        (set_name,) * (num * windows),
        np.repeat(labels, windows),
        np.tile(np.arange(float(windows)), num),
        np.repeat(softmax(sharpness * logits), windows, axis=0),
        CATEGORIES,
    )


def heard(names: list[str], starts_s: list[float], winners: list[int], probability: float = 0.9) -> Predictions:
    """Windows of clips of class 0, each won by one class."""
    rest = (1 - probability) / 2
    probabilities = np.where(np.arange(3) == np.array(winners)[:, None], probability, rest)
    return Predictions(
        tuple(names), ("test",) * len(names), np.zeros(len(names), int), np.array(starts_s), probabilities, CATEGORIES
    )


def test_calibration_error_is_zero_for_honest_confidence_and_its_distance_otherwise():
    labels = np.array([0, 0, 0, 1])
    assert calibration_error(np.tile([0.75, 0.25], (4, 1)), labels) == pytest.approx(0)
    assert calibration_error(np.tile([0.95, 0.05], (4, 1)), labels) == pytest.approx(0.2)
    assert calibration_error(np.tile([1.0, 0.0], (4, 1)), labels) == pytest.approx(0.25)


def test_every_answer_lies_in_one_bin_and_the_bins_give_the_mean_back():
    generator = np.random.default_rng(1)
    confidence, right = generator.uniform(0.1, 1.0, 500), generator.random(500) < 0.5
    bins = reliability(confidence, right)
    filled = bins.num > 0
    assert bins.num.sum() == 500
    assert (bins.confidence * bins.num)[filled].sum() == pytest.approx(confidence.sum())
    assert (bins.accuracy * bins.num)[filled].sum() == right.sum()
    edges = np.linspace(0, 1, 16)
    assert ((edges[:-1] <= bins.confidence) & (bins.confidence <= edges[1:]))[filled].all()


def test_an_honest_model_has_an_error_by_luck_that_shrinks_with_clips():
    generator = np.random.default_rng(0)
    few, many = (ideal_error(generator.uniform(0.3, 1.0, num), generator) for num in (80, 8000))
    assert few > 0.05
    assert many < 0.015
    assert ideal_error(np.ones(80), generator) == 0


@pytest.mark.parametrize("sharpness", [0.25, 1.0, 3.0])
def test_the_temperature_undoes_what_was_done_to_the_logits(sharpness: float):
    honest = fit_temperature(made(num=200))
    assert honest == pytest.approx(1, abs=0.25)
    assert fit_temperature(made(sharpness, num=200)) == pytest.approx(sharpness * honest, rel=0.01)


@pytest.mark.parametrize("confidence", [1.0, 1 / 3])
def test_certainty_and_ignorance_have_a_temperature_within_bounds(confidence: float):
    rest = (1 - confidence) / 2
    rows = np.tile([confidence, rest, rest], (6, 1))
    for labels in (np.zeros(6, int), np.arange(6) % 3):
        windows = Predictions(tuple("abcdef"), ("validation",) * 6, labels, np.zeros(6), rows, CATEGORIES)
        assert 0.05 <= fit_temperature(windows) <= 20


@pytest.mark.parametrize("num", [6, 80, 1000])
def test_a_network_without_a_mistake_is_no_surer_than_its_validation_clips_allow(num: int):
    logits = np.random.default_rng(0).normal(0, 1, (num, 3))
    labels = logits.argmax(axis=1)
    logits[np.arange(num), labels] += 4.0  # beyond doubt
    names = tuple(map(str, range(num)))
    windows = Predictions(names, ("validation",) * num, labels, np.zeros(num), softmax(logits), CATEGORIES)
    temperature = fit_temperature(windows)
    confidence = temperature_scaled(windows, temperature).by_clip().probabilities.max(axis=1)
    assert confidence.mean() == pytest.approx((num + 1) / (num + 2), abs=0.3 / num)
    assert confidence.mean() < (num + 1) / (num + 2)


@given(st.floats(0.05, 20), st.integers(0, 1000))
def test_a_temperature_changes_no_window_s_answer(temperature: float, seed: int):
    logits = np.random.default_rng(seed).normal(0, 3, (4, 3))
    probabilities = softmax(logits, temperature)
    assert (probabilities.argmax(axis=1) == logits.argmax(axis=1)).all()
    assert probabilities.sum(axis=1) == pytest.approx(1)


def test_thresholds_let_most_right_answers_pass_and_stay_probabilities():
    predictions = made(3.0, num=200)
    found = fit(predictions)
    clips = temperature_scaled(predictions, found.temperature).by_clip()
    right = clips.answers == clips.labels
    passed = (
        detected_classes(clips.probabilities, tuple(value - 1e-6 for value in found.thresholds), clips.categories)
        == clips.answers
    )
    assert passed[right].mean() >= 0.95
    assert not passed[clips.probabilities.max(axis=1) < min(found.thresholds) - 1e-6].any()
    assert all(0 <= threshold <= 0.5 for threshold in found.thresholds)
    assert found.num_clips == 200


def test_without_validation_nothing_is_fitted():
    found = fit(made(set_name="test"))
    assert (found.temperature, found.num_clips, found.thresholds) == (1.0, 0, (0.5,) * 3)


def test_test_clips_have_no_say_in_the_fit():
    validation, test = made(2.0), made(0.5, set_name="test")
    both = Predictions(
        validation.clips + tuple(f"t{clip}" for clip in test.clips),
        validation.sets + test.sets,
        np.concatenate([validation.labels, test.labels]),
        np.concatenate([validation.starts_s, test.starts_s]),
        np.concatenate([validation.probabilities, test.probabilities]),
        CATEGORIES,
    )
    assert fit(both) == fit(validation)


def test_a_class_below_its_threshold_is_not_named():
    rows = np.array([[0.6, 0.3, 0.1], [0.4, 0.35, 0.25], [0.2, 0.3, 0.5]])
    assert detected_classes(rows, (0.5, 0.1, 0.5), ("cat", "dog", "hen")).tolist() == [0, -1, 2]


def test_windows_in_a_row_are_one_alarm_and_a_gap_makes_two():
    windows = heard(["a"] * 6 + ["b"] * 2, [0, 1, 2, 3, 4, 5, 0, 1], [1, 1, 0, 1, 1, 2, 2, 2])
    clips, counts = count_detections(windows, (0.5,) * 3)
    assert clips == ("a", "b")
    assert counts.tolist() == [[1, 2, 1], [0, 0, 1]]


def test_alarms_follow_time_not_the_order_of_rows():
    windows = heard(["a", "b", "a", "a", "b"], [2.0, 1.0, 0.0, 1.0, 0.0], [1, 1, 1, 2, 1])
    assert count_detections(windows, (0.5,) * 3)[1].tolist() == [[0, 2, 1], [0, 1, 0]]


def test_nothing_is_named_below_every_threshold():
    windows = heard(["a", "a"], [0.0, 1.0], [1, 2], probability=0.45)
    assert count_detections(windows, (0.5,) * 3)[1].sum() == 0


def test_softmax_of_huge_logits_is_finite():
    assert softmax(np.array([[1e4, 0.0]])).tolist() == [[1.0, 0.0]]
    assert math.isclose(softmax(np.array([[0.0, math.log(4)]]), 2.0)[0, 0], 1 / 3)
