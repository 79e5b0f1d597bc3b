"""The mistakes worth listening to: clips misclassified with the highest confidence, and the saliency of the model.

torch is only imported where weights are available.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auricle.bundle.windows import Windowing
from auricle.config import Preset
from auricle.data.audio import load_waveform
from auricle.findings.study import CellEvidence, Study
from auricle.predict.explain import Explanation, attention_over_time, occlusion_over_time
from auricle.runs import Cell, CellName, StudyFolder

MOST = 20  # of a model


@dataclass(frozen=True)
class Mistake:
    """A clip that a model misclassified, in the cell with the highest confidence in the wrong class."""

    clip: str
    cell: CellName
    truth: int
    answer: int  # index of the predicted category
    probabilities: tuple[float, ...]  # of every category in that cell, 0..1
    num_wrong: int  # number of cells of the model that misclassified it
    num_tested: int  # number of cells that tested it

    @property
    def confidence(self) -> float:
        """The probability of the wrong answer."""
        return self.probabilities[self.answer]

    @property
    def rank(self) -> tuple[float, str]:
        """The sort key of mistakes, the most confident first."""
        return (-self.confidence, self.clip)


def most_confident(study: Study, most: int = MOST) -> list[list[Mistake]]:
    """Return the mistakes to listen to, by clip: at most `MOST` of each model, the most confident first.

    Clips are sorted by their most confident mistake; the mistakes of a clip are in the order of the models.
    """
    by_clip: defaultdict[str, list[Mistake]] = defaultdict(list)
    for model in study.models:
        cells = [cell for cell in study.cells if cell.name.model == model and "same_as" not in cell.costs]
        for mistake in sorted(_mistakes(cells), key=lambda mistake: mistake.rank)[:most]:
            by_clip[mistake.clip].append(mistake)
    return sorted(by_clip.values(), key=lambda mistakes: min(mistake.rank for mistake in mistakes))


def _mistakes(cells: Sequence[CellEvidence]) -> list[Mistake]:
    """Return one mistake for each clip that at least one cell of a model misclassified."""
    num_tested = Counter(clip for cell in cells for clip in cell.clips.clips)
    wrong: defaultdict[str, list[tuple[CellEvidence, int]]] = defaultdict(list)
    for cell in cells:
        for index in np.flatnonzero(cell.clips.answers != cell.clips.labels).tolist():
            wrong[cell.clips.clips[index]].append((cell, index))
    found = []
    for clip, answers in wrong.items():
        cell, index = max(answers, key=lambda answer: answer[0].clips.probabilities[answer[1]].max())
        truth, answer = int(cell.clips.labels[index]), int(cell.clips.answers[index])
        probabilities = tuple(cell.clips.probabilities[index].tolist())
        found.append(Mistake(clip, cell.name, truth, answer, probabilities, len(answers), num_tested[clip]))
    return found


def explain_mistakes(
    study: Study,
    mistakes: Sequence[Mistake],
    paths: Mapping[str, Path],
    duration_s: float,
    on_progress: Callable[[int, int], None],
) -> dict[tuple[str, str], Explanation]:
    """Return the saliency of each mistake by model and clip, where the weights of the model are available.

    `on_progress` is called with the number of cells done and their total number.

    Raises:
        RefusedError: weights that do not fit, or a recording that cannot be read.
    """
    found: dict[tuple[str, str], Explanation] = {}
    names = list(dict.fromkeys(mistake.cell for mistake in mistakes))
    for number, name in enumerate(names):
        on_progress(number, len(names))
        clips = {mistake.clip: paths[mistake.clip] for mistake in mistakes if mistake.cell == name}
        cell, preset = StudyFolder(study.folder).cell(name), study.presets[name.model]
        saliency = explanations(cell, preset, len(study.dataset.categories), clips, duration_s)
        found |= {(name.model, clip): explanation for clip, explanation in saliency.items()}
    return found


def explanations(
    cell: Cell, preset: Preset, num_classes: int, clips: Mapping[str, Path], duration_s: float
) -> dict[str, Explanation]:
    """Return the saliency of a cell's network for each clip: attention, or the drop in probability by occlusion.

    Empty without the weights of the cell.

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
    windowing, rate_hz = Windowing.of(preset.audio, preset.frontend), preset.audio.sample_rate_hz

    def probabilities_of(windows: np.ndarray) -> np.ndarray:
        return window_probabilities(network, torch.from_numpy(windows)).double().numpy()

    found = {}
    for name, path in clips.items():
        waveform = load_waveform(path, sample_rate_hz=rate_hz, duration_s=duration_s)
        with torch.inference_mode():
            frames = network.frontend.frames(torch.from_numpy(waveform)[None])[0].T.contiguous().numpy()  # (T, bands)
            if layout is None:
                silence = float(network.frontend.neutral)
                found[name] = occlusion_over_time(frames, windowing, probabilities_of, silence, duration_s)
                continue
            windows = torch.from_numpy(windowing.cut_clip(frames))  # (W, bands, T)
            assert isinstance(network.summary, Encoder)
            read = attention_weights(network.summary, network.base(network.frontend(windows)))
            maps = torch.stack(read, dim=1).double().numpy()  # (W, layers, H, tokens, tokens)
        found[name] = attention_over_time(maps, windowing.clips.weights(frames.T), layout, windowing, duration_s)
    return found
