"""Probe a finished cell on its test clips: unchanged, changed, with parts masked; and the attention of `<cls>`."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from auricle.errors import RefusedError
from auricle.model.classifier import Classifier
from auricle.model.transformer import Encoder, attention_weights, reads_by_cls
from auricle.model.windows import ClipWindows, mean_over_windows
from auricle.probes.changes import band_edges_hz, blanked_bands, blanked_moments, networks, part_edges, sounds
from auricle.probes.record import AttentionReading, Blanked, Probe, ProbeAnswers
from auricle.runs.reopen import Reopened
from auricle.scoring.predictions import read_predictions
from auricle.training.evaluate import cut_windows, window_probabilities
from auricle.training.start import load_network

MOST_CLIPS = 400
BATCH = 128  # windows in a batch when attention is computed
LARGEST_DIFFERENCE = 0.02  # in probability, to allow for rounding on another processor


@dataclass(frozen=True, eq=False)
class Subject:
    """A network and the clips that it is probed with."""

    model: Classifier
    waveforms: Tensor  # (N, samples), on its device
    labels: np.ndarray
    rule: ClipWindows
    weights: np.ndarray  # of the windows of each unchanged clip, (N, W): also used where the sound is changed

    def windows(self, frames: Tensor) -> Tensor:
        """Cut the windows of each clip, (N, F, T) -> (N W, F, window_frames)."""
        return cut_windows(frames, self.rule).flatten(0, 1)

    def probabilities(self, frames: Tensor, model: Classifier | None = None) -> np.ndarray:
        """Return the probabilities of each clip, (N, F, T) -> (N, K)."""
        probabilities = window_probabilities(model or self.model, self.windows(frames)).cpu().double().numpy()
        return mean_over_windows(probabilities.reshape(*self.weights.shape, -1), self.weights)

    def answers(self, frames: Tensor, model: Classifier | None = None) -> ProbeAnswers:
        """Return the answers of the network, or of a changed one, to frames (N, F, T)."""
        probabilities = self.probabilities(frames, model)
        return ProbeAnswers(probabilities.argmax(1), probabilities[np.arange(len(self.labels)), self.labels])


def probe_cell(found: Reopened, *, device: torch.device) -> Probe:
    """Probe a finished cell with its test clips; of many, about 400 that its seed draws.

    Raises:
        RefusedError: the weights are missing or damaged, or do not reproduce the cell's predictions.
        UsageError: the model of the preset cannot be built.
    """
    manifest, preset = found.recordings.manifest, found.preset
    if preset.augmentation.mask_when_scored:
        raise RefusedError(f"{found.cell.folder}: it was scored with random masks, so no change can be measured")
    indices = found.split.test
    if len(indices) > MOST_CLIPS:
        indices = np.sort(np.random.default_rng(found.cell.name.seed).choice(indices, MOST_CLIPS, replace=False))
    model = load_network(found.cell, preset, len(manifest.categories)).to(device)
    waveforms = torch.from_numpy(np.array(found.recordings.waveforms[indices])).to(device)
    rule = ClipWindows.of(preset.audio, preset.frontend)
    with torch.inference_mode():
        weights = np.array([rule.weights(frames) for frames in model.frontend.frames(waveforms).cpu().numpy()])
    subject = Subject(model, waveforms, manifest.labels[indices], rule, weights)
    names = tuple(manifest.clips[index].name for index in indices)
    with torch.inference_mode():
        _check(found, names, subject)
        return _probe(found, names, subject)


def _check(found: Reopened, names: tuple[str, ...], subject: Subject) -> None:
    """Refuse weights that do not reproduce the predictions of the cell."""
    recorded = read_predictions(found.cell.predictions).of("test").by_clip()
    row_of = {clip: row for row, clip in enumerate(recorded.clips)}
    if any(name not in row_of for name in names):
        raise RefusedError(f"{found.cell.folder}: its predictions are for other test clips; run the study again")
    then = recorded.probabilities[[row_of[name] for name in names]]
    now = subject.probabilities(subject.model.frontend.frames(subject.waveforms))
    if then.shape != now.shape or np.abs(then - now).max() > LARGEST_DIFFERENCE:
        raise RefusedError(
            f"{found.cell.folder}: its weights do not reproduce its predictions: they are from another training, or "
            "from another version of auricle; run the study again"
        )


def _probe(found: Reopened, names: tuple[str, ...], subject: Subject) -> Probe:
    preset, clip_s = found.preset, found.recordings.manifest.clip_s
    rate_hz, frontend = preset.audio.sample_rate_hz, subject.model.frontend
    frames = frontend.frames(subject.waveforms)  # (N, F, T)
    changes = {
        name: subject.answers(frontend.frames(change(subject.waveforms))) for name, change in sounds(rate_hz).items()
    }
    generator = torch.Generator().manual_seed(found.cell.name.seed)
    changes |= {name: subject.answers(frames, changed) for name, changed in networks(subject.model, generator)}
    bands = tuple(map(subject.answers, blanked_bands(subject.waveforms, frontend, preset.frontend, rate_hz)))
    moments = tuple(map(subject.answers, blanked_moments(frames, frontend.neutral)))
    edges = part_edges(frames.shape[2])
    num_classes = len(found.recordings.manifest.categories)
    return Probe(
        clips=names,
        labels=subject.labels,
        window_s=preset.audio.window_s,
        plain=subject.answers(frames),
        changes=changes,
        bands=Blanked(np.array(band_edges_hz(preset.frontend, rate_hz)), bands),
        moments=Blanked(np.array(edges) * clip_s / frames.shape[2], moments),
        loudness=_loudness(subject.waveforms, len(edges) - 1),
        reading=read_attention(subject.model, subject.windows(frames), subject.labels, num_classes),
    )


def _loudness(waveforms: Tensor, num: int) -> np.ndarray:
    """Return the share of each clip's energy in each interval, (N, num); uniform for silence."""
    energy = torch.stack([part.square().sum(1) for part in waveforms.cpu().double().tensor_split(num, dim=1)], dim=1)
    energy = energy + 1e-12
    return (energy / energy.sum(1, keepdim=True)).numpy()


