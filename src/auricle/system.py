"""What differs between systems: cores, the allocator, free memory and limits on it, locks of folders, and telemetry."""

import contextlib
import ctypes
import errno
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from auricle.errors import MachineError
from auricle.files import machine_errors

# What libraries say where memory ran out: PyTorch, ONNX Runtime, C++, the loader of shared objects, threads
_NO_MEMORY = re.compile(
    "allocate memory|out of memory|bad[_ ]alloc|failed to allocate|failed to map segment|start new thread",
    re.IGNORECASE,
)
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of mallopt(3)
NEVER = 2**31 - 1
NO_TELEMETRY = {
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime, from version 1.31 on
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",  # Gradio's client
    "RAY_USAGE_STATS_ENABLED": "0",
    "WANDB_ERROR_REPORTING": "false",
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
    with contextlib.suppress(AttributeError, OSError):  # another C library
        library = ctypes.CDLL(None)
        library.mallopt(M_TRIM_THRESHOLD, NEVER)
        library.mallopt(M_MMAP_MAX, 0)


def free_bytes() -> float | None:
    """Return the memory that processes may still take, in bytes; None where the system does not say."""
    meminfo, group = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
    if not meminfo.exists():
        return None
    lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
    free = float(lines["MemAvailable"].split()[0]) * 1024
    try:
        most, used = ((group / f"memory.{name}").read_text().strip() for name in ("max", "current"))
        return free if most == "max" else min(free, float(most) - float(used))
    except (OSError, ValueError):  # no limit of a container
        return free


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
    """Bound what this process may take beyond what it has, as address space, where the system knows such a limit."""
    import resource

    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + num_bytes
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Own a study folder for as long as the block runs; the system frees it if the process dies.

    Raises:
        MachineError: another process owns it, or the folder cannot be written.
    """
    path = folder / ".lock"
    with machine_errors(folder, "open"):
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b", buffering=0)
    with file:
        _take_lock(file, folder)
        number = str(os.getpid()).encode()
        with machine_errors(path, need_bytes=len(number)):
            file.truncate(0)
            file.write(number)
        yield


def check_free(folder: Path) -> None:
    """Raise a MachineError if another process owns a study folder now, and change nothing; only `lock` makes sure."""
    with contextlib.suppress(OSError), (folder / ".lock").open("rb") as file:
        _take_lock(file, folder)


def _take_lock(file: IO[bytes], folder: Path) -> None:
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read().decode(errors="replace").strip() or "unknown"
        raise MachineError(f"{folder} is in use by process {owner}; wait for it or choose another --out") from None


def owner(folder: Path) -> int | None:
    """Return the process of this machine that owns a study folder, or None; takes no lock, so it disturbs nobody."""
    path = folder / ".lock"
    try:
        process = int(path.read_text())
        os.kill(process, 0)
    except PermissionError:
        return process  # somebody else's, but alive
    except (OSError, ValueError):
        return None
    try:
        return process if any(_same_file(link, path) for link in Path(f"/proc/{process}/fd").iterdir()) else None
    except OSError:  # not Linux: a process of this number is as much as can be known
        return process


def _same_file(link: Path, path: Path) -> bool:
    with contextlib.suppress(OSError):
        return link.samefile(path)
    return False
