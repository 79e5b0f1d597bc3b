"""What a tracker that fails costs a training: `python benchmarks/trackers.py [--results RESULTS.md]`.

A whole study of one training, its end and all, with Weights & Biases online and a server that fails from the start,
over the same with `--wandb off`. The server is a fake on loopback. What is added does not grow with the training, so it
is set against one of 100 epochs.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from auricle.config import StudyConfig
from auricle.study.study import run_study
from auricle.tracking.tracking import choose_mode, mirrored
from auricle.work.options import RunOptions
from measure import in_turn, publish, ratio, recordings_here, seconds, table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "tracking"))

from wandb_server import FAILURES, KEY, serving

EPOCHS = 100  # of the training that the costs are set against


def compare(model: str, data: str, num_epochs: int, num_rounds: int, folder: Path) -> list[tuple[str, ...]]:
    """Return the rows of every way in which a server fails."""
    config = StudyConfig(
        name="bench", data=data, models=(model,), protocols=("test-split",),
        overrides={"training.epochs": num_epochs},
    )  # fmt: skip
    number = itertools.count()

    def study(mode: str) -> float:
        options, beside = RunOptions(workers=1, device="cpu"), mirrored(choose_mode(mode), lambda line: None)
        return seconds(lambda: run_study(config, folder / f"study-{next(number)}", options, beside=beside))

    with serving() as server:
        os.environ |= {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY, "NO_PROXY": "127.0.0.1"}

        def failing(failure: str) -> Callable[[], float]:
            def measure() -> float:
                server.behaviour = failure
                return study("online")

            return measure

        sides = {"off": lambda: study("off")} | {failure: failing(failure) for failure in FAILURES}
        found = in_turn(sides, num_rounds, warm_up=False)
    whole_s = statistics.median(found["off"]) * EPOCHS / num_epochs
    rows = []
    for failure in FAILURES:
        cost_s = [with_ - without for with_, without in zip(found[failure], found["off"], strict=True)]
        share = f"{100 * statistics.median(cost_s) / whole_s:.2f}"
        rows.append((failure, f"{statistics.median(cost_s):.1f}", share, ratio(found[failure], found["off"])))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="cnn")
    parser.add_argument("--epochs", type=int, default=20, help="of each training")
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    manifest, name = recordings_here()
    with tempfile.TemporaryDirectory() as scratch:
        rows = compare(asked.model, manifest.source, asked.epochs, asked.rounds, Path(scratch))
    about = (
        f"A W&B server that fails from the start: seconds that it adds to a study of one training of {asked.model}, "
        f"{asked.epochs} epochs of {name}; that in percent of {EPOCHS} epochs; and the study over one without W&B. "
        f"Medians of {asked.rounds} rounds, the ratio with its lowest and highest round."
    )
    header = ("server", "added, s", f"% of {EPOCHS} epochs", "study over one without")
    publish("Failing trackers", about, table(header, rows), asked.results)


if __name__ == "__main__":
    main()
