"""What can be wrong with a dataset: every kind of finding, how grave it is, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Kind:
    """A kind of finding.

    Attributes:
        name: in JSON, and the anchor on the page.
        severity: an error is a fact that must be mended before a result can be believed; a warning should be looked
            at, or listened to; a note is to be known.
        title: what people read.
        fix: what to do.
        leaves_out: whether a mended manifest leaves such a clip out.
    """

    name: str
    severity: Severity
    title: str
    fix: str
    leaves_out: bool = False


@dataclass(frozen=True)
class Case:
    """One finding.

    Attributes:
        kind: a name in `KINDS`.
        clips: names of the clips that it is about; none where it is about a class, a folder or all.
        reason: what exactly was found.
    """

    kind: str
    clips: tuple[str, ...]
    reason: str


_COPY = "copy it again from where it came, or leave it out (--fix does)"
_LOUD = "record or export again with less gain, or accept it"
_ALL = (
    Kind("missing", "error", "no such file", "correct the name in the table, or leave it out (--fix does)", True),
    Kind("no-file", "error", "cannot be opened", "give a file that may be read, or leave it out (--fix does)", True),
    Kind("empty", "error", "empty, 0 bytes", _COPY, True),
    Kind("not-audio", "error", "not a recording", "delete it, or leave it out (--fix does)", True),
    Kind("truncated", "error", "cut off", _COPY, True),
    Kind("damaged", "error", "damaged", _COPY, True),
    Kind("forged-header", "error", "header that cannot be true", "export it again, or leave it out (--fix does)", True),
    Kind("no-sound", "error", "holds no samples", "record it again, or leave it out (--fix does)", True),
    Kind("not-finite", "error", "samples that are no numbers", "export it again, or leave it out (--fix does)", True),
    Kind("over-limits", "error", "larger than auricle reads", "cut it into clips, or leave it out (--fix does)", True),
    Kind("undecodable", "error", "cannot be decoded", "convert it to WAV or FLAC, or leave it out (--fix does)", True),
    Kind(
        "split-group", "error", "one source in several folds",
        "give all clips of a source one fold (--fix moves them to the fold where most are)",
    ),
    Kind(
        "leak", "error", "the same sound in several folds",
        "keep one copy, or give the copies one group and one fold (--fix does)",
    ),
    Kind(
        "contradiction", "error", "the same sound under two classes",
        "listen, and keep the copy with the right label (--fix leaves both out)", True,
    ),
    Kind("name-twice", "error", "a clip listed twice", "list each file once (--fix does)"),
    Kind("few-classes", "error", "fewer than two classes", "add recordings of a second class"),
    Kind("tiny-class", "error", "a class with fewer clips than folds", "add clips, or leave the class out"),
    Kind("silent", "warning", "silent", "record it again, or leave it out (--fix does)", True),
    Kind("clipped", "warning", "clipped", _LOUD),
    Kind("over-scale", "warning", "beyond full scale", "scale it to at most 1 when you export"),
    Kind("dc-offset", "warning", "DC offset", "filter below 20 Hz when you export, or check the sound card"),
    Kind("one-channel", "warning", "sound in one channel only", "export that channel alone: mixing halves its level"),
    Kind("cancelling", "warning", "channels cancel each other", "export one channel: mixed to mono it is nearly gone"),
    Kind("odd-rate", "warning", "another sample rate", "fine if all classes mix rates alike; else see shortcuts"),
    Kind("too-short", "warning", "too short", "record more, or leave it out; auricle pads it with silence"),
    Kind("too-long", "warning", "too long", "cut it into clips of one group; only its start is used"),
    Kind("wrong-suffix", "warning", "suffix of another format", "rename it"),
    Kind("duplicate", "warning", "the same samples twice", "keep one copy (--fix does)"),
    Kind(
        "near-leak", "warning", "nearly the same sound in several folds",
        "listen: if it is one recording, give it one group and one fold (--fix does)",
    ),
    Kind("near-duplicate", "warning", "nearly the same sound", "give the copies one group (--fix does)"),
    Kind(
        "near-contradiction", "warning", "nearly the same sound under two classes",
        "listen: one label may be wrong, or one clip holds both (--fix gives them one group)",
    ),
    Kind("label-spelling", "warning", "classes that differ by case or accents", "spell the class one way (--fix does)"),
    Kind("label-typo", "warning", "classes that may be one, misspelt", "rename the class if it is a slip"),
    Kind("hidden-folder", "warning", "hidden folder with recordings", "rename it without the dot, or move it away"),
    Kind("empty-class", "warning", "class folder without recordings", "add recordings, or delete the folder"),
    Kind("few-clips", "warning", "class with few clips", "record more before you trust its scores"),
    Kind("imbalance", "warning", "classes of unequal size", "record more of the small; read macro F1, not accuracy"),
    Kind(
        "shortcut", "warning", "classes told apart without listening",
        "record all classes alike, or trim, level and band-limit them alike",
    ),
    Kind("padded", "note", "padded with digital silence", "cut it off, if not all classes are padded alike"),
    Kind("no-groups", "note", "no groups are known", "name them in a column 'group', or by --group-by PATTERN"),
)  # fmt: skip
KINDS = {kind.name: kind for kind in _ALL}
