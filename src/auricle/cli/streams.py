"""Standard streams that are closed, or that nobody reads any more: no reason to fail."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator

from auricle.system import is_unread


def open_closed() -> None:
    """Put the null device in the place of each standard stream that the process was started without.

    Python has None there, and the next file that is opened, a result or a pipe, would get the stream's number, and what
    C libraries and child processes write to it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):  # in the order of their numbers, 0 to 2
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115, PTH123 - open as long as the process is
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)


@contextlib.contextmanager
def reader() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether whoever read our standard output has gone."""
    try:
        copy = os.dup(sys.stdout.fileno())  # Rich puts the null device in the place of a broken pipe
    except OSError:  # no stream of the system, as in a notebook or a test
        yield lambda: False
        return

    try:
        yield lambda: is_unread(copy)
    finally:
        os.close(copy)


def discard_unread() -> None:
    """Let go of what is still to be written where nobody reads it, or it cannot be written."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            discard(stream.fileno())


def discard(number: int) -> None:
    """Send what is written to a stream from now on, and what it still holds, to the null device."""
    with contextlib.suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)
