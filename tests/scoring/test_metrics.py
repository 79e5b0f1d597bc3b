import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import classification_report, f1_score, log_loss, roc_auc_score

from auricle.scoring.metrics import mean_curve, one_vs_rest, roc, score, score_predictions
from auricle.scoring.predictions import Predictions

CATEGORIES = ("cat", "dog", "owl")
# Four clips: cat is heard as cat and as dog, dog as dog, owl as owl.
LABELS = np.array([0, 0, 1, 2])
PROBABILITIES = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.25, 0.25, 0.5]])


def test_scores_of_four_clips_are_what_a_hand_computes():
    found = score(PROBABILITIES, LABELS, CATEGORIES)
    assert found["num"] == 4
    assert found["accuracy"] == 0.75
    assert found["confusion"] == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert found["loss"] == pytest.approx(-np.log([0.8, 0.3, 0.7, 0.5]).mean())
    assert found["per_class"]["cat"] == pytest.approx(
        {"precision": 1, "recall": 0.5, "f1": 2 / 3, "auc": 1, "support": 2}
    )
    assert found["per_class"]["dog"] == pytest.approx(
        {"precision": 0.5, "recall": 1, "f1": 2 / 3, "auc": 1, "support": 1}
    )
    assert found["macro_precision"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert found["macro_recall"] == pytest.approx((0.5 + 1 + 1) / 3)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert found["macro_auc"] == 1.0
    # Confidences 0.8, 0.6, 0.7, 0.5 fall into four bins: |0.2|, |0.6|, |0.3|, |0.5|.
    assert found["calibration_error"] == pytest.approx((0.2 + 0.6 + 0.3 + 0.5) / 4)


def test_scores_are_json_and_stay_the_same_through_it():
    found = score(PROBABILITIES, LABELS, CATEGORIES)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(1, 60))
def test_scores_agree_with_scikit_learn_on_anything(seed: int, num_classes: int, num: int):
    rng = np.random.default_rng(seed)
    categories = [f"c{index}" for index in range(num_classes)]
    labels = rng.integers(0, num_classes, num)
    probabilities = rng.dirichlet(np.full(num_classes, 0.5), num)
    found = score(probabilities, labels, categories)
    answers = probabilities.argmax(axis=1)
    report = classification_report(labels, answers, output_dict=True, zero_division=0)
    assert found["macro_f1"] == pytest.approx(f1_score(labels, answers, average="macro", zero_division=0))
    assert found["macro_precision"] == pytest.approx(report["macro avg"]["precision"])
    assert found["macro_recall"] == pytest.approx(report["macro avg"]["recall"])
    assert found["loss"] == pytest.approx(log_loss(labels, probabilities, labels=np.arange(num_classes)))
    for index, category in enumerate(categories):
        positive = labels == index
        mixed = positive.any() and not positive.all()
        expected = roc_auc_score(positive, probabilities[:, index]) if mixed else None
        assert found["per_class"][category]["auc"] == (pytest.approx(expected) if mixed else None)
    assert sum(map(sum, found["confusion"])) == num


def test_a_class_that_nobody_is_has_no_auc_and_does_not_count_in_the_macro_means():
    found = score(np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]]), np.array([0, 1]), CATEGORIES)
    assert found["per_class"]["owl"] == {"precision": 0, "recall": 0, "f1": 0, "auc": None, "support": 0}
    assert found["macro_f1"] == found["macro_auc"] == 1.0


def test_one_class_alone_has_no_auc():
    found = score(np.array([[0.9, 0.1]]), np.array([0]), CATEGORIES[:2])
    assert found["macro_auc"] is None
    assert roc(np.array([[0.9, 0.1]]), np.array([0]), CATEGORIES[:2]) == []


