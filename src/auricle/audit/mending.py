"""Write a new manifest in which everything is fixed that needs no listening; recordings are never changed.

Left out: files that cannot be decoded, silent clips, all but one of exact copies, and copies under two classes. Merged
into one group: clips that sound nearly the same; where folds are given, each group moves to the fold that has most of
its clips. Class names that differ by case, accents or blanks get one spelling.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

from auricle import files
from auricle.audit.audit import Audit
from auricle.audit.copies import connected
from auricle.audit.finding_types import FINDING_TYPES
from auricle.data.class_names import spellings
from auricle.data.manifest import Clip
from auricle.errors import UsageError
from auricle.system import relative_path
from auricle.text import csv_text, path_cell, quoted

JOINED = "moved to the group of a clip with the same sound"


@dataclass(frozen=True)
class Mended:
    """The clips that are kept, and how many clips each change concerns, by a description of the change."""

    clips: tuple[Clip, ...]
    done: dict[str, int]

    @property
    def warning(self) -> str:
        """Return a warning where half of the clips or more are now in one group; else an empty string."""
        (group, num), *_ = Counter(clip.group for clip in self.clips).most_common(1) or [("", 0)]
        if not self.done.get(JOINED) or 2 * num < len(self.clips):
            return ""
        return (
            f"{num} of {len(self.clips)} clips sound nearly the same and were put in one group, {group!r}, which is "
            "never split between training and test; if they are not one recording, set their group in the table"
        )


def mend(audit: Audit) -> Mended:
    """Return the clips of a dataset after all fixes that are safe."""
    clips = dict(enumerate(audit.survey.manifest.clips))
    done: Counter[str] = Counter()
    for index, reason in _left_out(audit).items():
        del clips[index]
        done[reason] += 1
    main = {name: names[0] for names in spellings(Counter(clip.category for clip in clips.values())) for name in names}
    groups = _joined_groups(audit, clips)
    folds = _folds(clips, groups) if audit.survey.has_folds else {}
    for index, clip in clips.items():
        category, group = main.get(clip.category, clip.category), groups[clip.group]
        mended = replace(clip, category=category, group=group, fold=folds.get(group, clip.fold))
        done["class name spelt like the others"] += mended.category != clip.category
        done[JOINED] += mended.group != clip.group
        done["moved to the fold of its group"] += mended.fold != clip.fold
        clips[index] = mended
    return Mended(tuple(clips.values()), {reason: count for reason, count in done.items() if count})


def _left_out(audit: Audit) -> dict[int, str]:
    """Return the clips to leave out: index to reason."""
    clips = audit.survey.manifest.clips
    by_name: defaultdict[str, list[int]] = defaultdict(list)
    for index, clip in enumerate(clips):
        by_name[clip.name].append(index)
    out: dict[int, str] = {}
    for finding in audit.findings:
        if FINDING_TYPES[finding.kind].leaves_out:
            reason = f"left out: {FINDING_TYPES[finding.kind].title}"
            out |= {index: reason for name in finding.clips for index in by_name[name] if index not in out}
    silent = {index for index, reason in out.items() if reason.endswith(FINDING_TYPES["silent"].title)}
    members = Counter(clip.category for clip in clips)
    lost = Counter(clips[index].category for index in silent)
    for index in silent:  # a class that is mostly silent is silent on purpose, and stays
        if 2 * lost[clips[index].category] > members[clips[index].category]:
            del out[index]
    for same in audit.copies.exact:
        kept = [index for index in same if index not in out]
        out |= dict.fromkeys(kept[1:], "left out: an exact copy of another")
    for listed in by_name.values():
        kept = [index for index in listed if index not in out]
        out |= dict.fromkeys(kept[1:], "left out: listed twice")
    return out


def _joined_groups(audit: Audit, clips: dict[int, Clip]) -> dict[str, str]:
    """Return the new group of each group: groups that share a sound become the first of them."""
    names = list(dict.fromkeys(clip.group for clip in clips.values()))
    number = {name: at for at, name in enumerate(names)}
    alike = [[number[clips[index].group] for index in indices if index in clips] for indices, _ in audit.copies.near]
    joined = connected([*([at] for at in range(len(names))), *(members for members in alike if members)])
    return {names[at]: names[members[0]] for members in joined for at in members}


def _folds(clips: dict[int, Clip], groups: dict[str, str]) -> dict[str, int]:
    """Return the fold that has most clips of each group; of several, the lowest."""
    counts: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for clip in clips.values():
        counts[groups[clip.group]][clip.fold] += 1
    return {group: min(of, key=lambda fold: (-of[fold], fold)) for group, of in counts.items()}


def write_manifest(path: Path, mended: Mended, *, has_folds: bool, has_groups: bool) -> None:
    """Write the clips as a CSV manifest; file names are relative to its folder.

    Where no groups are known, there is no such column, unless copies were joined: each clip would seem to be one.

    Raises:
        UsageError: as `require_new`.
        MachineError: the file cannot be written.
    """
    require_new(path)
    fold = ["fold"] if has_folds else []
    group = ["group"] if has_groups or JOINED in mended.done else []
    columns = ["filename", "category", *fold, *group]
    rows: list[list[object]] = [[*columns]]
    for clip in mended.clips:
        name = path_cell(relative_path(clip.path, path.parent).as_posix())
        values = {"filename": name, "category": quoted(clip.category), "fold": clip.fold, "group": quoted(clip.group)}
        rows.append([values[column] for column in columns])
    files.write_text(path, csv_text(rows))


def require_new(path: Path) -> None:
    """Raise a UsageError if the file exists, or its name does not end in .csv."""
    if path.suffix.lower() != ".csv":
        raise UsageError(f"--fix writes a CSV table; its name must end in .csv, not {str(path)!r}")
    if path.exists():
        raise UsageError(f"{path} exists and is never overwritten; give --fix another name")
