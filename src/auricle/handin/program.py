"""The study: every model under every protocol, trained, scored, drawn and compared."""

# `auricle report STUDY --hand-in NAME` makes one file of this module and all that it needs; so this module imports
# torch and prints, and no other imports it.

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import yaml

from auricle.config import Preset, merge
from auricle.data.audio import at_rate
from auricle.data.cache import Recordings
from auricle.data.folds import Split, make_splits
from auricle.data.manifest import Clip, Manifest
from auricle.errors import AuricleError, RefusedError, UsageError, choices
from auricle.report.figures import palette, style
from auricle.report.figures_results import confusion, f1_bars, roc
from auricle.report.figures_training import curves, largest_loss
from auricle.scoring.metrics import mean_curve, one_vs_rest, score_predictions
from auricle.scoring.predictions import Predictions, to_csv
from auricle.training.fit import choose_device
from auricle.training.parts import predict_windows, prepare_training, run_epoch

COLUMNS = ("protocol", "model", "cells", "parameters", "accuracy", "sd", "macro_f1", "macro_auc", "validation")


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one training came to.

    Attributes:
        model: its name.
        split: who trained, validated and tested.
        seed: of weights, order and augmentation.
        parameters: how many numbers the network learnt.
        history: one record an epoch.
        predictions: of every window of the validation and the test clips.
        test: scores of the test clips.
        validation: the same of the validation clips; None where the protocol has none.
    """

    model: str
    split: Split
    seed: int
    parameters: int
    history: list[dict[str, Any]]
    predictions: Predictions
    test: dict[str, Any]
    validation: dict[str, Any] | None


def main(configuration: str, read_clips: Callable[[Path], list[Clip]], arguments: Sequence[str] | None = None) -> int:
    """Run the study and return an exit code; what goes wrong is one line on standard error.

    Args:
        configuration: YAML: name, clip_s, skipped, protocols, only, seeds, threads, device, models.
        read_clips: from the folder of the recordings to the table of clips.
        arguments: of the command line; None: as typed.
    """
    study = yaml.safe_load(configuration)
    options = _options(study, arguments)
    try:
        _run(study, read_clips, options)
    except (AuricleError, OSError) as error:
        print(error, file=sys.stderr)
        return getattr(error, "exit_code", 5)
    return 0


def _options(study: Mapping[str, Any], arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=f"Train, score and compare the models of the study {study['name']}.")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the recordings")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where results and figures go")
    parser.add_argument("--models", metavar="A,B", help=f"only some of {', '.join(study['models'])}")
    parser.add_argument("--epochs", type=int, metavar="N", help="fewer, for a look at how it runs; the numbers differ")
    parser.add_argument("--device", default=study["device"], help="auto, cpu, cuda or mps [%(default)s]")
    parser.add_argument("--threads", type=int, default=study["threads"], metavar="N", help="of the CPU [%(default)s]")
    return parser.parse_args(arguments)


def _run(study: Mapping[str, Any], read_clips: Callable[[Path], list[Clip]], options: argparse.Namespace) -> None:
    presets = read_presets(study["models"], options.epochs)
    chosen = options.models.split(",") if options.models else list(presets)
    for model in chosen:
        if model not in presets:
            raise choices("model", model, list(presets))
    torch.set_num_threads(max(1, options.threads))
    device = choose_device(options.device)
    clips = tuple(clip for clip in read_clips(options.data) if clip.name not in study["skipped"])
    manifest = Manifest(str(options.data), clips, study["clip_s"])
    rates_hz = dict.fromkeys(presets[model].audio.sample_rate_hz for model in chosen)
    recordings = {rate_hz: read_recordings(manifest, rate_hz) for rate_hz in rates_hz}
    outcomes = []
    for seed in study["seeds"]:
        for protocol in study["protocols"]:
            for split in make_splits(manifest, protocol):
                for model in (model for model in chosen if protocol in study["only"].get(model, study["protocols"])):
                    heard = recordings[presets[model].audio.sample_rate_hz]
                    outcomes.append(train(presets[model], heard, split, seed, device))
                    write_outcome(options.out / "cells", outcomes[-1])
    compare(outcomes, manifest.categories, options.out)


def read_presets(models: Mapping[str, Mapping[str, Any]], epochs: int | None = None) -> dict[str, Preset]:
    """Return the presets by name; a model that extends another says only what differs.

    Args:
        models: name to sections, and perhaps `extends`, the name of one before it.
        epochs: in place of theirs.

    Raises:
        UsageError: fewer epochs than one.
    """
    if epochs is not None and epochs < 1:
        raise UsageError(f"{epochs} epochs; train for 1 or more")
    spelt: dict[str, dict[str, Any]] = {}
    for name, content in models.items():
        own = {section: fields for section, fields in content.items() if section != "extends"}
        spelt[name] = merge(spelt.get(content.get("extends", ""), {}), own | {"name": name})
    shorter = {"training": {"epochs": epochs}} if epochs else {}
    return {name: Preset.model_validate(merge(content, shorter)) for name, content in spelt.items()}


def read_recordings(manifest: Manifest, sample_rate_hz: int) -> Recordings:
    """Decode every clip as mono, resample it, and cut or pad it to the length of the clips.

    Raises:
        RefusedError: a file is missing or cannot be decoded.
    """
    waveforms = np.empty((len(manifest.clips), round(manifest.clip_s * sample_rate_hz)), np.float32)
    for place, clip in enumerate(manifest.clips):
        try:
            samples, rate_hz = soundfile.read(clip.path, dtype="float32", always_2d=True)
        except (OSError, soundfile.LibsndfileError) as error:
            raise RefusedError(f"{clip.path} cannot be read: {error}") from error
        mono = samples.mean(axis=1)
        waveforms[place] = at_rate(mono, rate_hz, sample_rate_hz=sample_rate_hz, duration_s=manifest.clip_s)
    return Recordings(manifest, waveforms, sample_rate_hz, digest="")


def train(preset: Preset, recordings: Recordings, split: Split, seed: int, device: torch.device) -> Outcome:
    """Train a fresh network on a split from a seed; the test clips are scored once, after the last epoch.

    What is scored is the average of the weights over the steps where the preset asks for it, else the last weights.
    """
    trainer, sets = prepare_training(preset, recordings, split, seed, device)
    measured = {"train": sets.clips(split.train), "validation": sets.clips(split.validation)}
    seen, epochs = sets.drawn_from(trainer), preset.training.epochs
    history = [run_epoch(trainer, seen, measured, epoch) for epoch in range(epochs)]
    model = trainer.average.model if trainer.average else trainer.model
    predictions = predict_windows(model, preset, recordings, sets, trainer.window_frames)
    test, validation = (score_predictions(predictions, name) for name in ("test", "validation"))
    assert test is not None
    accuracy, seconds = test["clip"]["accuracy"], sum(record["seconds"] for record in history)
    print(
        f"{preset.name:24} {split.protocol}-{split.fold}, seed {seed}: {accuracy:6.1%} right, {seconds:.0f} s",
        flush=True,
    )
    parameters = sum(weight.numel() for weight in model.parameters())
    return Outcome(preset.name, split, seed, parameters, history, predictions, test, validation)


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """Write MODEL/PROTOCOL-FOLD-SEED/ with history.jsonl, predictions.csv and metrics.json."""
    place = folder / outcome.model / f"{outcome.split.protocol}-{outcome.split.fold}-{outcome.seed}"
    place.mkdir(parents=True, exist_ok=True)
    (place / "history.jsonl").write_text("".join(json.dumps(record) + "\n" for record in outcome.history))
    (place / "predictions.csv").write_bytes(to_csv(outcome.predictions))
    scores = {"test": outcome.test, "validation": outcome.validation, "parameters": outcome.parameters}
    (place / "metrics.json").write_text(json.dumps(scores, indent=1))


def compare(outcomes: Sequence[Outcome], categories: Sequence[str], out: Path) -> None:
    """Write results.csv, one row a model under a protocol, and the figures of each; print the table."""
    (out / "figures").mkdir(parents=True, exist_ok=True)
    pairs = dict.fromkeys((outcome.split.protocol, outcome.model) for outcome in outcomes)
    colours = palette(list(dict.fromkeys(model for _, model in pairs)))
    top = largest_loss([outcome.history for outcome in outcomes])
    rows = []
    for protocol, model in pairs:
        own = [outcome for outcome in outcomes if (outcome.split.protocol, outcome.model) == (protocol, model)]
        rows.append(_row(own))
        draw(own, categories, colours[model], top, out / "figures")
    with (out / "results.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows(rows)
    for row in [COLUMNS, *rows]:
        words = (f"{value:.4f}" if isinstance(value, float) else "-" if value is None else str(value) for value in row)
        print("".join(f"{word:>{24 if place == 1 else 12}}" for place, word in enumerate(words)))


def _row(own: Sequence[Outcome]) -> tuple:
    """Return a row of results.csv: means over the cells of a model under a protocol, and the spread of accuracy."""
    tests = [outcome.test["clip"] for outcome in own]
    accuracies = [test["accuracy"] for test in tests]
    spread = float(np.std(accuracies, ddof=1)) if len(own) > 1 else None
    areas = [test["macro_auc"] for test in tests if test["macro_auc"] is not None]
    validated = [outcome.validation["clip"]["accuracy"] for outcome in own if outcome.validation]
    means = [float(np.mean(values)) if values else None for values in (areas, validated)]
    f1 = float(np.mean([test["macro_f1"] for test in tests]))
    head = (own[0].split.protocol, own[0].model, len(own), own[0].parameters)
    return (*head, float(np.mean(accuracies)), spread, f1, *means)


def draw(own: Sequence[Outcome], categories: Sequence[str], colour: str, top: float, folder: Path) -> None:
    """Draw a model under a protocol: learning curves, confusion, F1 and ROC, over all its cells."""
    name = f"{own[0].model}-{own[0].split.protocol}"
    histories = [outcome.history for outcome in own]
    tests = [outcome.test["clip"] for outcome in own]
    clips = [outcome.predictions.of("test").by_clip() for outcome in own]
    probabilities = np.concatenate([some.probabilities for some in clips])
    areas = one_vs_rest(probabilities, np.concatenate([some.labels for some in clips]))
    f1 = [[test["per_class"][category]["f1"] for test in tests] for category in categories]
    with style():
        drawn = {
            "accuracy": curves(histories, "accuracy", colour=colour, top=1.02, title=f"{name}: accuracy"),
            "loss": curves(histories, "loss", colour=colour, top=top, title=f"{name}: loss"),
            "confusion": confusion(np.sum([test["confusion"] for test in tests], axis=0), categories, colour),
            "f1": f1_bars([float(np.mean(values)) for values in f1], f1, categories, colour),
            "roc": roc(areas, mean_curve(areas), categories),
        }
        for kind, figure in drawn.items():
            figure.savefig(folder / f"{name}-{kind}.png", dpi=200, bbox_inches="tight", facecolor="white")
