"""What the models use, and how often a network that is changed by luck alone is said to lose by it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from report.invented_probes import write_probes

from auricle.findings.classes import class_differences, hardest, leads
from auricle.findings.study import load_study
from auricle.findings.uses import change_costs, find_uses
from auricle.probes.record import Blanked, Probe, ProbeAnswers
from auricle.runs import CellName, StudyFolder
from auricle.scoring import statistics
from auricle.scoring.answers import Answers
from auricle.scoring.difference import Difference
from auricle.scoring.statistics import holm, sign_test

SOUND = {"reversed": 2, "low-pass-4000": 40}
NETWORK = {"positions-shuffled": 0, "even-attention": 30, "block-1-skipped": 3, "encoder-skipped": 60}


@pytest.fixture(scope="module")
def probed(make_study) -> Path:
    folder = make_study(models=("cnn", "transformer-h2"), protocols=("k-fold",), epochs=20)
    write_probes(folder, "k-fold", {"cnn": SOUND, "transformer-h2": SOUND | NETWORK})
    return folder


def test_costs_are_those_of_the_answers(probed):
    one = find_uses(load_study(probed), "k-fold")["cnn"]
    cost = one.costs["low-pass-4000"]
    assert (cost.mean, cost.num_clips, cost.trainings) == (pytest.approx(0.5), 80, 4)
    assert cost.shown
    assert not one.costs["reversed"].shown
    by_rank = [drop.mean for drop in one.moments.drops]
    assert by_rank[0] == pytest.approx(0.8 * 10 / 80)  # the first moment is the loudest
    assert by_rank[1:] == [0] * 9
    assert one.bands.by_class.shape == (10, 8)
    assert one.bands.by_class[:, 0].sum() > 0
    assert not one.bands.by_class[:, 1:].any()
    assert one.blocks == ()


def test_attention_is_read_by_block(probed):
    one = find_uses(load_study(probed), "k-fold")["transformer-h2"]
    first, second = one.blocks
    assert (first.heads, first.tokens, first.read, first.own) == (2, 6, 4.5, pytest.approx(0.1))
    assert first.overlap == 0.75
    assert first.loudness.shown
    assert first.loudness.mean == pytest.approx(0.5, abs=0.03)
    assert not second.loudness.shown
    assert one.attention.shape == (2, 2, 10, 5)


def test_a_stale_or_damaged_probe_is_not_shown(make_study):
    folder = make_study(models=("cnn",), protocols=("k-fold",), num_folds=3, epochs=2)
    write_probes(folder, "k-fold", {"cnn": SOUND})
    study, files = load_study(folder), StudyFolder(folder)
    assert len(find_uses(study, "k-fold")["cnn"].cells) == 2
    files.cell(CellName("cnn", "k-fold", 2, 0)).config.write_text("name: cnn")
    files.cell(CellName("cnn", "k-fold", 2, 0)).weights.write_bytes(b"of another training")
    files.insight(CellName("cnn", "k-fold", 3, 0)).write_text("{")
    assert find_uses(study, "k-fold") == {}


def test_clips_and_classes_won_are_named(make_study):
    folder = make_study(models=("cnn", "transformer-h1"), protocols=("k-fold",), epochs=1)
    answers = load_study(folder).answers["k-fold"]
    found = class_differences(answers, ["cnn", "transformer-h1"])
    first, second = leads(found)
    cnn, transformer = answers.shares
    assert (first.ahead, first.behind) == ("cnn", "transformer-h1")
    assert (second.ahead, second.behind) == ("transformer-h1", "cnn")
    assert set(first.clips) == {clip for clip, more in zip(answers.clips, cnn > transformer, strict=True) if more}
    total = sum(one.difference.mean * one.difference.num_clips for one in found) / 80
    assert total == pytest.approx(answers.accuracy("cnn") - answers.accuracy("transformer-h1"))


def test_the_most_missed_clips_come_first():
    right = np.array([[[1, 1, 0], [1, 0, 0]], [[1, 1, 0], [1, 1, 1]]])
    answers = Answers(
        ("cnn", "tiny"), ((1, 0), (2, 0)), ("a", "b", "c"), np.ones(3, int), np.arange(3), right, ("x", "y")
    )
    assert hardest(answers, ["cnn", "tiny"]) == ["c", "b"]
    assert hardest(answers, ["tiny"]) == ["c"]


@dataclass(frozen=True)
class World:
    """Networks of two models and their changed selves, which differ by luck alone, on 80 clips.

    A clip is answered rightly where its ease and the lucks of a network with the clip, with its recording and with
    all clips add up to above zero.

    Attributes:
        group_clips: clips of one recording.
        trainings: cells of a model, which all test the same clips.
    """

    group_clips: int
    trainings: int

    @property
    def groups(self) -> np.ndarray:
        return np.arange(80) // self.group_clips

    def by_group(self, generator: np.random.Generator, sd: float) -> np.ndarray:
        return np.repeat(generator.normal(0, sd, 80 // self.group_clips), self.group_clips)

    def right(self, ease: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Draw which answers of all trainings of a network are right, (T, N)."""
        luck = self.by_group(generator, 1.0 if self.group_clips > 1 else 0.0)
        of_training = generator.normal(0, 0.4 if self.trainings > 1 else 0.0, (self.trainings, 1))
        return ease + luck + of_training + generator.normal(0, 1, (self.trainings, 80)) > 0

    def ease(self, generator: np.random.Generator) -> np.ndarray:
        return 1.0 + self.by_group(generator, 1.5) + generator.normal(0, 1.0, 80)

    def answers(self, right: np.ndarray) -> Answers:
        """Return answers of M models, (M, T, N), to clips of two classes."""
        labels = np.arange(80) // self.group_clips % 2
        trainings = tuple((fold, 0) for fold in range(self.trainings))
        models, clips = tuple(f"model-{index}" for index in range(len(right))), tuple(map(str, range(80)))
        return Answers(models, trainings, clips, labels, self.groups, np.where(right, labels, 1 - labels), ("x", "y"))


