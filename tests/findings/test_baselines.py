from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from auricle.cli.results import unbeaten_line
from auricle.findings.comparison import compare
from auricle.findings.findings import find
from auricle.findings.scores import comparative
from auricle.findings.study import CellEvidence, Study, load_study
from auricle.report.build import compose
from auricle.report.chapters.results import summary
from auricle.report.document import Report, blocks_of
from auricle.report.results_page import write_results_section
from auricle.report.table import Marked
from report_text import chapter_sections, texts

BASELINES = {"majority": None, "mfcc-logistic": 2.0, "mfcc-forest": 1.0}
SMALL = {"models": ("cnn", "transformer-h2"), "epochs": 2, "clip_s": 0.5, "protocols": ("k-fold",)}


@pytest.fixture(scope="module")
def beaten(make_study: Callable[..., Path]) -> Study:
    """Two networks that are better than every baseline."""
    return load_study(make_study(**SMALL, skill={"cnn": 6.0, "transformer-h2": 5.0}, baselines=BASELINES))


@pytest.fixture(scope="module")
def unbeaten(make_study: Callable[..., Path]) -> Study:
    """A network that is worse than a baseline, beside one that is better."""
    return load_study(make_study(**SMALL, skill={"cnn": 6.0, "transformer-h2": 0.5}, baselines=BASELINES))


def boxes(study: Study) -> dict[str, str]:
    """Return the boxes of the first page, the answer among them, by title."""
    page = chapter_sections(study, summary)
    texts_of = iter(texts(page))
    return {getattr(block, "title", type(block).__name__): next(texts_of) for block in blocks_of(page)}


def test_the_rows_of_a_protocol_end_with_its_baselines_the_best_first(beaten: Study) -> None:
    rows = comparative(beaten.folder)
    assert [row.model for row in rows] == ["cnn", "transformer-h2", "mfcc-logistic", "mfcc-forest", "majority"]
    assert [row.baseline for row in rows] == [False, False, True, True, True]
    assert rows[-1].accuracy == 0.1
    assert not any(row.collapsed for row in rows if row.baseline)  # a majority gives one answer, as it should


def test_every_network_is_compared_with_the_best_baseline_on_the_same_clips(beaten: Study) -> None:
    found = compare(beaten, "k-fold")
    rows, best, pairs = found.rows, found.baselines[0], found.against_baseline
    assert [(pair.first, pair.second) for pair in pairs] == [
        ("cnn", "mfcc-logistic"),
        ("transformer-h2", "mfcc-logistic"),
    ]
    for pair, row in zip(pairs, rows, strict=True):
        assert pair.mean == pytest.approx(row.accuracy - best.accuracy)
        assert pair.low < pair.mean < pair.high


def test_a_network_that_beats_them_is_said_to(beaten: Study) -> None:
    found = boxes(beaten)
    assert "The best free baseline is mfcc-logistic (" in found["Answer"]
    assert found["Answer"].endswith("every network is significantly better.")
    assert "Not better than a free baseline" not in found


def test_few_groups_are_named_where_they_cannot_show_that_a_baseline_is_beaten(beaten: Study) -> None:
    groups = {clip: f"speaker {index % 4}" for index, clip in enumerate(beaten.dataset.groups)}
    found = boxes(replace(beaten, dataset=replace(beaten.dataset, groups=groups)))
    assert found["Answer"].endswith("significantly better, as 4 groups of test clips are too few to show it.")


def test_the_groups_that_are_too_few_are_those_that_both_were_tested_on(beaten: Study) -> None:
    """One network was tested on six groups, but no two on more than four."""
    groups = {clip: f"speaker {index % 6}" for index, clip in enumerate(beaten.dataset.groups)}
    cells = []
    for cell in beaten.cells:
        own = [clip for clip in cell.clips.clips if cell.name.model == "cnn" or groups[clip] < "speaker 4"]
        rows = [cell.clips.clips.index(clip) for clip in own]
        clips = replace(
            cell.clips, clips=tuple(own), labels=cell.clips.labels[rows], probabilities=cell.clips.probabilities[rows]
        )
        cells.append(replace(cell, clips=clips))
    study = replace(beaten, dataset=replace(beaten.dataset, groups=groups), cells=tuple(cells))
    found = compare(study, "k-fold")
    assert [row.test_groups for row in found.rows] == [6, 4]
    assert (found.num_groups, found.too_few(found.pairs)) == (4, 4)
    assert found.too_few(found.against_baseline[:1]) is None


def test_a_network_that_does_not_is_named_on_the_first_page(unbeaten: Study) -> None:
    found = boxes(unbeaten)
    assert "transformer-h2 does not beat the best free baseline, mfcc-logistic (" in found["Answer"]
    text = found["Not better than a free baseline"]
    assert text.startswith("Under k-fold, transformer-h2 (")
    assert "is no better than mfcc-logistic" in text
    assert ">" not in text


