"""Trainings that collapse within seconds, and what is said of them."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from auricle import runs
from auricle.runs import Cell, CellName, StudyFolder
from auricle.training.causes import Case, likely_cause
from auricle.training.diagnose import changed, diagnose
from auricle.training.evaluate import curve_point
from auricle.training.fit import fit_cell
from auricle.training.loop import train_epoch
from auricle.training.measure import FirstSteps, Inside, inside, measure
from auricle.training.start import prepare_training
from auricle.training.watch import MEANINGS

RASH = {"optimizer": "adam", "learning_rate": 0.5, "warmup_epochs": 0, "gradient_clip": 0, "schedule": "constant",
        "weight_decay": 0, "epochs": 8}  # fmt: skip
CALM = FirstSteps((1.1,), (1.0,), (0.01,), 8, diverged=False)
AWAKE = Inside(0.0, None, None, 1.0, 1.0)


def cell_in(folder) -> Cell:
    return StudyFolder(folder).cell(CellName("tiny", "test-split", 2, 0))


def rash(tiny, *, encoder: bool, **training):
    preset = tiny(encoder=encoder, **{**RASH, **training})
    return changed(preset, ["encoder.norm=post", "encoder.final_norm=false"]) if encoder else preset


@pytest.mark.parametrize("encoder", [False, True], ids=["cnn", "post-norm transformer"])
def test_a_rash_adam_collapses_and_is_said_to_while_it_runs(tmp_path, recordings, split, encoder, tiny) -> None:
    cell, heard = cell_in(tmp_path), []
    fit_cell(cell, rash(tiny, encoder=encoder), recordings, split, device="cpu", threads=1, on_epoch=heard.append)
    found = next(record["collapse"] for record in heard if "collapse" in record)
    assert found["kind"] in MEANINGS
    assert found["epoch"] == 5
    assert found["cause"].startswith("learning rate 0.5 with no warm-up is too high")
    assert found["cures"][0][0].startswith("training.learning_rate=0.0")
    assert (["encoder.norm=pre"] in found["cures"]) == encoder
    assert max(found["evidence"]["step_sizes"]) > 0.5
    assert json.loads(cell.metrics.read_text())["collapse"]["kind"] in MEANINGS
    assert runs.read_history(cell) == heard


@pytest.mark.parametrize("encoder", [False, True])
def test_a_training_that_learns_is_not_flagged(tmp_path, recordings, split, encoder, tiny) -> None:
    cell = cell_in(tmp_path)
    fit_cell(cell, tiny(encoder=encoder, epochs=12), recordings, split, device="cpu", threads=1)
    assert not any("collapse" in record for record in runs.read_history(cell))
    assert json.loads(cell.metrics.read_text())["collapse"] is None


def test_a_rate_that_is_too_low_is_named_with_a_higher_one(tmp_path, recordings, split, tiny) -> None:
    cell = cell_in(tmp_path)
    preset = tiny(encoder=True, **{**RASH, "optimizer": "sgd", "learning_rate": 1e-5})
    fit_cell(cell, preset, recordings, split, device="cpu", threads=1)
    found = json.loads(cell.metrics.read_text())["collapse"]
    assert found["cause"].startswith("learning rate 1e-05 is too low for sgd")
    assert float(found["cures"][0][0].partition("=")[2]) > 1e-5


def test_a_collapse_is_told_once_though_the_training_is_interrupted(tmp_path, recordings, split, tiny) -> None:
    whole, broken = cell_in(tmp_path / "whole"), cell_in(tmp_path / "broken")
    preset = rash(tiny, encoder=False)
    fit_cell(whole, preset, recordings, split, device="cpu", threads=1)

    def interrupt(record: dict) -> None:
        if record["epoch"] == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_cell(broken, preset, recordings, split, device="cpu", threads=1, on_epoch=interrupt)
    fit_cell(broken, preset, recordings, split, device="cpu", threads=1)
    histories = [
        [{k: v for k, v in record.items() if not k.endswith("seconds")} for record in runs.read_history(cell)]
        for cell in (whole, broken)
    ]
    assert histories[0] == histories[1]


def begun(preset, recordings, split):
    trainer, sets = prepare_training(preset, recordings, split, 0, torch.device("cpu"))
    return trainer, sets.clips(split.train), sets.fullest(split.train)


def test_measuring_begins_the_same_training_again_and_leaves_it_alone(recordings, split, tiny) -> None:
    preset = tiny(encoder=True, epochs=2)
    trainer, clips, windows = begun(preset, recordings, split)
    norms = [float(step.gradient_norm) for step in train_epoch(trainer, clips, 0)]
    weights, place = [p.clone() for p in trainer.model.parameters()], torch.get_rng_state()
    start, _ = measure(trainer, clips, windows, 0)
    assert list(start.gradient_norms[: len(norms)]) == pytest.approx(norms, rel=1e-4)
    assert start.steps_per_epoch == len(norms) == 4
    assert len(start.step_sizes) == 8
    assert all(torch.equal(*pair) for pair in zip(weights, trainer.model.parameters(), strict=True))
    assert torch.equal(place, torch.get_rng_state())


def test_step_sizes_are_those_at_the_full_rate_though_the_warm_up_holds_it_back(recordings, split, tiny) -> None:
    sizes = []
    for warmup in (0, 4):
        trainer, clips, windows = begun(
            tiny(optimizer="adam", warmup_epochs=warmup, epochs=8, schedule="constant"), recordings, split
        )
        sizes.append(measure(trainer, clips, windows, 0)[0].step_sizes[0])
    assert sizes[0] == pytest.approx(sizes[1], rel=1e-3)


def test_units_that_are_zero_for_every_window_are_counted_as_dead(recordings, split, tiny) -> None:
    trainer, _, windows = begun(tiny(), recordings, split)
    norm = trainer.model.base[0].convolutions[0][1]
    assert isinstance(norm, nn.BatchNorm2d)
    with torch.no_grad():
        norm.weight[:3] = 0
        norm.bias[:3] = -1
    found = inside(trainer.model, windows.frames)
    assert found.dead_layer == "base.0.convolutions.0.2"
    assert found.dead_units == pytest.approx(3 / 6)
    assert found.attention_entropy is None


def test_sharp_attention_has_no_entropy_and_even_attention_all_of_it(recordings, split, tiny) -> None:
    trainer, _, windows = begun(tiny(encoder=True), recordings, split)
    attention = trainer.model.summary.blocks[0].attention
    entropies = []
    for scale in (0.0, 1e4):
        with torch.no_grad():
            attention.query.weight.copy_(scale * torch.randn(attention.query.weight.shape))
            attention.query.bias.zero_()
        entropies.append(inside(trainer.model, windows.frames).attention_entropy)
    assert entropies[0] == pytest.approx(1, abs=1e-4)
    assert entropies[1] < 0.1


def test_a_network_that_does_not_hear_has_no_spread(recordings, split, tiny) -> None:
    trainer, _, windows = begun(tiny(), recordings, split)
    with torch.no_grad():
        for weight in trainer.model.base[-1].parameters():
            weight.zero_()
    assert inside(trainer.model, windows.frames).summary_spread == 0
    point = curve_point(trainer.model, windows, trainer.precision)
    assert point["spread"] == 0
    assert point["commonest"] == 1
    assert math.isfinite(point["loss"])


@pytest.mark.parametrize(
    ("change", "start", "words", "cure"),
    [
        ({}, {"step_sizes": (0.02, 0.4)}, "by 40 % of its norm", "training.learning_rate=0.0003"),
        ({"learning_rate": 1e-4}, {"step_sizes": (1e-5,)}, "is too low", "training.learning_rate=0.01"),
        ({"gradient_clip": 0}, {"gradient_norms": (90.0,)}, "reaches 90", "training.gradient_clip=1"),
        ({}, {"gradient_norms": (1e-9,)}, "vanishing gradients", "training.learning_rate=0.1"),
        ({}, {}, "nothing unusual", "training.learning_rate=0.001"),
        ({}, {"diverged": True}, "is too high", "training.learning_rate=0.001"),
    ],
)
def test_the_cause_is_the_one_that_the_numbers_show(tiny, change, start, words, cure) -> None:
    preset = tiny(epochs=100, **change)
    found = likely_cause(Case(preset, replace(CALM, **start), AWAKE))
    assert words in found.text
    assert found.cures[0] == (cure,)


def test_post_norm_without_warm_up_is_a_cause_and_pre_norm_its_cure(tiny) -> None:
    preset = changed(tiny(encoder=True, epochs=100, warmup_epochs=0), ["encoder.norm=post"])
    found = likely_cause(Case(preset, CALM, AWAKE))
    assert "post-norm" in found.text
    assert found.cures == (("encoder.norm=pre",), ("training.warmup_epochs=5",))
    short = changed(preset, ["training.warmup_epochs=1"])
    assert "with a warm-up of 1 epoch: the" in likely_cause(Case(short, CALM, AWAKE)).text


def test_with_muon_both_rates_are_lowered(tiny) -> None:
    preset = tiny(optimizer="muon", matrix_learning_rate=0.2, epochs=100)
    found = likely_cause(Case(preset, replace(CALM, step_sizes=(1.0,)), AWAKE))
    assert found.cures[0] == ("training.learning_rate=0.0001", "training.matrix_learning_rate=0.002")


def test_what_became_of_the_network_is_added_to_the_cause(tiny) -> None:
    now = Inside(0.75, "base.1", 0.05, 0.5, 0.0001)
    words = likely_cause(Case(tiny(), CALM, now)).text
    for shown in ("75 % of the units of base.1 are dead", "attention is saturated (entropy 5 %", "by only 0.01 %"):
        assert shown in words


def test_the_cures_are_tried_and_the_lower_rate_learns(recordings, split, tiny) -> None:
    told = []
    preset = rash(tiny, encoder=False)
    found = diagnose(preset, recordings, split, seed=0, device="cpu", epochs=12, on_trial=told.append)
    as_it_is, lower, *others = found.trials
    assert told == [trial.change for trial in found.trials]
    assert not as_it_is.learns
    assert lower.change[0].startswith("training.learning_rate")
    assert lower.learns
    assert lower.loss < as_it_is.loss
    assert others


def test_where_a_training_learns_nothing_is_cured(recordings, split, tiny) -> None:
    found = diagnose(tiny(epochs=40), recordings, split, seed=0, device="cpu", epochs=15)
    assert found.cause is None
    assert [trial.change for trial in found.trials] == [()]


def test_a_recorded_cause_is_taken_as_it_is(recordings, split, tiny) -> None:
    recorded = {"cause": "a full moon", "cures": [["training.views=4"]]}
    found = diagnose(tiny(), recordings, split, seed=0, device="cpu", epochs=1, collapse=recorded)
    assert found.cause == "a full moon"
    assert [trial.change for trial in found.trials] == [(), ("training.views=4",)]


def test_the_answers_of_a_curve_point_are_shares(recordings, split, tiny) -> None:
    trainer, _, windows = begun(tiny(), recordings, split)
    point = curve_point(trainer.model, windows, trainer.precision)
    assert 1 / 3 <= point["commonest"] <= 1
    assert point["spread"] > 0
    assert np.isfinite([point["loss"], point["spread"]]).all()


def test_few_steps_are_named_before_a_rate_and_the_cure_is_more_of_them(tiny) -> None:
    found = likely_cause(Case(tiny(epochs=4), replace(CALM, steps_per_epoch=3), AWAKE))
    assert found.text.startswith("only 12 training steps, too few to learn")
    assert found.cures[0] == ("training.epochs=67",)
    for epochs, cure in ((100, ()), (4, ("training.epochs=67",))):
        found = likely_cause(Case(tiny(epochs=epochs, max_steps=9), replace(CALM, steps_per_epoch=3), AWAKE))
        assert found.text.startswith("only 9 training steps, too few to learn")
        assert found.cures[0] == (*cure, "training.max_steps=200")


def test_a_rate_that_moves_the_weights_as_usual_is_never_called_too_low(tiny) -> None:
    for steps_per_epoch in (1, 3, 100):
        found = likely_cause(Case(tiny(epochs=4), replace(CALM, steps_per_epoch=steps_per_epoch), AWAKE))
        assert "too low" not in found.text


def test_more_epochs_as_a_cure_are_tried_as_many(recordings, split, tiny) -> None:
    preset = tiny(epochs=2)
    collapse = {"cause": "few steps", "cures": [["training.epochs=5"], ["training.learning_rate=0.1"]]}
    found = diagnose(preset, recordings, split, seed=0, device="cpu", collapse=collapse)
    assert [trial.epochs for trial in found.trials] == [1, 5, 1]
