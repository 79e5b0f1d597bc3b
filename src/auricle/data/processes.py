"""Map over recordings in threads, or, over files of unknown origin, in processes.

A file that crashes or hangs the decoder, or exhausts memory, is refused; the others are not affected.

    parent                       process
      (index, path)  ------->
      (index, result)  <-------    or a refusal

A process returns results in the order of its files, so the first file without a result is the one that killed it;
another process continues with the next. Processes are forked from a small server that has imported only the decoders;
on systems without fork they are new interpreters.
"""

import contextlib
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import connection as channels
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from auricle.errors import MachineError, RefusedError
from auricle.system import limit_memory, num_cores, server_context, signal_name

Item = TypeVar("Item")
Result = TypeVar("Result")

NUM_AHEAD = 256  # most items in progress, so that results do not accumulate in memory
TIME_LIMIT_S = 120.0  # for one file
MEMORY_LIMIT_BYTES = 2 * 2**30  # per process, in addition to its memory at the start; an hour of sound needs 1.6 GB
_NUM_GIVEN = 2  # files queued per process, so that it need not wait for the next


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int | None = None
) -> Iterator[Result]:
    """Yield function(item) for each item, in order; `workers` None: one thread per core that this process may use."""
    executor = ThreadPoolExecutor(workers or num_cores())
    try:
        for start in range(0, len(items), NUM_AHEAD):
            yield from executor.map(function, items[start : start + NUM_AHEAD])
    finally:
        executor.shutdown(cancel_futures=True)


def in_processes(
    function: Callable[[Path], Result],
    paths: Sequence[Path],
    *,
    workers: int | None = None,
    time_limit_s: float = TIME_LIMIT_S,
    memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
) -> Iterator[Result | RefusedError]:
    """Yield function(path), or the refusal of that file, for each path, in order.

    `function` must be importable, and its results picklable. A process that exceeds the time limit on a file is killed;
    `memory_limit_bytes` is in addition to its memory at the start, if the system supports such a limit. `workers`:
    None: one per core.

    Raises:
        MachineError: no process can be started.
    """
    pool = _Pool(function, paths, time_limit_s, memory_limit_bytes)
    try:
        yield from pool.results(min(workers or num_cores(), len(paths)))
    finally:
        for process in pool.processes:
            process.end()


def in_process(function: Callable[[Path], Result], path: Path) -> Result:
    """Return function(path), called in a separate process; a file that crashes the process is refused."""
    (result,) = in_processes(function, [path])
    if isinstance(result, RefusedError):
        raise result
    return result


class _Process:
    """A process as seen by its parent: its files without a result yet, and since when it has been working on them."""

    def __init__(self, function: Callable[[Path], Any], memory_limit_bytes: int) -> None:
        context = server_context(["auricle.data.audio", "auricle.data.processes"])
        self.given: deque[int] = deque()
        self.since_s = time.monotonic()
        self.channel, far_end = context.Pipe()
        self.process = context.Process(target=_work, args=(far_end, function, memory_limit_bytes), daemon=True)
        try:
            with without_main():
                self.process.start()
        except (OSError, EOFError) as error:
            raise MachineError(f"no process can be started to decode in: {error}; close other programs") from error
        far_end.close()

    def give(self, index: int, path: Path) -> None:
        if not self.given:
            self.since_s = time.monotonic()
        self.given.append(index)
        with contextlib.suppress(OSError):  # the process has died; reading from the channel detects it
            self.channel.send((index, path))

    def end(self) -> int:
        """Kill it, and return its exit code if it had already ended."""
        self.process.join(0.0 if self.process.is_alive() else None)
        self.process.kill()
        self.process.join()
        self.channel.close()
        return self.process.exitcode or 0


@contextlib.contextmanager
def without_main() -> Iterator[None]:
    """Prevent a process started inside the block from importing, and so running, the main script or notebook."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@dataclass
class _Pool(Generic[Result]):
    """The processes, the waiting files, and the results not yet yielded."""

    function: Callable[[Path], Result]
    paths: Sequence[Path]
    time_limit_s: float
    memory_limit_bytes: int

    def __post_init__(self) -> None:
        self.processes: list[_Process] = []
        self.waiting = deque(range(len(self.paths)))
        self.found: dict[int, Result | RefusedError] = {}

    def results(self, num_processes: int) -> Iterator[Result | RefusedError]:
        for index in range(len(self.paths)):
            while index not in self.found:
                while len(self.processes) < num_processes:
                    self.processes.append(_Process(self.function, self.memory_limit_bytes))
                self._give(index + NUM_AHEAD)
                self._take_answers()
            yield self.found.pop(index)

    def _give(self, limit: int) -> None:
        """Distribute files with an index below a limit evenly to the processes."""
        for _ in range(_NUM_GIVEN):
            for process in self.processes:
                if len(process.given) < _NUM_GIVEN and self.waiting and self.waiting[0] < limit:
                    index = self.waiting.popleft()
                    process.give(index, self.paths[index])

    def _take_answers(self) -> None:
        """Receive available results, and handle processes that have died or take too long."""
        ready = channels.wait([process.channel for process in self.processes], timeout=1.0)
        for process in list(self.processes):
            if process.channel in ready:
                try:
                    index, result = process.channel.recv()
                except (EOFError, OSError):
                    self._refuse_culprit(process, _how_it_ended(process.end()))
                else:
                    process.given.remove(index)
                    process.since_s = time.monotonic()
                    self.found[index] = result
            elif process.given and time.monotonic() - process.since_s > self.time_limit_s:
                process.end()
                self._refuse_culprit(process, f"decoding takes longer than {self.time_limit_s:g} s")

    def _refuse_culprit(self, process: _Process, reason: str) -> None:
        """Refuse the file on which a process died, and queue its other files again."""
        self.processes.remove(process)
        if not process.given:
            raise MachineError(f"decoding processes end at once: {reason}; check `ulimit -a`, or close programs")
        culprit, *others = process.given
        self.found[culprit] = RefusedError(f"{self.paths[culprit]}: {reason}; repair or delete it")
        self.waiting.extendleft(reversed(others))


def _how_it_ended(code: int) -> str:
    if (name := signal_name(code)) == "SIGKILL":
        return "the system killed the decoder (SIGKILL), probably out of memory"
    return f"the decoder crashed on it ({name or f'exit code {code}'})"


def _work(channel: channels.Connection, function: Callable[[Path], Any], memory_limit_bytes: int) -> None:
    """Process files until the parent closes the channel or dies; output of the decoders is discarded."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    limit_memory(memory_limit_bytes)
    with contextlib.suppress(EOFError, OSError):
        while True:
            index, path = channel.recv()
            channel.send((index, _attempt(function, path, memory_limit_bytes)))


def _attempt(function: Callable[[Path], Result], path: Path, memory_limit_bytes: int) -> Result | RefusedError:
    try:
        return function(path)
    except RefusedError as error:
        return error
    except MemoryError:
        return RefusedError(f"{path}: decoding needs more than {memory_limit_bytes / 2**30:g} GiB of memory")
    except Exception as error:  # whatever a file of unknown origin breaks, the others continue
        return RefusedError(f"{path}: cannot be decoded: {type(error).__name__}: {' '.join(str(error).split())}")
