"""Ctrl-C and SIGTERM: the first stops the command, the second ends it at once.

Python handles a signal between two of its own instructions, so a long call into C, or code that swallows the exception,
could keep a command from stopping. A thread sees every signal as it arrives: at the second one, or when the first has
had no effect for `GRACE_S`, it ends the process and its child processes.
"""

import contextlib
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from auricle.system import STOP_SIGNALS

GRACE_S = 8.0
SHOW_CURSOR = "\x1b[?25h"  # which a live display hides


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let signals stop a block; if the block does not end by itself after one, the process is ended."""
    ours, theirs = socket.socketpair()  # Windows waits for sockets only
    theirs.setblocking(False)
    signal.signal(signal.SIGTERM, _terminated)
    before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    asked = threading.Event()
    threading.Thread(target=_watch, args=(ours, asked), daemon=True).start()
    try:
        yield
    finally:
        if not asked.is_set():
            signal.set_wakeup_fd(before)
            theirs.close()  # the thread ends


def _terminated(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _watch(signals: socket.socket, asked: threading.Event) -> None:
    number = _next(signals)
    if number is not None:
        asked.set()
        _next(signals, GRACE_S)
        _end(128 + number)
    signals.close()


def _next(signals: socket.socket, timeout_s: float | None = None) -> int | None:
    """Return the next signal that asks to stop; None when the pipe is closed, or the time is up."""
    while select.select([signals], [], [], timeout_s)[0]:
        number = signals.recv(1)
        if not number:
            break
        if number[0] in STOP_SIGNALS:
            return number[0]
    return None


def _end(code: int) -> None:
    import multiprocessing

    for child in multiprocessing.active_children():
        child.kill()
    with contextlib.suppress(OSError):
        if sys.stderr.isatty():
            os.write(sys.stderr.fileno(), SHOW_CURSOR.encode())
    os._exit(code)
