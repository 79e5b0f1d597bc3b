"""A source to a manifest: a named dataset, a folder or a CSV file."""

import contextlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from auricle.data.audio import MAX_DURATION_S, header_duration_s
from auricle.data.class_folders import class_folder_clips
from auricle.data.folds import NUM_FOLDS, with_made_folds
from auricle.data.grouping import CLASS, EXAMPLE, FOLD, NamePattern, grouped_by_name, pattern_in_names
from auricle.data.manifest import Clip as Clip
from auricle.data.manifest import Manifest, background_note, imbalance, require_enough
from auricle.data.processes import in_processes
from auricle.data.store import cache_folder
from auricle.data.tables import ESC50, URBANSOUND8K, Layout, is_esc10, own_clips, read_table
from auricle.data.toy import CLIP_S, toy_folder
from auricle.errors import RefusedError, UsageError, choices

SOURCES = {
    "esc10": "400 environmental sounds, 10 classes, 5 s (the esc10 subset of ESC-50; CC BY 3.0)",
    "esc50": "2,000 environmental sounds, 50 classes, 5 s (CC BY-NC 3.0)",
    "urbansound8k": "8,732 sounds of a city, 10 classes, up to 4 s (CC BY-NC 3.0)",
    "toy": "200 synthetic sounds, 10 classes, 2 s, made on the spot",
}
MAX_MEASURED_S = 10.0  # clips of unlike lengths are cut to this, unless the person says otherwise
BALANCED_MEASURE = "Accuracy means balanced accuracy here: the mean over classes of the share that is right."
NOT_LONGER = 0.95  # of the recordings

_NO_GROUPS = (
    "No groups are given, so each file is its own group: clips cut from one recording may stand on both sides "
    "of a split."
)
NUM_CLIPS = {"esc50": 2_000, "urbansound8k": 8_732, "esc10": 400}
LAYOUTS = {"esc10": ESC50, "esc50": ESC50, "urbansound8k": URBANSOUND8K}
_FOLDERS = {
    "esc10": ("esc10", "ESC-10", "esc50", "ESC-50", "ESC-50-master"),
    "esc50": ("esc50", "ESC-50", "ESC-50-master"),
    "urbansound8k": ("urbansound8k", "UrbanSound8K"),
}


def load_manifest(
    source: str,
    *,
    root: Path | None = None,
    num_folds: int = NUM_FOLDS,
    seed: int = 0,
    clip_s: float | None = None,
    group_by: str | None = None,
) -> Manifest:
    """Describe a dataset: which clips, of which class, in which fold, from which source.

    Args:
        source: a name in `SOURCES`; a folder, of class folders or in the layout of ESC-50 or UrbanSound8K; or a CSV
            file with the columns filename, category and optionally fold and group.
        root: where named datasets lie, or the folder of the one named. None: `$AURICLE_DATA`, then the user's cache.
        num_folds: how many folds to make where the source has none.
        seed: of the folds that are made.
        clip_s: the length of every clip in seconds. None: that of the dataset; for a person's own recordings one that
            95 % of them do not exceed, at most `MAX_MEASURED_S`.
        group_by: a column of the source's table, or a pattern over names (`grouping.py`), that says which clips belong
            together. None: that of the dataset; for a CSV the column group, if there is one.

    Raises:
        UsageError: no such source, a length out of range, or no such pattern.
        RefusedError: the dataset is not there, not whole, or too small to train and test on.
    """
    if clip_s is not None and not 0.05 <= clip_s <= MAX_DURATION_S:
        raise UsageError(f"a clip length of {clip_s} s; it must be between 0.05 and {MAX_DURATION_S}")
    manifest, has_folds = _described(source, root, clip_s, group_by)
    notes = [*manifest.notes]
    if manifest.grouping is None:
        notes.append(_NO_GROUPS)
        if hint := pattern_in_names(manifest):
            notes.append(str(hint))
    elif group_by is not None:
        notes.append(f"Groups are taken from {manifest.grouping}: {len(set(manifest.groups))} of them.")
    if unequal := imbalance(Counter(clip.category for clip in manifest.clips)):
        notes.append(f"Classes are of unequal size: {unequal}. {BALANCED_MEASURE}")
    manifest = replace(manifest, notes=tuple(notes))
    if not has_folds:
        return with_made_folds(manifest, num_folds, seed)
    require_enough(manifest)
    return manifest


