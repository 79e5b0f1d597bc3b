"""Fixes for a collapsed training, tried: the same training with one change, for its first epochs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from auricle.config import Preset, TrainingConfig, parse_overrides, revalidated
from auricle.data.cache import Recordings
from auricle.data.folds import Split
from auricle.errors import DivergedError
from auricle.system import keep_freed_memory
from auricle.training.causes import Case, Cure, likely_cause
from auricle.training.evaluate import Sets, curve_point
from auricle.training.loop import Trainer, run_training
from auricle.training.measure import measure
from auricle.training.start import choose_device, training_clips
from auricle.training.stored import prepare_sets
from auricle.training.watch import Watch

MOST_EPOCHS = 10


@dataclass(frozen=True)
class Trial:
    """How the first epochs of a training went.

    Attributes:
        change: `section.field=value` assignments; none for the unchanged training.
        epochs: the number trained.
        loss: on training clips without augmentation, at the end, in nats; None if it diverged.
        accuracy: on the same clips, 0..1; None if it diverged.
        learns: True if there is no sign of collapse.
    """

    change: Cure
    epochs: int
    loss: float | None
    accuracy: float | None
    learns: bool


@dataclass(frozen=True)
class Diagnosis:
    """Why a training does not learn, and the results of the fixes.

    Attributes:
        cause: in one sentence; None if the training learns.
        trials: the unchanged training, then each fix.
    """

    cause: str | None
    trials: tuple[Trial, ...]


def num_trial_epochs(config: TrainingConfig) -> int:
    """Return a fifth of the epochs, from 1 to 10.

    >>> [num_trial_epochs(TrainingConfig(epochs=epochs)) for epochs in (3, 30, 100)]
    [1, 6, 10]
    """
    return max(1, min(MOST_EPOCHS, config.epochs // 5))


def changed(preset: Preset, change: Sequence[str]) -> Preset:
    """Return a preset with `section.field=value` assignments applied.

    Raises:
        UsageError: a value out of range.
    """
    for field, value in parse_overrides(change).items():
        section, name = field.split(".")
        preset = revalidated(preset, **{section: revalidated(getattr(preset, section), **{name: value})})
    return preset


def diagnose(
    preset: Preset,
    recordings: Recordings,
    split: Split,
    *,
    seed: int,
    device: str = "auto",
    epochs: int | None = None,
    collapse: Mapping[str, Any] | None = None,
    on_trial: Callable[[Sequence[str]], None] | None = None,
) -> Diagnosis:
    """Train the first epochs of a cell unchanged, and again with each change that may fix it.

    Without `epochs`, a trial has a fifth of the cell's, at most 10. `collapse` is the record of the collapse from the
    training; if None, the cause is measured now. `on_trial` is called with each change before it is tried.

    Raises:
        MachineError: no such device.
        UsageError: the model of the preset cannot be built.
    """
    keep_freed_memory()

    def begin(change: Cure) -> tuple[Trainer, Sets]:
        if on_trial:
            on_trial(change)
        return prepare_sets(changed(preset, change), recordings, split, seed, choose_device(device))

    num = epochs or num_trial_epochs(preset.training)
    with torch.random.fork_rng():
        trainer, sets = begin(())
        trials = [_trial((), trainer, sets, num)]
        if collapse is not None:
            cause, cures = str(collapse["cause"]), tuple(tuple(cure) for cure in collapse["cures"])
        elif trials[0].learns:
            return Diagnosis(None, tuple(trials))
        else:
            clips, measured = training_clips(trainer, sets)
            found = likely_cause(Case(preset, *measure(trainer, clips, measured["train"], seed)))
            cause, cures = found.text, found.cures
        for cure in cures:
            trainer, sets = begin(cure)
            now, before = trainer.preset.training, preset.training
            is_longer = (now.epochs, now.max_steps) != (before.epochs, before.max_steps)  # then more steps are the fix
            trials.append(_trial(cure, trainer, sets, now.epochs if is_longer else num))
    return Diagnosis(cause, tuple(trials))


def _trial(change: Cure, trainer: Trainer, sets: Sets, epochs: int) -> Trial:
    """Train the first epochs and measure once, at the end."""
    clips, measured = training_clips(trainer, sets)
    try:
        run_training(trainer, clips, {}, num_epochs=epochs)
    except DivergedError:
        return Trial(change, epochs, None, None, learns=False)
    point = curve_point(trainer.model, measured["train"], trainer.precision)
    labels = sets.targets[sets.split.train].argmax(1).cpu().numpy()
    watch = Watch.over(labels, trainer.preset.training, len(measured["train"]))
    signs = watch.signs({f"train_{name}": value for name, value in point.items() if name != "commonest"})
    return Trial(change, epochs, point["loss"], point["accuracy"], learns=not signs)
