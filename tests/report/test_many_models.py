"""A study of many models must stay readable: what is a line or a panel a model must not outgrow its page."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from auricle.findings.comparison import MOST_SHOWN
from auricle.findings.findings import find
from auricle.findings.study import load_study
from auricle.report.build import compose
from auricle.report.document import Document, Figure, Report, blocks_of
from auricle.report.render import numbered
from auricle.report.table import Table, write_csv
from auricle.runs import StudyFolder

pytestmark = pytest.mark.long

MODELS = tuple(f"network-number-{place}" for place in range(14))


@pytest.fixture(scope="module")
def document(make_study: Callable[..., Path]) -> Document:
    """Fourteen models, the last the most accurate; people heard some of the test clips; two recipes."""
    skill = {model: 1.0 + place / 4 for place, model in enumerate(MODELS)}
    training = {model: {"learning_rate": 0.5} for model in MODELS[::2]}
    folder = make_study(
        models=MODELS, protocols=("test-split",), skill=skill, epochs=2, clip_s=0.1, training=training,
        categories=("cat", "dog", "rain"),
    )  # fmt: skip
    clips = load_study(folder).cells[0].clips.clips
    with StudyFolder(folder).judgements.open("w", newline="") as file:
        csv.writer(file).writerows([("clip", "heard_as", "count"), *((clip, "dog", 3) for clip in clips)])
    study = load_study(folder)
    return compose(Report(study, find(study)))


def figures(document: Document) -> dict[str, Figure]:
    return {block.name: block for block in blocks_of(document.every) if isinstance(block, Figure)}


def test_learning_curves_are_as_many_figures_as_pages_hold(document: Document):
    curves = {name: figure for name, figure in figures(document).items() if name.startswith("figure-curves-")}
    assert sorted(curves) == ["figure-curves-test-split", "figure-curves-test-split-2"]
    (first,), (second,) = (figure.panels for figure in curves.values())
    assert all(f"{model}," in f"{first.alt}, {second.alt},".replace(" and ", ", ") for model in MODELS)


def tables(document: Document) -> dict[str, Table]:
    return {table.name: table for table in document.tables()}


def blocks(document: Document, kind: str) -> list[dict[str, Any]]:
    """Return the blocks of a kind as the templates get them."""

    def within(sections: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for section in sections:
            yield from (block for block in section["blocks"] if block["kind"] == kind)
            yield from within(section["sections"])

    return list(within(numbered(document)["sections"]))


def text_of(pieces: list[dict[str, Any]]) -> str:
    return "".join(piece["text"] for piece in pieces)


def bullets(document: Document, head: str) -> list[str]:
    """Return the items of all lists that begin so."""
    items = [text_of(item) for block in blocks(document, "bullets") for item in block["items"]]
    return [item for item in items if item.startswith(head)]


def test_of_the_pairs_those_of_the_best_are_shown_and_the_file_has_all(document: Document, tmp_path: Path):
    pairs = tables(document)["table-pairs"]
    write_csv(tmp_path / "pairs.csv", pairs)
    assert len((tmp_path / "pairs.csv").read_text().splitlines()) == 1 + len(MODELS) * (len(MODELS) - 1) // 2
    (shown,) = [block for block in blocks(document, "table") if block["id"] == "table-pairs"]
    (group,) = shown["groups"]
    assert len(group["rows"]) == len(MODELS) - 1
    assert {row[0]["text"] for row in group["rows"]} == {group["rows"][0][0]["text"]}
    assert text_of(shown["caption"]).endswith(" 78 more rows: tables/table-pairs.csv.")


def test_what_has_a_column_a_model_shows_the_most_accurate(document: Document):
    columns = [column.key for column in tables(document)["table-people-classes"].columns]
    models = [key for key in columns if key in MODELS]
    assert len(models) == MOST_SHOWN
    assert models == sorted(models, key=MODELS.index)
    assert MODELS[-1] in models
    assert MODELS[0] not in models
    for name in ("table-people-classes", "figure-f1-models", "figure-missed"):
        block = tables(document).get(name) or figures(document)[name]
        assert "the 8 most accurate of 14 models" in "".join(map(str, block.caption))


def test_recipes_of_many_models_are_numbered_and_all_their_models_named(document: Document):
    assert [column.title for column in tables(document)["table-recipe"].columns] == ["Setting", "Recipe 1", "Recipe 2"]
    assert bullets(document, "Recipe ") == [
        f"Recipe 1: {', '.join(MODELS[::2])}.",
        f"Recipe 2: {', '.join(MODELS[1::2])}.",
    ]


def test_a_sentence_names_the_widest_gaps_alone(document: Document):
    (gaps,) = bullets(document, "Overfitting. The widest gaps of 14 models.")
    assert gaps.count(" a gap of ") == 3
