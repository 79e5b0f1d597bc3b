"""Download a named dataset, resuming an interrupted download; verify it, unpack it beside, rename it when complete.

FOLDER/.NAME.download/     archive.part, unpacked/; removed when the dataset is complete
FOLDER/NAME/               the dataset, with `auricle.json`: its origin, its hash, and what was verified
"""

import errno
import gzip
import hashlib
import logging
import lzma
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath

from auricle.data.datasets import NUM_CLIPS, find_dataset
from auricle.data.store import cache_folder
from auricle.data.tables import ESC50, URBANSOUND8K, Layout
from auricle.data.transfer import fetch, printable
from auricle.errors import MachineError, RefusedError, choices, count
from auricle.files import machine_errors, write_json
from auricle.locks import lock

# Limits relative to the known sizes: GitHub repacks archives, and Zenodo's may be replaced
PACKED_SLACK, UNPACKED_SLACK, FILES_SLACK = 1.5, 3.0, 4
MAX_HEADER_BYTES = 2**20  # of a file in an archive; they are read into memory
_NO_ARCHIVE = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, struct.error, EOFError,
    ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError,
)  # fmt: skip
# Errors of the system for impossible names, or names that are both file and folder; None: of bz2
_NO_NAME = (None, errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.EINVAL, errno.EILSEQ)
# Called with the current step ("downloading", "unpacking"), bytes done, and bytes in total if known.
DownloadProgress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Archive:
    """The source of a dataset, and its required contents. `known_hash` is `algorithm:digest`, or None."""

    url: str
    size_mb: int
    known_hash: str | None
    layout: Layout
    num_clips: int
    num_categories: int

    @property
    def max_bytes(self) -> int:
        """The largest download accepted."""
        return round(PACKED_SLACK * self.size_mb * 1e6)

    @property
    def max_unpacked_bytes(self) -> int:
        """The largest unpacked size accepted."""
        return round(UNPACKED_SLACK * self.size_mb * 1e6)

    @property
    def max_files(self) -> int:
        """The largest number of files accepted."""
        return FILES_SLACK * self.num_clips + 1_000


ARCHIVES = {
    "esc50": Archive(
        "https://github.com/karolpiczak/ESC-50/archive/master.zip", 600, None, ESC50, NUM_CLIPS["esc50"], 50
    ),  # GitHub packs a branch for every download, so there is no fixed hash
    "urbansound8k": Archive(
        "https://zenodo.org/records/1203745/files/UrbanSound8K.tar.gz",
        6_000,
        "md5:9aa69802bbf37fb986f71ec1483a196e",
        URBANSOUND8K,
        NUM_CLIPS["urbansound8k"],
        10,
    ),
}
DOWNLOADABLE = {"esc10": "esc50", "esc50": "esc50", "urbansound8k": "urbansound8k"}  # esc10 is a part of esc50


def archive_of(source: str) -> Archive:
    """Return the archive that `get` would download; a `UsageError` lists the choices."""
    if source not in DOWNLOADABLE:
        raise choices("dataset to download", source, list(DOWNLOADABLE))
    return ARCHIVES[DOWNLOADABLE[source]]


def get(
    source: str, *, to: Path | None = None, url: str | None = None, on_progress: DownloadProgress | None = None
) -> Path:
    """Download a dataset, unless it exists, and return its folder.

    For esc10, esc50 is downloaded. `to` is the destination folder, None: the user's cache; `url` is a mirror.

    Raises:
        UsageError: no such dataset to download.
        RefusedError: the download is not the dataset; it is deleted.
        MachineError: network, disk, or another process downloads it; the download so far is kept, and the next call
            resumes it.
    """
    archive = archive_of(source)
    if found := find_dataset(source, to):
        return found
    parent = to or cache_folder() / "datasets"
    final = parent / DOWNLOADABLE[source]
    work = parent / f".{final.name}.download"
    report = on_progress or (lambda doing, done, total: None)
    with lock(work):
        if found := find_dataset(source, parent):  # another process was faster
            return found
        if final.exists():
            raise MachineError(f"{final} exists and is not {final.name}; move it away, then run this again")
        packed = _retrieve(url or archive.url, archive, work, report)
        with machine_errors(work):
            try:
                folder, verified = _unpacked(archive, packed, work / "unpacked", report)
                with packed.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                when = datetime.now(UTC).isoformat(timespec="seconds")
                origin = {"url": url or archive.url, "downloaded": when, "bytes": packed.stat().st_size}
                write_json(folder / "auricle.json", {**origin, "sha256": digest, "verified": verified})
                folder.rename(final)
            except RefusedError:
                packed.unlink()
                raise
            finally:
                shutil.rmtree(work / "unpacked", ignore_errors=True)
            shutil.rmtree(work, ignore_errors=True)
    return final


