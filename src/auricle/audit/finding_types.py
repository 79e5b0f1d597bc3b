"""Every kind of problem that a dataset can have, how severe it is, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class FindingType:
    """A kind of finding.

    An error makes results wrong until it is fixed; a warning should be checked, often by listening; a note is
    information only.
    """

    severity: Severity
    name: str  # in JSON, and the anchor on the page
    title: str
    fix: str
    leaves_out: bool  # whether `--fix` leaves such a clip out

    @property
    def is_fixed(self) -> bool:
        """Whether `--fix` removes such a problem, which `fix` then says."""
        return "(--fix " in self.fix


@dataclass(frozen=True)
class Finding:
    """One finding."""

    kind: str  # a name in `FINDING_TYPES`
    reason: str  # what exactly was found
    clips: tuple[str, ...] = ()  # names of the clips; none where it is about a class, a folder or the dataset


_COPY = "copy it again from the original, or leave it out (--fix does this)"
_LOUD = "record or export again with less gain, or accept it"
# For each severity: name, title, what to do, and whether `--fix` leaves such a clip out.
_ALL: dict[Severity, tuple[tuple[str, str, str, bool], ...]] = {
    "error": (
        ("missing", "no such file", "correct the name in the table, or leave it out (--fix does this)", True),
        ("no-file", "cannot be opened", "make the file readable, or leave it out (--fix does this)", True),
        ("empty", "empty file (0 bytes)", _COPY, True),
        ("not-audio", "not a recording", "delete it, or leave it out (--fix does this)", True),
        ("truncated", "truncated file", _COPY, True),
        ("damaged", "damaged file", _COPY, True),
        (
            "joined", "several recordings in one file",
            "split it into single files, or leave it out (--fix does this)", True,
        ),
        ("forged-header", "impossible header values", "export it again, or leave it out (--fix does this)", True),
        ("no-sound", "no samples", "record it again, or leave it out (--fix does this)", True),
        ("not-finite", "samples that are not finite", "export it again, or leave it out (--fix does this)", True),
        ("over-limits", "larger than auricle can read", "cut it into clips, or leave it out (--fix does this)", True),
        ("undecodable", "cannot be decoded", "convert it to WAV or FLAC, or leave it out (--fix does this)", True),
        (
            "split-group", "one source in several folds",
            "put all clips of a source into one fold (--fix moves them to the fold that has most of them)", False,
        ),
        (
            "leak", "the same sound in several folds",
            "keep one copy, or give the copies one group and one fold (--fix does this)", False,
        ),
        (
            "contradiction", "the same sound under two classes",
            "listen to it and keep the copy with the correct label (--fix leaves both out)", True,
        ),
        ("name-twice", "a clip listed twice", "list each file once (--fix does this)", False),
        ("few-classes", "fewer than two classes", "add recordings of a second class", False),
        ("two-backgrounds", "several background classes", "give them one name", False),
        ("tiny-class", "a class with fewer clips than folds", "add clips, or leave the class out", False),
        (
            "no-split", "clips that cannot be divided into training and test",
            "change the folds or the groups, or record more", False,
        ),
    ),
    "warning": (
        ("silent", "silent recording", "record it again, or leave it out (--fix does this)", True),
        ("clipped", "clipped", _LOUD, False),
        ("over-scale", "beyond full scale", "scale it to at most 1 when you export", False),
        ("dc-offset", "DC offset", "high-pass filter at 20 Hz when you export, and check the sound card", False),
        ("one-channel", "sound in only one channel", "export it alone: mixing to mono halves its level", False),
        ("cancelling", "channels cancel each other", "export one channel: mixed to mono, it nearly vanishes", False),
        ("odd-rate", "another sample rate", "harmless if all classes mix rates equally; else see shortcuts", False),
        ("too-short", "too short", "make it longer, or leave it out; auricle pads it with silence", False),
        ("too-long", "too long", "cut it into several clips of one group; only its start is used", False),
        ("odd-header", "header that contradicts itself", "listen: if the speed is wrong, export it again", False),
        ("wrong-suffix", "wrong file name suffix", "rename it", False),
        ("duplicate", "the same samples twice", "keep one copy (--fix does this)", False),
        (
            "near-leak", "nearly the same sound in several folds",
            "listen: if they are one recording, put them in one group and one fold (--fix does this)", False,
        ),
        ("near-duplicate", "nearly the same sound", "put the copies in one group (--fix does this)", False),
        (
            "near-contradiction", "nearly the same sound under two classes",
            "listen: one label may be wrong, or the clip contains both sounds (--fix puts them in one group)", False,
        ),
        (
            "unused-annotation", "annotation that is not used",
            "correct its times or its class, or delete it", False,
        ),
        ("label-spelling", "classes that differ by case or accents", "use one spelling (--fix does this)", False),
        ("label-typo", "class name that may be a typo", "rename the class if it is a typo", False),
        ("hidden-folder", "hidden folder with recordings", "remove the dot from its name, or move it elsewhere", False),
        ("empty-class", "class folder without recordings", "add recordings, or delete the folder", False),
        ("few-clips", "class with few clips", "record more clips before you trust its scores", False),
        (
            "imbalance", "classes of unequal size",
            "record more of the small classes; training draws all classes equally often", False,
        ),
        (
            "grouped-names", "file names that seem to contain the source, but no groups",
            "give --group-by PATTERN, or list the sources in a column 'group'", False,
        ),
        (
            "shortcut", "file properties that predict the class",
            "record all classes the same way, or trim, level and band-limit them the same way", False,
        ),
    ),
    "note": (
        ("padded", "padded with digital silence", "trim it, unless all classes are padded the same way", False),
        ("no-groups", "no groups given", "list them in a column 'group', or give --group-by PATTERN", False),
    ),
}  # fmt: skip
FINDING_TYPES = {row[0]: FindingType(severity, *row) for severity, rows in _ALL.items() for row in rows}