@torch.inference_mode()
def cls_attention(model: Classifier, windows: Tensor) -> Tensor:
    """Return the attention of `<cls>` to tokens, frames (M, bands, T) -> (M, L, H, 1 + num_tokens); rows sum to 1."""
    encoder = model.summary
    assert isinstance(encoder, Encoder)
    rows = []
    for part in windows.split(BATCH):
        maps = attention_weights(encoder, model.base(model.frontend(part)))
        rows.append(torch.stack([weights[:, :, 0] for weights in maps], dim=1))  # (B, L, H, 1 + num_tokens)
    return torch.cat(rows)


def read_attention(model: Classifier, windows: Tensor, labels: np.ndarray, num_classes: int) -> AttentionReading | None:
    """Summarise the attention of `<cls>` in windows (N W, bands, T) of clips with labels (N,); None without it."""
    encoder = model.summary
    if not isinstance(encoder, Encoder) or not reads_by_cls(encoder):
        return None
    attention = cls_attention(model, windows).cpu().double()
    entropy = -(attention * attention.clamp(min=1e-12).log()).sum(-1)
    pairs = torch.minimum(attention[:, :, :, None], attention[:, :, None])  # (M, L, H, H, tokens)
    moments = _over_moments(attention, encoder)
    of_class = loudness = None
    if moments is not None:
        of_class = _by_class(moments, labels, num_classes).numpy()
        levels = _levels(model, windows, moments.shape[-1])
        followed = _correlation(moments, levels[:, None, None])  # (M, L, H)
        loudness = followed.unflatten(0, (len(labels), -1)).mean(1).numpy()
    return AttentionReading(
        num_tokens=attention.shape[-1],
        own=attention[..., 0].mean(0).numpy(),
        spread=entropy.exp().mean(0).numpy(),
        overlap=pairs.sum(-1).mean(0).numpy(),
        moments=of_class,
        loudness=loudness,
    )


def _over_moments(attention: Tensor, encoder: Encoder) -> Tensor | None:
    """Return the attention to each time step, (M, L, H, S), with sums of 1, excluding that of `<cls>` to itself."""
    if encoder.tokens == "channels":
        return None
    of_moments = attention[..., 1:].unflatten(-1, (-1, encoder.num_steps)).sum(-2)  # frequency is the slower axis
    return of_moments / of_moments.sum(-1, keepdim=True).clamp(min=1e-12)


def _by_class(moments: Tensor, labels: np.ndarray, num_classes: int) -> Tensor:
    """Return the mean over the windows of each class, (L, H, K, S); a class without clips has uniform attention."""
    of_window = torch.from_numpy(labels).repeat_interleave(len(moments) // len(labels))
    even = torch.full(moments.shape[1:], 1 / moments.shape[-1], dtype=moments.dtype)
    of_class = [
        moments[of_window == label].mean(0) if (of_window == label).any() else even for label in range(num_classes)
    ]
    return torch.stack(of_class, dim=2)


def _levels(model: Classifier, windows: Tensor, num_moments: int) -> Tensor:
    """Return the loudness of each time step of each window, (M, S): the logarithm of its power."""
    exponent = 2 if model.frontend.spectrum is None else 1
    power = windows.cpu().double().abs().pow(exponent).mean(1, keepdim=True)  # (M, 1, T)
    return F.adaptive_avg_pool1d(power, num_moments)[:, 0].clamp(min=1e-10).log()


def _correlation(one: Tensor, other: Tensor) -> Tensor:
    """Return Pearson's correlation over the last axis; 0 where one of them is constant."""
    one, other = one - one.mean(-1, keepdim=True), other - other.mean(-1, keepdim=True)
    scale = (one.square().sum(-1) * other.square().sum(-1)).sqrt()
    return torch.where(scale > 1e-9, (one * other).sum(-1) / scale.clamp(min=1e-9), 0.0)
