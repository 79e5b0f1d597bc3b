"""Four published reports on the same task: what they say, beside what a study measured of the same models."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib import resources
from typing import Any

import numpy as np

from auricle.config.reading import load_yaml
from auricle.findings.scores import ComparativeRow, cell_weights, weighted_mean
from auricle.findings.study import CellEvidence, Study
from auricle.findings.trainings import collapses
from auricle.scoring.metrics import score
from auricle.scoring.predictions import numbered
from auricle.scoring.statistics import share_interval

PUBLISHED_BEST = 0.60  # best of four published answers to the specification: a transformer with two heads, one split
PUBLISHED_SOURCE = "esc10"
PUBLISHED_PROTOCOLS = ("test-split", "k-fold")
PREFIX = "report-"
HEADS = (1, 2, 4)
# How a training failed, in a word, and how its reason begins; the more telling first.
FAILED = {"diverged": "failed: diverged", "failed": "failed"}
CHANCE_REACH = 0.015  # of a share to that of guessing


class Verdict(StrEnum):
    """How measured stands to reported."""

    AGREE = "agree"
    HIGHER = "higher here"
    LOWER = "lower here"
    BOTH_COLLAPSED = "both collapsed"
    NOT_REPORTED = "not reported"
    NOT_MEASURED = "not measured"


class Reason(StrEnum):
    """Why measured and reported differ."""

    COLLAPSED_HERE = "collapsed here"
    COLLAPSED_THERE = "collapsed there"
    CHANCE = "the reported figure is chance"
    LEAKY_THERE = "folds of the report leak"
    BEST_FOLD = "the report gives its best fold"
    ELSEWHERE = "the report gives another figure elsewhere"
    UNKNOWN = "left open by the report"


@dataclass(frozen=True)
class Claim:
    """One configuration of a report's model, under one protocol of auricle's."""

    report: str
    model: str  # the preset
    protocol: str
    by_window: bool  # whether the report scores windows, not clips
    parameters: int
    said: Mapping[str, Any]  # the figures as they are printed: `test` or `best_test`, `f1`, `auc` and others

    @property
    def test(self) -> str:
        """Return the accuracy on test clips or windows as it is printed, in percent."""
        return str(self.said.get("test") or self.said["best_test"])

    @property
    def accuracy(self) -> float:
        """Return the same as a share, 0..1."""
        return float(self.test) / 100

    @property
    def f1(self) -> str | None:
        """Return macro F1 as it is printed, or the mean of the classes where only these are."""
        if "f1" in self.said or "f1_by_class" not in self.said:
            return self.said.get("f1")
        return f"{statistics.fmean(map(float, self.said['f1_by_class'])):.3f}"


@dataclass(frozen=True)
class Measured:
    """What the cells of a model under a protocol give; shares are 0..1."""

    cells: int
    accuracy: float  # of test windows or clips
    low: float  # end of its 95 % interval for other clips, as windows of a clip are alike
    high: float
    best: float  # the highest accuracy of a cell
    macro_f1: float  # of the same windows or clips
    macro_auc: float | None  # None where a class is absent
    parameters: int
    collapsed: int
    cause: str | None  # the likely one of the first collapse for which one is known
    recovered: int  # cells whose training collapsed for a while


@dataclass(frozen=True)
class ReferenceRow:
    """A claim beside what was measured of it; or what the study trained in a way that no report has."""

    report: str
    by_window: bool
    preset: str  # the report's model, or the study's where no report has it
    model: str | None  # the study's; None where it has none like it
    protocol: str
    leaky: bool  # whether clips of one group stand on both sides under it
    recipe: Mapping[str, Any]  # `optimizer`, `learning_rate`, `epochs` and `max_steps`, as far as they are known
    claim: Claim | None  # None where no report has this configuration
    measured: Measured | None  # None where no cell is finished
    absence: str | None  # why there is nothing measured
    verdict: Verdict
    reasons: tuple[Reason, ...]  # why they differ, as far as that is known; none where one of the two is missing


def published_best(study: Study, protocol: str) -> float | None:
    """Return the best published accuracy on the same test clips; known for ESC-10 and its first fold only."""
    comparable = study.dataset.source == PUBLISHED_SOURCE and protocol in PUBLISHED_PROTOCOLS
    return PUBLISHED_BEST if comparable else None


def chance(study: Study, protocol: str) -> float:
    """Return the accuracy of always giving the class that is commonest among a protocol's test clips."""
    return study.answers[protocol].majority


