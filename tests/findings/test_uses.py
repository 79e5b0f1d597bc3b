"""What the models use, and where they differ; how seldom luck is called either, test_claims.py says."""

from pathlib import Path

import numpy as np
import pytest

from auricle.errors import RefusedError
from auricle.findings.classes import class_differences, hardest, leads
from auricle.findings.study import load_study
from auricle.findings.uses import find_uses
from auricle.runs import CellName, StudyFolder
from auricle.scoring.answers import Answers
from report.invented_probes import write_probes

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
    assert cost.significant
    assert not one.costs["reversed"].significant
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
    assert first.loudness.significant
    assert first.loudness.mean == pytest.approx(0.5, abs=0.03)
    assert not second.loudness.significant
    assert one.attention.shape == (2, 2, 10, 5)


def test_a_stale_probe_is_not_shown_and_a_damaged_one_refused(make_study):
    folder = make_study(models=("cnn",), protocols=("k-fold",), num_folds=3, epochs=2)
    write_probes(folder, "k-fold", {"cnn": SOUND})
    study, files = load_study(folder), StudyFolder(folder)
    assert len(find_uses(study, "k-fold")["cnn"].cells) == 2
    files.cell(CellName("cnn", "k-fold", 2, 0)).config.write_text("name: cnn")
    files.cell(CellName("cnn", "k-fold", 2, 0)).weights.write_bytes(b"of another training")
    assert [str(cell) for cell in find_uses(study, "k-fold")["cnn"].cells] == ["cnn/k-fold-3-0"]
    files.insight(CellName("cnn", "k-fold", 3, 0)).write_text("{")
    with pytest.raises(RefusedError, match=r"k-fold-3-0.json is damaged.*; run the study again"):
        find_uses(study, "k-fold")


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
