"""Read a study folder, once; all findings about a study are computed from this.

Scores are recomputed from each cell's predictions.csv; only the costs of a cell are from metrics.json.
"""

import shlex
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from auricle.config import Preset, StudyConfig
from auricle.config.reading import load_record
from auricle.errors import RefusedError, listing
from auricle.files import read_sealed
from auricle.findings.dataset import Dataset, Samples, read_dataset, read_samples
from auricle.runs import Cell, CellName, StudyFolder, commands_of, read_history, read_metrics
from auricle.runs.plan import cells_by_model
from auricle.scoring.answers import Answers, Training
from auricle.scoring.metrics import score_predictions
from auricle.scoring.predictions import ClipPredictions, Predictions, read_predictions

COSTS = ("seconds", "parameters", "trainable_parameters", "multiply_adds")  # that metrics.json of a finished cell has
# Options that change no number: those that take a value
WITH_VALUE = ("--out", "--wandb", "--tracker", "--workers", "--storage")
ALONE = ("--no-report", "--json", "-q", "--quiet", "-v", "-vv", "--verbose")  # and those that take none

UNREADABLE = "cannot be read"  # begins the reason why a finished cell is missing


@dataclass(frozen=True, eq=False)
class CellEvidence:
    """One finished cell."""

    name: CellName
    windows: Predictions  # of every window of validation and test
    clips: ClipPredictions
    test: Mapping[str, Any]  # scores of the test set, as `scoring.metrics.score_predictions` gives them
    validation: Mapping[str, Any] | None  # of the validation set, without AUCs; None where there is none
    history: tuple[Mapping[str, Any], ...]  # one record an epoch
    costs: Mapping[str, Any]


@dataclass(frozen=True)
class MissingCell:
    """A planned cell without results, with the reason."""

    name: CellName
    reason: str


@dataclass(frozen=True, eq=False)
class Study:
    """A study as it is on disk."""

    folder: Path
    config: StudyConfig
    presets: Mapping[str, Preset]  # model name to its resolved preset, in the order of the study
    layers: Mapping[str, Mapping[str, Any]]  # model name to its layers and counts, for the models that have them
    dataset: Dataset
    samples: Samples | None
    cells: tuple[CellEvidence, ...]  # the finished cells, by protocol and model in the order of the study
    baselines: tuple[CellEvidence, ...]  # without a network, on the same folds; none in studies of older versions
    missing: tuple[MissingCell, ...]
    versions: Mapping[str, str]
    machine: Mapping[str, Any]  # system, processor, cores, memory, device
    commit: str | None  # of auricle's source; None for an installed package
    commands: tuple[str, ...]  # the commands as typed, in order, without options that change no number
    started: str

    @property
    def models(self) -> tuple[str, ...]:
        """Return the models with a finished cell, in the order of the study."""
        finished = {cell.name.model for cell in self.cells}
        return tuple(model for model in self.presets if model in finished)

    @property
    def protocols(self) -> tuple[str, ...]:
        """Return the protocols with a finished cell, in the order of the study."""
        finished = {cell.name.protocol for cell in self.cells}
        return tuple(protocol for protocol in self.config.protocols if protocol in finished)

    def of(self, model: str, protocol: str) -> tuple[CellEvidence, ...]:
        """Return the finished cells of a model under a protocol, by fold and seed."""
        return tuple(cell for cell in self.cells if (cell.name.model, cell.name.protocol) == (model, protocol))

    def baselines_of(self, protocol: str) -> dict[str, tuple[CellEvidence, ...]]:
        """Return the baselines of a protocol, by name, on the folds that a network has tested."""
        tested = {(cell.name.protocol, cell.name.fold) for cell in self.cells if cell.name.protocol == protocol}
        cells = [cell for cell in self.baselines if (cell.name.protocol, cell.name.fold) in tested]
        names = dict.fromkeys(cell.name.model for cell in cells)
        return {name: tuple(cell for cell in cells if cell.name.model == name) for name in names}

    @property
    def device(self) -> str:
        """Return the device of the last command that trained, and those of cells that earlier commands trained."""
        last = str(self.machine.get("device") or "unknown")
        used = {str(cell.costs["device"]).partition(":")[0] for cell in self.cells if "device" in cell.costs}
        others = sorted(used - {last.partition(" ")[0].partition(":")[0]})
        return f"{last}; other cells: {listing(others)}" if others else last

    @cached_property
    def answers(self) -> Mapping[str, Answers]:
        """Answers to the test clips that count in accuracy, by protocol, from `answers_to`."""
        return {protocol: self.answers_to(self.dataset.scored, protocol) for protocol in self.protocols}

    @cached_property
    def background_answers(self) -> Mapping[str, Answers]:
        """Answers to the background test clips, by protocol; none without a background class."""
        background = [self.dataset.background] if self.dataset.background else []
        return {protocol: self.answers_to(background, protocol) for protocol in self.protocols if background}

    def answers_to(self, categories: Collection[str], protocol: str) -> Answers:
        """Return the answers to the test clips of some classes: of networks, and of baselines under `baseline_key`.

        A baseline has no seed; it is listed once for each training of its fold.
        """
        cells = [cell for cell in self.cells if cell.name.protocol == protocol]
        tables = {(cell.name.model, (cell.name.fold, cell.name.seed)): cell.clips for cell in cells}
        tables |= {
            (baseline_key(name), (fold, seed)): cell.clips
            for fold, seed in dict.fromkeys(training for _, training in tables)
            for name, of_name in self.baselines_of(protocol).items()
            for cell in of_name
            if cell.name.fold == fold
        }
        return self._answers(tables, categories)

    def validation_answers(self, protocol: str) -> Answers | None:
        """Return the answers of the networks to the validation clips of each training; None where there are none."""
        tables = {
            (cell.name.model, (cell.name.fold, cell.name.seed)): cell.windows.of("validation").by_clip()
            for cell in self.cells
            if cell.name.protocol == protocol and cell.validation is not None
        }
        return self._answers(tables, self.dataset.scored) if tables else None

    def _answers(self, tables: Mapping[tuple[str, Training], ClipPredictions], categories: Collection[str]) -> Answers:
        data = self.dataset
        tables = {key: table.of_classes(categories) for key, table in tables.items()}
        return Answers.of(tables, data.groups, data.categories, balanced=bool(data.imbalance))

    def is_leaky(self, protocol: str) -> bool:
        """Return whether clips of one group are in both training and test."""
        return protocol in self.dataset.leaky_protocols


