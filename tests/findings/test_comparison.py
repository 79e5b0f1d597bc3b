from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from auricle.findings.comparison import compare, main_protocol
from auricle.findings.reference import published_best
from auricle.findings.study import Study, load_study
from auricle.report.chapters.comparison import comparison
from auricle.runs import CellName, StudyFolder
from auricle.scoring.difference import Difference, difference
from auricle.scoring.predictions import Predictions, write_predictions
from report_text import chapter_sections, texts

CATEGORIES = ("cat", "dog")


def told(study: Study) -> str:
    """Return what the comparison says of a study's only protocol."""
    return next(texts(chapter_sections(study, comparison)))


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


def _write(cell, right: Sequence[int], num: int, prefix: str = "1-") -> None:
    labels = np.arange(num) % 2
    answers = np.where(np.array(right) == 1, labels, 1 - labels)
    names = tuple(f"{prefix}{clip}.wav" for clip in range(num))
    probabilities = np.where(np.arange(2) == answers[:, None], 0.9, 0.1)
    predictions = Predictions(names, ("test",) * num, labels, np.zeros(num), probabilities, CATEGORIES)
    write_predictions(cell.predictions, predictions)


def ones(num_right: int, num: int = 80, start: int = 0) -> list[int]:
    return [int(start <= clip < start + num_right) for clip in range(num)]


def test_clips_won_and_lost_are_counted_and_tested_exactly(invent):
    study = invent({"cnn": [ones(70)], "transformer-h1": [ones(58, start=4)]}, protocol="test-split")
    (pair,) = compare(study, "test-split").pairs
    assert (pair.first, pair.wins, pair.losses) == ("cnn", 4 + 8, 0)
    assert pair.mean == pytest.approx(12 / 80)
    assert pair.p == pair.p_groups == pair.p_adjusted == binomtest(12, 12).pvalue
    assert (pair.p_trainings, pair.trainings, pair.trainings_won) == (None, 1, 1)
    assert pair.low < 12 / 80 < pair.high
    assert pair.significant


def test_repeated_trainings_do_not_make_a_difference_look_surer(invent):
    once = invent({"cnn": [ones(70)], "transformer-h1": [ones(66)]}, protocol="test-split")
    often = invent({"cnn": [ones(70)] * 4, "transformer-h1": [ones(66)] * 4})
    (single,) = compare(once, "test-split").pairs
    (repeated,) = compare(often, "k-fold").pairs
    assert (single.wins, single.losses, single.p_groups) == (repeated.wins, repeated.losses, repeated.p_groups)
    assert (repeated.wins, repeated.losses, repeated.p, repeated.trainings_won) == (4, 0, 0.125, 4)
    assert not repeated.significant


def test_more_comparisons_need_stronger_evidence(invent):
    study = invent(
        {"cnn": [ones(70)], "transformer-h1": [ones(63)], "transformer-h2": [ones(63)], "transformer-h4": [ones(63)]},
        protocol="test-split",
    )
    pairs = compare(study, "test-split").pairs
    assert len(pairs) == 6
    first = pairs[0]
    assert first.p == pytest.approx(2 * 0.5**7)
    assert first.p_adjusted == pytest.approx(6 * first.p)
    assert not first.significant


def test_cells_that_only_one_model_finished_are_left_out_of_the_comparison(invent):
    study = invent({"cnn": [ones(70)] * 2, "transformer-h1": [ones(50)] * 2}, failed=["transformer-h1/k-fold-3-0"])
    (StudyFolder(study.folder).cell(CellName("transformer-h1", "k-fold", 3, 0)).predictions).unlink()
    (pair,) = compare(load_study(study.folder), "k-fold").pairs
    assert pair.mean == pytest.approx(20 / 80)


