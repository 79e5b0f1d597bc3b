"""Networks beside what needs none: which free baseline is best, and whether a network beats it."""

from __future__ import annotations

from collections.abc import Sequence

from auricle.report.comparisons import Comparison, adjusted, against_baseline
from auricle.report.evidence import Study
from auricle.report.tables import ComparativeRow, baseline_rows
from auricle.report.wording import Text, listing, percent

BASELINE_MARK = "‡"


def beside_best(study: Study, rows: Sequence[ComparativeRow], protocol: str) -> list[Comparison]:
    """Compare every network of a protocol with its best baseline; nothing where there is none."""
    best = next(iter(baseline_rows(study, protocol)), None)
    if best is None:
        return []
    models = [row.model for row in rows if row.protocol == protocol]
    pairs = [pair for model in models if (pair := against_baseline(study, model, best.model, protocol)) is not None]
    return adjusted(pairs)


def not_above(study: Study, rows: Sequence[ComparativeRow], protocol: str) -> Text:
    """Name the networks of a protocol that the best baseline is as good as; nothing where every network beats it."""
    best = next(iter(baseline_rows(study, protocol)), None)
    below = [row for row in rows if row.protocol == protocol and best and row.accuracy <= best.accuracy]
    if best is None or not below:
        return ()
    names = listing(f"{row.model} ({percent(row.accuracy)})" for row in below)
    verb = "is" if len(below) == 1 else "are"
    return (
        f"Under {protocol}, {names} {verb} no better than {best.model} ({percent(best.accuracy)}), which needs no "
        "network.",
    )


def beside_baselines(study: Study, rows: Sequence[ComparativeRow]) -> list[Text]:
    """Say how the networks of one protocol stand to its best baseline, in a sentence; none where there is none."""
    protocol = rows[0].protocol
    best = next(iter(baseline_rows(study, protocol)), None)
    if best is None:
        return []
    amount = f"{best.model} ({percent(best.accuracy)})"
    below = [row.model for row in rows if row.accuracy <= best.accuracy]
    shown = {pair.first for pair in beside_best(study, rows, protocol) if pair.shown and pair.difference > 0}
    open_ = [row.model for row in rows if row.model not in below and row.model not in shown]
    if below:
        told = f"{listing(below)} {'does' if len(below) == 1 else 'do'} not beat the best free baseline, {amount}."
    elif open_:
        told = f"The best free baseline is {amount}; the test clips cannot show that {listing(open_, 'or')} is better."
    else:
        every = "it is" if len(rows) == 1 else "each network is"
        told = f"The best free baseline is {amount}; the test clips show that {every} better."
    return [(told,)]