def probe(right: np.ndarray, changed: np.ndarray) -> Probe:
    plain, after = (ProbeAnswers(is_right.astype(int), np.where(is_right, 0.9, 0.1)) for is_right in (right, changed))
    parts, clips = Blanked(np.array([0.0, 1.0]), (after,)), tuple(map(str, range(80)))
    return Probe(clips, np.ones(80, int), 1.0, plain, {"reversed": after}, parts, parts, np.ones((80, 1)), None)


def costs_of_luck(world: World, generator: np.random.Generator) -> list[Difference]:
    ease, probed = world.ease(generator), {}
    for model in ("cnn", "transformer"):
        right, changed = world.right(ease, generator), world.right(ease, generator)
        probed[model] = [probe(*pair) for pair in zip(right, changed, strict=True)]
    return list(change_costs(probed, world.answers(np.ones((2, world.trainings, 80)))).values())


def classes_of_luck(world: World, generator: np.random.Generator) -> list[Difference]:
    ease = world.ease(generator)
    answers = world.answers(np.array([world.right(ease, generator) for _ in range(3)]))
    return [one.difference for one in class_differences(answers, answers.models)]


WORLDS = [World(group_clips, trainings) for group_clips in (1, 4, 8) for trainings in (1, 4)]
CLAIMS = {"a change": costs_of_luck, "a class": classes_of_luck}


def share_of_false_claims(claim: str, world: World, num: int, monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(statistics, "BOOTSTRAP_RESAMPLES", 300)
    generator = np.random.default_rng(11)
    return sum(any(one.shown for one in CLAIMS[claim](world, generator)) for _ in range(num)) / num


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_what_differs_by_luck_is_seldom_called_a_difference(claim, world, monkeypatch):
    assert share_of_false_claims(claim, world, 80, monkeypatch) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 80)


@pytest.mark.long
@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_of_four_hundred_worlds_one_in_twenty_calls_luck_a_difference(claim, world, monkeypatch):
    assert share_of_false_claims(claim, world, 400, monkeypatch) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_a_sign_test_over_clips_would_call_luck_a_difference(monkeypatch):
    """Clips of one recording are alike, and trainings have luck of their own: neither is a coin a clip."""
    monkeypatch.setattr(statistics, "BOOTSTRAP_RESAMPLES", 300)
    generator, world = np.random.default_rng(11), World(8, 4)
    false = sum(
        min(holm([sign_test(one.wins, one.losses) for one in costs_of_luck(world, generator)])) < 0.05
        for _ in range(80)
    )
    assert false / 80 > 0.2
