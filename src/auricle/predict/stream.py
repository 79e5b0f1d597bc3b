"""Compute the window probabilities of a recording of any length in bounded memory.

Decoding and resampling run a few blocks ahead in a separate thread, while frames and the network's answers are computed
in this one: about half of the work each.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from auricle.bundle.windows import Windowing
from auricle.data.audio import STREAM_SAMPLES, stream_mono
from auricle.errors import RefusedError
from auricle.model.frames import FrameStream
from auricle.predict.classifier import Classifier

T = TypeVar("T")

DIGITAL_SILENCE_PEAK = 1e-6  # -120 dB of full scale; one step of 16 bits is 3e-5, and quiet nights reach little more
BLOCKS_AHEAD = 3


class SilentError(RefusedError):
    """A recording was read to its end and is silent."""

    def __init__(self, message: str, duration_s: float) -> None:
        super().__init__(message)
        self.duration_s = duration_s


@dataclass(frozen=True, eq=False)
class WindowProbabilities:
    """The predictions of a model for each window of a recording."""

    duration_s: float
    starts_s: np.ndarray  # where the windows start, (W,)
    probabilities: np.ndarray  # calibrated, (W, K)
    weights: np.ndarray | None = None  # weight of each in one answer for the whole, (W,); None: it has a timeline


Blocks = Iterator[tuple[int, np.ndarray]]  # the rate in Hz, and the next samples, (T,)


def waveform_blocks(mono: np.ndarray, classifier: Classifier) -> Blocks:
    """Yield a waveform at the rate of a model in blocks, as a file is decoded."""
    for start in range(0, len(mono), STREAM_SAMPLES):
        yield classifier.sample_rate_hz, mono[start : start + STREAM_SAMPLES]


def predict_windows(
    classifier: Classifier,
    recording: Path | Blocks,
    *,
    hop_s: float | None = None,
    whole_s: float = 0.0,
    on_progress: Callable[[float], object] | None = None,
    on_cut_off: Callable[[str], object] | None = None,
) -> WindowProbabilities:
    """Run a model over a file of any rate and number of channels, or mono blocks; `hop_s` None: that of scoring.

    A recording of at most `whole_s` gets one answer, from the windows of a clip.

    `on_progress` is called with the number of seconds processed. `on_cut_off` is called with the reason if the end of a
    recording is missing, and the rest is processed; without it, such a recording is refused. A `RefusedError` gives the
    reason if one cannot be read or is silent.
    """
    rate_hz, description = classifier.sample_rate_hz, classifier.model.bundle.description
    windowing = Windowing.of(description.audio, description.frontend, hop_s)
    batcher = _WindowBatcher(classifier, windowing, whole_s)
    blocks = stream_mono(recording, on_cut_off=on_cut_off) if isinstance(recording, Path) else recording
    num_samples, peak = 0, 0.0
    stream = FrameStream(classifier.model.maker)
    for block in _made_ahead(_resampled_blocks(rate_hz, blocks), BLOCKS_AHEAD):
        num_samples += len(block)
        peak = max(peak, float(np.abs(block).max(initial=0.0)))
        batcher.feed(stream.feed(block))
        if on_progress:
            on_progress(num_samples / rate_hz)
    batcher.feed(stream.finish())
    if peak < DIGITAL_SILENCE_PEAK:
        limit_db = 20 * np.log10(DIGITAL_SILENCE_PEAK)
        name = recording if isinstance(recording, Path) else "the waveform"
        reason = f"silent; no sample is louder than {limit_db:.0f} dB of full scale"
        raise SilentError(f"{name}: {reason}", num_samples / rate_hz)
    duration_s = num_samples / rate_hz
    weights = batcher.go_around() if duration_s <= whole_s else None
    probabilities = batcher.finish(windowing.count(num_samples) if weights is None else len(weights))
    return WindowProbabilities(duration_s, windowing.starts_s(len(probabilities)), probabilities, weights)


def _resampled_blocks(rate_hz: int, blocks: Blocks) -> Iterator[np.ndarray]:
    """Yield a recording at the model's rate in blocks, float32 (T,), T >= 0."""
    import soxr

    resampler = None
    num_read = num_made = 0
    for own_rate_hz, block in blocks:
        num_read += len(block)
        if own_rate_hz != rate_hz:
            resampler = resampler or soxr.ResampleStream(own_rate_hz, rate_hz, 1, dtype="float32", quality="HQ")
            block = resampler.resample_chunk(block)
        num_made += len(block)
        yield block
    last = resampler.resample_chunk(np.zeros(0, np.float32), last=True) if resampler else np.zeros(0, np.float32)
    yield last[: max(0, round(num_read * rate_hz / own_rate_hz) - num_made)]  # soxr may end one sample late


