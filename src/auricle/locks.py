"""The lock of a study folder, which only one process can hold; the system frees it if that process dies."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from auricle.errors import MachineError
from auricle.files import machine_errors
from auricle.system import is_running, lock_file


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a study folder while the block runs; the system frees it if the process dies.

    Raises:
        MachineError: another process holds it, the folder cannot be written, or its file system has no locks.
    """
    path = folder / ".lock"
    with machine_errors(folder, "open"):
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b", buffering=0)
    with file:
        with machine_errors(path, "lock"):
            _take_lock(file, folder)
        number = str(os.getpid()).encode()
        with machine_errors(path, need_bytes=len(number)):
            file.truncate(0)
            file.write(number)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # this process may live on, and is no longer the owner
                file.truncate(0)


def check_free(folder: Path) -> None:
    """Raise a MachineError if another process holds the lock now; to be sure, take it with `lock`."""
    with contextlib.suppress(OSError), (folder / ".lock").open("rb") as file:
        _take_lock(file, folder)


def _take_lock(file: IO[bytes], folder: Path) -> None:
    if not lock_file(file.fileno()):
        file.seek(0)
        owner = file.read().decode(errors="replace").strip() or "unknown"
        raise MachineError(f"{folder} is in use by process {owner}; wait for it or choose another --out")


def owner(folder: Path) -> int | None:
    """Return the process on this machine that holds the lock of a study folder, or None; it takes no lock itself."""
    path = folder / ".lock"
    try:
        process = int(path.read_text())
    except (OSError, ValueError):
        return None
    if not is_running(process):
        return None
    try:
        return process if any(_same_file(link, path) for link in Path(f"/proc/{process}/fd").iterdir()) else None
    except OSError:  # not Linux, or another user's: that such a process runs is all that can be known
        return process


def held_since(folder: Path) -> float | None:
    """Return when the lock of a study folder was taken, as the time of a file in it, if a process holds it now."""
    return (folder / ".lock").stat().st_mtime if owner(folder) is not None else None


def _same_file(link: Path, path: Path) -> bool:
    with contextlib.suppress(OSError):
        return link.samefile(path)
    return False
