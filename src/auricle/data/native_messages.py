"""Suppress messages that a decoder writes directly to standard error, between messages for the user."""

import contextlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator

_STDERR = 2
_LOCK = threading.Lock()  # standard error belongs to the whole process
_OF_DECODER = re.compile(
    rb"(?:^|(?<=\n)) *(?:\[src/libmpg123/|Note: |Warning: (?:Xing|Encountered|Real sample)|\n)[^\n]*\n?"
)


@contextlib.contextmanager
def without_decoder_messages() -> Iterator[None]:
    """Drop what libmpg123 writes to standard error inside the block; output of other threads appears after it."""
    with _LOCK, contextlib.ExitStack() as stack:
        try:
            real = os.dup(_STDERR)
            stack.callback(os.close, real)
            caught = stack.enter_context(tempfile.TemporaryFile(buffering=0))
        except OSError:  # it is closed, or no temporary file can be written
            yield
            return
        os.dup2(caught.fileno(), _STDERR)
        try:
            yield
        finally:
            os.dup2(real, _STDERR)
            if caught.tell():
                caught.seek(0)
                if others := _OF_DECODER.sub(b"", caught.read()):
                    with contextlib.suppress(OSError):
                        os.write(real, others)
