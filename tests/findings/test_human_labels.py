"""People and models: what is counted of their answers, and how often equal ones are called different."""

import csv
import gc
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from auricle.errors import RefusedError
from auricle.findings.human_labels import (
    ANOTHER,
    HumanLabels,
    against_people,
    compare_with_people,
    differences_from_people,
    most_but,
    read_human_labels,
)
from auricle.findings.study import load_study
from auricle.runs import StudyFolder
from auricle.scoring import statistics
from auricle.scoring.answers import NOT_TESTED, Answers
from auricle.scoring.difference import difference
from auricle.scoring.statistics import group_interval, holm, sign_test, wilson_interval


def write_labels(folder: Path, rows: list[tuple]) -> Path:
    with StudyFolder(folder).judgements.open("w", newline="") as file:
        csv.writer(file).writerows([("clip", "heard_as", "count"), *rows])
    return folder


@pytest.fixture
def pets(make_study) -> Path:
    """Two classes, eight test clips of each; the model is always right."""
    return make_study(
        source="/data/pets", categories=("cat", "dog"), models=("cnn",), protocols=("k-fold",), num_folds=3, epochs=1,
        clip_s=0.1, skill={"cnn": 40.0},
    )  # fmt: skip


def labelled(
    counts: list[list[int]], labels: list[int], predicted: dict[str, list[list[int]]], groups=None
) -> HumanLabels:
    """Return what people answered beside what models did, (T, N) each."""
    num = len(labels)
    answers = Answers(
        models=tuple(predicted), trainings=tuple((1, seed) for seed in range(len(next(iter(predicted.values()))))),
        clips=tuple(f"{clip}.wav" for clip in range(num)), labels=np.array(labels),
        groups=np.arange(num) if groups is None else np.array(groups), predicted=np.array(list(predicted.values())),
        categories=("cat", "dog"),
    )  # fmt: skip
    return HumanLabels(answers, np.array(counts))


def test_labels_are_counted_by_clip_and_class(pets):
    study = load_study(pets)
    answers = study.answers["k-fold"]
    first, second, *_ = study.cells[0].clips.clips
    write_labels(pets, [(first, "cat", 3), (first, "dog", 1), (second, "horse", 2), ("unknown.wav", "cat", 5)])
    labels = read_human_labels(study, answers)
    assert set(labels.answers.clips) == {first, second}
    by_clip = dict(zip(labels.answers.clips, labels.counts.tolist(), strict=True))
    assert by_clip == {first: [3, 1, 0], second: [0, 0, 2]}
    assert labels.right[labels.answers.clips.index(first)] == 0.75
    found = against_people(study, "k-fold")
    assert found.confusion.tolist() == [[3, 1], [0, 0]]
    assert (found.num_elsewhere, found.num_labels, found.num_clips, found.num_test_clips) == (2, 6, 2, 16)


@pytest.mark.parametrize("content", ["", "clip,heard_as\na,b\n", "clip,heard_as,count\na.wav,cat,many\n", "\x00"])
def test_a_damaged_file_is_refused(content, pets):
    StudyFolder(pets).judgements.write_text(content)
    with pytest.raises(RefusedError, match=r"human.csv is damaged; run the study again"):
        against_people(load_study(pets), "k-fold")


def test_a_study_that_nobody_labelled_has_nothing_to_compare(pets):
    assert against_people(load_study(pets), "k-fold") is None


def test_agreement_is_the_chance_of_two_answers_that_are_the_same():
    labels = labelled([[3, 1, 0], [0, 0, 2]], [0, 1], {"cnn": [[0, 0], [1, 0], [1, 0], [1, 0]]})
    np.testing.assert_allclose(labels.agreement("cnn"), [0.75 * 0.25 + 0.25 * 0.75, 0])
    np.testing.assert_allclose(labels.agreement_of_people, [6 / 12, 1])


