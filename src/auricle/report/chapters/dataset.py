"""The dataset: what it is, how it is divided, what it looks like, what was left out."""

from auricle.findings.dataset import Dataset, Samples
from auricle.report.document import Chapter, Figure, Report
from auricle.report.figures.dataset import class_counts, sample
from auricle.report.figures.drawing import panel
from auricle.report.figures.style import drawable
from auricle.report.table import Column, Table, Value, columns
from auricle.report.wording import count, shortened, spoken

SAMPLES_A_FIGURE = 10
MOST_SAMPLES = 50
MOST_FOLD_COLUMNS = 12
MOST_FOLDS_BESIDE = 5  # folds of which the table leaves room for the figure


def dataset(report: Report) -> Chapter:
    """Return the chapter on the dataset."""
    data, samples = report.study.dataset, _samples(report.study.samples)
    skipped = [(shortened(name, 60), shortened(reason, 160)) for name, reason in data.skipped]
    values = {
        "data": data,
        "sizes": [sum(by_fold.values()) for by_fold in data.counts.values()],
        "beside": len(data.folds) <= MOST_FOLDS_BESIDE,
        "samples": list(samples),
        "num_drawn": sum(len(figure.panels) for figure in samples.values()),
        "skipped": skipped,
    }
    alt = f"Bars of the number of clips of {count(len(data.categories), 'class', 'classes')}, divided by fold"
    return Chapter(values, {
        "table-classes": _classes(data),
        "figure-classes": Figure((panel(class_counts(data.counts, data.folds), "classes", alt),)),
        "table-skipped": Table(columns("skipped"), {"": skipped}),
        **samples,
    })  # fmt: skip


def _classes(data: Dataset) -> Table:
    folds = data.folds if len(data.folds) <= MOST_FOLD_COLUMNS else ()
    columns = (
        Column("number", "No.", "count"),
        Column("class", "Class", grows=True),
        *(Column(f"fold_{fold}", f"{fold}", "count") for fold in folds),
        Column("clips", "Clips", "count"),
    )
    rows: list[tuple[Value, ...]] = [
        (number, spoken(category), *(by_fold[fold] for fold in folds), sum(by_fold.values()))
        for number, (category, by_fold) in enumerate(data.counts.items(), 1)
    ]
    totals = [sum(by_fold[fold] for by_fold in data.counts.values()) for fold in folds]
    return Table(columns, {"": [*rows, ("", "all", *totals, data.num_clips)]}, totals=True)


def _samples(samples: Samples | None) -> dict[str, Figure]:
    """Return figures of one clip a class, ten a figure."""
    if samples is None:
        return {}
    panels = []
    for index, category in enumerate(samples.categories[:MOST_SAMPLES]):
        drawn = sample(samples.waveforms[index], samples.sample_rate_hz, drawable(category, index, 40))
        alt = f"Waveform and mel spectrogram of {samples.names[index]}, {spoken(category)}"
        panels.append(panel(drawn, f"sample-{index + 1}", alt))
    return {
        f"figure-samples-{number}": Figure(tuple(panels[start : start + SAMPLES_A_FIGURE]))
        for number, start in enumerate(range(0, len(panels), SAMPLES_A_FIGURE), 1)
    }
