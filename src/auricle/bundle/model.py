"""The model of a bundle, ready to run without PyTorch."""

import numpy as np

from auricle.bundle.description import NETWORK
from auricle.bundle.network import WINDOWS_AT_ONCE, Network
from auricle.bundle.reading import Bundle
from auricle.bundle.windows import Windowing
from auricle.errors import RefusedError
from auricle.model.frames import FrameMaker
from auricle.scoring.calibration import softmax

MOST_BATCH_BYTES = 128 * 2**20  # of frames in one batch
MOST_WINDOW_BYTES = 2**30  # of all windows of a recording


class BundleModel:
    """Computes windows of frames from waveforms at the rate of a bundle, and calibrated probabilities from these."""

    def __init__(self, bundle: Bundle, *, threads: int | None = 1) -> None:
        description = bundle.description
        self.bundle = bundle
        self.maker = FrameMaker(description.audio, description.frontend)
        self.windowing = Windowing.of(description.audio, description.frontend)
        step_frames = max(self.windowing.window_frames, self.windowing.start_frame(1))
        most = MOST_BATCH_BYTES // (4 * self.maker.num_bands * step_frames)
        self.windows_at_once = min(max(1, most), WINDOWS_AT_ONCE)
        self.network = self.open_network(bundle.network, threads)

    def open_network(self, content: bytes, threads: int | None = 1) -> Network:
        """Open a network with the windows and categories of the description.

        Raises:
            RefusedError: it does not.
        """
        return Network(
            content,
            self.bundle.folder / NETWORK,
            window_shape=(self.maker.num_bands, self.windowing.window_frames),
            num_classes=len(self.bundle.description.categories),
            attention=self.bundle.description.attention,
            threads=threads,
        )

    def windows(self, waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the windows of a whole recording at the bundle's rate, and the weight of each.

        (samples,) -> (W, bands, T) and (W,).

        Raises:
            RefusedError: they would need more than `MOST_WINDOW_BYTES`.
        """
        frames = self.maker.frames(waveform)
        self.check_room(self.windowing.clips.count_frames(len(frames)))
        return self.windowing.cut_clip(frames), self.windowing.clips.weights(frames.T)

    def check_room(self, num_windows: int) -> None:
        """Raise the `RefusedError` of `windows` for so many windows."""
        num_bytes = 4 * num_windows * self.maker.num_bands * self.windowing.window_frames
        if num_bytes > MOST_WINDOW_BYTES:
            raise RefusedError(
                f"a recording of {num_windows} windows, {num_bytes / 2**30:.1f} GiB of frames; at most "
                f"{MOST_WINDOW_BYTES / 2**30:g} GiB are possible at once; cut it, or use auricle predict"
            )

    def window_probabilities(self, waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the calibrated probabilities and the weights of these windows: (samples,) -> (W, K) and (W,)."""
        frames = self.maker.frames(waveform)
        times = self.windowing.clips.times(len(frames))
        batches = range(0, len(times), self.windows_at_once)
        parts = [
            self.probabilities(self.windowing.cut_at(frames, times[at : at + self.windows_at_once])) for at in batches
        ]
        return np.concatenate(parts), self.windowing.clips.weights(frames.T)

    def probabilities(self, windows: np.ndarray, network: Network | None = None) -> np.ndarray:
        """Return calibrated probabilities, (W, bands, T) -> float64 (W, K), of our network or another one."""
        logits = (network or self.network).logits(windows)
        return softmax(logits, self.bundle.description.calibration.temperature)