def test_one_person_agrees_with_nobody():
    assert np.isnan(labelled([[1, 0, 0]], [0], {"cnn": [[0]]}).agreement_of_people[0])


def test_a_clip_that_no_training_tested_is_no_disagreement():
    labels = labelled([[4, 0, 0], [4, 0, 0]], [0, 0], {"cnn": [[0, NOT_TESTED]], "tiny": [[0, 0]]})
    assert compare_with_people(labels, ["cnn", "tiny"], num_test_clips=2).agreement["cnn"].mean == 1.0


@pytest.mark.parametrize("groups", [None, [0, 0, 1, 1, 2, 2]])
def test_people_who_agree_in_every_group_may_err_in_new_ones(groups):
    labels = labelled([[4, 0, 0]] * 6, [0] * 6, {"cnn": [[0] * 6]}, groups)
    found = compare_with_people(labels, ["cnn"], num_test_clips=6)
    expected = wilson_interval(1.0, 6 if groups is None else 3)
    for share in (found.human_accuracy, found.agreement["cnn"]):
        assert (share.low, share.high) == expected
    assert found.human_accuracy.low < 0.7


def test_a_model_that_tested_no_labelled_clip_is_not_compared():
    labels = labelled([[4, 0, 0], [4, 0, 0]], [0, 0], {"cnn": [[0, 0]], "tiny": [[NOT_TESTED, NOT_TESTED]]})
    found = compare_with_people(labels, ["cnn", "tiny"], num_test_clips=4)
    assert (list(found.models), list(found.agreement)) == (["cnn"], ["cnn"])
    assert [one.second for one in found.differences] == ["cnn"]


def test_clips_are_sorted_by_who_misses_them():
    labels = labelled(
        [[1, 3, 0], [1, 0, 3], [4, 0, 0], [4, 0, 0]], [0, 0, 0, 0],
        {"a": [[1, 0, 1, 0], [1, 0, 1, 0]], "b": [[1, 0, 1, NOT_TESTED], [1, 0, 0, NOT_TESTED]]},
    )  # fmt: skip
    missed = compare_with_people(labels, ["a", "b"], num_test_clips=4).missed
    assert {whom: [one.clip for one in clips] for whom, clips in missed.items()} == {
        "both": ["0.wav"], "models": ["2.wav"], "people": ["1.wav"],
    }  # fmt: skip
    assert (missed["both"][0].named_instead, missed["both"][0].answered_instead) == ("dog", "dog")
    assert (missed["people"][0].named_instead, missed["people"][0].answered_instead) == (ANOTHER, None)


def test_the_answers_of_trainings_are_counted(pets):
    study = load_study(pets)
    write_labels(pets, [(clip, "cat", 2) for clip in study.cells[0].clips.clips])
    found = against_people(study, "k-fold")
    assert found.model_confusions["cnn"].tolist() == [[16, 0], [0, 16]]
    assert found.models == {"cnn": 1.0}
    assert [(one.category, one.num_clips, one.right) for one in found.classes] == [
        ("cat", 8, 1.0), ("dog", 8, 0.0), (None, 16, 0.5),
    ]  # fmt: skip


def test_where_nothing_else_was_named_there_is_nothing():
    assert most_but(np.array([4, 0]), 0, ["a", "b"]) is None


@dataclass(frozen=True)
class World:
    """People and three models that are equally good on the clips of one kind.

    A training tells a clip right where skill, ease, its luck with the recording and with all clips, and noise add up to
    above zero; 20 people give a label each, and are right with the probability that a new training has. A model that
    was trained once has no luck with all clips: of another training nothing is claimed.
    """

    group_clips: int
    trainings: int
    num_clips: int = 80
    of_group: float = 0.7

    @property
    def of_training(self) -> float:
        return 0.5 if self.trainings > 1 else 0.0


MODELS = ("cnn", "transformer-h1", "transformer-h2")


