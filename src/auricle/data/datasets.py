"""Read a source as a manifest: a named dataset, a folder or a CSV file."""

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from auricle.data.annotations import annotations_beside, cut_clips
from auricle.data.audio import MAX_DURATION_S, header_duration_s
from auricle.data.class_folders import class_folder_clips, recordings_below, set_folders
from auricle.data.class_names import spellings, spellings_note
from auricle.data.folds import NUM_FOLDS, with_made_folds, with_training_folds
from auricle.data.grouping import (
    EXAMPLE,
    FOLD,
    LABEL_EXAMPLE,
    NamePattern,
    grouped_by_name,
    parts_of_names,
    pattern_in_names,
)
from auricle.data.manifest import Clip, Manifest, background_note, imbalance, require_enough
from auricle.data.own_tables import OwnTable, Span, read_own_table
from auricle.data.processes import in_processes
from auricle.data.store import cache_folder
from auricle.data.tables import ESC50, TABLE_SUFFIXES, URBANSOUND8K, Layout, is_esc10, read_table
from auricle.data.toy import CLIP_S, toy_folder
from auricle.errors import RefusedError, UsageError, choices, count
from auricle.system import expanded, relative_path

SOURCES = {
    "esc10": "400 environmental sounds, 10 classes, 5 s (the esc10 subset of ESC-50; CC BY 3.0)",
    "esc50": "2,000 environmental sounds, 50 classes, 5 s (CC BY-NC 3.0)",
    "urbansound8k": "8,732 sounds of a city, 10 classes, up to 4 s (CC BY-NC 3.0)",
    "toy": "200 synthetic sounds, 10 classes, 2 s, generated locally",
}
MAX_MEASURED_S = 10.0  # clips of different lengths are cut to this, unless the user sets another length
BALANCED_MEASURE = "Accuracy here means balanced accuracy: the mean over classes of the share of correct predictions."
NOT_LONGER = 0.95  # share of the recordings
AUDIO_FOLDER_TABLE = "metadata.csv"  # of Hugging Face's AudioFolder
RECORDING = "the annotated recordings"

_NO_GROUPS = (
    "No groups are given, so each file is its own group: clips of one recording may be in both training and test set."
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
    label: str | None = None,
) -> Manifest:
    """Describe a dataset: its clips, with class, fold and group of each.

    Args:
        source: a name in `SOURCES`; a folder of class folders (possibly within folders of sets), in the layout of
            ESC-50, UrbanSound8K or Hugging Face's AudioFolder (metadata.csv), or of recordings with annotations beside
            them; or a table of clips (`own_tables.py`).
        root: the folder of named datasets, or of this one. None: `$AURICLE_DATA`, then the user's cache.
        num_folds: the number of folds to make if the source has none.
        seed: for making folds.
        clip_s: the length of every clip in seconds. None: that of the dataset; for the user's own recordings a length
            that 95 % of them do not exceed, at most `MAX_MEASURED_S`.
        group_by: a column of the source's table, or a pattern over names (`grouping.py`), that says which clips belong
            together. None: that of the dataset; for a CSV the column group, if there is one.
        label: a column of the source's table, or a pattern over names, that says which class a clip is of; the other
            fields of the pattern are its group, unless `group_by` says otherwise. None: that of the dataset.

    Raises:
        UsageError: no such source, a length out of range, or no such pattern.
        RefusedError: the dataset is missing, incomplete, or too small to train and test on.
    """
    if clip_s is not None and not 0.05 <= clip_s <= MAX_DURATION_S:
        raise UsageError(f"a clip length of {clip_s} s; it must be between 0.05 and {MAX_DURATION_S}")
    manifest, has_folds = _described(source, root, clip_s, group_by, label)
    if len(manifest.categories) == 1 and label is None:
        parts = parts_of_names([clip.name for clip in manifest.clips])
        raise RefusedError(f"{source} contains only one class, {manifest.categories[0]!r}; {parts}")
    notes = [*manifest.notes]
    if manifest.grouping is None:
        notes.append(_NO_GROUPS)
        if hint := pattern_in_names(manifest):
            notes.append(str(hint))
    elif group_by or label:
        notes.append(f"Groups are taken from {manifest.grouping}: {count(len(set(manifest.groups)), 'group')}.")
        if len(set(manifest.groups)) == len(manifest.clips):
            notes.append("Each group has one clip, so grouping has no effect.")
    counts = Counter(clip.category for clip in manifest.clips)
    notes += [f"{spellings_note(names, counts)}; auricle check --fix merges them." for names in spellings(counts)]
    if unequal := imbalance(counts):
        notes.append(f"Classes are of unequal size: {unequal}. {BALANCED_MEASURE}")
    manifest = replace(manifest, notes=tuple(notes))
    if not has_folds:
        return with_made_folds(manifest, num_folds, seed)
    require_enough(manifest)
    return manifest


