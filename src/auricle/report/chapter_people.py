"""The models against people: what each mistakes for what, and which clips each misses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from auricle.report.figures import results
from auricle.report.chapter_summary import stamped
from auricle.report.comparisons import foremost, foremost_in_words, ranking
from auricle.report.differences import clip_name
from auricle.report.document import Block, Figure, Paragraph, Section
from auricle.report.effects import Effect, adjusted, effect
from auricle.report.evidence import Study
from auricle.report.figures.style import MUTED, palette, panel
from auricle.report.people import (
    ANOTHER,
    People,
    agreement,
    among_people,
    kinds,
    model_answers,
    models_right,
    most,
    people_of,
)
from auricle.report.tables import ComparativeRow
from auricle.report.table import Column, Table, Value
from auricle.report.wording import Ref, Text, count, listing, percent, spoken

MOST_CLIPS = 12  # of a kind
_CLIPS = (
    Column("clip", "Clip", "code"),
    Column("class", "Class"),
    Column("people_right", "People right, %", "percent"),
    Column("judgements", "of", "count"),
    Column("people_else", "else heard as"),
    Column("models_right", "Cells right, %", "percent"),
    Column("models_else", "else answered"),
)


def people_chapter(study: Study, rows: Sequence[ComparativeRow], protocol: str) -> tuple[Section, ...]:
    """Return the chapter; nothing where nobody was asked about the test clips.

    Args:
        study: the evidence.
        rows: its comparative rows.
        protocol: the one that answers the question.
    """
    people = people_of(study, protocol)
    if people is None:
        return ()
    right = models_right(study, protocol, people)
    answers = {model: model_answers(study, model, protocol, people.clips) for model in right}
    shown = {model: right[model] for model in foremost(right, rows, protocol)}
    blocks: list[Block] = [
        Paragraph(_standing(study, protocol, people, right)),
        _confusions(study, people, answers, ranking(rows, protocol)[0]),
        Paragraph(_agreement_words(study, people, answers)),
        _by_class(study, people, shown, answers, foremost_in_words(rows, protocol)),
        *_clips(study, people, right, answers),
    ]
    return (Section("people", "Against people", tuple(blocks)),)


def _standing(study: Study, protocol: str, people: People, right: Mapping[str, np.ndarray]) -> Text:
    """Say how often people and models are right on the clips that were judged."""
    num = int(people.heard.sum())
    own = effect(dict(zip(people.clips, people.right.tolist(), strict=True)), study.dataset.groups)
    all_test = {clip for cell in study.cells if cell.name.protocol == protocol for clip in cell.clips.clips}
    head = (
        f"The dataset says what people heard: {num:,} judgements of {count(len(people.clips), 'clip')} of the "
        f"{len(all_test):,} test clips under {stamped(study, protocol)}. All of this chapter is of those, every clip "
        f"counted alike. People are right in {percent(own.mean)} (95 % interval {percent(own.low)} to "
        f"{percent(own.high)}). "
    )
    brackets = " In brackets: how often a model is right, and how much more often people are, with its interval. "
    return (head, against(_differences(study, people, right), right), brackets, _who(people))


def _differences(study: Study, people: People, right: Mapping[str, np.ndarray]) -> dict[str, Effect]:
    """Return model to how much more often people are right, tests adjusted for the number of models."""
    found = {}
    for model, shares in right.items():
        pairs = zip(people.clips, people.right, shares, strict=True)
        found[model] = effect(
            {clip: float(own - share) for clip, own, share in pairs if not np.isnan(share)}, study.dataset.groups
        )
    return adjusted(found)


def against(differences: Mapping[str, Effect], right: Mapping[str, np.ndarray]) -> str:
    """Say which models people are shown to be ahead of, or behind, and of which these data cannot tell.

    In brackets stand the accuracy of a model and how much more often people are right.
    """
    groups: dict[str, list[str]] = {}
    for model, one in differences.items():
        title = "These data can show no difference between people and"
        if one.shown:
            title = "People are ahead of" if one.mean > 0 else "People are behind"
        told = f"{model} ({percent(float(np.nanmean(right[model])))}; {one.words})"
        groups.setdefault(title, []).append(told)
    return " ".join(f"{title} {listing(models)}." for title, models in groups.items())


def _who(people: People) -> str:
    judgements = people.heard.sum(axis=1)
    return f"A clip has {int(np.median(judgements)):,} judgements in the median, {int(judgements.min()):,} at least."


def _confusions(study: Study, people: People, answers: Mapping[str, np.ndarray], model: str) -> Figure:
    """Draw what people and the best model take for what, side by side."""
    categories = study.dataset.categories
    of_model = np.array([answers[model][people.labels == label].sum(axis=0) for label in range(len(categories))])
    panels = (
        panel(
            results.confusion(people.confusion, categories, MUTED, "people", "heard as"),
            "confusion-people", "Confusion matrix of people",
        ),
        panel(
            results.confusion(of_model, categories, palette(tuple(study.presets))[model], model),
            "confusion-beside-people", f"Confusion matrix of {model} on the clips that people judged",
        ),
    )  # fmt: skip
    elsewhere = int(people.heard[:, -1].sum())
    left_out = f" {count(elsewhere, 'judgement')} named {ANOTHER}." if elsewhere else ""
    caption = (
        f"What is taken for what, on the clips that people judged: left people, right {model}, the most accurate "
        f"model. Numbers are judgements and answers of cells; depth is the share of the row.{left_out}",
    )
    return Figure("figure-people", panels, caption)


def _agreement_words(study: Study, people: People, answers: Mapping[str, np.ndarray]) -> Text:
    groups = study.dataset.groups
    told = []
    for model, own in answers.items():
        one = effect(dict(zip(people.clips, agreement(people, own).tolist(), strict=True)), groups)
        told.append(f"{model} in {percent(one.mean)} ({percent(one.low)} to {percent(one.high)})")
    among = among_people(people)
    known = {clip: float(share) for clip, share in zip(people.clips, among, strict=True) if not np.isnan(share)}
    reference = f"; two people in {percent(effect(known, groups).mean)}" if known else ""
    return (
        f"A person and a cell of a model give a clip the same answer, right or wrong: {listing(told)}{reference}. ",
        Ref("table-people-classes"), " has the classes.",
    )  # fmt: skip


def _by_class(
    study: Study, people: People, right: Mapping[str, np.ndarray], answers: Mapping[str, np.ndarray], some: str
) -> Table:
    """List how often people and models are right and agree, class by class; `some` says which models."""
    columns = (
        Column("class", "Class", grows=True),
        Column("clips", "Clips", "count"),
        Column("people", "People", "percent"),
        *(Column(model, model, "percent") for model in right),
    )
    shares = {
        "Right answers, %": (people.right, *right.values()),
        "Same answer as a person, %": (among_people(people), *(agreement(people, answers[model]) for model in right)),
    }
    of_class = {
        spoken(category): people.labels == label
        for label, category in enumerate(study.dataset.categories)
        if (people.labels == label).any()
    }
    masks = of_class | {"all clips": np.ones(len(people.clips), bool)}
    groups = {
        words: [(name, int(mask.sum()), *(_mean(values[mask]) for values in of_group)) for name, mask in masks.items()]
        for words, of_group in shares.items()
    }
    caption = (
        f"People and models{some}, class by class: how often each is right, and how often it gives a clip the answer "
        "that a person gives it (for people: another person). Few clips stand behind a class.",
    )
    return Table("table-people-classes", caption, columns, groups, totals=True)


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _clips(
    study: Study, people: People, right: Mapping[str, np.ndarray], answers: Mapping[str, np.ndarray]
) -> list[Block]:
    """List the clips that people, the models or both miss."""
    found = kinds(people, right)
    told = listing([f"{len(rows):,} {title.removeprefix('Missed ')}" for title, rows in found.items()])
    text: Text = (f"A clip is missed where less than half of the answers are right: {told}.",)
    if not any(found.values()):
        return [Paragraph(text)]
    names = [spoken(category) for category in study.dataset.categories]
    mean, total = np.nanmean(np.array(list(right.values())), axis=0), np.sum(list(answers.values()), axis=0)

    def row(place: int) -> tuple[Value, ...]:
        label = people.labels[place]
        heard, answered = people.heard[place].copy(), total[place].copy()
        heard[label] = answered[label] = 0
        return (
            clip_name(people.clips[place]), names[label], float(people.right[place]), int(people.heard[place].sum()),
            most(heard, [*names, ANOTHER]), float(mean[place]), most(answered, names),
        )  # fmt: skip

    groups = {
        f"{title} ({len(rows)})": [row(place) for place in rows[:MOST_CLIPS]] for title, rows in found.items() if rows
    }
    cut = f"; {MOST_CLIPS} of a kind at most" if any(len(rows) > MOST_CLIPS for rows in found.values()) else ""
    caption = (
        "Clips that are missed: what people heard and what the cells of all models answered in place of the class, "
        f"most often{cut}.",
    )
    return [Paragraph((*text, " ", Ref("table-people-clips"), " names them.")),
            Table("table-people-clips", caption, _CLIPS, groups)]  # fmt: skip
