"""Finished cells of untrained networks: what training would leave behind, in a second."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from auricle.config import Preset, to_yaml
from auricle.model.classifier import build_model
from auricle.scoring.predictions import Predictions, write_predictions

RATE_HZ = 4_000
CATEGORIES = ("click", "noise", "tone")


def preset(*, encoder: bool, **options: object) -> Preset:
    """A preset of a few thousand parameters; `options` of its encoder, `frontend` those of its frontend."""
    blocks = [
        {"axes": ["frequency"], "channels": 6, "stride": 2},
        {"axes": ["frequency", "time"], "channels": 8, "stride": 2, "residual": True},
    ]
    return Preset.model_validate(
        {
            "name": "tiny",
            "audio": {"sample_rate_hz": RATE_HZ, "window_s": 0.6, "window_hop_s": 0.2},
            "frontend": {"num_bands": 16, **options.pop("frontend", {})},
            "base": {"layout": "map", "blocks": blocks},
            "encoder": {"num_heads": 2, "num_blocks": 2, "width": 16, "mlp_width": 16, **options} if encoder else None,
        }
    )


def write_cell(study: Path, *, encoder: bool, **options: object) -> Path:
    """Write STUDY/cells/tiny/test-split-2-0 and return it."""
    folder = study / "cells" / "tiny" / "test-split-2-0"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    network = build_model(preset(encoder=encoder, **options), len(CATEGORIES)).eval()
    network.frontend.mean.fill_(-3.0)
    network.frontend.std.fill_(2.0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, folder / "model.safetensors")
    (folder / "config.yaml").write_text(to_yaml(preset(encoder=encoder, **options)))
    write_predictions(folder / "predictions.csv", made_predictions())
    metrics = {"cell": "tiny/test-split-2-0", "num_train": 30, "leaky": False}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def made_predictions(sharpness: float = 3.0, num: int = 30) -> Predictions:
    """Two windows a clip, right four times in five."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(2 * num) % 3, 2)
    logits = generator.standard_normal((4 * num, 3))
    logits[np.arange(4 * num), labels] += 1.5
    powers = np.exp(logits * sharpness)
    return Predictions(
        tuple(f"{clip}.wav" for clip in np.repeat(np.arange(2 * num), 2)),
        ("validation",) * (2 * num) + ("test",) * (2 * num),
        labels,
        np.tile([0.0, 0.2], 2 * num),
        powers / powers.sum(axis=1, keepdims=True),
        CATEGORIES,
    )
