import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from auricle.data.processes import in_processes
from auricle.errors import RefusedError

ODD_FILES = """
import os, signal, time
from pathlib import Path
from auricle.errors import RefusedError

def read(path: Path):
    match path.stem.split("-")[0]:
        case "crash": os.kill(os.getpid(), signal.SIGSEGV)
        case "leave": os._exit(3)
        case "killed": os.kill(os.getpid(), signal.SIGKILL)
        case "hang": time.sleep(600)
        case "eat": bytearray(2**31)
        case "odd": raise ZeroDivisionError("by zero")
        case "bad": raise RefusedError(f"{path}: bad")
    print("noise", flush=True)
    return path.stem, os.getpid()
"""


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A decoder that does what the file's name says, in a module that processes can import."""
    (tmp_path / "odd_decoder.py").write_text(ODD_FILES)
    monkeypatch.syspath_prepend(str(tmp_path))
    import odd_decoder

    yield odd_decoder.read
    del sys.modules["odd_decoder"]


def refusals(results: list) -> dict[int, str]:
    return {place: str(result) for place, result in enumerate(results) if isinstance(result, RefusedError)}


def test_whatever_kills_a_process_is_one_refused_file_and_the_others_are_read_in_order(read) -> None:
    names = ["a", "crash", "b", "leave", "odd", "c", "killed", "bad", "eat", "d", *(f"e{n}" for n in range(20))]
    results = list(in_processes(read, [Path(name) for name in names], workers=2, memory_limit_bytes=2**29))
    assert refusals(results) == {
        1: "crash: the decoder crashed on it (SIGSEGV); repair or delete it",
        3: "leave: the decoder crashed on it (exit code 3); repair or delete it",
        4: "odd: cannot be decoded: ZeroDivisionError: by zero",
        6: "killed: the system killed the decoder (SIGKILL), probably out of memory; repair or delete it",
        7: "bad: bad",
        8: "eat: decoding needs more than 0.5 GiB of memory",
    }
    read_ones = [result[0] for result in results if not isinstance(result, RefusedError)]
    assert read_ones == [name for place, name in enumerate(names) if place not in refusals(results)]


def test_a_file_that_takes_too_long_is_refused_and_named(read) -> None:
    start = time.monotonic()
    results = list(in_processes(read, [Path("hang"), Path("a"), Path("b")], workers=1, time_limit_s=1.0))
    assert refusals(results) == {0: "hang: decoding takes longer than 1 s; repair or delete it"}
    assert [result[0] for result in results[1:]] == ["a", "b"]
    assert time.monotonic() - start < 300


def test_no_process_outlives_its_work(read) -> None:
    running = in_processes(read, [Path(f"{n}") for n in range(50)], workers=2)
    pids = {next(running)[1] for _ in range(5)}
    running.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    paths = []
    for n in range(3):
        np.save(tmp_path / f"{n}.npy", np.arange(100_000, dtype=np.float32) + n)
        paths.append(tmp_path / f"{n}.npy")
    for n, array in enumerate(in_processes(np.load, paths)):
        np.testing.assert_array_equal(array, np.arange(100_000, dtype=np.float32) + n)


def test_nothing_to_do_starts_nothing() -> None:
    assert list(in_processes(Path.read_text, [])) == []


def test_a_script_that_does_not_guard_its_main_part_is_not_run_again(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from auricle.data.processes import in_processes\n"
        f"print('once', *in_processes(Path.exists, [Path({str(script)!r})]))\n"
    )
    said = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert said.stdout == "once True\n"
