"""What `auricle check` found, as one page that stands alone: tables, what to do, and what the clips look like."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from auricle import files
from auricle.audit.audit import Audit
from auricle.audit.finding_types import SEVERITIES, Finding, FindingType, Severity
from auricle.data.audio import read_mono
from auricle.data.manifest import Clip
from auricle.data.processes import in_processes
from auricle.errors import RefusedError
from auricle.report.document import Document, Exhibit, Figure
from auricle.report.figures.dataset import sample
from auricle.report.figures.drawing import Panel, panel
from auricle.report.figures.style import drawable, style
from auricle.report.numbering import numbered
from auricle.report.prose import sections_of
from auricle.report.render import to_html
from auricle.report.table import Row, Table, columns
from auricle.report.wording import count, decimal, shortened, spoken, visible

MAX_ROWS = 50  # of a table; the JSON has them all
MAX_PICTURES = 6  # of a kind of finding
MAX_CLASSES = 50  # of which a clip is drawn
PICTURE_S = 10.0  # of a recording, from its start
TITLES = {"error": "What must be mended", "warning": "What should be looked at", "note": "What is good to know"}


def write_check_page(path: Path, audit: Audit) -> None:
    """Write the page whole or not at all.

    Raises:
        MachineError: the disk refuses.
    """
    with style():
        document = compose_check(audit)
        figures = {f"{each.name}.svg": each.svg for each in document.panels()}
    files.write_text(path, to_html(numbered(document), figures))


def compose_check(audit: Audit) -> Document:
    """Return the page as a document; the caller has set the style of its figures."""
    manifest = audit.survey.manifest
    found = {
        severity: of_severity
        for severity in SEVERITIES
        if (of_severity := [(kind, cases) for kind, cases in audit.by_kind.items() if kind.severity == severity])
    }
    exhibits = _exhibits(audit, found)
    values = {
        "audit": audit,
        "numbers": {name: sum(len(cases) for _, cases in found.get(name, ())) for name in SEVERITIES},
        "found": found,
        "titles": TITLES,
        "most": MAX_ROWS,
        "exhibits": list(exhibits),
    }
    name = Path(manifest.source).name or manifest.source
    subtitle = f"{count(len(manifest.clips), 'clip')} of {count(len(manifest.categories), 'class', 'classes')}"
    head = f"auricle check {visible(name)}"
    return Document(f"What is wrong with {spoken(name)}?", subtitle, head, sections_of("check", values, exhibits))


def _exhibits(
    audit: Audit, found: Mapping[Severity, Sequence[tuple[FindingType, Sequence[Finding]]]]
) -> dict[str, Exhibit]:
    """Return the tables, and the pictures of those clips that can be decoded."""
    clips = {clip.name: clip for clip in audit.survey.manifest.clips}
    overview = {
        TITLES[severity]: [(kind.title, len(cases), kind.fix) for kind, cases in of_severity]
        for severity, of_severity in found.items()
    }
    exhibits: dict[str, Exhibit] = {
        "findings": Table(columns("check-findings"), overview),
        "classes": _class_table(audit),
    }
    num_drawn = 0
    for kind, cases in ((kind, cases) for of_severity in found.values() for kind, cases in of_severity):
        if any(case.clips for case in cases):
            rows = [(shortened(", ".join(case.clips), 120), visible(case.reason)) for case in cases[:MAX_ROWS]]
            exhibits[f"{kind.name}-clips"] = Table(columns("check-clips"), {"": rows})
        names = list(dict.fromkeys(name for case in cases[:MAX_PICTURES] for name in case.clips))[:MAX_PICTURES]
        titles = [shortened(name, 36) for name in names]
        if panels := tuple(_drawn([clips[name] for name in names], titles, num_drawn)):
            exhibits[f"{kind.name}-sounds"] = Figure(panels)
            num_drawn += len(panels)
    if panels := tuple(_typical(audit, num_drawn)):
        exhibits["class-sounds"] = Figure(panels)
    return exhibits


def _whole_clips(audit: Audit) -> dict[str, list[int]]:
    """Return class to the indices of its clips that could be decoded."""
    found: dict[str, list[int]] = {name: [] for name in audit.survey.manifest.categories}
    for index in audit.facts:
        found[audit.survey.manifest.clips[index].category].append(index)
    return found


def _class_table(audit: Audit) -> Table:
    """Return what the recordings of each class are like, by their medians."""
    by_class = audit.shortcuts.by_class if audit.shortcuts else {}
    rows: list[Row] = []
    for name, indices in _whole_clips(audit).items():
        facts = [audit.facts[index] for index in indices]
        known = [(fact.duration_s, fact.level_db, fact.bandwidth_hz / 1000) for fact in facts]
        medians = np.median(known, axis=0).tolist() if facts else [None] * 3
        shown = [decimal(value, digits) for value, digits in zip(medians, (2, 1, 1), strict=True)]
        rows.append((spoken(name), len(facts), *shown, by_class.get(name)))
    return Table(columns("check-classes"), {"": rows})


def _typical(audit: Audit, num_drawn: int) -> Iterator[Panel]:
    """Draw the clip of middle level of each class, as one that is typical."""
    chosen, titles = [], []
    for number, (name, indices) in enumerate(list(_whole_clips(audit).items())[:MAX_CLASSES]):
        if indices:
            order = sorted(indices, key=lambda index: audit.facts[index].level_db)
            chosen.append(audit.survey.manifest.clips[order[len(order) // 2]])
            titles.append(drawable(name, number))
    yield from _drawn(chosen, titles, num_drawn)


def _drawn(clips: Sequence[Clip], titles: Sequence[str], num_drawn: int) -> Iterator[Panel]:
    """Draw those of the clips that can be decoded; the panels are numbered after those that were drawn before."""
    decoded = in_processes(partial(read_mono, limit_s=PICTURE_S), [clip.path for clip in clips])
    for clip, title, sound in zip(clips, titles, decoded, strict=True):
        if not isinstance(sound, RefusedError):
            num_drawn += 1
            mono, rate_hz = sound
            drawn = sample(mono[: round(PICTURE_S * rate_hz)], rate_hz, title)
            alt = f"Waveform and mel spectrogram of {visible(clip.name)}, {visible(clip.category)}"
            yield panel(drawn, f"sound-{num_drawn}", alt)
