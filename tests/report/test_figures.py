import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from auricle.findings.comparison import Rank
from auricle.findings.scores import ComparativeRow
from auricle.report.figures import calibration, dataset, results, training, why
from auricle.report.figures.drawing import Drawing, drawing, drawn_in, fit, keep, panel
from auricle.report.figures.inline import inlined
from auricle.report.figures.style import (
    GRID,
    IN_DARK_MODE,
    INK,
    MARKS,
    MUTED,
    ON_DEEP,
    SERIES,
    contrast,
    drawables,
    ink_on,
    palette,
    style,
)
from auricle.report.pages import template
from auricle.scoring.calibration import reliability
from auricle.scoring.difference import Difference
from auricle.scoring.metrics import mean_curve, one_vs_rest

RATE_HZ = 16_000


def row(model: str) -> ComparativeRow:
    return ComparativeRow(
        model=model, protocol="k-fold", leaky=False, cells=2, cells_planned=2, test_clips=80, test_groups=40,
        accuracy=0.8, accuracy_sd=0.01, accuracy_min=0.79, accuracy_max=0.81, accuracy_low=0.7,
        accuracy_high=0.87, seed_sd=None, fold_sd=0.01, ensemble_accuracy=0.8,
        window_accuracy=0.75, window_accuracy_sd=0.01, validation_accuracy=0.8, validation_accuracy_sd=0.01,
        macro_precision=0.8, macro_recall=0.8, macro_f1=0.8, macro_f1_sd=0.01, macro_auc=0.9, macro_auc_sd=0.01,
        loss=0.5, loss_sd=0.01, calibration_error=0.1, parameters=10, trainable_parameters=10, multiply_adds=10,
        minutes=1.0, cpu_seconds=None,
    )  # fmt: skip


def drawings(num: int) -> dict[str, Callable[[], Figure]]:
    """Every figure of the report, for `num` classes."""
    categories = [f"class {place}" for place in range(num)]
    rng = np.random.default_rng(0)
    labels = np.arange(4 * num) % num
    curves = one_vs_rest(rng.dirichlet(np.ones(num), len(labels)), labels)
    history = [{"epoch": e, "train_loss": 2 / e, "train_accuracy": 1 - 1 / e} for e in range(1, 9)]
    bins = reliability(rng.uniform(1 / num, 1.0, 4 * num), rng.random(4 * num) < 0.7)
    f1 = rng.uniform(size=num).tolist()
    return {
        "accuracies": lambda: results.accuracies(
            [row("cnn"), row("my $\\frac$")], {"cnn": [0.79, 0.81], "my $\\frac$": [0.8, 0.8]},
            palette(["cnn", "my $\\frac$"]), {"chance": 0.1}, "k-fold",
        ),
        "confusion": lambda: results.confusion(np.eye(num, dtype=int) * 4, categories, SERIES[0]),
        "f1-models": lambda: results.f1_by_model({"cnn": f1, "b": f1}, categories, palette(["cnn", "b"])),
        "roc": lambda: results.roc({"cnn": curves}, {"cnn": mean_curve(curves)}, categories),
        "curves": lambda: training.curves({"cnn": [history] * 2}, {"cnn": SERIES[2]}, 2.0, {"cnn": [3]}),
        "ranking": lambda: results.ranking_bars(
            [Rank(row("cnn"), 1, 2), Rank(row("my $\\frac$"), 1, 3), Rank(row("c"), 2, 3)], [(0, 1), (1, 2)],
            palette(["cnn", "my $\\frac$", "c"]), "k-fold",
        ),
        "reliability": lambda: calibration.reliability_diagram(bins, bins, 4, SERIES[0], "cnn"),
        "reliability-plain": lambda: calibration.reliability_diagram(bins, None, 1, SERIES[0], "cnn"),
        "counts": lambda: dataset.class_counts({name: {1: 4, 2: 3} for name in categories}, [1, 2]),
        "sample": lambda: dataset.sample(np.sin(np.arange(8000.0) / 5), RATE_HZ, "tone"),
    }  # fmt: skip


@pytest.mark.parametrize("name", drawings(3))
def test_a_figure_is_the_same_bytes_each_time_and_holds_no_text_date_or_address(name: str):
    with style():
        first, second = (panel(drawings(3)[name](), name, "alt").svg for _ in range(2))
    assert first == second
    assert "<text" not in first
    assert "<!--" not in first
    assert not re.search(r"\d{4}-\d\d-\d\d|<metadata|https?://(?!www\.w3\.org)", first)
    ET.fromstring(first)


@pytest.mark.parametrize("num", [2, 50])
def test_every_figure_draws_for_two_classes_and_for_fifty(num: int):
    with style():
        for name, draw in drawings(num).items():
            assert "<path" in panel(draw(), name, "alt").svg


