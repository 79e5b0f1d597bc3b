"""A study folder without a training: plausible histories and predictions, drawn from a seed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from auricle import files, runs
from auricle.config import load_preset, load_references, preset_names
from auricle.findings.study import Study, load_study
from auricle.runs import CellName, StudyFolder
from auricle.scoring.predictions import Predictions, write_predictions

ESC10 = (
    "chainsaw", "clock_tick", "crackling_fire", "crying_baby", "dog", "helicopter", "rain", "rooster", "sea_waves",
    "sneezing",
)  # fmt: skip
SKILL = {"cnn": 4.4, "transformer-h1": 3.1, "transformer-h2": 4.2, "transformer-h4": 4.0}
RATE_HZ = 16_000


@dataclass(frozen=True)
class FakeStudy:
    """What a made-up study is made of.

    Attributes:
        skill: model to how far the true class stands above the others; 0 is guessing, None always gives class 0.
        failed: cells that failed.
        collapse: model to what its metrics.json says of a collapse.
        training: model to fields of its recipe.
        unstarted: cells without a folder.
        baselines: name to skill, as `skill`.
        dataset: more of what study.yaml says of the dataset.
        clip_end: end of the name of every clip.
    """

    source: str = "esc10"
    categories: Sequence[str] = ESC10
    models: Sequence[str] = tuple(SKILL)
    protocols: Sequence[str] = ("test-split", "k-fold")
    seeds: Sequence[int] = (0,)
    num_folds: int = 5
    clips_per_class_and_fold: int = 8
    epochs: int = 100
    clip_s: float = 5.0
    skill: Mapping[str, float | None] = field(default_factory=lambda: SKILL)
    skipped: Sequence[tuple[str, str]] = ()
    leaky_protocols: Sequence[str] = ()
    failed: Sequence[str] = ()
    collapse: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    training: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    unstarted: Sequence[str] = ()
    baselines: Mapping[str, float | None] = field(default_factory=dict)
    dataset: Mapping[str, Any] = field(default_factory=dict)
    clip_end: str = ".wav"


def write_study(folder: Path, fake: FakeStudy = FakeStudy()) -> Path:
    """Write the folder of a study that never ran."""
    place = StudyFolder(folder)
    clips = [
        (f"{fold}-{1000 + 97 * group}-A-{label}{fake.clip_end}", label, fold, f"{category}/{fold}/{group // 2}")
        for fold in range(1, fake.num_folds + 1)
        for label, category in enumerate(fake.categories)
        for group in range(fake.clips_per_class_and_fold)
    ]
    _write_description(place, fake)
    _write_manifest(place, fake, clips)
    _write_samples(place, fake)
    rng = np.random.default_rng(7)
    clarity = rng.normal(0, 1.6, (len(clips), 1)) + rng.normal(0, 1.0, (1, len(fake.categories)))
    confusion = rng.gumbel(0, 0.7, (len(clips), len(fake.categories)))
    for number, name in enumerate(_cell_names(fake)):
        if str(name) in fake.unstarted:
            continue
        cell = place.cell(name)
        if str(name) in fake.failed:
            files.write_json(cell.error, {"cause": "loss is not finite in epoch 3", "type": "DivergedError"})
            continue
        _write_cell(cell, fake, clips, clarity, confusion, np.random.default_rng(number))
    for number, name in enumerate(_cell_names(replace(fake, models=tuple(fake.baselines), seeds=(0,)))):
        rng = np.random.default_rng(1_000 + number)
        _write_cell(place.baseline(name), replace(fake, skill=fake.baselines), clips, clarity, confusion, rng)
    for model in fake.models:
        files.write_json(place.model(model), _layers(model, len(fake.categories)))
    return folder


def _cell_names(fake: FakeStudy) -> list[CellName]:
    folds = list(range(1, fake.num_folds + 1))
    of = {"test-split": folds[1:2], "k-fold": folds[1:], "official": folds, "random": [1, 2, 3, 4], "random-split": [1]}
    return [
        CellName(model, protocol, fold, seed)
        for model in fake.models
        for protocol in fake.protocols
        for fold in of[protocol]
        for seed in fake.seeds
    ]


def _sets(fake: FakeStudy, name: CellName, clips: Sequence[tuple]) -> dict[str, list[int]]:
    if name.protocol in ("test-split", "k-fold"):
        return {
            "validation": [i for i, clip in enumerate(clips) if clip[2] == name.fold],
            "test": [i for i, clip in enumerate(clips) if clip[2] == 1],
        }
    if name.protocol == "official":
        return {"test": [i for i, clip in enumerate(clips) if clip[2] == name.fold]}
    return {"test": list(range(name.fold - 1, len(clips), 4))}


def _write_cell(
    cell: runs.Cell,
    fake: FakeStudy,
    clips: Sequence[tuple],
    clarity: np.ndarray,
    confusion: np.ndarray,
    rng: np.random.Generator,
) -> None:
    skill = fake.skill.get(cell.name.model, 2.0)
    sets = _sets(fake, cell.name, clips)
    rows = [(name, clip, start) for name, members in sets.items() for clip in members for start in (0.0, 1.0, 2.0)]
    of_clip = np.array([clip for _, clip, _ in rows])
    labels = np.array([clips[clip][1] for clip in of_clip])
    num_classes = len(fake.categories)
    logits = confusion[of_clip] + rng.normal(0, 0.8, (len(rows), num_classes))
    if skill is None:
        logits[:, 0] += 20
    else:
        truth = skill + clarity[of_clip, labels] + 0.6 * np.array([row[0] == "validation" for row in rows])
        logits[np.arange(len(rows)), labels] += truth if skill else 0
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    predictions = Predictions(
        tuple(clips[clip][0] for clip in of_clip),
        tuple(name for name, _, _ in rows),
        labels,
        np.array([start for _, _, start in rows]),
        probabilities / probabilities.sum(axis=1, keepdims=True),
        tuple(fake.categories),
    )
    write_predictions(cell.predictions, predictions)
    history = _history(fake, "validation" in sets, rng)
    files.write_text(cell.history, "".join(f"{json.dumps(record)}\n" for record in history))
    encoder = 268_000 * (cell.name.model != "cnn")
    metrics = {
        "cell": str(cell.name), "test": {"clip": {"accuracy": 0.0}}, "validation": None,
        "parameters": 168_314 + encoder, "trainable_parameters": 168_314 + encoder, "non_trainable_parameters": 0,
        "multiply_adds": 41_300_000 + 31 * encoder, "epochs": fake.epochs, "seconds": 88.0 + float(rng.normal(0, 3)),
        "session_seconds": 90.0, "cpu_seconds": 171.0, "peak_memory_mb": 912.0, "device": "cpu", "threads": 1,
        "precision": "bfloat16", "leaky": cell.name.protocol in fake.leaky_protocols, "num_train": 240,
        "num_validation": len(sets.get("validation", ())), "num_test": len(sets["test"]),
        "collapse": fake.collapse.get(cell.name.model),
    }  # fmt: skip
    files.write_json(cell.metrics, metrics)


def _history(fake: FakeStudy, has_validation: bool, rng: np.random.Generator) -> list[dict[str, float]]:
    history = []
    for epoch in range(1, fake.epochs + 1):
        learnt = 1 - np.exp(-4 * epoch / fake.epochs)
        train = min(1.0, 0.12 + 0.88 * learnt + float(rng.normal(0, 0.012)))
        record = {"epoch": epoch, "train_loss": 2.3 - 2.15 * learnt, "train_accuracy": train}
        if has_validation:
            noise = float(rng.normal(0, 0.03)) * (1.2 - learnt)
            record["validation_loss"] = 2.3 - 1.75 * learnt + noise
            record["validation_accuracy"] = min(1.0, 0.12 + 0.75 * learnt + noise)
        record |= {"objective": 2.3 - 1.5 * learnt, "learning_rate": 0.002 * (1 - epoch / fake.epochs)}
        history.append({**record, "gradient_norm": 1.0 + learnt, "seconds": 0.88})
    return history


def _write_description(place: StudyFolder, fake: FakeStudy) -> None:
    known = preset_names()
    presets = {
        model: {**load_preset(model if model in known else "cnn").model_dump(mode="json"), "name": model}
        for model in fake.models
    }
    for model, preset in presets.items():
        preset["training"] |= {"epochs": fake.epochs, **fake.training.get(model, {})}
    per_class = fake.num_folds * fake.clips_per_class_and_fold
    description = {
        "study": {
            "name": "esc10", "about": "ESC-10 as the course specification asks.", "data": fake.source,
            "models": list(fake.models), "protocols": list(fake.protocols), "seeds": list(fake.seeds),
            "overrides": {}, "reference": [one.model_dump(mode="json") for one in load_references("four-reports")],
        },
        "models": presets,
        "dataset": {
            "source": fake.source, "digest": "3f1d" * 16, "digests": {RATE_HZ: "3f1d" * 16},
            "num_clips": per_class * len(fake.categories), "clip_s": fake.clip_s, "sample_rate_hz": RATE_HZ,
            "categories": list(fake.categories), "counts": dict.fromkeys(fake.categories, per_class),
            "folds": dict.fromkeys(range(1, fake.num_folds + 1), per_class // fake.num_folds),
            "notes": ["Folds are those of ESC-50: clips of one source recording stand in one fold."],
            "skipped": [list(pair) for pair in fake.skipped], "leaky_protocols": list(fake.leaky_protocols),
            **fake.dataset,
        },
        "versions": {"auricle": "0.1.0", "python": "3.11.7", "torch": "2.13.0", "numpy": "2.4.6"},
        "machine": {"system": "Linux 6.1 x86_64", "processor": "AMD EPYC 7B13", "cores": 2, "memory_gb": 24.6,
                    "device": "cpu"},
        "commit": "0123456789ab",
        "command": "auricle study esc10 --data ../data", "started": "2026-05-04T10:20:30+00:00",
    }  # fmt: skip
    files.write_text(place.description, yaml.safe_dump(description, sort_keys=False, allow_unicode=True))


def _write_manifest(place: StudyFolder, fake: FakeStudy, clips: Sequence[tuple]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("clip", "category", "fold", "group"))
    writer.writerows((name, fake.categories[label], fold, group) for name, label, fold, group in clips)
    files.write_text(place.manifest, text.getvalue())


def _write_samples(place: StudyFolder, fake: FakeStudy) -> None:
    time_s = np.arange(round(fake.clip_s * RATE_HZ)) / RATE_HZ
    rng = np.random.default_rng(3)
    waveforms = []
    for index in range(len(fake.categories)):
        tone = np.sin(2 * np.pi * (150 * (1 + index % 10) ** 1.6 + 60 * time_s) * time_s)
        beat = np.exp(-6 * ((time_s * (1 + index % 4)) % 1.0))
        waveforms.append(0.5 * tone * beat + 0.02 * (1 + index % 3) * rng.normal(size=len(time_s)))
    arrays = {
        "waveforms": np.round(np.clip(waveforms, -1, 1) * np.array(32767)).astype(np.int16),
        "names": np.array([f"2-{index}-A.wav" for index in range(len(fake.categories))]),
        "categories": np.array(list(fake.categories)),
        "sample_rate_hz": np.array(RATE_HZ),
    }
    files.write_atomically(place.samples, lambda file: np.savez_compressed(file, **arrays))


def _layer(name: str, kind: str, shape: list[int], parameters: int, multiply_adds: int) -> dict[str, Any]:
    return {
        "name": name, "kind": kind, "output_shape": shape, "parameters": parameters, "multiply_adds": multiply_adds,
    }  # fmt: skip


def _layers(model: str, num_classes: int) -> dict[str, Any]:
    layers = [
        _layer(
            f"base.{index}.convolutions.{axis}",
            f"1D convolution along {('frequency', 'time')[axis]}, kernel 5, batch norm, ReLU",
            [16 * (1 + index // 2), 32 >> (index // 2), 75],
            1280 * (1 + index),
            6_144_000 >> index,
        )
        for index in range(8)
        for axis in range(2)
    ]
    if model != "cnn":
        heads = f"self-attention, {model[-1]} head{'s' * (model[-1] != '1')}"
        layers += [
            _layer("summary.projection", "linear", [19, 128], 8320, 155_648),
            _layer("summary.cls", "<cls> token", [1, 128], 128, 0),
            _layer("summary.blocks.0.attention", heads, [20, 128], 66_048, 1_413_120),
        ]
    layers.append(_layer("head.1", "linear", [num_classes], 64 * num_classes, 64 * num_classes))
    total = sum(layer["parameters"] for layer in layers)
    work = sum(layer["multiply_adds"] for layer in layers)
    return {
        "name": model, "about": load_preset("cnn").about, "layers": layers, "parameters": total,
        "trainable_parameters": total, "non_trainable_parameters": 0, "running_statistics": 1184,
        "multiply_adds_per_window": work, "multiply_adds": 3 * work, "frames_per_window": 75, "config": {},
    }  # fmt: skip


@pytest.fixture(scope="session")
def make_study(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that writes a made-up study and returns its folder."""
    return lambda **changes: write_study(tmp_path_factory.mktemp("study"), FakeStudy(**changes))


@pytest.fixture(scope="session")
def esc10_study(make_study: Callable[..., Path]) -> Path:
    """Four models under two protocols on ten classes: twenty cells."""
    return make_study()


@pytest.fixture(scope="session")
def esc10(esc10_study: Path) -> Study:
    """What is read from `esc10_study`."""
    return load_study(esc10_study)
