"""A study in the Python API: its results as tables, figures and findings, its report, and export of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auricle.display.watching import in_notebook, progress_shown, say
from auricle.errors import AuricleError, RefusedError, choices, count
from auricle.study.status import StudyStatus, read_status
from auricle.system import expanded
from auricle.tabular import to_frame
from auricle.text import visible

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from auricle.findings.findings import Findings
    from auricle.predict.classifier import Classifier
    from auricle.report.document import Report

SHOWN = (
    "model",
    "protocol",
    "cells",
    "test_clips",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "macro_f1",
    "macro_auc",
)
OF_TRIAL = ("number", "state", "loss", "accuracy", "seconds")
OF_DIFFERENCE = ("first", "second", "mean", "low", "high", "p_adjusted")


class Study:
    """A study in its folder, as `run_study`, `run_search` and `open_study` return it; files are read when needed.

    A notebook shows a table of its results. All but `status`, `failed` and `trials` raise an AuricleError if no cell is
    finished, and a RefusedError if a file of the study is damaged.

    Attributes:
        folder: the folder of the study.
    """

    def __init__(self, folder: Path, root: Path | None = None) -> None:
        self.folder = folder
        self._root = root  # of a named dataset; None: where such datasets are looked for

    def status(self) -> StudyStatus:
        """Return the progress: which cells are done, running, stopped, failed or waiting, and the time left.

        Raises:
            RefusedError: the folder contains no study, or a damaged one.
        """
        if (status := read_status(self.folder)) is None:
            raise RefusedError(
                f"{self.folder} contains no study; name a folder that `auricle study` or run_study wrote"
            )
        return status

    @cached_property
    def _report(self) -> Report:
        from auricle.findings.findings import find
        from auricle.findings.study import load_study
        from auricle.report.document import Report

        study = load_study(self.folder)
        if not study.cells:
            raise AuricleError(
                f"no cell of {self.folder} is finished, so there are no results yet; run the study again to resume it"
            )
        return Report(study, find(study))

    @property
    def models(self) -> tuple[str, ...]:
        """The models with a finished cell, in the order of the study."""
        return self._report.study.models

    @property
    def protocols(self) -> tuple[str, ...]:
        """The protocols with a finished cell, in the order of the study."""
        return self._report.study.protocols

    @property
    def failed(self) -> dict[str, str]:
        """The cells that failed, and the cause of each."""
        return {cell.name: cell.cause for cell in self.status().cells if cell.state == "failed"}

    @property
    def findings(self) -> Findings:
        """All results of the study as numbers, as in the report and in findings.json."""
        return self._report.findings

    @property
    def results(self) -> pd.DataFrame:
        """One row per protocol and model, and one per free baseline; accuracies are in 0..1.

        The columns are those of `findings.scores.ComparativeRow`: `accuracy` is of test clips, `accuracy_low` to
        `accuracy_high` its 95 % interval, `accuracy_sd` the standard deviation over cells.
        """
        comparisons = self.findings.comparisons.values()
        return to_frame([
            {**asdict(row), "false_alarms": row.false_alarms and row.false_alarms.an_hour}
            for comparison in comparisons
            for row in (*comparison.rows, *comparison.baselines)
        ])  # fmt: skip

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial of the search that chose this study's settings, the lowest validation loss first.

        Columns: `number`, `state`, `loss` in nats and `accuracy` in 0..1 on the validation folds, `seconds`, and the
        value of each parameter.

        Raises:
            AuricleError: the study does not come from a search.
            RefusedError: the record of the search is damaged.
        """
        from auricle.search.record import read_record

        if (record := read_record(self.folder / "search")) is None:
            raise AuricleError(f"{self.folder} contains no search; run_search or `auricle search` writes one")
        rows = [{**{name: entry[name] for name in OF_TRIAL}, **entry["values"]} for entry in record["trials"]]
        return to_frame(rows, OF_TRIAL if not rows else None).sort_values("loss", ignore_index=True)

    def compare(self, protocol: str | None = None) -> pd.DataFrame:
        """Return one row per pair of models, and one per model and the best free baseline, of a protocol.

        `mean` is how much more accurate the first is on the same clips, with its 95 % interval `low` to `high`;
        `p_adjusted` is adjusted for the number of comparisons; `significant` says whether the difference is.

        Args:
            protocol: None: the main one of the report.

        Raises:
            UsageError: no such protocol in the study.
        """
        found = self.findings.comparisons[self._protocol(protocol)]
        pairs = (*found.pairs, *found.against_baseline)
        rows = [{name: getattr(pair, name) for name in (*OF_DIFFERENCE, "significant")} for pair in pairs]
        return to_frame(rows, (*OF_DIFFERENCE, "significant"))

    def plot_accuracy(self, protocol: str | None = None) -> Figure:
        """Plot the test accuracy of each model with its 95 % interval and its cells; None: for each protocol.

        Raises:
            UsageError: no cell of this protocol is finished.
        """
        from auricle.report.chapters.results import accuracies_of

        chosen = self.protocols if protocol is None else (self._protocol(protocol),)
        return self._page([accuracies_of(self._report, one) for one in chosen])

    def plot_confusion(self, model: str | None = None, protocol: str | None = None) -> Figure:
        """Plot confusion matrices of the test clips; rows are the true classes.

        Args:
            model: None: all.
            protocol: None: the main one of the report.

        Raises:
            UsageError: no cell of this model or protocol is finished.
        """
        from auricle.report.chapters.results import confusion_of

        of = self._protocol(protocol)
        return self._page([confusion_of(self._report, one, of, one) for one in self._chosen(model, of)])

    def plot_curves(self, model: str | None = None, protocol: str | None = None) -> Figure:
        """Plot accuracy and loss per epoch, of the training and, if there are any, the validation clips.

        Args:
            model: None: all.
            protocol: None: the main one of the report.

        Raises:
            UsageError: no cell of this model or protocol is finished.
        """
        from auricle.report.chapters.training import curves_of

        of = self._protocol(protocol)
        return self._page([curves_of(self._report, of, self._chosen(model, of))])

    def report(
        self,
        *,
        data: str | Path | None = None,
        author: str | None = None,
        title: str | None = None,
        link: str | None = None,
        probes: bool = True,
        progress: bool = True,
    ) -> dict[str, Path]:
        """Write the report, as `auricle report` does, and return its files: "html", "pdf" and "errors".

        Args:
            data: the recordings, if they have moved; None: where they were.
            author: authors of the report; remembered for the next time, as are title and link.
            title: instead of the default title.
            link: to the notebook or repository, shown below the title.
            probes: whether to analyse what the models rely on, unless that was done before.
            progress: whether to show progress.

        Raises:
            UsageError: a link that is not the address of a web page.
            RefusedError: `data` are not the recordings of the study.
            MachineError: the disk refuses.
        """
        from auricle.api.reporting import write_report

        front = {"author": author, "title": title, "link": link}
        source = None if data is None else str(data)
        with progress_shown(0 if progress else -1) as show:
            files, notes = write_report(
                self.folder, data=source, root=self._root, probes=probes, front=front, on_progress=show
            )
        for note in notes if progress else ():
            say(f"auricle: {note}")
        return files

    def export(
        self,
        to: Path | str,
        model: str | None = None,
        *,
        final: bool = False,
        every_seed: bool = False,
        int8: bool = False,
        progress: bool = True,
    ) -> Classifier:
        """Write a model as a bundle, which runs without PyTorch, and load it; `auricle export` does the same.

        Args:
            to: the output folder.
            model: None: the only one.
            final: train on all clips first; the scores are then those of the study's cells.
            every_seed: one bundle that averages the models of all seeds (an ensemble).
            int8: quantise to 8 bits, and measure the accuracy lost.
            progress: whether to show progress.

        Raises:
            UsageError: no such model, or none is named and the study has several.
            RefusedError: no cell of it is finished, or the recordings are missing or have changed.
            MachineError: the folder is in use, or the disk refuses.
        """
        from auricle.api.exporting import export_model
        from auricle.predict.classifier import Classifier

        to = expanded(to)
        export_model(
            self.folder, to, model, final=final, every_seed=every_seed, int8=int8, root=self._root,
            level=0 if progress else -1,
        )  # fmt: skip
        return Classifier.load(to)

    def _protocol(self, asked: str | None) -> str:
        if asked is not None and asked not in self.protocols:
            raise choices("finished protocol", asked, list(self.protocols))
        return asked or self.findings.main_protocol

    def _chosen(self, model: str | None, protocol: str) -> list[str]:
        trained = [row.model for row in self.findings.comparisons[protocol].rows]
        if model is not None and model not in trained:
            raise choices("finished model", model, trained)
        return trained if model is None else [model]

    def _page(self, pictures: Sequence[Any]) -> Figure:
        from auricle.report.figures.page import page

        if in_notebook():
            _let_figures_be_shown()
        return page(pictures)

    def __repr__(self) -> str:
        status = self.status()
        cells = f"{status.num('done')} of {count(len(status.cells), 'cell')} done"
        failed = f", {status.num('failed')} failed" if status.num("failed") else ""
        return f"Study({str(self.folder)!r}): {cells}{failed}"

    def _repr_html_(self) -> str:
        heading = f"<p>{escape(visible(repr(self)))}</p>"
        if not self.status().num("done"):
            return heading
        table = self.results[list(SHOWN)].to_html(index=False, border=0, na_rep="–", float_format="{:.3f}".format)
        return heading + table


def _let_figures_be_shown() -> None:
    """Let a notebook show matplotlib figures, as it does once pyplot is used; formats chosen by the user are kept."""
    from IPython import get_ipython
    from IPython.core.pylabtools import select_figure_formats
    from matplotlib.figure import Figure

    shell = get_ipython()
    if Figure not in shell.display_formatter.formatters["image/png"].type_printers:
        select_figure_formats(shell, {"png"})
