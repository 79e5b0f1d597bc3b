"""What the transformers' `<cls>` reads: in words, as a table, as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from auricle.insight.record import Reading
from auricle.report.document import Block, Bullets, Figure
from auricle.report.effects import Effect, effect
from auricle.report.evidence import Study
from auricle.report.figures import why
from auricle.report.figures.style import Panel, drawable, palette, panel
from auricle.report.insights import ModelInsight
from auricle.report.table import Column, Range, Table, Value
from auricle.report.wording import Strong, Text, anchors, count, decimal, listing

MOST_DRAWN = 4
_BLOCKS = (
    Column("model", "Model", "code"),
    Column("block", "Block", "count"),
    Column("heads", "Heads", "count"),
    Column("tokens", "Tokens", "count"),
    Column("read", "read", "decimal"),
    Column("fewest", "fewest", "decimal"),
    Column("most", "most", "decimal"),
    Column("own", "Itself, %", "percent"),
    Column("overlap", "Shared by two heads", "ratio"),
    Column("loudness", "Follows loudness", "ratio"),
    Column("interval", "95 % interval", "ratio"),
)


def attention_blocks(study: Study, known: Mapping[str, ModelInsight], ranked: Sequence[str]) -> list[Block]:
    """Return what `<cls>` reads; nothing where no model has an encoder.

    Args:
        study: the evidence.
        known: what is known of its models.
        ranked: models, the most accurate first.
    """
    readings = {model: _readings(one) for model, one in known.items()}
    readers = {model: found for model, found in readings.items() if len(found) == len(known[model].insights)}
    if not readers:
        return []
    follows = {model: _follows_loudness(known[model], study.dataset.groups) for model in readers}
    told = [
        (Strong(f"What <cls> of {model} reads. "), _in_words(found, follows[model])) for model, found in readers.items()
    ]
    table_rows = [row for model, found in readers.items() for row in _rows(model, found, follows[model])]
    caption: Text = (
        "What the heads of <cls> read, by block, over heads, windows and cells: how many tokens, as if evenly (the "
        "exponential of the entropy; mean, and the heads with fewest and most), what share from itself, what share of "
        "attention two heads of a block give to the same tokens (1: they are alike), and the correlation of attention "
        "with the loudness of the moments, with its 95 % interval over clips.",
    )
    blocks: list[Block] = [Bullets(tuple(told)), Table("table-heads", caption, _BLOCKS, {"": table_rows})]
    of_time = [model for model in ranked if model in readers and readers[model][0].moments is not None]
    if drawn := of_time[:MOST_DRAWN]:
        blocks.append(_figure(study, {m: known[m] for m in study.presets if m in drawn}, all_of=len(of_time)))
    return blocks


def _readings(one: ModelInsight) -> list[Reading]:
    return [insight.reading for insight in one.insights if insight.reading is not None]


def _follows_loudness(one: ModelInsight, groups: Mapping[str, str]) -> list[Effect | None]:
    """Return for each block how far attention follows loudness, mean over heads; None where no token is a moment."""
    found: list[Effect | None] = []
    for block in range(len(_readings(one)[0].own)):
        by_clip: dict[str, list[float]] = {}
        for insight in one.insights:
            if insight.reading is not None and insight.reading.loudness is not None:
                for clip, value in zip(insight.clips, insight.reading.loudness[:, block].mean(axis=1), strict=True):
                    by_clip.setdefault(clip, []).append(float(value))
        means = {clip: float(np.mean(values)) for clip, values in by_clip.items()}
        found.append(effect(means, groups) if means else None)
    return found


def _in_words(readings: Sequence[Reading], follows: Sequence[Effect | None]) -> str:
    """Say by block how many tokens are read, how alike the heads are, and whether they follow loudness."""
    sentences = []
    for block, follow in enumerate(follows):
        read = float(np.mean([reading.spread[block] for reading in readings]))
        words = f"block {block + 1} from {decimal(read, 1)} of {readings[0].num_tokens} tokens, as if evenly"
        shared = _overlap(readings, block)
        if shared is not None:
            words += f"; two heads share {decimal(shared, 2)} of their attention"
        if follow is not None:
            interval = f"{decimal(follow.mean, 2)} ({decimal(follow.low, 2)} to {decimal(follow.high, 2)})"
            words += f"; correlation with loudness {interval}"
            words += ", none that these data can show" if follow.low <= 0 <= follow.high else ""
        sentences.append(f"{words}.")
    return " ".join(sentence[:1].upper() + sentence[1:] for sentence in sentences)


def _overlap(readings: Sequence[Reading], block: int) -> float | None:
    """Return what share of attention two heads of a block give to the same tokens; None for one head."""
    num_heads = readings[0].own.shape[1]
    if num_heads < 2:
        return None
    others = ~np.eye(num_heads, dtype=bool)
    return float(np.mean([reading.overlap[block][others] for reading in readings]))


def _rows(model: str, readings: Sequence[Reading], follows: Sequence[Effect | None]) -> list[tuple[Value, ...]]:
    found: list[tuple[Value, ...]] = []
    for block, follow in enumerate(follows):
        spread = np.array([reading.spread[block] for reading in readings])
        own = float(np.mean([reading.own[block] for reading in readings]))
        found.append(
            (model, block + 1, spread.shape[1], readings[0].num_tokens, float(spread.mean()), float(spread.min()),
             float(spread.max()), own, _overlap(readings, block), None if follow is None else follow.mean,
             Range(follow.low, follow.high) if follow else None)
        )  # fmt: skip
    return found


def _figure(study: Study, drawn: Mapping[str, ModelInsight], all_of: int) -> Figure:
    panels = tuple(_panel(study, model, one) for model, one in drawn.items())
    some = f" of the {count(len(drawn), 'most accurate transformer')}" if len(drawn) < all_of else ""
    cells = listing(dict.fromkeys(str(one.cells[0]).split("/")[1] for one in drawn.values()), "or")
    caption = (
        f"Attention of <cls>{some} over the moments of a window, by block, head and class: the deeper, the more; "
        f"means over windows. Heads of two trainings are not the same heads, so one cell a model is drawn ({cells}). "
        "Columns alike in every row: a head that looks at places, whatever the class; rows that differ: one that "
        "looks at sounds.",
    )
    return Figure("figure-attention", panels, caption)


def _panel(study: Study, model: str, one: ModelInsight) -> Panel:
    reading = one.insights[0].reading
    assert reading is not None
    assert reading.moments is not None
    drawn = why.attention(
        reading.moments, study.dataset.categories, one.insights[0].window_s, palette(tuple(study.presets))[model],
        drawable(model, 0, 30),
    )  # fmt: skip
    return panel(drawn, f"attention-{anchors(study.presets)[model]}", f"Attention of <cls> over time, {model}")
