from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from auricle import files, runs
from auricle.findings.reference import Reason, Verdict, beside_reports, claims, measure
from auricle.findings.scores import ComparativeRow, network_rows
from auricle.findings.study import Study
from auricle.report.chapters.against_others import reported
from auricle.report.document import Bullets, Report, blocks_of
from auricle.report.results_page import write_results_section
from auricle.report.table import Table, show
from auricle.runs import StudyFolder
from auricle.scoring.predictions import read_predictions
from auricle.scoring.statistics import share_interval
from report_text import plain, report_of, sections, tables

RECORDED = {"kind": "one-class", "epoch": 3, "cause": "learning rate 0.05 is too high", "cures": [["a.b=1"]]}
MODELS = (
    "report-a-cnn",
    "report-a-cnn-adam-0.05",
    "report-b-cnn",
    "report-c-transformer-h2",
    "report-a-cnn-own-recipe",
    "report-c-transformer-h4-20-epochs",
)


@pytest.fixture(scope="module")
def report(make_study: Callable[..., Path]) -> Report:
    return report_of(
        make_study(
            models=MODELS, protocols=("k-fold", "random"), epochs=3, clip_s=0.1, leaky_protocols=("random",),
            skill={"report-a-cnn": 4.0, "report-a-cnn-adam-0.05": None, "report-b-cnn": 0.0,
                   "report-c-transformer-h2": None},
            training={"report-a-cnn-adam-0.05": {"optimizer": "adam", "learning_rate": 0.05},
                      "report-c-transformer-h4-20-epochs": {"optimizer": "adam", "epochs": 20}},
            collapse={"report-a-cnn-adam-0.05": RECORDED, "report-c-transformer-h2": RECORDED},
            unstarted=[f"report-b-cnn/random-{fold}-0" for fold in (1, 2, 3, 4)],
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def study(report: Report) -> Study:
    return report.study


@pytest.fixture(scope="module")
def table(report: Report) -> Table:
    return tables(sections(reported, report))["table-reported"]


def rows_of(table: Table, group: str, **wanted: str) -> list[dict[str, str]]:
    title = next(title for title in table.groups if title.startswith(group))
    shown = [
        {column.key: plain((show(value, column.kind),)) for column, value in zip(table.columns, row, strict=True)}
        for row in table.groups[title]
    ]
    return [row for row in shown if all(row[key] == value for key, value in wanted.items())]


def row_of(report: Report, model: str) -> ComparativeRow:
    return next(row for row in report.findings.main.rows if row.model == model)


def test_every_figure_of_the_four_reports_is_there_as_printed():
    said = {}
    for claim in claims():
        said.setdefault((claim.report, claim.model), []).append((claim.protocol, claim.test))
    assert len(said) == 16
    assert [test for _, test in said["A", "report-a-cnn"]] == ["42.50", "35.00", "31.25", "45.00"]
    assert [test for _, test in said["A", "report-a-transformer-h4"]] == ["57.50", "10.00", "15.00", "42.50"]
    assert said["B", "report-b-cnn"] == [("test-split", "54.9"), ("random", "59.75"), ("k-fold", "59.75")]
    assert said["B", "report-b-transformer-h2"] == [("test-split", "47.5"), ("random", "52.25"), ("k-fold", "52.25")]
    assert said["C", "report-c-cnn"] == [("test-split", "9.16"), ("k-fold", "42")]
    assert said["D", "report-d-transformer-h1"] == [("test-split", "10")]
    totals = {(claim.report, "cnn" in claim.model): claim.parameters for claim in claims()}
    assert totals == {
        ("A", True): 12_212, ("A", False): 98_730, ("B", True): 36_522, ("B", False): 335_402, ("C", True): 128_682,
        ("C", False): 2_607_778, ("D", True): 2_591_498, ("D", False): 48_467_946,
    }  # fmt: skip


def test_a_claim_is_about_a_preset_that_exists():
    from auricle.config import preset_names

    assert {claim.model for claim in claims()} <= set(preset_names())


def test_macro_f1_is_the_mean_of_the_classes_where_only_these_are_printed():
    (claim,) = [claim for claim in claims() if (claim.model, claim.protocol) == ("report-c-cnn", "k-fold")]
    assert claim.f1 == "0.375"


def test_a_study_without_their_models_has_no_such_chapter(esc10: Study, esc10_study: Path):
    assert beside_reports(esc10, network_rows(esc10, "k-fold")) == ()
    assert reported(report_of(esc10_study)) is None


def test_figures_of_the_reports_stand_beside_no_other_recordings(study: Study):
    rows = network_rows(study, "k-fold")
    assert beside_reports(study, rows)
    assert beside_reports(replace(study, dataset=replace(study.dataset, source="birds")), rows) == ()


def test_a_variant_is_found_by_its_optimiser_and_rate(table: Table):
    (low,) = rows_of(table, "Report A", model="CNN, 3 epochs", optimiser="Adam 0.001", protocol="k-fold")
    (high,) = rows_of(table, "Report A", model="CNN, 3 epochs †", optimiser="Adam 0.05", protocol="k-fold")
    assert (low["reported_accuracy"], low["standing"]) == ("42.50", "higher here")
    assert (high["reported_accuracy"], high["measured_accuracy"], high["standing"]) == ("35.00", "10.0", "lower here")


def test_what_was_not_run_says_so_in_its_row(table: Table):
    (row,) = rows_of(table, "Report A", model="CNN", optimiser="SGD 0.05")
    assert (row["reported_accuracy"], row["measured_accuracy"], row["standing"]) == ("45.00", "–", "not run")
    (row,) = rows_of(table, "Report B", model="CNN, 3 epochs", protocol="random (leaky)")
    assert (row["reported_accuracy"], row["standing"]) == ("59.75", "not started")


def test_a_variant_that_diverged_has_a_row(make_study: Callable[..., Path]):
    names = ("report-d-transformer-h1-1-epoch", "report-d-transformer-h1-40-steps")
    cell = f"{names[0]}/test-split-2-0"
    training = {"optimizer": "adam", "learning_rate": 0.001}
    folder = make_study(
        models=names, protocols=("test-split",), skill=dict.fromkeys(names, 0.0), epochs=1, clip_s=0.1, failed=[cell],
        training={names[0]: training, names[1]: {**training, "max_steps": 40}},
    )  # fmt: skip
    files.write_json(
        StudyFolder(folder).cell(runs.CellName.parse(cell)).error, {"cause": "diverged in epoch 1, step 42"}
    )
    table = tables(sections(reported, report_of(folder)))["table-reported"]
    (steps,) = rows_of(table, "Report D", model="T, 1 head, 40 steps")
    (epoch,) = rows_of(table, "Report D", model="T, 1 head, 1 epoch")
    assert (steps["reported_accuracy"], steps["standing"]) == ("10", "agree")
    assert (epoch["reported_accuracy"], epoch["measured_accuracy"], epoch["standing"]) == ("–", "–", "diverged")


def test_what_collapsed_there_and_here_is_said_to(table: Table):
    (row,) = rows_of(table, "Report C", model="T, 2 heads, 3 epochs †", protocol="k-fold")
    assert row["standing"] == "both collapsed"


def test_a_variant_of_fewer_epochs_stands_in_for_what_is_not_trained(table: Table):
    (row,) = rows_of(table, "Report C", model="T, 4 heads, 20 epochs", protocol="k-fold")
    assert (row["reported_accuracy"], row["standing"]) == ("10", "higher here")


def test_a_section_of_results_has_the_table_too(study: Study, table: Table, tmp_path: Path):
    write_results_section(study.folder, tmp_path / "RESULTS.md")
    lines = (tmp_path / "RESULTS.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("| Report ") and "scored per" in line]
    assert len(rows) == sum(map(len, table.groups.values()))
    assert [
        line for line in rows if line.startswith("| Report A, scored per clip | CNN | k-fold | SGD 0.05 | 45.00 | –")
    ]


def test_a_recipe_that_no_report_has_stands_without_reported_figures(table: Table):
    (row,) = rows_of(table, "Report A", optimiser="Muon 0.004", protocol="k-fold")
    assert (row["reported_accuracy"], row["standing"]) == ("–", "not reported")


def test_the_interval_is_that_of_the_comparison_for_clips(report: Report):
    row = row_of(report, "report-a-cnn")
    found = measure(report.study, row, by_window=False)
    assert (found.accuracy, found.low, found.high) == (row.accuracy, row.accuracy_low, row.accuracy_high)
    assert (found.low, found.high) == report.study.answers["k-fold"].interval("report-a-cnn")


def test_accuracy_per_window_is_that_of_the_windows_with_the_interval_of_their_clips(report: Report):
    study, row = report.study, row_of(report, "report-a-cnn")
    found = measure(study, row, by_window=True)
    shares, right = [], {}
    for cell in study.of("report-a-cnn", "k-fold"):
        windows = read_predictions(StudyFolder(study.folder).cell(cell.name).predictions).of("test")
        of_windows = windows.probabilities.argmax(1) == windows.labels
        shares.append(of_windows.mean())
        for clip, is_right in zip(windows.clips, of_windows, strict=True):
            right.setdefault(clip, []).append(is_right)
    assert found.accuracy == pytest.approx(sum(shares) / len(shares))
    assert found.best == pytest.approx(max(shares))
    groups = [sorted(set(study.dataset.groups.values())).index(study.dataset.groups[clip]) for clip in right]
    means = np.array([np.mean(values) for values in right.values()])
    assert len(set(groups)) < len(means)
    assert (found.low, found.high) == pytest.approx(share_interval(means, np.array(groups)), abs=0.01)
    assert found.low < found.accuracy < found.high


def test_each_difference_has_its_reason(report: Report):
    (bullets,) = (block for block in blocks_of(sections(reported, report)) if isinstance(block, Bullets))
    told = {plain(item).partition(".")[0]: plain(item) for item in bullets.items}
    adam = next(text for head, text in told.items() if head.startswith("report-a-cnn-adam-0"))
    assert "25.0 points lower: 4 of 4 trainings here collapsed (learning rate 0.05 is too high)" in adam
    assert "the report gives the best fold, this is the mean over folds (the best: 10.0 %); what the report" in adam
    assert "let clips of one recording stand on both sides, these do not" in told["report-b-cnn, k-fold"]
    assert "Collapsed there and here" in told["report-c-transformer-h2, k-fold"]
    assert "36,522 parameters reported, 436,314 counted" not in told["report-a-cnn, k-fold"]
    assert "12,212 parameters reported, 436,314 counted." in told["report-a-cnn, k-fold"]


def test_a_collapse_that_passed_is_told(report: Report):
    rows = report.findings.reference
    (row,) = [one for one in rows if one.claim and (one.preset, one.protocol) == ("report-c-transformer-h4", "k-fold")]
    assert (row.verdict, row.reasons) == (Verdict.HIGHER, (Reason.COLLAPSED_THERE,))
    for recovered, words in ((0, "none did here"), (1, "1 of 4 did for a while here")):
        one = replace(row, measured=replace(row.measured, recovered=recovered))
        changed = Report(report.study, replace(report.findings, reference=(one,)))
        (bullets,) = (block for block in blocks_of(sections(reported, changed)) if isinstance(block, Bullets))
        assert f"the report's training collapsed, {words}; 2,607,778" in plain(bullets.items[0])


def test_trainings_that_collapsed_for_a_while_are_counted(report: Report):
    name = "report-c-transformer-h4-20-epochs"
    first, *others = report.study.of(name, "k-fold")
    passed = replace(first, history=({**first.history[0], "recovered": True}, *first.history[1:]))
    study = replace(report.study, cells=(passed, *others))
    assert measure(study, row_of(report, name), by_window=True).recovered == 1
