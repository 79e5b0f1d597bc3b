"""Can the probabilities be believed? Reliability, temperature, thresholds, false alarms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auricle.report.calibrations import ModelCalibration, calibrations
from auricle.report.chapter_summary import stamped
from auricle.report.comparisons import SIGNIFICANT
from auricle.report.document import Block, Bullets, Figure, Paragraph, Section
from auricle.report.evidence import Study
from auricle.report.figures.calibration import reliability_diagram
from auricle.report.figures.style import drawable, palette, panel
from auricle.report.table import Column, Table, Value
from auricle.report.tables import ComparativeRow
from auricle.report.wording import Ref, Strong, Text, anchors, count, decimal, listing, percent, points, spoken

NUM_DRAWN = 6  # models with a diagram: the most accurate ones
MOST_ROWS = 36  # of the table of classes, which has as many models as fit, but one at least
_MODELS = (
    Column("model", "Model", "code"),
    Column("temperature", "Temperature", "ratio"),
    Column("error", "Error as trained", "ratio"),
    Column("tempered_error", "tempered", "ratio"),
    Column("lucky_error", "by luck", "ratio"),
    Column("loss", "Loss as trained", "ratio"),
    Column("tempered_loss", "tempered", "ratio"),
    Column("p", "adjusted p", "p"),
    Column("verdict", "Tempered is", grows=True),
)
_CLASSES = (
    Column("class", "Class"),
    Column("threshold", "Threshold", "ratio"),
    Column("hit_rate", "Named, %", "percent"),
    Column("alarm_rate", "False alarms an hour", "minutes"),
)


def calibration_chapter(study: Study, rows: Sequence[ComparativeRow], protocol: str) -> Section:
    """Return the chapter, of the protocol that answers the question.

    Args:
        study: the evidence.
        rows: its comparative rows.
        protocol: the one to show.
    """
    found = {model.model: model for model in calibrations(study, protocol)}
    order = sorted((row for row in rows if row.protocol == protocol), key=lambda row: -row.accuracy)
    ranked = [found[row.model] for row in order]
    name = stamped(study, protocol)
    blocks: list[Block] = [Paragraph(_method(name, ranked)), Bullets(tuple(_findings(ranked)))]
    blocks += [_models(list(found.values()), name), _diagrams(study, ranked[:NUM_DRAWN], name)]
    alarms = Section("alarms", "Thresholds and false alarms", tuple(_alarms(study, ranked, protocol)))
    return Section("calibration", "Can the probabilities be believed?", tuple(blocks), (alarms,))


def _method(protocol: str, models: Sequence[ModelCalibration]) -> Text:
    head = "Of all answers that are given with a confidence of 80 %, four in five should be right. "
    table = Ref("table-calibration")
    if not any(model.is_fitted for model in models):
        note = f", of {protocol}. There are no validation clips, so nothing can be fitted without a look at the test."
        return head, table, " tells how far the models are from that (expected calibration error, 15 bins)", note
    return (
        f"{head}On the validation clips of each cell of {protocol} one temperature is fitted, by which the logits of "
        "every window are divided before the softmax; the test clips only judge it. It changes how sure the answers "
        "are, and hardly which they are. ", table, " tells the expected calibration error (15 bins) and the loss "
        "before and after. A bundle that is exported gets temperature and thresholds in the same way.",
    )  # fmt: skip


def _findings(models: Sequence[ModelCalibration]) -> list[Text]:
    told: list[Text] = [(Strong("As trained"), f". {_sureness(models)}")]
    if fitted := [model for model in models if model.is_fitted]:
        told.append((Strong("Tempered"), f". {_gains(fitted)}"))
    span = _span([model.lucky_error for model in models])
    words = (
        f". With so few clips, exact probabilities too would show an error, of {span} here: an error near that says "
        "nothing against a model."
    )
    return [*told, (Strong("By luck"), words)]


def _sureness(models: Sequence[ModelCalibration]) -> str:
    """Say which models are too sure or too cautious, where a test shows it."""
    told = []
    for word, sign in (("surer than they are right", 1), ("more often right than they are sure", -1)):
        shown = [model for model in models if model.surplus_p < SIGNIFICANT and sign * model.surplus > 0]
        if shown:
            amounts = listing(f"{model.model} (by {points(abs(model.surplus))})" for model in shown)
            told.append(f"Shown to be {word}: {amounts}")
    if open_ := [model.model for model in models if model.surplus_p >= SIGNIFICANT]:
        told.append(f"No distance of mean confidence from accuracy that these data can show: {listing(open_)}")
    return ". ".join(told) + "."


def _gains(models: Sequence[ModelCalibration]) -> str:
    """Say for which models the temperature is shown to change the loss of test clips."""
    told = []
    for word, verb in (("better", "lowers"), ("worse", "raises")):
        if shown := [model for model in models if model.gain == word]:
            amounts = listing(
                f"{model.model} ({decimal(model.loss, 2)} to {decimal(model.tempered_loss, 2)})" for model in shown
            )
            told.append(f"The temperature {verb} the loss of {amounts}")
    if open_ := [model.model for model in models if model.gain == "no difference"]:
        told.append(f"For {listing(open_)} these data can show no difference in the loss")
    return ". ".join(told) + "."


def _span(values: Sequence[float]) -> str:
    low, high = decimal(min(values), 2), decimal(max(values), 2)
    return low if low == high else f"{low} to {high}"


def _models(models: Sequence[ModelCalibration], protocol: str) -> Table:
    rows: list[tuple[Value, ...]] = [
        (model.model, float(np.mean(model.temperatures)), model.error, model.tempered_error, model.lucky_error,
         model.loss, model.tempered_loss, model.p, model.gain)
        if model.is_fitted
        else (model.model, None, model.error, None, model.lucky_error, model.loss, None, None, "not fitted")
        for model in models
    ]  # fmt: skip
    caption = (
        f"Calibration on the test clips under {protocol}, means over cells. By luck: the error to be expected of exact "
        "probabilities on as many clips. The test asks whether the temperature changes the loss, for other clips and "
        "other trainings; p is adjusted for the number of models (Holm).",
    )
    return Table("table-calibration", caption, _MODELS, {"": rows})


def _diagrams(study: Study, models: Sequence[ModelCalibration], protocol: str) -> Figure:
    colours, names = palette(tuple(study.presets)), anchors(study.presets)
    panels = []
    for place, model in enumerate(models):
        after = model.tempered_bins if model.is_fitted else None
        title = drawable(model.model, place, 30)
        drawn = reliability_diagram(model.bins, after, len(model.temperatures), colours[model.model], title)
        error = f"calibration error {model.error:.3f}" + f", tempered {model.tempered_error:.3f}" * model.is_fitted
        panels.append(panel(drawn, f"reliability-{names[model.model]}", f"Reliability of {model.model}: {error}"))
    caption = (
        f"Reliability under {protocol}: the share of right answers by confidence, the answers of all cells together. "
        "On the dashed line a probability means what it says; above it, the model is more often right than it is sure. "
        "The larger a mark, the more answers; pale bars: what the number of test clips leaves open (95 %).",
    )
    return Figure("figure-reliability", tuple(panels), caption)


def _alarms(study: Study, ranked: Sequence[ModelCalibration], protocol: str) -> list[Block]:
    num_clips, clip_s = len(study.of(ranked[0].model, protocol)[0].clips.clips), study.dataset.clip_s
    minutes = num_clips * clip_s / 60
    words: Text = (
        "A class is named only above its threshold: the confidence that 95 % of the right answers on validation clips "
        "reach, at most one half; one half where there are none. ", Ref("table-thresholds"), " counts what would be "
        "named on every window of the test clips, without the mean over neighbouring windows that a recording gets. "
        "Windows in a row that name one class are one alarm; in a clip of another class it is a false one. So the "
        "clips of the other classes stand for the background, and a hard one, as each is full of sound. A cell tests "
        f"{count(num_clips, 'clip')} of {clip_s:g} s, {decimal(minutes, 1)} minutes: one false alarm in one cell is "
        f"{decimal(60 / minutes, 0)} an hour." + f" The {NUM_DRAWN} most accurate models:" * (len(ranked) > NUM_DRAWN),
    )  # fmt: skip
    rates = tuple((Strong(model.model), f": {_rate_in_words(model)}") for model in ranked[:NUM_DRAWN])
    return [Paragraph(words), Bullets(rates), _classes(study, ranked, stamped(study, protocol))]


def _rate_in_words(model: ModelCalibration) -> str:
    rate, low, high = (decimal(value, 0) for value in (model.alarm_rate, *model.alarm_interval))
    return (
        f"{rate} false alarms in an hour of such sounds (95 % interval {low} to {high}, by groups of clips, of these "
        f"trainings); the own class is named in {percent(float(np.nanmean(model.hit_rates)), 0)} of clips."
    )


def _classes(study: Study, models: Sequence[ModelCalibration], protocol: str) -> Table:
    groups: dict[str, list[tuple[Value, ...]]] = {}
    for model in models[: max(1, MOST_ROWS // len(study.dataset.categories))]:
        columns = (model.thresholds, model.hit_rates, model.alarm_rates)
        groups[model.model] = [
            (spoken(category), *(None if np.isnan(value) else float(value) for value in values))
            for category, *values in zip(study.dataset.categories, *columns, strict=True)
        ]
    caption = (
        f"Thresholds and what they let pass under {protocol}, means over cells, the most accurate models. Named: clips "
        "of the class in which it is named at least once. False alarms: in an hour of clips of the other classes.",
    )
    return Table("table-thresholds", caption, _CLASSES, groups)
