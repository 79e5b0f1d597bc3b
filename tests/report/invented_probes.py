"""What is known of finished cells, invented: a change that costs as much as is asked for."""

from pathlib import Path

import numpy as np

from auricle.findings.study import CellEvidence, load_study
from auricle.probes.record import AttentionReading, Blanked, Probe, ProbeAnswers, write_probe
from auricle.runs import StudyFolder

NUM_BANDS, NUM_MOMENTS, NUM_STEPS = 8, 10, 5


def changed(right: np.ndarray, labels: np.ndarray, num_lost: int) -> ProbeAnswers:
    """ProbeAnswers in which the first so many right ones have become wrong."""
    lost = np.flatnonzero(right)[:num_lost]
    now = right.copy()
    now[lost] = False
    return ProbeAnswers(np.where(now, labels, labels ^ 1), np.where(now, 0.9, 0.1))


def probe_of(cell: CellEvidence, costs: dict[str, int], *, encoder: bool, num_classes: int) -> Probe:
    labels = cell.clips.labels
    right = cell.clips.answers == labels
    plain = changed(right, labels, 0)
    bands = tuple(changed(right, labels, num) for num in (20, *[0] * (NUM_BANDS - 1)))
    moments = tuple(changed(right, labels, num) for num in (10, *[0] * (NUM_MOMENTS - 1)))
    loudness = np.tile(np.linspace(0.2, 0.0, NUM_MOMENTS), (len(labels), 1))
    even = np.full((2, 2, num_classes, NUM_STEPS), 1 / NUM_STEPS)
    rng = np.random.default_rng(0)
    reading = AttentionReading(
        NUM_STEPS + 1, np.full((2, 2), 0.1), np.full((2, 2), 4.5), np.full((2, 2, 2), 0.75), even,
        np.stack([rng.normal(0.5, 0.1, (len(labels), 2)), rng.normal(0, 0.1, (len(labels), 2))], axis=1),
    )  # fmt: skip
    return Probe(
        cell.clips.clips, labels, 3.0, plain,
        {change: changed(right, labels, num) for change, num in costs.items()},
        Blanked(np.linspace(50, 8000, NUM_BANDS + 1), bands), Blanked(np.linspace(0, 5, NUM_MOMENTS + 1), moments),
        loudness, reading if encoder else None,
    )  # fmt: skip


def write_probes(folder: Path, protocol: str, costs: dict[str, dict[str, int]]) -> None:
    """Write one for each cell of a protocol; `costs[model][change]` is how many clips a change makes wrong."""
    study = load_study(folder)
    for cell in study.cells:
        if cell.name.protocol == protocol:
            own = costs[cell.name.model]
            encoder = any(change.startswith("encoder") for change in own)
            probe = probe_of(cell, own, encoder=encoder, num_classes=len(study.dataset.categories))
            write_probe(StudyFolder(folder).insight(cell.name), probe, "any")
