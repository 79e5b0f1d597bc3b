from collections.abc import Callable
from pathlib import Path

import pytest

from auricle.findings.findings import find
from auricle.findings.study import Study, load_study
from auricle.findings.trainings import collapses
from auricle.report.build import compose
from auricle.report.document import Callout, Document, Report, blocks_of
from auricle.report.table import Marked, write_csv
from report_text import plain, texts

RECORDED = {
    "kind": "constant", "epoch": 3, "cause": "learning rate 0.05 is too high", "evidence": {},
    "cures": [["training.learning_rate=0.0005"], ["encoder.norm=pre"]],
}  # fmt: skip
SMALL = {
    "categories": ("cat", "dog", "owl"), "models": ("cnn", "transformer-h1", "raw-cnn"), "protocols": ("test-split",),
    "epochs": 6, "clip_s": 0.1, "clips_per_class_and_fold": 4, "seeds": (0, 1),
    "skill": {"cnn": 9.0, "transformer-h1": 3.0, "raw-cnn": None}, "collapse": {"transformer-h1": RECORDED},
}  # fmt: skip


@pytest.fixture(scope="module")
def study(make_study: Callable[..., Path]) -> Study:
    return load_study(make_study(**SMALL))


@pytest.fixture(scope="module")
def document(study: Study) -> Document:
    return compose(Report(study, find(study)))


def test_a_collapse_is_what_training_recorded_or_what_the_answers_show(study: Study):
    found = {(one.cell.model, one.kind, one.epoch) for one in collapses(study.cells)}
    assert found == {("transformer-h1", "constant", 3), ("raw-cnn", None, None)}


def test_every_model_that_collapsed_is_named_with_what_it_looked_like(document: Document):
    text = next(text for text in texts(document.sections[:1]) if "collapsed to one class" in text)
    assert text.startswith("4 cells of 6 collapsed to one class and did not learn: ")
    assert "transformer-h1 under test-split (2 of 2: at epoch 3 every clip gets the same logits)" in text
    assert "raw-cnn under test-split (2 of 2: cat is predicted for 100 % of the test clips)" in text
    assert "cnn under test-split (" not in text.replace("raw-cnn", "")


def test_cause_and_cure_are_one_sentence_each(document: Document):
    boxes = [
        plain(block.text)
        for block in blocks_of(document.sections)
        if getattr(block, "title", "").endswith(" collapsed")
    ]
    assert boxes[0] == (
        "2 of 2 cells did not learn: at epoch 3 every clip gets the same logits. Likely cause: learning "
        "rate 0.05 is too high. Try this first: --set training.learning_rate=0.0005."
    )
    assert len(boxes) == 2


def test_rows_are_marked_in_both_tables_and_in_their_files(document: Document, tmp_path: Path):
    for name in ("table-comparative", "table-cells"):
        table = next(table for table in document.tables() if table.name == name)
        names = [row[0] for row in table.groups["test-split"]]
        assert {name.text for name in names if isinstance(name, Marked)} == {"transformer-h1", "raw-cnn"}
        assert {name for name in names if not isinstance(name, Marked)} == {"cnn"}
        assert "collapsed" in plain(table.caption)
        write_csv(tmp_path / "table.csv", table)
        head, *lines = (tmp_path / "table.csv").read_text().splitlines()
        assert head.startswith("group,model,model_note,")
        assert sum(",collapsed," in line for line in lines) == len([n for n in names if isinstance(n, Marked)])


def test_the_curves_are_marked_at_the_epoch(document: Document):
    figure = next(f for f in blocks_of(document.sections) if getattr(f, "name", "") == "figure-curves-test-split")
    (panel,) = figure.panels
    assert panel.svg.count("stroke-dasharray: 0.8,1.12") == 2  # accuracy and loss of the one whose epoch is known
    assert "dotted line" in plain(figure.caption)


def test_each_model_that_collapsed_has_its_box_and_the_first_page_names_them(document: Document):
    boxes = [block.title for block in blocks_of(document.sections) if isinstance(block, Callout)]
    assert boxes[0] == "Collapse"
    assert set(boxes[1:]) == {"transformer-h1 collapsed", "raw-cnn collapsed"}


def test_without_a_collapse_nothing_is_marked(make_study: Callable[..., Path]):
    study = load_study(make_study(**{**SMALL, "models": ("cnn",), "skill": {"cnn": 9.0}, "collapse": {}}))
    document = compose(Report(study, find(study)))
    assert collapses(study.cells) == []
    assert not any(
        isinstance(row[0], Marked) for t in document.tables() for group in t.groups.values() for row in group
    )
    assert "Collapse" not in [block.title for block in blocks_of(document.sections) if isinstance(block, Callout)]
