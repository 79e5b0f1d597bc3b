"""Map over recordings in threads; over files of unknown origin in processes.

One that crashes, hangs or eats memory is one refused file.

    parent                       process
      (place, path)  ------->
      (place, result)  <-------    or a refusal

A process answers in the order in which it is asked, so whatever kills it is the first file without an answer; another
process goes on with the next. It is forked from a small server that has imported the decoders and nothing else; where
the system knows no such thing, it is a fresh interpreter.
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

NUM_AHEAD = 256  # items under way at most, so that results do not pile up in memory
TIME_LIMIT_S = 120.0  # for one file
MEMORY_LIMIT_BYTES = 2 * 2**30  # of one process, beyond what it starts with; an hour of sound needs 1.6 GB
_NUM_GIVEN = 2  # files that a process has at a time, so that it need not wait for the next


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int | None = None
) -> Iterator[Result]:
    """Yield function(item) for each item, in order; `workers` None: a thread for each core this process may use."""
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

    `function` is importable, as processes get it by name, and what it returns can be pickled. A process is killed that
    has not finished a file in time; `memory_limit_bytes` is beyond what it starts with, where the system knows such a
    limit. `workers`: None is one for each core.

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
    """Return function(path), called in a process of its own; what the file did to that refuses it."""
    (result,) = in_processes(function, [path])
    if isinstance(result, RefusedError):
        raise result
    return result


class _Process:
    """A process, seen from its parent: the files that it was given and has not answered, and since when."""

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
        with contextlib.suppress(OSError):  # it has died, which reading the channel will show
            self.channel.send((index, path))

    def end(self) -> int:
        """Kill it, and return how it ended if it had ended by itself."""
        self.process.join(0.0 if self.process.is_alive() else None)
        self.process.kill()
        self.process.join()
        self.channel.close()
        return self.process.exitcode or 0


@contextlib.contextmanager
def without_main() -> Iterator[None]:
    """Keep a process that is started here from importing the running script or notebook, which would run it again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@dataclass
class _Pool(Generic[Result]):
    """The processes, the files that wait, and the results that wait for their turn."""

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
        """Give files that lie before a limit to the processes, evenly."""
        for _ in range(_NUM_GIVEN):
            for process in self.processes:
                if len(process.given) < _NUM_GIVEN and self.waiting and self.waiting[0] < limit:
                    index = self.waiting.popleft()
                    process.give(index, self.paths[index])

    def _take_answers(self) -> None:
        """Take the answers that are there, and see to processes that have died or take too long."""
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
                self._refuse_culprit(process, f"decoding it takes longer than {self.time_limit_s:g} s")

    def _refuse_culprit(self, process: _Process, reason: str) -> None:
        """Refuse the file that a process died of; the others that it had wait again."""
        self.processes.remove(process)
        if not process.given:
            raise MachineError(f"no process to decode in lives: {reason}; see `ulimit -a`, or close programs")
        culprit, *others = process.given
        self.found[culprit] = RefusedError(f"{self.paths[culprit]}: {reason}; repair or delete it")
        self.waiting.extendleft(reversed(others))


def _how_it_ended(code: int) -> str:
    if (name := signal_name(code)) == "SIGKILL":
        return "the system killed the decoder (SIGKILL), mostly because memory ran out"
    return f"the decoder crashed on it ({name or f'exit code {code}'})"


def _work(channel: channels.Connection, function: Callable[[Path], Any], memory_limit_bytes: int) -> None:
    """Answer until the parent closes the channel or dies; what the decoders print is not for people."""
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
        return RefusedError(f"{path}: decoding it takes more than {memory_limit_bytes / 2**30:g} GiB of memory")
    except Exception as error:  # a file of unknown origin: whatever it breaks, the others go on
        return RefusedError(f"{path}: cannot be decoded: {type(error).__name__}: {' '.join(str(error).split())}")
