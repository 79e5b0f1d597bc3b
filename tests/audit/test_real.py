"""The check of the real ESC-10."""

import os
from itertools import combinations
from pathlib import Path

import pytest

from auricle.audit.audit import Audit, audit
from auricle.data.datasets import Survey, survey
from duplicates import found_of, plant

pytestmark = [
    pytest.mark.real,
    pytest.mark.long,
    pytest.mark.skipif(not os.environ.get("AURICLE_DATA"), reason="AURICLE_DATA does not say where esc10 lies"),
]
# One recording uploaded twice, as their correlation says: 0.97 at no delay, 0.49 at 0.65 s.
KNOWN = {("2-28314-A-12.ogg", "2-30322-A-12.ogg"), ("3-151080-A-20.ogg", "5-151085-A-20.ogg")}


@pytest.fixture(scope="module")
def esc10() -> Survey:
    return survey("esc10")


@pytest.fixture(scope="module")
def found(esc10: Survey) -> Audit:
    return audit(esc10)


def test_every_clip_is_whole_and_what_is_wrong_is_known(found: Audit) -> None:
    assert len(found.facts) == 400
    kinds = {kind.name: len(findings) for kind, findings in found.by_kind.items()}
    assert kinds == {"near-leak": 1, "clipped": 3, "near-duplicate": 1, "shortcut": 1, "padded": 76}


def test_nothing_but_what_is_the_same_is_called_the_same(found: Audit) -> None:
    clips = found.survey.manifest.clips
    pairs = {
        (clips[one].name, clips[other].name)
        for places, _ in found.copies.near
        for one, other in combinations(places, 2)
        if clips[one].group != clips[other].group
    }
    assert pairs == KNOWN
    assert found.copies.exact == ()


def test_classes_are_told_apart_without_listening_better_than_by_chance(found: Audit) -> None:
    assert found.shortcuts
    assert 0.25 < found.shortcuts.low < found.shortcuts.accuracy < 0.4


def test_planted_copies_are_found(esc10: Survey, tmp_path: Path) -> None:
    planted, copies = plant(esc10, tmp_path, 100, seed=0)
    found = audit(planted)
    results = found_of(found, copies)
    assert sum(sum(each) for each in results.values()) >= 95
    assert all(results["exact"])
    assert len(found.copies.exact) == len(results["exact"])
