"""The model of a bundle, ready to run without PyTorch."""

import numpy as np

from auricle.bundle.description import NETWORK
from auricle.bundle.network import Network
from auricle.bundle.reading import Bundle
from auricle.bundle.windows import Windowing
from auricle.model.frames import FrameMaker
from auricle.scoring.calibration import softmax


class BundleModel:
    """Waveforms at the rate of a bundle to windows of frames, and those to calibrated probabilities."""

    def __init__(self, bundle: Bundle, *, threads: int | None = 1) -> None:
        description = bundle.description
        self.bundle = bundle
        self.maker = FrameMaker(description.audio, description.frontend)
        self.windowing = Windowing.of(description.audio, self.maker.frames_per_s)
        self.network = self.open_network(bundle.network, threads)

    def open_network(self, content: bytes, threads: int | None = 1) -> Network:
        """Open a network that takes our windows and knows our categories.

        Raises:
            RefusedError: it does not.
        """
        return Network(
            content,
            self.bundle.folder / NETWORK,
            window_shape=(self.maker.num_bands, self.windowing.window_frames),
            num_classes=len(self.bundle.description.categories),
            threads=threads,
        )

    def windows(self, waveform: np.ndarray) -> np.ndarray:
        """Return the windows of a whole recording at the bundle's rate, (samples,) -> (W, bands, T)."""
        return self.windowing.cut(self.maker.frames(waveform), self.windowing.count(len(waveform)))

    def probabilities(self, windows: np.ndarray, network: Network | None = None) -> np.ndarray:
        """Return calibrated probabilities, (W, bands, T) -> float64 (W, K), of our network or another one."""
        logits = (network or self.network).logits(windows)
        return softmax(logits, self.bundle.description.calibration.temperature)
