from collections.abc import Callable
from pathlib import Path

import pytest

from auricle.findings.comparison import compare
from auricle.findings.scores import comparative
from auricle.findings.study import Study, load_study
from auricle.report.chapters.comparison import comparison
from auricle.report.chapters.summary import summary
from auricle.report.document import Callout, blocks_of
from auricle.report.results_page import write_results_section
from auricle.report.table import Marked
from report.written import report_of, sections, tables, words_of

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


def first_page(study: Study) -> str:
    """Return the box of the answer, on one line, and the other paragraphs, boxes and captions."""
    return words_of(sections(summary, report_of(study.folder)))


def callouts(study: Study) -> list[str]:
    parts = sections(summary, report_of(study.folder))
    return [block.title for block in blocks_of(parts) if isinstance(block, Callout)]


def test_the_rows_of_a_protocol_end_with_its_baselines_the_best_first(beaten: Study) -> None:
    rows = comparative(beaten.folder)
    assert [row.model for row in rows] == ["cnn", "transformer-h2", "mfcc-logistic", "mfcc-forest", "majority"]
    assert [row.baseline for row in rows] == [False, False, True, True, True]
    assert rows[-1].accuracy == 0.1
    assert not any(row.collapsed for row in rows if row.baseline)  # a majority gives one answer, as it should


def test_every_network_is_compared_with_the_best_baseline_on_the_same_clips(beaten: Study) -> None:
    found = compare(beaten, "k-fold")
    assert [(pair.first, pair.second) for pair in found.against_baseline] == [
        ("cnn", "mfcc-logistic"),
        ("transformer-h2", "mfcc-logistic"),
    ]
    for pair, row in zip(found.against_baseline, found.rows, strict=True):
        assert pair.mean == pytest.approx(row.accuracy - found.best_baseline.accuracy)
        assert pair.low < pair.mean < pair.high


def test_a_network_that_beats_them_is_said_to(beaten: Study) -> None:
    assert "The best free baseline is mfcc-logistic (" in first_page(beaten)
    assert "the test clips show that each network is better." in first_page(beaten)
    assert compare(beaten, "k-fold").unbeaten_baseline == []
    assert "Not better than a free baseline" not in callouts(beaten)


def test_a_network_that_does_not_is_named_on_the_first_page(unbeaten: Study) -> None:
    assert [row.model for row in compare(unbeaten, "k-fold").unbeaten_baseline] == ["transformer-h2"]
    told = first_page(unbeaten)
    assert "transformer-h2 does not beat the best free baseline, mfcc-logistic (" in told
    assert "Not better than a free baseline" in callouts(unbeaten)
    assert "Under k-fold, transformer-h2 (" in told
    assert "is no better than mfcc-logistic" in told


def test_they_stand_in_the_tables_of_the_report_and_are_marked(unbeaten: Study) -> None:
    report = report_of(unbeaten.folder)
    rows = tables(sections(summary, report))["table-comparative"].groups["k-fold"]
    marked = [row[0] for row in rows if isinstance(row[0], Marked) and row[0].meaning == "free baseline"]
    assert [name.text for name in marked] == ["mfcc-logistic", "mfcc-forest", "majority"]
    assert [row[0] for row in tables(sections(comparison, report))["table-baselines"].groups["k-fold"]] == [
        "cnn",
        "transformer-h2",
    ]


def test_they_stand_in_the_results_page(unbeaten: Study, tmp_path: Path) -> None:
    write_results_section(unbeaten.folder, tmp_path / "RESULTS.md")
    page = (tmp_path / "RESULTS.md").read_text()
    assert "| *mfcc-logistic* | k-fold | 4 |" in page
    assert "Rows in italics are free baselines" in page


def test_a_study_without_baselines_says_nothing_of_them(make_study: Callable[..., Path], tmp_path: Path) -> None:
    study = load_study(make_study(**SMALL))
    report = report_of(study.folder)
    assert "baseline" not in words_of(sections(summary, report))
    assert "table-baselines" not in tables(sections(comparison, report))
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
    assert "No groups" in callouts(ungrouped)
    split = {"grouping": "the column group", "split_groups": 3}
    torn = load_study(make_study(**SMALL, dataset=split, leaky_protocols=("k-fold",)))
    assert "No groups" not in callouts(torn)
    assert "Leaky protocol" in callouts(torn)
    write_results_section(torn.folder, tmp_path / "RESULTS.md")
    page = (tmp_path / "RESULTS.md").read_text()
    assert "**Leaky**: the folds split 3 groups" in page
    assert "k-fold (leaky)" in page
