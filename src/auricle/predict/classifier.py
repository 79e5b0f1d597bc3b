"""A trained model in Python, without PyTorch: `Classifier.load(folder).predict(recording)`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from auricle.bundle.model import BundleModel
from auricle.bundle.reading import Bundle, load_bundle
from auricle.data.waveforms import mono_waveform
from auricle.errors import UsageError
from auricle.model.frames import FrameMaker
from auricle.model.windows import SLACK, mean_over_windows
from auricle.predict.explain import Explanation, attention_over_time, occlusion_over_time
from auricle.scoring.calibration import NO_CLASS, detected_classes
from auricle.system import expanded

if TYPE_CHECKING:
    import pandas as pd

    from auricle.predict.stretches import Stretch

LOWEST_DB = -100.0
NONE_OF_THESE = "none of these"  # the answer where no class reaches its threshold


@dataclass(frozen=True, eq=False)
class Prediction:
    """The prediction of a model for one recording.

    Attributes:
        probabilities: calibrated, the mean over the windows by weight, (K,), in the order of `Classifier.categories`.
        label: the most probable category.
        starts_s: where the windows start, (W,).
        window_probabilities: calibrated, (W, K).
        weights: of each window, (W,): 1 if it counts, else 0.
        none_of_these: whether the label is background, or below its threshold: probably something else.
    """

    probabilities: np.ndarray
    label: str
    starts_s: np.ndarray
    window_probabilities: np.ndarray
    weights: np.ndarray
    none_of_these: bool
    find_stretches: Callable[[], list[Stretch]] = field(repr=False)

    @cached_property
    def stretches(self) -> list[Stretch]:
        """Return the detections over time, as `auricle predict` does; one stretch for the length of a clip.

        A longer array is processed a second time for this, from start to end.

        Raises:
            RefusedError: a longer array is silent.
        """
        return self.find_stretches()

    def to_frame(self) -> pd.DataFrame:
        """Return one row per stretch: `start_s`, `end_s`, `label` and `probability`.

        The label is "none of these" if no class is probable enough; the probability is that of the most probable class,
        as a mean over the stretch.

        Raises:
            RefusedError: an array longer than a clip is silent.
            MachineError: pandas is not installed.
        """
        from auricle.tabular import to_frame

        columns = ("start_s", "end_s", "label", "probability")
        return to_frame([{name: getattr(one, name) for name in columns} for one in self.stretches], columns)


class Classifier:
    """A bundle, ready to classify sounds.

    Example::

        import auricle as au

        classifier = au.Classifier.load("bird-box")
        prediction = classifier.predict("dog.wav")       # or an array and its rate: predict(waveform, 44_100)
        print(prediction.label, prediction.probabilities.max(), prediction.none_of_these)
        classifier.predict("night.wav").to_frame()       # detections over time
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = 1) -> None:
        description = bundle.description
        self.model = BundleModel(bundle, threads=threads)
        self.categories = description.categories  # the K names
        # below its threshold, the most probable category becomes "none of these", (K,)
        self.thresholds = description.calibration.thresholds
        self.sample_rate_hz = description.audio.sample_rate_hz  # of its input; other rates are resampled
        low_hz, high_hz = description.frontend.min_hz, description.frontend.max_hz
        raw = description.frontend.kind == "raw"
        # the lowest and the highest frequency of its input
        self.band_hz = (0.0 if raw else low_hz, self.sample_rate_hz / 2 if raw or high_hz is None else high_hz)
        self.window_s = description.audio.window_s  # duration of its input
        # recordings of at most this length are classified as a clip of a study, cut to its length
        self.clip_s = max(self.window_s, description.origin.clip_s) + SLACK * description.audio.window_hop_s

    @classmethod
    def load(cls, path: Path | str, *, threads: int | None = 1) -> Classifier:
        """Open the folder that `auricle export` made; errors as in `load_bundle`. `threads` None: one per core."""
        return cls(load_bundle(expanded(path)), threads=threads)

    def predict(self, recording: np.ndarray | Path | str, rate_hz: int | None = None) -> Prediction:
        """Classify a recording: a file of any length, or a waveform.

        A waveform, and a file no longer than a training clip, is classified by the windows with the most sound, which
        are cyclic, as in training. A longer file is classified by all windows, in bounded memory; use
        `Prediction.stretches` then.

        Args:
            recording: the path of a file; or (T,), (T, channels) or (channels, T), floats with full scale 1 or
                integers, T >= 1. The channels are the dimension of size 1, or else the only one of at most 32.
            rate_hz: sample rate of a waveform; a file has its own.

        Raises:
            UsageError: not such an array, both dimensions could be the channels, or a waveform without a rate.
            RefusedError: samples are not finite, or the file cannot be read or is silent; the message says why.
        """
        from auricle.predict.stream import WindowProbabilities, predict_windows, waveform_blocks
        from auricle.predict.stretches import pooling_of

        pooling = pooling_of(self)
        if isinstance(recording, Path | str):
            if rate_hz is not None:
                raise UsageError("rate_hz is for a waveform; a file has its own rate")
            windows = predict_windows(self, Path(recording), whole_s=self.clip_s)
            weights = np.ones(len(windows.starts_s)) if windows.weights is None else windows.weights
            return self._answer(windows.probabilities, weights, lambda: pooling.stretches(windows))
        if rate_hz is None:
            raise UsageError("a waveform needs its rate: predict(waveform, rate_hz)")
        mono = self.resampled(recording, rate_hz)
        duration_s = len(mono) / self.sample_rate_hz
        window_probabilities, weights = self.model.window_probabilities(mono)

        def find_stretches() -> list[Stretch]:
            starts_s = self.model.windowing.starts_s(len(weights))
            whole = WindowProbabilities(duration_s, starts_s, window_probabilities, weights)
            is_clip = duration_s <= self.clip_s
            return pooling.stretches(whole if is_clip else predict_windows(self, waveform_blocks(mono, self)))

        return self._answer(window_probabilities, weights, find_stretches)

    def _answer(
        self, window_probabilities: np.ndarray, weights: np.ndarray, find_stretches: Callable[[], list[Stretch]]
    ) -> Prediction:
        probabilities = mean_over_windows(window_probabilities, weights)
        return Prediction(
            probabilities,
            self.categories[int(probabilities.argmax())],
            self.model.windowing.starts_s(len(window_probabilities)),
            window_probabilities,
            weights,
            bool(detected_classes(probabilities[None], self.thresholds, self.categories)[0] == NO_CLASS),
            find_stretches,
        )

    def explain(self, waveform: np.ndarray, rate_hz: int) -> Explanation:
        """Return the saliency over time of its prediction; arguments and errors as in `predict`."""
        model, description = self.model, self.model.bundle.description
        mono = self.resampled(waveform, rate_hz)
        duration_s = len(mono) / self.sample_rate_hz
        if description.attention is not None:
            windows, weights = model.windows(mono)
            maps = model.network.attention(windows)
            return attention_over_time(maps, weights, description.attention, model.windowing, duration_s)
        silence = description.mean  # a masked frame: its normalised feature is zero
        if description.frontend.kind != "raw":
            silence = max(0.0, float(np.exp(description.mean)) - description.frontend.floor)
        frames = model.maker.frames(mono)
        model.check_room(model.windowing.clips.count_frames(len(frames)))
        return occlusion_over_time(frames, model.windowing, model.probabilities, silence, duration_s)

    def spectrogram(self, waveform: np.ndarray, rate_hz: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the input of the network as a picture; for a network on the raw waveform, 64 mel bands.

        Levels in dB, (bands, T), highest 0, lowest -100; times of frames in s, (T,); centres of bands in Hz, (bands,).
        """
        from auricle.config import AudioConfig, FrontendConfig

        maker = self.model.maker
        if maker.raw:
            maker = FrameMaker(AudioConfig(sample_rate_hz=self.sample_rate_hz), FrontendConfig())
        power = maker.frames(self.resampled(waveform, rate_hz)).T
        loudest = max(float(power.max()), 1e-10)
        levels_db = np.maximum(10 * np.log10(np.maximum(power / loudest, 1e-12)), LOWEST_DB)
        return levels_db, np.arange(power.shape[1]) / maker.frames_per_s, maker.centres_hz

    def resampled(self, waveform: np.ndarray, rate_hz: int) -> np.ndarray:
        """Return a waveform as the network needs it: mono, float32, at its rate; errors as in `predict`."""
        mono = mono_waveform(np.asarray(waveform))
        if not rate_hz > 0:
            raise UsageError(f"rate_hz must be above 0 (samples per second), not {rate_hz}")
        if rate_hz != self.sample_rate_hz:
            from auricle.data.audio import at_rate

            mono = at_rate(mono, rate_hz, sample_rate_hz=self.sample_rate_hz, duration_s=None)
        return mono if len(mono) else np.zeros(1, np.float32)
