"""The start of a training: network, optimiser, random generators and clips on the device; and a trained network."""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from auricle.config import Preset
from auricle.data.cache import Recordings
from auricle.data.folds import Split
from auricle.errors import MachineError, RefusedError
from auricle.model.classifier import Classifier, build_model
from auricle.model.frontend import Frontend
from auricle.model.windows import ClipWindows
from auricle.runs import Cell
from auricle.training.augment import Augmenter
from auricle.training.evaluate import BALANCED, DRAWN_FROM, Clips, Precision, Sets
from auricle.training.loop import Trainer
from auricle.training.optimise import WeightAverage, build_optimizer


def choose_device(name: str) -> torch.device:
    """Return the device of a name; "auto" is CUDA, else Apple's GPU, else the CPU.

    Raises:
        MachineError: this machine has no such device.
    """
    there = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available()), "cpu": 1}
    here = [kind for kind, num in there.items() if num]
    name = here[0] if name == "auto" else name
    if name not in here + [f"{kind}:{number}" for kind in here for number in range(there[kind])]:
        raise MachineError(f"no device {name!r} on this machine; available: {', '.join(here)}")
    torch.backends.cudnn.allow_tf32 = False  # by default, convolutions in float32 on a GPU have ten bits
    return torch.device(name)


def fresh_model(preset: Preset, num_classes: int, seed: int, device: torch.device) -> Classifier:
    """Return a network initialised from a seed; its frontend is not fitted yet."""
    torch.manual_seed(seed)
    return build_model(preset, num_classes).to(device)


def fresh_trainer(preset: Preset, model: Classifier, seed: int, device: torch.device) -> Trainer:
    """Return the trainer of a network with a fitted frontend; the seed determines order and augmentation."""
    config, frontend, noise = preset.training, model.frontend, torch.Generator(device).manual_seed(seed)
    neutral, precision = frontend.neutral.clone(), Precision.choose(config.precision, device)
    return Trainer(
        preset=preset,
        model=model,
        average=WeightAverage(model, config.weight_average) if config.weight_average else None,
        optimizer=build_optimizer(model, config, precision.dtype),
        augmenter=Augmenter(preset.augmentation, preset.frontend.kind, frontend.frames_per_s, neutral, noise),
        generator=torch.Generator().manual_seed(seed),
        precision=precision,
        window_frames=ClipWindows.of(preset.audio, preset.frontend).window_frames,
    )


def prepare_training(
    preset: Preset, recordings: Recordings, split: Split, seed: int, device: torch.device
) -> tuple[Trainer, Sets]:
    """Build model and optimiser from the seed, and fit the frontend to the training clips.

    Raises:
        UsageError: the model of the preset cannot be built.
    """
    manifest, rule = recordings.manifest, ClipWindows.of(preset.audio, preset.frontend)
    model = fresh_model(preset, len(manifest.categories), seed, device)
    frames = partial(frames_of, model.frontend, recordings.waveforms, device)
    model.frontend.fit(frames(split.train))
    targets = F.one_hot(torch.from_numpy(manifest.labels), len(manifest.categories)).float().to(device)
    return fresh_trainer(preset, model, seed, device), Sets(frames, targets, split, rule)


@torch.no_grad()
def frames_of(frontend: Frontend, waveforms: np.ndarray, device: torch.device, indices: np.ndarray) -> Tensor:
    """Return the frames of some clips, (N, samples) -> (n, F, T), in one tensor."""
    frames = torch.empty(0)
    for row, index in enumerate(indices):  # one by one: as fast as a batch, and takes less memory
        (part,) = frontend.frames(torch.from_numpy(np.array(waveforms[index]))[None].to(device))
        frames = frames if row else part.new_empty(len(indices), *part.shape)
        frames[row] = part
    return frames


def training_clips(trainer: Trainer, sets: Sets) -> tuple[Clips, dict[str, Clips]]:
    """Return the clips to train on, and the sets with learning curves; weighted if classes are balanced."""
    config, split = trainer.preset.training, sets.split
    balanced = BALANCED[config.balance]
    drawn_from = balanced(DRAWN_FROM[config.windows](sets), drawn=True)
    measured = {"train": split.train, "validation": split.validation}
    return drawn_from, {
        name: balanced(sets.fullest(indices), drawn=False) for name, indices in measured.items() if len(indices)
    }


def load_network(cell: Cell, preset: Preset, num_classes: int) -> Classifier:
    """Build the network of a finished cell and load its weights, in evaluation mode.

    Raises:
        RefusedError: the weights are missing, damaged, or from another network.
        UsageError: the model of the preset cannot be built.
    """
    with torch.random.fork_rng(devices=[]):
        network = build_model(preset, num_classes).eval()
    try:
        stored = load_file(cell.weights).items()  # kernels of earlier versions have four dimensions
        network.load_state_dict({name: value.flatten(2) if value.ndim == 4 else value for name, value in stored})
    except Exception as error:  # safetensors and PyTorch raise many types
        reason = " ".join(str(error).split())[:200]
        raise RefusedError(f"{cell.weights}: does not match {cell.config.name}: {reason}") from error
    return network
