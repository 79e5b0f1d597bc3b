"""What else the numbers say: classes, confusions, overfitting, collapse; each with its evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auricle.report.collapses import commonest_answer, diverged, told
from auricle.report.evidence import CellEvidence, Study
from auricle.report.tables import ComparativeRow
from auricle.report.table import spread
from auricle.report.wording import MOST_NAMED, Ref, Text, count, listing, percent, points, spoken
from auricle.scoring.statistics import wilson_interval

NUM_NAMED = 3
NUM_PAIRS = 5


@dataclass(frozen=True)
class Observation:
    """What was seen, in a few words, and the sentences that say how much."""

    title: str
    text: Text


def observations(study: Study, rows: Sequence[ComparativeRow], protocol: str) -> list[Observation]:
    """Return what the numbers say beyond the ranking.

    Args:
        study: the evidence.
        rows: its comparative rows.
        protocol: the one that answers the question.
    """
    of_protocol = [row for row in rows if row.protocol == protocol]
    found = [
        spread_of_cells(of_protocol),
        classes(study, protocol),
        confusions(study, protocol),
        overfitting(study, protocol),
        validation_and_test(rows),
        windows_and_clips(of_protocol),
        collapse(study),
    ]
    return [observation for observation in found if observation is not None]


def spread_of_cells(rows: Sequence[ComparativeRow]) -> Observation:
    """Set the spread of one model's cells beside the distance of the models' means."""
    several = [row for row in rows if row.cells > 1]
    if not several:
        text = "Each model was trained once, so nothing here says how much another fold or seed would change."
        return Observation("One cell each", (text,))
    widest = max(several, key=lambda row: row.accuracy_max - row.accuracy_min)
    text = (
        f"The cells of one model differ by up to {points(widest.accuracy_max - widest.accuracy_min)} "
        f"({widest.model}: {percent(widest.accuracy_min)} to {percent(widest.accuracy_max)})"
    )
    if len(rows) > 1:
        between = max(row.accuracy for row in rows) - min(row.accuracy for row in rows)
        text += f", the means of the models by {points(between)}"
    return Observation("Spread of cells", (f"{text} (", Ref("figure-accuracies"), ")."))


def class_f1(cells: Sequence[CellEvidence], category: str) -> list[float]:
    """Return the F1 of a class in each cell whose test clips hold it."""
    scores = [cell.test["clip"]["per_class"][category] for cell in cells]
    return [score["f1"] for score in scores if score["support"]]


def classes(study: Study, protocol: str) -> Observation | None:
    """Name the classes that all models together hear best and worst."""
    cells = [cell for cell in study.cells if cell.name.protocol == protocol]
    means = {category: spread(class_f1(cells, category)).mean for category in study.dataset.categories}
    ranked = sorted((f1, category) for category, f1 in means.items() if f1 is not None)
    if len(ranked) < 2:
        return None
    named = min(NUM_NAMED, len(ranked) // 2)

    def listed(items: Sequence[tuple[float, str]]) -> str:
        return listing([f"{spoken(category)} ({f1:.2f})" for f1, category in items])

    text = f"By mean F1 over the models, the best are {listed(ranked[: -named - 1 : -1])}; "
    clips = dict(pair for cell in cells for pair in zip(cell.clips.clips, cell.clips.labels.tolist(), strict=True))
    few = min(Counter(clips.values()).values())
    hint = f"). A class has as few as {count(few, 'test clip')}: an order to look into, not a result."
    return Observation("Classes", (f"{text}the worst are {listed(ranked[:named])} (", Ref("figure-f1-models"), hint))


def total_confusion(cells: Sequence[CellEvidence]) -> np.ndarray:
    """Return the confusion matrix summed over cells, int64, shape (K, K)."""
    return np.asarray(np.array([cell.test["clip"]["confusion"] for cell in cells], dtype=np.int64).sum(axis=0))


def confusions(study: Study, protocol: str) -> Observation | None:
    """Name the pairs of classes that all models together confuse most."""
    total = total_confusion([cell for cell in study.cells if cell.name.protocol == protocol])
    wrong = total - np.diag(np.diag(total))
    if not wrong.any():
        return Observation("Confusions", ("No clip was given a wrong class.",))
    names = [spoken(category) for category in study.dataset.categories]
    order = np.argsort(-wrong, axis=None, kind="stable")[:NUM_PAIRS]
    pairs = [divmod(int(place), len(names)) for place in order]
    told = [
        f"{names[true]} heard as {names[answer]} ({wrong[true, answer]:,} of {total[true].sum():,})"
        for true, answer in pairs
        if wrong[true, answer]
    ]
    return Observation("Confusions", (f"Over all models and cells, most often: {'; '.join(told)}.",))


def last_gap(cells: Sequence[CellEvidence]) -> tuple[float, float] | None:
    """Return training and validation accuracy at the last epoch, means over cells; None without validation."""
    ends = [cell.history[-1] for cell in cells if cell.history and "validation_accuracy" in cell.history[-1]]
    if not ends:
        return None
    return (
        float(np.mean([end["train_accuracy"] for end in ends])),
        float(np.mean([end["validation_accuracy"] for end in ends])),
    )


def overfitting(study: Study, protocol: str) -> Observation | None:
    """Set training accuracy beside validation accuracy at the last epoch."""
    ends = {model: found for model in study.models if (found := last_gap(study.of(model, protocol))) is not None}
    if not ends:
        return None
    gaps = {model: train - validation for model, (train, validation) in ends.items()}
    head, named = "", list(gaps)
    if len(gaps) > MOST_NAMED:
        head = f"The widest gaps of {len(gaps)} models. "
        named = sorted(gaps, key=lambda model: -gaps[model])[:NUM_NAMED]
    told = "; ".join(
        f"{model} {percent(ends[model][0])} and {percent(ends[model][1])}, a gap of {points(gaps[model])}"
        for model in named
    )
    text = f"{head}At the last epoch, on one window a clip, training and validation accuracy are: {told} ("
    return Observation("Overfitting", (text, Ref(f"figure-curves-{protocol}"), ")."))


def validation_and_test(rows: Sequence[ComparativeRow]) -> Observation | None:
    """Set the accuracy on validation clips beside that on test clips, over all models."""
    known = [(row.validation_accuracy, row.accuracy) for row in rows if row.validation_accuracy is not None]
    if not known:
        return None
    validation, test = (float(np.mean(values)) for values in zip(*known, strict=True))
    relation = "higher" if test > validation else "lower"
    text = f"Over all models, validation clips give {percent(validation)} and test clips {percent(test)}"
    if abs(test - validation) < 0.0005:
        return Observation("Validation and test", (f"{text}.",))
    text += f": the test fold reads {points(abs(test - validation))} {relation} than the validation folds"
    num = min(row.test_clips for row in rows)
    low, high = wilson_interval(test, num)
    if low <= validation <= high:
        text += (
            f", which {count(num, 'test clip')} cannot tell from none (95 % interval {percent(low)} to {percent(high)})"
        )
    text += "."
    return Observation("Validation and test", (text,))


def windows_and_clips(rows: Sequence[ComparativeRow]) -> Observation:
    """Say what the mean over the windows of a clip gains."""
    gains = [row.accuracy - row.window_accuracy for row in rows]
    low, high = points(min(gains), signed=True), points(max(gains), signed=True)
    amount = low if low == high else f"{low} to {high}"
    text = f"Taking the mean over the windows of a clip changes accuracy by {amount} against single windows ("
    return Observation("Windows and clips", (text, Ref("table-comparative"), ")."))


def collapse(study: Study) -> Observation:
    """Say whether a training collapsed or diverged."""
    lost = diverged(study)
    steps = f" {count(len(lost), 'cell')} diverged: {listing(lost)}." if lost else ""
    if words := told(study):
        return Observation("Collapse", (f"{words}{steps}",))
    share = max(commonest_answer(cell)[1] for cell in study.cells)
    words = f"No cell collapsed to one class: no class makes up more than {percent(share, 0)} of a cell's answers."
    return Observation("Collapse", (f"{words}{steps}",))
