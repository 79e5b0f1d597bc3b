"""Where a trained network looked in a recording; torch is imported when there are weights to ask."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from auricle.bundle.windows import Windowing
from auricle.config import Preset
from auricle.data.audio import load_waveform
from auricle.findings.mistakes import Mistake
from auricle.findings.study import Study
from auricle.predict.explain import Explanation, attention_over_time, occlusion_over_time
from auricle.runs import Cell, StudyFolder


def explain_mistakes(
    study: Study, mistakes: Iterable[Mistake], paths: Mapping[str, Path], duration_s: float
) -> dict[tuple[str, str], Explanation]:
    """Return where each model looked while it was mistaken, by model and clip, as far as its weights are there.

    Args:
        study: whose models they are.
        mistakes: each of one cell and clip.
        paths: clip to recording.
        duration_s: how much of each recording counts.

    Raises:
        RefusedError: weights that do not fit, or a recording that cannot be read.
    """
    clips = defaultdict(list)
    for mistake in mistakes:
        clips[mistake.cell].append(mistake.clip)
    return {
        (name.model, clip): explanation
        for name, asked in clips.items()
        for clip, explanation in explanations(
            StudyFolder(study.folder).cell(name),
            study.presets[name.model],
            len(study.dataset.categories),
            {clip: paths[clip] for clip in asked},
            duration_s,
        ).items()
    }


def explanations(
    cell: Cell, preset: Preset, num_classes: int, clips: Mapping[str, Path], duration_s: float
) -> dict[str, Explanation]:
    """Return where a cell's network looked in each clip: attention, or what it loses when a moment is silenced.

    Args:
        cell: finished; without its weights nothing is known.
        preset: of its model.
        num_classes: K.
        clips: name to recording.
        duration_s: how much of each counts.

    Raises:
        RefusedError: weights that do not fit, or a recording that cannot be read.
    """
    if not cell.weights.exists():
        return {}
    import torch

    from auricle.bundle.layout import attention_layout
    from auricle.model.transformer import Encoder, attention_weights
    from auricle.training.evaluate import window_probabilities
    from auricle.training.start import load_network

    network = load_network(cell, preset, num_classes)
    layout = attention_layout(network, preset)
    windowing = Windowing.of(preset.audio, network.frontend.frames_per_s)
    rate_hz = preset.audio.sample_rate_hz
    num = windowing.count(round(duration_s * rate_hz))

    def probabilities_of(windows: np.ndarray) -> np.ndarray:
        return window_probabilities(network, torch.from_numpy(windows)).double().numpy()

    found = {}
    for name, path in clips.items():
        waveform = load_waveform(path, sample_rate_hz=rate_hz, duration_s=duration_s)
        with torch.inference_mode():
            frames = network.frontend.frames(torch.from_numpy(waveform)[None])[0].T.contiguous().numpy()  # (T, bands)
            if layout is None:
                silence = float(network.frontend.neutral)
                found[name] = occlusion_over_time(frames, num, windowing, probabilities_of, silence, duration_s)
                continue
            windows = torch.from_numpy(windowing.cut(frames, num))  # (W, bands, T)
            assert isinstance(network.summary, Encoder)
            weights = attention_weights(network.summary, network.base(network.frontend(windows)))
            maps = torch.stack(weights, dim=1).double().numpy()  # (W, layers, H, tokens, tokens)
        found[name] = attention_over_time(maps, layout, windowing, duration_s)
    return found
