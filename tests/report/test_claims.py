"""Equal models, invented again and again: how often does a report call one of them better?"""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from auricle.report.analysis import verdict
from auricle.report.comparisons import compare
from auricle.report.ranking import places, ranking_in_words
from auricle.report.tables import ComparativeRow
from auricle.report.wording import Text
from auricle.runs import CellName
from auricle.scoring import statistics
from auricle.scoring.predictions import ClipPredictions
from auricle.scoring.statistics import holm

CATEGORIES = ("cat", "dog")


def words(text: Text) -> str:
    return "".join(piece if isinstance(piece, str) else getattr(piece, "words", "") for piece in text)


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


def invented(world: World, skills: dict[str, float], generator: np.random.Generator):
    """Return a study of one protocol and its rows, without a file."""
    num_groups = world.num_clips // world.group_clips
    ease = np.repeat(generator.normal(0, 1.5, num_groups), world.group_clips) + generator.normal(
        0, 1.5, world.num_clips
    )
    names = [f"{clip}.wav" for clip in range(world.num_clips)]
    groups = {name: str(place // world.group_clips) for place, name in enumerate(names)}
    cells, rows = {}, []
    for model, skill in skills.items():
        right = right_answers(world, skill, ease, generator)
        tested = np.ones_like(right)
        if world.nested:
            tested = (
                np.arange(world.num_clips) // world.group_clips % world.trainings == np.arange(world.trainings)[:, None]
            )
        cells[model] = [
            cell(model, fold, names, *columns) for fold, columns in enumerate(zip(right, tested, strict=True))
        ]
        rows.append(row(model, float(right[tested].mean()), world))
    study = SimpleNamespace(of=lambda model, _: cells[model], dataset=SimpleNamespace(groups=groups))
    return study, rows


def cell(model: str, fold: int, names: list[str], right: np.ndarray, tested: np.ndarray) -> SimpleNamespace:
    kept = np.flatnonzero(tested)
    probabilities = np.where(np.arange(2) == right[kept, None], 0.9, 0.1)
    clips = ClipPredictions(tuple(names[place] for place in kept), np.ones(len(kept), int), probabilities, CATEGORIES)
    return SimpleNamespace(name=CellName(model, "k-fold", fold, 0), clips=clips)


def row(model: str, accuracy: float, world: World) -> ComparativeRow:
    return ComparativeRow(
        model=model, protocol="k-fold", leaky=False, cells=world.trainings, cells_planned=world.trainings,
        test_clips=world.num_clips, accuracy=accuracy, accuracy_sd=None, accuracy_min=accuracy, accuracy_max=accuracy,
        accuracy_low=0.0, accuracy_high=1.0, window_accuracy=accuracy, window_accuracy_sd=None,
        validation_accuracy=None, validation_accuracy_sd=None, macro_precision=0.0, macro_recall=0.0, macro_f1=0.0,
        macro_f1_sd=None, macro_auc=None, macro_auc_sd=None, loss=0.0, loss_sd=None, calibration_error=0.0,
        parameters=1, trainable_parameters=1, multiply_adds=1, minutes=1.0,
    )  # fmt: skip


def claims(world: World, skills: dict[str, float], generator: np.random.Generator) -> list[tuple[str, str]]:
    """Return who is called better than whom in one study, and check that its sentences say that and no more."""
    study, rows = invented(world, skills, generator)
    pairs = compare(study, rows, "k-fold")
    told = [(pair.better, pair.worse) for pair in pairs if pair.shown]
    sentence, order = words(verdict(rows, pairs)), words(ranking_in_words(places(rows, pairs), pairs))
    assert ("is best." in sentence or "better than" in sentence) <= bool(told)
    assert (f"from place 1 to {len(rows)}" in order) == (not told)
    return told


WORLDS = {
    "one training, single clips": World(),
    "one training, four clips a recording": World(group_clips=4, of_group=1.0),
    "four trainings on the same clips": World(trainings=4, of_training=0.4, of_group=0.5),
    "four trainings, eight clips a recording": World(num_clips=400, group_clips=8, trainings=4, of_training=0.5),
    "two trainings": World(num_clips=400, trainings=2, of_training=0.4),
    "five folds, each tested once": World(num_clips=200, trainings=5, nested=True, of_training=0.4),
}
EQUAL = dict.fromkeys(("cnn", "transformer-h1", "transformer-h2"), 1.5)


def share_of_false_claims(world: World, num: int, monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(statistics, "BOOTSTRAP_RESAMPLES", 500)
    generator = np.random.default_rng(11)
    return sum(bool(claims(world, EQUAL, generator)) for _ in range(num)) / num


@pytest.mark.parametrize("name", ["one training, four clips a recording", "four trainings on the same clips"])
def test_of_equal_models_few_are_called_better(name: str, monkeypatch: pytest.MonkeyPatch):
    assert share_of_false_claims(WORLDS[name], 150, monkeypatch) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)


def test_the_luck_of_trainings_would_pass_for_a_difference_if_clips_alone_were_tested(monkeypatch):
    monkeypatch.setattr(statistics, "BOOTSTRAP_RESAMPLES", 500)
    world, generator = WORLDS["four trainings, eight clips a recording"], np.random.default_rng(11)
    false = 0
    for _ in range(60):
        study, rows = invented(world, EQUAL, generator)
        false += min(holm([pair.p_clips for pair in compare(study, rows, "k-fold")])) < 0.05
    assert false / 60 > 0.2


@pytest.mark.long
@pytest.mark.parametrize("name", WORLDS)
def test_of_a_thousand_studies_of_equal_models_one_in_twenty_calls_one_better(name, monkeypatch):
    assert share_of_false_claims(WORLDS[name], 1000, monkeypatch) < 0.05 + 2 * np.sqrt(0.05 * 0.95 / 1000)


def test_a_large_difference_is_found_and_two_equal_models_stay_tied(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(statistics, "BOOTSTRAP_RESAMPLES", 500)
    generator = np.random.default_rng(3)
    skills = {"cnn": 3.0, "transformer-h1": 3.0, "transformer-h2": -1.5}
    found = [claims(World(trainings=4, of_training=0.1), skills, generator) for _ in range(20)]
    assert sum(len(told) == 2 and {worse for _, worse in told} == {"transformer-h2"} for told in found) >= 17


def test_a_small_difference_is_mostly_left_open(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(statistics, "BOOTSTRAP_RESAMPLES", 500)
    generator = np.random.default_rng(3)
    found = [claims(World(trainings=4), {"cnn": 1.6, "transformer-h1": 1.5}, generator) for _ in range(20)]
    assert sum(map(bool, found)) <= 3
