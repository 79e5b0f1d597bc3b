"""Run a network in ONNX Runtime so that a malicious one is refused early and in bounded memory.

All values that a graph computes are in one arena of `MOST_MEMORY_BYTES` that the sessions of a process share, and every
run has a limit on CPU time, as the cost of a network may depend on the batch and on the sound.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from auricle.bundle.description import AttentionLayout
from auricle.errors import ModelRefusedError
from auricle.system import disable_telemetry, limited_data, num_cores

T = TypeVar("T")

TRIAL_LIMIT_S = 3.0  # CPU time to open a network and run one window; a genuine one takes a few hundredths
WINDOW_LIMIT_S = 1.0  # CPU time for each window of a batch
TRIAL_MEMORY_BYTES = 256 * 2**20  # that the process may grow by while a network is opened and tried
MOST_MEMORY_BYTES = 2**30  # for all that the networks of a process compute at a time
STOP_S = 10.0  # wall-clock time for a run to stop
WINDOWS_AT_ONCE = 32


def open_session(content: bytes, *, threads: int | None = None, **options: Any) -> Any:
    """Return an `onnxruntime.InferenceSession` on the CPU; nothing else in auricle imports ONNX Runtime to run a model.

    Without a number of threads there is one per core; the options are those of `InferenceSession`.
    """
    runtime = _runtime()
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads = threads or 0
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 4
    settings.add_session_config_entry("session.use_env_allocators", "1")
    return runtime.InferenceSession(content, settings, providers=["CPUExecutionProvider"], **options)


@cache
def _runtime() -> Any:
    """Return ONNX Runtime, with one arena for all sessions, which refuses what goes beyond `MOST_MEMORY_BYTES`."""
    disable_telemetry()
    import onnxruntime as runtime

    kind = runtime.OrtMemoryInfo("Cpu", runtime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, runtime.OrtMemType.DEFAULT)
    runtime.create_and_register_allocator(kind, runtime.OrtArenaCfg({"max_mem": MOST_MEMORY_BYTES}))
    return runtime


class Network:
    """Frames to logits, and for a transformer over time its attention.

    Raises:
        ModelRefusedError: it cannot be opened, or its output for one window of silence does not have the described
            shape.
    """

    def __init__(
        self,
        content: bytes,
        path: Path,
        *,
        window_shape: tuple[int, int],
        num_classes: int,
        attention: AttentionLayout | None,
        threads: int | None,
    ) -> None:
        self._path, self._num_threads, self._at_once = path, threads or num_cores(), WINDOWS_AT_ONCE
        self._promised: dict[str, tuple[int, ...]] = {"logits": (num_classes,)}  # the shape for each window
        if attention is not None:
            tokens = 1 + attention.num_steps * attention.num_rows
            self._promised["attention"] = (attention.num_blocks, attention.num_heads, tokens, tokens)
        silence = np.zeros((1, *window_shape), np.float32)
        try:
            with limited_data(TRIAL_MEMORY_BYTES):
                self._session = _within(TRIAL_LIMIT_S, partial(_open_unfolded, content, 1))
                names = [value.name for value in self._session.get_inputs()]
                if names != ["frames"]:
                    raise ValueError(f"its inputs are {names}, not frames")
                outputs = self._run([*self._promised], silence, TRIAL_LIMIT_S)
        except Exception as error:  # ONNX Runtime raises many kinds
            raise self._refused(error) from error
        for name, output in zip(self._promised, outputs, strict=True):
            self._check(name, output, 1)
        if threads != 1:
            self._session = _open_unfolded(content, threads)

    def logits(self, windows: np.ndarray) -> np.ndarray:
        """(W, bands, T) float32 -> (W, K), finite; a `ModelRefusedError` if it breaks a limit."""
        return self._output("logits", windows)

    def attention(self, windows: np.ndarray) -> np.ndarray:
        """(W, bands, T) float32 -> (W, layers, heads, tokens, tokens), rows of sum 1; errors as in `logits`."""
        return self._output("attention", windows)

    def _output(self, name: str, windows: np.ndarray) -> np.ndarray:
        parts: list[np.ndarray] = []
        at = 0
        while at < len(windows):
            batch = windows[at : at + self._at_once]
            try:
                limit_s = self._num_threads * max(TRIAL_LIMIT_S, WINDOW_LIMIT_S * len(batch))
                (output,) = self._run([name], batch, limit_s)
            except Exception as error:
                if len(batch) == 1 or isinstance(error, TimeoutError):
                    raise self._refused(error) from error
                self._at_once = len(batch) // 2  # a large network has no memory for so many windows
                continue
            self._check(name, output, len(batch))
            parts.append(output)
            at += len(batch)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _run(self, names: list[str], batch: np.ndarray, limit_s: float) -> list[Any]:
        options = _runtime().RunOptions()

        def stop() -> None:
            options.terminate = True  # at its next operator

        return _within(limit_s, partial(self._session.run, names, {"frames": batch}, options), stop)

    def _check(self, name: str, output: Any, num_windows: int) -> None:
        """Refuse an output of an unexpected shape, or with values that are not finite."""
        promised = (num_windows, *self._promised[name])
        if output.shape != promised or output.dtype != np.float32 or not np.isfinite(output).all():
            values = f"{output.dtype} {output.shape}" + (", not all finite" if output.shape == promised else "")
            raise ModelRefusedError(f"{self._path}: {name} are {values}; expected finite float32 {promised}")

    def _refused(self, error: Exception) -> ModelRefusedError:
        reason = " ".join(str(error).split())[:200]
        return ModelRefusedError(f"{self._path}: ONNX Runtime refuses it: {reason or type(error).__name__}")


def _open_unfolded(content: bytes, threads: int | None) -> Any:
    # Constants are folded at export already; folding while loading would let a file compute before it is limited.
    return open_session(content, threads=threads, disabled_optimizers=["ConstantFolding"])


def _within(limit_s: float, work: Callable[[], T], stop: Callable[[], object] | None = None) -> T:
    """Return work(), or raise after so much CPU time: then `stop` asks it to end, and its end is awaited.

    A thread that does not end dies with the process. CPU time counts, not wall-clock time, so that a model is not
    refused because the process was stopped or had to wait.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    start_s = time.process_time()
    threading.Thread(target=run, daemon=True).start()
    try:
        while (left_s := limit_s - (time.process_time() - start_s)) > 0:
            with contextlib.suppress(TimeoutError):
                return future.result(max(left_s / num_cores(), 0.01))
    finally:
        if stop is not None and not future.done():  # if the process ended first, it would crash
            stop()
            wait([future], STOP_S)
    raise TimeoutError(f"no answer within {limit_s:g} s of processor time")
