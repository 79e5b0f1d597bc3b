"""A network in ONNX Runtime, opened so that a hostile one is refused within seconds and a few hundred megabytes."""

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from auricle.errors import RefusedError
from auricle.system import disable_telemetry

T = TypeVar("T")

TIME_LIMIT_S = 3.0  # to open a network and give it one window; a real one takes a few hundredths
MORE_MEMORY_BYTES = 256 * 2**20  # that it may ask for while being tried
WINDOWS_AT_ONCE = 32


def open_session(content: bytes, *, threads: int | None = None, **options: Any) -> Any:
    """Return an `onnxruntime.InferenceSession` on the CPU; nothing else in auricle imports ONNX Runtime to run a model.

    Without a number of threads there is one a core; the options are those of `InferenceSession`.
    """
    disable_telemetry()
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads or 0
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 4
    return onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"], **options)


class Network:
    """Frames to logits.

    Raises:
        RefusedError: it cannot be opened, or does not answer one window of silence as the bundle promises.
    """

    def __init__(
        self, content: bytes, path: Path, *, window_shape: tuple[int, int], num_classes: int, threads: int | None = 1
    ) -> None:
        silence = np.zeros((1, *window_shape), np.float32)

        def open_and_try() -> tuple[Any, list[np.ndarray]]:
            session = _open_unfolded(content, 1)
            names = [value.name for value in session.get_inputs()]
            if names != ["frames"]:
                raise ValueError(f"its inputs are {names}, not frames")
            return session, session.run(None, {"frames": silence})

        try:
            with _limited_memory():
                self._session, outputs = _within(TIME_LIMIT_S, open_and_try)
        except Exception as error:  # ONNX Runtime raises many kinds
            reason = " ".join(str(error).split())[:200]
            raise RefusedError(f"{path}: ONNX Runtime refuses it: {reason or type(error).__name__}") from error
        if not outputs or outputs[0].shape != (1, num_classes) or not np.isfinite(outputs[0]).all():
            found = outputs[0].shape if outputs else "nothing"
            raise RefusedError(f"{path}: answers with {found} where (1, {num_classes}) finite logits are promised")
        if threads != 1:
            self._session = _open_unfolded(content, threads)

    def logits(self, windows: np.ndarray) -> np.ndarray:
        """(W, bands, T) float32 -> (W, K)."""
        return self._output("logits", windows)

    def attention(self, windows: np.ndarray) -> np.ndarray:
        """(W, bands, T) float32 -> (W, layers, heads, tokens, tokens); rows sum to 1."""
        return self._output("attention", windows)

    def _output(self, name: str, windows: np.ndarray) -> np.ndarray:
        starts = range(0, len(windows), WINDOWS_AT_ONCE)
        parts = [self._session.run([name], {"frames": windows[at : at + WINDOWS_AT_ONCE]})[0] for at in starts]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _open_unfolded(content: bytes, threads: int | None) -> Any:
    # Constants are folded at export already; folding while loading would let a file compute before it is limited.
    return open_session(content, threads=threads, disabled_optimizers=["ConstantFolding"])


def _within(limit_s: float, work: Callable[[], T]) -> T:
    """Return work(), or raise if it takes too long; a thread that never ends dies with the process."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return future.result(limit_s)
    except TimeoutError as error:
        raise TimeoutError(f"no answer to one window within {limit_s:g} s") from error


@contextlib.contextmanager
def _limited_memory() -> Iterator[None]:
    """Let the process grow by so much and no more while the block runs (Linux; elsewhere nothing is limited)."""
    if sys.platform != "linux":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    pages = int(Path("/proc/self/statm").read_text().split()[5])  # data and stacks
    limit = pages * resource.getpagesize() + MORE_MEMORY_BYTES
    if soft != resource.RLIM_INFINITY:
        limit = min(limit, soft)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
