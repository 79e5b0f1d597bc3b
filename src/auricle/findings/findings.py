"""All findings about a study as numbers, for the report and for STUDY/report/findings.json."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auricle import files
from auricle.config import Section
from auricle.findings.calibration import ModelCalibration, calibrations
from auricle.findings.classes import ClassDifference, class_differences
from auricle.findings.comparison import Comparison, compare, main_protocol
from auricle.findings.human_labels import HumanComparison, against_people
from auricle.findings.reference import ReferenceRow, beside_references
from auricle.findings.study import Study
from auricle.findings.trainings import Collapse, CurveReading, collapses, read_curves
from auricle.findings.tuning import Tuning, searches_of
from auricle.findings.uses import ModelUses, find_uses
from auricle.scoring.difference import Difference


@dataclass(frozen=True)
class Findings:
    """The findings about a study."""

    main_protocol: str  # the one that answers the question
    comparisons: Mapping[str, Comparison]
    collapses: tuple[Collapse, ...]
    calibrations: tuple[ModelCalibration, ...]  # of each model under the main protocol, as is everything below
    class_differences: tuple[ClassDifference, ...]
    curves: Mapping[str, CurveReading]  # what the learning curves show, for the models with validation clips
    uses: Mapping[str, ModelUses]
    human_labels: HumanComparison | None  # people and the models on the test clips; None where nobody was asked
    reference: tuple[ReferenceRow, ...]  # published results of the models; none where the study cites none
    tuning: tuple[Tuning, ...]  # the searches that belong to the study

    @property
    def main(self) -> Comparison:
        """Return the comparison that answers the question."""
        return self.comparisons[self.main_protocol]


def find(study: Study, on_progress: Callable[[str], None] = lambda message: None) -> Findings:
    """Compute all findings of a study with a finished cell, reporting each step to `on_progress`."""
    on_progress("comparing the models")
    protocol = main_protocol(study)
    comparisons = {name: compare(study, name) for name in study.protocols}
    shares = {model: study.presets[model].training.base_share for model in study.models}
    readings = {model: read_curves(study.of(model, protocol), share) for model, share in shares.items()}
    rows = [row for comparison in comparisons.values() for row in comparison.rows]
    return Findings(
        main_protocol=protocol,
        comparisons=comparisons,
        collapses=tuple(collapses(study.cells)),
        calibrations=calibrations(study, protocol),
        class_differences=tuple(class_differences(study.answers[protocol], comparisons[protocol].ranked)),
        curves={model: reading for model, reading in readings.items() if reading},
        uses=find_uses(study, protocol),
        human_labels=against_people(study, protocol),
        reference=beside_references(study),
        tuning=searches_of(study, rows, on_progress),
    )


def write_findings(path: Path, findings: Findings) -> None:
    """Write findings as JSON, never a partial file; unknown values are null.

    Raises:
        MachineError: the disk refuses.
    """
    files.write_text(path, json.dumps(to_json(findings), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def to_json(value: Any) -> Any:
    """Return a value for JSON: records and sections as objects, arrays as lists, non-finite numbers as null."""
    if isinstance(value, Section):
        return value.model_dump(mode="json")
    if is_dataclass(value):
        content = {item.name: to_json(getattr(value, item.name)) for item in fields(value)}
        return content | ({"significant": value.significant} if isinstance(value, Difference) else {})
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return to_json(value.tolist())
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
