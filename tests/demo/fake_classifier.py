"""A stand-in for a trained model: it names the octave in which a sound is loudest, and looks where it is loud."""

import itertools
from dataclasses import dataclass

import numpy as np

CATEGORIES = ("bass_drum", "flute", "whistle")
EDGES_HZ = (300.0, 2_000.0)


@dataclass(frozen=True)
class FakePrediction:
    probabilities: np.ndarray
    label: str
    starts_s: np.ndarray
    window_probabilities: np.ndarray
    none_of_these: bool


@dataclass(frozen=True)
class FakeExplanation:
    times_s: np.ndarray
    attention: np.ndarray | None
    rolled_out: np.ndarray | None
    occlusion: np.ndarray | None


@dataclass(frozen=True)
class FakeClassifier:
    num_heads: int = 0  # 0: a CNN
    num_layers: int = 2
    categories: tuple[str, ...] = CATEGORIES
    sample_rate_hz: int = 16_000
    window_s: float = 1.0
    clip_s: float = 60.0

    def predict(self, waveform: np.ndarray, rate_hz: int) -> FakePrediction:
        power = np.abs(np.fft.rfft(waveform)) ** 2
        loudest_hz = np.fft.rfftfreq(len(waveform), 1 / rate_hz)[power.argmax()]
        probabilities = np.full(len(self.categories), 0.1 / (len(self.categories) - 1))
        place = int(np.searchsorted(EDGES_HZ, loudest_hz))
        probabilities[place] = 0.9
        return FakePrediction(probabilities, self.categories[place], np.zeros(1), probabilities[None], False)

    def explain(self, waveform: np.ndarray, rate_hz: int) -> FakeExplanation:
        edges = np.linspace(0, len(waveform), 26).astype(int)
        times_s = (edges[1:] + edges[:-1]) / 2 / rate_hz
        loud = np.array([np.square(waveform[low:high]).sum() for low, high in itertools.pairwise(edges)])
        loud = loud / loud.sum()
        if not self.num_heads:
            return FakeExplanation(times_s, None, None, loud)
        attention = np.stack([np.stack([np.roll(loud, layer + head) for head in range(self.num_heads)])
                              for layer in range(self.num_layers)])  # fmt: skip
        return FakeExplanation(times_s, attention, loud, None)

    def spectrogram(self, waveform: np.ndarray, rate_hz: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        generator = np.random.default_rng(0)
        return -70 * generator.random((64, 50)), np.arange(50) / 10, np.geomspace(60, 7_800, 64)


def tone(frequency_hz: float, duration_s: float = 1.0, rate_hz: int = 16_000) -> np.ndarray:
    times_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    return (0.5 * np.sin(2 * np.pi * frequency_hz * times_s)).astype(np.float32)
