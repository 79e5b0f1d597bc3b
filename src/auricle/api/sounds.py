"""A classifier of sounds with scikit-learn's interface: lists of files or arrays, and labels.

paths or arrays  ->  waveforms of one rate and length, (N, T)  ->  a preset's network and recipe  ->  probabilities
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from auricle.config import Preset, load_preset
from auricle.data.audio import MAX_DURATION_S, MAX_RATE_HZ, MIN_RATE_HZ, at_rate, header_duration_s, load_waveform
from auricle.data.cache import Recordings
from auricle.data.datasets import usual_length_s
from auricle.data.folds import for_training_only
from auricle.data.manifest import Clip, Manifest
from auricle.data.processes import in_processes
from auricle.data.waveforms import mono_waveform
from auricle.display.watching import progress_shown
from auricle.errors import RefusedError, UsageError, count
from auricle.model.windows import mean_over_windows
from auricle.system import num_threads, threads_kept

if TYPE_CHECKING:
    from sklearn.utils import Tags

Sounds = Sequence[Path | str | np.ndarray] | np.ndarray
LARGEST_SEED = np.iinfo(np.int32).max


class SoundsError(RefusedError, ValueError):
    """The sounds or labels are refused; also a ValueError, as callers of scikit-learn expect."""


class SoundClassifier(ClassifierMixin, BaseEstimator):
    """A sound classifier with scikit-learn's interface, trained from scratch by `fit`.

    It works in pipelines, grid searches and cross-validation. Sounds are paths of audio files in any format that
    auricle reads, or waveforms: arrays (T,), (T, channels) or (channels, T), of floats in [-1, 1] or of integers; one
    array (N, T) is N waveforms. Labels are strings or numbers. ::

        classifier = au.SoundClassifier("cnn", epochs=50)
        classifier.fit(paths, labels)
        classifier.predict(["new.wav"])
        cross_val_score(classifier, paths, labels, groups=speakers, cv=GroupKFold(5))

    Nothing is written to disk. For a study with a report and an exportable model, use `run_study`.

    Args:
        model: a name of `list_models`, or the path of a YAML file.
        epochs: passes over the training sounds; None: those of the preset.
        sample_rate_hz: of waveforms; None: the network's own rate. Audio files have their own.
        clip_s: the length in seconds to which sounds are cut or padded; None: the 95th percentile of the training
            sounds, at most 10 s.
        overrides: values by `section.field` that replace those of the preset.
        random_state: seed of weights, order and augmentation; None draws one.
        device: auto, cpu, cuda or mps.
        threads: CPU threads; None: $OMP_NUM_THREADS, else 1.
        verbose: whether to show progress.

    Attributes:
        classes_: the labels, sorted.
        clip_s_: the length in seconds that was used.
        history_: one record per epoch: loss and accuracy of the training sounds.
        network_: the trained network, an `nn.Module` that takes frames.
    """

    def __init__(
        self,
        model: str = "cnn",
        *,
        epochs: int | None = None,
        sample_rate_hz: int | None = None,
        clip_s: float | None = None,
        overrides: Mapping[str, Any] | None = None,
        random_state: Any = None,
        device: str = "auto",
        threads: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.epochs = epochs
        self.sample_rate_hz = sample_rate_hz
        self.clip_s = clip_s
        self.overrides = overrides
        self.random_state = random_state
        self.device = device
        self.threads = threads
        self.verbose = verbose

    def fit(self, X: Sounds, y: Sequence[Any] | np.ndarray) -> SoundClassifier:
        """Train a network with fresh weights.

        Raises:
            UsageError: no such model, field or device, or a value out of range.
            SoundsError: a sound cannot be read or is not finite, sounds and labels differ in number, or there are
                fewer than two classes. It is a ValueError.
            DivergedError: the training diverged.
        """
        from auricle.training.loop import run_training
        from auricle.training.start import choose_device, prepare_training, training_clips

        sounds = _listed(X)
        labels = self._labels(y, len(sounds))
        preset = self._preset()
        rate_hz = preset.audio.sample_rate_hz
        self.clip_s_ = self._length_s(sounds, rate_hz)
        recordings = _recordings(self._waveforms(sounds, rate_hz), labels, rate_hz, self.clip_s_)
        split = for_training_only(len(sounds))
        seed = int(check_random_state(self.random_state).randint(LARGEST_SEED))
        device = choose_device(self.device)
        with _own_torch(self.threads), progress_shown(0 if self.verbose else -1) as report:
            trainer, sets = prepare_training(preset, recordings, split, seed, device)
            total = preset.training.epochs
            self.history_ = run_training(
                trainer, *training_clips(trainer, sets), on_epoch=lambda epochs: report("epoch", len(epochs) - 1, total)
            )
        self.network_, self._rule, self._preset_ = trainer.scored_model.eval(), sets.rule, preset
        return self

    def predict_proba(self, X: Sounds) -> np.ndarray:
        """Return the probability of each class, float64 (N, K), in the order of `classes_`: the mean over windows.

        Raises:
            SoundsError: as in `fit`.
            sklearn.exceptions.NotFittedError: `fit` was not called.
        """
        check_is_fitted(self, "network_")
        import torch

        from auricle.training.evaluate import cut_windows, window_probabilities

        network, rule = self.network_, self._rule
        waveforms = torch.from_numpy(self._waveforms(_listed(X), self._preset_.audio.sample_rate_hz))
        found = []
        with _own_torch(self.threads), torch.inference_mode():
            for part in waveforms.to(next(network.parameters()).device).split(64):
                frames = network.frontend.frames(part)
                windows = cut_windows(frames, rule)
                probabilities = window_probabilities(network, windows.flatten(0, 1)).cpu().double()
                weights = np.array([rule.weights(each) for each in frames.cpu().numpy()])
                found.append(mean_over_windows(probabilities.unflatten(0, windows.shape[:2]).numpy(), weights))
        return np.concatenate(found)

    def predict(self, X: Sounds) -> np.ndarray:
        """Return the most probable label of each sound, (N,); errors as in `predict_proba`."""
        probabilities = self.predict_proba(X)
        return np.asarray(self.classes_[probabilities.argmax(1)])

    def _preset(self) -> Preset:
        epochs = {} if self.epochs is None else {"training.epochs": self.epochs}
        return load_preset(self.model, {**(self.overrides or {}), **epochs})

    def _labels(self, y: Any, num: int) -> np.ndarray:
        """Check the labels and set `classes_`; return each label as an index into it."""
        if y is None:
            raise SoundsError("requires y to be passed, but the target y is None: one label for each sound")
        labels = column_or_1d(y, warn=True)
        check_classification_targets(labels)
        if len(labels) != num:
            raise SoundsError(f"{count(num, 'sound')} and {count(len(labels), 'label')}; give one label for each sound")
        self.classes_, indices = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise SoundsError(f"only one class, {str(self.classes_[0])!r}; a classifier needs two or more")
        return np.asarray(indices)

    def _length_s(self, sounds: Sequence[Any], rate_hz: int) -> float:
        """Check the sample rate of waveforms and the clip length, and return the latter in seconds."""
        own_hz = rate_hz if self.sample_rate_hz is None else self.sample_rate_hz
        if not MIN_RATE_HZ <= own_hz <= MAX_RATE_HZ:
            raise UsageError(f"sample_rate_hz must be between {MIN_RATE_HZ} and {MAX_RATE_HZ}, not {own_hz}")
        if self.clip_s is not None:
            if not 0.05 <= self.clip_s <= MAX_DURATION_S:
                raise UsageError(f"clip_s must be between 0.05 and {MAX_DURATION_S}, not {self.clip_s}")
            return self.clip_s
        paths = [Path(sound) for sound in sounds if isinstance(sound, str | Path)]
        headers = [each for each in in_processes(header_duration_s, paths) if not isinstance(each, RefusedError)]
        arrays = [max(np.shape(sound), default=0) / own_hz for sound in sounds if not isinstance(sound, str | Path)]
        return usual_length_s([*headers, *arrays] or [0.0])

    def _waveforms(self, sounds: Sequence[Any], rate_hz: int) -> np.ndarray:
        """Return sounds at the network's rate, cut or padded, float32 (N, T)."""
        rows = np.zeros((len(sounds), round(self.clip_s_ * rate_hz)), np.float32)
        decode = partial(load_waveform, sample_rate_hz=rate_hz, duration_s=self.clip_s_)
        files = {index: Path(sound) for index, sound in enumerate(sounds) if isinstance(sound, str | Path)}
        for index, row in zip(files, in_processes(decode, list(files.values())), strict=True):
            if isinstance(row, RefusedError):
                raise SoundsError(str(row))
            rows[index] = row
        for index, sound in enumerate(sounds):
            if index not in files:
                try:
                    mono = mono_waveform(np.asarray(sound))
                except (RefusedError, UsageError) as error:
                    raise SoundsError(f"sound {index}: {error}") from error
                own_hz = self.sample_rate_hz or rate_hz
                rows[index] = at_rate(mono, own_hz, sample_rate_hz=rate_hz, duration_s=self.clip_s_)
        return rows

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.string = True
        tags.classifier_tags.poor_score = True  # on arbitrary numbers, which are not sounds
        tags.non_deterministic = False
        return tags


