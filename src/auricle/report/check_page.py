"""The findings of `auricle check` as one self-contained page: tables, what to do, and pictures of the clips."""

import itertools
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from auricle import files
from auricle.audit.audit import Audit
from auricle.audit.finding_types import SEVERITIES
from auricle.data.audio import read_mono
from auricle.data.manifest import Clip
from auricle.data.processes import in_processes
from auricle.errors import RefusedError
from auricle.report.document import Document, Exhibit, Figure
from auricle.report.figures.dataset import sample
from auricle.report.figures.drawing import Panel, panel
from auricle.report.figures.style import drawables, style
from auricle.report.prose import sections_of
from auricle.report.render import numbered, to_html
from auricle.report.table import Row, Table, columns
from auricle.report.wording import count, decimal, shortened, spoken, visible

MAX_ROWS = 50  # in a table; the JSON has all
MAX_PICTURES = 6  # per kind of finding
MAX_CLASSES = 50  # for which a clip is drawn
PICTURE_S = 10.0  # of a recording, from its start
TITLES = {"error": "Errors: must be fixed", "warning": "Warnings: should be checked", "note": "Notes: for information"}


def write_check_page(path: Path, audit: Audit) -> None:
    """Write the page; never a partial file.

    Raises:
        MachineError: the file cannot be written.
    """
    with style():
        document = compose_check(audit)
        figures = {f"{each.name}.svg": each.svg for each in document.panels()}
    files.write_text(path, to_html(numbered(document), figures))


def compose_check(audit: Audit) -> Document:
    """Return the page as a document; the caller has set the style of its figures."""
    manifest = audit.survey.manifest
    kinds = itertools.groupby(audit.by_kind.items(), key=lambda of_kind: of_kind[0].severity)
    found = {severity: list(of_severity) for severity, of_severity in kinds}
    overview = {
        TITLES[severity]: [(kind.title, len(cases), kind.fix) for kind, cases in of_severity]
        for severity, of_severity in found.items()
    }
    exhibits = {"findings": Table(columns("check-findings"), overview), **_exhibits(audit)}
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


def _exhibits(audit: Audit) -> dict[str, Exhibit]:
    """Return the tables, and the pictures of those clips that can be decoded."""
    clips = {clip.name: clip for clip in audit.survey.manifest.clips}
    exhibits: dict[str, Exhibit] = {"classes": _class_table(audit)}
    numbers = itertools.count(1)
    for kind, cases in audit.by_kind.items():
        if any(case.clips for case in cases):
            rows = [(shortened(", ".join(case.clips), 120), visible(case.reason)) for case in cases[:MAX_ROWS]]
            exhibits[f"{kind.name}-clips"] = Table(columns("check-clips"), {"": rows})
        names = list(dict.fromkeys(name for case in cases[:MAX_PICTURES] for name in case.clips))[:MAX_PICTURES]
        shown = [(clips[name], title) for name, title in zip(names, drawables(names, 36), strict=True)]
        exhibits[f"{kind.name}-sounds"] = Figure(tuple(_drawn(shown, numbers)))
    exhibits["class-sounds"] = Figure(tuple(_drawn(_typical(audit), numbers)))
    return {name: exhibit for name, exhibit in exhibits.items() if isinstance(exhibit, Table) or exhibit.panels}


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
        rows.append((spoken(name), len(facts), *map(decimal, medians, (2, 1, 1)), by_class.get(name)))
    return Table(columns("check-classes"), {"": rows})


def _typical(audit: Audit) -> Iterator[tuple[Clip, str]]:
    """Yield the clip of middle level of each class, as one that is typical, with its title."""
    of_classes = dict(list(_whole_clips(audit).items())[:MAX_CLASSES])
    for title, indices in zip(drawables([*of_classes]), of_classes.values(), strict=True):
        if indices:
            order = sorted(indices, key=lambda index: audit.facts[index].level_db)
            yield audit.survey.manifest.clips[order[len(order) // 2]], title


def _drawn(titled: Iterable[tuple[Clip, str]], numbers: Iterator[int]) -> Iterator[Panel]:
    """Draw those of some clips that can be decoded, each under its title."""
    titled = list(titled)
    decoded = in_processes(partial(read_mono, limit_s=PICTURE_S), [clip.path for clip, _ in titled])
    for (clip, title), sound in zip(titled, decoded, strict=True):
        if not isinstance(sound, RefusedError):
            mono, rate_hz = sound
            drawn = sample(mono[: round(PICTURE_S * rate_hz)], rate_hz, title)
            alt = f"Waveform and mel spectrogram of {visible(clip.name)}, {visible(clip.category)}"
            yield panel(drawn, f"sound-{next(numbers)}", alt)
