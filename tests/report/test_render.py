import json

import pytest
from jinja2 import Environment

from auricle.report.document import Bullets, Document, Figure, Pair, Paragraph, Section
from auricle.report.figures.drawing import Panel
from auricle.report.pages import page_environment
from auricle.report.render import numbered
from auricle.report.table import Column, Spread, Table
from auricle.report.wording import Code, Ref, Strong


def figure(name: str) -> Figure:
    return Figure((Panel(name, "<svg/>", 3.0, "a picture"),), name, ("What to see.",))


def table(name: str, **changes) -> Table:
    columns = (Column("model", "Model", "code"), Column("accuracy", "Accuracy", "percent", "high"))
    rows = [("a", Spread(0.5, 0.01)), ("b", Spread(0.9)), ("c", Spread(0.9001))]
    return Table(columns, {"": rows}, name=name, caption=("What to see.",), **changes)


def document(*sections: Section) -> Document:
    return Document("Title", "Subtitle", "Head", (Section("summary", "The answer", ()), *sections))


def test_sections_figures_and_tables_are_numbered_in_reading_order():
    inner = Section("inner", "Inner", (Pair(figure("f2"), table("t1")), table("t2")))
    content = numbered(
        document(Section("one", "One", (figure("f1"),), (inner,)), Section("two", "Two", (figure("f3"),)))
    )
    _, one, two = content["sections"]
    assert [one["number"], one["sections"][0]["number"], two["number"]] == ["1", "1.1", "2"]
    pair, last = one["sections"][0]["blocks"]
    assert [one["blocks"][0]["label"], pair["left"]["label"], two["blocks"][0]["label"]] == [
        "Figure 1", "Figure 2", "Figure 3"
    ]  # fmt: skip
    assert [pair["right"]["label"], last["label"]] == ["Table 1", "Table 2"]


def test_the_first_section_stands_before_the_contents_without_a_number():
    assert numbered(document())["sections"][0]["number"] == ""


def test_links_are_resolved_forward_and_backward():
    text = ("See ", Ref("f1"), ", ", Ref("two"), ", ", Strong("now"), ", ", Code("x"))
    content = numbered(document(Section("one", "One", (Paragraph(text),)), Section("two", "Two", (figure("f1"),))))
    pieces = content["sections"][1]["blocks"][0]["text"]
    assert [(piece["kind"], piece["text"]) for piece in pieces] == [
        ("plain", "See "), ("ref", "Figure 1"), ("plain", ", "), ("ref", "Section 2"), ("plain", ", "),
        ("strong", "now"), ("plain", ", "), ("code", "x"),
    ]  # fmt: skip


def test_a_link_that_leads_nowhere_is_an_error():
    with pytest.raises(ValueError, match="'nowhere', which is not in it"):
        numbered(document(Section("one", "One", (Paragraph((Ref("nowhere"),)),))))


def test_two_parts_of_one_name_are_an_error():
    with pytest.raises(ValueError, match="'f1'"):
        numbered(document(Section("one", "One", (figure("f1"), figure("f1")))))


def test_the_best_values_are_marked_with_all_that_read_the_same():
    block = numbered(document(Section("one", "One", (table("t"),))))["sections"][1]["blocks"][0]
    marks = [[cell["best"] for cell in row] for row in block["groups"][0]["rows"]]
    assert marks == [[False, False], [False, True], [False, True]]
    assert [row[1]["sd"] for row in block["groups"][0]["rows"]] == ["1.0", "", ""]
    assert block["columns"][1]["spread"]


def test_content_is_plain_values_without_control_characters():
    hostile = "a\nb\u202ec\ud800"
    content = numbered(document(Section("one", hostile, (Bullets(((hostile,),)),))))
    text = json.dumps(content, ensure_ascii=False)
    assert r"a\nb\u202ec\ud800" in text.replace(r"\\", "\\")
    assert text.encode("utf-8")


def test_a_process_compiles_a_template_once(monkeypatch):
    page_environment().get_template("errors.html.j2")
    monkeypatch.delattr(Environment, "compile")
    assert page_environment().get_template("errors.html.j2").name == "errors.html.j2"
