"""The comparative table, one row per protocol and model, for the terminal, RESULTS.md and the report."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auricle.data.manifest import scored_of
from auricle.findings.study import CellEvidence, Study, baseline_key, load_study
from auricle.findings.trainings import collapses
from auricle.scoring.answers import FalseAlarms

SCORES = ("accuracy", "macro_precision", "macro_recall", "macro_f1", "macro_auc", "loss", "calibration_error")
FEW_GROUPS = 6  # number of groups of test clips below which an interval over groups is unreliable
SPREAD = ("accuracy", "window_accuracy", "validation_accuracy", "macro_f1", "macro_auc", "loss")


@dataclass(frozen=True)
class ComparativeRow:
    """A model under a protocol: over its finished cells, with standard deviations where there are several.

    Shares are 0..1. Scores are of test clips unless stated otherwise; except `accuracy`, they are means over cells,
    weighted by their number of test clips.
    """

    model: str
    protocol: str
    leaky: bool
    cells: int
    cells_planned: int
    test_clips: int
    test_groups: int
    accuracy: float  # share of correct test clips; a clip that several trainings test counts once, by their mean
    accuracy_sd: float | None
    accuracy_min: float
    accuracy_max: float
    accuracy_low: float  # 95 % interval for new clips (`scoring.statistics.share_interval`)
    accuracy_high: float
    seed_sd: float | None  # over seeds, of the mean over the folds that all seeds have
    fold_sd: float | None  # over folds, of the mean over the seeds that all folds have
    ensemble_accuracy: float  # of an ensemble that averages the probabilities of the seeds
    window_accuracy: float  # of test windows
    window_accuracy_sd: float | None
    validation_accuracy: float | None  # None where the protocol has no validation set
    validation_accuracy_sd: float | None
    macro_precision: float
    macro_recall: float
    macro_f1: float
    macro_f1_sd: float | None
    macro_auc: float | None
    macro_auc_sd: float | None
    loss: float  # nats
    loss_sd: float | None
    calibration_error: float
    parameters: int
    trainable_parameters: int
    multiply_adds: int | None
    minutes: float
    cpu_seconds: float | None  # median of a cell
    collapsed: int = 0  # cells whose training collapsed
    train_loss: float | None = None  # of training clips after the last epoch, nats
    step_s: float | None = None  # median seconds per step
    memory_gb: float | None = None  # peak memory of a process
    seeds: tuple[int, ...] = ()
    baseline: bool = False  # whether it is a baseline without a network
    false_alarms: FalseAlarms | None = None  # on background clips; None without such a class
    measure: str = "accuracy"  # or "balanced accuracy" where classes are of unequal size
    baseline_lead: float | None = None  # by which a network is more accurate than the best baseline on common clips


def comparative(study_folder: Path) -> list[ComparativeRow]:
    """Return one row per protocol and model with a finished cell, followed by one per baseline.

    Raises:
        RefusedError: the folder is not a study.
    """
    study = load_study(study_folder)
    return [
        row for protocol in study.protocols for row in (*network_rows(study, protocol), *baseline_rows(study, protocol))
    ]


def network_rows(study: Study, protocol: str) -> list[ComparativeRow]:
    """Return one row per model with a finished cell under a protocol, in the order of the study."""
    return [
        comparative_row(study, model, protocol, cells) for model in study.models if (cells := study.of(model, protocol))
    ]


def baseline_rows(study: Study, protocol: str) -> list[ComparativeRow]:
    """Return one row per baseline of a protocol, on the folds that networks tested, the most accurate first."""
    rows = [
        comparative_row(study, name, protocol, cells, baseline=True)
        for name, cells in study.baselines_of(protocol).items()
    ]
    return sorted(rows, key=lambda row: -row.accuracy)


def comparative_row(
    study: Study, model: str, protocol: str, cells: Sequence[CellEvidence], *, baseline: bool = False
) -> ComparativeRow:
    """Return the row of one model or baseline; `cells` are its own under the protocol, at least one."""
    answers, key = study.answers[protocol], baseline_key(model) if baseline else model
    background = study.background_answers.get(protocol)
    tested, (low, high) = answers.tested_by(key), answers.interval(key)
    lead = None if baseline else _baseline_lead(study, model, protocol)
    weights = cell_weights(cells)
    scores = {name: [cell.test["clip"][name] for cell in cells] for name in SCORES} | {
        "accuracy": [accuracy_of(cell.test, study) for cell in cells],
        "window_accuracy": [cell.test["window"]["accuracy"] for cell in cells],
        "validation_accuracy": [cell.validation and accuracy_of(cell.validation, study) for cell in cells],
        "train_loss": [cell.history[-1]["train_loss"] if cell.history else None for cell in cells],
    }
    found: dict[str, Any] = {name: weighted_mean(values, weights) for name, values in scores.items()}
    found |= {f"{name}_sd": deviation(scores[name]) for name in SPREAD}
    found |= {name: cells[0].costs[name] for name in ("parameters", "trainable_parameters", "multiply_adds")}
    found["accuracy"] = answers.accuracy(key)
    steps_s = [record["step_seconds"] for cell in cells for record in cell.history if "step_seconds" in record]
    peaks_mb = [cell.costs["peak_memory_mb"] for cell in cells if cell.costs.get("peak_memory_mb")]
    cpu_s = [cell.costs["cpu_seconds"] for cell in cells if cell.costs.get("cpu_seconds") is not None]
    missing = sum((cell.name.model, cell.name.protocol) == (model, protocol) for cell in study.missing)
    return ComparativeRow(
        **found,
        model=model,
        protocol=protocol,
        leaky=study.is_leaky(protocol),
        measure=answers.measure,
        false_alarms=background.false_alarms(key, study.dataset.clip_s) if background else None,
        cells=len(cells),
        cells_planned=len(cells) + missing,
        test_clips=int(tested.sum()),
        test_groups=len(np.unique(answers.groups[tested])),
        accuracy_min=min(scores["accuracy"]),
        accuracy_max=max(scores["accuracy"]),
        accuracy_low=low,
        accuracy_high=high,
        seed_sd=_spread_over("seed", "fold", cells, scores["accuracy"], weights),
        fold_sd=_spread_over("fold", "seed", cells, scores["accuracy"], weights),
        ensemble_accuracy=_ensemble_accuracy(cells, answers.balanced),
        minutes=statistics.fmean(cell.costs["seconds"] for cell in cells) / 60,
        cpu_seconds=statistics.median(cpu_s) if cpu_s else None,
        collapsed=0 if baseline else len(collapses(cells)),
        step_s=statistics.median(steps_s) if steps_s else None,
        memory_gb=max(peaks_mb) / 1000 if peaks_mb else None,
        seeds=tuple(sorted({cell.name.seed for cell in cells})),
        baseline=baseline,
        baseline_lead=lead,
    )


def _baseline_lead(study: Study, model: str, protocol: str) -> float | None:
    """Return how much more accurate a network is than the best baseline, on the clips that both were tested on.

    The accuracies themselves are of different clips where the network lacks a fold, or baselines use a sample.
    """
    answers = study.answers[protocol]
    keys = map(baseline_key, study.baselines_of(protocol))
    best = max(keys, key=answers.accuracy, default=None)
    return answers.mean_lead(model, best) if best else None


def accuracy_of(scores: Mapping[str, Any], study: Study) -> float:
    """Return the accuracy of the clips of a set; where classes are of unequal size, the mean recall of those in it."""
    if not study.dataset.imbalance:
        return float(scores["clip"]["accuracy"])
    of_class = scores["clip"]["per_class"]
    return statistics.fmean(of_class[name]["recall"] for name in study.dataset.scored if of_class[name]["support"])


def cell_weights(cells: Sequence[CellEvidence]) -> list[float]:
    """Return the weight of each cell in a mean: its number of test clips, each divided among the cells that test it."""
    return shared_weights([cell.clips.clips for cell in cells])


def shared_weights(parts: Sequence[Sequence[str]]) -> list[float]:
    """Return the weight of each part in a mean: its clips, each divided by the number of times that it is in any part.

    >>> shared_weights([["a", "b"], ["b", "c"], ["c"]])
    [1.5, 1.0, 0.5]
    """
    num_times = Counter(clip for clips in parts for clip in clips)
    return [sum(1 / num_times[clip] for clip in clips) for clips in parts]


def weighted_mean(values: Sequence[float | None], weights: Sequence[float]) -> float | None:
    """Return the weighted mean of the known values; None where there are none.

    >>> weighted_mean([0.5, 1.0, None], [2.0, 2.0, 9.0])
    0.75
    """
    known = [(value, weight) for value, weight in zip(values, weights, strict=True) if value is not None]
    return float(np.average([value for value, _ in known], weights=[weight for _, weight in known])) if known else None


def deviation(values: Sequence[float | None]) -> float | None:
    """Return the sample standard deviation of the known values; None for fewer than two."""
    known = [value for value in values if value is not None]
    return statistics.stdev(known) if len(known) > 1 else None


def _spread_over(
    what: str, mean_over: str, cells: Sequence[CellEvidence], accuracies: Sequence[float], weights: Sequence[float]
) -> float | None:
    """Return the standard deviation over seeds of the mean over folds, or the reverse; None where it is unknown.

    Where cells are missing, only those folds (or seeds) count that every seed (or fold) has, as folds differ.
    """
    found: defaultdict[int, dict[int, tuple[float, float]]] = defaultdict(dict)
    for cell, accuracy, weight in zip(cells, accuracies, weights, strict=True):
        found[getattr(cell.name, what)][getattr(cell.name, mean_over)] = accuracy, weight
    shared = sorted(set.intersection(*map(set, found.values())))
    pairs = [[own[key] for key in shared] for own in found.values() if shared]
    return deviation([weighted_mean(*zip(*own, strict=True)) for own in pairs])


def _ensemble_accuracy(cells: Sequence[CellEvidence], balanced: bool) -> float:
    """Return the accuracy of the ensemble of the seeds of each fold, over folds; each clip counts once."""
    totals: defaultdict[tuple[int, str, int], Any] = defaultdict(float)  # by fold, clip and its true class
    for cell in cells:
        clips = cell.clips.of_classes(scored_of(cell.clips.categories))
        for clip, label, probabilities in zip(clips.clips, clips.labels.tolist(), clips.probabilities, strict=True):
            totals[cell.name.fold, clip, label] += probabilities
    right: defaultdict[tuple[int, str], list[float]] = defaultdict(list)
    for (_, clip, label), total in totals.items():
        right[label if balanced else 0, clip].append(float(total.argmax() == label))
    shares: defaultdict[int, list[float]] = defaultdict(list)  # by class, or of all as one
    for (label, _), of_clip in right.items():
        shares[label].append(statistics.fmean(of_clip))
    return statistics.fmean(map(statistics.fmean, shares.values()))
