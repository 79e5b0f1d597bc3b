"""A trained model in Python, without PyTorch: `Classifier.load(folder).predict(waveform, rate_hz)`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auricle.bundle.model import BundleModel
from auricle.bundle.reading import Bundle, load_bundle
from auricle.errors import RefusedError, UsageError
from auricle.model.frames import FrameMaker
from auricle.model.windows import SLACK, mean_over_windows
from auricle.predict.explain import Explanation, attention_over_time, occlusion_over_time
from auricle.scoring.calibration import NONE, named

LOWEST_DB = -100.0
NONE_OF_THESE = "none of these"  # what a person reads where no class reaches its threshold


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model hears in one recording."""

    # calibrated, the mean over the windows by weight, float64 (K,), in the order of `Classifier.categories`
    probabilities: np.ndarray
    label: str  # the most probable category
    starts_s: np.ndarray  # where the windows start, (W,)
    window_probabilities: np.ndarray  # calibrated, (W, K)
    weights: np.ndarray  # what each window counts, (W,): 1 where it is full of sound, else 0
    none_of_these: bool  # the label is background, or less probable than its threshold: most likely something else


class Classifier:
    """A bundle, ready to hear.

    Example::

        import soundfile
        from auricle import Classifier

        classifier = Classifier.load("bundle")
        waveform, rate_hz = soundfile.read("dog.wav")
        prediction = classifier.predict(waveform, rate_hz)
        print(prediction.label, prediction.probabilities.max(), prediction.none_of_these)
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = 1) -> None:
        description = bundle.description
        self.model = BundleModel(bundle, threads=threads)
        self.categories = description.categories  # the K names
        self.thresholds = description.calibration.thresholds  # a category that wins with less is none of these, (K,)
        self.sample_rate_hz = description.audio.sample_rate_hz  # at which it hears; other rates are resampled
        low_hz, high_hz = description.frontend.min_hz, description.frontend.max_hz
        raw = description.frontend.kind == "raw"
        # the edges of what it hears
        self.band_hz = (0.0 if raw else low_hz, self.sample_rate_hz / 2 if raw or high_hz is None else high_hz)
        self.window_s = description.audio.window_s  # how much it hears at once
        # what is no longer is heard as a clip of a study, which is cut to its length
        self.clip_s = max(self.window_s, description.origin.clip_s) + SLACK * description.audio.window_hop_s

    @classmethod
    def load(cls, path: Path | str, *, threads: int | None = 1) -> Classifier:
        """Open the folder that `auricle export` made; errors as in `load_bundle`. `threads` None: one a core."""
        return cls(load_bundle(Path(path)), threads=threads)

    def predict(self, waveform: np.ndarray, rate_hz: int) -> Prediction:
        """Classify a waveform: (T,), (T, channels) or (channels, T), floats with full scale 1 or integers, T >= 1.

        Of two sides, the channels are the one of 1, or else the only one of at most 32. The windows that hold most
        sound answer for all of it; its end is followed by its beginning, as in training.

        Raises:
            UsageError: not such an array, or both sides can be the channels.
            RefusedError: it holds samples that are not finite.
        """
        window_probabilities, weights = self.model.window_probabilities(self.resampled(waveform, rate_hz))
        probabilities = mean_over_windows(window_probabilities, weights)
        return Prediction(
            probabilities,
            self.categories[int(probabilities.argmax())],
            self.model.windowing.starts_s(len(window_probabilities)),
            window_probabilities,
            weights,
            bool(named(probabilities[None], self.thresholds, self.categories)[0] == NONE),
        )

    def explain(self, waveform: np.ndarray, rate_hz: int) -> Explanation:
        """Say where in time it looked; arguments and errors as in `predict`."""
        model, description = self.model, self.model.bundle.description
        mono = self.resampled(waveform, rate_hz)
        duration_s = len(mono) / self.sample_rate_hz
        if description.attention is not None:
            windows, weights = model.windows(mono)
            maps = model.network.attention(windows)
            return attention_over_time(maps, weights, description.attention, model.windowing, duration_s)
        silence = description.mean  # of a frame that says nothing: its feature is zero
        if description.frontend.kind != "raw":
            silence = max(0.0, float(np.exp(description.mean)) - description.frontend.floor)
        frames = model.maker.frames(mono)
        model.check_room(model.windowing.clips.count_frames(len(frames)))
        return occlusion_over_time(frames, model.windowing, model.probabilities, silence, duration_s)

    def spectrogram(self, waveform: np.ndarray, rate_hz: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what the network hears as a picture; for a network that hears the raw waveform, 64 mel bands.

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
        """Return a waveform as the network takes it: mono, float32, at its rate; errors as in `predict`."""
        waveform = np.asarray(waveform)
        if waveform.ndim not in (1, 2) or not waveform.size or waveform.dtype.kind not in "fiu":
            raise UsageError(
                "a waveform is (T,), (T, channels) or (channels, T) numbers, T >= 1, "
                f"not {waveform.dtype} {waveform.shape}"
            )
        if not rate_hz > 0:
            raise UsageError(f"rate_hz is samples a second, above 0, not {rate_hz}")
        if waveform.dtype.kind in "iu":
            full_scale = 2.0 ** (8 * waveform.dtype.itemsize - 1)
            waveform = waveform.astype(np.float64) / full_scale - (waveform.dtype.kind == "u")
        if waveform.ndim == 2:
            waveform = waveform.mean(axis=_channel_axis(waveform.shape), dtype=np.float32)
        mono = waveform.astype(np.float32)
        if not np.isfinite(mono).all():
            raise RefusedError("the waveform holds samples that are not finite")
        if rate_hz != self.sample_rate_hz:
            from auricle.data.audio import at_rate

            mono = at_rate(mono, rate_hz, sample_rate_hz=self.sample_rate_hz, duration_s=None)
        return mono if len(mono) else np.zeros(1, np.float32)


def _channel_axis(shape: tuple[int, ...]) -> int:
    """Return which of two axes is that of the channels.

    >>> _channel_axis((44_100, 2)), _channel_axis((2, 44_100)), _channel_axis((1, 20)), _channel_axis((20, 1))
    (1, 0, 0, 1)

    Raises:
        UsageError: it may be both, or neither.
    """
    from auricle.data.audio import MAX_CHANNELS

    few = [axis for axis in (1, 0) if shape[axis] == 1] or [axis for axis in (1, 0) if shape[axis] <= MAX_CHANNELS]
    if len(few) == 1 or shape == (1, 1):
        return few[0]
    which = f"either side may be the channels (1 to {MAX_CHANNELS})" if few else f"more than {MAX_CHANNELS} channels"
    raise UsageError(f"a waveform of shape {shape}: {which}; give one channel, (T,), or their mean")
