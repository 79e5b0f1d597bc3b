"""Audit a dataset: decode every clip, measure it, and list what is wrong with it and with the dataset as a whole."""

import itertools
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from auricle.audit.classes import folder_findings, name_findings, size_findings
from auricle.audit.copies import Copies, FingerprintIndex, copy_findings
from auricle.audit.finding_types import FINDING_TYPES, SEVERITIES, Finding, FindingType
from auricle.audit.known import examine_once
from auricle.audit.recording import refused
from auricle.audit.shortcuts import FEATURES, Shortcuts, find_shortcuts
from auricle.data.datasets import Survey
from auricle.data.folds import NUM_FOLDS, make_splits, with_made_folds
from auricle.data.grouping import pattern_in_names
from auricle.data.manifest import Clip, backgrounds_of, require_enough, split_groups
from auricle.data.processes import in_processes
from auricle.errors import RefusedError, listing
from auricle.system import expanded

SHORT_SHARE, LONG_SHARE = 0.1, 10.0  # of the median length
LONG_CLIPS = 2.0  # times the clip length that training uses
SILENT_DB = -80.0  # dB relative to full scale, of the mono mix
COMMON_RATE_SHARE = 0.8  # share of recordings with the same rate above which another rate is reported


@dataclass(frozen=True)
class Fact:
    """What is kept of a recording that decodes without error: a few numbers, whatever its length."""

    format: str
    rate_hz: int
    duration_s: float
    level_db: float
    bandwidth_hz: float
    content: str
    silent: bool


@dataclass(frozen=True)
class Audit:
    """The result of decoding every clip of a dataset."""

    survey: Survey
    facts: Mapping[int, Fact]  # of the clips that decode without error, by index in the manifest
    findings: tuple[Finding, ...]  # the most severe kinds first
    copies: Copies
    shortcuts: Shortcuts | None  # None where there are too few clips

    @property
    def by_kind(self) -> dict[FindingType, tuple[Finding, ...]]:
        """The findings by kind, the most severe kinds first."""
        kinds = itertools.groupby(self.findings, key=lambda finding: FINDING_TYPES[finding.kind])
        return {kind: tuple(findings) for kind, findings in kinds}

    @property
    def num_errors(self) -> int:
        """How many findings are errors, which must be fixed."""
        return sum(kind.severity == "error" for kind in self._kinds)

    @property
    def num_unfixed(self) -> int:
        """How many errors `--fix` does not fix."""
        return sum(kind.severity == "error" and not kind.is_fixed for kind in self._kinds)

    @property
    def _kinds(self) -> list[FindingType]:
        return [FINDING_TYPES[finding.kind] for finding in self.findings]

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
    """Decode every clip of a dataset in worker processes and collect what is wrong; a crash of one does no harm.

    Files that were examined before are not decoded again (`known.py`), so a stopped audit resumes.

    `on_progress` is called with (clips examined, all clips) after each clip. `workers` is the number of processes;
    default: one per CPU core available to this process.

    Raises:
        MachineError: no decoding process can be started.
    """
    clips = survey.manifest.clips
    facts: dict[int, Fact] = {}
    findings: list[Finding] = []
    with FingerprintIndex() as fingerprints:
        answers = in_processes(examine_once, [clip.path for clip in clips], workers=workers)
        for index, (clip, answer) in enumerate(zip(clips, answers, strict=True)):
            examined = refused(clip.path, answer) if isinstance(answer, RefusedError) else answer
            findings += [replace(problem, clips=(clip.name,)) for problem in examined.problems]
            fingerprints.add(examined.fingerprint)
            if found := examined.measures:
                facts[index] = Fact(
                    examined.format, examined.rate_hz, found.num_samples / examined.rate_hz, round(found.level_db, 2),
                    round(found.bandwidth_hz), f"{examined.rate_hz} {found.content}", found.level_db < SILENT_DB,
                )  # fmt: skip
            if on_progress:
                on_progress(index + 1, len(clips))
        contents = {index: fact.content for index, fact in facts.items() if not fact.silent}
        copies = Copies.of(contents, fingerprints.pairs())
    shortcuts = _shortcuts(clips, facts)
    findings += [
        *_relative_findings(survey, facts),
        *copy_findings(copies, clips, has_folds=survey.has_folds),
        *_dataset_findings(survey, facts, shortcuts),
    ]
    order = {name: (SEVERITIES.index(kind.severity), rank) for rank, (name, kind) in enumerate(FINDING_TYPES.items())}
    once = {(one.kind, one.clips, "" if one.clips else one.reason): one for one in reversed(findings)}
    ordered = sorted(once.values(), key=lambda finding: (order[finding.kind], finding.clips))
    return Audit(survey, facts, tuple(ordered), copies, shortcuts)


