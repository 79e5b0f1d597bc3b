"""The comparative table: one row a protocol and model, for the terminal, RESULTS.md and the report alike."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from auricle.report.collapses import collapses
from auricle.report.evidence import CellEvidence, Study, load_study
from auricle.report.tabular import spread
from auricle.scoring.statistics import wilson_interval


@dataclass(frozen=True)
class ComparativeRow:
    """A model under a protocol: means over its finished cells, with standard deviations where there are several.

    Shares are 0..1. `accuracy`, precision, recall, F1, AUC, `loss` (nats) and `calibration_error` are of test clips,
    `window_accuracy` of test windows. `accuracy_low` and `accuracy_high` bound the 95 % Wilson interval for the number
    of different test clips. `validation_accuracy` is None where the protocol has no validation set. `collapsed` counts
    the cells whose training collapsed. `train_loss` (nats) is that of training clips after the last epoch, `step_s` the
    median of seconds a step, `memory_gb` the most that a process held. `baseline`: what needs no network.
    """

    model: str
    protocol: str
    leaky: bool
    cells: int
    cells_planned: int
    test_clips: int
    accuracy: float
    accuracy_sd: float | None
    accuracy_min: float
    accuracy_max: float
    accuracy_low: float
    accuracy_high: float
    window_accuracy: float
    window_accuracy_sd: float | None
    validation_accuracy: float | None
    validation_accuracy_sd: float | None
    macro_precision: float
    macro_recall: float
    macro_f1: float
    macro_f1_sd: float | None
    macro_auc: float | None
    macro_auc_sd: float | None
    loss: float
    loss_sd: float | None
    calibration_error: float
    parameters: int
    trainable_parameters: int
    multiply_adds: int | None
    minutes: float
    collapsed: int = 0
    train_loss: float | None = None
    step_s: float | None = None
    memory_gb: float | None = None
    seeds: tuple[int, ...] = field(default=())
    baseline: bool = False


def comparative(study_folder: Path) -> list[ComparativeRow]:
    """Return one row a protocol and model of a study that has a finished cell, and one a baseline after those.

    Raises:
        RefusedError: the folder holds no study.
    """
    study = load_study(study_folder)
    return with_baselines(study, comparative_rows(study))


def comparative_rows(study: Study) -> list[ComparativeRow]:
    """Return one row a protocol and model, in the order of the study."""
    return [_row(study, model, protocol, study.of(model, protocol)) for protocol, model in study.pairs]


def baseline_rows(study: Study, protocol: str) -> list[ComparativeRow]:
    """Return one row a baseline of a protocol, the most accurate first."""
    rows = [
        replace(_row(study, name, protocol, cells), collapsed=0, baseline=True)
        for name, cells in study.baselines_of(protocol).items()
    ]
    return sorted(rows, key=lambda row: -row.accuracy)


def with_baselines(study: Study, rows: Sequence[ComparativeRow]) -> list[ComparativeRow]:
    """Return the rows of each protocol, its baselines after them."""
    protocols = dict.fromkeys(row.protocol for row in rows)
    return [
        row
        for protocol in protocols
        for row in (*(row for row in rows if row.protocol == protocol), *baseline_rows(study, protocol))
    ]


def _row(study: Study, model: str, protocol: str, cells: Sequence[CellEvidence]) -> ComparativeRow:
    missing = sum((cell.name.model, cell.name.protocol) == (model, protocol) for cell in study.missing)
    test_clips = len({clip for cell in cells for clip in cell.clips.clips})
    clip = {name: spread([cell.test["clip"][name] for cell in cells]) for name in _SCORES}
    window = spread([cell.test["window"]["accuracy"] for cell in cells])
    validation = spread([cell.validation["clip"]["accuracy"] if cell.validation else None for cell in cells])
    accuracies = [cell.test["clip"]["accuracy"] for cell in cells]
    low, high = wilson_interval(statistics.fmean(accuracies), test_clips)
    steps_s = [record["step_seconds"] for cell in cells for record in cell.history if "step_seconds" in record]
    peaks_mb = [cell.costs["peak_memory_mb"] for cell in cells if cell.costs.get("peak_memory_mb")]
    scores: dict[str, Any] = {name: value.mean for name, value in clip.items()}
    scores |= {f"{name}_sd": clip[name].sd for name in ("accuracy", "macro_f1", "macro_auc", "loss")}
    return ComparativeRow(
        **scores,
        model=model,
        protocol=protocol,
        leaky=study.is_leaky(protocol),
        cells=len(cells),
        cells_planned=len(cells) + missing,
        test_clips=test_clips,
        accuracy_min=min(accuracies),
        accuracy_max=max(accuracies),
        accuracy_low=low,
        accuracy_high=high,
        window_accuracy=window.mean or 0.0,
        window_accuracy_sd=window.sd,
        validation_accuracy=validation.mean,
        validation_accuracy_sd=validation.sd,
        minutes=statistics.fmean(cell.costs["seconds"] for cell in cells) / 60,
        collapsed=len(collapses(cells)),
        train_loss=spread([cell.history[-1]["train_loss"] if cell.history else None for cell in cells]).mean,
        step_s=statistics.median(steps_s) if steps_s else None,
        memory_gb=max(peaks_mb) / 1000 if peaks_mb else None,
        seeds=tuple(sorted({cell.name.seed for cell in cells})),
        **_costs(cells),
    )


_SCORES = (
    "accuracy", "macro_precision", "macro_recall", "macro_f1", "macro_auc", "loss", "calibration_error",
)  # fmt: skip


def _costs(cells: Sequence[CellEvidence]) -> dict[str, Any]:
    """Return what is the same for every cell of a model."""
    return {name: cells[0].costs[name] for name in ("parameters", "trainable_parameters", "multiply_adds")}
