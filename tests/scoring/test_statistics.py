import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, poisson, ttest_1samp
from statsmodels.stats.multitest import multipletests

from auricle.scoring import statistics
from auricle.scoring.statistics import (
    count_interval,
    difference_interval,
    group_interval,
    holm,
    interval_over,
    mean_test,
    share_interval,
    sign_test,
    training_margin,
    wilson_interval,
)


@given(st.integers(1, 500), st.data())
def test_the_wilson_interval_is_scipy_s_and_holds_the_share(num: int, data: st.DataObject):
    right = data.draw(st.integers(0, num))
    low, high = wilson_interval(right / num, num)
    expected = binomtest(right, num).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= low <= right / num <= high <= 1


def test_eighty_clips_leave_twenty_points_of_doubt():
    low, high = wilson_interval(0.60, 80)
    assert high - low == pytest.approx(0.21, abs=0.01)


def test_the_sign_test_is_the_sum_of_binomial_tails():
    assert sign_test(3, 0) == pytest.approx(2 * 0.5**3)
    assert sign_test(1, 8) == sign_test(8, 1) == pytest.approx(2 * (1 + 9) / 2**9)
    assert sign_test(5, 5) == 1.0
    assert sign_test(0, 0) == 1.0


def test_the_bootstrap_of_equal_values_has_no_width():
    assert group_interval(np.full(20, 0.25), np.arange(20)) == (0.25, 0.25)


def test_the_bootstrap_of_single_clips_is_near_the_normal_interval():
    values = np.random.default_rng(1).normal(0.1, 1.0, 400)
    reach = 1.96 * values.std() / np.sqrt(400)
    expected = (values.mean() - reach, values.mean() + reach)
    assert group_interval(values, np.arange(400)) == pytest.approx(expected, abs=0.02)


