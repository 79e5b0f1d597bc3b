"""The dataset: what it is, how it is divided, what it looks like, what was left out."""

from __future__ import annotations

from auricle.report.figures import dataset
from auricle.report.document import Block, Bullets, Figure, Pair, Paragraph, Section
from auricle.report.evidence import Study
from auricle.report.figures.style import drawable, panel
from auricle.report.recordings import Dataset, Samples
from auricle.report.table import Column, Table, Value
from auricle.report.wording import Code, Ref, Text, count, decimal, shortened, spoken

SAMPLES_A_FIGURE = 10
MOST_SAMPLES = 50
MOST_FOLD_COLUMNS = 12
MOST_FOLDS_BESIDE = 5


def dataset_chapter(study: Study) -> Section:
    """Return the chapter on the dataset."""
    dataset = study.dataset
    blocks: list[Block] = [
        Paragraph((*_in_words(dataset), " ", Ref("table-classes"), " and ", Ref("figure-classes"), " count them.")),
        *([Bullets(tuple((note,) for note in dataset.notes))] if dataset.notes else []),
        *_classes(dataset),
    ]
    sections = []
    if study.samples is not None:
        sections.append(Section("samples", "What the classes look like", tuple(_samples(study.samples))))
    if dataset.skipped:
        sections.append(Section("skipped", "Files left out", tuple(_skipped(dataset))))
    return Section("dataset", "Dataset", tuple(blocks), tuple(sections))


def _in_words(dataset: Dataset) -> Text:
    num_groups = len(set(dataset.groups.values()))
    sizes = [sum(by_fold.values()) for by_fold in dataset.counts.values()]
    each = f"{min(sizes):,} clips each" if min(sizes) == max(sizes) else f"{min(sizes):,} to {max(sizes):,} clips each"
    kept = ""
    if num_groups < len(dataset.groups):
        kept = f" Clips that belong together, such as cuts of one recording, form a group: there are {num_groups:,}."
    return (
        Code(dataset.source),
        f" holds {count(dataset.num_clips, 'clip')} of {decimal(dataset.clip_s, 1).removesuffix('.0')} s in "
        f"{count(len(dataset.categories), 'class', 'classes')}, {each}, in {count(len(dataset.folds), 'fold')}.{kept}",
    )


def _classes(dataset: Dataset) -> list[Block]:
    """Return the counts as figure and table, side by side where there are few folds."""
    figure, table = _class_figure(dataset), _class_table(dataset)
    return [Pair(figure, table)] if len(dataset.folds) <= MOST_FOLDS_BESIDE else [table, figure]


def _class_table(dataset: Dataset) -> Table:
    folds = dataset.folds if len(dataset.folds) <= MOST_FOLD_COLUMNS else ()
    columns = (
        Column("number", "No.", "count"),
        Column("class", "Class", grows=True),
        *(Column(f"fold_{fold}", f"{fold}", "count") for fold in folds),
        Column("clips", "Clips", "count"),
    )
    rows: list[tuple[Value, ...]] = [
        (place, spoken(category), *(by_fold[fold] for fold in folds), sum(by_fold.values()))
        for place, (category, by_fold) in enumerate(dataset.counts.items(), 1)
    ]
    totals = [sum(by_fold[fold] for by_fold in dataset.counts.values()) for fold in folds]
    rows.append(("", "all", *totals, dataset.num_clips))
    caption = ("Clips of each class in each fold; classes are numbered in alphabetical order.",)
    return Table("table-classes", caption, columns, {"": rows}, totals=True)


def _class_figure(dataset: Dataset) -> Figure:
    drawn = dataset.class_counts(dataset.counts, dataset.folds)
    alt = f"Bars of the number of clips of {count(len(dataset.categories), 'class', 'classes')}, divided by fold"
    return Figure("figure-classes", (panel(drawn, "classes", alt),), ("Clips of each class, shaded by fold.",))


def _samples(samples: Samples) -> list[Block]:
    """Return figures of one clip a class, ten a figure."""
    shown = min(len(samples.categories), MOST_SAMPLES)
    panels = []
    for place, category in enumerate(samples.categories[:shown]):
        drawn = dataset.sample(samples.waveforms[place], samples.sample_rate_hz, drawable(category, place, 40))
        alt = f"Waveform and mel spectrogram of {samples.names[place]}, {spoken(category)}"
        panels.append(panel(drawn, f"sample-{place + 1}", alt))
    limit = "" if shown == len(samples.categories) else f" (the first {shown} of {len(samples.categories)} classes)"
    caption = (
        f"One clip of each class{limit}: waveform, scaled to its largest value, above its mel spectrogram, 70 dB from "
        "dark to light. Look for what repeats, what rings and what is noise.",
    )
    words = "They are not chosen for their looks: each is the first by name, outside the first fold where possible."
    blocks: list[Block] = [Paragraph((Ref("figure-samples-1"), " shows one clip of each class. ", words))]
    for place, start in enumerate(range(0, shown, SAMPLES_A_FIGURE), 1):
        below = caption if place == 1 else ("More classes, drawn in the same way.",)
        blocks.append(Figure(f"figure-samples-{place}", tuple(panels[start : start + SAMPLES_A_FIGURE]), below))
    return blocks


def _skipped(dataset: Dataset) -> list[Block]:
    columns = (Column("file", "File", "code"), Column("reason", "Reason", grows=True))
    rows = [(shortened(name, 60), shortened(reason, 160)) for name, reason in dataset.skipped]
    words = f"{count(len(rows), 'file')} could not be used; nothing else in this report knows of them."
    return [Paragraph((words,)), Table("table-skipped", ("Files left out, and why.",), columns, {"": rows})]
