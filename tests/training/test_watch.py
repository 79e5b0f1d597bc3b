import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auricle.config import TrainingConfig
from auricle.training.watch import MEANINGS, STREAK, Watch, standing

LABELS = np.repeat(np.arange(10), 24)


def watch(epochs: int = 100, warmup: float = 5.0) -> Watch:
    return Watch.over(LABELS, TrainingConfig(epochs=epochs, warmup_epochs=warmup), len(LABELS))


def epoch(loss: float = 2.3, accuracy: float = 0.1, commonest: float = 0.3, spread: float = 1.0) -> dict:
    return {
        "train_loss": loss, "train_accuracy": accuracy, "train_commonest": commonest, "train_spread": spread,
        "validation_commonest": commonest,
    }  # fmt: skip


HEALTHY = epoch(loss=1.0, accuracy=0.6)


def told(over: Watch, history: list[dict]) -> list[tuple[int, str]]:
    """Live through a history, writing down what `fit` would."""
    seen = []
    for place, record in enumerate(history):
        news = over.news(history[: place + 1])
        if news == "recovered":
            record["recovered"] = True
        elif news:
            record["collapse"] = {"kind": news, "epoch": place + 1}
        if news:
            seen.append((place + 1, news))
    return seen


@pytest.mark.parametrize(
    ("sign", "kind"),
    [
        (epoch(spread=0.001, commonest=1.0), "constant"),
        (epoch(commonest=1.0), "one-class"),
        (epoch(loss=1.9), "chance"),
        (epoch(accuracy=0.16), "starting-loss"),
    ],
)
def test_each_kind_of_collapse_is_told_once_at_a_tenth_of_the_epochs(sign, kind):
    assert told(watch(), [dict(sign) for _ in range(100)]) == [(10, kind)]


def test_a_healthy_training_is_near_chance_at_first_and_nothing_is_said():
    assert told(watch(), [epoch() for _ in range(8)] + [dict(HEALTHY) for _ in range(92)]) == []


def test_nothing_is_said_before_the_warm_up_is_over():
    assert watch(epochs=30, warmup=12).first_epoch == 12 + STREAK


def test_a_training_of_few_epochs_is_never_flagged():
    assert told(watch(epochs=STREAK - 1), [epoch(commonest=1.0, spread=0) for _ in range(STREAK - 1)]) == []


def test_one_good_epoch_in_five_is_enough_to_say_nothing():
    history = [dict(HEALTHY) if place % STREAK == 0 else epoch(commonest=1.0) for place in range(100)]
    assert told(watch(), history) == []


def test_a_collapse_after_a_good_start_is_found():
    assert told(watch(), [dict(HEALTHY) for _ in range(40)] + [epoch(commonest=1.0) for _ in range(10)]) == [
        (40 + STREAK, "one-class")
    ]


def test_a_graver_collapse_is_told_and_a_milder_one_is_not():
    mild, grave = epoch(loss=1.9), epoch(loss=1.9, spread=0.0, commonest=1.0)
    history = [dict(mild) for _ in range(12)] + [dict(grave) for _ in range(8)] + [dict(mild) for _ in range(20)]
    assert told(watch(), history) == [(10, "chance"), (12 + STREAK, "constant")]


def test_a_training_that_learns_after_all_has_recovered():
    history = [epoch(commonest=1.0) for _ in range(20)] + [dict(HEALTHY) for _ in range(20)]
    assert told(watch(), history) == [(10, "one-class"), (20 + STREAK, "recovered")]
    assert standing(history[:20]) == {"kind": "one-class", "epoch": 10}
    assert standing(history) is None


def test_a_loss_that_fell_once_has_left_its_start():
    history = [epoch(loss=1.9, accuracy=0.3)] + [epoch(accuracy=0.3) for _ in range(20)]
    assert told(watch(), history) == []


def test_a_training_that_falls_back_to_guessing_has_collapsed():
    history = [dict(HEALTHY) for _ in range(40)] + [epoch(loss=2.29, accuracy=0.16) for _ in range(10)]
    assert told(watch(), history) == [(40 + STREAK, "guessing")]


def test_histories_without_answers_are_judged_by_loss_and_accuracy():
    old = {"train_loss": 2.3, "train_accuracy": 0.1}
    assert told(watch(), [dict(old) for _ in range(20)]) == [(10, "chance")]


def test_chance_is_the_exact_binomial_test():
    from scipy.stats import binomtest

    for right in (0, 24, 33, 40, 240):
        expected = binomtest(right, 240, 0.1, alternative="greater").pvalue
        assert watch().p_chance(right / 240) == pytest.approx(expected)


def test_where_classes_are_balanced_one_answer_is_a_collapse_however_common_its_class():
    over = Watch.over(np.array([0] * 99 + [1]), TrainingConfig(epochs=10), 100)
    assert (over.chance, over.blank_loss) == (0.5, pytest.approx(np.log(2)))
    assert "one-class" in over.signs(epoch(commonest=1.0))


def test_where_nearly_all_clips_are_of_one_class_one_answer_is_no_collapse():
    over = Watch.over(np.array([0] * 99 + [1]), TrainingConfig(epochs=10, balance="none"), 100)
    assert "one-class" not in over.signs(epoch(commonest=1.0))


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 1), st.floats(0.1, 1), st.floats(0, 3)), max_size=60))
def test_what_is_told_gets_graver_until_a_recovery(numbers):
    history = [epoch(*values) for values in numbers]
    ranks = [len(MEANINGS)]
    for place, news in told(watch(), history):
        assert place >= watch().first_epoch
        if news == "recovered":
            ranks = [len(MEANINGS)]
        else:
            ranks.append(list(MEANINGS).index(news))
            assert ranks[-1] < ranks[-2]


def test_chance_is_judged_by_the_clips_on_which_accuracy_is_measured():
    labels, config = np.repeat(np.arange(10), 10_000), TrainingConfig(epochs=100, warmup_epochs=5)
    assert Watch.over(labels, config, len(labels)).p_chance(0.105) < 1e-6
    assert Watch.over(labels, config, 2_048).p_chance(0.105) > 0.2