def test_a_shown_difference_needs_the_tests_and_the_interval():
    pair = Difference("a", "b", 0.1, -0.01, 0.2, 80, 80, 9, 0, 4, 4, 0.001, 0.001, 0.001)
    assert not pair.significant
    assert pair.better is pair.worse is None
    shown = replace(pair, low=0.01)
    assert (shown.better, shown.worse) == ("a", "b")
    assert not replace(shown, p_adjusted=0.06).significant
    assert replace(pair, mean=-0.1, low=-0.2, high=-0.01).better == "b"
    assert replace(shown, p_groups=0.2).p == 0.2
    assert replace(shown, p_trainings=0.3).p == 0.3


def test_the_verdict_says_better_only_where_the_clips_show_it(invent):
    study = invent(
        {"cnn": [ones(72)] * 2, "transformer-h1": [ones(40)] * 2, "transformer-h2": [ones(71)] * 2},
    )
    text = told(study)
    assert text.startswith(
        "k-fold: No model is significantly better than all others. cnn has the highest test accuracy, 90.0 % (k-fold, 2"
    )
    assert "better than transformer-h1, and does not differ significantly from transformer-h2." in text


def test_the_verdict_says_no_difference_where_none_is_shown(invent):
    study = invent({"cnn": [ones(70)], "transformer-h1": [ones(69)]}, protocol="test-split")
    text = told(study)
    assert "It does not differ significantly from transformer-h1." in text
    assert "significantly better" not in text.replace("No model is significantly better", "")
    assert "is best." not in text


def test_the_verdict_of_clear_wins_names_them_all(invent):
    study = invent(
        {"cnn": [ones(75)], "transformer-h1": [ones(40)], "transformer-h2": [ones(30)]}, protocol="test-split"
    )
    text = told(study)
    assert text.startswith("test-split: cnn is best. cnn has the highest test accuracy")
    assert "It is significantly better than each of the other 2 models (one training each)." in text


def test_equal_models_share_the_first_place(invent):
    study = invent({"cnn": [ones(70)], "transformer-h1": [ones(70, start=10)]}, protocol="test-split")
    assert len(compare(study, "test-split").leaders) == 2
    text = told(study)
    assert text.startswith(
        "test-split: No model is significantly better than all others. cnn and transformer-h1 share the highest test"
    )
    assert "They do not differ significantly." in text


def test_a_model_that_only_one_of_two_leaders_beats_is_not_said_to_equal_both(invent):
    leading = {"cnn": [ones(70)], "transformer-h1": [ones(70, start=10)]}
    study = invent(leading | {"transformer-h2": [ones(58)]}, protocol="test-split")
    found = compare(study, "test-split")
    assert [(pair.first, pair.second) for pair in found.pairs if pair.significant] == [("cnn", "transformer-h2")]
    assert "Not all of them are significantly better than transformer-h2." in told(study)


def test_two_equal_models_above_a_third_are_told_apart_from_it_alone(invent):
    study = invent({"cnn": [ones(76)] * 4, "transformer-h1": [ones(76, start=4)] * 4, "transformer-h2": [ones(30)] * 4})
    text = told(study)
    assert text.startswith("k-fold: No model is significantly better than all others. cnn and transformer-h1 share")
    assert "They are significantly better than transformer-h2, and do not differ significantly from each other." in text


def test_the_interval_of_two_models_whose_trainings_disagree_ends_at_100_points():
    one = difference(np.array([[1.0] * 8, [1.0] * 6 + [0.0] * 2, [0.0] * 8]), np.arange(8))
    assert (one.low, one.high) == (pytest.approx(-0.72, abs=0.01), 1.0)


def test_a_model_whose_trainings_disagree_is_not_called_better(invent):
    steady = invent({"cnn": [ones(75)] * 4, "transformer-h1": [ones(55)] * 4})
    wild = invent({"cnn": [ones(80), ones(80), ones(75), ones(65)], "transformer-h1": [ones(40)] * 2 + [ones(70)] * 2})
    (sure,) = compare(steady, "k-fold").pairs
    (unsure,) = compare(wild, "k-fold").pairs
    assert sure.mean == pytest.approx(unsure.mean, abs=0.001)
    assert unsure.p_groups < 0.001
    assert (sure.significant, unsure.significant) == (True, False)
    assert (sure.low > 0, unsure.low > 0) == (True, False)
    assert (sure.trainings_won, unsure.trainings_won) == (4, 3)


