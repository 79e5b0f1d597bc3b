"""The chapter on hyper-parameter tuning, of searches that never ran."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from auricle.errors import RefusedError
from auricle.findings.findings import find
from auricle.findings.study import load_study
from auricle.report.chapters.training import NUM_LONG, tuning
from auricle.report.document import Callout, Figure, blocks_of
from auricle.report.figures.style import style
from auricle.report.figures.tuning import importance_bars, parallel, progress
from auricle.report.results_page import write_results_section
from auricle.search.record import describe_parameters
from auricle.search.space import Choices, check_space, load_space
from report_text import plain, report_of, sections, tables, words_of


def write_search(folder: Path, *, space: str = "wide", num: int = 60, states: tuple[str, ...] = ()) -> dict:
    """Write the record of a search whose loss has its lowest value inside the space."""
    checked = check_space(load_space(space))
    rng = np.random.default_rng(3)
    trials = []
    for number in range(num):
        values, distance = {}, 0.0
        for name, each in checked.parameters.items():
            at = float(np.clip(rng.normal(0.6, 0.3), 0, 1)) if number > num // 4 else float(rng.uniform())
            if isinstance(each, Choices):
                values[name] = each.values[round(at * (len(each.values) - 1))]
            elif each.log:
                values[name] = float(each.low * (each.high / each.low) ** at)
            else:
                values[name] = each.low + at * (each.high - each.low)
            values[name] = round(values[name]) if getattr(each, "whole", False) else values[name]
            distance += (at - 0.6) ** 2 * (3 if name == "training.learning_rate" else 0.2)
        state = states[number] if number < len(states) else "done" if rng.uniform() < 0.7 else "pruned"
        loss = 0.6 + distance + abs(float(rng.normal(0, 0.05))) if state == "done" else None
        accuracy = None if loss is None else 1 / (1 + loss / 2)
        trials.append({"number": number, "folder": number, "state": state, "values": values, "loss": loss,
                       "accuracy": accuracy, "accuracies": accuracy and [accuracy, accuracy - 0.02],
                       "epochs": 30, "seconds": 40.0, "cause": ""})  # fmt: skip
    config = checked.config
    shares = np.sort(rng.dirichlet(np.full(len(checked.parameters), 0.5)))[::-1]
    record = {
        "name": config.name, "about": config.about, "protocol": config.protocol, "sampler": config.sampler,
        "pruner": config.pruner, "folds": [2] if config.protocol == "test-split" else [2, 3, 4, 5], "num_clips": 320,
        "num_unheard": 80, "num_trials": num, "epochs": dict.fromkeys(checked.presets, 100), "overrides": {},
        "parameters": describe_parameters(checked),
        "importance": dict(zip(checked.parameters, map(float, shares), strict=True)), "trials": trials,
    }  # fmt: skip
    (folder / "search").mkdir(exist_ok=True)
    (folder / "search" / "trials.json").write_text(json.dumps(record))
    return record


@pytest.fixture
def tuned(make_study):
    """The study of the best set of a search, and the record of that search."""

    def tuned(**changes):
        folder = make_study(models=("cnn",), protocols=("test-split",))
        record = write_search(folder, **changes)
        best = min(
            (entry for entry in record["trials"] if entry["loss"]), key=lambda entry: entry["loss"], default=None
        )
        return report_of(folder), record, best

    return tuned


def test_a_study_without_a_search_has_no_such_chapter(esc10_study):
    assert tuning(report_of(esc10_study)) is None


def test_the_best_set_is_the_one_with_the_lowest_validation_loss(tuned):
    report, record, best = tuned()
    parts = sections(tuning, report)
    (rows,) = tables(parts)["table-best-set"].groups.values()
    assert [row[0] for row in rows] == list(record["parameters"])
    rates = next(row for row in rows if row[0] == "training.learning_rate")
    assert rates[1] == "0.0001 to 0.1, evenly over its logarithm"
    assert float(rates[2]) == pytest.approx(best["values"]["training.learning_rate"], rel=1e-3)
    (trials,) = tables(parts)["table-trials"].groups.values()
    assert trials[0][:2] == (best["number"], best["loss"])
    assert len(trials) == NUM_LONG
    assert f"The best is trial {best['number']}" in words_of(parts)


def test_the_best_set_is_set_beside_its_test_score(make_study):
    folder = make_study(models=("cnn",), protocols=("test-split",))
    number = min((entry for entry in write_search(folder)["trials"] if entry["loss"]), key=lambda one: one["loss"])
    name = f"<cnn>*-trial-{number['number']}"
    folder = make_study(models=("cnn", name), protocols=("test-split",), skill={name: 9.0}, epochs=1, clip_s=0.1)
    write_search(folder)
    report = report_of(folder)
    row = next(row for row in report.findings.main.rows if row.model == name)
    told = words_of(sections(tuning, report))
    assert f"scored once on the test fold, as {name}: {100 * row.accuracy:.1f} % test accuracy (95 % interval" in told
    assert [one.model for one in report.findings.tuning[0].tested] == [name]


def search_beside(make_study, study: Path, **changes) -> str:
    """Write a study of the best set of a search into a folder beside a study; return the best set's model."""
    model = "cnn-trial-0"
    folder = make_study(models=(model,), protocols=("test-split",), epochs=1, **changes)
    record = write_search(folder, num=1, states=("done",))
    record["epochs"] = {"cnn": 100}
    (folder / "search" / "trials.json").write_text(json.dumps(record))
    folder.rename(study.with_name("search-beside"))
    return model


