import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from auricle.findings.scores import accuracy_of, comparative, deviation, network_rows, weighted_mean
from auricle.findings.study import Study, load_study
from auricle.scoring.metrics import score
from auricle.scoring.statistics import share_interval


def test_a_row_is_the_mean_over_the_cells_of_a_model_and_protocol(esc10_study: Path, esc10: Study):
    rows = {(row.model, row.protocol): row for row in comparative(esc10_study)}
    assert len(rows) == 8
    row = rows["cnn", "k-fold"]
    cells = esc10.of("cnn", "k-fold")
    accuracies = [cell.test["clip"]["accuracy"] for cell in cells]
    mean = sum(accuracies) / 4
    assert row.accuracy == pytest.approx(mean)
    assert row.accuracy_sd == row.fold_sd == pytest.approx(math.sqrt(sum((a - mean) ** 2 for a in accuracies) / 3))
    assert (row.accuracy_min, row.accuracy_max) == (min(accuracies), max(accuracies))
    assert row.macro_f1 == pytest.approx(sum(cell.test["clip"]["macro_f1"] for cell in cells) / 4)
    assert (row.cells, row.cells_planned) == (4, 4)
    assert row.minutes == pytest.approx(sum(cell.costs["seconds"] for cell in cells) / 240)


def test_the_interval_counts_each_test_clip_once_however_often_it_was_scored(esc10: Study):
    row = next(row for row in network_rows(esc10, "k-fold"))
    answers = esc10.answers["k-fold"]
    assert (row.test_clips, row.test_groups) == (80, 40)
    assert (row.accuracy_low, row.accuracy_high) == share_interval(answers.shares[0], answers.groups)


def test_one_cell_has_no_spread(esc10: Study):
    row = network_rows(esc10, "test-split")[0]
    assert (row.accuracy_sd, row.macro_f1_sd, row.loss_sd, row.fold_sd, row.seed_sd) == (None,) * 5


def test_the_spread_over_seeds_is_that_over_the_folds_that_all_of_them_have(make_study):
    folder = make_study(
        categories=("cat", "dog", "owl"), models=("cnn",), protocols=("official",), seeds=(0, 1), num_folds=4,
        epochs=1, clip_s=0.1, unstarted=[f"cnn/official-{fold}-1" for fold in (2, 3, 4)],
    )  # fmt: skip
    study = load_study(folder)
    (row,), of_cell = (
        network_rows(study, "official"),
        {cell.name: cell.test["clip"]["accuracy"] for cell in study.cells},
    )
    in_first = [share for name, share in of_cell.items() if name.fold == 1]
    of_seed_0 = [share for name, share in of_cell.items() if name.seed == 0]
    assert row.seed_sd == pytest.approx(deviation(in_first))
    assert row.fold_sd == pytest.approx(deviation(of_seed_0))
    apart = replace(study, cells=tuple(cell for cell in study.cells if cell.name.fold - cell.name.seed in (0, 2)))
    assert {(cell.name.fold, cell.name.seed) for cell in apart.cells} == {(1, 1), (2, 0)}
    (row,) = network_rows(apart, "official")
    assert (row.seed_sd, row.fold_sd) == (None, None)


def test_rows_stand_by_protocol_and_model_in_the_order_of_the_study(esc10_study: Path):
    rows = comparative(esc10_study)
    assert [row.protocol for row in rows] == ["test-split"] * 4 + ["k-fold"] * 4
    assert [row.model for row in rows[:4]] == ["cnn", "transformer-h1", "transformer-h2", "transformer-h4"]


def test_a_mean_of_unknown_values_is_unknown():
    assert weighted_mean([None, None], [1.0, 1.0]) is None
    assert weighted_mean([0.5, None], [1.0, 3.0]) == 0.5
    assert weighted_mean([0.0, 1.0], [1.0, 3.0]) == 0.75
    assert deviation([None, 0.5]) is None
    assert deviation([0.4, None, 0.6]) == pytest.approx(math.sqrt(0.02))


def test_a_class_that_is_only_predicted_does_not_lower_balanced_accuracy():
    study = SimpleNamespace(dataset=SimpleNamespace(imbalance="9 to 90 clips", scored=("cat", "dog", "owl")))
    scores = score(np.eye(3)[[0, 2, 1, 1]], np.array([0, 0, 1, 1]), ("cat", "dog", "owl"))
    assert accuracy_of({"clip": scores}, study) == 0.75
    assert scores["macro_recall"] == 0.5
