"""Compare PyTorch and ONNX Runtime on 1,000 sounds before a bundle is accepted."""

from collections.abc import Iterator

import numpy as np
import torch

from auricle.bundle.description import STANDALONE
from auricle.bundle.model import BundleModel
from auricle.bundle.network import open_session
from auricle.bundle.reading import Bundle
from auricle.bundle.windows import Windowing
from auricle.errors import RefusedError
from auricle.model.classifier import Network
from auricle.model.windows import mean_over_windows
from auricle.scoring.calibration import softmax
from auricle.training.evaluate import cut_windows

NUM_SOUNDS = 1_000
TOLERANCE = 1e-4  # in probability at a temperature of 1 or more; one below 1 amplifies differences of logits
BATCHES = (1, 2, 7)
KINDS = ("silence", "noise", "faint noise", "clipping", "tone", "click")


def check_parity(network: Network, bundle: Bundle) -> None:
    """Compare PyTorch with model.onnx, and with network.onnx as `BundleModel` (and so `Classifier.predict`) runs it.

    A `RefusedError` describes a sound for which a probability differs by more than `TOLERANCE`, or the answer changes.
    """
    standalone = open_session((bundle.folder / STANDALONE).read_bytes())
    model = BundleModel(bundle)
    temperature = bundle.description.calibration.temperature
    accepted = TOLERANCE / min(1.0, temperature)
    for kind, waveforms in sounds(model.windowing, NUM_SOUNDS):
        truth = torch_probabilities(network, model.windowing, waveforms, temperature)
        answers = {
            "model.onnx": softmax(standalone.run(["logits"], {"waveform": waveforms})[0]),
            "network.onnx": np.stack(
                [mean_over_windows(*model.window_probabilities(waveform)) for waveform in waveforms]
            ),
        }
        for name, answer in answers.items():
            if (apart := _apart(truth, answer)) > accepted:
                batch, samples = waveforms.shape
                raise RefusedError(
                    f"{name} and PyTorch differ by {apart:.3g} in probability (at most {accepted:.3g} is accepted) on "
                    f"{kind} of {samples} samples in a batch of {batch}; nothing was exported"
                )


def _apart(truth: np.ndarray, answer: np.ndarray) -> float:
    """Return the largest difference, (B, K) each; infinite where a value is not a number.

    A different answer counts by how far it is behind in PyTorch: if both classes differ by less than half the
    tolerance, the answers can only differ where the classes tie within the tolerance, which is accepted.
    """
    if not np.isfinite(answer).all():
        return float("inf")
    rows = np.arange(len(truth))
    lost = truth.max(axis=1) - truth[rows, answer.argmax(axis=1)]  # lead of PyTorch's class over the other answer
    return float(max(np.abs(truth - answer).max(), lost.max()))


def sounds(windowing: Windowing, num_sounds: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield kinds and batches, (B, samples) float32, `num_sounds` waveforms in all."""
    generator = np.random.default_rng(0)
    lengths = boundary_lengths(windowing)
    num_left, batch = num_sounds, 0
    while num_left > 0:
        size, samples = min(num_left, BATCHES[batch % len(BATCHES)]), lengths[batch % len(lengths)]
        is_mixture = batch % 5 == 0
        kinds = [KINDS[(batch + row if is_mixture else batch) % len(KINDS)] for row in range(size)]
        yield (
            "a mixture" if is_mixture else kinds[0],
            np.stack([_waveform_of(kind, samples, generator) for kind in kinds]),
        )
        num_left, batch = num_left - size, batch + 1


def boundary_lengths(windowing: Windowing) -> list[int]:
    """Return lengths in samples: one sample, and all lengths around those with one window or frame more."""
    window, hop = windowing.window_samples, windowing.hop_samples
    frame = round(windowing.rate_hz / windowing.frames_per_s)
    slack = windowing.slack_samples  # with more samples, there is another window
    edges = [window, window + slack, window + hop + slack, window + 2 * hop + slack, 2 * frame, window + frame]
    edges += [num * hop + slack + at * frame for num in range(window // hop, window // hop + 3) for at in (0, 1)]
    around = range(-10, 11)
    lengths = {1, 2, 3, window // 2, window + hop // 2}
    lengths |= {edge + offset for edge in edges for offset in around}
    return sorted(length for length in lengths if length >= 1)


def _waveform_of(kind: str, samples: int, generator: np.random.Generator) -> np.ndarray:
    noise = generator.standard_normal(samples)
    if kind == "click":
        noise = np.zeros(samples)
        noise[generator.integers(samples)] = 1.0
    elif kind == "tone":
        noise = 0.5 * np.sin(2 * np.pi * generator.uniform(0.005, 0.45) * np.arange(samples))
    else:
        level = {"silence": 0.0, "noise": 0.1, "faint noise": 1e-4, "clipping": 5.0}[kind]
        noise = np.clip(noise * level, -1.0, 1.0)
    return noise.astype(np.float32)


@torch.inference_mode()
def torch_probabilities(
    network: Network, windowing: Windowing, waveforms: np.ndarray, temperature: float
) -> np.ndarray:
    """Return the probabilities of PyTorch, (B, samples) -> (B, K), with the frames and windows of training."""
    frames = network.frontend.frames(torch.from_numpy(waveforms))
    windows = cut_windows(frames, windowing.clips)  # (B, W, F, T)
    logits = network(windows.flatten(0, 1)) / temperature
    probabilities = logits.double().softmax(1).unflatten(0, windows.shape[:2]).numpy()
    return mean_over_windows(probabilities, np.array([windowing.clips.weights(each) for each in frames.numpy()]))
