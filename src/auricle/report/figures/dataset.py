"""Figures of recordings: numbers of clips, waveforms and spectrograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from auricle.model.frames import band_edges_hz
from auricle.report.figures import style
from auricle.report.figures.drawing import drawing
from auricle.report.figures.style import HALF_IN, MUTED, SERIES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SAMPLE_IN = 1.3  # width; five fit side by side on a page
RANGE_DB = 70.0
LOWEST_HZ = 50.0
SMALLEST_POWER = 1e-20
NUM_BANDS = 64
MOST_FRAMES = 240
ENVELOPE_COLUMNS = 300


@drawing
def class_counts(counts: Mapping[str, Mapping[int, int]], folds: Sequence[int]) -> Figure:
    """Draw the number of clips of each class, with one shade per fold."""
    figure, axes = style.canvas(HALF_IN, 0.85 + style.class_row_in(len(counts)) * len(counts))
    left = np.zeros(len(counts))
    for index, fold in enumerate(folds):
        widths = np.array([by_fold[fold] for by_fold in counts.values()])
        shade = 0.95 - 0.75 * index / max(1, len(folds) - 1)
        bars = axes.barh(range(len(counts)), widths, 0.72, left, color=SERIES[0], alpha=shade, label=f"{fold}")
        if len(folds) * len(counts) <= 150:
            ink, texts = style.ink_on(SERIES[0], shade), [str(w) if w else "" for w in widths]
            axes.bar_label(bars, texts, label_type="center", fontsize=6, color=ink)
        left += widths
    style.name_classes(axes, list(counts), grid=False)
    axes.set_xlabel("clips")
    style.legend_above(axes, min(10, len(folds)), title="fold", title_fontsize=6.8)
    return figure


@drawing
def sample(waveform: np.ndarray, sample_rate_hz: int, title: str, *, small: bool = False) -> Figure:
    """Draw a clip, shape (T,) in [-1, 1]: its waveform above, its mel spectrogram below, on one axis of time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(SAMPLE_IN if small else HALF_IN, 1.2))
    above, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (1, 2.2), "hspace": 0.05})
    duration_s = len(waveform) / sample_rate_hz
    edges = np.linspace(0, len(waveform), min(ENVELOPE_COLUMNS, len(waveform)) + 1).astype(int)[:-1]
    time_s = edges / sample_rate_hz
    low, high = np.minimum.reduceat(waveform, edges), np.maximum.reduceat(waveform, edges)
    above.fill_between(time_s, low, high, color=MUTED, lw=0.4, step="post")
    reach = max(1e-3, float(np.abs(waveform).max()))
    above.set(ylim=(-1.05 * reach, 1.05 * reach), yticks=[])
    above.set_title(title, fontsize=7 if small else None)  # as wide as the figure, at most
    above.spines[["left", "bottom"]].set_visible(False)
    above.tick_params(bottom=False)
    levels_db, centres_hz = mel_levels(waveform, sample_rate_hz)
    below.imshow(levels_db, origin="lower", aspect="auto", cmap="magma", interpolation="none",
                 vmin=-RANGE_DB, vmax=0, extent=(0, duration_s, 0, NUM_BANDS))  # fmt: skip
    ticks_hz = [hz for hz in (200, 1000, 4000, 10000) if hz < sample_rate_hz / 2]
    below.set_yticks(
        np.interp(ticks_hz, centres_hz, np.arange(NUM_BANDS) + 0.5), [f"{hz / 1000:g} kHz" for hz in ticks_hz]
    )
    below.set(xlim=(0, duration_s))
    below.locator_params(axis="x", nbins=3 if small else 6)
    below.xaxis.set_major_formatter("{x:g} s")
    return figure


def mel_levels(waveform: np.ndarray, sample_rate_hz: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a mel spectrogram for the eye: levels in [-70, 0] dB, (64, frames), and the bands' centres in Hz, (64,).

    Hann windows of 64 ms, 16 ms apart; farther apart in clips, shape (T,), too long for 240 of them.
    """
    from scipy.signal import ShortTimeFFT
    from scipy.signal.windows import hann

    window = hann(round(0.064 * sample_rate_hz), sym=False)
    waveform = np.pad(np.asarray(waveform, dtype=np.float64), (0, max(0, len(window) - len(waveform))))
    hop = max(round(0.016 * sample_rate_hz), -(-len(waveform) // MOST_FRAMES))
    transform = ShortTimeFFT(window, hop=hop, fs=sample_rate_hz)
    num_frames = len(waveform) // hop + 1  # frame t is centred on sample t x hop
    power = transform.spectrogram(waveform, p0=0, p1=num_frames)  # (bins, frames)
    weights, centres_hz = _mel_weights(transform.f)
    bands = weights @ power  # (64, frames)
    loudest = max(float(bands.max()), SMALLEST_POWER)
    return np.clip(10 * np.log10(np.maximum(bands / loudest, SMALLEST_POWER)), -RANGE_DB, 0), centres_hz


def _mel_weights(bins_hz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of the bins in 64 triangles evenly spaced in mel, each row of sum 1, and their centres."""
    edges_hz = band_edges_hz(num_bands=NUM_BANDS, min_hz=LOWEST_HZ, max_hz=float(bins_hz[-1]))
    low, centre, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    weights = np.clip(np.minimum((bins_hz - low) / (centre - low), (high - bins_hz) / (high - centre)), 0, None)
    rows, nearest = np.arange(NUM_BANDS), np.abs(bins_hz - centre).argmin(axis=1)
    # a triangle narrower than a bin uses the nearest bin
    weights[rows, nearest] = np.maximum(weights[rows, nearest], 1e-3)
    return weights / weights.sum(axis=1, keepdims=True), edges_hz[1:-1]