def _retrieve(url: str, archive: Archive, work: Path, report: DownloadProgress) -> Path:
    """Download with pooch, which checks the hash, and a transfer that can resume."""
    import pooch

    def download(url: str, output_file: str, pooch: object) -> None:
        part = work / "archive.part"
        fetch(url, part, lambda done, total: report("downloading", done, total), max_bytes=archive.max_bytes)
        part.replace(output_file)

    pooch.get_logger().setLevel(logging.WARNING)
    try:
        return Path(pooch.retrieve(url, archive.known_hash, fname="archive", path=work, downloader=download))
    except ValueError as error:
        known = archive.known_hash
        raise RefusedError(f"{url} is not the published file: its hash is not {known}; run this again") from error


def _unpacked(archive: Archive, packed: Path, to: Path, report: DownloadProgress) -> tuple[Path, list[str]]:
    """Unpack; return the folder of the dataset, and what was verified."""
    shutil.rmtree(to, ignore_errors=True)
    unpack(packed, to, lambda done, total: report("unpacking", done, total), archive)
    layout = archive.layout
    tables = list(to.glob(f"*/{layout.table.as_posix()}"))
    if len(tables) != 1:
        raise RefusedError(f"the download has {len(tables)} tables {layout.table}, not one; run this again")
    folder = tables[0].parents[1]
    clips = layout.read(folder)
    num_present = sum(clip.path.is_file() for clip in clips)
    num_categories = len({clip.category for clip in clips})
    wanted = (archive.num_clips, archive.num_clips, archive.num_categories)
    if (len(clips), num_present, num_categories) != wanted:
        raise RefusedError(
            f"the download is incomplete: {num_present} of {len(clips)} recordings of {num_categories} classes, not "
            f"{archive.num_clips} of {archive.num_categories}; run this again"
        )
    verified = [f"{num_present} recordings of {num_categories} classes, each with its row in the table"]
    if zipfile.is_zipfile(packed):
        verified.insert(0, "the checksum of every file in the archive")
    if archive.known_hash:
        verified.insert(0, f"the published hash of the archive, {archive.known_hash}")
    return folder, verified


def unpack(archive: Path, folder: Path, on_progress: Callable[[int, int | None], None], known: Archive) -> None:
    """Unpack an archive into a folder; checksums are verified on the way.

    `on_progress` is called after each file with the bytes unpacked and the total, None if it is not known. A
    `RefusedError` if it is not an archive, damaged, larger than `known` allows, or contains a link or a path outside
    the folder.
    """
    try:
        files = _zip_files if zipfile.is_zipfile(archive) else _tar_files
        done = 0
        for number, (name, num_bytes, total, extract) in enumerate(files(archive, known)):
            done += num_bytes
            if max(done, total or 0) > known.max_unpacked_bytes:
                limit = f"{known.max_unpacked_bytes / 1e6:,.0f} MB"
                raise RefusedError(f"{archive} unpacks to more than {limit}; not unpacked")
            if number >= known.max_files:
                raise RefusedError(f"{archive} contains more than {count(known.max_files, 'file')}; not unpacked")
            if _leaves(name):
                raise RefusedError(f"{archive} contains a path outside its folder, {name!r}; not unpacked")
            extract(path=folder)
            on_progress(done, total)
    except (*_NO_ARCHIVE, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_NAME:
            raise
        reason = printable(str(error)) or type(error).__name__
        raise RefusedError(f"{archive} is damaged or not an archive: {reason}; run this again") from error


# For each file of an archive: its name, its bytes, the total if known, and the function that extracts it.
_Files = Iterator[tuple[str, int, int | None, Callable[..., object]]]


def _zip_files(archive: Path, known: Archive) -> _Files:
    with archive.open("rb") as file:
        end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # zipfile reads the whole table into memory
        if end and end[5] > MAX_HEADER_BYTES + 1_000 * known.max_files:
            raise RefusedError(f"{archive} contains more than {count(known.max_files, 'file')}; not unpacked")
    with zipfile.ZipFile(archive) as opened:
        total = sum(info.file_size for info in opened.infolist())
        for info in opened.infolist():
            if stat.S_ISLNK(info.external_attr >> 16):
                raise RefusedError(f"{archive} contains a link, {info.filename!r}; not unpacked")
            if not info.is_dir():
                yield info.filename, info.file_size, total, partial(opened.extract, info)


class _Member(tarfile.TarInfo):
    """A file in a tar archive, with a limit on the size of headers."""

    def _proc_member(self, opened: tarfile.TarFile) -> tarfile.TarInfo:
        if not (self.isreg() or self.isdir()) and self.size > MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        return super()._proc_member(opened)  # type: ignore[misc]


def _tar_files(archive: Path, known: Archive) -> _Files:
    with tarfile.open(archive, tarinfo=_Member) as opened:
        for member in opened:
            if not member.isreg() and not member.isdir():
                raise RefusedError(f"{archive} contains a link or a device, {member.name!r}; not unpacked")
            if member.isreg():
                yield member.name, member.size, None, partial(opened.extract, member, filter="data")


def _leaves(name: str) -> bool:
    """Whether a name points outside a folder, on any system; the libraries would change such a name silently."""
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or any(mark in name for mark in "\\:\0")
