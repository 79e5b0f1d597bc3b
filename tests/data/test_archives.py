import contextlib
import gzip
import io
import random
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from auricle.data import download
from auricle.data.download import unpack
from auricle.errors import RefusedError

KNOWN = replace(download.ARCHIVES["esc50"], size_mb=1)
FILES = {"set/audio/a.wav": b"sound" * 1_000, "set/é/b.wav": b"", "set/meta.csv": b"x,y\n"}


def pack_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("set/", "")
        for name, content in files.items():
            opened.writestr(name, content)
    return path


def pack_tar(path: Path, files: dict[str, bytes], *extra: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as opened:
        folder = tarfile.TarInfo("set")
        folder.type = tarfile.DIRTYPE
        opened.addfile(folder)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
        for info in extra:
            opened.addfile(info)
    return path


PACKERS = {"zip": pack_zip, "tar.gz": pack_tar}


@pytest.fixture(params=PACKERS)
def pack(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[dict[str, bytes]], Path]:
    return lambda files: PACKERS[request.param](tmp_path / "archive", files)


def unpacked(archive: Path, folder: Path) -> dict[str, bytes]:
    unpack(archive, folder, lambda done, total: None, KNOWN)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_file_is_unpacked_byte_for_byte(pack: Callable[[dict[str, bytes]], Path], tmp_path: Path) -> None:
    assert unpacked(pack(FILES), tmp_path / "out") == FILES


@pytest.mark.parametrize("name", ["../outside", "set/../../outside", "/tmp/outside", "set\\..\\outside", "C:/outside"])
def test_a_path_that_leaves_the_folder_is_refused(
    pack: Callable[[dict[str, bytes]], Path], tmp_path: Path, name: str
) -> None:
    with pytest.raises(RefusedError, match="contains a path outside its folder"):
        unpack(pack({name: b"bad"}), tmp_path / "out", lambda done, total: None, KNOWN)
    assert not list(tmp_path.rglob("outside"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_link_or_a_device_is_refused(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("set/link")
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(RefusedError, match="contains a link or a device, 'set/link'"):
        unpack(pack_tar(tmp_path / "archive", {}, info), tmp_path / "out", lambda done, total: None, KNOWN)
    link = zipfile.ZipInfo("set/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "archive", "w") as opened:
        opened.writestr(link, "/etc/passwd")
    with pytest.raises(RefusedError, match="contains a link, 'set/link'"):
        unpack(tmp_path / "archive", tmp_path / "out", lambda done, total: None, KNOWN)
    assert not list((tmp_path / "out").rglob("link"))


def test_what_is_damaged_or_no_archive_is_refused(pack: Callable[[dict[str, bytes]], Path], tmp_path: Path) -> None:
    archive = pack(FILES)
    content = archive.read_bytes()
    damaged = bytearray(content)
    damaged[len(content) // 3] ^= 0xFF
    for bad in (bytes(damaged), content[: len(content) // 2], b"", b"<html>not found</html>"):
        archive.write_bytes(bad)
        with pytest.raises(RefusedError, match=r"damaged or not an archive"):
            unpack(archive, tmp_path / "out", lambda done, total: None, KNOWN)


def test_an_archive_that_unpacks_to_too_much_is_refused(
    pack: Callable[[dict[str, bytes]], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "UNPACKED_SLACK", 0.004)
    with pytest.raises(RefusedError, match="unpacks to more than 0 MB"):
        unpack(pack(FILES), tmp_path / "out", lambda done, total: None, KNOWN)


def test_progress_counts_bytes(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    unpack(
        pack_zip(tmp_path / "archive", FILES), tmp_path / "out", lambda done, total: seen.append((done, total)), KNOWN
    )
    assert seen == [(5_000, 5_004), (5_000, 5_004), (5_004, 5_004)]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_that_is_cut_or_flipped_anywhere_is_unpacked_or_refused(tmp_path: Path, mode: str) -> None:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode=mode) as opened:
        for name, content in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    answered_or_refused(whole.getvalue(), tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_is_cut_or_flipped_anywhere_is_unpacked_or_refused(tmp_path: Path, method: int) -> None:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", method) as opened:
        for name, content in FILES.items():
            opened.writestr(name, content)
    answered_or_refused(whole.getvalue(), tmp_path)


def answered_or_refused(whole: bytes, tmp_path: Path) -> None:
    generator = random.Random(0)
    for number in range(60):
        content = bytearray(whole)
        if number % 3:
            content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        else:
            del content[generator.randrange(len(content)) :]
        (tmp_path / "archive").write_bytes(content)
        with contextlib.suppress(RefusedError):
            unpack(tmp_path / "archive", tmp_path / f"out{number}", lambda done, total: None, KNOWN)


def test_a_name_that_no_disk_can_hold_is_the_archives_fault(
    pack: Callable[[dict[str, bytes]], Path], tmp_path: Path
) -> None:
    for names in (["set/" + "x" * 300], ["set/a", "set/a/b"]):
        with pytest.raises(RefusedError, match="damaged or not an archive"):
            unpack(pack(dict.fromkeys(names, b"x")), tmp_path / "out", lambda done, total: None, KNOWN)


def test_more_files_than_a_dataset_can_have_are_refused(
    pack: Callable[[dict[str, bytes]], Path], tmp_path: Path
) -> None:
    many = {f"set/{number}": b"" for number in range(1_041)}
    with pytest.raises(RefusedError, match="contains more than 1,040 files; not unpacked"):
        unpack(pack(many), tmp_path / "out", lambda done, total: None, replace(KNOWN, num_clips=10))


def test_a_header_of_a_tar_is_bounded_before_it_is_read(tmp_path: Path) -> None:
    bomb = tarfile.TarInfo("bomb")
    bomb.type, bomb.size = tarfile.XHDTYPE, 10**11
    with gzip.open(tmp_path / "archive", "wb") as file:
        file.write(tarfile.TarInfo("set").tobuf() + bomb.tobuf(tarfile.GNU_FORMAT) + bytes(10**6))
    with pytest.raises(RefusedError, match="a header of 100000000000 bytes"):
        unpack(tmp_path / "archive", tmp_path / "out", lambda done, total: None, KNOWN)