def test_searches_of_the_same_models_and_recordings_beside_a_study_belong_to_it(make_study, tmp_path):
    folder = make_study(models=("cnn",), protocols=("test-split",), epochs=1).rename(tmp_path / "study")
    write_search(folder, num=3, states=("done",) * 3)
    model = search_beside(make_study, folder)
    report = report_of(folder)
    own, beside = report.findings.tuning
    assert (own.folder, own.tested, beside.folder) == ("", (), "search-beside")
    assert [row.model for row in beside.tested] == [model]
    assert (own.standard, list(beside.standard)) == ({}, ["cnn"])
    assert model not in report.study.models
    (chapter,) = sections(tuning, report)
    best = {name: table for name, table in tables([chapter]).items() if name.startswith("table-best-of-models")}
    assert [row[-1] for table in best.values() for row in table.groups[""]] == [beside.standard["cnn"]]
    assert [part.title for part in chapter.sections] == ["The search wide", "The search wide"]
    assert len({part.name for part in chapter.sections}) == 2
    assert set(tables([chapter])) >= {"table-trials", "table-trials-2"}


def test_the_recipe_beside_a_search_has_the_accuracy_of_trials_where_classes_are_unequal(make_study, tmp_path):
    folder = make_study(models=("cnn",), protocols=("test-split",), epochs=1).rename(tmp_path / "study")
    search_beside(make_study, folder)
    study = load_study(folder)
    counts = study.dataset.counts | {"dog": dict.fromkeys(study.dataset.folds, 80)}
    (cell,) = study.cells
    of_class = cell.validation["clip"]["per_class"] | {"dog": {"recall": 0.0, "support": 1}}
    clip = cell.validation["clip"] | {"per_class": of_class}  # plain accuracy stays, balanced accuracy falls
    cells = (replace(cell, validation={"clip": clip, "window": cell.validation["window"]}),)
    (found,) = find(replace(study, cells=cells, dataset=replace(study.dataset, counts=counts))).tuning
    assert found.standard == {"cnn": pytest.approx(cell.validation["clip"]["accuracy"])}


def test_a_recipe_without_all_folds_of_a_search_is_not_set_beside_it(make_study, tmp_path):
    folder = make_study(models=("cnn",), protocols=("test-split",), epochs=1).rename(tmp_path / "study")
    search_beside(make_study, folder)
    path = tmp_path / "search-beside" / "search" / "trials.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"folds": [2, 3]}))
    assert report_of(folder).findings.tuning[0].standard == {"cnn": None}


def test_searches_of_other_recordings_or_models_do_not(make_study, tmp_path):
    folder = make_study(models=("cnn",), protocols=("test-split",), epochs=1).rename(tmp_path / "study")
    search_beside(make_study, folder, dataset={"digest": "0" * 64})
    assert report_of(folder).findings.tuning == ()
    (tmp_path / "others").mkdir()
    other = make_study(models=("tiny",), protocols=("test-split",), epochs=1).rename(tmp_path / "others" / "study")
    search_beside(make_study, other)
    assert report_of(other).findings.tuning == ()


def test_a_search_that_goes_on_does_not_belong_to_a_study_yet(make_study, tmp_path):
    folder = make_study(models=("cnn",), protocols=("test-split",), epochs=1).rename(tmp_path / "study")
    search_beside(make_study, folder)
    path = tmp_path / "search-beside" / "search" / "trials.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_trials": 2}))
    assert report_of(folder).findings.tuning == ()


def test_a_damaged_search_beside_a_study_is_told_and_left_out(make_study, tmp_path):
    folder = make_study(models=("cnn",), protocols=("test-split",), epochs=1).rename(tmp_path / "study")
    search_beside(make_study, folder)
    (tmp_path / "search-beside" / "search" / "trials.json").write_text("{")
    told = []
    assert find(report_of(folder).study, told.append).tuning == ()
    assert "search-beside" in next(line for line in told if line.startswith("left out a search"))


