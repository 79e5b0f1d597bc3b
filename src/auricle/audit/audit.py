"""What is in a dataset, and what is wrong with it."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auricle.audit.classes import folder_cases, name_cases, size_cases
from auricle.audit.copies import Copies, copy_cases
from auricle.audit.kinds import KINDS, SEVERITIES, Case, Kind
from auricle.audit.near import FingerprintIndex
from auricle.audit.recording import Heard, hear, refused
from auricle.audit.shortcuts import FEATURES, Shortcuts, find_shortcuts
from auricle.data.datasets import Survey
from auricle.data.manifest import Clip, split_groups
from auricle.data.processes import in_processes
from auricle.errors import RefusedError

SHORT_SHARE, LONG_SHARE = 0.1, 10.0  # of the median length
LONG_CLIPS = 2.0  # times the length that is used
SILENT_DB = -80.0  # of full scale, of the channels mixed
COMMON_RATE_SHARE = 0.8  # of recordings, to call their rate the usual one


@dataclass(frozen=True)
class Fact:
    """What is kept of a recording that is whole: a few numbers, whatever its length."""

    format: str
    rate_hz: int
    num_channels: int
    duration_s: float
    level_db: float
    bandwidth_hz: float
    content: str
    silent: bool


@dataclass(frozen=True)
class Audit:
    """What was found by decoding every clip.

    Attributes:
        survey: what was looked at.
        facts: of the clips that are whole, by place in the manifest.
        cases: the findings, the gravest kinds first.
        copies: clips that are the same sound, by place.
        shortcuts: how well classes are told apart without listening; None where there are too few clips.
    """

    survey: Survey
    facts: Mapping[int, Fact]
    cases: tuple[Case, ...]
    copies: Copies
    shortcuts: Shortcuts | None

    @property
    def by_kind(self) -> dict[Kind, tuple[Case, ...]]:
        """The findings by kind, the gravest kinds first."""
        kinds: defaultdict[str, list[Case]] = defaultdict(list)
        for case in self.cases:
            kinds[case.kind].append(case)
        return {KINDS[name]: tuple(cases) for name, cases in kinds.items()}

    @property
    def num_errors(self) -> int:
        """How many findings must be mended."""
        return sum(KINDS[case.kind].severity == "error" for case in self.cases)

    @property
    def counts(self) -> dict[str, dict[int, int]]:
        """Category to fold to number of clips; every category has every fold."""
        clips = self.survey.manifest.clips
        folds = sorted({clip.fold for clip in clips})
        counted = Counter((clip.category, clip.fold) for clip in clips)
        return {name: {fold: counted[name, fold] for fold in folds} for name in self.survey.manifest.categories}


def audit(
    survey: Survey, *, on_progress: Callable[[int, int], None] | None = None, workers: int | None = None
) -> Audit:
    """Decode every clip of a dataset, each in a process that may fail, and say what is wrong.

    Args:
        survey: what to look at, of `data.datasets.survey`.
        on_progress: called with (clips heard, all clips) after each.
        workers: processes; None: one for each core this process may use.
    """
    clips = survey.manifest.clips
    facts: dict[int, Fact] = {}
    cases: list[Case] = []
    with FingerprintIndex() as index:
        heard_all = in_processes(hear, [clip.path for clip in clips], workers=workers)
        for place, (clip, answer) in enumerate(zip(clips, heard_all, strict=True)):
            heard = refused(clip.path, answer) if isinstance(answer, RefusedError) else answer
            cases += [Case(problem.kind, (clip.name,), problem.reason) for problem in heard.problems]
            index.add(heard.fingerprint)
            if heard.measures:
                facts[place] = _fact(heard)
            if on_progress:
                on_progress(place + 1, len(clips))
        contents = {place: fact.content for place, fact in facts.items() if not fact.silent}
        copies = Copies.of(contents, index.pairs())
    shortcuts = _shortcuts(clips, facts)
    cases += [
        *_relative_cases(survey, facts),
        *copy_cases(copies, clips, has_folds=survey.has_folds),
        *_dataset_cases(survey, facts, shortcuts),
    ]
    order = {name: (SEVERITIES.index(kind.severity), place) for place, (name, kind) in enumerate(KINDS.items())}
    once = {(case.kind, case.clips, case.reason if not case.clips else ""): case for case in reversed(cases)}
    return Audit(
        survey, facts, tuple(sorted(once.values(), key=lambda case: (order[case.kind], case.clips))), copies, shortcuts
    )


def _fact(heard: Heard) -> Fact:
    assert heard.measures is not None
    found = heard.measures
    silent = found.level_db < SILENT_DB
    return Fact(
        heard.format, heard.rate_hz, heard.num_channels, heard.duration_s, round(found.level_db, 2),
        round(found.bandwidth_hz), f"{heard.rate_hz} {found.content}", silent,
    )  # fmt: skip


def _relative_cases(survey: Survey, facts: Mapping[int, Fact]) -> Iterator[Case]:
    """Judge what stands out among the recordings of a dataset: rate and length."""
    if not facts:
        return
    clips = survey.manifest.clips
    rates = Counter(fact.rate_hz for fact in facts.values())
    usual_hz, num_usual = rates.most_common(1)[0]
    middle_s = statistics.median(fact.duration_s for fact in facts.values())
    used_s = survey.manifest.clip_s
    for place, fact in facts.items():
        name, long_s = (clips[place].name,), fact.duration_s
        if fact.rate_hz != usual_hz and num_usual >= COMMON_RATE_SHARE * len(facts):
            yield Case("odd-rate", name, f"{fact.rate_hz:,} Hz, where most have {usual_hz:,}")
        if long_s < SHORT_SHARE * middle_s:
            yield Case("too-short", name, f"{long_s:.2f} s, where half have {middle_s:.2f} or more")
        elif long_s > LONG_SHARE * middle_s or (used_s and long_s > LONG_CLIPS * used_s):
            limit = f"of which {used_s:g} are used" if used_s else f"where half have {middle_s:.2f} or less"
            yield Case("too-long", name, f"{long_s:.1f} s, {limit}")


def _dataset_cases(survey: Survey, facts: Mapping[int, Fact], shortcuts: Shortcuts | None) -> Iterator[Case]:
    """Judge names, classes, folds and groups, and what gives the classes away."""
    clips = survey.manifest.clips
    for name, count in Counter(clip.name for clip in clips).items():
        if count > 1:
            yield Case("name-twice", (name,), f"{count} rows name it")
    if survey.has_folds:
        for group, folds in split_groups(survey.manifest).items():
            members = tuple(clip.name for clip in clips if clip.group == group)
            yield Case("split-group", members, f"source {group!r} stands in folds {_listed(folds)}")
    if not survey.has_groups:
        yield Case("no-groups", (), "each file is its own source, so clips cut from one recording may be on both sides")
    used = Counter(dict.fromkeys(survey.manifest.categories, 0))
    used.update(clips[place].category for place in facts)
    yield from name_cases(Counter(clip.category for clip in clips))
    yield from size_cases(used, len({clip.fold for clip in clips}) if survey.has_folds else 0)
    folder = Path(survey.manifest.source).expanduser()
    if not survey.has_folds and folder.is_dir():
        yield from folder_cases(folder, survey.manifest.categories)
    if shortcuts and shortcuts.striking:
        best = max(shortcuts.by_feature, key=shortcuts.by_feature.__getitem__)
        easiest = max(shortcuts.by_class, key=shortcuts.by_class.__getitem__)
        yield Case(
            "shortcut", (),
            f"{', '.join(FEATURES[:-1])} and {FEATURES[-1]} alone get {100 * shortcuts.accuracy:.0f} % right where "
            f"chance is {100 * shortcuts.chance:.0f} %; {best} alone {100 * shortcuts.by_feature[best]:.0f} %; "
            f"of {easiest!r} {100 * shortcuts.by_class[easiest]:.0f} %",
        )  # fmt: skip


def _shortcuts(clips: Sequence[Clip], facts: Mapping[int, Fact]) -> Shortcuts | None:
    heard = {place: fact for place, fact in facts.items() if not fact.silent}
    forms = {name: number for number, name in enumerate(sorted({fact.format for fact in heard.values()}))}
    table = np.array(
        [
            (fact.bandwidth_hz, fact.level_db, fact.duration_s, fact.rate_hz, forms[fact.format])
            for fact in heard.values()
        ],
        np.float64,
    ).reshape(-1, len(FEATURES))
    members = [clips[place] for place in heard]
    return find_shortcuts(table, [clip.category for clip in members], [clip.group for clip in members])


def _listed(folds: Sequence[int]) -> str:
    return " and ".join([", ".join(map(str, folds[:-1])), str(folds[-1])])