def test_the_style_leaves_nothing_behind():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    with style():
        pass
    assert dict(mpl.rcParams) == before


def test_a_model_keeps_its_colour_in_every_figure_and_none_look_alike():
    names = [f"model {place}" for place in range(7)]
    assert palette(names) == palette(names)
    assert len(set(palette(names).values())) == 7
    assert palette([*names, "model 7"])["model 3"] == palette(names)["model 3"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("sea_waves", "sea waves"),
        ("🐶", "#3"),
        ("狗 dog", "#3 dog"),
        ("a\nb", r"a\nb"),
        ("x" * 60, "x" * 11 + "…" + "x" * 10),
    ],
)
def test_names_that_cannot_be_drawn_become_their_number(name: str, shown: str):
    assert drawables(["", "", name])[2] == shown


def test_the_loudest_band_of_a_tone_is_the_tone_s():
    time_s = np.arange(RATE_HZ) / RATE_HZ
    for tone_hz in (200.0, 1000.0, 5000.0):
        levels_db, centres_hz = dataset.mel_levels(np.sin(2 * np.pi * tone_hz * time_s), RATE_HZ)
        loudest = centres_hz[levels_db.mean(axis=1).argmax()]
        assert loudest == pytest.approx(tone_hz, rel=0.08)
        assert levels_db.max() == 0
        assert levels_db.min() >= -70


@pytest.mark.parametrize("waveform", [np.zeros(8000), np.ones(100), np.full(480_000, 0.5)])
def test_silence_a_blink_and_half_a_minute_have_a_spectrogram(waveform: np.ndarray):
    levels_db, _ = dataset.mel_levels(waveform, RATE_HZ)
    assert np.isfinite(levels_db).all()
    assert 1 <= levels_db.shape[1] <= 241


def test_figures_on_one_page_share_glyphs_and_nothing_else():
    with style():
        svgs = {name: panel(draw(), name, "alt").svg for name, draw in drawings(3).items()}
    glyphs, pages = inlined(svgs)
    page = glyphs + "".join(pages.values())
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) | set(re.findall(r"url\(#([^)]+)\)", page)) <= set(ids)
    assert len(page) < sum(map(len, svgs.values()))


def test_colours_on_a_page_are_variables_with_the_colour_to_fall_back_on():
    _, pages = inlined(
        {"a": f'<svg><path style="fill: {INK}; stroke: {GRID}"/><path style="fill: {SERIES[1]}"/></svg>'}
    )
    assert pages["a"] == (
        f'<svg><path style="fill: var(--ink,{INK}); stroke: var(--grid,{GRID})"/>'
        f'<path style="fill: var(--series-2,{SERIES[1]})"/></svg>'
    )


def cut_off(picture: Drawing) -> list[str]:
    """Return the titles, legends and names of columns of a figure that its edge cuts, or a title's neighbour."""
    with style():
        figure = picture.draw()
        fit(figure)
        figure.draw_without_rendering()
    legends = [*figure.legends, *(legend for axes in figure.axes if (legend := axes.get_legend()))]
    titles = [text for axes in figure.axes for text in axes.get_children()
              if isinstance(text, Text) and text.get_text() == axes.get_title(loc="left") != ""]  # fmt: skip
    names = [label for axes in figure.axes for label in axes.get_xticklabels() if label.get_text()[:1].isalpha()]
    edge, boxes = figure.bbox, [title.get_window_extent() for title in titles]
    parts = [("legend", each.get_window_extent()) for each in legends]
    parts += [(text.get_text(), text.get_window_extent()) for text in (*titles, *names) if text.get_text()]
    found = [name for name, box in parts if box.x0 < edge.x0 - 1 or box.x1 > edge.x1 + 1 or box.y1 > edge.y1 + 1]
    overlaps = (one.overlaps(other) for at, one in enumerate(boxes) for other in boxes[:at])
    return [*found, *(["two titles"] if any(overlaps) else [])]


@pytest.mark.parametrize("models", [["cnn"], ["cnn", "tiny"], [f"report-{mark}-transformer-h1" for mark in "abcdefgh"]])
@pytest.mark.parametrize("classes", [["crackling_fire", "crying_baby"] * 5, ["a_rather_long_name_of_a_class"] * 12])
def test_names_of_models_and_classes_are_not_cut_off(models: list[str], classes: list[str]):
    num = len(classes)
    curve = next(filter(None, one_vs_rest(np.array([[0.6, 0.4], [0.5, 0.5]]), np.array([0, 1]))))
    f1, colours = {model: [0.5] * num for model in models}, palette(models)
    roc = results.roc({model: [curve] * num for model in models}, dict.fromkeys(models, curve), classes)
    assert not cut_off(roc)
    assert not cut_off(results.f1_by_model(f1, classes, colours))
    rows = [f"{drawables([name])[0]}  a-long-name-of-a-clip-0123.wav" for name in classes]
    missed = why.missed(np.ones((num, len(models))), rows, models, [*colours.values()])
    assert not cut_off(missed)


