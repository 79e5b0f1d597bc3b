"""Turn drawings into SVG panels; a panel that exists already with the same content is not drawn again.

A report is rebuilt often: after each part of a study, after probes, after a search. Drawing takes most of the time, so
figures/drawn.json stores a hash of everything that a panel depends on (its arguments and code) and of its SVG.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np

from auricle import files

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backend_bases import RendererBase
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.text import Text

P = ParamSpec("P")
KEPT_FILE = "drawn.json"
MARGIN_IN = 0.03
Style = Callable[[], contextlib.AbstractContextManager[None]]
_kept: ContextVar[tuple[Path, Mapping[str, Any], Style] | None] = ContextVar("kept", default=None)


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure that is not drawn yet: the function that draws it, and its arguments."""

    function: Callable[..., Figure]
    args: tuple[Any, ...]
    named: Mapping[str, Any]

    def draw(self) -> Figure:
        """Draw it."""
        return self.function(*self.args, **self.named)

    @property
    def made_of(self) -> str:
        """Return a hash of the arguments and of the code that draws."""
        what = (_code(), self.function.__module__, self.function.__qualname__, self.args, self.named)
        return files.digest(json.dumps(what, default=_plain).encode())


def drawing(function: Callable[P, Figure]) -> Callable[P, Drawing]:
    """Decorate a function that draws a figure, so that it is called only when a panel needs it."""

    @functools.wraps(function)
    def put_off(*args: P.args, **named: P.kwargs) -> Drawing:
        return Drawing(function, args, named)

    return put_off


@functools.cache
def _code() -> str:
    """Return a hash of the modules that draw, and of matplotlib's version."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return files.digest(b"".join([version("matplotlib").encode(), *(path.read_bytes() for path in sources)]))


def _plain(value: Any) -> Any:
    """Return a value that JSON can write: arrays as a hash of their bytes, records as their fields."""
    if isinstance(value, np.ndarray):
        return [str(value.dtype), value.shape, files.digest(value.tobytes())]
    if is_dataclass(value):
        return [type(value).__qualname__, *(getattr(value, item.name) for item in fields(value))]
    return [*value.items()] if isinstance(value, Mapping) else repr(value)


@contextlib.contextmanager
def drawn_in(folder: Path, style: Style) -> Iterator[None]:
    """Within the block, draw in a style, and only the panels that a folder does not have yet."""
    known: Mapping[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        known = json.loads((folder / KEPT_FILE).read_text(encoding="utf-8"))
    token = _kept.set((folder, known if isinstance(known, dict) else {}, style))
    try:
        yield
    finally:
        _kept.reset(token)


def keep(folder: Path, panels: Sequence[Panel]) -> None:
    """Write the panels, each as NAME.svg, and the hashes of their content.

    Raises:
        MachineError: the disk refuses.
    """
    for panel in panels:
        files.write_text(folder / f"{panel.name}.svg", panel.svg)
    made = {panel.name: [panel.made_of, files.digest(panel.svg.encode()), panel.width_in] for panel in panels}
    files.write_json(folder / KEPT_FILE, made)


@dataclass(frozen=True)
class Panel:
    """One picture of a figure: its name, its SVG, its width, its content in words, and a hash of its content."""

    name: str
    svg: str
    width_in: float
    alt: str
    made_of: str = ""


def panel(picture: Drawing, name: str, alt: str) -> Panel:
    """Turn a drawing into a panel of this name; inside `drawn_in`, only if its folder has no such panel."""
    made_of = picture.made_of
    style: Style = contextlib.nullcontext
    if (kept := _kept.get()) is not None:
        folder, known, style = kept
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            was_made_of, digest, width_in = known[name]
            svg = (folder / f"{name}.svg").read_text(encoding="utf-8")
            if was_made_of == made_of and files.digest(svg.encode()) == digest:
                return Panel(name, svg, float(width_in), alt, made_of)
    with style():
        figure = picture.draw()
        fit(figure)
        return Panel(name, _to_svg(figure), float(figure.get_figwidth()), alt, made_of)


def fit(figure: Figure | SubFigure) -> None:
    """Give the axes all the space that their labels leave, with one measurement; matplotlib's layout needs four."""
    from matplotlib.transforms import Bbox

    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        if not axis.get_label_text():
            axis.set_label_coords(0, 0)  # else matplotlib measures all tick labels four times for an empty label
    renderer = _renderer(figure)
    _fit_titles(figure, renderer)
    axes = [part.get_window_extent() for part in figure.axes]
    inner, outer = Bbox.union(axes), Bbox.union([part.get_tightbbox(renderer) or part.bbox for part in figure.axes])
    width, height = figure.bbox.width, figure.bbox.height
    margin = MARGIN_IN * figure.dpi
    below = sum(legend.get_window_extent(renderer).height + 2 * margin for legend in figure.legends)
    figure.subplots_adjust(
        left=(inner.x0 - outer.x0 + margin) / width,
        right=1 - (outer.x1 - inner.x1 + margin) / width,
        bottom=(inner.y0 - outer.y0 + margin + below) / height,
        top=1 - (outer.y1 - inner.y1 + margin) / height,
    )
    _fit_titles(figure, renderer)


