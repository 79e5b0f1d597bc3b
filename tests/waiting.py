"""Waiting for what another process does."""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any


def wait_until(found: Callable[[], Any], *, at_most_s: float = 90.0) -> Any:
    """Return what is found as soon as it is true."""
    pause = threading.Event()
    for _ in range(round(at_most_s / 0.05)):
        if value := found():
            return value
        pause.wait(0.05)
    raise AssertionError(f"did not happen within {at_most_s:.0f} s")


def is_gone(pid: int) -> bool:
    """Return whether a process has ended, though nobody may have asked for its exit code yet."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True
