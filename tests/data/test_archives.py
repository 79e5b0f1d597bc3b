import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from auricle.data import download
from auricle.data.download import unpack
from auricle.errors import RefusedError

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
    unpack(archive, folder, lambda done, total: None)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_file_is_unpacked_byte_for_byte(pack: Callable[[dict[str, bytes]], Path], tmp_path: Path) -> None:
    assert unpacked(pack(FILES), tmp_path / "out") == FILES


@pytest.mark.parametrize("name", ["../outside", "set/../../outside", "/tmp/outside", "set\\..\\outside", "C:/outside"])
def test_a_path_that_leaves_the_folder_is_refused(
    pack: Callable[[dict[str, bytes]], Path], tmp_path: Path, name: str
) -> None:
    with pytest.raises(RefusedError, match="holds a path that leaves its folder"):
        unpack(pack({name: b"bad"}), tmp_path / "out", lambda done, total: None)
    assert not list(tmp_path.rglob("outside"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_link_or_a_device_is_refused(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("set/link")
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(RefusedError, match="holds a link or a device, 'set/link'"):
        unpack(pack_tar(tmp_path / "archive", {}, info), tmp_path / "out", lambda done, total: None)
    link = zipfile.ZipInfo("set/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "archive", "w") as opened:
        opened.writestr(link, "/etc/passwd")
    with pytest.raises(RefusedError, match="holds a link, 'set/link'"):
        unpack(tmp_path / "archive", tmp_path / "out", lambda done, total: None)
    assert not list((tmp_path / "out").rglob("link"))


def test_what_is_damaged_or_no_archive_is_refused(pack: Callable[[dict[str, bytes]], Path], tmp_path: Path) -> None:
    archive = pack(FILES)
    content = archive.read_bytes()
    damaged = bytearray(content)
    damaged[len(content) // 3] ^= 0xFF
    for bad in (bytes(damaged), content[: len(content) // 2], b"", b"<html>not found</html>"):
        archive.write_bytes(bad)
        with pytest.raises(RefusedError, match=r"damaged or no archive"):
            unpack(archive, tmp_path / "out", lambda done, total: None)


def test_an_archive_that_unpacks_to_too_much_is_refused(
    pack: Callable[[dict[str, bytes]], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MAX_UNPACKED_BYTES", 4_000)
    with pytest.raises(RefusedError, match="unpacks to more than 4000 bytes"):
        unpack(pack(FILES), tmp_path / "out", lambda done, total: None)


def test_progress_counts_bytes(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    unpack(pack_zip(tmp_path / "archive", FILES), tmp_path / "out", lambda done, total: seen.append((done, total)))
    assert seen == [(5_000, 5_004), (5_000, 5_004), (5_004, 5_004)]
