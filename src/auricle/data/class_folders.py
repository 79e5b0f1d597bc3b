"""A folder of class folders: every recording under ROOT/CLASS, however deep, belongs to CLASS."""

import re
from pathlib import Path

from auricle.data.folders import Walk
from auricle.data.manifest import Clip
from auricle.errors import RefusedError

_SETS = {"train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval"}


def class_folder_clips(root: Path, *, classes_in_names: bool = False) -> tuple[list[Clip], list[str]]:
    """Find the recordings under each class folder, sorted by name (the path below the root); count what is ignored.

    Ignored are hidden files, files that are no audio and recordings outside a class folder; the sentence that counts
    them is absent if nothing was. A linked folder is followed, but no folder is read twice. Every clip has fold 0 and
    is its own group. With `classes_in_names`, recordings are found wherever they lie below the root, and their classes
    are those of folders until the names are read.

    Raises:
        RefusedError: no recordings, a folder that cannot be listed, a name that is not UTF-8, or folders named like
            sets instead of classes.
    """
    walk = Walk()
    ignored = walk.ignored
    folders, beside = walk.enter(root)
    ignored["recordings outside the class folders"] = 0 if classes_in_names else len(beside)
    if not classes_in_names and len(sets := [folder.name for folder in folders if folder.name.lower() in _SETS]) > 1:
        raise RefusedError(
            f"{root}: folders {', '.join(sets)} look like sets, not classes; put the recordings of one class in one "
            "folder, or name sets as folds in a CSV (filename,category,fold)"
        )
    clips = []
    for folder in [*folders, *([root] if classes_in_names else [])]:
        found = beside if folder == root else walk.recordings(folder)
        ignored["folders without recordings"] += not found
        for path in found:
            name = path.relative_to(root).as_posix()
            try:
                name.encode()
            except UnicodeEncodeError as error:
                raise RefusedError(f"{root}: the name {name!r} is not UTF-8; rename the file") from error
            clips.append(Clip(path, name, folder.name, 0, name))
    sentence = f"Ignored: {', '.join(f'{kind} ({count})' for kind, count in sorted(ignored.items()) if count)}."
    notes = [sentence] if ignored.total() else []
    if not clips:
        advice = f"--group-by '{_pattern_like(beside[0].stem)}' takes classes from names." if beside else "add some."
        raise RefusedError(
            " ".join((f"{root} holds no recordings in class folders ({root}/CLASS/NAME.wav); {advice}", *notes))
        )
    return sorted(clips, key=lambda clip: clip.name), notes


def _pattern_like(stem: str) -> str:
    """Return a pattern for names such as this one.

    >>> _pattern_like("0_george_12"), _pattern_like("dog-3"), _pattern_like("a")
    ('{class}_{source}_*', '{class}-*', '{class}_{source}_*')
    """
    separators = re.findall(r"[-_ .]", stem) or ["_", "_"]
    return "{class}" + "".join(f"{separators[0]}{{source}}" for _ in separators[1:2]) + f"{separators[-1]}*"