def _relative_findings(survey: Survey, facts: Mapping[int, Fact]) -> Iterator[Finding]:
    """Find recordings whose sample rate or length differs from the others'."""
    if not facts:
        return
    clips = survey.manifest.clips
    rates = Counter(fact.rate_hz for fact in facts.values())
    usual_hz, num_usual = rates.most_common(1)[0]
    middle_s = statistics.median(fact.duration_s for fact in facts.values())
    used_s = survey.manifest.clip_s
    for index, fact in facts.items():
        name, long_s = (clips[index].name,), fact.duration_s
        if fact.rate_hz != usual_hz and num_usual >= COMMON_RATE_SHARE * len(facts):
            yield Finding("odd-rate", f"{fact.rate_hz:,} Hz; most recordings have {usual_hz:,} Hz", name)
        if long_s < SHORT_SHARE * middle_s:
            yield Finding("too-short", f"{long_s:.2f} s; the median is {middle_s:.2f} s", name)
        elif long_s > LONG_SHARE * middle_s or (used_s and long_s > LONG_CLIPS * used_s):
            is_cut = used_s and long_s > used_s
            limit = f"only the first {used_s:g} s are used" if is_cut else f"the median is {middle_s:.2f} s"
            yield Finding("too-long", f"{long_s:.1f} s; {limit}", name)


def _dataset_findings(survey: Survey, facts: Mapping[int, Fact], shortcuts: Shortcuts | None) -> Iterator[Finding]:
    """Check names, classes, folds and groups, and whether file properties alone predict the class."""
    clips = survey.manifest.clips
    for name, count in Counter(clip.name for clip in clips).items():
        if count > 1:
            yield Finding("name-twice", f"listed in {count} rows", (name,))
    for name, reason in survey.manifest.skipped:
        yield Finding("unused-annotation", f"{name}: {reason}")
    if survey.has_folds:
        members = defaultdict[str, list[str]](list)
        for clip in clips:
            members[clip.group].append(clip.name)
        for group, folds in split_groups(survey.manifest).items():
            yield Finding("split-group", f"source {group!r} has clips in folds {listing(folds)}", tuple(members[group]))
    if not survey.has_groups and (hint := pattern_in_names(survey.manifest)):
        yield Finding("grouped-names", str(hint))
    elif not survey.has_groups:
        yield Finding(
            "no-groups", "each file counts as its own source, so clips of one recording may be in training and test"
        )
    used = Counter(dict.fromkeys(survey.manifest.categories, 0))
    used.update(clips[index].category for index in facts)
    yield from name_findings(Counter(clip.category for clip in clips))
    sizes = list(size_findings(used, len({clip.fold for clip in clips}) if survey.has_folds else 0))
    yield from sizes
    if not {"few-classes", "tiny-class"} & {finding.kind for finding in sizes}:
        yield from _division_findings(survey, facts)
    folder = expanded(survey.manifest.source)
    if folder.is_dir() and all(clip.name.split("/")[0] == clip.category for clip in clips):
        yield from folder_findings(folder, survey.manifest.categories)
    if shortcuts and shortcuts.striking:
        best = max(shortcuts.by_feature, key=shortcuts.by_feature.__getitem__)
        easiest = max(shortcuts.by_class, key=shortcuts.by_class.__getitem__)
        yield Finding(
            "shortcut",
            f"{listing(FEATURES)} alone classify {100 * shortcuts.accuracy:.0f} % correctly "
            f"(chance is {100 * shortcuts.chance:.0f} %); {best} alone: {100 * shortcuts.by_feature[best]:.0f} %; "
            f"the class {easiest!r}: {100 * shortcuts.by_class[easiest]:.0f} %",
        )  # fmt: skip


def _division_findings(survey: Survey, facts: Mapping[int, Fact]) -> Iterator[Finding]:
    """Find why a study would refuse to divide the clips that decode; classes are large enough.

    Without folds and groups there is no other reason, and making folds takes long.
    """
    if not (survey.has_folds or survey.has_groups) or len(backgrounds_of(survey.manifest.categories)) > 1:
        return
    usable = {(clip := survey.manifest.clips[index]).name: clip for index in facts}
    manifest = replace(survey.manifest, clips=tuple(usable.values()))
    try:
        if survey.has_folds:
            require_enough(manifest)
        else:
            manifest = with_made_folds(manifest, NUM_FOLDS, seed=0)
        make_splits(manifest, "test-split" if manifest.has_test_set else "official", allow_split_groups=True)
    except RefusedError as error:
        yield Finding("no-split", str(error).removeprefix(manifest.source).lstrip(": "))


def _shortcuts(clips: Sequence[Clip], facts: Mapping[int, Fact]) -> Shortcuts | None:
    loud = {index: fact for index, fact in facts.items() if not fact.silent}
    forms = sorted({fact.format for fact in loud.values()})
    rows = [(f.bandwidth_hz, f.level_db, f.duration_s, f.rate_hz, forms.index(f.format)) for f in loud.values()]
    table = np.array(rows, np.float64).reshape(-1, len(FEATURES))
    members = [clips[index] for index in loud]
    return find_shortcuts(table, [clip.category for clip in members], [clip.group for clip in members])
