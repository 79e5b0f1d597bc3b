import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pypdf import PdfReader

from auricle.errors import AuricleError
from auricle.findings.study import Study, load_study
from auricle.report import build
from auricle.report.build import build_report, subtitle
from auricle.report.chapters.closing import assumptions, implementation
from auricle.report.chapters.comparison import details
from auricle.report.chapters.results import summary
from auricle.report.results_page import _section as results_section
from auricle.runs import StudyFolder
from report_text import chapter_sections, report_of, sections, words_of

HOSTILE = (
    "<script>alert(1)</script>",
    "=cmd|'/c calc'!A1",
    '#import "x"; *bold* $x^2$ @ref',
    "🐶 狗",
    "a\nb\u202ec",
    "Ж" + "x" * 200,
    "**bold** [a](javascript:x) `c` ![i](figure-f1)",
    "# title {#summary} {{ 7 * 7 }} {% if %} <!-- c",
    "\ue0000\ue001 - > 1. &amp; \\* ---",
)
HOSTILE_MODEL = "**m** [b](javascript:y) {{ 7 * 7 }} \ue0001\ue001"
HOSTILE_NOTE = "- note [c](javascript:z) **n** \ue0002\ue001 $n$ #n"


class Page(HTMLParser):
    """Collects what matters of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        named = dict(attrs)
        assert not any(name.startswith("on") for name in named)
        self.ids += [named["id"]] if named.get("id") else []
        self.links += [value for name, value in attrs if name in ("href", "src", "xlink:href") and value]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def pdf_text(path: Path) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(path).pages).split())


@pytest.fixture(scope="module")
def esc10_report(esc10_study: Path) -> dict[str, Path]:
    return build_report(load_study(esc10_study))


@pytest.fixture(scope="module")
def hostile_study(make_study: Callable[..., Path]) -> Path:
    folder = make_study(
        source="<b>mine</b>", categories=HOSTILE, models=("cnn", HOSTILE_MODEL), protocols=("k-fold",),
        num_folds=4, epochs=3, clip_s=0.5, dataset={"notes": [HOSTILE_NOTE]}, clip_end="*a* [d](javascript:w) <b>.wav",
        skipped=[("a<b>.wav", "it is <i>empty</i>"), ("=1+1.wav", "cannot be decoded"), ("# f.wav", "**r** {{ 1 }}")],
        failed=["cnn/k-fold-3-0"], unstarted=[f"{HOSTILE_MODEL}/k-fold-4-0"], skill={"cnn": None, HOSTILE_MODEL: 4.0},
    )  # fmt: skip
    build_report(load_study(folder))
    return folder


@pytest.fixture(scope="module")
def hostile_pdf(hostile_study: Path) -> str:
    return pdf_text(hostile_study / "report" / "report.pdf")


def test_the_whole_study_becomes_one_html_and_one_pdf_of_modest_size(esc10_report: dict[str, Path]):
    assert esc10_report["html"].stat().st_size < 8e6
    assert esc10_report["pdf"].stat().st_size < 5e6


def test_the_page_stands_alone(esc10_report: dict[str, Path]):
    page = Page(esc10_report["html"].read_text())
    assert not {"script", "link", "iframe", "object", "img"} & set(page.tags)
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_both_files_hold_every_chapter_figure_and_table(hostile_study: Path, hostile_pdf: str):
    html = Page((hostile_study / "report" / "report.html").read_text()).text
    for text in (html, hostile_pdf):
        for title in (
            "Dataset", "Method", "Architectures", "Training", "Learning curves", "Results", "Protocol k-fold",
            HOSTILE_MODEL, "All cells", "Which model is best", "Observations", "Assumptions",
            "Resources and versions", "Reproducing this report", "Missing results",
        ):  # fmt: skip
            assert title in text
    captions = [set(re.findall(r"((?:Figure|Table) \d+)\s?\. ", text)) for text in (html, hostile_pdf)]
    assert captions[0] == captions[1]
    for kind in ("Figure", "Table"):
        numbers = sorted(int(caption.split()[1]) for caption in captions[0] if caption.startswith(kind))
        assert numbers == list(range(1, len(numbers) + 1))
    assert len(captions[0]) >= 20


def test_the_first_page_answers_the_question(esc10_report: dict[str, Path], esc10_study: Path):
    first = " ".join(PdfReader(esc10_report["pdf"]).pages[0].extract_text().split())
    assert "has the highest test accuracy" in first
    cited = "The best published result that the study cites for these clips is 60 % (Report A, the best of 4 trainings)"
    assert cited in first.replace("\xa0", " ")
    assert "Table 1." in first


def test_the_pdf_needs_no_fonts_of_the_system_and_has_contents(esc10_report: dict[str, Path]):
    reader = PdfReader(esc10_report["pdf"])
    fonts = set()
    for page in reader.pages:
        for font in page["/Resources"].get("/Font", {}).values():
            fonts.add(font.get_object()["/BaseFont"].split("+")[-1])
    assert all(font.startswith(("LibertinusSerif", "DejaVuSansMono")) for font in fonts)
    assert len(reader.outline) > 5
    assert reader.metadata.title == "Which of 4 models classifies esc10 best?"
    assert "/CreationDate" not in reader.metadata


def test_tables_and_figures_lie_beside_the_report(esc10_report: dict[str, Path]):
    folder = esc10_report["html"].parent
    assert (folder / "tables" / "table-comparative.csv").read_text().count("\n") == 9
    assert (folder / "figures" / "confusion-k-fold-cnn.svg").exists()


def test_a_rebuild_gives_the_same_bytes_and_clears_what_is_stale(hostile_study: Path):
    report = StudyFolder(hostile_study).report
    before = {path: path.read_bytes() for path in report.rglob("*") if path.is_file()}
    (report / "figures" / "old.svg").write_text("<svg/>")
    (report / "tables" / "old.csv").write_text("a,b")
    build_report(load_study(hostile_study))
    assert {path: path.read_bytes() for path in report.rglob("*") if path.is_file()} == before


def test_the_pdf_is_set_again_only_where_it_or_what_it_says_has_changed(
    make_study: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    folder = make_study(
        categories=("cat", "dog"), models=("cnn",), protocols=("test-split",), epochs=1, clip_s=0.1,
        clips_per_class_and_fold=2,
    )  # fmt: skip
    made = []
    monkeypatch.setattr(build, "to_pdf", lambda *_: made.append(1) or f"PDF {len(made)}".encode())
    pdf = build_report(load_study(folder))["pdf"]
    build_report(load_study(folder))
    assert len(made) == 1
    for change in (lambda: pdf.write_bytes(b"%PDF by hand"), pdf.unlink, StudyFolder(folder).samples.unlink):
        change()
        build_report(load_study(folder))
        assert pdf.read_bytes() == f"PDF {len(made)}".encode()
    assert len(made) == 4
    (pdf.parent / "figures" / "set.json").write_text("{")
    build_report(load_study(folder))
    assert len(made) == 5
    monkeypatch.setattr(build, "subtitle", lambda study: "狗")  # is set with fonts of the system, which can change
    build_report(load_study(folder))
    build_report(load_study(folder))
    assert len(made) == 7


def test_a_rebuild_of_what_has_not_changed_needs_no_matplotlib(esc10_report: dict[str, Path]):
    code = (
        "import sys; from pathlib import Path; from auricle.findings.study import load_study; "
        "from auricle.report.build import build_report; build_report(load_study(Path(sys.argv[1]))); "
        "sys.exit('matplotlib' in sys.modules)"
    )
    study = esc10_report["html"].parents[1]
    assert subprocess.run([sys.executable, "-c", code, str(study)], check=False).returncode == 0


def test_hostile_names_are_shown_as_text_and_do_nothing(hostile_study: Path, hostile_pdf: str):
    html = (hostile_study / "report" / "report.html").read_text()
    page = Page(html)
    assert not {"script", "i"} & set(page.tags)
    assert "<script>alert(1)</script>" in page.text
    assert '#import "x"; *bold* $x^2$ @ref' in page.text
    assert r"a\nb\u202ec" in page.text
    assert "it is <i>empty</i>" in page.text
    for name in (*HOSTILE[6:], HOSTILE_MODEL, HOSTILE_NOTE, "# f.wav", "**r** {{ 1 }}"):
        assert name in page.text
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in page.links)
    assert '#import "x"; *bold* $x^2$ @ref' in hostile_pdf
    assert "<script>" in hostile_pdf


def test_no_cell_of_a_csv_starts_a_formula(hostile_study: Path):
    for path in (hostile_study / "report" / "tables").glob("*.csv"):
        for line in path.read_text().splitlines():
            assert not re.search(r"(^|,)\"?[=@+]", line), f"{path.name}: {line}"


def test_what_is_missing_left_out_or_collapsed_is_said_on_the_first_page(hostile_study: Path, hostile_pdf: str):
    first = PdfReader(hostile_study / "report" / "report.pdf").pages[0].extract_text()
    first = " ".join(first.split())
    assert "2 of 6 planned cells have no results" in first
    assert "3 clips could not be used" in first
    assert "collapsed to one class" in first
    assert "failed: loss is not finite in epoch 3" in hostile_pdf
    assert "not started" in hostile_pdf


def test_one_model_two_classes_and_no_validation_make_a_report(make_study: Callable[..., Path]):
    folder = make_study(
        source="/data/pets", categories=("cat", "dog"), models=("cnn",), protocols=("official",), num_folds=3,
        clips_per_class_and_fold=4, epochs=2, clip_s=0.5,
    )  # fmt: skip
    text = Page(build_report(load_study(folder))["html"].read_text()).text
    assert "How well does cnn tell 2 classes of sound apart?" in text
    assert "no validation set: training only" in text
    assert "published" not in text
    assert "chance is" not in text


def test_a_study_in_which_one_model_has_got_further_than_the_other_is_reported(make_study: Callable[..., Path]):
    models = ("cnn", "transformer-h1")
    left = [f"transformer-h1/k-fold-{fold}-0" for fold in (3, 4, 5)]
    written = build_report(load_study(make_study(models=models, protocols=("k-fold",), clip_s=0.1, unstarted=left)))
    assert written["pdf"].exists()
    rows = (written["html"].parent / "tables" / "table-cells.csv").read_text().splitlines()
    assert len(rows) == 1 + 4 + 1


def test_the_subtitle_says_how_long_the_cells_were_really_trained(make_study: Callable[..., Path]):
    study = load_study(
        make_study(
            categories=("cat", "dog"), models=("cnn", "transformer-h1"), protocols=("test-split",), clip_s=0.1,
            clips_per_class_and_fold=2, training={"cnn": {"max_steps": 120}},
        )
    )  # fmt: skip
    assert "2 cells of 100 epochs under test-split" in subtitle(study)
    of_cnn, of_transformer = study.cells
    history = tuple({**epoch, "steps": steps} for epoch, steps in zip(of_cnn.history, (50, 50, 20), strict=False))
    limited = replace(of_cnn, history=history, costs={**of_cnn.costs, "epochs": 3})
    mixed = replace(study, cells=(limited, of_transformer))
    assert "2 cells of 3 and 100 epochs (120 steps where these are limited) under" in subtitle(mixed)
    assert "1 cell of 3 epochs (120 steps) under" in subtitle(replace(study, cells=(limited,)))


def test_a_leaky_protocol_is_stamped_wherever_it_stands(make_study: Callable[..., Path]):
    folder = make_study(
        source="/data/pets", categories=("cat", "dog"), models=("cnn", "transformer-h1"), protocols=("random",),
        leaky_protocols=("random",), clips_per_class_and_fold=4, epochs=2, clip_s=0.5,
    )  # fmt: skip
    page = Page(build_report(load_study(folder))["html"].read_text())
    assert "Leaky protocol" in page.text
    assert page.text.count("random (leaky)") >= 6
    tables = StudyFolder(folder).report / "tables"
    assert "random (leaky)" in (tables / "table-comparative.csv").read_text()


def test_a_study_without_a_finished_training_has_no_report(make_study: Callable[..., Path]):
    folder = make_study(
        categories=("cat", "dog"), models=("cnn",), protocols=("test-split",), failed=["cnn/test-split-2-0"], clip_s=0.1
    )
    with pytest.raises(AuricleError, match=r"no cell of .* is finished"):
        build_report(load_study(folder))
    assert not StudyFolder(folder).report.exists()


def test_a_study_without_samples_layers_or_histories_is_reported_without_them(make_study: Callable[..., Path]):
    folder = make_study(
        categories=("cat", "dog"), models=("cnn",), protocols=("test-split",), epochs=1, clip_s=0.1,
        clips_per_class_and_fold=2,
    )  # fmt: skip
    StudyFolder(folder).samples.unlink()
    for cell in StudyFolder(folder).cells():
        cell.history.unlink()
    StudyFolder(folder).model("cnn").unlink()
    text = Page(build_report(load_study(folder))["html"].read_text()).text
    assert "contains no description of its networks" in text
    assert "What the classes look like" not in text


def test_progress_is_told_step_by_step(make_study: Callable[..., Path]):
    folder = make_study(
        categories=("cat", "dog"), models=("cnn",), protocols=("test-split",), epochs=1, clip_s=0.1,
        clips_per_class_and_fold=2,
    )  # fmt: skip
    told: list[str] = []
    build_report(load_study(folder), on_progress=told.append)
    assert told[0] == "comparing the models"
    assert told[-3:] == ["drawing the figures", "writing report.html", "writing report.pdf"]


def test_the_report_never_imports_torch():
    modules = ("build", "errors_page", "check_page", "results_page")
    code = f"import sys, {', '.join(f'auricle.report.{name}' for name in modules)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_few_groups_are_counted_for_their_own_protocol(make_study):
    folder = make_study(
        categories=("cat", "dog"), models=("cnn",), protocols=("test-split", "official"), clips_per_class_and_fold=4,
        epochs=1, clip_s=0.1,
    )  # fmt: skip
    assert "from only 4 groups (test-split)" in words_of(sections(summary, report_of(folder)))


def test_where_classes_count_alike_clips_are_not_said_to(make_study):
    folder = make_study(
        categories=("cat", "dog"), models=("cnn",), protocols=("test-split",), epochs=1, clip_s=0.1, seeds=(0, 1)
    )
    study = load_study(folder)
    counts = {"cat": dict.fromkeys(range(1, 6), 40), "dog": dict.fromkeys(range(1, 6), 8)}
    unequal = replace(study, dataset=replace(study.dataset, counts=counts))
    assert "Every class counts the same in accuracy" in words_of(chapter_sections(unequal, assumptions))
    assert "else Wilson" not in words_of(chapter_sections(unequal, details))
    assert "test accuracy is balanced accuracy" in results_section(unequal)
    assert ["else Wilson" in results_section(one) for one in (study, unequal)] == [True, False]
    assert "The accuracy of windows, by epoch" in words_of(chapter_sections(unequal, summary))
    for other, drawn in ((study, False), (unequal, True)):
        assert ("with replacement" in words_of(chapter_sections(other, implementation))) == drawn


def test_inputs_longer_than_the_specification_proposes_are_an_assumption(esc10: Study):
    says = "The course specification proposes windows of 1 or 2 s as inputs. cnn, "
    assert says in words_of(chapter_sections(esc10, assumptions))
    elsewhere = replace(esc10, dataset=replace(esc10.dataset, source="/data/mine"))
    assert "course specification" not in words_of(chapter_sections(elsewhere, assumptions))