def test_clips_of_one_recording_are_no_more_evidence_than_one(invent):
    study = invent({"cnn": [ones(70)], "transformer-h1": [ones(58)]}, protocol="test-split")
    (alone,) = compare(study, "test-split").pairs
    groups = {f"1-{place}.wav": "one" if place >= 58 else str(place) for place in range(80)}
    together = replace(study, dataset=replace(study.dataset, groups=groups))
    (pair,) = compare(together, "test-split").pairs
    assert alone.significant
    assert (pair.wins, pair.mean) == (alone.wins, alone.mean)
    assert pair.p_groups == 1.0
    assert not pair.significant


def test_one_model_is_not_called_best(invent):
    study = invent({"cnn": [ones(70)]}, protocol="test-split")
    assert compare(study, "test-split").pairs == ()
    assert "cnn reaches a test accuracy of 87.5 % (test-split, one cell, 80 test clips)." in told(study)


@pytest.mark.parametrize(
    ("num_right", "standing"), [(70, "which is below"), (50, "which is inside"), (20, "which is above")]
)
def test_the_published_result_is_placed_against_the_interval(invent, num_right: int, standing: str):
    study = invent({"cnn": [ones(num_right)]}, protocol="test-split")
    cited = f"that the study cites for these clips is 60 % (Report A, the best of 4 trainings), {standing}"
    assert cited in told(study)


def test_no_other_dataset_is_measured_against_the_published_result(invent):
    study = invent({"cnn": [ones(70)]}, protocol="test-split", source="/data/mine")
    assert published_best(study, "test-split") is None
    assert "published" not in told(study)


def test_the_uncertainty_is_that_of_the_clips_and_of_their_groups(invent):
    study = invent({"cnn": [ones(48)] * 3})
    assert "80 test clips). " in told(study)
    assert "has a 95 % interval from 49.0 % to 70.0 %." in told(study)
    groups = {f"1-{clip}.wav": "speaker a" if clip < 40 else "speaker b" for clip in range(80)}
    spoken = replace(study, dataset=replace(study.dataset, groups=groups))
    assert "80 test clips of 2 groups). " in told(spoken)
    assert "has a 95 % interval from 20.0 % to 100.0 %." in told(spoken)


def test_where_nothing_is_shown_the_report_says_what_could_have_been(invent):
    study = invent({"cnn": [ones(70)], "transformer-h1": [ones(66)]}, protocol="test-split")
    found = compare(study, "test-split")
    assert found.detectable is not None
    assert 0.05 < found.detectable < 0.3
    assert f"detects a true difference of {100 * found.detectable:.1f} points with a power of about 80 %" in told(study)


def test_a_mean_over_unequal_folds_is_the_share_of_clips_right(make_study):
    folder = make_study(
        categories=CATEGORIES, models=("cnn",), protocols=("official",), num_folds=2, epochs=1, clip_s=0.1
    )
    for fold, right in ((1, [1] * 10), (2, [0] * 90)):
        _write(StudyFolder(folder).cell(CellName("cnn", "official", fold, 0)), right, len(right), f"{fold}-")
    (row,) = compare(load_study(folder), "official").rows
    assert row.accuracy == 0.1  # not the 0.5 of two folds
    assert row.test_clips == 100


def test_baselines_are_compared_on_the_folds_that_networks_were_scored_on(make_study):
    folder = make_study(
        categories=CATEGORIES, models=("cnn",), protocols=("official",), num_folds=5, epochs=1, clip_s=0.1,
        baselines={"mfcc-forest": 2.0}, unstarted=[f"cnn/official-{fold}-0" for fold in (3, 4, 5)],
    )  # fmt: skip
    found = compare(load_study(folder), "official")
    assert (found.baselines[0].cells, found.baselines[0].test_clips) == (2, found.rows[0].test_clips)
    assert found.against_baseline[0].mean == pytest.approx(found.rows[0].accuracy - found.baselines[0].accuracy)


