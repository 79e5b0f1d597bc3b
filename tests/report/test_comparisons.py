from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from auricle.report.analysis import leaders, references, standing, uncertainty, verdict
from auricle.report.comparisons import Comparison, compare, main_protocol
from auricle.findings.study import Study, load_study
from auricle.report.tables import comparative_rows
from auricle.report.wording import Text
from auricle.runs import CellName, StudyFolder
from auricle.scoring.predictions import Predictions, write_predictions

CATEGORIES = ("cat", "dog")


def words(text: Text) -> str:
    return "".join(piece if isinstance(piece, str) else getattr(piece, "words", "") for piece in text).replace(
        "\xa0", " "
    )


@pytest.fixture
def invent(make_study, tmp_path):
    """Return a function that makes a study whose models are right on the test clips that it is told."""

    def invented(
        right: Mapping[str, Sequence[Sequence[int]]], *, protocol: str = "k-fold", num: int = 80, **changes
    ) -> Study:
        """`right[model]` holds one sequence of 0 and 1 a training, by test clip."""
        num_folds = 1 + len(next(iter(right.values()))) if protocol == "k-fold" else 3
        folder = make_study(
            categories=CATEGORIES, models=tuple(right), protocols=(protocol,), num_folds=num_folds, epochs=1,
            clip_s=0.1, clips_per_class_and_fold=num // 2, **changes,
        )  # fmt: skip
        for model, trainings in right.items():
            for fold, answers in enumerate(trainings, start=2):
                _write(StudyFolder(folder).cell(CellName(model, protocol, fold, 0)), answers, num)
        return load_study(folder)

    return invented


def _write(cell, right: Sequence[int], num: int) -> None:
    labels = np.arange(num) % 2
    answers = np.where(np.array(right) == 1, labels, 1 - labels)
    names = tuple(f"1-{place}.wav" for place in range(num))
    probabilities = np.where(np.arange(2) == answers[:, None], 0.9, 0.1)
    predictions = Predictions(names, ("test",) * num, labels, np.zeros(num), probabilities, CATEGORIES)
    write_predictions(cell.predictions, predictions)


def ones(num_right: int, num: int = 80, start: int = 0) -> list[int]:
    return [int(start <= place < start + num_right) for place in range(num)]


def test_clips_won_and_lost_are_counted_and_tested_exactly(invent):
    study = invent({"cnn": [ones(70)], "transformer-h1": [ones(58, start=4)]}, protocol="test-split")
    (pair,) = compare(study, comparative_rows(study), "test-split")
    assert (pair.first, pair.wins, pair.losses) == ("cnn", 4 + 8, 0)
    assert pair.difference == pytest.approx(12 / 80)
    assert pair.p == pair.p_clips == pair.p_adjusted == binomtest(12, 12).pvalue
    assert (pair.p_trainings, pair.trainings, pair.trainings_won) == (None, 1, 1)
    assert pair.low < 12 / 80 < pair.high
    assert pair.shown


def test_repeated_trainings_do_not_make_a_difference_look_surer(invent):
    once = invent({"cnn": [ones(70)], "transformer-h1": [ones(66)]}, protocol="test-split")
    often = invent({"cnn": [ones(70)] * 4, "transformer-h1": [ones(66)] * 4})
    (single,) = compare(once, comparative_rows(once), "test-split")
    (repeated,) = compare(often, comparative_rows(often), "k-fold")
    assert (single.wins, single.losses, single.p_clips) == (repeated.wins, repeated.losses, repeated.p_clips)
    assert (repeated.wins, repeated.losses, repeated.p, repeated.trainings_won) == (4, 0, 0.125, 4)
    assert not repeated.shown


def test_more_comparisons_need_stronger_evidence(invent):
    study = invent(
        {"cnn": [ones(70)], "transformer-h1": [ones(63)], "transformer-h2": [ones(63)], "transformer-h4": [ones(63)]},
        protocol="test-split",
    )
    pairs = compare(study, comparative_rows(study), "test-split")
    assert len(pairs) == 6
    first = pairs[0]
    assert first.p == pytest.approx(2 * 0.5**7)
    assert first.p_adjusted == pytest.approx(6 * first.p)
    assert not first.shown


def test_cells_that_only_one_model_finished_are_left_out_of_the_comparison(invent):
    study = invent({"cnn": [ones(70)] * 2, "transformer-h1": [ones(50)] * 2}, failed=["transformer-h1/k-fold-3-0"])
    (StudyFolder(study.folder).cell(CellName("transformer-h1", "k-fold", 3, 0)).predictions).unlink()
    (pair,) = compare(load_study(study.folder), comparative_rows(load_study(study.folder)), "k-fold")
    assert pair.difference == pytest.approx(20 / 80)


def test_a_shown_difference_needs_the_tests_and_the_interval():
    pair = Comparison("a", "b", 0.1, -0.01, 0.2, 9, 0, 4, 4, 0.001, 0.001, 0.001)
    assert not pair.shown
    assert pair.better is pair.worse is None
    shown = replace(pair, low=0.01)
    assert (shown.better, shown.worse) == ("a", "b")
    assert not replace(shown, p_adjusted=0.06).shown
    assert replace(pair, difference=-0.1, low=-0.2, high=-0.01).better == "b"
    assert replace(shown, p_clips=0.2).p == 0.2
    assert replace(shown, p_trainings=0.3).p == 0.3


