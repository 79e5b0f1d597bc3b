import errno
import ntpath
import os
import platform
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

import auricle
from auricle import system
from auricle.data.audio import read_mono
from auricle.data.processes import in_processes
from auricle.system import is_out_of_memory, num_cores, num_threads
from auricle.work.options import divide
from waiting import is_gone, wait_until

SOURCE = Path(auricle.__file__).parent

STEPS = """
import resource, sys
import torch
from auricle.system import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def step():
    return (torch.ones(2**24) + 1).sum()  # two arrays of 64 MiB
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(min([faults() for _ in range(16)][8:]))  # where arrays lie in memory, and so when it has settled, is chance
"""


@pytest.mark.long
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc alone")
def test_a_step_takes_the_memory_of_those_before():
    pages = {
        how: int(subprocess.run([sys.executable, "-c", STEPS, how], capture_output=True, text=True, check=True).stdout)
        for how in ("given back", "kept")
    }
    assert pages["kept"] < pages["given back"] / 10, pages


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know no such limit")
def test_a_process_cannot_take_more_memory_than_its_limit():
    program = "from auricle.system import limit_memory; limit_memory(2**28); bytearray(2**27); bytearray(2**28 + 2**24)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 1
    assert "MemoryError" in ended.stderr


def test_cores_are_those_that_this_process_may_use():
    program = "import os; os.sched_setaffinity(0, {0}); from auricle.system import num_cores; print(num_cores())"
    if hasattr(os, "sched_setaffinity") and 0 in os.sched_getaffinity(0):
        assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "1\n"
    assert num_cores() >= 1


@pytest.mark.parametrize(("given", "threads"), [(None, 1), ("", 1), ("3", 3), ("0", 1), ("many", 1)])
def test_a_process_computes_with_one_thread_unless_told_otherwise(monkeypatch, given, threads):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert num_threads() == threads
    assert divide(1, "cpu", None, 9) == (1, threads)
    assert divide(1, "cpu", 7, 9) == (1, 7)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("can't start new thread"),
    ],
)
def test_memory_that_ran_out_is_known_whoever_says_so(error: Exception):
    assert is_out_of_memory(error)
    outer = ValueError("another")
    outer.__cause__ = error
    assert is_out_of_memory(outer)


def test_another_error_is_not_taken_for_one_of_memory():
    assert not any(map(is_out_of_memory, (OSError(errno.ENOSPC, "full"), ImportError("no torch"), RuntimeError("x"))))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know no such limit")
@pytest.mark.parametrize("verb", ["study quickstart", "train tiny", "models", "export x --to y", "check x", "report x"])
def test_a_limit_that_leaves_no_room_is_named_before_anything_is_loaded(verb: str):
    program = f"""
import resource
resource.setrlimit(resource.RLIMIT_AS, (400_000_000, 400_000_000))
from auricle.cli import main
raise SystemExit(main({verb.split()}))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 5
    assert len(ended.stderr.splitlines()) == 1
    assert "MB of memory, but this process is limited to 400 MB; raise the limit (ulimit -v)" in ended.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count descriptors otherwise")
def test_recordings_are_checked_with_sixty_four_open_files():
    program = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
from auricle.cli import main
raise SystemExit(main(["check", "toy"]))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


# What Windows lacks, taken away after the packages of others, which need some of it here, have been imported
WITHOUT_UNIX = """
import importlib, multiprocessing, os, pkgutil, select, signal, sys
import auricle
def names():
    return [each.name for each in pkgutil.walk_packages(auricle.__path__, "auricle.")]
for name in names():
    importlib.import_module(name)
for name in [name for name in sys.modules if name.split(".")[0] == "auricle"]:
    del sys.modules[name]
sys.modules.update(dict.fromkeys(("fcntl", "resource", "termios", "pwd", "grp")))
for module, lacks in {
    os: "killpg getpgid getpgrp setsid nice sysconf uname sched_getaffinity pread getuid geteuid fork fchmod mkfifo",
    signal: "SIGKILL SIGALRM SIGHUP pthread_sigmask set_wakeup_fd",
    select: "poll epoll",
}.items():
    for name in lacks.split():
        if hasattr(module, name):
            delattr(module, name)
multiprocessing.get_all_start_methods = lambda: ["spawn"]
import auricle
for name in names():
    importlib.import_module(name)
