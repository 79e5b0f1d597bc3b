"""Run the study: train, score and compare every model under every protocol."""

# `auricle report STUDY --hand-in NAME` assembles one file from this module and all that it needs; so this module
# imports torch and prints, and no other module imports it.

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import yaml

from auricle.config import Preset, merge
from auricle.config.reading import LONGEST_WARMUP
from auricle.data.audio import at_rate
from auricle.data.cache import Recordings
from auricle.data.folds import Split, divide
from auricle.data.manifest import Clip, Manifest
from auricle.errors import AuricleError, DivergedError, RefusedError, UsageError
from auricle.handin.hand_in_results import TrainingResult, compare, write_result
from auricle.training.evaluate import scored_probabilities
from auricle.training.loop import run_training
from auricle.training.start import choose_device, prepare_training, training_clips


def main(configuration: str, read_clips: Callable[[Path], list[Clip]], arguments: Sequence[str] | None = None) -> int:
    """Run the study of a configuration (YAML) and return an exit code; an error is one line on standard error."""
    study = yaml.safe_load(configuration)
    options = _options(study, arguments)
    try:
        run_models(study, read_clips, options)
    except (AuricleError, OSError, KeyboardInterrupt) as error:
        print(str(error) or "interrupted", file=sys.stderr)
        return getattr(error, "exit_code", 130 if isinstance(error, KeyboardInterrupt) else 5)
    return 0


def _options(study: Mapping[str, Any], arguments: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser(description=f"Train, score and compare the models of the study {study['name']}.")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the recordings")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for results and figures")
    parser.add_argument("--models", metavar="A,B", help=f"only some of {', '.join(study['models'])}")
    parser.add_argument("--epochs", type=int, metavar="N", help="epochs of each training, if not those of the study")
    parser.add_argument("--device", default=study["device"], help="auto, cpu, cuda or mps [%(default)s]")
    parser.add_argument("--threads", type=int, default=study["threads"], metavar="N", help="CPU threads [%(default)s]")
    parser.add_argument("--wandb", choices=("off", "offline", "online"), default="off", help="log there [%(default)s]")
    parser.set_defaults(study=study["name"], not_scored=study["not_scored"])
    return parser.parse_args(arguments)


def run_models(study: Mapping[str, Any], read_clips: Callable[[Path], list[Clip]], options: Namespace) -> None:
    """Train the models that were asked for under all protocols of the study, and compare them."""
    presets = read_presets(study["models"], options.epochs)
    names = options.models.split(",") if options.models else list(presets)
    if unknown := [model for model in names if model not in presets]:
        raise UsageError(f"no model {unknown[0]!r}; the study has {', '.join(presets)}")
    torch.set_num_threads(max(1, options.threads))
    choose_device(options.device)  # raises if it is not available
    clips = tuple(clip for clip in read_clips(options.data) if clip.name not in study["skipped"])
    manifest = Manifest(str(options.data), clips, study["clip_s"])
    rates_hz = dict.fromkeys(presets[model].audio.sample_rate_hz for model in names)
    recordings = {rate_hz: read_recordings(manifest, rate_hz) for rate_hz in rates_hz}
    cells = [
        (presets[model], split, seed)
        for seed in study["seeds"]
        for protocol in study["protocols"]
        for split in divide(manifest, protocol)
        for model in names
        if protocol in study["only"].get(model, study["protocols"])
    ]
    results = []
    for preset, split, seed in cells:
        try:
            results.append(train(preset, recordings[preset.audio.sample_rate_hz], split, seed, options))
            write_result(options.out / "cells", results[-1])
        except DivergedError as error:
            print(f"{preset.name} {split.protocol}-{split.fold}-{seed}: {error}", file=sys.stderr)
    print(compare(results, options.out))
    if num_failed := len(cells) - len(results):
        raise AuricleError(f"{num_failed} of {len(cells)} trainings diverged and are not in the tables")


def read_presets(models: Mapping[str, Mapping[str, Any]], epochs: int | None = None) -> dict[str, Preset]:
    """Return the presets by name; one lists its differences from what it `extends`; `epochs` shorten the warm-up."""
    if epochs is not None and epochs < 1:
        raise UsageError(f"--epochs must be at least 1, not {epochs}")
    spelt: dict[str, dict[str, Any]] = {}
    for name, content in models.items():
        own = {section: fields for section, fields in content.items() if section != "extends"}
        spelt[name] = merge(spelt[content["extends"]] if "extends" in content else {}, own | {"name": name})
    if epochs:
        for training in (content["training"] for content in spelt.values()):
            training |= {"epochs": epochs, "warmup_epochs": min(training["warmup_epochs"], LONGEST_WARMUP * epochs)}
    return {name: Preset.model_validate(content) for name, content in spelt.items()}


def read_recordings(manifest: Manifest, sample_rate_hz: int) -> Recordings:
    """Decode every clip as mono, resample it, and cut or pad it to the length of the clips."""
    waveforms = np.empty((len(manifest.clips), round(manifest.clip_s * sample_rate_hz)), np.float32)
    for row, clip in enumerate(manifest.clips):
        try:
            sound, rate_hz = soundfile.read(clip.path, dtype="float32", always_2d=True)
        except (OSError, soundfile.LibsndfileError) as error:
            raise RefusedError(f"{clip.path} cannot be read: {error}") from error
        waveforms[row] = at_rate(sound.mean(axis=1), rate_hz, sample_rate_hz=sample_rate_hz, duration_s=manifest.clip_s)
    return Recordings(manifest, waveforms, sample_rate_hz, digest="")


def train(preset: Preset, recordings: Recordings, split: Split, seed: int, options: Namespace) -> TrainingResult:
    """Train a new network on a split from a seed; the test clips are scored once, after the last epoch."""
    trainer, sets = prepare_training(preset, recordings, split, seed, choose_device(options.device))
    with _wandb_run(preset, f"{split.protocol}-{split.fold}-{seed}", options) as run:
        log = (lambda history: run.log(history[-1])) if run else None
        history = run_training(trainer, *training_clips(trainer, sets), on_epoch=log)
        model, manifest = trainer.scored_model, recordings.manifest
        scored = scored_probabilities(model, sets, trainer.augmenter)
        num_parameters = sum(weight.numel() for weight in model.parameters())
        result = TrainingResult(preset, manifest, split, seed, num_parameters, history, *scored, options.not_scored)
        scores = {name: result.test[name] for name in ("accuracy", "macro_f1", "macro_auc")}
        if run:
            run.summary.update({f"test/{name}": value for name, value in scores.items()})
    shown = ", ".join(f"{name} {value:.3f}" for name, value in scores.items() if value is not None)
    print(f"{preset.name:24} {result.cell:16} {shown}, {sum(each['seconds'] for each in history):.0f} s", flush=True)
    return result


def _wandb_run(preset: Preset, cell: str, options: Namespace) -> Any:
    """Yield a run of Weights & Biases that ends with the block; None where nothing is logged."""
    if options.wandb == "off":
        return nullcontext()
    import wandb

    config = {section: dict(fields) for section, fields in preset if section in ("training", "augmentation")}
    options.out.mkdir(parents=True, exist_ok=True)
    where = {"dir": options.out, "mode": options.wandb, "reinit": "create_new"}
    return wandb.init(project=options.study, group=preset.name, name=f"{preset.name}/{cell}", config=config, **where)