def test_every_set_has_its_spread_over_the_folds(tuned):
    report, _, best = tuned(space="assignment", num=16, states=("done",) * 16)
    (rows,) = tables(sections(tuning, report))["table-trials"].groups.values()
    assert rows[0][3].mean == best["accuracy"]
    assert rows[0][3].sd == pytest.approx(0.02 / 2**0.5)


def test_it_says_that_the_test_fold_was_not_loaded_and_that_the_best_score_was_picked(tuned):
    parts = sections(tuning, tuned()[0])
    assert "The 80 clips of the test fold were not loaded" in words_of(parts)
    assert [block for block in blocks_of(parts) if isinstance(block, Callout)]


def test_all_points_of_a_small_grid_are_listed_with_their_models(tuned):
    report, _, _ = tuned(space="assignment", num=16, states=("done",) * 16)
    table = tables(sections(tuning, report))["table-trials"]
    (rows,) = table.groups.values()
    assert len(rows) == 16
    assert {row[1] for row in rows} <= {"cnn", "transformer-h1", "transformer-h2", "transformer-h4"}
    assert plain(table.caption).startswith("All trials that finished: means and standard deviations")
    assert len(report.findings.tuning[0].best_of_models()) == len({row[1] for row in rows})


@pytest.mark.parametrize("states", [("done",), ("done", "failed", "running"), ("done", "done")])
def test_few_trials_are_drawn_too(tuned, states):
    report, _, _ = tuned(num=len(states), states=states)
    figures = [block for block in blocks_of(sections(tuning, report)) if isinstance(block, Figure)]
    assert all(panel.svg.startswith("<svg") for figure in figures for panel in figure.panels)


def test_without_a_trial_that_came_to_its_end_there_is_no_chapter(tuned):
    assert tuning(tuned(num=2, states=("failed", "running"))[0]) is None


def test_a_damaged_record_is_refused(tuned):
    study = tuned()[0].study
    (study.folder / "search" / "trials.json").write_text("{")
    with pytest.raises(RefusedError, match="damaged"):
        find(study)


def test_the_line_of_the_best_so_far_never_rises(tuned):
    _, record, best = tuned()
    done = [entry for entry in record["trials"] if entry["loss"]]
    axes = progress(done, [], 60).draw().axes[0]
    line = axes.lines[1].get_ydata()
    assert (np.diff(line) <= 0).all()
    assert line[-1] == best["loss"]


def test_every_trial_is_a_line_that_leaves_out_what_it_has_not(tuned):
    parameters = {"model": {"choices": ["cnn", "transformer-h1"]}, "encoder.width": {"choices": [64, 128]}}
    done = [
        {"number": 1, "loss": 0.5, "values": {"model": "cnn"}},
        {"number": 2, "loss": 0.6, "values": {"model": "transformer-h1", "encoder.width": 64}},
    ]
    axes = parallel(parameters, done).draw().axes[0]
    assert sorted(
        len(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) > 1 and line.get_lw() > 0.7
    ) == [2, 3]


def test_the_most_important_parameter_is_on_top():
    axes = importance_bars({"a": 0.7, "b": 0.3}).draw().axes[0]
    assert axes.patches[0].get_width() == 70
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_the_section_of_results_lists_the_trials_of_the_study_s_own_search(make_study, tmp_path):
    folder = make_study(models=("cnn",), protocols=("test-split",), epochs=1).rename(tmp_path / "study")
    record = write_search(folder, num=3, states=("done",) * 3)
    write_results_section(folder, tmp_path / "RESULTS.md")
    lines = (tmp_path / "RESULTS.md").read_text().splitlines()
    best = min(record["trials"], key=lambda entry: entry["loss"])
    first = lines.index(next(line for line in lines if line.startswith("| Trial |"))) + 2
    assert lines[first].startswith(f"| {best['number']} | ")
    assert all(line.startswith("| ") for line in lines[first : first + 3])
    assert not lines[first + 3]
    assert any("tried 3 sets of values" in line for line in lines)


def test_a_part_of_a_grid_is_not_called_all_of_it(tuned):
    assert "not all were tried" in words_of(sections(tuning, tuned(space="assignment", num=3, states=("done",) * 3)[0]))


@pytest.mark.parametrize("losses", [[2.3021, 2.3026, 2.3029], [0.31, 0.312], [0.5], [0.5, 0.5], [0.1, 2.0]])
def test_no_two_marks_of_an_axis_of_losses_have_one_label(losses: list[float]):
    with style():
        done = [{"number": number, "loss": loss} for number, loss in enumerate(losses)]
        (axes,) = progress(done, [], len(done)).draw().axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert len(set(labels)) == len(labels) > 0
