from dataclasses import replace

import numpy as np
import pytest

from auricle.findings.study import Study, load_study
from auricle.report.chapters import results
from auricle.report.chapters.results import calibration
from auricle.report.document import Table, blocks_of
from auricle.report.figures.calibration import reliability_diagram
from auricle.scoring.calibration import softmax
from report_text import chapter_sections, texts


def sharpened(study: Study, factor: float) -> Study:
    """Return a study whose logits are all `factor` times larger."""
    cells = []
    for cell in study.cells:
        probabilities = softmax(factor * np.log(cell.windows.probabilities))
        windows = replace(cell.windows, probabilities=probabilities)
        cells.append(replace(cell, windows=windows, clips=windows.of("test").by_clip()))
    return replace(study, cells=tuple(cells))


@pytest.fixture(scope="module")
def small(make_study) -> Study:
    models = ("cnn", "transformer-h1")
    folder = make_study(models=models, protocols=("k-fold",), epochs=1, clip_s=0.1, skill=dict.fromkeys(models, 2.0))
    return load_study(folder)


def prose_of(study: Study) -> str:
    return "\n".join(texts(chapter_sections(study, calibration)))


def test_what_is_shown_of_confidence_and_temperature_is_said(small: Study):
    sure = prose_of(sharpened(small, 6.0))
    assert "As trained. Overconfident: " in sure
    assert "After temperature scaling. The temperature lowers the loss of " in sure
    assert "Underconfident: " in prose_of(sharpened(small, 0.3))
    assert "too few" not in prose_of(small)


def test_without_validation_clips_the_chapter_says_that_nothing_is_fitted(make_study):
    folder = make_study(categories=("cat", "dog"), models=("cnn",), protocols=("official",), epochs=1, clip_s=0.1)
    sections = chapter_sections(load_study(folder), calibration)
    assert "There are no validation clips, so no temperature can be fitted" in "\n".join(texts(sections))
    (row,) = next(block for block in blocks_of(sections) if isinstance(block, Table)).groups[""]
    assert (row[1], row[3], row[-1]) == (None, None, "not fitted")


def test_where_folds_differ_in_size_no_cell_is_said_to_test_as_many_clips_as_another(make_study):
    folder = make_study(categories=("cat", "dog"), models=("cnn",), protocols=("official",), epochs=1, clip_s=0.1)
    study = load_study(folder)
    first, *others = study.cells
    assert "Each cell tests 16 clips of 0.1 s" in prose_of(study)
    fewer = replace(first, windows=first.windows.of("test"), clips=first.clips.of_classes(["cat"]))
    assert "The smallest cell tests 8 clips of 0.1 s" in prose_of(replace(study, cells=(fewer, *others)))


def test_one_clip_a_class_has_a_chapter_that_claims_nothing(make_study):
    folder = make_study(
        categories=("cat", "dog"), models=("cnn", "transformer-h1"), protocols=("test-split",), epochs=1, clip_s=0.1,
        clips_per_class_and_fold=1,
    )  # fmt: skip
    prose = prose_of(load_study(folder))
    assert "Neither overconfident nor underconfident by a significant amount: " in prose
    assert "cnn and transformer-h1, as 2 groups of test clips are too few to show it." in prose
    assert "the loss does not change significantly, as 2 groups of test clips are too few to show it." in prose
    assert "confident:" not in prose


@pytest.mark.parametrize(("protocol", "times"), [("official", 1.0), ("k-fold", 4.0)])
def test_a_clip_counts_once_in_an_interval(make_study, monkeypatch, protocol, times):
    folder = make_study(categories=("cat", "dog"), models=("cnn",), protocols=(protocol,), epochs=1, clip_s=0.1)
    drawn = []
    monkeypatch.setattr(
        results, "reliability_diagram", lambda *of, real=reliability_diagram: (drawn.append(of[2]), real(*of))[1]
    )
    chapter_sections(load_study(folder), calibration)
    assert drawn == [times]
