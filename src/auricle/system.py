"""What differs between operating systems: cores, the allocator, limits on memory."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of mallopt(3)
NEVER = 2**31 - 1


def num_cores() -> int:
    """Return how many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, for its next step, where the C library is glibc.

    Otherwise glibc gives every large array back to the system and asks for another, which the system sets to zero page
    by page: up to half of the time of a step on waveforms. What is computed stays the same.
    """
    with contextlib.suppress(AttributeError, OSError):  # another C library
        library = ctypes.CDLL(None)
        library.mallopt(M_TRIM_THRESHOLD, NEVER)
        library.mallopt(M_MMAP_MAX, 0)


def limit_memory(num_bytes: int) -> None:
    """Bound what this process may take beyond what it has, as address space, where the system knows such a limit."""
    import resource

    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + num_bytes
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