def invented(world: World, generator: np.random.Generator) -> HumanLabels:
    num_groups = world.num_clips // world.group_clips
    groups = np.repeat(np.arange(num_groups), world.group_clips)

    def of_groups(spread: float) -> np.ndarray:
        return generator.normal(0, spread, num_groups)[groups]

    ease = 1.0 + of_groups(1.0) + generator.normal(0, 1.0, world.num_clips)
    own = ease + of_groups(world.of_group)
    right = generator.binomial(20, norm.cdf(own / np.sqrt(1 + world.of_training**2)))
    predicted = []
    for _ in MODELS:
        shape = (world.trainings, world.num_clips)
        luck = generator.normal(0, world.of_training, (world.trainings, 1)) + of_groups(world.of_group)
        predicted.append(ease + luck + generator.normal(0, 1, shape) <= 0)
    answers = Answers(
        models=MODELS, trainings=tuple((1, seed) for seed in range(world.trainings)),
        clips=tuple(map(str, range(world.num_clips))), labels=np.zeros(world.num_clips, int), groups=groups,
        predicted=np.array(predicted, dtype=int), categories=("cat", "dog"),
    )  # fmt: skip
    return HumanLabels(answers, np.stack([right, 20 - right, 0 * right], axis=1))


def share_of_false_claims(world: World, num: int, monkeypatch: pytest.MonkeyPatch, claims) -> float:
    monkeypatch.setattr(statistics, "BOOTSTRAP_RESAMPLES", 300)
    monkeypatch.setattr(gc, "collect", lambda: 0)  # statsmodels does that for every set of p-values
    generator = np.random.default_rng(11)
    return sum(claims(invented(world, generator)) for _ in range(num)) / num


def any_shown(labels: HumanLabels) -> bool:
    return any(one.significant for one in differences_from_people(labels, MODELS))


def any_shown_by_clips(labels: HumanLabels) -> bool:
    """Judge as a sign test over clips would: whoever is right more often in a clip has won it."""
    means = [np.nanmean(labels.right - labels.answers.correct_of(model), axis=0) for model in MODELS]
    adjusted = holm([sign_test(int((mean > 1e-9).sum()), int((mean < -1e-9).sum())) for mean in means])
    intervals = [group_interval(mean, labels.answers.groups) for mean in means]
    return any(p < 0.05 and not low <= 0 <= high for p, (low, high) in zip(adjusted, intervals, strict=True))


WORLDS = [World(group_clips, trainings) for group_clips in (1, 4, 8) for trainings in (1, 4)]


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_people_and_models_that_are_equally_good_are_rarely_called_different(world, monkeypatch):
    assert share_of_false_claims(world, 60, monkeypatch, any_shown) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)


@pytest.mark.long
@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_of_400_studies_of_people_and_equal_models_one_in_twenty_calls_them_different(world, monkeypatch):
    assert share_of_false_claims(world, 400, monkeypatch, any_shown) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_a_sign_test_over_clips_would_take_the_luck_of_trainings_for_a_difference(monkeypatch):
    assert share_of_false_claims(World(8, 4), 60, monkeypatch, any_shown_by_clips) > 0.2


def test_a_large_difference_from_people_is_shown(monkeypatch):
    monkeypatch.setattr(statistics, "BOOTSTRAP_RESAMPLES", 300)
    labels = invented(World(4, 4), np.random.default_rng(2))
    worse = np.where(
        np.random.default_rng(3).random(labels.answers.predicted[0].shape) < 0.5, 1, labels.answers.predicted[0]
    )
    one = difference(labels.right - (worse == 0), labels.answers.groups)
    assert one.mean > 0.2
    assert one.p < 0.05 < one.low


def test_many_small_losses_and_few_large_wins_of_the_same_sum_are_no_difference():
    values = np.array([-0.15] * 64 + [0.5] * 16)[None]
    one = difference(values, np.arange(80))
    assert sign_test(one.wins, one.losses) < 1e-6
    assert one.p_groups > 0.3
