"""Standard streams that are closed, or whose reader has gone: no reason to fail."""

import codecs
import contextlib
import os
import sys
from collections.abc import Callable, Iterator

from auricle.system import is_unread

ESCAPED = "auricle-escaped"  # how an encoding writes what it lacks: as in JSON, which stays JSON


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    import json

    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(ESCAPED, _escaped)


def open_closed() -> None:
    """Replace each standard stream that the process was started without by the null device.

    Python has None instead, and the next file that is opened, a result or a pipe, would get the stream's file number
    and, with it, whatever C libraries and child processes write there.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):  # in the order of their numbers, 0 to 2
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115, PTH123 - open as long as the process is
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)


@contextlib.contextmanager
def reader() -> Iterator[Callable[[], bool]]:
    """Give a function that tells whether the reader of our standard output has gone."""
    try:
        copy = os.dup(sys.stdout.fileno())  # Rich replaces a broken pipe by the null device
    except OSError:  # not a stream of the operating system, as in a notebook or a test
        yield lambda: False
        return

    try:
        yield lambda: is_unread(copy)
    finally:
        os.close(copy)


def discard_unread() -> None:
    """Drop buffered output that cannot be written, because nobody reads it or the disk is full."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            discard(stream.fileno())


def discard(number: int) -> None:
    """Redirect a stream, with its buffered content, to the null device."""
    with contextlib.suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)
