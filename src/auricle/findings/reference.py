"""Four published reports on the same task: what they say, beside what a study measured of the same models."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml

from auricle.findings.collapse import collapses
from auricle.findings.study import CellEvidence, Study
from auricle.scoring.metrics import score
from auricle.scoring.statistics import wilson_interval

PUBLISHED_BEST = 0.60  # best of four published answers to the specification: a transformer with two heads, one split
PUBLISHED_SOURCE = "esc10"
PUBLISHED_PROTOCOLS = ("test-split", "k-fold")
PREFIX = "report-"
HEADS = (1, 2, 4)
LEFT_OPEN = "what the report's text leaves open was assumed here, as the description of the preset says"
# How a training failed, in a word, and how its reason begins; the more telling first.
FAILED = {"diverged": "failed: diverged", "failed": "failed"}
CHANCE_REACH = 0.015  # of a share to that of guessing


@dataclass(frozen=True)
class Claim:
    """One configuration of a report's model, under one protocol of auricle's.

    Attributes:
        report: A, B, C or D.
        model: the preset.
        protocol: under which it is measured here.
        by_window: whether the report scores windows, not clips.
        parameters: reported.
        said: the figures as they are printed: `test` or `best_test`, `validation`, `f1`, `auc`, ...
    """

    report: str
    model: str
    protocol: str
    by_window: bool
    parameters: int
    said: Mapping[str, Any]

    @property
    def test(self) -> str:
        """Return the accuracy on test clips or windows as it is printed, in percent."""
        return str(self.said.get("test") or self.said["best_test"])

    @property
    def f1(self) -> str | None:
        """Return macro F1 as it is printed, or the mean of the classes where only these are."""
        if "f1" in self.said or "f1_by_class" not in self.said:
            return self.said.get("f1")
        return f"{statistics.fmean(map(float, self.said['f1_by_class'])):.3f}"


@dataclass(frozen=True)
class Measured:
    """What the cells of a model under a protocol give, means over cells; shares are 0..1.

    Attributes:
        cells: that are finished.
        accuracy: of test windows or clips.
        low: lower end of its 95 % Wilson interval for the number of test clips, as windows of a clip are alike.
        high: upper end.
        best: the highest accuracy of a cell.
        macro_f1: of the same windows or clips.
        macro_auc: None where a class is absent.
        parameters: counted.
    """

    cells: tuple[CellEvidence, ...]
    accuracy: float
    low: float
    high: float
    best: float
    macro_f1: float
    macro_auc: float | None
    parameters: int


def published_best(study: Study, protocol: str) -> float | None:
    """Return the best published accuracy on the same test clips; known for ESC-10 and its first fold only."""
    comparable = study.dataset.source == PUBLISHED_SOURCE and protocol in PUBLISHED_PROTOCOLS
    return PUBLISHED_BEST if comparable else None


def claims() -> list[Claim]:
    """Return every figure that the four reports print, a claim for each model, configuration and protocol."""
    text = resources.files("auricle.findings").joinpath("reported.yaml").read_text(encoding="utf-8")
    return [
        Claim(report["report"], name, protocol, report["scores"] == "windows", model["parameters"], row)
        for report in yaml.safe_load(text)
        for model in report["models"]
        for name in _names(model["model"])
        for row in model["rows"]
        for protocol in row["protocols"]
    ]


def _names(model: str) -> list[str]:
    return [f"{model}{heads}" for heads in HEADS] if model.endswith("-h") else [model]


def concerned(study: Study) -> bool:
    """Return whether a study has models of the reports."""
    return any(model.startswith(PREFIX) for model in study.presets)


def model_of(study: Study, claim: Claim) -> str | None:
    """Return the study's model that a claim is about: the preset or a variant, with the claim's optimiser and rate.

    One that is trained comes before one that is not: a variant of fewer epochs stands in for the preset.
    """
    said, found = claim.said, []
    for name, preset in study.presets.items():
        training = preset.training
        same_rate = "rate" not in said or training.learning_rate == said["rate"]
        if _is_variant(name, claim.model) and training.optimizer == said.get("optimizer", "adam") and same_rate:
            found.append(name)
    return next((name for name in found if study.of(name, claim.protocol)), found[0] if found else None)


def _is_variant(name: str, model: str) -> bool:
    return name == model or name.startswith(f"{model}-")


def unclaimed(study: Study) -> Iterator[tuple[Claim, str, str]]:
    """Yield the models of the reports that the study trained in ways which no report has: a claim, model, protocol.

    A training that failed is one of them.
    """
    known = claims()
    covered = {(model_of(study, claim), claim.protocol) for claim in known}
    for model in study.presets:
        claim = next((claim for claim in known if _is_variant(model, claim.model)), None)
        for protocol in study.protocols if claim else ():
            tried = study.of(model, protocol) or absence(study, model, protocol) in FAILED
            if tried and (model, protocol) not in covered:
                assert claim is not None
                yield claim, model, protocol


def measured(study: Study, model: str, protocol: str, *, by_window: bool) -> Measured | None:
    """Return what a study measured of a model under a protocol; None where no cell is finished."""
    cells = study.of(model, protocol)
    if not cells:
        return None
    scores = [_window_scores(cell) if by_window else cell.test["clip"] for cell in cells]
    accuracies = [found["accuracy"] for found in scores]
    aucs = [found["macro_auc"] for found in scores if found["macro_auc"] is not None]
    num_clips = len({clip for cell in cells for clip in cell.clips.clips})
    low, high = wilson_interval(statistics.fmean(accuracies), num_clips)
    return Measured(
        cells=cells,
        accuracy=statistics.fmean(accuracies),
        low=low,
        high=high,
        best=max(accuracies),
        macro_f1=statistics.fmean(found["macro_f1"] for found in scores),
        macro_auc=statistics.fmean(aucs) if aucs else None,
        parameters=cells[0].costs["parameters"],
    )


def _window_scores(cell: CellEvidence) -> dict[str, Any]:
    """Score every window of the test clips as if it were a clip."""
    windows = cell.windows.of("test")
    return score(windows.probabilities, windows.labels, windows.categories)


def absence(study: Study, model: str | None, protocol: str) -> str:
    """Say why there is nothing to set beside a claim."""
    reasons = [cell.reason for cell in study.missing if (cell.name.model, cell.name.protocol) == (model, protocol)]
    for word, start in FAILED.items():
        if any(reason.startswith(start) for reason in reasons):
            return word
    return reasons[0] if reasons else "not run"


def standing(claim: Claim, found: Measured) -> str:
    """Return how measured stands to reported, in a word or two."""
    reported = float(claim.test) / 100
    if claim.said.get("collapsed") and len(collapses(found.cells)) == len(found.cells):
        return "both collapsed"
    if found.low <= reported <= found.high:
        return "agree"
    return "higher here" if found.accuracy > reported else "lower here"


def reasons(claim: Claim, found: Measured, *, leaky: bool, num_classes: int) -> Sequence[str]:
    """Return why measured and reported differ, as far as that is known.

    Args:
        claim: what is reported.
        found: what is measured.
        leaky: whether the study's own folds let clips of one group stand on both sides.
        num_classes: of the dataset.
    """
    told = []
    fallen, num_cells = collapses(found.cells), len(found.cells)
    if fallen:
        cause = next((f" ({one.cause.split('; ')[0]})" for one in fallen if one.cause), "")
        told.append(f"{len(fallen)} of {num_cells} trainings here collapsed{cause}")
    elif claim.said.get("collapsed"):
        passed = sum(any("recovered" in record for record in cell.history) for cell in found.cells)
        here = f"{passed} of {num_cells} did for a while" if passed else "none did"
        told.append(f"the report's training collapsed, {here} here")
    elif abs(float(claim.test) / 100 - 1 / num_classes) < CHANCE_REACH:
        told.append("the reported figure is that of guessing")
    too_high = float(claim.test) / 100 > found.high
    if too_high and claim.said.get("leaky") and not leaky:
        told.append("the report's folds let clips of one recording stand on both sides, these do not")
    if too_high and "best_test" in claim.said:
        told.append(f"the report gives the best fold, this is the mean over folds (the best: {100 * found.best:.1f} %)")
        if found.best < float(claim.test) / 100:
            told.append(LEFT_OPEN)
    if elsewhere := claim.said.get("elsewhere"):
        told.append(f"the report has {elsewhere} % in another place")
    return told or [LEFT_OPEN]
