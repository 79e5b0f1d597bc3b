"""Equal models, invented again and again: how often does a study call one of them better?"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from auricle.findings.classes import class_differences
from auricle.findings.comparison import compare_models
from auricle.findings.uses import change_costs
from auricle.probes.record import Blanked, Probe, ProbeAnswers
from auricle.scoring import statistics
from auricle.scoring.answers import Answers
from auricle.scoring.difference import detectable
from auricle.scoring.predictions import ClipPredictions
from auricle.scoring.statistics import holm

CATEGORIES = ("cat", "dog")


@dataclass(frozen=True)
class World:
    """From where clips and trainings come. A clip is told right where skill, luck and its ease add up to above zero.

    Attributes:
        group_clips: clips of one recording.
        trainings: cells of a model, which all test the same clips; or as many folds, each with clips of its own.
        nested: whether each training tests clips of its own.
        of_training: spread of the luck that a training has with all clips.
        of_group: spread of the luck that a model has with a recording.
    """

    num_clips: int = 80
    group_clips: int = 1
    trainings: int = 1
    nested: bool = False
    of_training: float = 0.0
    of_group: float = 0.0


def right_answers(world: World, skill: float, ease: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw who is right: (trainings, clips)."""
    luck = np.repeat(generator.normal(0, world.of_group, world.num_clips // world.group_clips), world.group_clips)
    of_training = generator.normal(0, world.of_training, (world.trainings, 1))
    return skill + ease + luck + of_training + generator.normal(0, 1, (world.trainings, world.num_clips)) > 0


def invented(world: World, skills: dict[str, float], generator: np.random.Generator) -> Answers:
    """Return the answers of a study of one protocol, without a file."""
    num_groups = world.num_clips // world.group_clips
    ease = np.repeat(generator.normal(0, 1.5, num_groups), world.group_clips)
    ease = ease + generator.normal(0, 1.5, world.num_clips)
    names = [f"{clip}.wav" for clip in range(world.num_clips)]
    groups = {name: str(clip // world.group_clips) for clip, name in enumerate(names)}
    folds = np.arange(world.num_clips) // world.group_clips % world.trainings
    tables = {}
    for model, skill in skills.items():
        for fold, right in enumerate(right_answers(world, skill, ease, generator)):
            tested = np.flatnonzero(folds == fold) if world.nested else np.arange(world.num_clips)
            probabilities = np.where(np.arange(2) == right[tested, None], 0.9, 0.1)
            clips = tuple(names[clip] for clip in tested)
            tables[model, (fold, 0)] = ClipPredictions(clips, np.ones(len(tested), int), probabilities, CATEGORIES)
    return Answers.of(tables, groups, CATEGORIES)


WORLDS = {
    "one training, single clips": World(),
    "one training, four clips a recording": World(group_clips=4, of_group=1.0),
    "one training, eight clips a recording": World(num_clips=160, group_clips=8, of_group=1.0),
    "four trainings on the same clips": World(trainings=4, of_training=0.4, of_group=0.5),
    "four trainings, four clips a recording": World(group_clips=4, trainings=4, of_training=0.4, of_group=0.5),
    "four trainings, eight clips a recording": World(num_clips=400, group_clips=8, trainings=4, of_training=0.5),
    "two trainings": World(num_clips=400, trainings=2, of_training=0.4),
    "five folds, each tested once": World(num_clips=200, trainings=5, nested=True, of_training=0.4),
}
EQUAL = dict.fromkeys(("cnn", "transformer-h1", "transformer-h2"), 1.5)


def compares(answers: Answers) -> bool:
    return any(pair.significant for pair in compare_models(answers, list(EQUAL)))


def compares_classes(answers: Answers) -> bool:
    return any(found.difference.significant for found in class_differences(answers, list(EQUAL)))


def compares_changes(answers: Answers) -> bool:
    """Take one model for the other, changed: what a change costs is luck alone."""
    networks = dict(zip(answers.models, answers.correct, strict=True))
    pairs = {f"{plain}, changed": (networks[plain], networks[changed]) for plain, changed in pairwise(networks)}
    probed = {name: [probe(answers, *of) for of in zip(*pair, strict=True)] for name, pair in pairs.items()}
    return any(one.significant for of_model in change_costs(probed, answers).values() for one in of_model.values())


def probe(answers: Answers, plain: np.ndarray, changed: np.ndarray) -> Probe:
    tested = np.flatnonzero(~np.isnan(plain))
    before, after = (ProbeAnswers(right[tested].astype(int), right[tested]) for right in (plain, changed))
    clips, parts = tuple(answers.clips[clip] for clip in tested), Blanked(np.array([0.0, 1.0]), (after,))
    labels, loudness = answers.labels[tested], np.ones((len(tested), 1))
    return Probe(clips, labels, 1.0, before, {"reversed": after}, parts, parts, loudness, None)


CLAIMS = {"models": compares, "classes": compares_classes, "changes": compares_changes}


def share_of_false_claims(claim: str, world: World, num: int, monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(statistics, "BOOTSTRAP_RESAMPLES", 300)
    generator = np.random.default_rng(11)
    return sum(CLAIMS[claim](invented(world, EQUAL, generator)) for _ in range(num)) / num


@pytest.mark.parametrize("name", list(WORLDS)[:6])  # groups of 1, 4 and 8 clips, 1 and 4 trainings
@pytest.mark.parametrize("claim", CLAIMS)
def test_of_equal_models_few_are_called_better(claim: str, name: str, monkeypatch: pytest.MonkeyPatch):
    assert share_of_false_claims(claim, WORLDS[name], 60, monkeypatch) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)


def test_the_luck_of_trainings_would_pass_for_a_difference_if_clips_alone_were_tested(monkeypatch):
    monkeypatch.setattr(statistics, "BOOTSTRAP_RESAMPLES", 300)
    world, generator = WORLDS["four trainings, eight clips a recording"], np.random.default_rng(11)
    found = [compare_models(invented(world, EQUAL, generator), list(EQUAL)) for _ in range(60)]
    assert sum(min(holm([pair.p_groups for pair in pairs])) < 0.05 for pairs in found) / 60 > 0.2


@pytest.mark.long
@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("claim", CLAIMS)
def test_of_a_thousand_studies_of_equal_models_one_in_twenty_calls_one_better(claim, name, monkeypatch):
    assert share_of_false_claims(claim, WORLDS[name], 1000, monkeypatch) < 0.05 + 2 * np.sqrt(0.05 * 0.95 / 1000)


def test_a_large_difference_is_found_and_two_equal_models_stay_tied(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(statistics, "BOOTSTRAP_RESAMPLES", 300)
    generator = np.random.default_rng(3)
    skills = {"cnn": 3.0, "transformer-h1": 3.0, "transformer-h2": -1.5}
    world = World(trainings=4, of_training=0.1)
    found = [compare_models(invented(world, skills, generator), list(skills)) for _ in range(20)]
    worse = [{pair.worse for pair in pairs if pair.significant} for pairs in found]
    assert sum(names == {"transformer-h2"} for names in worse) >= 17


def test_a_small_difference_is_mostly_left_open(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(statistics, "BOOTSTRAP_RESAMPLES", 300)
    generator = np.random.default_rng(3)
    skills = {"cnn": 1.6, "transformer-h1": 1.5}
    found = [compare_models(invented(World(trainings=4), skills, generator), list(skills)) for _ in range(20)]
    assert sum(pair.significant for pairs in found for pair in pairs) <= 3


@pytest.mark.parametrize("name", ["one training, single clips", "four trainings, four clips a recording"])
def test_what_is_called_detectable_is_found_about_four_times_in_five(name: str, monkeypatch: pytest.MonkeyPatch):
    """What is measured in studies of equal models holds in those of unequal ones; it errs on the side of caution."""
    monkeypatch.setattr(statistics, "BOOTSTRAP_RESAMPLES", 300)
    generator, world = np.random.default_rng(5), WORLDS[name]
    equal = [invented(world, {"a": 1.5, "b": 1.5}, generator) for _ in range(20)]
    named = [detectable(one.correct_of("a") - one.correct_of("b"), one.groups, 1) or 1.0 for one in equal]
    sizes, found = [], []
    for skill in np.linspace(0.4, 3.0, 80):
        (pair,) = compare_models(invented(world, {"a": 1.5 + skill, "b": 1.5}, generator), ["a", "b"])
        sizes.append(pair.mean)
        found.append(pair.significant)
    near = np.abs(np.array(sizes) - np.median(named)) < 0.05
    assert 0.65 < np.mean(np.array(found)[near]) <= 1
    assert np.mean(np.array(found)[np.array(sizes) < np.median(named) / 2]) < 0.5
