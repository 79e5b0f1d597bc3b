import errno
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from auricle.data import download
from auricle.data.datasets import load_manifest
from auricle.data.download import archive_of, get
from auricle.errors import MachineError, RefusedError, UsageError
from auricle.runs import lock

CATEGORIES = ("dog", "rain")
HEADER = "filename,fold,target,category,esc10,src_file,take\n"


def recordings() -> Iterator[tuple[str, str, int, bytes]]:
    """Name, category, fold and WAV of eight clips."""
    generator = np.random.default_rng(0)
    for fold in (1, 2, 3, 4):
        for category in CATEGORIES:
            file = io.BytesIO()
            soundfile.write(file, generator.normal(0, 0.1, 8_000), 8_000, format="WAV")
            yield f"{fold}-{category}.wav", category, fold, file.getvalue()


def esc50_zip(leave_out: str = "") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        rows = []
        for name, category, fold, content in recordings():
            rows.append(f"{name},{fold},0,{category},True,{name},A\n")
            if name != leave_out:
                opened.writestr(f"ESC-50-master/audio/{name}", content)
        opened.writestr("ESC-50-master/meta/esc50.csv", HEADER + "".join(rows))
    return file.getvalue()


def urbansound8k_tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as opened:
        rows = ["slice_file_name,fsID,start,end,salience,fold,classID,class\n"]
        contents = {}
        for name, category, fold, content in recordings():
            rows.append(f"{name},{name},0,1,1,{fold},0,{category}\n")
            contents[f"UrbanSound8K/audio/fold{fold}/{name}"] = content
        contents["UrbanSound8K/metadata/UrbanSound8K.csv"] = "".join(rows).encode()
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    return file.getvalue()


@pytest.fixture(autouse=True)
def small_archives(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The published archives, but of eight clips and on loopback."""
    monkeypatch.delenv("AURICLE_DATA", raising=False)
    for name, archive in download.ARCHIVES.items():
        small = replace(archive, url=server.url, num_clips=8, num_categories=2)
        monkeypatch.setitem(download.ARCHIVES, name, small)
    server.content = esc50_zip()


def test_the_dataset_lies_in_the_cache_and_can_be_loaded(cache: Path) -> None:
    folder = get("esc10")
    assert folder == cache / "datasets" / "esc50"
    assert len(load_manifest("esc10").clips) == len(load_manifest("esc50").clips) == 8
    assert [path.name for path in folder.parent.iterdir()] == ["esc50"]


def test_it_is_noted_where_it_came_from_and_what_was_verified(server: Any, tmp_path: Path) -> None:
    record = json.loads((get("esc50", to=tmp_path) / "auricle.json").read_text())
    assert record["url"] == server.url
    assert record["sha256"] == hashlib.sha256(server.content).hexdigest()
    assert record["bytes"] == len(server.content)
    assert record["verified"] == [
        "the checksum of every file in the archive",
        "8 recordings of 2 classes, each with its row in the table",
    ]


def test_a_published_hash_is_verified(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.content = urbansound8k_tar()
    with pytest.raises(RefusedError, match="is not the published file: its hash is not md5:9aa69802bbf37fb986f71ec1"):
        get("urbansound8k", to=tmp_path)
    known_hash = f"md5:{hashlib.md5(server.content).hexdigest()}"
    archive = replace(download.ARCHIVES["urbansound8k"], known_hash=known_hash)
    monkeypatch.setitem(download.ARCHIVES, "urbansound8k", archive)
    folder = get("urbansound8k", to=tmp_path)
    assert json.loads((folder / "auricle.json").read_text())["verified"][0] == (
        f"the published hash of the archive, {known_hash}"
    )
    assert len(load_manifest("urbansound8k", root=tmp_path).clips) == 8


def test_what_is_there_is_not_downloaded_again(server: Any, tmp_path: Path) -> None:
    assert get("esc50", to=tmp_path) == get("esc10", to=tmp_path) == get("esc50", to=tmp_path)
    assert len(server.asked) == 1


def test_a_download_that_broke_off_goes_on_at_the_next_call(server: Any, tmp_path: Path) -> None:
    server.breaks = [70_000, 0]
    with pytest.raises(MachineError, match="run this again to resume"):
        get("esc50", to=tmp_path)
    assert not (tmp_path / "esc50").exists()
    get("esc50", to=tmp_path)
    assert server.asked == [None, "bytes=70000-", "bytes=70000-"]
    assert len(load_manifest("esc50", root=tmp_path).clips) == 8


def test_wrong_content_is_refused_and_not_kept(server: Any, tmp_path: Path) -> None:
    whole = server.content
    for content, words in (
        (b"<html>not found</html>", "damaged or not an archive"),
        (whole[: len(whole) // 2], "damaged or not an archive"),
        (urbansound8k_tar(), "has 0 tables meta/esc50.csv"),
        (esc50_zip(leave_out="1-dog.wav"), "is incomplete: 7 of 8 recordings of 2 classes, not 8 of 2"),
    ):
        server.content = content
        with pytest.raises(RefusedError, match=words):
            get("esc50", to=tmp_path)
        assert not (tmp_path / "esc50").exists()
    server.content = whole
    get("esc50", to=tmp_path)
    assert len(load_manifest("esc50", root=tmp_path).clips) == 8


def test_nothing_of_what_was_unpacked_stays_where_it_is_refused_or_the_disk_is_full(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / ".esc50.download"
    server.content = esc50_zip(leave_out="1-dog.wav")
    with pytest.raises(RefusedError):
        get("esc50", to=tmp_path)
    assert [path.name for path in work.iterdir()] == [".lock"]

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    server.content = esc50_zip()
    with monkeypatch.context() as patch:
        patch.setattr(download, "write_json", full)
        with pytest.raises(MachineError, match="free some space and run the same command again"):
            get("esc50", to=tmp_path)
    assert sorted(path.name for path in work.iterdir()) == [".lock", "archive"]
    num_asked = len(server.asked)
    get("esc50", to=tmp_path)
    assert len(server.asked) == num_asked


def test_a_mirror_may_be_named(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = replace(download.ARCHIVES["esc50"], url="http://127.0.0.1:9/gone")
    monkeypatch.setitem(download.ARCHIVES, "esc50", dead)
    get("esc50", to=tmp_path, url=server.url)


def test_progress_says_what_is_going_on(server: Any, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    get("esc50", to=tmp_path, on_progress=lambda *step: seen.append(step))
    assert list(dict.fromkeys(doing for doing, _, _ in seen)) == ["downloading", "unpacking"]
    assert ("downloading", len(server.content), len(server.content)) in seen
    assert seen[-1][1] == seen[-1][2]


def test_two_downloads_at_once_do_not_mix(server: Any, tmp_path: Path) -> None:
    with lock(tmp_path / ".esc50.download"), pytest.raises(MachineError, match="is in use by process"):
        get("esc50", to=tmp_path)
    assert server.asked == []


def test_something_else_in_the_way_is_not_touched_and_nothing_is_downloaded(server: Any, tmp_path: Path) -> None:
    (tmp_path / "esc50").mkdir()
    (tmp_path / "esc50" / "mine.txt").write_text("precious")
    with pytest.raises(MachineError, match="exists and is not"):
        get("esc50", to=tmp_path)
    assert (tmp_path / "esc50" / "mine.txt").read_text() == "precious"
    assert server.asked == []


def test_only_what_is_published_can_be_downloaded() -> None:
    assert archive_of("esc10").size_mb == 600
    for name in ("toy", "esc5O"):
        with pytest.raises(UsageError, match="Available: esc10, esc50, urbansound8k"):
            get(name)
