"""All that differs between operating systems: memory, locks, processes, signals, priorities; and telemetry.

Nothing else imports what only Unix or only Linux has. Where a system lacks it there is a fallback, or the function does
without, as its docstring says. Linux is tested; macOS and Windows are not, but no module needs Unix to be imported
(tests/test_system.py).
"""

import contextlib
import ctypes
import errno
import os
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

# What libraries say where memory ran out: PyTorch, ONNX Runtime, C++, the loader of shared objects, threads
_NO_MEMORY = re.compile(
    "allocate memory|out of memory|bad[_ ]alloc|failed to allocate|failed to map segment|start new thread",
    re.IGNORECASE,
)
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of mallopt(3)
NEVER = 2**31 - 1
PR_SET_PDEATHSIG = 1  # of prctl(2)
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)  # that ask a process to end
LOCKED_BYTE = 2**30  # where a file is locked on Windows, which lets nobody read what is locked: far beyond its content
NO_TELEMETRY = {
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime, from version 1.31 on
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",  # Gradio's client
    "RAY_USAGE_STATS_ENABLED": "0",
    "WANDB_ERROR_REPORTING": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def disable_telemetry() -> None:
    """Tell the libraries that report to their makers not to; must be called before one of them is imported.

    Processes that are started later inherit it. A variable that is set already is left as it is.
    """
    for name, value in NO_TELEMETRY.items():
        os.environ[name] = os.environ.get(name) or value


def num_cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def num_threads() -> int:
    """Return how many threads a process computes with unless told otherwise: as OMP_NUM_THREADS says, else one.

    Networks this small gain little from more (two cost 1.4 times the processor time for 0.7 of the time), and where
    another process is at work, threads that wait for each other are ten times slower than one.
    """
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() and int(given) else 1


@contextlib.contextmanager
def threads_kept() -> Iterator[None]:
    """Leave the number of threads of PyTorch, where it is loaded, as it was before the block."""
    torch: Any = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else None
    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(before)


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, for its next step, where the C library is glibc.

    Otherwise glibc gives every large array back to the system and asks for another, which the system sets to zero page
    by page: up to half of the time of a step on waveforms. What is computed stays the same.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        library = ctypes.CDLL(None)
        library.mallopt(M_TRIM_THRESHOLD, NEVER)
        library.mallopt(M_MMAP_MAX, 0)


def give_back_memory() -> None:
    """Give the memory that this process has freed back to the system, where the C library is glibc."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def free_bytes() -> float:
    """Return the memory that processes may still take, in bytes; inside a container at most what is left of its own."""
    import psutil

    free, group = float(psutil.virtual_memory().available), Path("/sys/fs/cgroup")
    try:
        most, used = ((group / f"memory.{name}").read_text().strip() for name in ("max", "current"))
        return free if most == "max" else min(free, float(most) - float(used))
    except (OSError, ValueError):  # no limit of a container
        return free


def total_bytes() -> int:
    """Return the memory of this machine, in bytes."""
    import psutil

    return int(psutil.virtual_memory().total)


def peak_memory_mb() -> float:
    """Return the most memory that this process has held, in megabytes."""
    try:
        import resource
    except ImportError:
        import psutil

        memory = psutil.Process().memory_info()
        return getattr(memory, "peak_wset", memory.rss) / 1e6  # Windows knows the peak
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def memory_limit() -> int | None:
    """Return the address space that this process may take at most (`ulimit -v`), in bytes; None where it may all."""
    try:
        import resource
    except ImportError:  # Windows knows no such limit
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out, whichever library says so; also where it led to another.

    >>> is_out_of_memory(ImportError("libtorch_cpu.so: failed to map segment from shared object"))
    True
    """
    cause = error.__cause__ or error.__context__
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or (isinstance(error, ImportError | OSError | RuntimeError) and _NO_MEMORY.search(str(error)) is not None)
        or (cause is not None and is_out_of_memory(cause))
    )


