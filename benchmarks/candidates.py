"""Settings tried on validation clips: `python benchmarks/candidates.py --out DIR [--results RESULTS.md] [NAME...]`.

Folds 2 to 5 of ESC-10 take turns as validation fold while the other three of them train, with three seeds; fold 1 is
not looked at. What each candidate of candidates.yaml says of windows is kept in DIR, so that a run
that was stopped goes on. A training takes three to six minutes of a core; several of these commands share the work.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from auricle.config import Preset, load_preset
from auricle.data.cache import Recordings, prepare
from auricle.data.datasets import load_manifest
from auricle.data.folds import Split
from auricle.data.manifest import Manifest
from auricle.scoring.calibration import fit_temperature, losses, softmax, temperature_scaled
from auricle.scoring.difference import difference
from auricle.scoring.predictions import Predictions, numbered
from auricle.system import keep_freed_memory
from auricle.training.evaluate import window_logits
from auricle.training.loop import run_training
from auricle.training.start import prepare_training, training_clips
from measure import publish, table

SEEDS = (0, 1, 2)
FOLDS = (2, 3, 4, 5)
SCORINGS = {"inside": ((0, 1, 2), False), "around": (range(5), False), "fullest": (range(5), True)}
Known = Mapping[str, np.ndarray]


def train(preset: Preset, recordings: Recordings, fold: int, seed: int) -> dict[str, Any]:
    """Train one cell and return what it says of its validation clips, logits (N, W, K) and weights (N, W)."""
    cpu, folds = time.process_time(), recordings.manifest.folds
    own, nobody = np.flatnonzero(folds == fold), np.empty(0, np.int64)
    split = Split("k-fold", fold, np.flatnonzero((folds != fold) & np.isin(folds, FOLDS)), own, nobody, leaky=False)
    trainer, sets = prepare_training(preset, recordings, split, seed, torch.device("cpu"))
    run_training(trainer, training_clips(trainer, sets)[0], {})
    parts = [  # (n, W, K) and (n, W)
        (window_logits(trainer.scored_model, windows.flatten(0, 1)).unflatten(0, windows.shape[:2]).numpy(), weights)
        for windows, weights in sets.windows(own)
    ]
    logits, weights = map(np.concatenate, zip(*parts, strict=True))
    return {"clips": own, "logits": logits, "weights": weights, "cpu": time.process_time() - cpu}


def predictions(known: Known, manifest: Manifest, scoring: str) -> Predictions:
    """Return what a training says, by one way to score."""
    chosen, only_fullest = SCORINGS[scoring]
    weights, logits = known["weights"][:, chosen], known["logits"][:, chosen]
    (num, num_windows, num_classes), rows = logits.shape, np.repeat(known["clips"], len(chosen))
    return Predictions(
        clips=tuple(manifest.clips[row].name for row in rows),
        sets=("validation",) * len(rows),
        labels=manifest.labels[rows],
        starts_s=np.tile(chosen, num).astype(float),
        probabilities=softmax(logits.reshape(-1, num_classes)),
        categories=manifest.categories,
        weights=weights.reshape(-1) if only_fullest else np.ones(num * num_windows),
    )


def scores(found: Mapping[tuple[int, int], Known], manifest: Manifest, scoring: str) -> tuple[np.ndarray, float]:
    """Return which clips are right, (seeds, N) with NaN where there is none, and the mean loss at own temperatures."""
    right, of_cells = np.full((len(SEEDS), len(manifest.clips)), np.nan), []
    for (_, seed), known in found.items():
        windows = predictions(known, manifest, scoring)
        clips, calibrated = windows.by_clip(), temperature_scaled(windows, fit_temperature(windows)).by_clip()
        right[SEEDS.index(seed), known["clips"]] = clips.answers == clips.labels
        of_cells.append(losses(calibrated.probabilities, calibrated.labels).mean())
    return right, float(np.mean(of_cells))


def rows(names: Mapping[str, Mapping[str, str]], out: Path, manifest: Manifest) -> Iterator[tuple[str, ...]]:
    """Yield a row for each candidate that has a training."""
    groups = numbered([clip.group for clip in manifest.clips])
    right_of: dict[str, np.ndarray] = {}
    for name, about in names.items():
        paths = {(fold, seed): out / f"{name}-{fold}-{seed}.npz" for fold in FOLDS for seed in SEEDS}
        found = {key: dict(np.load(path)) for key, path in paths.items() if path.exists()}
        if not found:
            continue
        both = {scoring: scores(found, manifest, scoring) for scoring in SCORINGS}
        right_of[name] = both["fullest"][0]
        against = right_of.get(about.get("against", ""))
        apart = difference(right_of[name] - against, groups) if against is not None else None
        yield (
            name,
            about["differs"],
            str(len(found)),
            f"{np.mean([known['cpu'] for known in found.values()]):.0f}",
            *(f"{100 * np.nanmean(right):.1f} / {loss:.3f}" for right, loss in both.values()),
            f"{100 * apart.mean:+.1f} ({100 * apart.low:+.1f} to {100 * apart.high:+.1f})" if apart else "",
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    parser.add_argument("names", nargs="*")
    asked = parser.parse_args()
    content = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
    names, presets = content["candidates"], content["presets"]
    manifest = load_manifest("esc10")
    torch.set_num_threads(1)
    keep_freed_memory()
    asked.out.mkdir(parents=True, exist_ok=True)
    for seed in asked.seeds:
        for name in asked.names or names:
            for fold in FOLDS:
                path = asked.out / f"{name}-{fold}-{seed}.npz"
                if path.exists():
                    continue
                preset = load_preset(names[name].get("preset", name), beside=presets)
                recordings = prepare(manifest, sample_rate_hz=preset.audio.sample_rate_hz)
                np.savez(path, **train(preset, recordings, fold, seed))
    about = (
        "Validation clips of folds 2 to 5 of ESC-10, three of them training (240 clips), fold 1 not looked at; seeds "
        "0, 1, 2 unless fewer cells are named. Accuracy in % / loss in nats at each training's own temperature, a clip "
        "scored by three windows inside it, by five around it as a ring, or by the fullest of these. The difference is "
        "of the last, in points, paired over clips and seeds, with its 95 % interval."
    )
    header = ("candidate", "what differs", "cells", "CPU s a cell", *SCORINGS, "difference")
    publish("Candidates", about, table(header, rows(names, asked.out, manifest)), asked.results)


if __name__ == "__main__":
    main()