def test_clips_of_one_recording_count_as_one():
    values = np.repeat(np.random.default_rng(1).normal(0.0, 1.0, 20), 10)
    alone, together = group_interval(values, np.arange(200)), group_interval(values, np.arange(200) // 10)
    assert together[1] - together[0] > 2.5 * (alone[1] - alone[0])


def test_the_same_values_give_the_same_interval():
    assert group_interval(np.arange(9.0), np.arange(9)) == group_interval(np.arange(9.0), np.arange(9))


def test_draws_that_are_reused_give_the_interval_of_scipy_s_own(monkeypatch):
    rng = np.random.default_rng(0)
    values, groups, weights = rng.random(90), rng.integers(0, 30, 90), rng.random(90)
    reused = group_interval(values, groups, weights)
    monkeypatch.setattr(statistics, "MOST_REUSED", 0)
    assert group_interval(values, groups, weights) == pytest.approx(reused, abs=1e-12)


def test_the_interval_over_two_speakers_goes_from_the_worse_to_the_better():
    shares, speakers = np.repeat([0.24, 0.91], 250), np.repeat([0, 1], 250)
    assert share_interval(shares, speakers) == pytest.approx((0.24, 0.91))


def test_an_accuracy_of_single_clips_has_wilson_s_interval_and_one_of_groups_another():
    shares = np.arange(80) % 8 > 0
    assert share_interval(shares, np.arange(80)) == wilson_interval(0.875, 80)
    low, high = share_interval(shares, np.arange(80) // 4)
    assert low < 0.875 < high


def test_all_right_is_not_taken_for_certain():
    assert share_interval(np.ones(80), np.arange(80) // 4) == wilson_interval(1.0, 20)


def test_no_event_in_a_few_groups_is_not_taken_for_never():
    low, high = count_interval(np.zeros(20), np.arange(20) // 2)
    assert (low, poisson.cdf(0, 10 * high)) == (0, pytest.approx(0.025))
    low, high = count_interval(np.full(4, 3), np.zeros(4, np.int64))  # one group with three events a clip
    assert (poisson.sf(2, low), poisson.cdf(3, high)) == pytest.approx((0.025, 0.025))


def test_counts_that_differ_between_groups_have_their_bootstrap():
    counts, groups = np.arange(40) % 3, np.arange(40) // 2
    assert count_interval(counts, groups) == group_interval(counts, groups)


def test_two_models_that_agree_on_a_few_groups_may_differ_on_others():
    low, high = difference_interval(np.zeros(24), np.repeat(np.arange(12), 2), 1.0)
    assert high == -low == wilson_interval(0.0, 12)[1]
    assert difference_interval(np.ones(6), np.arange(6), 1.0)[1] == 1
    assert difference_interval(np.zeros(24), np.arange(24), np.inf) == (0, 0)


def test_skewed_groups_are_covered_better_than_by_percentiles(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(statistics, "BOOTSTRAP_RESAMPLES", 400)
    generator = np.random.default_rng(0)
    covered = percentile = 0
    for _ in range(200):
        groups = np.repeat(np.arange(20), 4)
        shares = np.repeat(generator.beta(4, 0.5, 20), 4)
        low, high = group_interval(shares, groups)
        drawn = shares[::4][generator.integers(20, size=(400, 20))].mean(axis=1)
        covered += low <= 4 / 4.5 <= high
        percentile += np.quantile(drawn, 0.025) <= 4 / 4.5 <= np.quantile(drawn, 0.975)
    assert covered / 200 > 0.87
    assert covered > percentile


def test_student_s_interval_of_single_values():
    low, high = ttest_1samp([0.1, 0.2, 0.3, 0.8], 0).confidence_interval(0.95)
    assert interval_over([0.1, 0.2, 0.3, 0.8]) == pytest.approx((low, high))
    assert interval_over([0.1]) is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_adjusted_p_values_are_never_smaller_and_keep_their_order(p_values: list[float]):
    adjusted = holm(p_values)
    assert all(p <= a + 1e-12 <= 1 + 1e-12 for p, a in zip(p_values, adjusted, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()
    assert min(adjusted) == pytest.approx(min(1.0, len(p_values) * min(p_values)))


def test_with_one_training_and_no_groups_the_mean_test_is_student_s():
    values = np.random.default_rng(0).normal(0.3, 1.0, 30)
    assert mean_test(values, np.arange(30), np.zeros(30, int)) == pytest.approx(ttest_1samp(values, 0).pvalue, rel=1e-4)


def test_clips_of_one_group_are_one_value_to_the_mean_test():
    values = np.random.default_rng(0).normal(0.3, 1.0, 30)
    groups = np.arange(150) // 5
    once = mean_test(values, np.arange(30), np.zeros(30, int))
    assert mean_test(np.repeat(values, 5), groups, np.zeros(150, int)) == pytest.approx(once, rel=1e-4)


def test_the_same_answers_from_more_trainings_are_no_more_evidence():
    values = np.random.default_rng(0).normal(0.3, 1.0, 30)
    once = mean_test(values, np.arange(30), np.zeros(30, int))
    again = mean_test(np.tile(values, 4), np.tile(np.arange(30), 4), np.arange(120) // 30)
    assert again == pytest.approx(once, rel=1e-4)


def test_trainings_that_disagree_weaken_what_the_clips_say():
    agree, disagree = np.full((4, 100), 0.2), np.tile([[0.6], [0.5], [-0.2], [-0.1]], (1, 100))
    noise = np.random.default_rng(0).normal(0, 0.3, 100)
    groups, trainings = np.tile(np.arange(100), 4), np.arange(400) // 100
    assert mean_test((agree + noise).ravel(), groups, trainings) < 1e-6
    assert mean_test((disagree + noise).ravel(), groups, trainings) > 0.2


def test_one_group_proves_nothing_and_no_difference_is_none():
    assert mean_test(np.ones(9), np.zeros(9, int), np.zeros(9, int)) == 1.0
    assert mean_test(np.array([0.5, -0.5]), np.arange(2), np.zeros(2, int)) == 1.0
    assert mean_test(np.ones(9), np.arange(9), np.zeros(9, int)) == pytest.approx(2 / 2**9)
    assert mean_test(np.ones(2), np.arange(2), np.zeros(2, int)) == pytest.approx(0.5)


@pytest.mark.parametrize("num", [1, 2, 3, 8, 20])
def test_the_adjustment_is_that_of_statsmodels(num: int):
    # A few sets, not hypothesis's hundred: each call of statsmodels collects garbage, half a second in a large process.
    p_values = np.round(np.random.default_rng(num).uniform(0, 0.2, num), 2).tolist()  # rounded, so that some are equal
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())


@pytest.mark.parametrize(("num_trainings", "spread"), [(1, 0.0), (2, 1.0), (4, 0.0), (4, 0.5), (4, 2.0)])
def test_the_mean_test_is_wrong_at_most_as_often_as_it_says(num_trainings: int, spread: float):
    generator = np.random.default_rng(5)
    groups = np.tile(np.arange(40) // 2, num_trainings)
    trainings = np.arange(40 * num_trainings) // 40
    false = 0
    for _ in range(400):
        of_group = np.repeat(generator.normal(0, 1, 20), 2)
        of_training = spread * generator.normal(0, 0.5, num_trainings)
        values = of_group + of_training[:, None] + generator.normal(0, 0.5, (num_trainings, 40))
        false += mean_test(values.ravel(), groups, trainings) < 0.05
    assert false / 400 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_trainings_that_agree_reach_nowhere_and_others_as_far_as_student_s_t():
    trainings = np.repeat(np.arange(4), 50)
    assert training_margin(np.full(200, 0.25), trainings) == 0
    assert training_margin(np.arange(50.0), np.zeros(50, int)) == 0
    means = np.array([0.1, 0.2, 0.3, 0.8])
    low, high = ttest_1samp(means, 0).confidence_interval(0.95)
    assert training_margin(np.repeat(means, 50), trainings) == pytest.approx((high - low) / 2)


def test_groups_that_agree_are_not_taken_for_certain():
    low, high = share_interval(np.arange(40) % 4 > 0, np.zeros(40, int))
    assert low < 0.3
    assert high > 0.95