class _WindowBatcher:
    """Takes frames in pieces and gives the probabilities of the windows, one batch at a time."""

    def __init__(self, classifier: Classifier, windowing: Windowing, whole_s: float) -> None:
        self.model = classifier.model
        self.windowing = windowing
        self.whole_s = whole_s
        self.pending: list[np.ndarray] = []  # frames from that of the next window on
        self.num_to_skip = 0  # coming frames that no window needs (where windows do not touch)
        self.num_pending = 0
        self.num_done = 0
        self.first = np.zeros((0, self.model.maker.num_bands), np.float32)  # frames of the first window
        self.levels: list[np.ndarray] = []  # of all frames, over bands, for as long as they may have one answer
        self.num_fed = 0
        self.results: list[np.ndarray] = []

    def feed(self, frames: np.ndarray) -> None:
        """Add frames, and run the complete windows if they fill a batch."""
        if (num_missing := self.windowing.window_frames - len(self.first)) > 0:
            self.first = np.concatenate([self.first, frames[:num_missing]])
        self.num_fed += len(frames)
        if self.num_fed <= self.whole_s * self.windowing.frames_per_s + 2:
            self.levels.append(frames.sum(1))
        self._add(frames)

    def _add(self, frames: np.ndarray) -> None:
        num_dropped = min(self.num_to_skip, len(frames))
        self.num_to_skip -= num_dropped
        self.pending.append(frames[num_dropped:])
        self.num_pending += len(frames) - num_dropped
        while self.num_pending >= self._num_frames(self.model.windows_at_once - 1) + self.windowing.window_frames:
            self._predict_batch(self.model.windows_at_once)

    def go_around(self) -> np.ndarray:
        """Append the start to the end, where windows are cyclic; return the weights of the windows, (W,)."""
        levels = np.concatenate(self.levels)
        if self.windowing.clips.fullest:
            self._add(self.first[np.arange(self.windowing.window_frames) % len(self.first)])
        return self.windowing.clips.weights(levels[None])

    def finish(self, num: int) -> np.ndarray:
        """Run the rest of `num` windows; beyond the end, frames are zero.

        A batch may have had more: a window that is complete, but so near the end that the recording does without it.
        """
        while self.num_done < num:
            self._predict_batch(min(self.model.windows_at_once, num - self.num_done))
        return np.concatenate(self.results)[:num]

    def _num_frames(self, num_windows: int) -> int:
        """Return how far the starts of the next window and of the one so many later lie apart."""
        start = self.windowing.start_frame
        return start(self.num_done + num_windows) - start(self.num_done)

    def _predict_batch(self, num: int) -> None:
        frames = np.concatenate(self.pending)
        windows = self.windowing.cut(frames, num, first=self.num_done)
        self.results.append(self.model.probabilities(windows))
        num_used = self._num_frames(num)
        self.num_to_skip = max(0, num_used - len(frames))
        self.pending = [frames[num_used:]]
        self.num_pending = len(self.pending[0])
        self.num_done += num


def _made_ahead(items: Iterator[T], num_ahead: int) -> Iterator[T]:
    """Yield items that a thread produces a few ahead; its exceptions are raised here, and it stops with the caller."""
    end = object()
    executor = ThreadPoolExecutor(1)
    try:
        coming = deque(executor.submit(next, items, end) for _ in range(num_ahead))
        while (item := coming.popleft().result()) is not end:
            coming.append(executor.submit(next, items, end))
            yield item  # type: ignore[misc]
    finally:
        executor.shutdown(cancel_futures=True)