def _fit_titles(figure: Figure | SubFigure, renderer: RendererBase) -> None:
    """Set all titles smaller if one reaches beyond the figure, or into the axes to its right."""
    margin, shares = MARGIN_IN * figure.dpi, [1.0]
    boxes = [axes.get_window_extent() for axes in figure.axes]
    titles = [(title, own) for axes, own in zip(figure.axes, boxes, strict=True) if (title := _title(axes))]
    for title, own in titles:
        beside = (box.x0 for box in boxes if box.x0 > own.x0 and box.y0 < own.y1 and box.y1 > own.y0)
        room = min(beside, default=figure.bbox.x1) - 2 * margin - own.x0
        shares.append(room / title.get_window_extent(renderer).width)
    if (share := min(shares)) < 1:
        for title, _ in titles:
            title.set_fontsize(float(title.get_fontsize()) * share)


def _title(axes: Axes) -> Text | None:
    """Return the title of axes, which is on their left."""
    from matplotlib.text import Text

    shown = axes.get_title(loc="left")
    texts = (part for part in axes.get_children() if isinstance(part, Text))
    return next((text for text in texts if shown and text.get_text() == shown), None)


def add_legend(where: Axes | Figure, most_columns: int, **options: Any) -> None:
    """Add a legend in as many columns as fit in its figure; lines beyond those of `most_columns` make it higher."""
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    figure = where.get_figure(root=False) if isinstance(where, Axes) else where
    assert figure is not None
    renderer, room = _renderer(figure), figure.bbox.width - 2 * MARGIN_IN * figure.dpi
    for num_columns in range(most_columns, 0, -1):
        legend = where.legend(ncols=num_columns, **options)
        box, num = legend.get_window_extent(renderer), len(legend.get_texts())
        if box.width <= room or num_columns == 1:
            break
        legend.remove()
    lines = -(-num // num_columns)
    if isinstance(figure, Figure):  # a part of a figure is as high as its own figure was
        more = (lines - -(-num // most_columns)) * box.height / lines
        figure.set_figheight(figure.get_figheight() + more / figure.dpi)


def _renderer(figure: Figure | SubFigure) -> RendererBase:
    """Return what measures texts."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    return FigureCanvasAgg(figure.get_figure(root=True)).get_renderer()


def _to_svg(figure: Figure) -> str:
    """Return a figure as SVG without metadata, comments, needless digits and ids that nothing refers to."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    file = io.StringIO()
    FigureCanvasSVG(figure).print_svg(file)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(?<= d=")[^"]+', lambda path: re.sub(r"-?\d+\.\d{3,}", _short, path[0]), svg)
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    svg = re.sub(r' id="([^"]+)"', lambda mark: mark[0] if mark[1] in used else "", svg)
    return re.sub(r"\s*\n\s*", "\n", svg)


def _short(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")
