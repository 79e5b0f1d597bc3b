"""What it is worth to keep freed memory: `python benchmarks/kept_memory.py [--results RESULTS.md]`.

Epochs of one training, in turn as auricle trains, where the C library keeps what a step frees, and where it gives large
arrays back to the system; each in a process of one thread that stays.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from auricle.config import load_preset
from auricle.data.manifest import Manifest
from measure import publish, ratio, recordings_here, table
from step import Trainings, epochs_in_turn, our_training, training_that_gives_back

MODELS = ("cnn", "transformer-h4", "raw-cnn", "report-c-cnn")


def compare(model: str, manifest: Manifest, num_rounds: int) -> tuple[str, ...]:
    """Return the row of a model."""
    preset = load_preset(model)
    set_ups = {"given back": training_that_gives_back, "kept": our_training}
    sides = {name: Trainings(set_up, preset, manifest) for name, set_up in set_ups.items()}
    found = epochs_in_turn(sides, num_rounds)
    spent = {name: [cost.cpu_seconds for cost in costs] for name, costs in found.items()}
    medians = (f"{statistics.median(costs):.2f}" for costs in spent.values())
    return model, *medians, ratio(spent["kept"], spent["given back"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    manifest, name = recordings_here()
    rows = [compare(model, manifest, asked.rounds) for model in asked.models]
    about = (
        f"CPU seconds of a thousand windows of {name} in training, on one thread, where freed memory is given back to "
        f"the system and where it is kept. Medians of {asked.rounds} epochs; the ratio with its lowest and highest."
    )
    publish("Kept memory", about, table(("model", "given back", "kept", "kept over given back"), rows), asked.results)


if __name__ == "__main__":
    main()
