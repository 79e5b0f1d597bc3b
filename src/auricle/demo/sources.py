"""The models (of studies or bundles) and the example sounds of the demo."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Callable, Collection, Container, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from auricle.bundle.description import DESCRIPTION
from auricle.demo.page import Shown
from auricle.errors import RefusedError, UsageError, choices
from auricle.files import read_summed
from auricle.predict.classifier import Classifier
from auricle.report.figures.style import palette
from auricle.runs import Cell, StudyFolder
from auricle.runs.reopen import models_of, representative_cells

Say = Callable[[str], object]
MOST_EXAMPLES = 20


@dataclass(frozen=True)
class Example:
    """A sound to click: its name, and a waveform in [-1, 1] of shape (T,)."""

    name: str
    waveform: np.ndarray
    sample_rate_hz: int


def load_models(paths: Sequence[Path], scratch: Path, say: Say, models: Collection[str] = ()) -> list[Shown]:
    """Load the models of bundles and studies, in the order given; each model of a study in its colour in the report.

    For a study, one finished cell per model is exported if needed, to `scratch` if the study's folder is not writable.
    `say` is called with messages on progress, and on models that are left out, with the reason. `models`: only these
    models of studies.

    Raises:
        RefusedError: a folder is neither bundle nor study, or no model can be loaded.
        UsageError: no study has a model of that name, or no study is given.
    """
    offered = [each for path in paths for each in _bundles_of(path)]
    known = list(dict.fromkeys(name for name, of_study, _ in offered if of_study))
    if unknown := [model for model in models if model not in known]:
        if not known:
            raise UsageError("--model chooses models of a study, and only bundles are given; leave it out")
        raise choices("finished model", unknown[0], known)
    loaded: dict[str, Classifier] = {}
    refusals: list[RefusedError] = []
    for name, of_study, bundle in offered:
        if of_study and models and name not in models:
            continue
        try:
            loaded[unused(name, loaded)] = Classifier.load(bundle(scratch, say))
        except RefusedError as error:
            refusals.append(error)
            say(f"{name} is left out: {error}")
    if not loaded:
        raise refusals[0]
    study = StudyFolder(paths[0])
    of_one_study = len(paths) == 1 and study.description.is_file()
    colours = palette(list(dict.fromkeys([*(models_of(study) if of_one_study else ()), *loaded])))
    shown = []
    for name, classifier in loaded.items():
        about = ""
        description = classifier.model.bundle.description
        if scores := description.scores:
            about = f"{scores.measure} {100 * scores.accuracy:.1f} % on {scores.num_clips} test clips"
            if alarms := scores.false_alarms:
                about += f", {alarms.an_hour:.1f} false alarms per hour"
        shown.append(Shown(name, colours[name], classifier, about, description.calibration.num_clips > 0))
    return shown


def _bundles_of(path: Path) -> Iterator[tuple[str, bool, Callable[[Path, Say], Path]]]:
    """Yield, for a bundle or each model of a study, its name, whether it is of a study, and what returns its bundle."""
    if (path / DESCRIPTION).is_file():
        yield path.resolve().name, False, lambda scratch, say: path
    elif StudyFolder(path).description.is_file():
        for model, cell in representative_cells(path).items():
            yield model, True, partial(study_bundle, path, cell)
    else:
        raise RefusedError(f"{path}: neither a bundle (no {DESCRIPTION}) nor a study (no study.yaml)")


def unused(name: str, taken: Container[str]) -> str:
    """Return a name, with a number appended if it is taken.

    >>> unused("cnn", ["h1"]), unused("cnn", ["cnn", "cnn (2)"])
    ('cnn', 'cnn (3)')
    """
    numbered = (f"{name} ({number})" for number in itertools.count(2))
    return next(each for each in itertools.chain([name], numbered) if each not in taken)


def study_bundle(study: Path, cell: Cell, scratch: Path, say: Say) -> Path:
    """Return the bundle of a cell from STUDY/bundles/MODEL, exported now unless it is up to date."""
    kept = study / "bundles" / cell.name.model
    description = kept / DESCRIPTION
    if description.is_file() and description.stat().st_mtime >= cell.metrics.stat().st_mtime:
        return kept
    if not os.access(study, os.W_OK):
        say(f"{study} is not writable, so its bundles are exported for this session only")
        kept = scratch / "bundles" / cell.name.model
    from auricle.bundle.export import export_cell

    say(f"exporting the bundle of {cell.name} to {kept}")
    export_cell(cell.folder, kept, on_progress=lambda message: say(f"  {message}"))
    return kept


def load_examples(paths: Sequence[Path]) -> list[Example]:
    """Return one clip per class from the first study among the paths (or above a bundle); else synthetic sounds.

    A `RefusedError` if the file of these clips is damaged.
    """
    for path in paths:
        for folder in (path, *path.resolve().parents[:2]):
            if (file := StudyFolder(folder).samples).is_file():
                with np.load(io.BytesIO(read_summed(file)), allow_pickle=False) as samples:
                    rate_hz, names = int(samples["sample_rate_hz"]), samples["categories"].tolist()
                    waveforms = samples["waveforms"][:MOST_EXAMPLES].astype(np.float32) / 32767
                return [Example(name, sound, rate_hz) for name, sound in zip(names, waveforms, strict=False)]
    from auricle.data.toy import CLASSES, SAMPLE_RATE_HZ, make_clip

    return [Example(name, make_clip(name, 0, 0) / np.float32(32767), SAMPLE_RATE_HZ) for name in CLASSES]