class Asked(Protocol):
    """What the configurations of a study and of a search say about their data."""

    @property
    def data(self) -> str:
        """A dataset by name, a folder, or a CSV."""

    @property
    def group_by(self) -> str | None:
        """A column, or a pattern over names."""

    @property
    def label(self) -> str | None:
        """A column, or a pattern over names."""

    @property
    def clip_s(self) -> float | None:
        """The length of clips in seconds."""


def asked_manifest(asked: Asked, *, source: str | None = None, root: Path | None = None) -> Manifest:
    """Describe the dataset of a study or a search; `source`: where the user's own recordings are now.

    Everything else, and the errors, are as in `load_manifest`.
    """
    return load_manifest(
        source or asked.data, root=root, clip_s=asked.clip_s, group_by=asked.group_by, label=asked.label
    )


@dataclass(frozen=True)
class Survey:
    """A source described for a check: `clip_s` is 0 if the source gives none, and folds are 0 without `has_folds`."""

    manifest: Manifest
    has_folds: bool

    @property
    def has_groups(self) -> bool:
        """Whether it is known which clips belong together."""
        return self.manifest.grouping is not None


def survey(
    source: str,
    *,
    root: Path | None = None,
    group_by: str | None = None,
    label: str | None = None,
    cuts: bool = True,
) -> Survey:
    """Describe a dataset for a check, whether or not it can be trained on: files may be missing, classes too small.

    Without `cuts` no recording is opened: each annotation is represented by its whole recording. The other arguments
    and the errors are those of `load_manifest`.
    """
    return Survey(*_described(source, root, 0.0, group_by, label, may_miss=True, cuts=cuts))


@dataclass(frozen=True)
class _Asked:
    """The source of classes and of groups, each a column or a pattern; None: the default of the dataset."""

    label_column: str | None
    label_pattern: NamePattern | None
    group_column: str | None
    group_pattern: NamePattern | None

    @classmethod
    def of(cls, label: str | None, group_by: str | None) -> "_Asked":
        label_pattern = NamePattern.parse(label, "--label") if label and "{" in label else None
        group_pattern = NamePattern.parse(group_by) if group_by and "{" in group_by else None
        return cls(None if label_pattern else label, label_pattern, None if group_pattern else group_by, group_pattern)

    @property
    def patterns(self) -> list[NamePattern]:
        """The patterns to apply, in this order: the group pattern overrides groups from the class pattern."""
        return [pattern for pattern in (self.label_pattern, self.group_pattern) if pattern]

    @property
    def labelled(self) -> bool:
        """Whether classes are read from names."""
        return any(pattern.class_field for pattern in self.patterns)


def _described(
    source: str,
    root: Path | None,
    clip_s: float | None,
    group_by: str | None,
    label: str | None,
    *,
    may_miss: bool = False,
    cuts: bool = True,
) -> tuple[Manifest, bool]:
    """Return the manifest of a source, and whether it has folds; for `clip_s` 0 no length is measured."""
    asked = _Asked.of(label, group_by)
    try:
        if source not in SOURCES:
            manifest, has_folds = _own_recordings(source, clip_s, asked, may_miss=may_miss, cuts=cuts)
        elif asked.label_column:
            raise UsageError(
                f"--label {label}: {source} has no other columns of classes; use a pattern such as '{LABEL_EXAMPLE}'"
            )
        else:
            manifest, has_folds = _by_names(_named_dataset(source, root, clip_s, asked.group_column), asked), True
    except OSError as error:  # no permission to enter a folder
        raise RefusedError(f"{error.filename or source} cannot be read: {error.strerror}") from error
    if note := background_note(manifest.categories):
        manifest = replace(manifest, notes=(*manifest.notes, note))
    return manifest, has_folds


def _by_names(manifest: Manifest, asked: _Asked) -> Manifest:
    for pattern in asked.patterns:
        manifest = grouped_by_name(manifest, pattern)
    return manifest