class Asked(Protocol):
    """What a study and a search say of their data."""

    @property
    def data(self) -> str:
        """A dataset by name, a folder, or a CSV."""

    @property
    def group_by(self) -> str | None:
        """A column, or a pattern over names."""

    @property
    def clip_s(self) -> float | None:
        """The length of clips in seconds."""


def asked_manifest(asked: Asked, *, source: str | None = None, root: Path | None = None) -> Manifest:
    """Describe the dataset of a study or a search; `source`: where a person's own recordings lie now.

    The rest, and the errors, are those of `load_manifest`.
    """
    return load_manifest(source or asked.data, root=root, clip_s=asked.clip_s, group_by=asked.group_by)


@dataclass(frozen=True)
class Survey:
    """What a source names: `clip_s` of the manifest is 0 where the source does not say, every fold 0 without folds."""

    manifest: Manifest
    has_folds: bool

    @property
    def has_groups(self) -> bool:
        """Whether it is known which clips belong together."""
        return self.manifest.grouping is not None


def survey(source: str, *, root: Path | None = None, group_by: str | None = None) -> Survey:
    """Describe a dataset to look at it, whether or not it can be trained on: files may be missing, classes too small.

    Arguments and errors are those of `load_manifest`.
    """
    return Survey(*_described(source, root, 0.0, group_by, may_miss=True))


def _described(
    source: str, root: Path | None, clip_s: float | None, group_by: str | None, *, may_miss: bool = False
) -> tuple[Manifest, bool]:
    """Return what a source names, and whether it has folds; a length of 0 is not measured."""
    pattern = NamePattern.parse(group_by) if group_by is not None and "{" in group_by else None
    column = None if pattern else group_by
    try:
        if source in SOURCES:
            found = _named_dataset(source, root, clip_s, column)
        else:
            found = _own_recordings(source, clip_s, column, may_miss=may_miss, pattern=pattern)
    except OSError as error:  # a folder on the way may not be entered
        raise RefusedError(f"{error.filename or source} cannot be read: {error.strerror}") from error
    manifest, has_folds = found
    if pattern is not None:
        manifest, has_folds = grouped_by_name(manifest, pattern), has_folds or pattern.has(FOLD)
    if note := background_note(manifest.categories):
        manifest = replace(manifest, notes=(*manifest.notes, note))
    return manifest, has_folds


def find_dataset(name: str, root: Path | None = None) -> Path | None:
    """Return the folder in which a named dataset lies, or None.

    `root` is the only place to look in, itself and below. None: `$AURICLE_DATA`, then the user's cache.
    """
    given = os.environ.get("AURICLE_DATA")
    roots = [root] if root else [*([Path(given).expanduser()] if given else []), cache_folder() / "datasets"]
    places = [place for start in roots for place in (start, *(start / folder for folder in _FOLDERS[name]))]
    # os.path, unlike pathlib, says no where a folder on the way may not be entered
    return next((place for place in places if os.path.isfile(place / LAYOUTS[name].table)), None)  # noqa: PTH113


def dataset_in(folder: Path, *, first: str = "") -> str | None:
    """Name the dataset whose files lie in a folder, or in a folder of its name below; None where it is another.

    It is a named dataset if its table lists as many clips as that has (`NUM_CLIPS`). ESC-50 is ESC-10 too, where
    `first` asks for that.
    """
    for name in sorted(NUM_CLIPS, key=lambda name: name != first):
        if place := find_dataset(name, folder):
            with contextlib.suppress(RefusedError):  # who loads it says what is wrong with it
                rows = read_table(place / LAYOUTS[name].table, ())
                if sum(name != "esc10" or is_esc10(row) for _, row in rows) == NUM_CLIPS[name]:
                    return name
    return None


