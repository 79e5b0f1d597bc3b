"""A new manifest with what can be mended without listening; no recording is touched.

Left out: what cannot be decoded, silence, all but one of exact copies, copies under two classes. Joined: nearly the
same sounds into one group, and where folds are given a group into the fold that holds most of it. Spelt one way:
classes that differ by case, accents or blanks.
"""

import os
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
from auricle.text import csv_text, path_cell, quoted

JOINED = "joined with a group of the same sound"


@dataclass(frozen=True)
class Mended:
    """The clips that are kept, and what was done, as counts of clips by words."""

    clips: tuple[Clip, ...]
    done: dict[str, int]

    @property
    def warning(self) -> str:
        """Return what to look at first, where half of the clips or more are now of one group; else nothing."""
        (group, num), *_ = Counter(clip.group for clip in self.clips).most_common(1) or [("", 0)]
        if not self.done.get(JOINED) or 2 * num < len(self.clips):
            return ""
        return (
            f"{num} of {len(self.clips)} clips sound nearly the same and become one group, {group!r}, which stays on "
            "one side of every split: are they one recording? If not, set their group in the table"
        )


def mend(audit: Audit) -> Mended:
    """Return the clips of a dataset after all mending that is safe."""
    clips = dict(enumerate(audit.survey.manifest.clips))
    done: Counter[str] = Counter()
    for place, words in _left_out(audit).items():
        del clips[place]
        done[words] += 1
    main = {name: names[0] for names in spellings(Counter(clip.category for clip in clips.values())) for name in names}
    groups = _joined_groups(audit, clips)
    folds = _folds(clips, groups) if audit.survey.has_folds else {}
    for place, clip in clips.items():
        category, group = main.get(clip.category, clip.category), groups[clip.group]
        mended = replace(clip, category=category, group=group, fold=folds.get(group, clip.fold))
        done["class spelt like its others"] += mended.category != clip.category
        done[JOINED] += mended.group != clip.group
        done["moved to the fold of its group"] += mended.fold != clip.fold
        clips[place] = mended
    return Mended(tuple(clips.values()), {words: count for words, count in done.items() if count})


def _left_out(audit: Audit) -> dict[int, str]:
    """Return the places of clips to leave out, with the reason."""
    clips = audit.survey.manifest.clips
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, clip in enumerate(clips):
        places[clip.name].append(place)
    out: dict[int, str] = {}
    for finding in audit.findings:
        if FINDING_TYPES[finding.kind].leaves_out:
            words = f"left out: {FINDING_TYPES[finding.kind].title}"
            out |= {place: words for name in finding.clips for place in places[name] if place not in out}
    for same in audit.copies.exact:
        kept = [place for place in same if place not in out]
        out |= dict.fromkeys(kept[1:], "left out: an exact copy of another")
    for listed in places.values():
        kept = [place for place in listed if place not in out]
        out |= dict.fromkeys(kept[1:], "left out: listed before")
    silent = {place for place, words in out.items() if words.endswith(FINDING_TYPES["silent"].title)}
    members = Counter(clip.category for clip in clips)
    lost = Counter(clips[place].category for place in silent)
    for place in silent:  # a class that is silent on purpose stays
        if 2 * lost[clips[place].category] > members[clips[place].category]:
            del out[place]
    return out


def _joined_groups(audit: Audit, clips: dict[int, Clip]) -> dict[str, str]:
    """Return the group that each group becomes: groups that share a sound become the first of them."""
    names = list(dict.fromkeys(clip.group for clip in clips.values()))
    number = {name: at for at, name in enumerate(names)}
    alike = [[number[clips[place].group] for place in places if place in clips] for places, _ in audit.copies.near]
    joined = connected([*([at] for at in range(len(names))), *(members for members in alike if members)])
    return {names[at]: names[members[0]] for members in joined for at in members}


def _folds(clips: dict[int, Clip], groups: dict[str, str]) -> dict[str, int]:
    """Return the fold that holds most clips of each group, the lowest of several."""
    counts: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for clip in clips.values():
        counts[groups[clip.group]][clip.fold] += 1
    return {group: min(of, key=lambda fold: (-of[fold], fold)) for group, of in counts.items()}


def write_manifest(path: Path, mended: Mended, *, has_folds: bool) -> None:
    """Write the clips as a CSV that auricle reads; names are relative to its folder.

    Raises:
        UsageError: as `require_new`.
        MachineError: the disk refuses.
    """
    require_new(path)
    rows: list[list[object]] = [["filename", "category", *(["fold"] * has_folds), "group"]]
    for clip in mended.clips:
        name = Path(os.path.relpath(clip.path.absolute(), path.parent.absolute())).as_posix()
        rows.append([path_cell(name), quoted(clip.category), *([clip.fold] * has_folds), quoted(clip.group)])
    files.write_text(path, csv_text(rows))


def require_new(path: Path) -> None:
    """Raise a UsageError if there is such a file, or its name does not end in .csv."""
    if path.suffix.lower() != ".csv":
        raise UsageError(f"--fix writes a table and takes a name that ends in .csv, not {str(path)!r}")
    if path.exists():
        raise UsageError(f"{path} exists and is not written over; give --fix another name")