def find_dataset(name: str, root: Path | None = None) -> Path | None:
    """Return the folder of a named dataset, or None.

    Only `root` and folders in it are searched. None: `$AURICLE_DATA`, then the user's cache.
    """
    given = os.environ.get("AURICLE_DATA")
    roots = [root] if root else [*([expanded(given)] if given else []), cache_folder() / "datasets"]
    candidates = [path for start in roots for path in (start, *(start / folder for folder in _FOLDERS[name]))]
    # unlike Path.is_file, os.path.isfile is False without permission to enter a folder
    return next((path for path in candidates if os.path.isfile(path / LAYOUTS[name].table)), None)  # noqa: PTH113


def dataset_in(folder: Path, *, first: str) -> str | None:
    """Return the name of the dataset in a folder, or in a subfolder of its name; None if it is not a named dataset.

    It is a named dataset if its table lists the right number of clips (`NUM_CLIPS`). As ESC-50 contains ESC-10, the
    name `first` is tried first.
    """
    for name in sorted(NUM_CLIPS, key=lambda name: name != first):
        if path := find_dataset(name, folder):
            with contextlib.suppress(RefusedError):  # loading it reports what is wrong
                rows = read_table(path / LAYOUTS[name].table, ())
                if sum(name != "esc10" or is_esc10(row) for _, row in rows) == NUM_CLIPS[name]:
                    return name
    return None


def _named_dataset(name: str, root: Path | None, clip_s: float | None, column: str | None) -> Manifest:
    if name == "toy":
        return _in_layout(ESC50, name, toy_folder(), clip_s or CLIP_S, column)
    folder = find_dataset(name, root)
    if folder is None:
        looked = root or "$AURICLE_DATA or the user's cache"
        raise RefusedError(
            f"{name} is not in {looked}; get it with 'auricle data get {name} --yes', or give its folder with --data"
        )
    options = {"only_esc10": True} if name == "esc10" else {}
    return _in_layout(LAYOUTS[name], name, folder, clip_s, column, **options)


def _in_layout(
    layout: Layout, source: str, folder: Path, clip_s: float | None, column: str | None, **options: bool
) -> Manifest:
    column = column or layout.group_column
    clips = layout.read(folder, group_column=column, **options)
    return Manifest(source, tuple(clips), clip_s or layout.clip_s, grouping=f"the column {column}")


def _own_recordings(
    source: str, clip_s: float | None, asked: _Asked, *, may_miss: bool, cuts: bool
) -> tuple[Manifest, bool]:
    """Describe the user's own recordings: a table, a folder with one, annotations, or class folders."""
    path = expanded(source)
    read = partial(
        read_own_table,
        label_column=asked.label_column,
        group_column=asked.group_column,
        may_miss=may_miss,
        labelled=not asked.labelled,
    )
    notes: list[str] = []
    if source and path.is_dir():
        for layout in (ESC50, URBANSOUND8K):
            if (path / layout.table).is_file():
                known = _in_layout(layout, source, path, clip_s, asked.group_column)
                return replace(_by_names(known, asked), untrusted=True), True
        found, notes = _in_folder(path, asked, read)
    elif path.is_file() and path.suffix.lower() in TABLE_SUFFIXES:
        found = read(path)
    else:
        raise choices("source", source, [*SOURCES, "a folder of class folders", "a CSV file"])
    alone = sum(clip.group == clip.name for clip in found.clips) if found.grouping else 0
    if 0 < alone < len(found.clips):
        notes.append(f"{count(alone, 'clip')} without a group: each counts as its own source.")
    manifest = Manifest(source, found.clips, 0.0, tuple(notes), grouping=found.grouping, untrusted=True)
    manifest = _by_names(manifest, asked)
    if found.spans and cuts:
        manifest = _cut_out(manifest, found.spans, clip_s)
    has_folds = found.has_folds or any(pattern.has(FOLD) for pattern in asked.patterns)
    if has_folds:
        manifest = with_training_folds(manifest)
    if clip_s != 0:
        clip_s, note = _common_length_s(manifest.clips, clip_s)
        manifest = replace(manifest, clip_s=clip_s, notes=(*manifest.notes, note))
    return manifest, has_folds


