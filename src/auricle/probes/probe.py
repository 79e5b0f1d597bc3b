"""Probe the cells of a study that are not probed yet. torch is imported only if there are any."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from auricle.data.folds import answering
from auricle.errors import AuricleError, MachineError, RefusedError
from auricle.probes.record import probe_key, read_probe, write_probe
from auricle.runs import Cell, StudyFolder
from auricle.runs.record import Description, read_description

MOST_CELLS = 5  # per model


def cells_to_probe(study: StudyFolder, description: Description) -> list[Cell]:
    """Return the cells to probe: those with weights of the report's main protocol, at most five per model.

    Weights may have been deleted, so the protocol is chosen as by the report, from all finished cells. Cells of the
    first seed come first, as they differ in their test or training clips.
    """
    protocols = description["study"]["protocols"]
    done = [cell for cell in study.cells() if cell.done]
    asked = [cell for protocol in protocols for cell in done if cell.name.protocol == protocol]
    if not asked:
        return []
    num_cells = Counter(cell.name.protocol for cell in asked)
    protocol = answering(num_cells, description["dataset"]["leaky_protocols"])
    with_weights = [cell for cell in asked if cell.name.protocol == protocol and cell.weights.exists()]
    of_protocol = sorted(with_weights, key=lambda cell: (cell.name.seed, cell.name.fold))
    models = description["models"]
    return [cell for model in models for cell in [c for c in of_protocol if c.name.model == model][:MOST_CELLS]]


def probe_study(
    folder: Path,
    *,
    source: str | None = None,
    root: Path | None = None,
    on_progress: Callable[..., None] | None = None,
) -> list[str]:
    """Measure what the models of a study use, and store it under STUDY/insight; existing results are kept.

    Recordings are searched for by `runs.reopen.find_recordings`. The returned lines say what could not be measured, and
    why. `on_progress` is called with the current step, its number, and the number of steps.

    Raises:
        RefusedError: study.yaml is damaged.
        MachineError: the disk refuses.
    """
    study = StudyFolder(folder)
    description = read_description(study)
    if description is None:
        return []
    digest = description["dataset"]["digest"]
    left = {}
    for cell in cells_to_probe(study, description):
        key = probe_key(cell, digest)
        with contextlib.suppress(RefusedError):  # damaged: it is measured again
            if read_probe(study.insight(cell.name), key) is not None:
                continue
        left[cell] = key
    where = {"source": source, "root": root}
    return _probe_cells(study, left, where, on_progress or (lambda *message: None)) if left else []


def _probe_cells(
    study: StudyFolder, left: dict[Cell, str], where: dict[str, Any], report: Callable[..., None]
) -> list[str]:
    from auricle.probes.cell import probe_cell
    from auricle.runs.reopen import reopen_cells
    from auricle.training.start import choose_device

    report("reading the recordings")
    device = choose_device("auto")
    notes: list[str] = []
    with _noted(notes, f"what the models of {study.folder} use is not measured"):
        for number, found in enumerate(reopen_cells(study, list(left), **where)):
            report(f"probing {found.cell.name}", number, len(left))
            with _noted(notes, f"what {found.cell.name} uses is not measured"):
                write_probe(study.insight(found.cell.name), probe_cell(found, device=device), left[found.cell])
    return notes


@contextlib.contextmanager
def _noted(notes: list[str], what: str) -> Iterator[None]:
    """Note why something could not be done, and continue; errors of the machine are raised."""
    try:
        yield
    except MachineError:
        raise
    except AuricleError as error:
        notes.append(f"{what}: {error}")
