"""What it costs to be able to go on: `python benchmarks/checkpoints.py [--results RESULTS.md]`.

Epochs of one training, in turn with and without what is kept after each: the checkpoint, written whole and
synchronised, and the line of the history. On one core; in the present folder, whose disk is the one that counts.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import torch

from auricle.config import Preset, load_preset
from auricle.data.cache import prepare
from auricle.data.folds import make_splits
from auricle.data.manifest import Manifest
from auricle.runs import CellName, StudyFolder, json_line
from auricle.training.checkpoint import save_checkpoint
from auricle.training.evaluate import curve_point
from auricle.training.loop import EpochRecord, epoch_means, train_epoch
from auricle.training.start import prepare_training, training_clips
from measure import in_turn, publish, ratio, recordings_here, seconds, table

MODELS = ("cnn", "transformer-h4")


def compare(preset: Preset, manifest: Manifest, num_rounds: int, folder: Path) -> tuple[str, ...]:
    """Return the row of a model: what an epoch costs, and what it costs to keep it."""
    recordings = prepare(manifest, sample_rate_hz=preset.audio.sample_rate_hz)
    split = make_splits(manifest, "test-split")[0]
    cell = StudyFolder(folder).cell(CellName(preset.name, "test-split", split.fold, 0))
    cell.folder.mkdir(parents=True)
    trainer, sets = prepare_training(preset, recordings, split, 0, torch.device("cpu"))
    train, measured = training_clips(trainer, sets)
    history: list[EpochRecord] = []

    def epoch() -> None:
        history.append({"epoch": len(history) + 1, **epoch_means(list(train_epoch(trainer, train, 0)), 0)})
        for windows in measured.values():
            curve_point(trainer.model, windows, trainer.precision)

    def epoch_kept() -> None:
        epoch()
        save_checkpoint(cell, trainer, history)
        with cell.history.open("a", encoding="utf-8") as file:
            file.write(json_line(history[-1]))

    found = in_turn({"without": lambda: seconds(epoch), "with": lambda: seconds(epoch_kept)}, num_rounds)
    kept = in_turn({"kept": lambda: seconds(lambda: save_checkpoint(cell, trainer, history))}, num_rounds)["kept"]
    once = statistics.median(found["without"])
    size = f"{cell.checkpoint.stat().st_size / 1e6:.1f}"
    share = f"{100 * statistics.median(kept) / once:.2f}"
    over = ratio(found["with"], found["without"])
    return preset.name, size, f"{once:.2f}", f"{1e3 * statistics.median(kept):.1f}", share, over


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    manifest, name = recordings_here()
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as scratch:
        rows = [compare(load_preset(model), manifest, asked.rounds, Path(scratch)) for model in asked.models]
    about = (
        f"Seconds of an epoch of {name} with its learning curve, on one core; milliseconds to keep it on disk, in "
        f"percent of the epoch; and an epoch that is kept over one that is not. Medians of {asked.rounds} rounds, the "
        "ratio with its lowest and highest round."
    )
    header = ("model", "MB", "epoch, s", "checkpoint, ms", "%", "kept over not kept")
    publish("Checkpoints", about, table(header, rows), asked.results)


if __name__ == "__main__":
    main()
