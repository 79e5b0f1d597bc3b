"""How right against how long: `python benchmarks/frontier.py STUDY --picture docs/frontier.svg --results RESULTS.md`.

STUDY is a folder of `auricle study esc10-official`. Accuracy is the share of clips right with its 95 % interval,
time the processor time of training and scoring one fold. Published accuracies stand beside them; none of those was
measured here.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from auricle.files import write_text
from auricle.findings.scores import ComparativeRow, network_rows
from auricle.findings.study import Study, load_study
from auricle.report.figures.drawing import drawing, panel
from auricle.report.figures.style import INK, MUTED, canvas, palette, style
from auricle.report.results_page import write_section

CLOSE = 1.5  # a model whose time is less than so many times another's is named on its other side
PUBLISHED = {
    "ACDNet, 2,000 epochs, best epoch on the test fold": 96.65,
    "people": 95.7,
    "WaveMsNet": 93.75,
    "EnvNet-v2, between-class": 91.4,
    "Piczak's CNN": 80.3,
}


@drawing
def frontier(rows: Sequence[ComparativeRow]) -> Figure:
    """Draw accuracy and its interval against time; on white, as it stands on pages of any colour."""
    colours = palette([row.model for row in rows])
    figure, axes = canvas(6.4, 3.6)
    figure.set_facecolor("white")
    _published(axes)
    for row in rows:
        place, colour = (row.cpu_seconds, 100 * row.accuracy), colours[row.model]
        error = [[100 * (row.accuracy - row.accuracy_low)], [100 * (row.accuracy_high - row.accuracy)]]
        axes.errorbar(*place, error, fmt="o", ms=5, capsize=2.5, lw=1, color=colour)
        crowded = any(1 < other.cpu_seconds / row.cpu_seconds < CLOSE for other in rows)
        axes.annotate(row.model, place, (-6 if crowded else 6, 3), textcoords="offset points",
                      ha="right" if crowded else "left", weight="bold", color=colour)  # fmt: skip
    axes.set(xscale="log", xlabel="processor seconds a fold (training and scoring)", ylabel="accuracy, %")
    seconds = [row.cpu_seconds for row in rows]
    axes.set_xlim(min(seconds) / 1.6, max(seconds) * 4)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_title("ESC-10, five official folds, last epoch")
    return figure


def draw(rows: Sequence[ComparativeRow], path: Path) -> None:
    with style():
        write_text(path, panel(frontier(rows), "frontier", "").svg)


def _published(axes: Axes) -> None:
    for name, accuracy in PUBLISHED.items():
        axes.axhline(accuracy, color=MUTED, lw=0.7, ls=(0, (4, 3)), zorder=0)
        axes.annotate(f"{name} {accuracy:g}", (1, accuracy), (-2, 2), xycoords=("axes fraction", "data"),
                      textcoords="offset points", ha="right", size=6, color=INK)  # fmt: skip


def section(study: Study, rows: list[ComparativeRow]) -> str:
    """Return the section of RESULTS.md, in Markdown."""
    lines = [
        f"| {row.model} | {row.parameters:,} | {row.multiply_adds / 1e6:.1f} | {row.cpu_seconds:.0f} "
        f"| {100 * row.accuracy:.1f} | {100 * row.accuracy_low:.1f} to {100 * row.accuracy_high:.1f} |"
        for row in rows
    ]
    header = "| model | parameters | million multiply-adds a clip | CPU s a fold | accuracy, % | 95 % interval |"
    return "\n".join(
        ["## Frontier", "", f"From the study {study.config.name}, commit {study.commit}.", "", header,
         "| --- | ---: | ---: | ---: | ---: | ---: |", *lines, "", "![](docs/frontier.svg)"]
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--picture", type=Path, default=Path("docs/frontier.svg"))
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    study = load_study(asked.study)
    timed = [row for protocol in study.protocols for row in network_rows(study, protocol) if row.cpu_seconds]
    rows = sorted(timed, key=lambda row: row.cpu_seconds)
    draw(rows, asked.picture)
    text = section(study, rows)
    print(text)
    if asked.results:
        write_section(asked.results, "frontier", text)


if __name__ == "__main__":
    main()