def claims() -> list[Claim]:
    """Return every figure that the four reports print, a claim for each model, configuration and protocol."""
    text = resources.files("auricle.findings").joinpath("reported.yaml").read_text(encoding="utf-8")
    return [
        Claim(report["report"], name, protocol, report["scores"] == "windows", model["parameters"], row)
        for report in load_yaml(text)
        for model in report["models"]
        for name in (f"{model['model']}{heads}" for heads in (HEADS if model["model"].endswith("-h") else ("",)))
        for row in model["rows"]
        for protocol in row["protocols"]
    ]


def beside_reports(study: Study, rows: Sequence[ComparativeRow]) -> tuple[ReferenceRow, ...]:
    """Return every claim of the reports, then what the study trained in ways that none has.

    None without their models, or on other data than theirs.

    `rows`: of its networks, under all protocols.
    """
    if study.dataset.source != PUBLISHED_SOURCE or not any(model.startswith(PREFIX) for model in study.presets):
        return ()
    claimed: list[tuple[Claim, str | None]] = [(claim, model_of(study, claim)) for claim in claims()]
    row_of = {(row.model, row.protocol): row for row in rows}
    return tuple(
        _reference_row(study, claim, model, row_of.get((model or "", claim.protocol)))
        for claim, model in (*claimed, *_unclaimed(study, claimed))
    )


def model_of(study: Study, claim: Claim) -> str | None:
    """Return the study's model that a claim is about: the preset or a variant, with the claim's optimiser and rate.

    One that is trained comes before one that is not: a variant of fewer epochs stands in for the preset.
    """
    said = claim.said
    found = [
        name
        for name, preset in study.presets.items()
        if _is_variant(name, claim.model)
        and preset.training.optimizer == said.get("optimizer", "adam")
        and preset.training.learning_rate == said.get("rate", preset.training.learning_rate)
    ]
    return next((name for name in found if study.of(name, claim.protocol)), found[0] if found else None)


def _is_variant(name: str, model: str) -> bool:
    return name == model or name.startswith(f"{model}-")


def _unclaimed(study: Study, known: Sequence[tuple[Claim, str | None]]) -> Iterator[tuple[Claim, str]]:
    """Yield what was trained, or failed, in a way that no report has: a claim that says nothing, and the model."""
    covered = {(model, claim.protocol) for claim, model in known}
    for model in study.presets:
        alike = [claim for claim, _ in known if _is_variant(model, claim.model)]
        for protocol in study.protocols if alike else ():
            tried = study.of(model, protocol) or _absence(study, model, protocol) in FAILED
            if tried and (model, protocol) not in covered:
                yield replace(alike[0], model=model, protocol=protocol, said={}), model


def _reference_row(study: Study, claim: Claim, model: str | None, row: ComparativeRow | None) -> ReferenceRow:
    """Return a claim, which may say nothing, beside the row of the study's model."""
    protocol, leaky = claim.protocol, study.is_leaky(claim.protocol)
    found = measure(study, row, by_window=claim.by_window) if row else None
    verdict = Verdict.NOT_REPORTED if found else Verdict.NOT_MEASURED
    reasons: list[Reason] = []
    if found and claim.said:
        verdict, reasons = verdict_on(claim, found), _reasons(claim, found, leaky, len(study.dataset.categories))
    recipe = {"optimizer": claim.said.get("optimizer"), "learning_rate": claim.said.get("rate")}
    if model:
        recipe = study.presets[model].training.model_dump(include={*recipe, "epochs", "max_steps"})
    return ReferenceRow(
        report=claim.report,
        by_window=claim.by_window,
        preset=claim.model,
        model=model,
        protocol=protocol,
        leaky=leaky,
        recipe=recipe,
        claim=claim if claim.said else None,
        measured=found,
        absence=None if found else _absence(study, model, protocol),
        verdict=verdict,
        reasons=tuple(reasons),
    )


