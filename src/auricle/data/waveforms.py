"""Check an array given as a waveform, and mix it down."""

from __future__ import annotations

import numpy as np

from auricle.errors import RefusedError, UsageError


def mono_waveform(waveform: np.ndarray) -> np.ndarray:
    """Return a waveform as mono, float32 (T,): (T,), (T, channels) or (channels, T), floats or integers, T >= 1.

    The full scale of floats is 1. Of two axes, channels are the one of length 1, or the only one of at most 32.

    Raises:
        UsageError: not such an array, or both axes could be the channels.
        RefusedError: it contains samples that are not finite.
    """
    if waveform.ndim not in (1, 2) or not waveform.size or waveform.dtype.kind not in "fiu":
        raise UsageError(
            f"a waveform is (T,), (T, channels) or (channels, T) numbers, T >= 1, not {waveform.dtype} {waveform.shape}"
        )
    if waveform.dtype.kind in "iu":
        full_scale = 2.0 ** (8 * waveform.dtype.itemsize - 1)
        waveform = waveform.astype(np.float64) / full_scale - (waveform.dtype.kind == "u")
    if waveform.ndim == 2:
        waveform = waveform.mean(axis=_channel_axis(waveform.shape), dtype=np.float32)
    mono = waveform.astype(np.float32)
    if not np.isfinite(mono).all():
        raise RefusedError("the waveform contains samples that are not finite")
    return mono


def _channel_axis(shape: tuple[int, ...]) -> int:
    """Return the axis of the channels.

    >>> _channel_axis((44_100, 2)), _channel_axis((2, 44_100)), _channel_axis((1, 20)), _channel_axis((20, 1))
    (1, 0, 0, 1)

    Raises:
        UsageError: it could be both, or neither.
    """
    from auricle.data.audio import MAX_CHANNELS

    few = [axis for axis in (1, 0) if shape[axis] == 1] or [axis for axis in (1, 0) if shape[axis] <= MAX_CHANNELS]
    if len(few) == 1 or shape == (1, 1):
        return few[0]
    which = f"either axis could be the channels (1 to {MAX_CHANNELS})" if few else f"more than {MAX_CHANNELS} channels"
    raise UsageError(f"a waveform of shape {shape}: {which}; give one channel, (T,), or their mean")
