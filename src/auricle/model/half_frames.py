"""What is cached of recordings that are too many to be kept as waveforms: their frames, in half precision."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

import numpy as np

from auricle.config import AudioConfig, FrontendConfig, Preset
from auricle.data.cache import Recordings, keeps_frames, prepare
from auricle.data.manifest import Manifest
from auricle.data.store import cache_folder
from auricle.errors import UsageError
from auricle.model.frames import FrameMaker

FRAMES_VERSION = 1  # of the rows; raise it when frames are computed otherwise
OF_FRAMES = ("num_bands", "transform_ms", "hop_ms", "min_hz", "max_hz")  # fields that shape the frames of a spectrum
MOST_MEASURED = 2048  # clips of a set of many that its learning curve is measured on
LARGEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class HalfFrames:
    """The frames of a frontend in float16, (F, T); models whose frames are alike share them.

    Of power the fourth root is kept: power of a full scale sound passes 65,504, where float16 ends, and its root does
    so in recordings that are not scaled. It is exact to 0.1 % at any loudness, so its logarithm to 0.001: less than a
    tenth of what bfloat16 makes of it in the network.
    """

    audio: AudioConfig
    frontend: FrontendConfig

    @classmethod
    def of(cls, preset: Preset) -> HalfFrames:
        """Return that of a preset, without the fields that do not shape its frames."""
        asked = preset.frontend
        fields = {} if asked.kind == "raw" else {name: getattr(asked, name) for name in OF_FRAMES}
        kind = "raw" if asked.kind == "raw" else "log-mel"
        return cls(AudioConfig(sample_rate_hz=preset.audio.sample_rate_hz), FrontendConfig(kind=kind, **fields))

    @property
    def key(self) -> str:
        """All that shapes the rows."""
        return f"{FRAMES_VERSION} {self.audio.model_dump_json()} {self.frontend.model_dump_json()}"

    @property
    def num_roots(self) -> int:
        """How often the square root of frames is taken before they are kept."""
        return 0 if self.frontend.kind == "raw" else 2

    def row_shape(self, num_samples: int) -> tuple[int, int]:
        """Return (F, T) of so many samples."""
        maker = _maker(self)
        whole = num_samples - maker.transform_samples % 2  # the margins of an odd length are one sample short of it
        return maker.num_bands, num_samples if maker.raw else 1 + whole // maker.hop_samples

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        """Return what is kept of a waveform, (samples,) -> float16 (F, T)."""
        frames = _maker(self).frames(waveform).T
        for _ in range(self.num_roots):
            frames = np.sqrt(frames)
        return np.clip(frames, -LARGEST, LARGEST).astype(np.float16)


@cache
def _maker(form: HalfFrames) -> FrameMaker:
    return FrameMaker(form.audio, form.frontend)


def prepare_for(
    presets: Iterable[Preset],
    manifest: Manifest,
    sample_rate_hz: int,
    *,
    on_note: Callable[[str], object] | None = None,
    **options: Any,
) -> Recordings:
    """Prepare recordings (`data.cache.prepare`) for those of the models with this sample rate.

    `on_note` is called, before anything is decoded, with a message about where frames are stored and their size.

    Raises:
        UsageError: a model needs an option that is not available for large data.
    """
    own = [preset for preset in presets if preset.audio.sample_rate_hz == sample_rate_hz]
    forms = dict.fromkeys(map(HalfFrames.of, own))
    is_large = keeps_frames(len(manifest.clips), manifest.clip_s, sample_rate_hz)
    if is_large and (of_grid := [preset.name for preset in own if preset.training.windows == "grid"]):
        reason = f"{len(manifest.clips):,} clips are too many for training.windows=grid, which stores every window"
        raise UsageError(f"preset {of_grid[0]}: {reason}; choose random, or leave the model out with --models")
    if is_large and on_note:
        num, num_samples = len(manifest.clips), round(manifest.clip_s * sample_rate_hz)
        kept_gb = sum(2e-9 * num * prod(form.row_shape(num_samples)) for form in forms)
        instead = f"instead of {4e-9 * num * num_samples:.1f} GB of waveforms"
        on_note(f"frames of {num:,} clips are stored, {kept_gb:.1f} GB in {cache_folder()}, {instead}")
    return prepare(manifest, sample_rate_hz=sample_rate_hz, forms=forms, **options)
