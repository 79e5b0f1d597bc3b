"""Free baselines: accuracy without a neural network, on the same folds. Nothing in them is tuned.

    majority       always the most common class of the training clips, background excepted
    mfcc-logistic  statistics of MFCCs, logistic regression
    mfcc-forest    the same statistics, a random forest

With many clips they are trained and scored on a sample; their metrics.json and a note of the study say so.

Each is computed once and stored in STUDY/baselines/NAME/PROTOCOL-FOLD-0 as predictions.csv and metrics.json.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from auricle.config import AudioConfig, FrontendConfig
from auricle.data.cache import Recordings
from auricle.data.folds import Split
from auricle.data.manifest import Manifest, scored_of
from auricle.data.processes import NUM_AHEAD, in_threads
from auricle.errors import MachineError
from auricle.model.frames import FrameMaker
from auricle.runs import Cell, CellName, StudyFolder, is_intact, write_metrics
from auricle.scoring.predictions import Predictions, write_predictions
from auricle.system import num_cores

BASELINES = ("majority", "mfcc-logistic", "mfcc-forest")
SEED = 0
NUM_COEFFICIENTS = 20
NUM_TREES = 300
MOST_CLIPS = 10_000  # beyond which a sample stands for them: a forest of all takes longer than a small network
MOST_ROUNDS = 2000  # of the logistic regression's solver
FRONTEND = FrontendConfig(kind="mfcc", num_bands=40, num_coefficients=NUM_COEFFICIENTS, transform_ms=32, hop_ms=16)


def run_baselines(study: StudyFolder, recordings: Recordings, splits: Sequence[Split]) -> list[str]:
    """Fit and score every baseline of every split, unless that was done before.

    Returns:
        One line per baseline that failed; the study continues without it.

    Raises:
        MachineError: the disk refuses.
    """
    open_ = [
        (cell, split)
        for split in splits
        for name in BASELINES
        if not is_intact(cell := study.baseline(CellName(name, split.protocol, split.fold, SEED)))
    ]
    if not open_:
        return []
    notes = []
    sample, num_clips = sample_of(recordings.manifest), len(recordings.manifest.clips)
    if len(sample) < num_clips:
        notes.append(f"the free baselines learn and are scored on {len(sample):,} of the {num_clips:,} clips")
    features = np.empty((num_clips, 3 * NUM_COEFFICIENTS), np.float32)
    try:
        features[sample] = mfcc_statistics(recordings, sample)
    except ValueError as error:  # of the mel bands at a low sample rate
        return [*notes, f"the free baselines failed: {error}; the study continues without them"]
    for cell, split in open_:
        train, validation, test = (np.intersect1d(own, sample) for own in (split.train, split.validation, split.test))
        used = replace(split, train=train, validation=validation, test=test)
        try:
            _score_baseline(cell, used, recordings, features)
        except MachineError:
            raise
        except Exception as error:  # a failed baseline is no reason to stop a study
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            notes.append(f"baseline {cell.name} failed: {reason}; the study continues without it")
    return notes


def sample_of(manifest: Manifest) -> np.ndarray:
    """Return the indices of the clips that baselines use: all, or an equal share of each class and fold."""
    labels, folds, num = manifest.labels, manifest.folds, len(manifest.clips)
    if num <= MOST_CLIPS:
        return np.arange(num)
    order = np.lexsort((folds, labels))
    _, firsts = np.unique(np.stack([labels, folds])[:, order], axis=1, return_index=True)
    return np.sort(order[np.union1d(firsts, np.arange(MOST_CLIPS) * num // MOST_CLIPS)])


def mfcc_statistics(recordings: Recordings, clips: np.ndarray) -> np.ndarray:
    """Return mean and standard deviation of each coefficient, and the latter of its changes: (n, 3 x coefficients)."""
    maker = FrameMaker(AudioConfig(sample_rate_hz=recordings.sample_rate_hz), FRONTEND)
    parts = (recordings.waveforms[clips[start : start + NUM_AHEAD]] for start in range(0, len(clips), NUM_AHEAD))
    return np.stack([row for part in parts for row in in_threads(partial(_statistics, maker), part)])


def _statistics(maker: FrameMaker, waveform: np.ndarray) -> np.ndarray:
    from scipy.fft import dct

    scaled = np.log(maker.frames(waveform) + FRONTEND.floor)  # (T, bands)
    coefficients = dct(scaled, axis=1, norm="ortho")[:, :NUM_COEFFICIENTS]
    changes = np.diff(coefficients, axis=0)
    return np.concatenate([coefficients.mean(axis=0), coefficients.std(axis=0), changes.std(axis=0)])


def _classifier(name: str) -> Any:
    from sklearn.dummy import DummyClassifier
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if name == "majority":
        return DummyClassifier(strategy="prior")
    if name == "mfcc-logistic":
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=MOST_ROUNDS))
    return RandomForestClassifier(NUM_TREES, random_state=SEED, n_jobs=num_cores())


def _score_baseline(cell: Cell, split: Split, recordings: Recordings, features: np.ndarray) -> None:
    from auricle.scoring.metrics import score_predictions

    manifest = recordings.manifest
    start = time.perf_counter()
    labels = manifest.labels
    name, trained = cell.name.model, labels[split.train]
    is_scored = np.isin(manifest.categories, scored_of(manifest.categories))
    options = {"sample_weight": is_scored[trained]} if name == "majority" else {}
    fitted = _classifier(name).fit(features[split.train], trained, **options)
    scored = split.scored
    predictions = Predictions(
        clips=tuple(manifest.clips[index].name for index in scored),
        sets=("validation",) * len(split.validation) + ("test",) * len(split.test),
        labels=labels[scored],
        starts_s=np.zeros(len(scored)),
        probabilities=fitted.predict_proba(features[scored]),  # every class is among the training clips
        categories=manifest.categories,
    )
    seconds = time.perf_counter() - start
    write_predictions(cell.predictions, predictions)
    metrics = {
        "cell": str(cell.name),
        "test": score_predictions(predictions, "test"),
        "validation": score_predictions(predictions, "validation"),
        "parameters": (num := _num_parameters(fitted)),
        "trainable_parameters": num,
        "multiply_adds": None,
        "seconds": seconds,
        "leaky": split.leaky,
        "sampled": len(sample_of(manifest)) < len(manifest.clips),
        "num_train": len(split.train),
        "num_validation": len(split.validation),
        "num_test": len(split.test),
    }
    write_metrics(cell, metrics)


def _num_parameters(fitted: Any) -> int:
    """Return the number of parameters of a fitted classifier: weights, or two per node of a tree; else 0."""
    if hasattr(fitted, "estimators_"):
        return 2 * sum(int(tree.tree_.node_count) for tree in fitted.estimators_)
    last = fitted[-1] if hasattr(fitted, "steps") else fitted
    return int(last.coef_.size + last.intercept_.size) if hasattr(last, "coef_") else 0
