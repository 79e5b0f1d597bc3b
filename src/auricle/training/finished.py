"""The network that a finished training left behind."""

from __future__ import annotations

import torch
from safetensors.torch import load_file

from auricle.config import Preset
from auricle.errors import RefusedError
from auricle.model.classifier import Classifier, build_model
from auricle.runs import Cell


def load_network(cell: Cell, preset: Preset, num_classes: int) -> Classifier:
    """Build the network of a finished cell and give it the cell's weights; it is ready to be asked, not to be trained.

    Raises:
        RefusedError: the weights are missing, damaged, or of another network.
        UsageError: the preset does not build.
    """
    with torch.random.fork_rng(devices=[]):
        network = build_model(preset, num_classes).eval()
    try:
        network.load_state_dict(load_file(cell.weights))
    except Exception as error:  # safetensors and PyTorch raise many kinds
        reason = " ".join(str(error).split())[:200]
        raise RefusedError(f"{cell.weights}: does not fit {cell.config.name}: {reason}") from error
    return network
