from dataclasses import replace

import numpy as np
import pytest

from auricle.findings.study import Study
from auricle.findings.trainings import read_curves
from auricle.report.chapters.why import reads_as


@pytest.fixture
def cells(esc10: Study):
    """Return a function that gives cells the histories of some curves."""

    def made(train, validation, loss, *, epochs: int = 50):
        found = []
        for shift, cell in enumerate(esc10.of("cnn", "k-fold")):
            share = np.linspace(0, 1, epochs)
            history = tuple(
                {"epoch": epoch + 1, "train_accuracy": train(x), "validation_accuracy": validation(x) - 0.002 * shift,
                 "validation_loss": loss(x)}
                for epoch, x in enumerate(share)
            )  # fmt: skip
            found.append(replace(cell, history=history))
        return found

    return made


def test_a_wide_gap_reads_as_overfitting(cells):
    reading = read_curves(cells(lambda x: 1.0, lambda x: 0.8, lambda x: 1.0))
    assert reading.gap == pytest.approx(0.203)
    assert reading.interval[0] < reading.gap < reading.interval[1]
    assert reads_as(reading) == "overfits; its loss has plateaued"


def test_a_network_that_misses_its_own_training_clips_underfits(cells):
    reading = read_curves(cells(lambda x: 0.6, lambda x: 0.6, lambda x: 2.0 - 1.5 * x))
    assert (reading.underfits, reading.has_gap, reading.past_best, reading.still_falls) == (True, False, False, True)
    assert (
        reads_as(reading).replace("\xa0", " ")
        == "underfits: a training accuracy of 60.0 %; its loss is still falling at the end"
    )


def test_a_loss_that_rises_again_is_past_its_best(cells):
    reading = read_curves(cells(lambda x: 0.95, lambda x: 0.95, lambda x: 1.0 + (x - 0.4) ** 2))
    assert reads_as(reading) == "past its best: the loss has risen by 31 %"
    assert reading.lowest == pytest.approx(23, abs=2)


def test_a_gap_of_one_cell_is_not_called_more_than_that(cells):
    reading = read_curves(cells(lambda x: 1.0, lambda x: 0.8, lambda x: 1.0)[:1])
    assert reading.interval is None
    assert reads_as(reading).startswith("a gap of 20.0 points, from one cell")


def test_short_curves_and_those_without_validation_are_not_read(cells):
    assert read_curves(cells(lambda x: 1.0, lambda x: 1.0, lambda x: 1.0, epochs=3)) is None
    bare = [replace(cell, history=({"epoch": 1, "train_accuracy": 1.0},) * 20) for cell in cells(*[lambda x: 1.0] * 3)]
    assert read_curves(bare) is None


def test_the_epochs_of_the_base_alone_are_not_compared_with_those_of_the_network(cells):
    """Ten epochs of the base alone end lower than the whole network begins."""
    reading = read_curves(cells(lambda x: 1.0, lambda x: 0.9, lambda x: 0.1 if x < 0.2 else 2.0 - x), 0.2)
    assert (reading.lowest, reading.rise) == (50, 1.0)
    assert reading.still_falls


def test_the_encoder_joins_where_it_did_in_a_training_that_its_steps_cut_short(cells):
    whole = cells(lambda x: x, lambda x: x, lambda x: 1.0, epochs=10)
    cut = [
        replace(cell, history=tuple({**epoch, "steps": 10 if epoch["epoch"] < 10 else 5} for epoch in cell.history))
        for cell in whole
    ]
    alone = int(0.52 * 95 / 10)  # as `training.optimise.epochs_alone` says
    assert alone == 4 < int(0.52 * 10)
    expected = np.mean([cell.history[alone - 1]["validation_accuracy"] for cell in cut])
    assert read_curves(cut, 0.52).base_alone == pytest.approx(expected)