def _named_dataset(name: str, root: Path | None, clip_s: float | None, column: str | None) -> tuple[Manifest, bool]:
    if name == "toy":
        return _in_layout(ESC50, name, toy_folder(), clip_s or CLIP_S, column), True
    folder = find_dataset(name, root)
    if folder is None:
        looked = root or "$AURICLE_DATA or the user's cache"
        raise RefusedError(
            f"{name} is not in {looked}; get it with 'auricle data get {name} --yes', or name its folder with --data"
        )
    options = {"only_esc10": True} if name == "esc10" else {}
    return _in_layout(LAYOUTS[name], name, folder, clip_s, column, **options), True


def _in_layout(
    layout: Layout, source: str, folder: Path, clip_s: float | None, column: str | None, **options: bool
) -> Manifest:
    column = column or layout.group_column
    clips = layout.read(folder, group_column=column, **options)
    return Manifest(source, tuple(clips), clip_s or layout.clip_s, grouping=f"the column {column}")


def _own_recordings(
    source: str, clip_s: float | None, column: str | None, *, may_miss: bool, pattern: NamePattern | None
) -> tuple[Manifest, bool]:
    path = Path(os.path.expanduser(source))  # noqa: PTH111 - leaves ~somebody, who is nobody, as it is
    grouping = None
    if source and path.is_dir():
        for layout in (ESC50, URBANSOUND8K):
            if (path / layout.table).is_file():
                return replace(_in_layout(layout, source, path, clip_s, column), untrusted=True), True
        if column is not None:
            raise UsageError(
                f"--group-by {column}: a folder has no columns; give a pattern such as '{EXAMPLE}', or a CSV"
            )
        clips, notes = class_folder_clips(path, classes_in_names=bool(pattern and pattern.has(CLASS)))
        has_folds = False
    elif path.is_file() and path.suffix.lower() == ".csv":
        clips, has_folds, given = own_clips(path, group_column=column, may_miss=may_miss)
        grouping, notes = given and f"the column {given}", []
    else:
        raise choices("source", source, [*SOURCES, "a folder of class folders", "a CSV file"])
    if clip_s != 0:
        clip_s, note = _common_length_s(clips, clip_s)
        notes.append(note)
    return Manifest(source, tuple(clips), clip_s, tuple(notes), grouping=grouping, untrusted=True), has_folds


def _common_length_s(clips: Sequence[Clip], clip_s: float | None) -> tuple[float, str]:
    """Return a length in seconds for all clips, and a sentence about it; without one, a length that few exceed.

    That is in half seconds, at most `MAX_MEASURED_S`. 50 ms more, as an MP3 has, do not lengthen all clips.
    """
    headers = in_processes(header_duration_s, [clip.path for clip in clips])
    found = [each for each in headers if not isinstance(each, RefusedError)]  # named when they are decoded
    durations_s = np.array(found or [0.0])
    if clip_s is None:
        usual_s = float(np.quantile(durations_s, NOT_LONGER, method="higher"))
        clip_s = min(max(float(np.ceil(2 * (usual_s - 0.05))) / 2, 0.5), MAX_MEASURED_S)
    cut, padded = int((durations_s > clip_s + 0.05).sum()), int((durations_s < clip_s - 0.05).sum())
    done = [f"{num} of {len(clips)} are {what}" for num, what in ((cut, "cut"), (padded, "padded with silence")) if num]
    note = f"Clips have {clip_s:g} s: {' and '.join(done) or 'none is cut or padded'}"
    lengths = f"{durations_s.min():.2f} to {durations_s.max():.2f} s"
    return clip_s, f"{note} (recordings of {lengths}); --clip-s sets another length."
