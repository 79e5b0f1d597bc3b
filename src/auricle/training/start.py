"""Where a training begins: network, optimiser and randomness, all from a seed."""

from __future__ import annotations

import torch

from auricle.config import Preset
from auricle.model.classifier import Classifier, build_model, window_frames
from auricle.training.augment import Augmenter
from auricle.training.loop import Precision, Trainer
from auricle.training.optimise import WeightAverage, build_optimizer


def fresh_model(preset: Preset, num_classes: int, seed: int, device: torch.device) -> Classifier:
    """Return a network with the weights of a seed, whose frontend is not yet fitted.

    Raises:
        UsageError: the preset does not build.
    """
    torch.manual_seed(seed)
    model = build_model(preset, num_classes).to(device)
    model.base.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # faster convolutions
    return model


def fresh_trainer(preset: Preset, model: Classifier, seed: int, device: torch.device) -> Trainer:
    """Return what trains a network, before its first step.

    Args:
        preset: of the network.
        model: its frontend is fitted.
        seed: of order and augmentation.
        device: on which the network is.
    """
    config = preset.training
    augmenter = Augmenter(
        preset.augmentation,
        model.frontend.exponent,
        model.frontend.frames_per_s,
        model.frontend.neutral.clone(),
        torch.Generator(device).manual_seed(seed),
    )
    return Trainer(
        preset=preset,
        model=model,
        average=WeightAverage(model, config.weight_average) if config.weight_average else None,
        optimizer=build_optimizer(model, config),
        augmenter=augmenter,
        generator=torch.Generator().manual_seed(seed),
        precision=Precision.choose(config.precision, device),
        window_frames=window_frames(preset, model.frontend),
    )
