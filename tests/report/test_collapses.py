from collections.abc import Callable
from pathlib import Path

import pytest

from auricle.report.build import compose
from auricle.report.chapter_summary import comparative_table
from auricle.report.collapses import collapses, explained, told
from auricle.report.document import Callout, Document, blocks_of
from auricle.findings.study import Study, load_study
from auricle.report.tables import comparative_rows
from auricle.report.table import Marked, write_csv
from auricle.report.wording import Text

RECORDED = {
    "kind": "constant", "epoch": 3, "cause": "learning rate 0.05 is too high", "evidence": {},
    "cures": [["training.learning_rate=0.0005"], ["encoder.norm=pre"]],
}  # fmt: skip
SMALL = {
    "categories": ("cat", "dog", "owl"), "models": ("cnn", "transformer-h1", "raw-cnn"), "protocols": ("test-split",),
    "epochs": 6, "clip_s": 0.1, "clips_per_class_and_fold": 4, "seeds": (0, 1),
    "skill": {"cnn": 9.0, "transformer-h1": 3.0, "raw-cnn": None}, "collapse": {"transformer-h1": RECORDED},
}  # fmt: skip


def words(text: Text) -> str:
    plain = "".join(piece if isinstance(piece, str) else getattr(piece, "words", "") for piece in text)
    return plain.replace("\xa0", " ")


@pytest.fixture(scope="module")
def study(make_study: Callable[..., Path]) -> Study:
    return load_study(make_study(**SMALL))


@pytest.fixture(scope="module")
def document(study: Study) -> Document:
    return compose(study)


def test_a_collapse_is_what_training_recorded_or_what_the_answers_show(study: Study):
    found = {(one.cell.name.model, one.kind, one.epoch) for one in collapses(study.cells)}
    assert found == {("transformer-h1", "constant", 3), ("raw-cnn", None, None)}


def test_every_model_that_collapsed_is_named_with_what_it_looked_like(study: Study):
    text = (told(study) or "").replace("\xa0", " ")
    assert text.startswith("4 cells of 6 collapsed to one class and learnt nothing of use")
    assert "transformer-h1 under test-split (2 of 2: at epoch 3 every clip is given the same logits)" in text
    assert "raw-cnn under test-split (2 of 2: cat is the answer to 100 % of the test clips)" in text
    assert "cnn under test-split (" not in text.replace("raw-cnn", "")


def test_cause_and_cure_are_one_sentence_each(study: Study):
    assert words(explained(study.of("transformer-h1", "test-split"))) == (
        "2 of 2 cells learnt nothing of use: at epoch 3 every clip is given the same logits. Likely cause: learning "
        "rate 0.05 is too high. To try first: --set training.learning_rate=0.0005."
    )
    assert explained(study.of("cnn", "test-split")) == ()


def test_rows_are_marked_in_both_tables_and_in_their_files(document: Document, tmp_path: Path):
    for name in ("table-comparative", "table-cells"):
        table = next(table for table in document.tables() if table.name == name)
        names = [row[0] for row in table.groups["test-split"]]
        assert {name.text for name in names if isinstance(name, Marked)} == {"transformer-h1", "raw-cnn"}
        assert {name for name in names if not isinstance(name, Marked)} == {"cnn"}
        assert "collapsed" in words(table.caption)
        write_csv(tmp_path / "table.csv", table)
        head, *lines = (tmp_path / "table.csv").read_text().splitlines()
        assert head.startswith("group,model,model_note,")
        assert sum(",collapsed," in line for line in lines) == len([n for n in names if isinstance(n, Marked)])


def test_the_curves_are_marked_at_the_epoch(document: Document):
    figure = next(f for f in blocks_of(document.sections) if getattr(f, "name", "") == "figure-curves-test-split")
    dotted = [panel.name for panel in figure.panels if panel.svg.count("stroke-dasharray: 0.8,1.12")]
    assert sorted(dotted) == ["accuracy-test-split-transformer-h1", "loss-test-split-transformer-h1"]
    assert "dotted line" in words(figure.caption)


def test_each_model_that_collapsed_has_its_box_and_the_first_page_names_them(document: Document):
    boxes = [block.title for block in blocks_of(document.sections) if isinstance(block, Callout)]
    assert boxes == ["Collapse", "Collapsed", "Collapsed"]


def test_without_a_collapse_nothing_is_marked(esc10: Study):
    rows = comparative_rows(esc10)
    assert told(esc10) is None
    assert not any(row.collapsed for row in rows)
    names = [row[0] for group in comparative_table(rows).groups.values() for row in group]
    assert set(names) == {"cnn", "transformer-h1", "transformer-h2", "transformer-h4"}
