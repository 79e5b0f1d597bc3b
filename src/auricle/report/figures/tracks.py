"""Pictures of a sound, as HTML: waveform, spectrogram and saliency of a model, below each other on one time axis.

      |~~~~ waveform ~~~~|
   Hz |## spectrogram ###|   every track is as wide as the recording is long, whatever the page's width,
      |..__ saliency _..__|   so everything below a point in time belongs to it
L1 H1 |= strip per head =|
      0 s              5 s
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup
from PIL import Image

if TYPE_CHECKING:
    from auricle.predict.explain import Explanation

RANGE_DB = 70.0
ENVELOPE_COLUMNS = 600
STRIP_COLUMNS = 600
MOST_SPECTRA = 1600
TICKS_HZ = (100, 500, 1000, 2000, 4000, 8000)


def waveform_track(waveform: np.ndarray) -> Markup:
    """Draw the lowest and highest sample of each of up to 600 stretches of a waveform, shape (T,), T >= 1."""
    edges = np.linspace(0, len(waveform), min(ENVELOPE_COLUMNS, len(waveform)) + 1).astype(int)[:-1]
    reach = max(1e-6, float(np.abs(waveform).max()))
    high = -np.maximum.reduceat(waveform, edges) / reach
    low = -np.minimum.reduceat(waveform, edges) / reach
    centres = (np.arange(len(edges)) + 0.5) / len(edges)
    outline = [*zip(centres, high - 0.01, strict=True), *zip(centres[::-1], low[::-1] + 0.01, strict=True)]
    return _drawing(outline, 210)


def curve_track(times_s: np.ndarray, values: np.ndarray, duration_s: float) -> Markup:
    """Draw a filled curve from zero up to its own maximum; what is below zero is drawn as zero.

    Times are increasing, with one value each, both (T,), T >= 1; the track ends at `duration_s`.
    """
    heights = -relative(values)
    inside = zip(np.clip(times_s / duration_s, 0, 1), heights, strict=True)
    outline = [(0.0, 0.0), (0.0, heights[0]), *inside, (1.0, heights[-1]), (1.0, 0.0)]
    return _drawing(outline, 105)


def _drawing(outline: Sequence[tuple[float, float]], height: int) -> Markup:
    """Return a filled outline as SVG that stretches with its track; x from 0 to 1, y down from -1.05."""
    points = " ".join(f"{1000 * x:.1f},{100 * y:.1f}" for x, y in outline)
    box = f"0 -105 1000 {height}"
    svg = f'<svg viewBox="{box}" preserveAspectRatio="none" aria-hidden="true"><polygon points="{points}"/></svg>'
    return Markup(svg)


def spectrogram_track(levels_db: np.ndarray, centres_hz: np.ndarray) -> Markup:
    """Draw a spectrogram, (bands, T), 70 dB below its loudest point upwards, lowest band at the bottom."""
    from matplotlib import colormaps

    step = -(-levels_db.shape[1] // MOST_SPECTRA)
    levels = np.clip((levels_db[::-1, ::step] - levels_db.max()) / RANGE_DB + 1, 0, 1)  # top band first
    return _image(colormaps["magma"](levels, bytes=True)[..., :3]) + hz_marks(centres_hz)


def hz_marks(centres_hz: np.ndarray) -> Markup:
    """Return the marks of the axis of frequency beside a spectrogram of bands with these centres, (bands,)."""
    marks = []
    for hz in TICKS_HZ:
        if centres_hz[0] <= hz <= centres_hz[-1]:
            height = (np.interp(hz, centres_hz, np.arange(len(centres_hz))) + 0.5) / len(centres_hz)
            text = f"{hz / 1000:g}k" if hz >= 1000 else f"{hz}"
            marks.append(f'<span class="au-hz" style="bottom:{100 * height:.1f}%">{text}</span>')
    return Markup("".join(marks))


def strip_track(times_s: np.ndarray, values: np.ndarray, duration_s: float, colour: str) -> Markup:
    """Draw values as the depth of a colour ("#rrggbb") along time, each holding until half way to its neighbours.

    As `curve_track`; the largest value is in full colour.
    """
    columns_s = (np.arange(STRIP_COLUMNS) + 0.5) / STRIP_COLUMNS * duration_s
    nearest = np.searchsorted((times_s[1:] + times_s[:-1]) / 2, columns_s)  # (columns,)
    pixels = np.empty((1, STRIP_COLUMNS, 4), np.uint8)
    pixels[..., :3] = [int(colour[digit : digit + 2], 16) for digit in (1, 3, 5)]
    pixels[0, :, 3] = np.round(255 * relative(values)[nearest])
    return _image(pixels)


def axis_track(duration_s: float) -> Markup:
    """Return the marks of the axis of time, at round numbers of seconds, five or so of them."""
    step = next((step for step in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if duration_s / step <= 6), 60)
    times_s = np.arange(0, duration_s * (1 + 1e-9), step)
    marks = (f'<span class="au-time" style="left:{100 * at / duration_s:.2f}%">{at:g} s</span>' for at in times_s)
    return Markup("".join(marks))


@dataclass(frozen=True)
class Saliency:
    """The saliency of a model: a curve, and for a transformer one strip per head with its label."""

    curve: Markup
    strips: tuple[tuple[str, Markup], ...]
    num_layers: int

    @property
    def num_bytes(self) -> int:
        """Return how long the drawings are."""
        return len(self.curve) + sum(len(strip) for _, strip in self.strips)


def saliency_tracks(explanation: Explanation, duration_s: float, colour: str) -> Saliency:
    """Draw the saliency of a model in its colour ("#rrggbb")."""
    times_s, attention = explanation.times_s, explanation.attention
    strips = [
        (f"L{layer} H{head}", strip_track(times_s, values, duration_s, colour))
        for layer, heads in enumerate(() if attention is None else attention, 1)
        for head, values in enumerate(heads, 1)
    ]
    values = explanation.occlusion if explanation.rolled_out is None else explanation.rolled_out
    assert values is not None
    num_layers = 0 if attention is None else len(attention)
    return Saliency(curve_track(times_s, values, duration_s), tuple(strips), num_layers)


def relative(values: np.ndarray) -> np.ndarray:
    """Return values as shares of the largest, in [0, 1]; all zero where none is above zero.

    >>> relative(np.array([-1.0, 1.0, 2.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    positive = np.maximum(np.nan_to_num(values), 0)
    return positive / max(float(positive.max(initial=0)), 1e-12)


def _image(pixels: np.ndarray) -> Markup:
    """Return pixels (height, width, 3 or 4) as an image inside the page."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return Markup(f'<img alt="" src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">')
