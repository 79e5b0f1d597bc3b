from collections.abc import Callable
from pathlib import Path

import pytest

from auricle.errors import AuricleError, UsageError
from auricle.findings.comparison import compare
from auricle.findings.scores import network_rows
from auricle.findings.study import Study, load_study
from auricle.report.results_page import write_results_section


@pytest.fixture
def small(make_study: Callable[..., Path]) -> Path:
    return make_study(categories=("cat", "dog"), models=("cnn",), protocols=("test-split",), epochs=1, clip_s=0.1)


def test_a_section_has_one_row_a_model_and_protocol_and_its_circumstances(
    esc10_study: Path, esc10: Study, tmp_path: Path
):
    page = tmp_path / "RESULTS.md"
    write_results_section(esc10_study, page)
    text = page.read_text()
    best = next(row for row in network_rows(esc10, "k-fold") if row.model == "cnn")
    assert f"| cnn | k-fold | 4 | {100 * best.accuracy:.1f} ± {100 * best.accuracy_sd:.1f} |" in text
    assert text.count("\n| ") == 2 + 8
    for fact in ("AMD EPYC 7B13, 2 cores", "0123456789ab", "2026-05-04", "Seeds: 0", "3f1d3f1d3f1d3f1d"):
        assert fact in text


def test_writing_again_replaces_the_section_and_leaves_the_rest(small: Path, tmp_path: Path):
    page = tmp_path / "RESULTS.md"
    old = "<!-- auricle:esc10 -->\nwhat stood here\n<!-- /auricle:esc10 -->"
    page.write_text(f"# Results\n\nBefore.\n\n{old}\n\nAfter.\n")
    write_results_section(small, page)
    once = page.read_text()
    write_results_section(small, page)
    assert page.read_text() == once
    assert once.startswith("# Results\n\nBefore.\n\n<!-- auricle:esc10 -->\n## esc10\n")
    assert once.endswith("<!-- /auricle:esc10 -->\n\nAfter.\n")
    assert "what stood here" not in once


@pytest.mark.parametrize("page_text", ["<!-- auricle:esc10 -->", "<!-- /auricle:esc10 -->\n<!-- auricle:esc10 -->"])
def test_torn_markers_are_refused_and_the_page_unharmed(small: Path, tmp_path: Path, page_text: str):
    page = tmp_path / "RESULTS.md"
    page.write_text(page_text)
    with pytest.raises(UsageError, match="fix or remove them"):
        write_results_section(small, page)
    assert page.read_text() == page_text


def test_leaky_and_missing_trainings_are_marked(make_study: Callable[..., Path], tmp_path: Path):
    folder = make_study(
        source="a|b&lt;", categories=("cat", "dog"), models=("cnn",), protocols=("random",),
        leaky_protocols=("random",), epochs=1, clip_s=0.1, failed=["cnn/random-2-0"],
    )  # fmt: skip
    write_results_section(folder, tmp_path / "RESULTS.md")
    text = (tmp_path / "RESULTS.md").read_text()
    assert "| cnn | random (leaky) | 3 of 4 |" in text
    assert "1 planned cell without results." in text
    assert "from a\\|b\\&lt;;" in text


def test_no_finished_training_is_no_result(make_study: Callable[..., Path], tmp_path: Path):
    folder = make_study(
        categories=("cat", "dog"), models=("cnn",), protocols=("test-split",), failed=["cnn/test-split-2-0"], clip_s=0.1
    )
    with pytest.raises(AuricleError, match="so there are no results"):
        write_results_section(folder, tmp_path / "RESULTS.md")
    assert not (tmp_path / "RESULTS.md").exists()


def test_several_seeds_are_told_from_several_folds(make_study: Callable[..., Path], tmp_path: Path):
    folder = make_study(
        models=("cnn", "transformer-h1"), protocols=("official",), seeds=(0, 1, 2), epochs=1, clip_s=0.1
    )
    write_results_section(folder, tmp_path / "RESULTS.md")
    text = (tmp_path / "RESULTS.md").read_text()
    found = compare(load_study(folder), "official")
    cnn, transformer = found.rows
    assert f"| cnn | official | 3 | {100 * cnn.accuracy:.1f} | {100 * cnn.seed_sd:.1f} |" in text
    assert "minus cnn" in text
    (pair,) = found.pairs
    assert (pair.first, pair.second) == ("cnn", "transformer-h1")
    assert f"| {-100 * pair.mean:+.1f} | {-100 * pair.high:+.1f} to {-100 * pair.low:+.1f} |" in text
    assert pair.mean == pytest.approx(cnn.accuracy - transformer.accuracy)
    assert f"| {100 * cnn.accuracy_low:.1f} to {100 * cnn.accuracy_high:.1f} |" in text
    assert cnn.accuracy_low < cnn.accuracy < cnn.accuracy_high
    assert "95 % interval for new clips (a BCa bootstrap over groups" in text


def test_seeds_as_an_ensemble_answer_with_their_mean_probabilities(make_study: Callable[..., Path], tmp_path: Path):
    folder = make_study(models=("cnn",), protocols=("official",), seeds=(0, 1, 2), epochs=1, clip_s=0.1)
    study = load_study(folder)
    right = []
    for fold in range(1, 6):
        cells = [cell.clips for cell in study.cells if cell.name.fold == fold]
        right += (sum(clips.probabilities for clips in cells).argmax(axis=1) == cells[0].labels).tolist()
    assert network_rows(study, "official")[0].ensemble_accuracy == pytest.approx(sum(right) / len(right))


def test_one_seed_has_no_spread_over_seeds(small: Path, tmp_path: Path):
    write_results_section(small, tmp_path / "RESULTS.md")
    assert "over seeds" not in (tmp_path / "RESULTS.md").read_text()