def test_the_verdict_says_better_only_where_the_clips_show_it(invent):
    study = invent(
        {"cnn": [ones(72)] * 2, "transformer-h1": [ones(40)] * 2, "transformer-h2": [ones(71)] * 2},
    )
    rows = comparative_rows(study)
    told = words(verdict(rows, compare(study, rows, "k-fold")))
    assert told.startswith(
        "These data name no best model. cnn has the highest mean test accuracy, 90.0 % (k-fold, mean"
    )
    assert "better than transformer-h1; they can show no difference between it and transformer-h2." in told


def test_the_verdict_says_no_difference_where_none_is_shown(invent):
    study = invent({"cnn": [ones(70)], "transformer-h1": [ones(69)]}, protocol="test-split")
    rows = comparative_rows(study)
    told = words(verdict(rows, compare(study, rows, "test-split")))
    assert "These data can show no difference between it and transformer-h1." in told
    assert "better" not in told
    assert "best." not in told.replace("no best model.", "")


def test_the_verdict_of_clear_wins_names_them_all(invent):
    study = invent(
        {"cnn": [ones(75)], "transformer-h1": [ones(40)], "transformer-h2": [ones(30)]}, protocol="test-split"
    )
    rows = comparative_rows(study)
    told = words(verdict(rows, compare(study, rows, "test-split")))
    assert told.startswith("cnn is best. cnn has the highest mean test accuracy")
    assert "it, as trained this once, is better than each of the other 2 models." in told


def test_equal_models_share_the_first_place(invent):
    study = invent({"cnn": [ones(70)], "transformer-h1": [ones(70, start=10)]}, protocol="test-split")
    rows = comparative_rows(study)
    assert len(leaders(rows)) == 2
    told = words(verdict(rows, compare(study, rows, "test-split")))
    assert told.startswith(
        "These data name no best model. cnn and transformer-h1 share the highest mean test accuracy, 87.5 %"
    )
    assert told.endswith("These data can show no difference between them.")


def test_two_equal_models_above_a_third_are_told_apart_from_it_alone(invent):
    study = invent({"cnn": [ones(76)] * 4, "transformer-h1": [ones(76, start=4)] * 4, "transformer-h2": [ones(30)] * 4})
    rows = comparative_rows(study)
    told = words(verdict(rows, compare(study, rows, "k-fold")))
    assert told.startswith("These data name no best model. cnn and transformer-h1 share the highest")
    assert "they are better than transformer-h2; between them, they can show no difference." in told


def test_a_model_whose_trainings_disagree_is_not_called_better(invent):
    steady = invent({"cnn": [ones(75)] * 4, "transformer-h1": [ones(55)] * 4})
    wild = invent({"cnn": [ones(80), ones(80), ones(75), ones(65)], "transformer-h1": [ones(40)] * 2 + [ones(70)] * 2})
    (sure,) = compare(steady, comparative_rows(steady), "k-fold")
    (unsure,) = compare(wild, comparative_rows(wild), "k-fold")
    assert sure.difference == pytest.approx(unsure.difference, abs=0.001)
    assert unsure.p_clips < 0.001
    assert (sure.shown, unsure.shown) == (True, False)
    assert (sure.low > 0, unsure.low > 0) == (True, False)
    assert (sure.trainings_won, unsure.trainings_won) == (4, 3)


def test_clips_of_one_recording_are_no_more_evidence_than_one(invent):
    study = invent({"cnn": [ones(70)], "transformer-h1": [ones(58)]}, protocol="test-split")
    (alone,) = compare(study, comparative_rows(study), "test-split")
    groups = {f"1-{place}.wav": "one" if place >= 58 else str(place) for place in range(80)}
    together = replace(study, dataset=replace(study.dataset, groups=groups))
    (pair,) = compare(together, comparative_rows(together), "test-split")
    assert alone.shown
    assert (pair.wins, pair.difference) == (alone.wins, alone.difference)
    assert pair.p_clips == 1.0
    assert not pair.shown


def test_one_model_is_not_called_best(invent):
    study = invent({"cnn": [ones(70)]}, protocol="test-split")
    rows = comparative_rows(study)
    assert compare(study, rows, "test-split") == ()
    told = "cnn reaches a mean test accuracy of 87.5 % (test-split, one cell, 80 test clips)."
    assert words(verdict(rows, ())) == told


@pytest.mark.parametrize(("num_right", "place"), [(70, "below all"), (50, "inside"), (20, "above all")])
def test_the_published_result_is_placed_against_the_interval(invent, num_right: int, place: str):
    study = invent({"cnn": [ones(num_right)]}, protocol="test-split")
    (row,) = comparative_rows(study)
    assert f"has 60 %, {place}" in words(standing(study, row))
    assert references(study, "test-split") == {"best published": 0.6, "chance": 0.5}


def test_no_other_dataset_is_measured_against_the_published_result(invent):
    study = invent({"cnn": [ones(70)]}, protocol="test-split", source="/data/mine")
    (row,) = comparative_rows(study)
    assert standing(study, row) == ()
    assert references(study, "test-split") == {}


def test_the_uncertainty_is_that_of_the_clips(invent):
    study = invent({"cnn": [ones(48)] * 3})
    (row,) = comparative_rows(study)
    assert words(uncertainty(row)).startswith("80 test clips leave a 95 % interval from 49.0 % to 70.0 %")


def test_the_main_protocol_is_the_one_with_most_cells_that_does_not_leak(esc10: Study, make_study):
    assert main_protocol(comparative_rows(esc10)) == "k-fold"
    leaky = make_study(
        categories=CATEGORIES, models=("cnn",), protocols=("random", "test-split"), leaky_protocols=("random",),
        epochs=1, clip_s=0.1,
    )  # fmt: skip
    assert main_protocol(comparative_rows(load_study(leaky))) == "test-split"
