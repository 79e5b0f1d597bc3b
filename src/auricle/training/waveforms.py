"""A network that takes waveforms: returned by `auricle.create_model` for the user's own training loops."""

import torch
from torch import Tensor, nn

from auricle.config import Preset
from auricle.errors import UsageError
from auricle.model.classifier import Classifier, build_model
from auricle.model.windows import ClipWindows
from auricle.training.evaluate import cut_windows


class WaveformClassifier(nn.Module):
    """Waveforms to logits: frames, the scored windows of a clip, the network, and the mean over windows.

    Attributes:
        network: frontend, base, pool or encoder, and head; its input is the frames of one window.
        sample_rate_hz: of the waveforms.
        window_samples: length of the network's input; shorter waveforms are looped or padded, as the preset says.
    """

    def __init__(self, network: Classifier, preset: Preset) -> None:
        super().__init__()
        self.network = network
        self.sample_rate_hz = preset.audio.sample_rate_hz
        self.window_samples = round(preset.audio.window_s * preset.audio.sample_rate_hz)
        self.rule = ClipWindows.of(preset.audio, preset.frontend)

    @torch.no_grad()
    def normalise(self, waveforms: Tensor) -> None:
        """Fit the frontend to training waveforms, (N, T): all features together then have mean 0, deviation 1."""
        self.network.frontend.fit(self.network.frontend.frames(waveforms))

    def forward(self, waveforms: Tensor) -> Tensor:
        """Waveforms (B, T), mono, full scale 1, T >= 1 -> logits (B, K).

        If a clip has several windows, the logits are the logarithm of their mean probability.

        Raises:
            ValueError: not two dimensions.
        """
        if waveforms.ndim != 2 or not waveforms.shape[1]:
            raise ValueError(f"waveforms are (B, T), mono, T >= 1, not {tuple(waveforms.shape)}")
        frames = self.network.frontend.frames(waveforms)  # (B, F, T)
        windows = cut_windows(frames, self.rule)  # (B, W, F, window_frames)
        logits = self.network(windows.flatten(0, 1)).unflatten(0, windows.shape[:2])  # (B, W, K)
        if logits.shape[1] == 1:
            return logits[:, 0]
        weights = torch.stack([torch.from_numpy(self.rule.weights(each)) for each in frames.detach().cpu().numpy()])
        shares = (weights / weights.sum(1, keepdim=True)).to(logits)  # (B, W)
        return (logits.log_softmax(2) + shares.log()[..., None]).logsumexp(1)


def build_waveform_classifier(preset: Preset, num_classes: int) -> WaveformClassifier:
    """Return the network of a preset, initialised from torch's global generator.

    Raises:
        UsageError: fewer than two classes, or the model of the preset cannot be built.
    """
    if num_classes < 2:
        raise UsageError(f"a classifier needs at least two classes, not {num_classes}")
    return WaveformClassifier(build_model(preset, num_classes), preset)
