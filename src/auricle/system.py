"""Everything that differs between operating systems: memory, locks, processes, signals, priorities; and telemetry.

No other module imports what exists only on Unix or Linux. Elsewhere there is a fallback, or the function does nothing,
as its docstring says. Linux is tested; macOS and Windows are not, but every module can be imported without Unix
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

# Messages of libraries that ran out of memory: PyTorch, ONNX Runtime, C++, the loader of shared objects, threads
_NO_MEMORY = re.compile(
    "allocate memory|out of memory|bad[_ ]alloc|failed to allocate|failed to map segment|start new thread",
    re.IGNORECASE,
)
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of mallopt(3)
NEVER = 2**31 - 1
PR_SET_PDEATHSIG = 1  # of prctl(2)
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)  # signals that ask a process to end
STATUS = Path("/proc/self/status")  # of this process, on Linux
LOCKED_BYTE = 2**30  # offset of the lock on Windows, where locked bytes cannot be read: far beyond the content
NO_TELEMETRY = {
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime, from version 1.31 on
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",  # Gradio's client
    "RAY_USAGE_STATS_ENABLED": "0",
    "WANDB_ERROR_REPORTING": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def disable_telemetry() -> None:
    """Turn off the telemetry of libraries; must be called before one of them is imported.

    Child processes inherit the setting. Variables that are already set are kept.
    """
    for name, value in NO_TELEMETRY.items():
        os.environ[name] = os.environ.get(name) or value


def expanded(path: Path | str) -> Path:
    """Return a path whose `~` or `~name` is expanded; unlike Path.expanduser, no error if there is no such user.

    >>> expanded("~nobody-at-all/birds").as_posix()
    '~nobody-at-all/birds'
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111


def relative_path(path: Path, folder: Path) -> Path:
    """Return a path relative to a folder, which need not contain it; an absolute one if it is on another drive."""
    try:
        return Path(os.path.relpath(path, folder))
    except ValueError:  # drives of Windows
        return Path(os.path.abspath(path))  # noqa: PTH100


def num_cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def num_threads() -> int:
    """Return the default number of threads of a process: $OMP_NUM_THREADS, else one.

    Networks this small gain little from more (two cost 1.4 times the processor time for 0.7 of the time), and if
    another process is busy, threads that wait for each other are ten times slower than one.
    """
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() and int(given) else 1


@contextlib.contextmanager
def threads_kept() -> Iterator[None]:
    """Restore PyTorch's number of threads after the block, if PyTorch is loaded."""
    torch: Any = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else None
    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(before)


def keep_freed_memory() -> None:
    """Let this process reuse freed memory in its next step, if the C library is glibc.

    Otherwise glibc returns every large array to the system and requests another, which the system zeroes page by page:
    up to half of the time of a step on waveforms. Results do not change.
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
    """Return the free memory in bytes; inside a container, at most what is left of its limit."""
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


def forget_peak_memory() -> None:
    """Let `peak_memory_mb` start from the memory of now, if the system is Linux."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory_mb() -> float:
    """Return the peak memory of this process, in megabytes."""
    with contextlib.suppress(OSError, ValueError):  # on Linux, `resource` begins with the peak of the parent process
        (peak_kib,) = re.findall(r"^VmHWM:\s*(\d+) kB", STATUS.read_text("ascii", "replace"), re.MULTILINE)
        return int(peak_kib) * 1024 / 1e6
    try:
        import resource
    except ImportError:
        import psutil

        memory = psutil.Process().memory_info()
        return getattr(memory, "peak_wset", memory.rss) / 1e6  # Windows knows the peak
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def memory_limit() -> int | None:
    """Return the limit on the address space of this process (`ulimit -v`), in bytes; None if there is none."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error, or the cause of it, means that memory ran out, whichever library raised it.

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
    """Return what to do when memory ran out; if there is a limit, how to raise it."""
    if (limit := memory_limit()) is None:
        return "close other programs, or try fewer --workers"
    return f"this process is limited to {limit / 1e6:,.0f} MB; raise the limit (ulimit -v), or try fewer --workers"


def limit_memory(num_bytes: int) -> None:
    """Limit the address space that this process may allocate from now on; does nothing except on Linux."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + num_bytes
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


@contextlib.contextmanager
def limited_data(num_bytes: int) -> Iterator[None]:
    """Limit how much the data of this process may grow while the block runs; does nothing except on Linux."""
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
    """Lock an open file for this process, until it is closed or the process ends; return whether that succeeded.

    With `wait`, wait until another process releases its lock; otherwise return False at once.
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

    locking: Any = msvcrt  # type checkers know its functions on Windows only
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
    """Return what identifies this machine since its start, or a container on it."""
    known = [platform.node()]
    with contextlib.suppress(OSError):  # elsewhere than on Linux
        known.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        known.append(os.readlink("/proc/self/ns/pid"))  # noqa: PTH115 - this is no path
    return known


def is_running(process: int) -> bool:
    """Return whether there is a process with this number, of any user."""
    import psutil

    try:
        return psutil.pid_exists(process)
    except OverflowError:
        return False


def signal_name(exit_code: int) -> str:
    """Return the name of the signal that ended a process, from Python's exit code; empty if none did.

    >>> signal_name(-15), signal_name(1)
    ('SIGTERM', '')
    """
    return signal.Signals(-exit_code).name if exit_code < 0 else ""


def server_context(preload: Sequence[str]) -> Any:
    """Return a context to start many small processes: forked from a server that has imported modules, or spawned."""
    import multiprocessing

    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*preload])
    return context


@contextlib.contextmanager
def stop_signals_blocked() -> Iterator[None]:
    """Let processes started in the block ignore Ctrl-C and SIGTERM; does nothing on Windows."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # starting it later would unblock the signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_stop_signals() -> None:
    """Let this process ignore Ctrl-C and SIGTERM."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    else:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def be_killed_with_parent() -> None:
    """Ask the system to kill this process as soon as its parent ends; does nothing except on Linux."""
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):  # another C library
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def lower_priority() -> None:
    """Give this process the lowest priority, also for Linux's autogroups, where nice applies only within a session."""
    import psutil

    psutil.Process().nice(getattr(psutil, "IDLE_PRIORITY_CLASS", 19))
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text("10")


def own_session() -> dict[str, Any]:
    """Return options of `subprocess.Popen` for a process that Ctrl-C does not reach and that `kill_session` ends."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def kill_session(process: int | None = None) -> None:
    """Kill a process that was started with `own_session` (None: this one) and all its child processes."""
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
    """End the child processes of this one, the first of its session, and replace it by another program."""
    if hasattr(os, "killpg"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)
        os.execv(arguments[0], arguments)
    import psutil

    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    os._exit(subprocess.call(arguments))  # on Windows exec returns to the parent at once


def is_unread(file: int) -> bool:
    """Return whether the reader of a pipe has gone; False on systems that cannot tell."""
    import select

    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(file, 0)
    return bool(poll.poll(0))
