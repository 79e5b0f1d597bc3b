"""What the models use: what changes cost them, what blanked parts do, what `<cls>` reads; from probes of their cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auricle.findings.study import CellEvidence, Study
from auricle.probes.record import AttentionReading, Blanked, Probe, ProbeAnswers, probe_key, read_probe
from auricle.runs import CellName, StudyFolder
from auricle.scoring.answers import Answers
from auricle.scoring.difference import Difference, adjusted, difference

Probed = Mapping[str, Sequence[Probe]]  # model to its cells


@dataclass(frozen=True, eq=False)
class PartsUse:
    """By how much the probability of the true class falls when one of P parts of every clip is blanked.

    Attributes:
        edges: where the parts begin and end, in Hz or in seconds, (P + 1,).
        drops: P of them: of bands from the lowest; of moments by how loud they are in their clip, the loudest first.
        by_class: in the order of the edges, means over the clips of each class, (K, P); NaN without clips.
    """

    edges: np.ndarray
    drops: tuple[Difference, ...]
    by_class: np.ndarray


@dataclass(frozen=True)
class BlockReading:
    """What the heads of `<cls>` read in one block, means over heads, windows and cells.

    Attributes:
        heads: how many.
        tokens: that they can read from, with `<cls>`.
        read: how many of them they read from, as if evenly: the exponential of the entropy.
        fewest: the same of the head with fewest.
        most: and with most.
        own: share that `<cls>` reads from itself, 0..1.
        overlap: share of attention that two heads give to the same tokens, 0..1; None for one head.
        loudness: correlation of attention with the loudness of the moments; None where tokens are no moments.
    """

    heads: int
    tokens: int
    read: float
    fewest: float
    most: float
    own: float
    overlap: float | None
    loudness: Difference | None


@dataclass(frozen=True, eq=False)
class ModelUses:
    """What a model uses.

    Attributes:
        cells: that were probed.
        num_clips: that they were probed with.
        window_s: length of a window.
        costs: change of sound or network to the share of right answers that it costs.
        bands: parts of the spectrum.
        moments: parts of the clip.
        blocks: of the encoder; none without one.
        attention: of `<cls>` over S moments of a window, of the first cell, by block, head and class, (L, H, K, S);
            None where tokens are no moments.
    """

    cells: tuple[CellName, ...]
    num_clips: int
    window_s: float
    costs: Mapping[str, Difference]
    bands: PartsUse
    moments: PartsUse
    blocks: tuple[BlockReading, ...]
    attention: np.ndarray | None


def find_uses(study: Study, protocol: str) -> dict[str, ModelUses]:
    """Return what the probed models use under a protocol, in the order of the study; a stale probe counts as none."""
    of_model = {model: _probes_of(study, study.of(model, protocol)) for model in study.models}
    of_model = {model: found for model, found in of_model.items() if found}
    probed = {model: tuple(found.values()) for model, found in of_model.items()}
    answers, num_classes = study.answers[protocol], len(study.dataset.categories)
    costs = change_costs(probed, answers)
    bands = _drops(probed, answers, lambda probe: probe.bands.parts)
    moments = _drops(probed, answers, _by_loudness)
    follows = _loudness_followed(probed, answers)
    return {
        model: ModelUses(
            cells=tuple(of_model[model]),
            num_clips=len({clip for probe in probes for clip in probe.clips}),
            window_s=probes[0].window_s,
            costs={change: one for (name, change), one in costs.items() if name == model},
            bands=PartsUse(
                probes[0].bands.edges,
                tuple(one for (name, _), one in bands.items() if name == model),
                _drop_by_class(probes, lambda probe: probe.bands, num_classes),
            ),
            moments=PartsUse(
                probes[0].moments.edges,
                tuple(one for (name, _), one in moments.items() if name == model),
                _drop_by_class(probes, lambda probe: probe.moments, num_classes),
            ),
            blocks=_blocks(_readings(probes), {block: one for (name, block), one in follows.items() if name == model}),
            attention=probes[0].reading.moments if probes[0].reading else None,
        )
        for model, probes in probed.items()
    }


def _probes_of(study: Study, cells: Sequence[CellEvidence]) -> dict[CellName, Probe]:
    folder, found = StudyFolder(study.folder), {}
    for cell in cells:
        try:
            key = probe_key(folder.cell(cell.name), study.dataset.digest)
        except OSError:
            key = None  # the weights are gone: whatever was measured is believed
        probe = read_probe(folder.insight(cell.name), key)
        if (
            probe is not None
            and set(probe.clips) <= set(cell.clips.clips)
            and int(probe.labels.max()) < len(study.dataset.categories)
        ):
            found[cell.name] = probe
    return found


def change_costs(probed: Probed, answers: Answers) -> dict[tuple[str, str], Difference]:
    """Return by model and change what a change costs in accuracy, tests adjusted for the number of all of them.

    Args:
        probed: the cells of each model; a change that one of them does not know is left out.
        answers: of the protocol, for its clips and groups.
    """

    def is_right(probe: Probe, given: ProbeAnswers) -> np.ndarray:
        return np.asarray(given.classes == probe.labels, dtype=np.float64)

    raw = {}
    for model, probes in probed.items():
        for change in probes[0].changes:
            if all(change in probe.changes for probe in probes):
                lost = [is_right(one, one.plain) - is_right(one, one.changes[change]) for one in probes]
                raw[model, change] = _mean_of(probes, lost, answers)
    return adjusted(raw)


def _mean_of(probes: Sequence[Probe], values: Sequence[np.ndarray], answers: Answers) -> Difference:
    """Measure the mean of a value of each clip of each cell."""
    table = answers.laid_out(zip([probe.clips for probe in probes], values, strict=True))
    found = difference(table, answers.groups)
    assert found  # a probe has a clip at least
    return found


def _drops(
    probed: Probed, answers: Answers, parts: Callable[[Probe], Sequence[ProbeAnswers]]
) -> dict[tuple[str, int], Difference]:
    """Return by model and part by how much the probability of the true class falls when it is blanked."""
    raw = {}
    for model, probes in probed.items():
        for index, changed in enumerate(zip(*map(parts, probes), strict=False)):
            lost = [probe.plain.truth - given.truth for probe, given in zip(probes, changed, strict=True)]
            raw[model, index] = _mean_of(probes, lost, answers)
    return adjusted(raw)


def _by_loudness(probe: Probe) -> list[ProbeAnswers]:
    """Return the answers when the loudest moment of each clip is blanked, the second loudest, and so on."""
    order = np.argsort(-probe.loudness, axis=1, kind="stable")  # (N, P)
    classes, truth = (
        np.stack([getattr(part, name) for part in probe.moments.parts], axis=1) for name in ("classes", "truth")
    )
    ranked = [np.take_along_axis(values, order, axis=1).T for values in (classes, truth)]  # (P, N)
    return [ProbeAnswers(*pair) for pair in zip(*ranked, strict=True)]


def _drop_by_class(probes: Sequence[Probe], of: Callable[[Probe], Blanked], num_classes: int) -> np.ndarray:
    labels = np.concatenate([probe.labels for probe in probes])
    drops = [probe.plain.truth - np.array([part.truth for part in of(probe).parts]) for probe in probes]
    drop = np.concatenate(drops, axis=1)  # (P, clips of all cells)
    means = [
        drop[:, labels == label].mean(axis=1) if (labels == label).any() else np.full(len(drop), np.nan)
        for label in range(num_classes)
    ]
    return np.array(means)


def _readings(probes: Sequence[Probe]) -> list[AttentionReading]:
    """Return what `<cls>` reads in each cell; nothing where one has no encoder."""
    readings = [probe.reading for probe in probes if probe.reading is not None]
    return readings if len(readings) == len(probes) else []


def _loudness_followed(probed: Probed, answers: Answers) -> dict[tuple[str, int], Difference]:
    """Return by model and block how far attention follows loudness, mean over heads, tests adjusted for all."""
    raw = {}
    for model, probes in probed.items():
        followed = [reading.loudness for reading in _readings(probes) if reading.loudness is not None]
        if len(followed) == len(probes):
            for block in range(followed[0].shape[1]):
                raw[model, block] = _mean_of(probes, [of[:, block].mean(axis=1) for of in followed], answers)
    return adjusted(raw)


def _blocks(readings: Sequence[AttentionReading], follows: Mapping[int, Difference]) -> tuple[BlockReading, ...]:
    found = []
    for block in range(len(readings[0].own) if readings else 0):
        read = np.array([reading.spread[block] for reading in readings])  # (T, H)
        others = ~np.eye(read.shape[1], dtype=bool)
        overlaps = [reading.overlap[block][others] for reading in readings]
        found.append(
            BlockReading(
                heads=read.shape[1],
                tokens=readings[0].num_tokens,
                read=float(read.mean()),
                fewest=float(read.min()),
                most=float(read.max()),
                own=float(np.mean([reading.own[block] for reading in readings])),
                overlap=float(np.mean(overlaps)) if read.shape[1] > 1 else None,
                loudness=follows.get(block),
            )
        )
    return tuple(found)
