"""How it was done: who trains, validates and tests, and what becomes of a recording."""

from __future__ import annotations

from typing import Any

from auricle.report.document import Chapter, Report


def methods(report: Report) -> Chapter:
    """Return the chapter on protocols and preprocessing."""
    study = report.study
    alike: dict[tuple[Any, ...], list[str]] = {}  # what is the same for several models is said once
    for model in study.models:
        preset = study.presets[model]
        test = next(cell.test for cell in study.cells if cell.name.model == model)
        num_windows = round(test["window"]["num"] / test["clip"]["num"])  # that score a clip
        alike.setdefault((preset.audio, preset.frontend, preset.training.windows, num_windows), []).append(model)
    inputs = [(models, *key) for key, models in alike.items()]
    return Chapter({"study": study, "folds": study.dataset.folds, "inputs": inputs})
