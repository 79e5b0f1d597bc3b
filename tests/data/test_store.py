import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from auricle.data import store
from auricle.errors import MachineError


def write(key: str, *, days_ago: float = 0.0, num_samples: int = 250) -> Path:
    store.write_entry(key, [np.ones(num_samples, np.float32)], num_samples)
    description = store.cache_folder() / "recordings" / f"{key}.json"
    used = time.time() - days_ago * 86_400
    os.utime(description, (used, used))
    return description


def keys() -> set[str]:
    return {path.stem for path in (store.cache_folder() / "recordings").glob("*")}


def test_what_was_written_is_found_with_its_refusals() -> None:
    rows = [np.array([1, 2], np.float32), "no sound", np.array([3, 4], np.float32)]
    store.write_entry("key", rows, 2)
    entry = store.find_entry("key")
    assert entry is not None
    assert entry.waveforms.tolist() == [[1, 2], [3, 4]]
    assert entry.refused == {1: "no sound"}
    assert store.find_entry("other") is None


@pytest.mark.parametrize("suffix", ["f32", "json"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
def test_a_damaged_entry_is_none(suffix: str, share: float) -> None:
    write("key")
    path = store.cache_folder() / "recordings" / f"key.{suffix}"
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 1
    path.write_bytes(content)
    assert store.find_entry("key") is None


def test_an_entry_may_hold_refusals_only() -> None:
    assert store.write_entry("key", ["no sound"], 2).waveforms.shape == (0, 2)


def test_the_entries_used_longest_ago_go_first() -> None:
    for key, days_ago in (("a", 3), ("b", 5), ("c", 2), ("d", 4)):
        write(key, days_ago=days_ago)
    store.prune_entries(2_500)
    assert keys() == {"a", "c"}
    store.prune_entries(10_000)
    assert keys() == {"a", "c"}


def test_what_was_used_within_a_day_stays_whatever_the_limit() -> None:
    write("old", days_ago=2)
    write("used again", days_ago=2)
    write("new")
    assert store.find_entry("used again") is not None
    store.prune_entries(0)
    assert keys() == {"used again", "new"}


def test_an_entry_in_use_stays_readable_when_it_goes() -> None:
    write("key", days_ago=2)
    entry = store.find_entry("key")
    assert entry is not None
    store.cache_folder().joinpath("recordings", "key.f32").unlink()
    assert entry.waveforms.sum() == 250


def test_leftovers_of_processes_elsewhere_go_after_a_day() -> None:
    folder = write("key").parent
    kept = ".alive.f32.2-ffffff-01234567.part"
    for name, days_ago in ((".dead.f32.1-ffffff-01234567.part", 2), (".old.f32.1-01234567.part", 2), (kept, 0)):
        (folder / name).touch()
        used = time.time() - days_ago * 86_400
        os.utime(folder / name, (used, used))
    store.find_entry("key")
    assert {path.name for path in folder.glob(".*")} == {kept}


def test_what_a_killed_process_cached_goes_when_the_next_starts_and_what_one_is_writing_stays() -> None:
    program = (
        "import sys, time, numpy as np; from auricle.data.store import write_entry\n"
        "def rows():\n"
        "    yield np.zeros(250, 'f4'); print('writing', flush=True); time.sleep(600)\n"
        "write_entry(sys.argv[1], rows(), 250)"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", program, key], stdout=subprocess.PIPE) for key in ("dead", "alive")
    ]
    try:
        for writer in writers:
            assert writer.stdout
            assert writer.stdout.readline() == b"writing\n"
        writers[0].kill()
        writers[0].wait()
        store.find_entry("key")
        left = [path.name for path in (store.cache_folder() / "recordings").iterdir()]
        assert len(left) == 1
        assert left[0].startswith(".alive.f32.")
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()


def test_a_full_disk_is_one_line_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")

    def rows() -> "list[np.ndarray]":
        raise OSError(28, "No space left on device")

    class Full:
        def __iter__(self) -> "Full":
            return self

        def __next__(self) -> np.ndarray:
            return rows()[0]

    with pytest.raises(MachineError, match="No space left on device; free some space"):
        store.write_entry("key", Full(), 2)
    assert keys() == set()