def _listed(X: Any) -> Any:
    """Return sounds as a sequence with at least one; an array of numbers is checked as scikit-learn does."""
    if isinstance(X, str | Path):
        raise SoundsError(f"a list of sounds is needed, not one: [{str(X)!r}]")
    if issparse(X) or (hasattr(X, "__array__") and np.asarray(X).dtype.kind not in "OU"):
        try:
            return np.asarray(check_array(X))
        except (TypeError, ValueError) as error:
            raise SoundsError(" ".join(str(error).split())) from error
    sounds = list(X)
    if not sounds:
        raise SoundsError("0 sounds; give one or more")
    return sounds


def _recordings(waveforms: np.ndarray, labels: np.ndarray, rate_hz: int, clip_s: float) -> Recordings:
    """Return waveforms as a dataset in memory; classes are named by zero-padded numbers, which keep their order."""
    width = len(str(labels.max()))
    clips = tuple(
        Clip(Path(str(index)), str(index), f"{label:0{width}}", 0, str(index)) for index, label in enumerate(labels)
    )
    return Recordings(Manifest("sounds", clips, clip_s), waveforms, rate_hz, "")


@contextlib.contextmanager
def _own_torch(threads: int | None) -> Iterator[None]:
    """Compute with this many threads, and restore PyTorch's random state and number of threads afterwards."""
    import torch

    with threads_kept(), torch.random.fork_rng():
        torch.set_num_threads(threads or num_threads())
        yield
