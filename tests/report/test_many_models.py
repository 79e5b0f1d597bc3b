"""A study of many models must stay readable: what is a line or a panel a model must not outgrow its page."""

from collections.abc import Callable
from pathlib import Path

import pytest

from auricle.report.build import compose
from auricle.report.chapter_training import MOST_PANELS
from auricle.report.document import Document, Figure, blocks_of
from auricle.report.evidence import load_study

MODELS = tuple(f"network-number-{place}" for place in range(14))


@pytest.fixture(scope="module")
def document(make_study: Callable[..., Path]) -> Document:
    skill = {model: 1.0 + place / 4 for place, model in enumerate(MODELS)}
    folder = make_study(models=MODELS, protocols=("test-split",), skill=skill, epochs=2, clip_s=0.1)
    return compose(load_study(folder))


def figures(document: Document) -> dict[str, Figure]:
    return {block.name: block for block in blocks_of(document.sections) if isinstance(block, Figure)}


def test_learning_curves_are_as_many_figures_as_pages_hold(document: Document):
    curves = {name: figure for name, figure in figures(document).items() if name.startswith("figure-curves-")}
    assert sorted(curves) == [f"figure-curves-test-split{end}" for end in ("", "-2", "-3")]
    assert sum(len(figure.panels) for figure in curves.values()) == 2 * len(MODELS)
    assert max(len(figure.panels) for figure in curves.values()) <= MOST_PANELS
