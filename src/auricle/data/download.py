"""Get a named dataset: download, go on where it broke off, verify, unpack beside, rename when whole.

PLACE/.NAME.download/     archive.part, unpacked/; gone when the dataset is whole
PLACE/NAME/               the dataset, with `auricle.json`: from where, its hash, and what was verified
"""

import hashlib
import logging
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from auricle.data.archives import unpack
from auricle.data.datasets import find_dataset
from auricle.data.store import cache_folder
from auricle.data.tables import ESC50, URBANSOUND8K, Layout
from auricle.data.transfer import fetch
from auricle.errors import MachineError, RefusedError, choices
from auricle.files import machine_errors, write_json
from auricle.system import lock

# Called with what is going on ("downloading", "unpacking"), bytes done, and bytes in all where that is known.
DownloadProgress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Archive:
    """Where a dataset comes from, and what must be in it. `known_hash` is `algorithm:digest`, or None."""

    url: str
    size_mb: int
    known_hash: str | None
    layout: Layout
    num_clips: int
    num_categories: int


ARCHIVES = {
    "esc50": Archive(
        "https://github.com/karolpiczak/ESC-50/archive/master.zip", 600, None, ESC50, 2_000, 50
    ),  # an archive of a branch is packed anew at every download, so no hash is fixed
    "urbansound8k": Archive(
        "https://zenodo.org/records/1203745/files/UrbanSound8K.tar.gz",
        6_000,
        "md5:9aa69802bbf37fb986f71ec1483a196e",
        URBANSOUND8K,
        8_732,
        10,
    ),
}
DOWNLOADABLE = {"esc10": "esc50", "esc50": "esc50", "urbansound8k": "urbansound8k"}  # esc10 is a part of esc50


def archive_of(source: str) -> Archive:
    """Return what `get` would download.

    Raises:
        UsageError: nothing to download has that name.
    """
    if source not in DOWNLOADABLE:
        raise choices("dataset to download", source, list(DOWNLOADABLE))
    return ARCHIVES[DOWNLOADABLE[source]]


def get(
    source: str, *, to: Path | None = None, url: str | None = None, on_progress: DownloadProgress | None = None
) -> Path:
    """Download a dataset, unless it is there, and return its folder.

    esc10 comes with the whole of esc50. `to` takes the dataset's folder, None: the user's cache; `url` is a mirror.

    Raises:
        UsageError: nothing to download has that name.
        RefusedError: what came is not the dataset; nothing of it is kept.
        MachineError: network, disk, or another process downloads it; what came so far is kept, and the next call
            goes on from there.
    """
    archive = archive_of(source)
    if found := find_dataset(source, to):
        return found
    place = to or cache_folder() / "datasets"
    final = place / DOWNLOADABLE[source]
    work = place / f".{final.name}.download"
    report = on_progress or (lambda doing, done, total: None)
    with lock(work):
        if found := find_dataset(source, place):  # another process was faster
            return found
        if final.exists():
            raise MachineError(f"{final} is in the way and holds no {final.name}; move it away, then run this again")
        packed = _retrieve(url or archive.url, archive.known_hash, work, report)
        with machine_errors(work):
            try:
                folder, verified = _unpacked(archive, packed, work / "unpacked", report)
            except RefusedError:
                packed.unlink()
                raise
            write_json(folder / "auricle.json", _download_record(url or archive.url, packed, verified))
            folder.rename(final)
            shutil.rmtree(work, ignore_errors=True)
    return final


def _retrieve(url: str, known_hash: str | None, work: Path, report: DownloadProgress) -> Path:
    """Download through pooch, which checks the hash, with a transfer that resumes."""
    import pooch

    def download(url: str, output_file: str, pooch: object) -> None:
        part = work / "archive.part"
        fetch(url, part, lambda done, total: report("downloading", done, total))
        part.replace(output_file)

    pooch.get_logger().setLevel(logging.WARNING)
    try:
        return Path(pooch.retrieve(url, known_hash, fname="archive", path=work, downloader=download))
    except ValueError as error:
        raise RefusedError(f"{url} is not the published file: its hash is not {known_hash}; run this again") from error


def _unpacked(archive: Archive, packed: Path, to: Path, report: DownloadProgress) -> tuple[Path, list[str]]:
    """Unpack; return the dataset's folder in what came out, and what was found to be right."""
    shutil.rmtree(to, ignore_errors=True)
    unpack(packed, to, lambda done, total: report("unpacking", done, total))
    layout = archive.layout
    tables = list(to.glob(f"*/{layout.table.as_posix()}"))
    if len(tables) != 1:
        raise RefusedError(f"what came holds {len(tables)} tables {layout.table}, not one; run this again")
    folder = tables[0].parents[1]
    clips = layout.read(folder)
    num_present = sum(clip.path.is_file() for clip in clips)
    num_categories = len({clip.category for clip in clips})
    wanted = (archive.num_clips, archive.num_clips, archive.num_categories)
    if (len(clips), num_present, num_categories) != wanted:
        raise RefusedError(
            f"what came is not whole: {num_present} of {len(clips)} recordings of {num_categories} classes, not "
            f"{archive.num_clips} of {archive.num_categories}; run this again"
        )
    verified = [f"{num_present} recordings of {num_categories} classes, each with its row in the table"]
    if zipfile.is_zipfile(packed):
        verified.insert(0, "the checksum of every file in the archive")
    if archive.known_hash:
        verified.insert(0, f"the published hash of the archive, {archive.known_hash}")
    return folder, verified


def _download_record(url: str, path: Path, verified: list[str]) -> dict[str, object]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    when = datetime.now(UTC).isoformat(timespec="seconds")
    return {"url": url, "downloaded": when, "bytes": path.stat().st_size, "sha256": digest, "verified": verified}
