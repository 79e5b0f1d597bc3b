"""A recording of any length to window probabilities, in bounded memory.

Decoding, resampling and frames are made a few blocks ahead in a thread of their own, while the network runs in
this one.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from auricle.bundle.windows import Windowing
from auricle.data.audio import stream_mono
from auricle.errors import RefusedError
from auricle.predict.classifier import Classifier

T = TypeVar("T")

DIGITAL_SILENCE_PEAK = 1e-6  # -120 dB of full scale; one step of 16 bits is 3e-5, and quiet nights reach little more
BLOCKS_AHEAD = 3


class SilentError(RefusedError):
    """A recording was read to its end, and nothing is to be heard in it."""

    def __init__(self, message: str, duration_s: float) -> None:
        super().__init__(message)
        self.duration_s = duration_s


@dataclass(frozen=True, eq=False)
class WindowProbabilities:
    """What a model hears in each window of a recording."""

    duration_s: float
    starts_s: np.ndarray  # where the windows start, (W,)
    probabilities: np.ndarray  # calibrated, (W, K)
    weights: np.ndarray | None = None  # what each counts in one answer for the whole, (W,); None: it has a time line


def predict_windows(
    classifier: Classifier,
    path: Path,
    *,
    hop_s: float | None = None,
    whole_s: float = 0.0,
    on_progress: Callable[[float], object] | None = None,
    on_cut_off: Callable[[str], object] | None = None,
) -> WindowProbabilities:
    """Run a model over a recording of any rate and number of channels; `hop_s` None: as the model was scored.

    A recording of at most `whole_s` gets one answer, from the windows that answer for a clip.

    `on_progress` is told how many seconds have been heard. `on_cut_off` is told why the end of a recording is missing,
    and what is there is heard; without it such a recording is refused. A `RefusedError` says why one cannot be read,
    or is silent.
    """
    rate_hz, description = classifier.sample_rate_hz, classifier.model.bundle.description
    windowing = Windowing.of(description.audio, description.frontend, hop_s)
    batcher = _WindowBatcher(classifier, windowing, whole_s)
    num_samples, peak = 0, 0.0
    for frames, num_new, block_peak in _made_ahead(_frame_blocks(classifier, path, on_cut_off), BLOCKS_AHEAD):
        num_samples, peak = num_samples + num_new, max(peak, block_peak)
        batcher.feed(frames)
        if on_progress:
            on_progress(num_samples / rate_hz)
    if peak < DIGITAL_SILENCE_PEAK:
        limit_db = 20 * np.log10(DIGITAL_SILENCE_PEAK)
        raise SilentError(
            f"{path}: silent; no sample is louder than {limit_db:.0f} dB of full scale", num_samples / rate_hz
        )
    duration_s = num_samples / rate_hz
    weights = batcher.go_around() if duration_s <= whole_s else None
    probabilities = batcher.finish(windowing.count(num_samples) if weights is None else len(weights))
    return WindowProbabilities(duration_s, windowing.starts_s(len(probabilities)), probabilities, weights)


def waveform_windows(classifier: Classifier, waveform: np.ndarray, rate_hz: int) -> WindowProbabilities:
    """Run a model over a waveform that has a time line, as `predict_windows` over a file; errors as in `predict`."""
    samples, windowing = classifier.resampled(waveform, rate_hz), classifier.model.windowing
    batcher = _WindowBatcher(classifier, windowing, 0.0)
    batcher.feed(classifier.model.maker.frames(samples))
    probabilities = batcher.finish(windowing.count(len(samples)))
    return WindowProbabilities(len(samples) / windowing.rate_hz, windowing.starts_s(len(probabilities)), probabilities)


def _frame_blocks(
    classifier: Classifier, path: Path, on_cut_off: Callable[[str], object] | None
) -> Iterator[tuple[np.ndarray, int, float]]:
    """Yield frames (T, bands), how many samples (at the model's rate) they took, and how loud those were."""
    import soxr

    rate_hz = classifier.sample_rate_hz
    stream = classifier.model.maker.stream()
    resampler = None
    num_read = num_made = 0
    for own_rate_hz, block in stream_mono(path, on_cut_off=on_cut_off):
        num_read += len(block)
        if own_rate_hz != rate_hz:
            resampler = resampler or soxr.ResampleStream(own_rate_hz, rate_hz, 1, dtype="float32", quality="HQ")
            block = resampler.resample_chunk(block)
        num_made += len(block)
        yield stream.feed(block), len(block), float(np.abs(block).max(initial=0.0))
    last = resampler.resample_chunk(np.zeros(0, np.float32), last=True) if resampler else np.zeros(0, np.float32)
    last = last[: max(0, round(num_read * rate_hz / own_rate_hz) - num_made)]  # soxr may end one sample late
    frames = [stream.feed(last), stream.finish()]
    yield np.concatenate(frames), len(last), float(np.abs(last).max(initial=0.0))


class _WindowBatcher:
    """Frames in, in pieces; probabilities of the windows out, a batch at a time."""

    def __init__(self, classifier: Classifier, windowing: Windowing, whole_s: float) -> None:
        self.model = classifier.model
        self.windowing = windowing
        self.whole_s = whole_s
        self.pending: list[np.ndarray] = []  # frames from that of the next window on
        self.num_to_skip = 0  # frames yet to come that no window needs (where windows do not touch)
        self.num_pending = 0
        self.num_done = 0
        self.first = np.zeros((0, self.model.maker.num_bands), np.float32)  # frames of the first window
        self.levels: list[np.ndarray] = []  # of all frames, over bands, for as long as they may have one answer
        self.num_fed = 0
        self.results: list[np.ndarray] = []

    def feed(self, frames: np.ndarray) -> None:
        """Take frames, and run the windows that are whole if they fill a batch."""
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
        """Let the beginning follow the end, where windows are around a clip; return what they count, (W,)."""
        levels = np.concatenate(self.levels)
        if self.windowing.clips.fullest:
            self._add(self.first[np.arange(self.windowing.window_frames) % len(self.first)])
        return self.windowing.clips.weights(levels[None])

    def finish(self, num: int) -> np.ndarray:
        """Run what is left of `num` windows; what lies beyond the end is zero."""
        while self.num_done < num:
            self._predict_batch(min(self.model.windows_at_once, num - self.num_done))
        return np.concatenate(self.results)

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
    """Yield items that a thread makes a few ahead; its failure is raised here, and it stops when nobody asks."""
    end = object()
    executor = ThreadPoolExecutor(1)
    try:
        coming = deque(executor.submit(next, items, end) for _ in range(num_ahead))
        while (item := coming.popleft().result()) is not end:
            coming.append(executor.submit(next, items, end))
            yield item  # type: ignore[misc]
    finally:
        executor.shutdown(cancel_futures=True)
