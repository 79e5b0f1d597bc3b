"""Unpack a ZIP or a TAR from elsewhere: ordinary files only, and none outside the folder given."""

import gzip
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from auricle.errors import RefusedError

MAX_UNPACKED_BYTES = 20 * 10**9
_NO_ARCHIVE = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error),
    *(EOFError, RuntimeError, ValueError),
)


def unpack(archive: Path, folder: Path, on_progress: Callable[[int, int | None], None]) -> None:
    """Unpack an archive into a folder; checksums are verified on the way.

    `on_progress` is called after each file with the bytes unpacked and those in all, None where that is not known.

    Raises:
        RefusedError: no such archive, damaged, too large, or with a link or a path that leaves the folder.
        OSError: the disk refuses.
    """
    try:
        files = _zip_files if zipfile.is_zipfile(archive) else _tar_files
        done = 0
        for name, num_bytes, total, extract in files(archive):
            done += num_bytes
            if done > MAX_UNPACKED_BYTES:
                raise RefusedError(f"{archive} unpacks to more than {MAX_UNPACKED_BYTES} bytes; not unpacked")
            if _leaves(name):
                raise RefusedError(f"{archive} holds a path that leaves its folder, {name!r}; not unpacked")
            extract(path=folder)
            on_progress(done, total)
    except _NO_ARCHIVE as error:
        raise RefusedError(f"{archive} is damaged or no archive: {error}; run this again to get it anew") from error


# For each file of an archive: its name, its bytes, those of all files where they are known, and what extracts it.
_Files = Iterator[tuple[str, int, int | None, Callable[..., object]]]


def _zip_files(archive: Path) -> _Files:
    with zipfile.ZipFile(archive) as opened:
        total = sum(info.file_size for info in opened.infolist())
        for info in opened.infolist():
            if stat.S_ISLNK(info.external_attr >> 16):
                raise RefusedError(f"{archive} holds a link, {info.filename!r}; not unpacked")
            if not info.is_dir():
                yield info.filename, info.file_size, total, partial(opened.extract, info)


def _tar_files(archive: Path) -> _Files:
    with tarfile.open(archive) as opened:
        for member in opened:
            if not member.isreg() and not member.isdir():
                raise RefusedError(f"{archive} holds a link or a device, {member.name!r}; not unpacked")
            if member.isreg():
                yield member.name, member.size, None, partial(opened.extract, member, filter="data")


def _leaves(name: str) -> bool:
    """Whether a name points outside a folder, on any system; the libraries would bend it until it does not."""
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or any(mark in name for mark in "\\:\0")