def _in_folder(root: Path, asked: _Asked, read: Callable[[Path], OwnTable]) -> tuple[OwnTable, list[str]]:
    """Read a folder: AudioFolder's metadata.csv, in it or in folders of sets; annotations; or class folders."""
    sets = set_folders(root)
    tables = [folder / AUDIO_FOLDER_TABLE for folder in dict.fromkeys((root, *sets))]
    if parts := [read(table) for table in tables if table.is_file()]:
        return _joined(parts, root, sets), []
    if asked.group_column:
        raise UsageError(
            f"--group-by {asked.group_column}: a folder has no columns; use a pattern such as '{EXAMPLE}', or a CSV"
        )
    clips, spans = annotations_beside(recordings_below(root), root, label_column=asked.label_column)
    if clips:
        return OwnTable(tuple(clips), tuple(spans), False, None), []
    if asked.label_column:
        raise UsageError(
            f"--label {asked.label_column}: a folder has no columns; use a pattern such as '{LABEL_EXAMPLE}', or a CSV"
        )
    clips, notes = class_folder_clips(root, classes_in_names=asked.labelled)
    return OwnTable(tuple(clips), (), any(sets.values()), None), notes


def _joined(parts: Sequence[OwnTable], root: Path, sets: Mapping[Path, int]) -> OwnTable:
    """Join the tables of an AudioFolder; a clip without a fold gets that of the set whose folder it is in.

    A `RefusedError` if only some of the tables list stretches of recordings.
    """
    if len({bool(part.spans) for part in parts}) > 1:
        raise RefusedError(
            f"{root}: only some of its tables ({AUDIO_FOLDER_TABLE}) have columns for start and end; give all rows both"
        )
    clips = []
    for part in parts:
        for clip in part.clips:
            name = relative_path(clip.path, root).as_posix()
            fold = clip.fold if part.has_folds else sets.get(root / Path(name).parts[0], 0)
            clips.append(replace(clip, name=name, fold=fold, group=name if clip.group == clip.name else clip.group))
    has_folds = any(sets.values()) or all(part.has_folds for part in parts)
    spans = tuple(span for part in parts for span in part.spans)
    grouping = next((part.grouping for part in parts if part.grouping), None)
    return OwnTable(tuple(clips), spans, has_folds, grouping)


def _cut_out(manifest: Manifest, spans: Sequence[Span], clip_s: float | None) -> Manifest:
    """Return the manifest of the pieces of annotated recordings; by default, each recording is a group."""
    piece_s = clip_s or usual_length_s([end - start for start, end in spans])
    clips, left_out = cut_clips(manifest.clips, spans, piece_s)
    if not clips:
        raise RefusedError(
            f"{manifest.source}: none of {count(len(spans), 'annotation')} can be used: {left_out[0][1]}"
        )
    recordings = count(len({clip.path for clip in manifest.clips}), "recording")
    less = f"; {len(left_out)} left out (auricle check lists them)" if left_out else ""
    note = f"{count(len(spans), 'annotation')} of {recordings} were cut into clips{less}."
    return replace(
        manifest,
        clips=tuple(clips),
        notes=(*manifest.notes, note),
        skipped=(*manifest.skipped, *left_out),
        grouping=manifest.grouping or RECORDING,
    )


def usual_length_s(durations_s: Sequence[float]) -> float:
    """Return a length that few clips exceed, in steps of 0.5 s, at most `MAX_MEASURED_S`.

    The 50 ms that an MP3 may add do not lengthen all clips.
    """
    usual_s = float(np.quantile(durations_s, NOT_LONGER, method="higher"))
    return min(max(float(np.ceil(2 * (usual_s - 0.05))) / 2, 0.5), MAX_MEASURED_S)


def _common_length_s(clips: Sequence[Clip], clip_s: float | None) -> tuple[float, str]:
    """Return the length in seconds of all clips, by default one that few exceed, and a note about it."""
    headers = in_processes(header_duration_s, [clip.path for clip in clips])
    found = [each for each in headers if not isinstance(each, RefusedError)]  # reported when they are decoded
    durations_s = np.array(found or [0.0])
    if clip_s is None:
        clip_s = usual_length_s(durations_s.tolist())
    cut, padded = int((durations_s > clip_s + 0.05).sum()), int((durations_s < clip_s - 0.05).sum())
    done = [f"{num} of {len(clips)} are {what}" for num, what in ((cut, "cut"), (padded, "padded with silence")) if num]
    note = f"Clips are {clip_s:g} s long: {' and '.join(done) or 'none is cut or padded'}"
    lengths = f"{durations_s.min():.2f} to {durations_s.max():.2f} s"
    return clip_s, f"{note} (recordings are {lengths} long); --clip-s sets another length."
