import shutil
import sqlite3
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from auricle.audit import known
from auricle.audit.known import examine_once
from auricle.audit.recording import examine
from auricle.data.store import cache_folder
from defects import encoded, good_sound


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "dog.wav"
    path.write_bytes(encoded(good_sound(0)[1], "wav"))
    return path


def same(one: object, other: object) -> bool:
    """Compare two results, arrays included."""
    return repr(asdict(one)) == repr(asdict(other))  # type: ignore[call-overload]


def database() -> Path:
    (path,) = (cache_folder() / "checked").glob("*.sqlite")
    return path


def never(path: Path) -> None:
    pytest.fail(f"{path} was examined again")


def test_a_known_file_is_not_decoded_again_and_a_copy_is_known(path, tmp_path, monkeypatch) -> None:
    with np.printoptions(threshold=100_000):
        expected = examine(path)
        assert same(examine_once(path), expected)
        monkeypatch.setattr(known, "examine", never)
        assert same(examine_once(path), expected)
        (tmp_path / "copies").mkdir()
        assert same(examine_once(Path(shutil.copy(path, tmp_path / "copies"))), expected)


def test_changed_bytes_and_another_name_are_examined(path, monkeypatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(known, "examine", lambda path: seen.append(path.name) or examine(path))
    examine_once(path)
    path.write_bytes(encoded(good_sound(1)[1], "wav"))
    examine_once(path)
    renamed = path.rename(path.with_suffix(".flac"))
    assert [finding.kind for finding in examine_once(renamed).problems] == ["wrong-suffix"]
    assert seen == ["dog.wav", "dog.wav", "dog.flac"]


def test_a_refusal_is_not_kept(path, monkeypatch) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert examine_once(path).measures is None
    seen: list[Path] = []
    monkeypatch.setattr(known, "examine", lambda path: seen.append(path) or examine(path))
    examine_once(path)
    assert seen == [path]


@pytest.mark.parametrize("harm", ["row", "file", "folder"])
def test_a_damaged_cache_costs_time_only(path, harm) -> None:
    expected = examine_once(path)
    if harm == "row":
        with sqlite3.connect(database()) as results:
            results.execute("UPDATE results SET content = zeroblob(100)")
    elif harm == "file":
        database().write_bytes(b"no database" * 1000)
    else:
        folder = database().parent
        shutil.rmtree(folder)
        folder.write_text("a file")
    assert same(examine_once(path), expected)


def test_results_of_other_versions_go_after_a_month(path, monkeypatch) -> None:
    folder = cache_folder() / "checked"
    folder.mkdir(parents=True)
    (folder / "old.sqlite").touch()
    (folder / "recent.sqlite").touch()
    monkeypatch.setattr(known.time, "time", lambda: (folder / "old.sqlite").stat().st_mtime + known.KEPT_S - 1)
    examine_once(path)
    assert (folder / "old.sqlite").exists()
    assert len([*folder.glob("*.sqlite")]) == 3
    known._results.cache_clear()  # as in another process
    for each in folder.glob("*.sqlite*"):
        if each.stem not in ("old", "recent"):
            each.unlink()
    monkeypatch.setattr(known.time, "time", lambda: (folder / "old.sqlite").stat().st_mtime + known.KEPT_S + 1)
    examine_once(path)
    assert len([*folder.glob("*.sqlite")]) == 1
