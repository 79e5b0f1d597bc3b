"""A trained model in Python, without PyTorch: `Classifier.load(folder).predict(waveform, rate_hz)`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auricle.errors import RefusedError, UsageError
from auricle.model.frames import FrameMaker
from auricle.scoring.calibration import softmax
from auricle.serving.bundle import NETWORK, Bundle, load_bundle
from auricle.serving.explain import attention_over_time, occlusion_over_time
from auricle.serving.network import Network
from auricle.serving.windows import Windowing

LOWEST_DB = -100.0


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model hears in one recording.

    Attributes:
        probabilities: calibrated, the mean over the windows, float64 (K,), in the order of `Classifier.categories`.
        label: the most probable category.
        starts_s: where the windows start, (W,).
        window_probabilities: calibrated, (W, K).
        none_of_these: the label is less probable than its threshold: most likely something else.
    """

    probabilities: np.ndarray
    label: str
    starts_s: np.ndarray
    window_probabilities: np.ndarray
    none_of_these: bool


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where in time a model looked; a transformer shows its attention, a CNN what it loses when it hears less.

    Attributes:
        times_s: centres of the moments, (T,).
        attention: how much `<cls>` reads from each moment, (layers, heads, T), sums of 1; None for a CNN.
        rolled_out: the same through all layers (arXiv:2005.00928), (T,), sum 1; None for a CNN.
        occlusion: by how much the label's probability falls when the moment is silenced, (T,); None for a transformer.
    """

    times_s: np.ndarray
    attention: np.ndarray | None
    rolled_out: np.ndarray | None
    occlusion: np.ndarray | None


class Classifier:
    """A bundle, ready to hear.

    Attributes:
        bundle: what it was loaded from.
        categories: the K names.
        sample_rate_hz: at which it hears; other rates are resampled.
        window_s: how much it hears at once.

    Example::

        import soundfile
        from auricle.serving.classifier import Classifier

        classifier = Classifier.load("bundle")
        waveform, rate_hz = soundfile.read("dog.wav")
        prediction = classifier.predict(waveform, rate_hz)
        print(prediction.label, prediction.probabilities.max(), prediction.none_of_these)
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = 1) -> None:
        description = bundle.description
        self.bundle = bundle
        self.categories = description.categories
        self.sample_rate_hz = description.audio.sample_rate_hz
        self.window_s = description.audio.window_s
        self.maker = FrameMaker(description.audio, description.frontend)
        self.windowing = Windowing.of(description.audio, self.maker.frames_per_s)
        self.temperature = description.calibration.temperature
        self.thresholds = np.array(description.calibration.thresholds)
        self.network = Network(
            bundle.network,
            bundle.folder / NETWORK,
            window_shape=(self.maker.num_bands, self.windowing.window_frames),
            num_classes=len(self.categories),
            threads=threads,
        )

    @classmethod
    def load(cls, path: Path | str, *, threads: int | None = 1) -> Classifier:
        """Open a bundle.

        Args:
            path: the folder that `auricle export` made.
            threads: processor threads; None: one a core.

        Raises:
            RefusedError: no bundle, or a damaged or dangerous one.
        """
        return cls(load_bundle(Path(path)), threads=threads)

    def predict(self, waveform: np.ndarray, rate_hz: int) -> Prediction:
        """Say what is heard.

        Args:
            waveform: (T,) mono or (T, channels); floats with full scale 1, or integers; at least one sample.
            rate_hz: its samples a second.

        Raises:
            UsageError: not such an array.
            RefusedError: it holds samples that are no finite numbers.

        >>> import numpy as np
        >>> classifier = Classifier.load("bundle")  # doctest: +SKIP
        >>> prediction = classifier.predict(np.zeros(16_000), 16_000)  # doctest: +SKIP
        >>> prediction.label, prediction.none_of_these  # doctest: +SKIP
        ('rain', True)
        """
        mono = self.hear(waveform, rate_hz)
        num = self.windowing.count(len(mono))
        windows = self.windowing.cut(self.maker.frames(mono), num)
        window_probabilities = self.window_probabilities(windows)
        probabilities = window_probabilities.mean(axis=0)
        winner = int(probabilities.argmax())
        return Prediction(
            probabilities,
            self.categories[winner],
            self.windowing.starts_s(num),
            window_probabilities,
            bool(probabilities[winner] < self.thresholds[winner]),
        )

    def window_probabilities(self, windows: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities, (W, bands, T) -> float64 (W, K)."""
        return softmax(self.network.logits(windows), self.temperature)

    def explain(self, waveform: np.ndarray, rate_hz: int) -> Explanation:
        """Say where in time it looked; arguments and errors as in `predict`."""
        mono = self.hear(waveform, rate_hz)
        frames = self.maker.frames(mono)
        num = self.windowing.count(len(mono))
        duration_s = len(mono) / self.sample_rate_hz
        layout = self.bundle.description.attention
        if layout is not None:
            maps = self.network.attention(self.windowing.cut(frames, num))
            times_s, heads, rolled_out = attention_over_time(maps, layout, self.windowing, duration_s)
            return Explanation(times_s, heads, rolled_out, None)
        silence = neutral_frame(self.bundle)
        times_s, drop = occlusion_over_time(frames, num, self.windowing, self.window_probabilities, silence, duration_s)
        return Explanation(times_s, None, None, drop)

    def spectrogram(self, waveform: np.ndarray, rate_hz: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what the network hears as a picture.

        Returns:
            Levels in dB, (bands, T), highest 0 and lowest -100; times of the frames in s, (T,); centres of the
            bands in Hz, (bands,). For a network that hears the raw waveform, 64 mel bands.
        """
        from auricle.config import AudioConfig, FrontendConfig

        mono = self.hear(waveform, rate_hz)
        maker = self.maker
        if maker.raw:
            maker = FrameMaker(AudioConfig(sample_rate_hz=self.sample_rate_hz), FrontendConfig())
        power = maker.frames(mono).T
        loudest = max(float(power.max()), 1e-10)
        levels_db = np.maximum(10 * np.log10(np.maximum(power / loudest, 1e-12)), LOWEST_DB)
        return levels_db, np.arange(power.shape[1]) / maker.frames_per_s, maker.centres_hz

    def hear(self, waveform: np.ndarray, rate_hz: int) -> np.ndarray:
        """Return a waveform as the network hears it: mono, float32, at its rate; errors as in `predict`."""
        waveform = np.asarray(waveform)
        if waveform.ndim not in (1, 2) or not waveform.size or waveform.dtype.kind not in "fiu":
            raise UsageError(
                f"a waveform is (T,) or (T, channels) numbers, T >= 1, not {waveform.dtype} {waveform.shape}"
            )
        if not rate_hz > 0:
            raise UsageError(f"rate_hz is samples a second, above 0, not {rate_hz}")
        if waveform.dtype.kind in "iu":
            full_scale = 2.0 ** (8 * waveform.dtype.itemsize - 1)
            waveform = waveform.astype(np.float64) / full_scale - (waveform.dtype.kind == "u")
        mono = waveform.astype(np.float32) if waveform.ndim == 1 else waveform.mean(axis=1, dtype=np.float32)
        if not np.isfinite(mono).all():
            raise RefusedError("the waveform holds samples that are no finite numbers")
        if rate_hz != self.sample_rate_hz:
            import soxr

            mono = soxr.resample(mono, rate_hz, self.sample_rate_hz, quality="HQ")
        return mono if len(mono) else np.zeros(1, np.float32)


def neutral_frame(bundle: Bundle) -> float:
    """Return the value of a frame that says nothing: the one whose feature is zero."""
    description = bundle.description
    if description.frontend.kind == "raw":
        return description.mean
    return max(0.0, float(np.exp(description.mean)) - description.frontend.floor)
