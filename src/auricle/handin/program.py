"""The study: every model under every protocol, trained, scored, drawn and compared."""

# `auricle report STUDY --hand-in NAME` makes one file of this module and all that it needs; so this module imports
# torch and prints, and no other imports it.

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
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
from auricle.handin.outcomes import Outcome, compare, write_outcome
from auricle.scoring.metrics import score_predictions
from auricle.training.fit import choose_device
from auricle.training.parts import predict_windows, prepare_training, run_epoch


def main(configuration: str, read_clips: Callable[[Path], list[Clip]], arguments: Sequence[str] | None = None) -> int:
    """Run the study and return an exit code; what goes wrong is one line on standard error.

    Args:
        configuration: YAML: name, clip_s, skipped, protocols, allow_split_groups, only, seeds, threads, device,
            models.
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
            for split in make_splits(manifest, protocol, allow_split_groups=study["allow_split_groups"]):
                for model in (model for model in chosen if protocol in study["only"].get(model, study["protocols"])):
                    heard = recordings[presets[model].audio.sample_rate_hz]
                    outcomes.append(train(presets[model], heard, split, seed, device))
                    write_outcome(options.out / "cells", outcomes[-1])
    print(compare(outcomes, manifest.categories, options.out))


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
