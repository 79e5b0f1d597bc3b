"""A refactoring leaves the losses identical: logits at seed 0 and twenty steps of both architectures.

`make golden` writes the file anew; a person reads the difference.
"""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from auricle.config import load_preset
from auricle.training.start import prepare_training

GOLDEN = Path(__file__).with_name("golden.json")


def steps(name: str, recordings, split) -> dict:
    preset = load_preset(name, {"audio.sample_rate_hz": 4000, "audio.window_s": 0.8, "training.precision": "float32",
                                "training.batch_size": 9, "frontend.num_bands": 32, "training.epochs": 7,
                                "training.warmup_epochs": 2})  # fmt: skip
    torch.set_num_threads(1)
    trainer, sets = prepare_training(preset, recordings, split, 0, torch.device("cpu"))
    trainer.model.double()  # so that processors that round otherwise give the same losses
    clips = replace(sets.clips(split.train), frames=sets.clips(split.train).frames.double())
    with torch.no_grad():
        logits = trainer.model.eval()(clips.frames[:2, :, : trainer.window_frames])
    trainer.model.train()
    losses = []
    for batch in [batch for _ in range(4) for batch in trainer.batches(clips)][:20]:
        loss = trainer.loss(clips.frames[batch], clips.targets[batch])
        losses.append(loss.item())
        trainer.step(loss)
    return {"logits": logits.flatten().tolist(), "losses": losses}


@pytest.mark.parametrize("name", ["cnn", "transformer-h4"])
def test_logits_and_losses_are_those_on_record(name: str, recordings, split) -> None:
    found = steps(name, recordings, split)
    record = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if os.environ.get("AURICLE_GOLDEN") == "write":
        rounded = {key: [float(f"{value:.6g}") for value in values] for key, values in found.items()}
        GOLDEN.write_text(json.dumps({**record, name: rounded}, indent=1) + "\n")
        return
    np.testing.assert_allclose(found["logits"], record[name]["logits"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["losses"], record[name]["losses"], rtol=2e-3)
