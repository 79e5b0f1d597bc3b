from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from auricle import files, runs
from auricle.config import Reference, ReferenceFigure, load_references, load_study
from auricle.findings.findings import to_json
from auricle.findings.reference import Verdict, beside_references, measure
from auricle.findings.scores import network_rows
from auricle.findings.study import Study
from auricle.findings.study import load_study as read_study
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
    "report-c-transformer-h4",
)
FOUR = load_references("four-reports")


@pytest.fixture(scope="module")
def report(make_study: Callable[..., Path]) -> Report:
    return report_of(
        make_study(
            models=MODELS, protocols=("k-fold", "random"), epochs=3, clip_s=0.1, leaky_protocols=("random",),
            skill={"report-a-cnn": 4.0, "report-a-cnn-adam-0.05": None, "report-b-cnn": 0.0,
                   "report-c-transformer-h2": None},
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


def rows_of(table: Table, **wanted: str) -> list[dict[str, str]]:
    shown = [
        {column.key: plain((show(value, column.kind),)) for column, value in zip(table.columns, row, strict=True)}
        for rows in table.groups.values()
        for row in rows
    ]
    return [row for row in shown if all(row[key] == value for key, value in wanted.items())]


def figure_of(**changes: object) -> ReferenceFigure:
    return ReferenceFigure(**{"model": "report-a-cnn", "protocol": "k-fold", "accuracy": 60} | changes)


def cite(study: Study, *figures: ReferenceFigure, **changes: object) -> Study:
    """Return the study with one reference, of these figures."""
    mine = Reference(**{"source": "Mine", "data": "esc10", "figures": figures} | changes)
    return replace(study, config=study.config.model_copy(update={"reference": (mine,)}))


def test_every_figure_of_the_four_reports_is_there():
    said = {}
    for reference in FOUR:
        for figure in reference.figures:
            name = (figure.model, figure.protocol, f"{figure.of} {figure.statistic}")
            said.setdefault(name, []).append(figure.accuracy)
    assert said["report-a-cnn", "k-fold", "test best"] == [42.5]
    assert said["report-a-cnn", "k-fold", "test mean"] == [35.6]
    assert said["report-a-transformer-h4-sgd-0.05", "k-fold", "test best"] == [42.5]
    assert said["report-a-transformer-h2", "k-fold", "validation mean"] == [56.25]
    assert said["report-b-cnn", "random-split", "test mean"] == [54.9]
    assert said["report-b-transformer", "random", "test mean"] == [52.25]
    assert said["report-b-transformer-clean-test", "random", "test mean"] == [52.25]
    assert said["report-c-cnn", "test-split", "test mean"] == [9.16]
    assert said["report-d-cnn", "test-split", "test mean"] == [52.5]
    assert sum(map(len, said.values())) == 5 + 2 * 16 + (4 + 3) + 8 + 4
    totals = {model: total for reference in FOUR for model, total in reference.parameters.items()}
    assert {totals[f"report-{letter}-cnn"] for letter in "abcd"} == {12_212, 36_522, 128_682, 2_591_498}


def test_the_study_of_the_reports_cites_them_and_has_their_models():
    study = load_study("reports")
    assert study.reference == FOUR
    runnable = {(model, protocol) for model in study.models for protocol in study.protocols_of(model)}
    assert {(figure.model, figure.protocol) for one in FOUR for figure in one.figures} <= runnable


def test_a_study_without_their_models_has_no_such_chapter(esc10: Study, esc10_study: Path):
    assert esc10.config.reference
    assert beside_references(esc10) == ()
    assert reported(report_of(esc10_study)) is None


def test_figures_stand_beside_no_other_recordings(study: Study):
    assert beside_references(study)
    assert beside_references(replace(study, dataset=replace(study.dataset, source="birds"))) == ()


def test_anybodys_paper_is_compared_in_the_same_way(study: Study):
    (row,) = beside_references(cite(study, figure_of(accuracy=99), parameters={"report-a-cnn": 7}))
    assert (row.source, row.figure.model, row.parameters, row.verdict) == ("Mine", "report-a-cnn", 7, Verdict.LOWER)
    assert to_json(row)["figure"] | {"accuracy": 99.0} == to_json(row)["figure"]
    assert row.measured.accuracy == next(iter(network_rows(study, "k-fold"))).accuracy


def test_a_mean_stands_beside_the_mean_and_the_best_beside_the_best(study: Study):
    cells = study.of("report-a-cnn", "k-fold")
    accuracies = [cell.test["clip"]["accuracy"] for cell in cells]
    assert len(set(accuracies)) > 1
    for statistic, expected in (("mean", np.mean(accuracies)), ("best", max(accuracies))):
        found = measure(study, cells, figure_of(statistic=statistic), by_window=False)
        assert found.accuracy == pytest.approx(expected)
        assert found.low < found.accuracy < found.high
        assert found.cells == 4


def test_a_validation_figure_stands_beside_the_validation_clips(study: Study):
    cells = study.of("report-a-cnn", "k-fold")
    found = measure(study, cells, figure_of(of="validation"), by_window=False)
    assert found.accuracy == pytest.approx(np.mean([cell.validation["clip"]["accuracy"] for cell in cells]))
    assert measure(study, study.of("report-a-cnn", "random"), figure_of(of="validation"), by_window=False) is None


def test_the_interval_is_that_of_the_comparison_for_clips(report: Report):
    row = next(row for row in report.findings.main.rows if row.model == "report-a-cnn")
    found = measure(report.study, report.study.of("report-a-cnn", "k-fold"), figure_of(), by_window=False)
    assert (found.accuracy, found.macro_f1) == pytest.approx((row.accuracy, row.macro_f1))
    assert (found.low, found.high) == pytest.approx((row.accuracy_low, row.accuracy_high), abs=0.01)


def test_a_fold_that_was_trained_twice_counts_once_in_f1_as_in_accuracy(make_study):
    folder = make_study(
        categories=("cat", "dog"), models=("cnn",), protocols=("official",), seeds=(0, 1), num_folds=2, epochs=1,
        clip_s=0.1, unstarted=["cnn/official-2-1"], skill={"cnn": 1.0},
    )  # fmt: skip
    study = read_study(folder)
    (row,), cells = network_rows(study, "official"), study.of("cnn", "official")
    found = measure(study, cells, figure_of(model="cnn", protocol="official"), by_window=False)
    assert (found.accuracy, found.macro_f1) == pytest.approx((row.accuracy, row.macro_f1))


def test_accuracy_per_window_is_that_of_the_windows_with_the_interval_of_their_clips(study: Study):
    found = measure(study, study.of("report-a-cnn", "k-fold"), figure_of(), by_window=True)
    shares, right = [], {}
    for cell in study.of("report-a-cnn", "k-fold"):
        windows = read_predictions(StudyFolder(study.folder).cell(cell.name).predictions).of("test")
        of_windows = windows.probabilities.argmax(1) == windows.labels
        shares.append(of_windows.mean())
        for clip, is_right in zip(windows.clips, of_windows, strict=True):
            right.setdefault(clip, []).append(is_right)
    assert found.accuracy == pytest.approx(sum(shares) / len(shares))
    groups = [sorted(set(study.dataset.groups.values())).index(study.dataset.groups[clip]) for clip in right]
    means = np.array([np.mean(values) for values in right.values()])
    assert len(set(groups)) < len(means)
    assert (found.low, found.high) == pytest.approx(share_interval(means, np.array(groups)), abs=0.01)
    assert found.low < found.accuracy < found.high


def test_reported_and_counted_parameters_stand_side_by_side(table: Table):
    (row,) = rows_of(table, model="report-c-transformer-h4", protocol="k-fold")
    assert (row["reported_accuracy"], row["standing"]) == ("10", "higher here")
    assert row["parameters"] == "2,607,778 / 436,314"


def test_what_was_not_run_says_so_in_its_row(table: Table):
    (row,) = rows_of(table, model="report-a-cnn-sgd-0.05", figure="test, best of 4")
    assert (row["reported_accuracy"], row["measured_accuracy"], row["standing"]) == ("45", "–", "not run")
    (row,) = rows_of(table, model="report-b-cnn", protocol="random (leaky)")
    assert (row["reported_accuracy"], row["standing"]) == ("59.75", "not started")


def test_a_model_that_diverged_has_a_row(make_study: Callable[..., Path]):
    name = "report-d-transformer-h1-40-steps"
    cell = f"{name}/test-split-2-0"
    models = (name, "report-d-cnn")
    folder = make_study(models=models, protocols=("test-split",), epochs=1, clip_s=0.1, failed=[cell])
    files.write_json(
        StudyFolder(folder).cell(runs.CellName.parse(cell)).error, {"cause": "diverged in epoch 1, step 42"}
    )
    (row,) = rows_of(tables(sections(reported, report_of(folder)))["table-reported"], model=name)
    assert (row["reported_accuracy"], row["measured_accuracy"], row["standing"]) == ("10", "–", "diverged")


def test_what_collapsed_is_marked_and_explained(report: Report, table: Table):
    (row,) = rows_of(table, model="report-c-transformer-h2 †", protocol="k-fold")
    assert (row["reported_accuracy"], row["measured_accuracy"], row["standing"]) == ("10", "10.0", "agree")
    (bullets,) = (block for block in blocks_of(sections(reported, report)) if isinstance(block, Bullets) and
                  any("% reported" in plain(item) for item in block.items))  # fmt: skip
    told = {plain(item).partition(".")[0]: plain(item) for item in bullets.items}
    adam = next(text for head, text in told.items() if head.startswith("report-a-cnn-adam-0"))
    assert "15.94 % reported, 10.0 % measured, 5.9 points lower" in adam
    assert "4 of 4 trainings here collapsed (learning rate 0.05 is too high)" in adam


def test_a_note_explains_a_difference(study: Study, report: Report):
    cited = cite(study, figure_of(accuracy=1, note="its clips were others"))
    changed = Report(cited, replace(report.findings, reference=beside_references(cited)))
    told = [plain(item) for block in blocks_of(sections(reported, changed)) if isinstance(block, Bullets)
            for item in block.items]  # fmt: skip
    assert told[-1].endswith("points higher; its clips were others.")


def test_a_section_of_results_has_the_table_too(study: Study, table: Table, tmp_path: Path):
    write_results_section(study.folder, tmp_path / "RESULTS.md")
    lines = (tmp_path / "RESULTS.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith(("| Report A, clips |", "| Report C, windows |"))]
    assert len(rows) == sum(len(group) for name, group in table.groups.items() if name[:8] in ("Report A", "Report C"))
    assert [line for line in rows if "| report-a-cnn-sgd-0.05 | k-fold | test, best of 4 | 45 | –" in line]
