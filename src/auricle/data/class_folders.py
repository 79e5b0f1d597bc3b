"""A folder of class folders: every recording under ROOT/CLASS, however deep, belongs to CLASS."""

from collections.abc import Sequence
from pathlib import Path

from auricle.data.folders import Walk
from auricle.data.grouping import parts_of_names
from auricle.data.manifest import Clip, fold_of_set
from auricle.errors import RefusedError, listing


def class_folder_clips(root: Path, *, classes_in_names: bool = False) -> tuple[list[Clip], list[str]]:
    """Find the recordings under each class folder, sorted by name (the path below the root); count ignored files.

    Hidden files, files that are not audio and recordings outside a class folder are ignored; a note counts them. Linked
    folders are followed, but no folder is read twice. Every clip is its own group; its fold is 0, or that of a set
    (train, validation, test) whose folder contains the class folders. With `classes_in_names`, recordings are found
    anywhere below the root, and their classes are those of folders until the names are read.

    Raises:
        RefusedError: no recordings, a folder that cannot be listed, a name that is not UTF-8, or folders named like
            sets beside class folders.
    """
    walk = Walk()
    ignored = walk.ignored
    folders, beside = walk.enter(root)
    sets = _sets(root, folders)
    clips = []
    for start, fold in sets.items():
        within, outside = (folders, beside) if start == root else walk.enter(start)
        ignored["recordings outside the class folders"] += 0 if classes_in_names else len(outside)
        for folder in [*within, *([start] if classes_in_names else [])]:
            found = outside if folder == start else walk.recordings(folder)
            ignored["folders without recordings"] += not found and folder != start
            clips += [_clip(root, path, folder.name, fold) for path in found]
    sentence = f"Ignored: {', '.join(f'{kind} ({count})' for kind, count in sorted(ignored.items()) if count)}."
    notes = [sentence] if ignored.total() else []
    if not clips:
        names = [path.name for path in beside]
        advice = f"{parts_of_names(names)}, or use a CSV file (filename,category)." if beside else "add some."
        raise RefusedError(
            " ".join((f"{root} contains no recordings in class folders ({root}/CLASS/NAME.wav); {advice}", *notes))
        )
    return sorted(clips, key=lambda clip: clip.name), notes


def recordings_below(root: Path) -> list[Path]:
    """Return the recordings in a folder and below, as `class_folder_clips` finds them; same errors."""
    return Walk().recordings(root)


def set_folders(root: Path) -> dict[Path, int]:
    """Return the folders of sets in a folder, with their folds; the folder itself with 0 if it has none."""
    return _sets(root, Walk().enter(root)[0])


def _sets(root: Path, folders: Sequence[Path]) -> dict[Path, int]:
    sets = {folder: fold for folder in folders if (fold := fold_of_set(folder.name)) is not None}
    if len(sets) < 2:
        return {root: 0}
    if others := [folder.name for folder in folders if folder not in sets and recordings_below(folder)]:
        raise RefusedError(
            f"{root}: {listing(folder.name for folder in sets)} look like sets, but {others[0]} like a class; "
            "put class folders into the sets, or the recordings of each class into one folder"
        )
    return sets


def _clip(root: Path, path: Path, category: str, fold: int) -> Clip:
    name = path.relative_to(root).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise RefusedError(f"{root}: the name {name!r} is not UTF-8; rename the file") from error
    return Clip(path, name, category, fold, name)
