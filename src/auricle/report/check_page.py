"""What `auricle data check` found, as one page that stands alone: tables, what to do, and what the clips look like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from auricle import files
from auricle.audit.audit import Audit
from auricle.audit.finding_types import SEVERITIES, Finding, FindingType
from auricle.data.audio import read_mono
from auricle.data.manifest import Clip
from auricle.data.processes import in_processes
from auricle.errors import RefusedError
from auricle.report.document import (
    Answer,
    Block,
    Callout,
    Document,
    Figure,
    KeyNumber,
    Paragraph,
    Section,
)
from auricle.report.figures import Panel, drawable, panel, style
from auricle.report.figures_dataset import sample
from auricle.report.numbering import numbered
from auricle.report.render import to_html
from auricle.report.tabular import Column, Table
from auricle.report.wording import Strong, Text, count, decimal, percent, shortened, spoken, visible

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
        document = compose(audit)
        figures = {f"{each.name}.svg": each.svg for each in document.panels()}
    files.write_text(path, to_html(numbered(document), figures))


def compose(audit: Audit) -> Document:
    """Return the page as a document; the caller has set the style of its figures."""
    manifest = audit.survey.manifest
    name = Path(manifest.source).name or manifest.source
    pictures = _Pictures(audit)
    chapters = [
        Section(severity, TITLES[severity], (), tuple(_kind(pictures, kind, cases) for kind, cases in found))
        for severity in SEVERITIES
        if (found := [(kind, cases) for kind, cases in audit.by_kind.items() if kind.severity == severity])
    ]
    sections = (_summary(audit), *chapters, _recordings(audit, pictures))
    subtitle = f"{count(len(manifest.clips), 'clip')} of {count(len(manifest.categories), 'class', 'classes')}"
    return Document(f"What is wrong with {spoken(name)}?", subtitle, f"auricle data check {visible(name)}", sections)


def _summary(audit: Audit) -> Section:
    numbers = dict.fromkeys(SEVERITIES, 0)
    for kind, cases in audit.by_kind.items():
        numbers[kind.severity] += len(cases)
    words = (
        "Nothing must be mended." if not audit.num_errors else f"{count(audit.num_errors, 'finding')} must be mended."
    )
    keys = [KeyNumber(f"{len(audit.facts):,}", f"of {count(len(audit.survey.manifest.clips), 'clip')} are whole")]
    keys += [KeyNumber(f"{number:,}", f"{severity}s") for severity, number in numbers.items()]
    blocks: list[Block] = [Answer((Strong(words),), tuple(keys))]
    if audit.by_kind:
        blocks.append(_overview(audit))
    return Section("summary", "Summary", tuple(blocks))


def _overview(audit: Audit) -> Table:
    groups: dict[str, list[tuple[str, int, str]]] = {}
    for kind, cases in audit.by_kind.items():
        groups.setdefault(TITLES[kind.severity], []).append((kind.title, len(cases), kind.fix))
    columns = (
        Column("finding", "Finding"),
        Column("number", "Number", "count"),
        Column("fix", "What to do", grows=True),
    )
    return Table("findings", ("Every kind of finding.",), columns, groups)


def _kind(pictures: _Pictures, kind: FindingType, cases: Sequence[Finding]) -> Section:
    fix: Text = (Strong("What to do: "), f"{kind.fix}.")
    blocks: list[Block] = [Paragraph(fix)]
    if any(case.clips for case in cases):
        rows = [(shortened(", ".join(case.clips), 120), visible(case.reason)) for case in cases[:MAX_ROWS]]
        more = f"; the first {MAX_ROWS} of {len(cases):,}, --json lists all" if len(cases) > MAX_ROWS else ""
        caption: Text = (f"{kind.title.capitalize()}: {count(len(cases), 'finding')}{more}.",)
        columns = (Column("clip", "Clip", "code"), Column("found", "What was found", grows=True))
        blocks.append(Table(f"{kind.name}-clips", caption, columns, {"": rows}))
    else:
        blocks += [Callout(kind.title.capitalize(), (case.reason + ".",)) for case in cases[:MAX_ROWS]]
    if panels := tuple(pictures.of_cases(kind, cases)):
        blocks.append(Figure(f"{kind.name}-sounds", panels, ("Waveform and mel spectrogram of the first of them.",)))
    return Section(kind.name, kind.title.capitalize(), tuple(blocks))


def _recordings(audit: Audit, pictures: _Pictures) -> Section:
    """Say what the recordings are like: a table of classes, a clip of each, and the shortcuts."""
    by_class = audit.shortcuts.by_class if audit.shortcuts else {}
    facts: dict[str, list[int]] = {name: [] for name in audit.survey.manifest.categories}
    for place in audit.facts:
        facts[audit.survey.manifest.clips[place].category].append(place)
    rows = []
    for name, places in facts.items():
        found = [audit.facts[place] for place in places]
        middle = [
            float(np.median([value(fact) for fact in found])) if found else None
            for value in (lambda f: f.duration_s, lambda f: f.level_db, lambda f: f.bandwidth_hz / 1000)
        ]
        shown = [decimal(value, digits) for value, digits in zip(middle, (2, 1, 1), strict=True)]
        rows.append((spoken(name), len(found), *shown, by_class.get(name)))
    columns = (
        Column("class", "Class", grows=True), Column("clips", "Clips", "count"),
        Column("length_s", "Length, s", "count"), Column("level_db", "Level, dB", "count"),
        Column("bandwidth_khz", "Band to, kHz", "count"),
        Column("told", "Told unheard, %", "percent"),
    )  # fmt: skip
    caption = "Medians of the whole clips of each class, and how many of them are told without listening."
    blocks: list[Block] = [Table("classes", (caption, *_shortcut_words(audit)), columns, {"": rows})]
    if panels := tuple(pictures.of_classes(facts)):
        blocks.append(Figure("class-sounds", panels, ("One clip of each class, that of middle level.",)))
    return Section("recordings", "The recordings", tuple(blocks))


def _shortcut_words(audit: Audit) -> Text:
    found = audit.shortcuts
    if found is None:
        return (" There are too few clips to say whether classes can be told apart without listening.",)
    alone = ", ".join(f"{name} {percent(share)}" for name, share in found.by_feature.items())
    return (
        f" A small tree that sees bandwidth, level, length, rate and format alone gets {percent(found.accuracy)} right "
        f"(95 % interval {percent(found.low)} to {percent(found.high)}; chance {percent(found.chance)}); each alone: "
        f"{alone}.",
    )


class _Pictures:
    """Draws clips, each once, and remembers which it has drawn."""

    def __init__(self, audit: Audit) -> None:
        self.audit = audit
        self.clips: dict[str, Clip] = {clip.name: clip for clip in audit.survey.manifest.clips}
        self.num_drawn = 0

    def of_cases(self, kind: FindingType, cases: Sequence[Finding]) -> Iterator[Panel]:
        names = list(dict.fromkeys(name for case in cases[:MAX_PICTURES] for name in case.clips))[:MAX_PICTURES]
        yield from self._drawn([self.clips[name] for name in names], [shortened(name, 36) for name in names])

    def of_classes(self, facts: dict[str, list[int]]) -> Iterator[Panel]:
        """Draw the clip of middle level of each class, as one that is typical."""
        chosen, titles = [], []
        for at, (name, places) in enumerate(list(facts.items())[:MAX_CLASSES]):
            if places:
                order = sorted(places, key=lambda place: self.audit.facts[place].level_db)
                chosen.append(self.audit.survey.manifest.clips[order[len(order) // 2]])
                titles.append(drawable(name, at))
        yield from self._drawn(chosen, titles)

    def _drawn(self, clips: Sequence[Clip], titles: Sequence[str]) -> Iterator[Panel]:
        """Draw those of the clips that can be decoded."""
        heard = in_processes(partial(read_mono, limit_s=PICTURE_S), [clip.path for clip in clips])
        for clip, title, sound in zip(clips, titles, heard, strict=True):
            if not isinstance(sound, RefusedError):
                self.num_drawn += 1
                alt = f"Waveform and mel spectrogram of {visible(clip.name)}, {visible(clip.category)}"
                mono, rate_hz = sound
                drawn = sample(mono[: round(PICTURE_S * rate_hz)], rate_hz, title)
                yield panel(drawn, f"sound-{self.num_drawn}", alt)