def test_names_that_differ_in_their_middle_differ_in_figures():
    models = [f"transformer-{num}-heads-with-recipe" for num in ("one", "two", "three", "four", "five")]
    for length in (16, 20, 22, 30):
        assert len({*drawables(models, length)}) == len(models)
        assert max(map(len, drawables(models, length))) <= length
    with style():
        curve = next(filter(None, one_vs_rest(np.array([[0.6, 0.4], [0.5, 0.5]]), np.array([0, 1]))))
        figure = results.roc({model: [curve] for model in models}, dict.fromkeys(models, curve), ["dog"]).draw()
        fit(figure)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert len({*titles}) == len(models)


def test_titles_of_one_figure_have_one_size():
    models = [f"report-{mark}-transformer-h1" for mark in "abcdefgh"]
    curve = next(filter(None, one_vs_rest(np.array([[0.6, 0.4], [0.5, 0.5]]), np.array([0, 1]))))
    with style():
        figure = results.roc({model: [curve] for model in models}, dict.fromkeys(models, curve), ["dog"]).draw()
        fit(figure)
    sizes = {text.get_fontsize() for axes in figure.axes for text in axes.get_children()
             if isinstance(text, Text) and text.get_text() == axes.get_title(loc="left")}  # fmt: skip
    assert len(sizes) == 1


def test_the_legend_of_masked_parts_covers_no_line():
    models = [f"report-{mark}-transformer-h1" for mark in "abcdefgh"]
    drop = Difference("a", "b", 0.5, 0.4, 0.6, 10, 10, 1, 1, 1, 1, 0.5, None)
    drawn = why.blanked({model: [drop] * 8 for model in models}, [*"12345678"], palette(models), "One masked", "part")
    with style():
        figure = drawn.draw()
        fit(figure)
        figure.draw_without_rendering()
    (axes,), (legend,) = figure.axes, figure.legends
    assert [text.get_text() for text in legend.get_texts()] == drawables(models)
    assert not legend.get_window_extent().overlaps(axes.get_tightbbox())
    assert not cut_off(drawn)


@pytest.mark.parametrize("title", ["W" * 16, "children playing"])
def test_the_title_of_a_small_sample_is_not_cut_off(title: str):
    drawn = dataset.sample(np.sin(np.arange(8000.0) / 5), RATE_HZ, title, small=True)
    assert title not in cut_off(drawn)


def test_no_two_of_many_models_have_both_the_same_colour_and_the_same_mark():
    colours = palette([f"model {place}" for place in range(12)])
    assert len({(colour, MARKS[place % len(MARKS)]) for place, colour in enumerate(colours.values())}) == 12


def test_numbers_on_deep_squares_can_be_read_in_dark_mode():
    css = template("report.css")
    variables = ("paper", "ink", "muted", *(f"series-{place}" for place in range(1, 8)))
    modes = {name: tuple(re.findall(rf"--{name}: (#\w+)", css)[:2]) for name in (*variables, "on-deep")}
    assert [modes[name] for name in variables] == [*IN_DARK_MODE.items()]
    assert modes["on-deep"] == (ON_DEEP, IN_DARK_MODE[ON_DEEP])
    for colour in (*SERIES, MUTED):
        assert min(contrast(ink_on(colour, depth), colour, depth) for depth in np.linspace(0.01, 1, 100)) > 4
    svg = inlined({"a": f'<svg><g style="fill: {ON_DEEP}"/></svg>'})[1]["a"]
    assert f"var(--on-deep,{ON_DEEP})" in svg


def test_a_panel_is_drawn_again_only_where_what_it_is_made_of_has_changed(tmp_path: Path):
    matrix = np.eye(2, dtype=int)
    drawn = []

    @drawing
    def picture(matrix: np.ndarray):
        drawn.append(matrix)
        return results.confusion(matrix, ["cat", "dog"], SERIES[0]).draw()

    def build(matrix: np.ndarray):
        with drawn_in(tmp_path, style):
            made = panel(picture(matrix), "confusion", "a matrix")
        keep(tmp_path, [made])
        return made

    first = build(matrix)
    assert (build(matrix.copy()), len(drawn)) == (first, 1)
    assert build(2 * matrix) != first
    assert len(drawn) == 2
    (tmp_path / "confusion.svg").write_text("<svg>changed by hand</svg>")
    assert build(2 * matrix).svg.startswith("<svg xmlns")
    assert len(drawn) == 3
    (tmp_path / "drawn.json").write_text("[]")
    build(2 * matrix)
    assert len(drawn) == 4