def all_alike(cell: CellEvidence, *, right: bool) -> CellEvidence:
    """Return a cell with all test clips right, or all wrong."""
    labels, num_classes = cell.clips.labels, len(cell.clips.categories)
    answers = labels if right else (labels + 1) % num_classes
    return replace(cell, clips=replace(cell.clips, probabilities=np.eye(num_classes)[answers]))


def test_a_network_that_lacks_the_hardest_folds_is_compared_with_a_baseline_on_its_own_clips(make_study) -> None:
    made = {**SMALL, "protocols": ("official",), "baselines": {"mfcc-forest": 3.0}}
    study = load_study(make_study(**made, skill={"cnn": 3.0, "transformer-h2": 3.0}))
    kept = [cell for cell in study.cells if cell.name.model != "cnn" or cell.name.fold > 2]
    cells = tuple(all_alike(cell, right=cell.name.model == "cnn" and cell.name.fold > 3) for cell in kept)
    baselines = tuple(all_alike(cell, right=cell.name.fold > 2) for cell in study.baselines)
    study = replace(study, cells=cells, baselines=baselines)
    found = compare(study, "official")
    row, best = found.unbeaten_baseline[0], found.best_baseline
    assert (row.model, round(row.accuracy, 3), best.accuracy) == ("cnn", 0.667, 0.6)
    assert found.against_baseline[0].mean == pytest.approx(-1 / 3)
    text = boxes(study)["Not better than a free baseline"]
    assert text.endswith("mfcc-forest (60.0 %), which needs no network, on the clips that both were tested on.")
    assert "mfcc-forest (60.0 %), on the clips that both were tested on." in boxes(study)["Answer"]
    line = unbeaten_line("official", [*found.rows, *found.baselines])
    assert line == (
        "official: not better than the free baseline mfcc-forest on the clips that both were tested on: "
        "cnn, transformer-h2."
    )


def test_they_stand_in_the_tables_of_the_report_and_are_marked(unbeaten: Study) -> None:
    tables = {table.name: table for table in compose(Report(unbeaten, find(unbeaten))).tables()}
    rows = tables["table-comparative"].groups["k-fold"]
    marked = [row[0] for row in rows if isinstance(row[0], Marked) and row[0].meaning == "free baseline"]
    assert [name.text for name in marked] == ["mfcc-logistic", "mfcc-forest", "majority"]
    assert [row[0] for row in tables["table-baselines"].groups["k-fold"]] == ["cnn", "transformer-h2"]


def test_they_stand_in_the_results_page(unbeaten: Study, tmp_path: Path) -> None:
    write_results_section(unbeaten.folder, tmp_path / "RESULTS.md")
    page = (tmp_path / "RESULTS.md").read_text()
    assert "| *mfcc-logistic* | k-fold | 4 |" in page
    assert "Rows in italics are free baselines" in page


def test_a_study_without_baselines_says_nothing_of_them(make_study: Callable[..., Path], tmp_path: Path) -> None:
    study = load_study(make_study(**SMALL))
    assert "baseline" not in boxes(study)["Answer"]
    assert "table-baselines" not in {table.name for table in compose(Report(study, find(study))).tables()}
    write_results_section(study.folder, tmp_path / "RESULTS.md")
    assert "baseline" not in (tmp_path / "RESULTS.md").read_text()


def test_a_damaged_baseline_is_only_missed(make_study: Callable[..., Path]) -> None:
    folder = make_study(**SMALL, baselines=BASELINES)
    for path in folder.glob("baselines/mfcc-forest/*/predictions.csv"):
        path.write_text("nonsense")
    assert set(load_study(folder).baselines_of("k-fold")) == {"majority", "mfcc-logistic"}


def test_ungrouped_data_and_split_groups_are_stamped_on_the_first_page_and_in_the_results(
    make_study: Callable[..., Path], tmp_path: Path
) -> None:
    ungrouped = load_study(make_study(**SMALL, dataset={"grouping": None}))
    assert "No groups" in boxes(ungrouped)
    split = {"grouping": "the column group", "split_groups": 3}
    torn = load_study(make_study(**SMALL, dataset=split, leaky_protocols=("k-fold",)))
    assert "No groups" not in boxes(torn)
    assert "Leaky protocol" in boxes(torn)
    write_results_section(torn.folder, tmp_path / "RESULTS.md")
    page = (tmp_path / "RESULTS.md").read_text()
    assert "**Leaky**: the folds split 3 groups" in page
    assert "k-fold (leaky)" in page
