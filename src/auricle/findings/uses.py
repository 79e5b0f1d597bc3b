"""What the models use: accuracy lost by changes and by masked parts, and the attention of `<cls>`; from probes."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from auricle.findings.study import CellEvidence, Study
from auricle.probes.record import AttentionReading, Blanked, Probe, probe_key, read_probe
from auricle.runs import CellName, StudyFolder
from auricle.scoring.answers import Answers
from auricle.scoring.difference import Difference, adjusted, difference

Probed = Mapping[str, Sequence[Probe]]  # model to its cells
Key = TypeVar("Key", str, int)


@dataclass(frozen=True, eq=False)
class PartsUse:
    """Drop of the probability of the true class when one of P parts (bands or intervals) of every clip is masked."""

    edges: np.ndarray  # where the parts begin and end, in Hz or in seconds, (P + 1,)
    drops: tuple[Difference, ...]  # P of them: of bands from the lowest, of intervals from the loudest of their clip
    by_class: np.ndarray  # in the order of the edges, means over the clips of each class, (K, P); NaN without clips


@dataclass(frozen=True)
class BlockReading:
    """Attention of `<cls>` in one block, as means over heads, windows and cells."""

    heads: int
    tokens: int  # number of tokens, including `<cls>`
    read: float  # effective number of tokens attended to: the exponential of the entropy
    fewest: float  # that of the head with the fewest
    most: float  # that of the head with the most
    own: float  # attention of `<cls>` to itself, 0..1
    overlap: float | None  # share of attention that two heads give to the same tokens, 0..1; None for one head
    loudness: Difference | None  # correlation of attention with loudness; None where tokens are not points in time


@dataclass(frozen=True, eq=False)
class ModelUses:
    """What a model uses."""

    cells: tuple[CellName, ...]
    num_clips: int
    window_s: float
    costs: Mapping[str, Difference]  # change of input or network to the accuracy that is lost
    bands: PartsUse
    moments: PartsUse
    blocks: tuple[BlockReading, ...]  # of the encoder; none without one
    attention: np.ndarray | None  # of `<cls>` in the first cell, (L, H, K, S steps); None where tokens are not in time


def find_uses(study: Study, protocol: str) -> dict[str, ModelUses]:
    """Return what the probed models use under a protocol, in the order of the study; outdated probes are ignored."""
    found = {model: _probes_of(study, study.of(model, protocol)) for model in study.models}
    probed = {model: tuple(of_cells.values()) for model, of_cells in found.items() if of_cells}
    answers, num_classes = study.answers[protocol], len(study.dataset.categories)
    costs = change_costs(probed, answers)
    bands = _measure(probed, answers, lambda probes: _by_part([_drops(probe, probe.bands) for probe in probes]))
    moments = _measure(probed, answers, lambda probes: _by_part([_drops_by_loudness(probe) for probe in probes]))
    loudness = _measure(probed, answers, _loudness_followed)
    return {
        model: ModelUses(
            cells=tuple(found[model]),
            num_clips=len({clip for probe in probes for clip in probe.clips}),
            window_s=probes[0].window_s,
            costs=costs[model],
            bands=_parts_use(probes, [probe.bands for probe in probes], bands[model], num_classes),
            moments=_parts_use(probes, [probe.moments for probe in probes], moments[model], num_classes),
            blocks=_blocks(_readings(probes), loudness[model]),
            attention=probes[0].reading.moments if probes[0].reading else None,
        )
        for model, probes in probed.items()
    }


def _probes_of(study: Study, cells: Sequence[CellEvidence]) -> dict[CellName, Probe]:
    folder, num_classes, found = StudyFolder(study.folder), len(study.dataset.categories), {}
    for cell in cells:
        key = None  # without the weights, a probe cannot be checked, and is used
        with contextlib.suppress(OSError):
            key = probe_key(folder.cell(cell.name), study.dataset.digest)
        probe = read_probe(folder.insight(cell.name), key)
        if probe and set(probe.clips) <= set(cell.clips.clips) and int(probe.labels.max()) < num_classes:
            found[cell.name] = probe
    return found


def change_costs(probed: Probed, answers: Answers) -> dict[str, dict[str, Difference]]:
    """Return by model and change the accuracy lost, tests adjusted for all; changes that a cell lacks are left out."""

    def lost(probe: Probe, change: str) -> np.ndarray:
        right, still_right = (given.classes == probe.labels for given in (probe.plain, probe.changes[change]))
        return np.asarray(right * 1.0 - still_right)

    def lost_by_change(probes: Sequence[Probe]) -> dict[str, list[np.ndarray]]:
        shared = [name for name in probes[0].changes if all(name in probe.changes for probe in probes)]
        return {change: [lost(probe, change) for probe in probes] for change in shared}

    return _measure(probed, answers, lost_by_change)


def _measure(
    probed: Probed, answers: Answers, values: Callable[[Sequence[Probe]], Mapping[Key, Sequence[np.ndarray]]]
) -> dict[str, dict[Key, Difference]]:
    """Return by model and name the mean of values, given for the clips of each cell; tests adjusted for all of them."""
    raw = {}
    for model, probes in probed.items():
        for name, of_cells in values(probes).items():
            table = answers.aligned(zip([probe.clips for probe in probes], of_cells, strict=True))
            if (one := difference(table, answers.groups, model)) is not None:
                raw[model, name] = one
    tested = adjusted(raw)
    return {model: {name: one for (of, name), one in tested.items() if of == model} for model in probed}


def _drops(probe: Probe, blanked: Blanked) -> np.ndarray:
    """Return the drop of the probability of the true class when each part of each clip is masked, (P, N)."""
    return np.asarray(probe.plain.truth - np.array([part.truth for part in blanked.parts]))


def _drops_by_loudness(probe: Probe) -> np.ndarray:
    """Return the same for intervals, from the loudest of each clip to its quietest, (P, N)."""
    order = np.argsort(-probe.loudness, axis=1, kind="stable").T  # (P, N)
    return np.take_along_axis(_drops(probe, probe.moments), order, axis=0)


def _by_part(of_cells: Sequence[np.ndarray]) -> dict[int, tuple[np.ndarray, ...]]:
    """Return part to the drops of each cell: (P, N) each -> P times (N,) each."""
    return dict(enumerate(zip(*of_cells, strict=True)))


def _parts_use(
    probes: Sequence[Probe], blanked: Sequence[Blanked], drops: Mapping[int, Difference], num_classes: int
) -> PartsUse:
    labels = np.concatenate([probe.labels for probe in probes])
    drop = np.concatenate([*map(_drops, probes, blanked)], axis=1)  # (P, clips of all cells)
    means = [
        drop[:, labels == label].mean(axis=1) if (labels == label).any() else np.full(len(drop), np.nan)
        for label in range(num_classes)
    ]
    return PartsUse(blanked[0].edges, tuple(drops.values()), np.array(means))


def _readings(probes: Sequence[Probe]) -> list[AttentionReading]:
    """Return the attention of `<cls>` in each cell; nothing where one has no encoder."""
    readings = [probe.reading for probe in probes if probe.reading is not None]
    return readings if len(readings) == len(probes) else []


def _loudness_followed(probes: Sequence[Probe]) -> dict[int, list[np.ndarray]]:
    """Return block to the correlation of attention with loudness, mean over heads, by clip of each cell."""
    followed = [reading.loudness for reading in _readings(probes) if reading.loudness is not None]
    if len(followed) < len(probes):
        return {}
    return {block: [of[:, block].mean(axis=1) for of in followed] for block in range(followed[0].shape[1])}


def _blocks(readings: Sequence[AttentionReading], follows: Mapping[int, Difference]) -> tuple[BlockReading, ...]:
    found = []
    for block in range(len(readings[0].own) if readings else 0):
        read = np.array([reading.spread[block] for reading in readings])  # (T, H)
        others = ~np.eye(read.shape[1], dtype=bool)
        overlaps = [reading.overlap[block][others] for reading in readings]
        own = float(np.mean([reading.own[block] for reading in readings]))
        overlap = float(np.mean(overlaps)) if read.shape[1] > 1 else None
        spread = (float(read.mean()), float(read.min()), float(read.max()))
        found.append(BlockReading(read.shape[1], readings[0].num_tokens, *spread, own, overlap, follows.get(block)))
    return tuple(found)