"""


def test_every_module_is_imported_without_what_only_unix_has():
    program = WITHOUT_UNIX + "print(len(names()))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 150


ONLY_HERE = re.compile(
    r"import (resource|fcntl|msvcrt|termios|pwd|grp|ctypes)\b|forkserver|signal\.(SIGKILL|pthread_sigmask|SIGHUP)"
    r"|os\.(killpg|nice|sysconf|uname|sched_\w+|pread|getuid|geteuid|fork|setsid|setpgid|getloadavg|exec\w+)\b"
    r"|select\.(poll|epoll)"
)


def test_what_systems_differ_in_stands_in_one_module():
    found = {
        str(path.relative_to(SOURCE)): sorted({match[0] for match in ONLY_HERE.finditer(path.read_text())})
        for path in SOURCE.rglob("*.py")
        if path.name != "system.py" and ONLY_HERE.search(path.read_text())
    }
    assert found == {}


def test_a_path_on_another_drive_of_windows_is_absolute(monkeypatch):
    monkeypatch.setattr("os.path.relpath", ntpath.relpath)
    monkeypatch.setattr("os.path.abspath", ntpath.abspath)
    assert str(system.relative_path(Path("C:/birds/a.wav"), Path("C:/tables"))) == r"..\birds\a.wav"
    assert str(system.relative_path(Path("D:/birds/a.wav"), Path("C:/tables"))) == r"D:\birds\a.wav"


def test_a_file_is_locked_for_one_process_also_by_the_calls_of_windows(monkeypatch, tmp_path):
    taken: set[int] = set()

    def locking(file: int, how: int, num_bytes: int) -> None:
        assert (os.lseek(file, 0, os.SEEK_CUR), num_bytes) == (system.LOCKED_BYTE, 1)
        if taken:
            raise OSError(errno.EACCES, "locked")
        taken.add(file)

    def locks() -> list[bool]:
        with path.open("a+b") as first, path.open("a+b") as second:
            return [system.lock_file(first.fileno()), system.lock_file(second.fileno())]

    path = tmp_path / "lock"
    assert locks() == [True, False]
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2, LK_LOCK=1))
    assert locks() == [True, False]


def test_a_session_ends_with_all_its_processes_also_where_there_are_no_groups(monkeypatch):
    program = "import subprocess, sys; print(subprocess.Popen(['sleep', '60']).pid, flush=True); sys.stdin.read()"
    for _ in range(2):  # with groups of processes, then without
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen([sys.executable, "-c", program], **pipes, **system.own_session()) as parent:
            child = int(parent.stdout.readline())
            system.kill_session(parent.pid)
            parent.wait()
            wait_until(lambda child=child: is_gone(child))
        monkeypatch.delattr(os, "killpg", raising=False)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets a peak")
def test_peak_memory_counts_from_where_it_was_forgotten():
    program = """
from auricle.system import forget_peak_memory, peak_memory_mb
start = peak_memory_mb()
large = b"1" * 200_000_000
del large
high = peak_memory_mb()
forget_peak_memory()
print(start, high, peak_memory_mb())
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    start, high, after = map(float, answer.stdout.split())
    assert high > start + 150
    assert after < start + 50


def test_where_there_is_no_resource_peak_memory_is_still_known_and_limits_are_not(monkeypatch):
    known = system.peak_memory_mb()
    monkeypatch.setattr(system, "STATUS", Path("nowhere"))
    assert 0.2 * known < system.peak_memory_mb() < 10_000
    monkeypatch.setitem(sys.modules, "resource", None)
    assert 0.2 * known < system.peak_memory_mb() < 2 * known
    assert system.memory_limit() is None
    system.limit_memory(1)
    with system.limited_data(1):
        bytearray(2**24)


def test_where_signals_cannot_be_blocked_a_process_is_started_all_the_same(monkeypatch):
    monkeypatch.delattr(signal, "pthread_sigmask")
    with system.stop_signals_blocked():
        subprocess.run([sys.executable, "-c", ""], check=True)
    before = {number: signal.getsignal(number) for number in system.STOP_SIGNALS}
    system.ignore_stop_signals()
    assert {signal.getsignal(number) for number in system.STOP_SIGNALS} == {signal.SIG_IGN}
    for number, handler in before.items():
        signal.signal(number, handler)


def test_recordings_are_decoded_in_processes_also_where_there_is_no_fork(monkeypatch, tmp_path):
    monkeypatch.setattr("multiprocessing.get_all_start_methods", lambda: ["spawn"])
    tone = tmp_path / "tone.wav"
    soundfile.write(tone, np.sin(np.arange(8_000) / 5), 8_000)
    good, missing = in_processes(read_mono, [tone, tmp_path / "none.wav"], workers=1)
    assert (len(good[0]), good[1]) == (8_000, 8_000)
    assert "no such file" in str(missing)


def test_processes_and_hosts_are_known():
    assert system.is_running(os.getpid())
    assert not system.is_running(2**62)
    assert system.host_marks()[0]
    assert 0 < system.free_bytes() < system.total_bytes() < 1e14
