import numpy as np
import pytest
from scipy.stats import binomtest, t

from auricle.report.effects import Effect, adjusted, cost, effect, interval_over


def differences(num_worse: int, num_better: int, num: int = 80) -> dict[str, float]:
    values = [1.0] * num_worse + [-1.0] * num_better + [0.0] * (num - num_worse - num_better)
    return {f"{place}.wav": value for place, value in enumerate(values)}


def plain(words: str) -> str:
    return words.replace("\xa0", " ")


def test_a_clear_loss_is_shown_with_its_interval():
    one = effect(differences(30, 1), {})
    assert one.shown
    assert one.mean == pytest.approx(29 / 80)
    assert one.p == pytest.approx(binomtest(30, 31).pvalue)
    assert plain(cost({"cnn": one})).startswith("It costs: cnn 36.2 points (")


def test_a_small_loss_is_said_to_be_none_that_the_data_can_show():
    one = effect(differences(6, 3), {})
    assert not one.shown
    assert plain(cost({"cnn": one})).startswith("No loss that these data can show: cnn 3.8 points (")


def test_a_gain_is_told_as_one_with_its_interval_turned():
    words = plain(cost({"cnn": Effect(-0.2, -0.3, -0.1, 80, 0.001)}))
    assert words == "It gains: cnn 20.0 points (10.0 to 30.0)."


def test_models_are_told_apart_in_one_text():
    words = cost({"cnn": Effect(0.2, 0.1, 0.3, 80, 0.001), "tiny": Effect(0.01, -0.1, 0.1, 80, 1.0)})
    assert words == (
        "It costs: cnn 20.0 points (10.0 to 30.0). No loss that these data can show: tiny 1.0 points (−10.0 to 10.0)."
    )


def test_clips_of_one_group_count_as_one_and_widen_the_interval():
    apart = effect(differences(20, 0), {})
    alike = effect(differences(20, 0), {f"{place}.wav": str(place // 20) for place in range(80)})
    assert alike.high - alike.low > 1.5 * (apart.high - apart.low)


def test_many_questions_make_one_answer_weaker():
    one = effect(differences(7, 0), {})
    assert one.shown
    assert not adjusted(dict.fromkeys(range(10), one))[0].shown


def test_no_difference_at_all_is_no_loss():
    one = effect(differences(0, 0), {})
    assert (one.mean, one.low, one.high, one.p) == (0, 0, 0, 1)
    assert not one.shown


def test_the_interval_over_cells_is_students():
    values = [0.1, 0.15, 0.3, 0.05]
    low, high = t.interval(0.95, 3, np.mean(values), np.std(values, ddof=1) / 2)
    assert interval_over(values) == pytest.approx((low, high))
    assert interval_over([0.1]) is None