def memory_hint() -> str:
    """Say what to do where memory ran out: a limit is named, and how it is lifted."""
    if (limit := memory_limit()) is None:
        return "close other programs, or try fewer --workers"
    return f"this process may take {limit / 1e6:,.0f} MB only: raise that limit (ulimit -v), or try fewer --workers"


def limit_memory(num_bytes: int) -> None:
    """Bound what this process may take beyond what it has, as address space; on Linux only, elsewhere not at all."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + num_bytes
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


@contextlib.contextmanager
def limited_data(num_bytes: int) -> Iterator[None]:
    """Let the data of this process grow by so much and no more while the block runs; on Linux only."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[5])  # data and stacks
    except (ImportError, OSError):
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = pages * resource.getpagesize() + num_bytes
    if soft != resource.RLIM_INFINITY:
        limit = min(limit, soft)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def lock_file(file: int, *, wait: bool = False) -> bool:
    """Lock an open file for this process alone, until it is closed or the process ends; return whether it did.

    Without `wait` another's lock is an answer, not something to wait for.
    """
    try:
        import fcntl
    except ImportError:
        return _lock_byte(file, wait)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _lock_byte(file: int, wait: bool) -> bool:
    import msvcrt

    locking: Any = msvcrt  # its names are known on Windows only
    while True:
        os.lseek(file, LOCKED_BYTE, os.SEEK_SET)
        try:
            locking.locking(file, locking.LK_LOCK if wait else locking.LK_NBLCK, 1)
        except OSError:  # LK_LOCK gives up after ten seconds
            if not wait:
                return False
        else:
            return True


def host_marks() -> list[str]:
    """Return what tells this machine, since its start, or a container of it from others."""
    known = [platform.node()]
    with contextlib.suppress(OSError):  # elsewhere than on Linux
        known.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        known.append(os.readlink("/proc/self/ns/pid"))  # noqa: PTH115 - this is no path
    return known


def is_running(process: int) -> bool:
    """Return whether there is a process of this number, whoever's it is."""
    import psutil

    try:
        return psutil.pid_exists(process)
    except OverflowError:
        return False


def signal_name(exit_code: int) -> str:
    """Return the signal that ended a process, from what Python gives as its exit code; empty where none did.

    >>> signal_name(-15), signal_name(1)
    ('SIGTERM', '')
    """
    return signal.Signals(-exit_code).name if exit_code < 0 else ""


def server_context(preload: Sequence[str]) -> Any:
    """Return how to start many small processes: forked from a server that has imported modules, or spawned."""
    import multiprocessing

    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*preload])
    return context


@contextlib.contextmanager
def stop_signals_blocked() -> Iterator[None]:
    """Let a process that is started here not answer Ctrl-C or SIGTERM; Windows cannot."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # its start would lift the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_stop_signals() -> None:
    """Let this process never answer Ctrl-C or SIGTERM."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    else:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def be_killed_with_parent() -> None:
    """Ask the system to kill this process as soon as its parent ends; only Linux does."""
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):  # another C library
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def give_way() -> None:
    """Let other processes come first: in our session, and in Linux's groups of sessions, inside which nice holds."""
    import psutil

    psutil.Process().nice(getattr(psutil, "IDLE_PRIORITY_CLASS", 19))
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text("10")


def own_session() -> dict[str, Any]:
    """Return options of `subprocess.Popen` for a process that Ctrl-C does not reach and `kill_session` ends."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def kill_session(process: int | None = None) -> None:
    """Kill a process that was started in a session of its own, None this one, and all that it has started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process or 0, signal.SIGKILL)
        return
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process)
        for each in [*parent.children(recursive=True), parent]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()


def become(arguments: list[str]) -> NoReturn:
    """End the processes that this one, the first of its session, has started, and go on as another program."""
    if hasattr(os, "killpg"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)
        os.execv(arguments[0], arguments)
    import psutil

    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    os._exit(subprocess.call(arguments))  # what Windows calls exec returns to who waits for the process


def is_unread(file: int) -> bool:
    """Return whether whoever read the other end of a pipe has gone; False where the system does not say."""
    import select

    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(file, 0)
    return bool(poll.poll(0))
