"""Jobs on a few made clips, in a module of its own so that other processes can import it."""

from pathlib import Path

import numpy as np

from auricle.config import load_preset
from auricle.data.cache import Recordings
from auricle.data.folds import Split
from auricle.data.manifest import Clip, Manifest
from auricle.runs import CellName, StudyFolder
from auricle.work.jobs import Job


def make_jobs(folder: Path, *models: str, num_folds: int = 1) -> list[Job]:
    """One job a model and fold, on six clips in a memory map."""
    folder.mkdir(exist_ok=True)
    np.arange(6 * 8, dtype="<f4").tofile(folder / "clips.f32")
    waveforms = np.memmap(folder / "clips.f32", "<f4", "r", shape=(6, 8))
    clips = tuple(Clip(Path(f"{n}.wav"), f"{n}.wav", "ab"[n % 2], 1 + n // 2, str(n)) for n in range(6))
    recordings = Recordings(Manifest("made", clips, 0.5), waveforms, 16, "digest")
    split = Split("k-fold", 2, np.array([4, 5]), np.array([2, 3]), np.array([0, 1]), False)
    presets = {model: load_preset(model, {"training.epochs": 2}) for model in models}
    cells = [StudyFolder(folder).cell(CellName(m, "k-fold", f, 0)) for f in range(num_folds) for m in models]
    return [Job(cell, presets[cell.name.model], split, recordings, "cpu", 1) for cell in cells]
