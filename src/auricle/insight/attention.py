"""What `<cls>` reads, summed up over windows."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from auricle.insight.record import Reading
from auricle.model.classifier import Classifier
from auricle.model.transformer import Encoder, attention_weights

BATCH = 128


@torch.inference_mode()
def cls_attention(model: Classifier, windows: Tensor) -> Tensor:
    """Return what `<cls>` reads from each token, frames (M, bands, T) -> (M, L, H, 1 + num_tokens); rows sum to 1."""
    encoder = model.summary
    assert isinstance(encoder, Encoder)
    rows = []
    for part in windows.split(BATCH):
        maps = attention_weights(encoder, model.base(model.frontend(part)))
        rows.append(torch.stack([weights[:, :, 0] for weights in maps], dim=1))  # (B, L, H, 1 + num_tokens)
    return torch.cat(rows)


def read(model: Classifier, windows: Tensor, labels: np.ndarray, num_classes: int) -> Reading | None:
    """Sum up the attention of `<cls>`; None for a network without an encoder.

    Args:
        model: ready to be asked.
        windows: frames of W windows of each of N clips, (N W, bands, T).
        labels: index of the class of each clip, (N,).
        num_classes: K.
    """
    encoder = model.summary
    if not isinstance(encoder, Encoder):
        return None
    attention = cls_attention(model, windows).double().cpu()
    entropy = -(attention * attention.clamp(min=1e-12).log()).sum(-1)
    pairs = torch.minimum(attention[:, :, :, None], attention[:, :, None])  # (M, L, H, H, tokens)
    moments = _over_moments(attention, encoder)
    of_class = loudness = None
    if moments is not None:
        of_class = _by_class(moments, labels, num_classes).numpy()
        levels = _levels(model, windows, moments.shape[-1])
        followed = _correlation(moments, levels[:, None, None])  # (M, L, H)
        loudness = followed.unflatten(0, (len(labels), -1)).mean(1).numpy()
    return Reading(
        num_tokens=attention.shape[-1],
        own=attention[..., 0].mean(0).numpy(),
        spread=entropy.exp().mean(0).numpy(),
        overlap=pairs.sum(-1).mean(0).numpy(),
        moments=of_class,
        loudness=loudness,
    )


def _over_moments(attention: Tensor, encoder: Encoder) -> Tensor | None:
    """Return the attention to each moment, (M, L, H, S), sums of 1 without what `<cls>` reads from itself."""
    if encoder.tokens == "channels":
        return None
    of_moments = attention[..., 1:].unflatten(-1, (-1, encoder.num_steps)).sum(-2)  # frequency is the slower axis
    return of_moments / of_moments.sum(-1, keepdim=True).clamp(min=1e-12)


def _by_class(moments: Tensor, labels: np.ndarray, num_classes: int) -> Tensor:
    """Return the mean over the windows of each class, (L, H, K, S); a class without clips has even attention."""
    of_window = torch.from_numpy(labels).repeat_interleave(len(moments) // len(labels))
    even = torch.full(moments.shape[1:], 1 / moments.shape[-1], dtype=moments.dtype)
    of_class = [
        moments[of_window == label].mean(0) if (of_window == label).any() else even for label in range(num_classes)
    ]
    return torch.stack(of_class, dim=2)


def _levels(model: Classifier, windows: Tensor, num_moments: int) -> Tensor:
    """Return how loud each moment of each window is, (M, S): the logarithm of its power."""
    power = (
        windows.double().cpu().abs().pow(2 if model.frontend.spectrum is None else 1).mean(1, keepdim=True)
    )  # (M, 1, T)
    return F.adaptive_avg_pool1d(power, num_moments)[:, 0].clamp(min=1e-10).log()


def _correlation(one: Tensor, other: Tensor) -> Tensor:
    """Return Pearson's correlation over the last axis; 0 where one does not change."""
    one, other = one - one.mean(-1, keepdim=True), other - other.mean(-1, keepdim=True)
    scale = (one.square().sum(-1) * other.square().sum(-1)).sqrt()
    return torch.where(scale > 1e-9, (one * other).sum(-1) / scale.clamp(min=1e-9), 0.0)
