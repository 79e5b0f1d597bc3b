"""Does balancing help? `python benchmarks/balance.py --out DIR [--results RESULTS.md]`; about 40 minutes of a core.

ESC-10 made unbalanced: six of its classes become one of 240 clips, the other four keep 40, 20, 10 and 5, equally many
in each fold: 48 to 1. `tiny` is trained on it with each value of `training.balance`, over five seeds. The validation
folds of k-fold choose the default; the five folds of `official` say what it is worth on clips that had no say. A study
that was stopped goes on.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

from auricle.config import StudyConfig
from auricle.data.datasets import load_manifest
from auricle.findings.study import Study, load_study
from auricle.scoring.metrics import score
from auricle.scoring.statistics import interval_over
from auricle.study.study import run_study
from auricle.work.options import RunOptions
from measure import publish, table

KEPT = {"clock_tick": 8, "crying_baby": 4, "dog": 2, "sneezing": 1}  # clips of a fold; all other classes become one
CLIP_S = 7.5  # holds the longest recording whole
BALANCES = ("none", "sampling", "loss")


def write_unbalanced(folder: Path) -> Path:
    """Write the table of the unbalanced set and return its path."""
    num_of: dict[tuple[str, int], int] = defaultdict(int)
    path = folder / "unbalanced.csv"
    folder.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("filename", "category", "fold", "group"))
        for clip in load_manifest("esc10").clips:
            num_of[clip.category, clip.fold] += 1
            if num_of[clip.category, clip.fold] <= KEPT.get(clip.category, 8):
                category = clip.category if clip.category in KEPT else "other"
                rows.writerow((clip.path.resolve(), category, clip.fold, clip.group))
    return path


def run(folder: Path, protocol: str, seeds: tuple[int, ...], epochs: int) -> Study:
    """Train what is not trained yet, and return the study."""
    config = StudyConfig(
        name=f"unbalanced-{protocol}",
        data=str(write_unbalanced(folder)),
        clip_s=CLIP_S,
        models=BALANCES,
        protocols=(protocol,),
        seeds=seeds,
        presets={name: {"extends": "tiny", "training": {"balance": name}} for name in BALANCES},
        overrides={"training.epochs": epochs},
    )
    run_study(config, folder / protocol, RunOptions(workers=1, threads=1))
    return load_study(folder / protocol)


def scores_of(study: Study, model: str, protocol: str, part: str) -> np.ndarray:
    """Return accuracy, macro F1 and balanced accuracy of each seed over the clips of all folds together, (S, 3)."""
    found = []
    for seed in study.config.seeds:
        cells = [cell for cell in study.of(model, protocol) if cell.name.seed == seed]
        clips = [cell.windows.of(part).by_clip() for cell in cells]
        probabilities, labels = (
            np.concatenate([getattr(one, name) for one in clips]) for name in ("probabilities", "labels")
        )
        scores = score(probabilities, labels, clips[0].categories)
        found.append([scores["accuracy"], scores["macro_f1"], scores["macro_recall"]])
    return 100 * np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    rows = []
    for title, protocol, part, seeds in (
        ("validation, k-fold", "k-fold", "validation", (0, 1, 2)),
        ("test, official", "official", "test", (0, 1, 2, 3, 4)),
    ):
        study = run(asked.out, protocol, seeds, asked.epochs)
        without = scores_of(study, "none", protocol, part)
        for model in BALANCES:
            scores = scores_of(study, model, protocol, part)
            gain = (scores - without)[:, 1]
            low, high = interval_over(gain)
            interval = f"{gain.mean():+.1f} ({low:+.1f} to {high:+.1f})"
            values = [f"{mean:.1f} ± {sd:.1f}" for mean, sd in zip(scores.mean(0), scores.std(0, ddof=1), strict=True)]
            rows.append((f"{title}: {model}", *values, "" if model == "none" else interval))
    about = (
        f"ESC-10 made unbalanced (240, 40, 20, 10 and 5 clips), tiny for {asked.epochs} epochs; three seeds on "
        "validation, five on test: percent of the clips of all folds together, mean and standard deviation over seeds; "
        "and the gain in macro F1 over no balancing with the same seed, with its 95 % interval over seeds. The "
        "validation rows chose the default."
    )
    header = ("`training.balance`", "accuracy", "macro F1", "balanced accuracy", "gain")
    publish("Unbalanced classes", about, table(header, rows), asked.results)


if __name__ == "__main__":
    main()
