"""Find the recordings below a folder: linked folders are followed, no folder is read twice, hidden ones are ignored."""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from auricle.data.audio import SUFFIXES
from auricle.errors import RefusedError

READ_BEFORE = "linked folders that were already read"


@dataclass
class Walk:
    """A walk through folders: the folders already read, and counts of ignored files."""

    seen: set[tuple[int, int]] = field(default_factory=set)  # device and inode of each folder
    ignored: Counter[str] = field(default_factory=Counter)  # by description
    dangling: list[Path] = field(default_factory=list)  # broken links that are not named like a recording

    def enter(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """Return the folders and the recordings in a folder, sorted by name; nothing if it was already read.

        Files count as recordings by suffix, including broken links and pipes.

        Raises:
            RefusedError: it cannot be listed.
        """
        folders, recordings = [], []
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in self.seen:
                self.ignored[READ_BEFORE] += 1
                return [], []
            self.seen.add((status.st_dev, status.st_ino))
            entries = sorted(folder.iterdir())
        except OSError as error:
            raise RefusedError(f"{folder}: cannot be listed: {error.strerror}") from error
        for path in entries:
            if path.name.startswith(".") or path.name == "__MACOSX":
                self.ignored["hidden files"] += 1
            elif os.path.isdir(path):  # noqa: PTH112 - unlike Path.is_dir, no error without permission
                folders.append(path)
            elif path.suffix.lower() in SUFFIXES:
                recordings.append(path)
            else:
                self.ignored[f"{path.suffix.lower()} files" if path.suffix else "files without a suffix"] += 1
                if path.is_symlink() and not os.path.exists(path):  # noqa: PTH110
                    self.dangling.append(path)
        return folders, recordings

    def recordings(self, folder: Path) -> list[Path]:
        """Return the recordings in a folder and below; errors as in `enter`."""
        recordings = []
        pending = [folder]
        while pending:
            folders, found = self.enter(pending.pop())
            pending += folders
            recordings += found
        return recordings