def test_k_fold_also_compares_on_the_validation_clips_of_all_folds(esc10: Study):
    found = compare(esc10, "k-fold")
    assert len(found.validation_pairs) == 6
    assert {pair.num_clips for pair in found.validation_pairs} == {320}
    assert compare(esc10, "test-split").validation_pairs == ()


def test_validation_clips_are_those_that_two_models_share(make_study):
    folder = make_study(
        categories=CATEGORIES, models=("cnn", "transformer-h1"), protocols=("k-fold",), num_folds=4, epochs=1,
        clip_s=0.1, failed=["cnn/k-fold-3-0"], unstarted=["transformer-h1/k-fold-4-0"],
    )  # fmt: skip
    study = load_study(folder)
    assert [pair.num_clips for pair in compare(study, "k-fold").validation_pairs] == [16]
    assert "On the 16 validation clips of k-fold, no two models differ" in "\n".join(
        texts(chapter_sections(study, comparison))
    )


def test_the_power_is_said_of_the_trainings_that_the_best_two_share(invent):
    models = ("transformer-h1", "cnn", "transformer-h2")
    study = invent({model: [ones(66 + 2 * index)] * 2 for index, model in enumerate(models)})
    without = CellName("transformer-h1", "k-fold", 3, 0)
    study = replace(study, cells=tuple(cell for cell in study.cells if cell.name != without))
    found = compare(study, "k-fold")
    assert ([row.cells for row in found.rows], found.num_trainings) == ([1, 2, 2], 2)
    assert "between these trained networks" not in told(study)


def test_a_model_that_leads_on_fewer_folds_is_not_said_to_equal_one_that_beats_it_on_them(make_study):
    folder = make_study(
        categories=CATEGORIES, models=("cnn", "transformer-h1"), protocols=("official",), num_folds=2, epochs=1,
        clip_s=0.1, unstarted=["cnn/official-2-0"],
    )  # fmt: skip
    right = {("cnn", 1): ones(60), ("transformer-h1", 1): ones(80), ("transformer-h1", 2): ones(0)}
    for (model, fold), answers in right.items():
        _write(StudyFolder(folder).cell(CellName(model, "official", fold, 0)), answers, 80, f"{fold}-")
    study = load_study(folder)
    assert [row.model for row in compare(study, "official").leaders] == ["cnn"]
    text = told(study)
    assert "On the clips that both were tested on, transformer-h1 is significantly better than cnn." in text
    assert "not differ significantly" not in text


def test_the_main_protocol_is_the_one_with_most_cells_that_does_not_leak(esc10: Study, make_study):
    assert main_protocol(esc10) == "k-fold"
    leaky = make_study(
        categories=CATEGORIES, models=("cnn",), protocols=("random", "test-split"), leaky_protocols=("random",),
        epochs=1, clip_s=0.1,
    )  # fmt: skip
    assert main_protocol(load_study(leaky)) == "test-split"


def test_a_significant_difference_is_not_said_to_be_impossible(invent):
    def ones(num: int) -> list[int]:
        return [1] * num + [0] * (80 - num)

    right = {"cnn": [ones(75), ones(73)], "transformer-h1": [ones(68), ones(74)], "transformer-h2": [ones(8)] * 2}
    study = invent(right)
    assert compare(study, "k-fold").detectable is None
    assert "significantly better than transformer-h2" in told(study)
    assert "can be significant" not in told(study)


def test_too_few_groups_for_any_difference_are_said_to_be_too_few(invent):
    study = invent({"cnn": [ones(80)], "transformer-h1": [ones(0)], "transformer-h2": [ones(0)]})
    groups = {f"1-{clip}.wav": f"speaker {clip % 6}" for clip in range(80)}
    spoken = replace(study, dataset=replace(study.dataset, groups=groups))
    impossible = "With 6 groups of test clips and 3 comparisons, no difference can be significant, however large"
    assert impossible in told(spoken)
    assert "no difference can be" not in told(study)
