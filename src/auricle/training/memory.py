"""Memory that one step frees and the next one takes."""

from __future__ import annotations

import ctypes
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of mallopt(3)
NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, for its next step, where the C library is glibc.

    Otherwise glibc gives every large array back to the system and asks for another, which the system sets to zero page
    by page: up to half of the time of a step on waveforms. What is computed stays the same.
    """
    with suppress(AttributeError, OSError):  # another C library
        library = ctypes.CDLL(None)
        library.mallopt(M_TRIM_THRESHOLD, NEVER)
        library.mallopt(M_MMAP_MAX, 0)
