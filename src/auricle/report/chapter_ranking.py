"""The models in order: ties drawn as ties, how much each mean is worth, and what that leaves of the number of heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from auricle.report.chapter_summary import stamped
from auricle.report.comparisons import Comparison
from auricle.report.document import Block, Bullets, Figure, Paragraph, Section
from auricle.report.evidence import Study
from auricle.report.figures.ranking import ranking
from auricle.report.figures.style import palette, panel
from auricle.report.heads import families, family_name, heads_in_words, published_claim
from auricle.report.ranking import places, ties
from auricle.report.seeds import seed_rows
from auricle.report.table import Column, Table, Value
from auricle.report.tables import ComparativeRow
from auricle.report.wording import Strong, Text, decimal
from auricle.scoring.statistics import wilson_interval

_SPREADS = (
    Column("model", "Model", "code"),
    Column("cells", "Cells", "count"),
    Column("accuracy", "Accuracy, %", "percent"),
    Column("fold_sd", "sd, folds", "points"),
    Column("seed_sd", "sd, seeds", "points"),
    Column("wilson", "95 %, Wilson"),
    Column("groups", "95 %, groups"),
)


def ranking_figure(
    study: Study, rows: Sequence[ComparativeRow], comparisons: Mapping[str, Sequence[Comparison]]
) -> Figure | None:
    """Draw the ranking under each protocol; None where no protocol has several models."""
    colours, panels = palette(tuple(study.presets)), []
    for protocol, pairs in comparisons.items():
        ranked = places([row for row in rows if row.protocol == protocol], pairs)
        if len(ranked) > 1:
            drawn = ranking(ranked, ties(ranked, pairs), colours, stamped(study, protocol))
            alt = "; ".join(f"{place.row.model} {place.words}" for place in ranked)
            panels.append(panel(drawn, f"ranking-{protocol}", f"Places under {protocol}: {alt}"))
    caption: Text = (
        "The ranking, with ties drawn as ties: no two models beside one upright bar can be told apart by these data. A "
        "place is a range where the data leave it open. Diamonds: mean test accuracy; pale bars: its 95 % interval "
        "(Wilson).",
    )
    return Figure("figure-ranking", tuple(panels), caption) if panels else None


def spread_table(study: Study) -> Table:
    """Return mean and spread of every model over folds and seeds, and two intervals."""
    groups: dict[str, list[tuple[Value, ...]]] = {}
    for row in seed_rows(study):
        cells = study.of(row.model, row.protocol)
        low, high = wilson_interval(row.accuracy, len({clip for cell in cells for clip in cell.clips.clips}))
        wilson, by_group = _interval(low, high), _interval(row.low, row.high)
        groups.setdefault(stamped(study, row.protocol), []).append(
            (row.model, len(cells), row.accuracy, row.fold_sd, row.sd, wilson, by_group)
        )
    caption = (
        "Accuracy on test clips: mean over cells, and how much it changes with the fold (standard deviation over folds "
        "of the mean over seeds) and with the seed (over seeds of the mean over folds), in points. Wilson: the 95 % "
        "interval if all clips were independent. Groups: by bootstrap over groups, as clips of one group (one source "
        "recording) are not. Neither counts what another training would change.",
    )
    return Table("table-spread", caption, _SPREADS, groups)


def _interval(low: float, high: float) -> str:
    return f"{decimal(100 * low, 1)} to {decimal(100 * high, 1)}"


def heads_sections(
    study: Study, rows: Sequence[ComparativeRow], comparisons: Mapping[str, Sequence[Comparison]]
) -> Sequence[Section]:
    """Return the section on the number of heads; nothing where no two models differ in that alone."""
    told: list[Text] = []
    found = families(study)
    for family in found:
        name = f"{family_name(family)}, " if len(found) > 1 else ""
        for protocol, pairs in comparisons.items():
            words = heads_in_words(family, [row for row in rows if row.protocol == protocol], pairs)
            if words:
                told.append((Strong(f"{name}{stamped(study, protocol)}"), ": ", *words))
    if not told:
        return ()
    blocks: list[Block] = [Bullets(tuple(told))]
    if claim := published_claim(study):
        blocks.append(Paragraph(claim))
    return (Section("heads", "How many heads", tuple(blocks)),)
