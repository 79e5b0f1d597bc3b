"""Map over recordings in threads: reading, hashing and decoding release the interpreter."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from auricle.system import num_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

NUM_AHEAD = 256  # items under way at most, so that results do not pile up in memory


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
