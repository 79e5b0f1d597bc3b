"""`SoundClassifier`, as scikit-learn uses it: its own checks, and what a person gives it."""

import numpy as np
import pytest
import soundfile
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.utils.estimator_checks import parametrize_with_checks

import auricle as au
from small_networks import SMALL

RATE_HZ = 4_000
NOT_FOR_SOUNDS = {
    "check_n_features_in": "sounds may be of different lengths: they have no number of features",
    "check_n_features_in_after_fitting": "a sound that is shorter or longer than those before is welcome",
    "check_classifiers_train": "all of it passes up to its end, where another length is to be refused",
    "check_dtype_object": "an array of objects is a list of sounds, not a table of numbers",
}


def small(**options):
    return au.SoundClassifier("tiny", **{"epochs": 1, "random_state": 0, "overrides": SMALL} | options)


@parametrize_with_checks([small()], expected_failed_checks=lambda estimator: NOT_FOR_SOUNDS)
def test_scikit_learn_finds_nothing_wrong(estimator, check):
    check(estimator)


@pytest.fixture
def paths(sounds):
    return sorted(sounds.rglob("*.wav"))


def waveforms_of(paths):
    return [soundfile.read(path)[0] for path in paths]


def test_it_learns_which_tone_is_which_from_files_and_the_same_from_their_samples(paths):
    labels = [path.parent.name for path in paths]
    of_files = small(epochs=15).fit(paths, labels)
    assert of_files.score(list(map(str, paths)), labels) == 1.0
    assert list(of_files.classes_) == ["cat", "dog"]
    assert of_files.predict_proba(paths).sum(1) == pytest.approx(1.0)
    of_arrays = small(epochs=15, sample_rate_hz=8_000).fit(waveforms_of(paths), labels)
    np.testing.assert_allclose(of_arrays.predict_proba(waveforms_of(paths)), of_files.predict_proba(paths), atol=1e-5)
    assert len(of_files.history_) == 15


def test_the_same_seed_gives_the_same_network_and_leaves_torch_s_randomness_and_threads_alone(paths):
    import torch

    labels = [int(path.parent.name == "dog") + 9 for path in paths]
    torch.manual_seed(5)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    first, second = (clone(small()).fit(paths, labels).predict_proba(paths) for _ in range(2))
    assert (first == second).all()
    assert (torch.random.get_rng_state() == before).all()
    assert torch.get_num_threads() == threads


def test_it_is_cross_validated_over_groups(paths):
    labels = np.array([path.parent.name for path in paths])
    groups = [int(path.stem[-1]) % 3 for path in paths]
    answers = cross_val_predict(small(), paths, labels, groups=groups, cv=GroupKFold(3))
    assert set(answers) <= {"cat", "dog"}


def test_stereo_and_sixteen_bits_are_heard_as_mono_is(paths):
    labels = [path.parent.name for path in paths]
    classifier = small(sample_rate_hz=8_000).fit(waveforms_of(paths), labels)
    mono = waveforms_of(paths)[0]
    stereo, whole = np.stack([mono, mono], axis=1), (mono * 2**15).round().astype(np.int16)
    expected = classifier.predict_proba([mono])
    assert classifier.predict_proba([stereo]) == pytest.approx(expected, abs=1e-6)
    assert classifier.predict_proba([whole]) == pytest.approx(expected, abs=1e-3)


NOISE = np.random.default_rng(0).standard_normal((4, RATE_HZ)) * 0.1
SPOILT = np.where(np.arange(RATE_HZ) == 7, np.nan, NOISE[0])


@pytest.mark.parametrize(
    ("sounds", "labels", "reason"),
    [
        ([], [], "0 sounds; give one or more"),
        ("a.wav", ["x"], r"a list of sounds is needed, not one: \['a.wav'\]"),
        (["no.wav", "such.wav"], ["x", "y"], "no.wav: no such file"),
        ([SPOILT, NOISE[1]], ["x", "y"], "sound 0: the waveform contains samples that are not finite"),
        ([NOISE[0], NOISE[:, :20]], ["x", "y"], r"sound 1: a waveform of shape \(4, 20\): either axis could be"),
        ([0.5, 0.5], ["x", "y"], r"sound 0: a waveform is \(T,\)"),
        (list(NOISE), ["x", "y", "x"], "4 sounds and 3 labels; give one label for each sound"),
        (list(NOISE), ["x"] * 4, "only one class, 'x'; a classifier needs two or more"),
    ],
)
def test_what_is_wrong_with_sounds_is_said_in_one_line_as_a_value_error_and_as_our_own(sounds, labels, reason):
    with pytest.raises(ValueError, match=reason) as refused:
        small().fit(sounds, labels)
    assert isinstance(refused.value, au.RefusedError)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"model": "tiiny"}, "no preset 'tiiny': did you mean 'tiny'?"),
        ({"epochs": 0}, "training.epochs: Input should be greater than or equal to 1"),
        ({"clip_s": 0.0}, "clip_s must be between 0.05 and 3600, not 0.0"),
        ({"sample_rate_hz": 0}, "sample_rate_hz must be between 1000 and 768000, not 0"),
        ({"overrides": {"epochs": 1}}, "no field 'epochs': did you mean 'training.epochs'?"),
    ],
)
def test_what_is_wrong_with_an_option_is_said_when_it_is_fitted(options, reason):
    with pytest.raises(au.UsageError, match=reason):
        small().set_params(**options).fit(list(NOISE), ["x", "y"] * 2)


def test_it_says_that_it_is_not_fitted():
    with pytest.raises(NotFittedError):
        small().predict(list(NOISE))