def test_a_model_that_always_gives_one_answer_scores_chance():
    probabilities = np.tile([0.4, 0.3, 0.3], (6, 1))
    found = score(probabilities, np.array([0, 0, 1, 1, 2, 2]), CATEGORIES)
    assert found["accuracy"] == pytest.approx(1 / 3)
    assert found["macro_auc"] == 0.5
    assert found["per_class"]["dog"]["f1"] == 0


def test_the_loss_of_certainty_in_the_wrong_class_is_finite():
    found = score(np.array([[1.0, 0.0]]), np.array([1]), CATEGORIES[:2])
    assert found["loss"] == pytest.approx(-np.log(1e-15))


def test_rounded_probabilities_lose_nothing_that_matters():
    exact = np.random.default_rng(0).dirichlet(np.ones(3), 50)
    rounded = np.array([[float(f"{p:.7g}") for p in row] for row in exact])
    labels = np.arange(50) % 3
    assert score(rounded, labels, CATEGORIES)["loss"] == pytest.approx(
        score(exact, labels, CATEGORIES)["loss"], abs=1e-6
    )


@pytest.mark.parametrize(
    ("probabilities", "labels"),
    [
        (np.zeros((0, 3)), np.zeros(0, dtype=int)),
        (PROBABILITIES[:, :2], LABELS),
        (np.full((4, 3), np.nan), LABELS),
        (PROBABILITIES, np.array([0, 1, 2, 3])),
        (PROBABILITIES, np.array([0, 1, 2, -1])),
    ],
)
def test_what_cannot_be_scored_is_refused(probabilities: np.ndarray, labels: np.ndarray):
    with pytest.raises(ValueError, match=r"fit|finite|must be in"):
        score(probabilities, labels, CATEGORIES)


def test_roc_curves_run_from_the_origin_to_one_and_enclose_their_auc():
    curves = roc(PROBABILITIES, LABELS, ("macro", *CATEGORIES[1:]))  # a class may have the name of the mean
    assert [name for name, _ in curves] == ["macro", "dog", "owl", "macro"]
    for _, curve in curves:
        assert (curve["fpr"][0], curve["tpr"][0]) == (0, 0)
        assert (curve["fpr"][-1], curve["tpr"][-1]) == (1, 1)
        assert np.trapezoid(curve["tpr"], curve["fpr"]) == pytest.approx(curve["auc"], abs=0.01)
    assert curves[-1][1]["auc"] == score(PROBABILITIES, LABELS, CATEGORIES)["macro_auc"]


def test_the_mean_curve_leaves_out_classes_without_one():
    curves = one_vs_rest(np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]]), np.array([0, 1]))
    assert curves[2] is None
    mean = mean_curve(curves)
    assert mean is not None
    assert mean[2] == 1.0
    assert mean_curve([None]) is None


def test_a_set_is_scored_by_clips_and_by_windows_and_an_empty_one_is_none():
    windows = Predictions(
        clips=("a", "a", "a", "b"),
        sets=("test",) * 4,
        labels=np.array([0, 0, 0, 1]),
        starts_s=np.array([0.0, 1.0, 2.0, 0.0]),
        probabilities=np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]),
        categories=("cat", "dog"),
    )
    scores = score_predictions(windows, "test")
    assert scores is not None
    assert scores["clip"]["accuracy"] == 1.0
    assert scores["clip"]["num"] == 2
    assert scores["window"]["accuracy"] == 0.75
    assert scores["window"]["num"] == 4
    assert set(scores["window"]) == {"accuracy", "loss", "num"}
    assert score_predictions(windows, "validation") is None


def test_without_auc_every_other_score_is_the_same():
    whole = score(PROBABILITIES, LABELS, CATEGORIES)
    less = score(PROBABILITIES, LABELS, CATEGORIES, with_auc=False)
    assert whole["macro_auc"] is not None
    assert less["macro_auc"] is None
    assert {values["auc"] for values in less["per_class"].values()} == {None}
    for scores in (whole, less):
        del scores["macro_auc"]
        for values in scores["per_class"].values():
            del values["auc"]
    assert less == whole
