"""One finished cell, probed with its test clips: as they are, changed, with parts blanked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from auricle.errors import RefusedError
from auricle.model.classifier import Classifier, window_frames, window_starts_s
from auricle.probes.attention import read
from auricle.probes.changes import band_edges_hz, blanked_bands, blanked_moments, moment_edges, networks, sounds
from auricle.probes.record import Blanked, Probe, ProbeAnswers
from auricle.runs.reopen import Reopened
from auricle.scoring.predictions import ClipPredictions, read_predictions
from auricle.training.evaluate import cut_windows, window_probabilities
from auricle.training.start import load_network

MOST_CLIPS = 400
LARGEST_DIFFERENCE = 0.02  # of a probability, where another processor rounds differently


@dataclass(frozen=True, eq=False)
class Subject:
    """A network and the clips that it is probed with.

    Attributes:
        model: in evaluation mode.
        waveforms: (N, samples), on its device.
        labels: (N,).
        starts: of the windows of a clip, in frames.
        num_frames: in a window.
    """

    model: Classifier
    waveforms: Tensor
    labels: np.ndarray
    starts: list[int]
    num_frames: int

    def windows(self, frames: Tensor) -> Tensor:
        """Cut the windows that score a clip, (N, F, T) -> (N W, F, num_frames)."""
        return cut_windows(frames, self.starts, self.num_frames).flatten(0, 1)

    def probabilities(self, frames: Tensor, model: Classifier | None = None) -> np.ndarray:
        """Return the mean probabilities over the windows of each clip, (N, F, T) -> (N, K)."""
        probabilities = window_probabilities(model or self.model, self.windows(frames))
        return probabilities.unflatten(0, (len(frames), -1)).mean(1).double().cpu().numpy()

    def answers(self, frames: Tensor, model: Classifier | None = None) -> ProbeAnswers:
        """Return what the network, or a changed one, says of frames (N, F, T)."""
        probabilities = self.probabilities(frames, model)
        return ProbeAnswers(probabilities.argmax(1), probabilities[np.arange(len(self.labels)), self.labels])


def probe_cell(found: Reopened, *, device: torch.device) -> Probe:
    """Probe a finished cell with its test clips; of many, about 400 that its seed draws.

    Args:
        found: the cell with its recordings.
        device: on which.

    Raises:
        RefusedError: the weights are missing or damaged, or do not say what the cell's predictions say.
        UsageError: the preset does not build.
    """
    manifest, preset = found.recordings.manifest, found.preset
    indices = _drawn(found.split.test, found.cell.name.seed)
    model = load_network(found.cell, preset, len(manifest.categories)).to(device)
    subject = Subject(
        model=model,
        waveforms=torch.from_numpy(np.array(found.recordings.waveforms[indices])).to(device),
        labels=manifest.labels[indices],
        starts=[round(start_s * model.frontend.frames_per_s) for start_s in window_starts_s(preset, manifest.clip_s)],
        num_frames=window_frames(preset, model.frontend),
    )
    names = tuple(manifest.clips[index].name for index in indices)
    with torch.inference_mode():
        _check(found, names, subject)
        return _probe(found, names, subject)


def _drawn(test: np.ndarray, seed: int) -> np.ndarray:
    if len(test) <= MOST_CLIPS:
        return test
    return np.sort(np.random.default_rng(seed).choice(test, MOST_CLIPS, replace=False))


def _check(found: Reopened, names: tuple[str, ...], subject: Subject) -> None:
    """Refuse weights that do not say what the cell's predictions say."""
    recorded: ClipPredictions = read_predictions(found.cell.predictions).of("test").by_clip()
    row_of = {clip: row for row, clip in enumerate(recorded.clips)}
    if any(name not in row_of for name in names):
        raise RefusedError(f"{found.cell.folder}: its predictions are of other test clips; run the study again")
    then = recorded.probabilities[[row_of[name] for name in names]]
    now = subject.probabilities(subject.model.frontend.frames(subject.waveforms))
    if then.shape != now.shape or np.abs(then - now).max() > LARGEST_DIFFERENCE:
        raise RefusedError(
            f"{found.cell.folder}: its weights do not say what its predictions say: they are of another training, or "
            "of another version of auricle; run the study again"
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
    edges = moment_edges(frames.shape[2])
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
        reading=read(subject.model, subject.windows(frames), subject.labels, num_classes),
    )


def _loudness(waveforms: Tensor, num: int) -> np.ndarray:
    """Return the share of each clip's energy in each of its moments, (N, num); even for silence."""
    energy = torch.stack([part.square().sum(1) for part in waveforms.double().tensor_split(num, dim=1)], dim=1)
    energy = energy + 1e-12
    return (energy / energy.sum(1, keepdim=True)).cpu().numpy()