def measure(study: Study, row: ComparativeRow, *, by_window: bool) -> Measured:
    """Return what a study measured of a model under a protocol; by window, each is scored as if it were a clip."""
    cells = study.of(row.model, row.protocol)
    fallen = collapses(cells)
    scores: dict[str, Any] = {
        "accuracy": row.accuracy, "low": row.accuracy_low, "high": row.accuracy_high, "best": row.accuracy_max,
        "macro_f1": row.macro_f1, "macro_auc": row.macro_auc,
    }  # fmt: skip
    return Measured(
        **(_window_scores(study, cells) if by_window else scores),
        cells=len(cells),
        parameters=row.parameters,
        collapsed=len(fallen),
        cause=next((one.cause.split("; ")[0] for one in fallen if one.cause), None),
        recovered=sum(any("recovered" in record for record in cell.history) for cell in cells),
    )


def _window_scores(study: Study, cells: Sequence[CellEvidence]) -> dict[str, Any]:
    tables = [cell.windows.of("test") for cell in cells]
    scores = [score(windows.probabilities, windows.labels, windows.categories) for windows in tables]
    clips = [clip for windows in tables for clip in windows.clips]
    right = np.concatenate([windows.probabilities.argmax(axis=1) == windows.labels for windows in tables])
    shares = np.bincount(numbered(clips), weights=right) / np.bincount(numbered(clips))
    groups = numbered([study.dataset.groups.get(clip, clip) for clip in dict.fromkeys(clips)])
    low, high = share_interval(shares, groups)
    found = {name: [of_cell[name] for of_cell in scores] for name in ("accuracy", "macro_f1", "macro_auc")}
    means = {name: weighted_mean(values, cell_weights(cells)) for name, values in found.items()}
    return {**means, "low": low, "high": high, "best": max(found["accuracy"])}


def _absence(study: Study, model: str | None, protocol: str) -> str:
    """Return why there is nothing to set beside a claim."""
    reasons = [cell.reason for cell in study.missing if (cell.name.model, cell.name.protocol) == (model, protocol)]
    failed = [word for word, start in FAILED.items() if any(reason.startswith(start) for reason in reasons)]
    return next(iter([*failed, *reasons]), "not run")


def verdict_on(claim: Claim, found: Measured) -> Verdict:
    """Return how measured stands to reported; they agree where the interval holds the reported accuracy."""
    if claim.said.get("collapsed") and found.collapsed == found.cells:
        return Verdict.BOTH_COLLAPSED
    if found.low <= claim.accuracy <= found.high:
        return Verdict.AGREE
    return Verdict.HIGHER if found.accuracy > claim.accuracy else Verdict.LOWER


def _reasons(claim: Claim, found: Measured, leaky: bool, num_classes: int) -> list[Reason]:
    said, learnt, too_high = claim.said, not found.collapsed, claim.accuracy > found.high
    holds = {
        Reason.COLLAPSED_HERE: not learnt,
        Reason.COLLAPSED_THERE: learnt and "collapsed" in said,
        Reason.CHANCE: learnt and "collapsed" not in said and abs(claim.accuracy - 1 / num_classes) < CHANCE_REACH,
        Reason.LEAKY_THERE: too_high and "leaky" in said and not leaky,
        Reason.BEST_FOLD: too_high and "best_test" in said,
        Reason.UNKNOWN: too_high and "best_test" in said and found.best < claim.accuracy,
        Reason.ELSEWHERE: "elsewhere" in said,
    }
    return [reason for reason, is_so in holds.items() if is_so] or [Reason.UNKNOWN]
