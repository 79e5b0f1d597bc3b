import pytest
import torch

from auricle.config import TrainingConfig, load_preset
from auricle.model.classifier import build_model
from auricle.training.optimise import WeightAverage, build_optimizer, learning_rate_at


def test_the_rate_rises_through_the_warm_up_then_falls_to_zero() -> None:
    config = TrainingConfig(epochs=20, warmup_epochs=5, learning_rate=1.0)
    rates = [learning_rate_at(step, config, steps_per_epoch=10) for step in range(200)]
    assert rates[:50] == sorted(rates[:50])
    assert rates[49:] == sorted(rates[49:], reverse=True)
    assert max(rates) == pytest.approx(1.0)
    assert 0 < rates[-1] < 0.001


def test_a_constant_schedule_is_constant_after_the_warm_up() -> None:
    config = TrainingConfig(schedule="constant", warmup_epochs=0, learning_rate=0.05)
    assert {learning_rate_at(step, config, steps_per_epoch=3) for step in range(50)} == {0.05}


@pytest.mark.parametrize(("name", "kind"), [("adam", "Adam"), ("adamw", "AdamW"), ("sgd", "SGD")])
def test_the_optimiser_is_the_one_named(name: str, kind: str) -> None:
    model = build_model(load_preset("cnn"), 3)
    assert type(build_optimizer(model, TrainingConfig(optimizer=name), torch.float32)).__name__ == kind


def test_decay_touches_kernels_and_matrices_and_nothing_else() -> None:
    model = build_model(load_preset("transformer-h2", {"encoder.positions": "learned"}), 3)
    decayed, others = build_optimizer(model, TrainingConfig(weight_decay=0.1), torch.float32).param_groups
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0)
    assert all(p.ndim > 1 for p in decayed["params"])
    assert len(decayed["params"]) + len(others["params"]) == len(list(model.parameters()))
    names = {id(p): name for name, p in model.named_parameters()}
    kept = {names[id(p)] for p in others["params"]}
    assert {"summary.cls", "summary.positions", "summary.norm.weight", "head.0.bias"} <= kept


def test_the_average_lies_between_the_old_weights_and_the_new() -> None:
    model = build_model(load_preset("cnn"), 3)
    average = WeightAverage(model, decay=0.5)
    before = model.head[-1].bias.detach().clone()
    with torch.no_grad():
        model.head[-1].bias += 1
    average.update(step=1000)
    torch.testing.assert_close(average.model.head[-1].bias, before + 0.5)


def test_the_average_of_weights_that_stay_is_those_weights() -> None:
    model = build_model(load_preset("cnn"), 3)
    average = WeightAverage(model, decay=0.99)
    for step in range(1, 20):
        average.update(step)
    for mine, theirs in zip(average.model.state_dict().values(), model.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, theirs)
