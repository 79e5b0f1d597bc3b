"""Saliency over time: for a transformer the attention of `<cls>` and its rollout, for a CNN occlusion."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from auricle.bundle.description import AttentionLayout
from auricle.bundle.windows import Windowing
from auricle.model.windows import mean_over_windows

OCCLUDED_S = 0.3
MOST_MOMENTS = 80
AT_ONCE = 16  # moments whose windows are predicted together


@dataclass(frozen=True, eq=False)
class Explanation:
    """Saliency of a prediction over time: attention for a transformer, drop in probability by occlusion for a CNN."""

    times_s: np.ndarray  # centres of the intervals, (T,)
    # attention of `<cls>` to each interval, (layers, heads, T), sums of 1; None for a CNN
    attention: np.ndarray | None = None
    rolled_out: np.ndarray | None = None  # its rollout over all layers (arXiv:2005.00928), (T,), sum 1; None for a CNN
    # drop of the label's probability when the interval is silenced, (T,), negative where it rises; None for a
    # transformer
    occlusion: np.ndarray | None = None


def rollout(maps: np.ndarray) -> np.ndarray:
    """Follow attention from the last layer to the input, the residual path as half of each step.

    S. Abnar, W. Zuidema, arXiv:2005.00928: A = (A_L + I)/2 ... (A_1 + I)/2, A_l the mean over heads. From maps
    (W, layers, heads, tokens, tokens) with row sums of 1, returns the share of each other token in `<cls>`,
    (W, tokens - 1), with sums of 1.
    """
    identity = np.eye(maps.shape[-1])
    through = np.broadcast_to(identity, (len(maps), *identity.shape))
    for layer in range(maps.shape[1]):
        through = (maps[:, layer].mean(axis=1) + identity) / 2 @ through
    read = through[:, 0, 1:]
    return read / np.maximum(read.sum(axis=-1, keepdims=True), 1e-12)


def attention_over_time(
    maps: np.ndarray, weights: np.ndarray, layout: AttentionLayout, windowing: Windowing, duration_s: float
) -> Explanation:
    """Place the attention of the windows of weight above 0 on one time axis, and average where they overlap.

    `maps` (W, layers, heads, tokens, tokens) belong to the windows of a clip, `weights` is (W,).
    """
    W, L, H = maps.shape[:3]
    heads = maps[:, :, :, 0, 1:].reshape(W, L, H, layout.num_rows, layout.num_steps).sum(axis=3)
    rolled = rollout(maps).reshape(W, 1, 1, layout.num_rows, layout.num_steps).sum(axis=3)
    step_s = windowing.window_s / layout.num_steps
    num = max(1, round(duration_s / step_s))
    both = np.concatenate([heads.reshape(W, L * H, -1), rolled.reshape(W, 1, -1)], axis=1)  # (W, L H + 1, steps)
    total, count = np.zeros((L * H + 1, num)), np.zeros(num)
    for start_s, window, weight in zip(windowing.starts_s(W), both, weights, strict=True):
        steps = round(start_s / step_s) + np.arange(layout.num_steps)
        counts = np.full(len(steps), weight) if windowing.clips.fullest else weight * (steps < num)
        np.add.at(total.T, steps % num, (window * counts).T)
        np.add.at(count, steps % num, counts)
    means = total / np.maximum(count, 1)
    means /= np.maximum(means.sum(axis=1, keepdims=True), 1e-12)
    return Explanation((np.arange(num) + 0.5) * step_s, means[:-1].reshape(L, H, num), means[-1])


def occlusion_over_time(
    frames: np.ndarray,
    windowing: Windowing,
    probabilities_of: Callable[[np.ndarray], np.ndarray],
    silence: float,
    duration_s: float,
) -> Explanation:
    """Silence one interval after the other and return the drop of the label's probability.

    `frames` (T, bands) are those of the whole recording, `silence` is the value of a silenced frame, and
    `probabilities_of` maps windows (W, bands, T) to (W, K).
    """
    times, weights = windowing.clips.times(len(frames)), windowing.clips.weights(frames.T)
    times, weights = times[weights > 0], weights[weights > 0]
    windows = windowing.cut_at(frames, times)
    whole = probabilities_of(windows)
    winner = int(mean_over_windows(whole, weights).argmax())
    num_moments = int(np.clip(round(duration_s / (OCCLUDED_S / 2)), 1, MOST_MOMENTS))
    times_s = (np.arange(num_moments) + 0.5) * duration_s / num_moments
    reach_s = max(OCCLUDED_S, 2 * duration_s / num_moments) / 2
    starts = np.round((times_s - reach_s) * windowing.frames_per_s)
    ends = np.maximum(starts + 1, np.round((times_s + reach_s) * windowing.frames_per_s))
    drop = np.zeros(num_moments)
    for first in range(0, num_moments, AT_ONCE):
        some = np.s_[first : first + AT_ONCE, None, None]
        inside = (times >= starts[some]) & (times < ends[some])  # (moments, W, window_frames)
        moments, touched = np.nonzero(inside.any(axis=2))
        if len(touched):
            silenced = inside[moments, touched] & (times[touched] < len(frames))
            now = probabilities_of(np.where(silenced[:, None], np.float32(silence), windows[touched]))
            lost = weights[touched] * (whole[touched, winner] - now[:, winner]) / weights.sum()
            np.add.at(drop, first + moments, lost)
    return Explanation(times_s, occlusion=drop)
