"""Sounds of background are none of the classes: scored by false alarms an hour, and never named."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from auricle.data.manifest import background_of, imbalance, scored_of
from auricle.scoring.answers import Answers
from auricle.scoring.calibration import NO_CLASS, count_detections, detected_classes
from auricle.scoring.metrics import score
from auricle.scoring.predictions import ClipPredictions, Predictions
from auricle.scoring.statistics import wilson_interval

CATEGORIES = ("background", "cat", "dog")
LABELS = np.array([1, 1, 1, 1, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])  # four cats, two dogs, ten of background
ANSWERS = np.array([1, 1, 1, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2])  # a cat unheard, a dog taken for a cat, two alarms


def table(labels: np.ndarray = LABELS, answers: np.ndarray = ANSWERS) -> ClipPredictions:
    clips = tuple(f"{number}.wav" for number in range(len(labels)))
    return ClipPredictions(clips, labels, np.where(np.eye(3)[answers] > 0, 0.8, 0.1), CATEGORIES)


def answers_to(*categories: str, balanced: bool = False) -> Answers:
    return Answers.of({("cnn", (1, 0)): table().of_classes(categories)}, {}, CATEGORIES, balanced=balanced)


def test_accuracy_is_of_the_clips_of_the_classes_and_unheard_is_wrong():
    scores, answers = score(table().probabilities, LABELS, CATEGORIES), answers_to("cat", "dog")
    assert scores["accuracy"] == answers.accuracy("cnn") == pytest.approx(4 / 6)
    assert scores["macro_recall"] == answers_to("cat", "dog", balanced=True).accuracy("cnn") == (3 / 4 + 1 / 2) / 2
    assert answers.majority == pytest.approx(4 / 6)


def test_false_alarms_lower_precision_and_background_has_no_part_in_the_means():
    scores = score(table().probabilities, LABELS, CATEGORIES)
    assert scores["per_class"]["cat"]["precision"] == 3 / 5  # of five cats answered, one is a dog, one background
    assert scores["per_class"]["dog"]["precision"] == 1 / 2
    means = precision_recall_fscore_support(LABELS, ANSWERS, labels=[1, 2], average="macro")[:3]
    assert [scores[f"macro_{name}"] for name in ("precision", "recall", "f1")] == pytest.approx(means)
    assert scores["macro_auc"] == np.mean([scores["per_class"][name]["auc"] for name in ("cat", "dog")])
    assert scores["confusion"] == [[8, 1, 1], [1, 3, 0], [0, 1, 1]]


def test_false_alarms_are_counted_in_an_hour_of_background():
    found = answers_to("background").false_alarms("cnn", clip_s=6.0)
    assert (found.num_clips, found.hours, found.length) == (10, pytest.approx(1 / 60), "60.0 s")
    assert found.an_hour == pytest.approx(120)  # two in a minute
    assert (found.low, found.high) == pytest.approx([600 * share for share in wilson_interval(0.2, 10)])


def test_without_background_in_test_nothing_is_known_of_false_alarms():
    assert Answers.of({("cnn", (1, 0)): table().of_classes(())}, {}, CATEGORIES).false_alarms("cnn", 6.0) is None


def test_beside_one_class_the_background_is_scored_as_always_naming_that_one_would_be_right():
    assert scored_of(("cat", "none")) == ("cat", "none")
    labels = np.array([0, 1, 1, 1])
    assert score(np.eye(2)[[0, 0, 0, 0]], labels, ("cat", "none"))["accuracy"] == 1 / 4


def test_the_class_is_known_by_its_name_in_any_case():
    assert [background_of(("cat", name)) for name in ("Background", "NONE", "backgrounds")] == [
        "Background",
        "NONE",
        None,
    ]


def test_much_background_does_not_make_classes_unequal():
    assert imbalance({"background": 900, "cat": 40, "dog": 30}) == ""
    assert imbalance({"background": 900, "cat": 400, "dog": 30}) == "'cat' has 400 clips, 'dog' 30"


def test_background_that_wins_is_none_of_these_however_sure():
    rows = np.array([[0.99, 0.01, 0.0], [0.2, 0.7, 0.1]])
    assert detected_classes(rows, (0.0, 0.5, 0.5), CATEGORIES).tolist() == [NO_CLASS, 1]
    windows = Predictions(("a", "a"), ("test",) * 2, np.array([0, 0]), np.array([0.0, 1.0]), rows, CATEGORIES)
    assert count_detections(windows, (0.0, 0.5, 0.5))[1].tolist() == [[0, 1, 0]]