def baseline_key(name: str) -> str:
    """Return the name of a baseline among answers, which no model can have."""
    return f"baseline/{name}"


def load_study(folder: Path) -> Study:
    """Read a study folder; cells that cannot be read are listed as missing, with the reason.

    Raises:
        RefusedError: the folder is not a study, or damaged.
    """
    study_folder = StudyFolder(Path(folder))
    if not study_folder.description.exists():
        raise RefusedError(f"{folder} is not a study: it has no study.yaml; give a folder that `auricle study` wrote")
    try:
        return _read_study(study_folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, BadZipFile) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise RefusedError(f"{folder} is damaged ({reason}); run the study again") from error
    except RefusedError as error:
        raise RefusedError(f"{error}; run the study again to recreate it") from error


def _read_study(study_folder: StudyFolder) -> Study:
    content = load_record(study_folder.description)
    config = StudyConfig.model_validate(content["study"])
    presets = {name: Preset.model_validate(preset) for name, preset in content["models"].items()}
    dataset = read_dataset(content["dataset"], study_folder)
    described = {name: study_folder.model(name) for name in presets if study_folder.model(name).exists()}
    planned = map(study_folder.cell, cells_by_model(config, tuple(presets), dataset.folds))
    cells, missing = _read_cells(planned, dataset.categories)
    baselines, unread = _read_cells(study_folder.baselines(), dataset.categories)
    return Study(
        folder=study_folder.folder,
        config=config,
        presets=presets,
        layers={name: read_sealed(path) for name, path in described.items()},
        dataset=dataset,
        samples=read_samples(study_folder.samples),
        cells=cells,
        baselines=baselines,
        missing=(*missing, *(one for one in unread if one.reason.startswith(UNREADABLE))),
        versions=content.get("versions") or {},
        machine=content.get("machine") or {},
        commit=content.get("commit"),
        commands=tuple(dict.fromkeys(map(_scientific, commands_of(content)))),
        started=str(content.get("started") or ""),
    )


def _scientific(command: str) -> str:
    """Remove the options of a command that change no number: where it writes, and what it prints.

    >>> _scientific("auricle study esc10 --out /somewhere/else --seeds 0,1 -v --no-report")
    'auricle study esc10 --seeds 0,1'
    """
    kept: list[str] = []
    arguments = iter(shlex.split(command))
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if name in WITH_VALUE:
            if not equals:
                next(arguments, None)
        elif name not in ALONE:
            kept.append(argument)
    return shlex.join(kept)


def _read_cells(
    cells: Iterable[Cell], categories: tuple[str, ...]
) -> tuple[tuple[CellEvidence, ...], tuple[MissingCell, ...]]:
    """Read the finished cells, and the reasons why the others are not finished."""
    found = [(cell.name, _read_cell(cell, categories)) for cell in cells]
    missing = tuple(MissingCell(name, reason) for name, reason in found if isinstance(reason, str))
    return tuple(cell for _, cell in found if isinstance(cell, CellEvidence)), missing


def _read_cell(cell: Cell, categories: tuple[str, ...]) -> CellEvidence | str:
    """Return a finished cell, or the reason why it is not finished."""
    try:
        if not cell.done and cell.error.exists():
            failure = read_sealed(cell.error)
            return f"failed: {failure.get('cause') or 'for an unknown cause'}"
        if not cell.done:
            return "not finished" if cell.folder.exists() else "not started"
        costs = read_metrics(cell, cell.predictions, cell.history)
        if lacking := [name for name in COSTS if name not in costs]:
            return f"its metrics.json lacks {', '.join(lacking)}"
        predictions = read_predictions(cell.predictions)
        if predictions.categories != categories:
            return "its predictions have other classes than the study"
        if (test := score_predictions(predictions, "test")) is None:
            return "its predictions have no test clips"
        validation = score_predictions(predictions, "validation", with_auc=False)
        clips = predictions.of("test").by_clip()
        return CellEvidence(cell.name, predictions, clips, test, validation, tuple(read_history(cell)), costs)
    except (RefusedError, OSError, ValueError) as error:
        return f"{UNREADABLE}: {' '.join(str(error).split())}"
