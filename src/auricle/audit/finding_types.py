"""What can be wrong with a dataset: every kind of finding, how grave it is, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class FindingType:
    """A kind of finding.

    An error is a fact that must be mended before a result can be believed; a warning should be looked at, or listened
    to; a note is to be known.
    """

    severity: Severity
    name: str  # in JSON, and the anchor on the page
    title: str
    fix: str
    leaves_out: bool  # whether a mended manifest leaves such a clip out


@dataclass(frozen=True)
class Finding:
    """One finding."""

    kind: str  # a name in `FINDING_TYPES`
    reason: str  # what exactly was found
    clips: tuple[str, ...] = ()  # their names; none where it is about a class, a folder or all


_COPY = "copy it again from where it came, or leave it out (--fix does)"
_LOUD = "record or export again with less gain, or accept it"
# Of each severity: name, title, what to do, and whether a mended manifest leaves such a clip out.
_ALL: dict[Severity, tuple[tuple[str, str, str, bool], ...]] = {
    "error": (
        ("missing", "no such file", "correct the name in the table, or leave it out (--fix does)", True),
        ("no-file", "cannot be opened", "give a file that may be read, or leave it out (--fix does)", True),
        ("empty", "empty, 0 bytes", _COPY, True),
        ("not-audio", "not a recording", "delete it, or leave it out (--fix does)", True),
        ("truncated", "cut off", _COPY, True),
        ("damaged", "damaged", _COPY, True),
        (
            "joined", "several recordings in one file",
            "split it into a file each, or leave it out (--fix does)", True,
        ),
        ("forged-header", "header that cannot be true", "export it again, or leave it out (--fix does)", True),
        ("no-sound", "holds no samples", "record it again, or leave it out (--fix does)", True),
        ("not-finite", "samples that are not finite", "export it again, or leave it out (--fix does)", True),
        ("over-limits", "larger than auricle reads", "cut it into clips, or leave it out (--fix does)", True),
        ("undecodable", "cannot be decoded", "convert it to WAV or FLAC, or leave it out (--fix does)", True),
        (
            "split-group", "one source in several folds",
            "give all clips of a source one fold (--fix moves them to the fold where most are)", False,
        ),
        (
            "leak", "the same sound in several folds",
            "keep one copy, or give the copies one group and one fold (--fix does)", False,
        ),
        (
            "contradiction", "the same sound under two classes",
            "listen, and keep the copy with the right label (--fix leaves both out)", True,
        ),
        ("name-twice", "a clip listed twice", "list each file once (--fix does)", False),
        ("few-classes", "fewer than two classes", "add recordings of a second class", False),
        ("two-backgrounds", "several classes of background", "give them one name", False),
        ("tiny-class", "a class with fewer clips than folds", "add clips, or leave the class out", False),
    ),
    "warning": (
        ("silent", "silent", "record it again, or leave it out (--fix does)", True),
        ("clipped", "clipped", _LOUD, False),
        ("over-scale", "beyond full scale", "scale it to at most 1 when you export", False),
        ("dc-offset", "DC offset", "filter below 20 Hz when you export, or check the sound card", False),
        ("one-channel", "sound in one channel only", "export that channel alone: mixing halves its level", False),
        ("cancelling", "channels cancel each other", "export one channel: mixed to mono it is nearly gone", False),
        ("odd-rate", "another sample rate", "fine if all classes mix rates alike; else see shortcuts", False),
        ("too-short", "too short", "record more, or leave it out; auricle pads it with silence", False),
        ("too-long", "too long", "cut it into clips of one group; only its start is used", False),
        ("odd-header", "header that contradicts itself", "listen: if it is too fast or slow, export it again", False),
        ("wrong-suffix", "suffix of another format", "rename it", False),
        ("duplicate", "the same samples twice", "keep one copy (--fix does)", False),
        (
            "near-leak", "nearly the same sound in several folds",
            "listen: if it is one recording, give it one group and one fold (--fix does)", False,
        ),
        ("near-duplicate", "nearly the same sound", "give the copies one group (--fix does)", False),
        (
            "near-contradiction", "nearly the same sound under two classes",
            "listen: one label may be wrong, or one clip holds both (--fix gives them one group)", False,
        ),
        ("label-spelling", "classes that differ by case or accents", "spell the class one way (--fix does)", False),
        ("label-typo", "classes that may be one, misspelt", "rename the class if it is a slip", False),
        ("hidden-folder", "hidden folder with recordings", "rename it without the dot, or move it away", False),
        ("empty-class", "class folder without recordings", "add recordings, or delete the folder", False),
        ("few-clips", "class with few clips", "record more before you trust its scores", False),
        ("imbalance", "classes of unequal size", "record more of the small; training draws all equally often", False),
        (
            "grouped-names", "names that look like sources, and no groups",
            "give --group-by PATTERN, or name the sources in a column 'group'", False,
        ),
        (
            "shortcut", "classes told apart without listening",
            "record all classes alike, or trim, level and band-limit them alike", False,
        ),
    ),
    "note": (
        ("padded", "padded with digital silence", "cut it off, if not all classes are padded alike", False),
        ("no-groups", "no groups are known", "name them in a column 'group', or by --group-by PATTERN", False),
    ),
}  # fmt: skip
FINDING_TYPES = {row[0]: FindingType(severity, *row) for severity, rows in _ALL.items() for row in rows}
