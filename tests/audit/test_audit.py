import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from auricle.audit.audit import Audit, audit
from auricle.data.datasets import Survey, survey
from auricle.data.manifest import Clip, Manifest
from defects import encoded, good_sound, make_bad, make_good


@pytest.fixture
def clips(tmp_path: Path) -> Callable[..., list[Clip]]:
    """Write sounds of (number, class, fold, group) as WAV files and return them as clips."""

    def write(*rows: tuple[int, str, int, str]) -> list[Clip]:
        found = []
        for place, (number, category, fold, group) in enumerate(rows):
            path = tmp_path / f"{place}.wav"
            path.write_bytes(encoded(good_sound(number)[1], "wav"))
            found.append(Clip(path, path.name, category, fold, group))
        return found

    return write


def audited(clips: list[Clip], *, has_folds: bool = True, clip_s: float = 2.0) -> Audit:
    return audit(Survey(Manifest("made", tuple(clips), clip_s, grouping="made"), has_folds), workers=1)


def kinds(found: Audit) -> dict[str, list[tuple[str, ...]]]:
    sizes = ("tiny-class", "few-clips", "few-classes", "imbalance")
    return {
        kind.name: [finding.clips for finding in findings]
        for kind, findings in found.by_kind.items()
        if kind.name not in sizes
    }


FOUR = [(0, "dog", 1, "a"), (1, "cat", 2, "b"), (2, "dog", 2, "c"), (3, "cat", 1, "d")]


def test_nothing_is_wrong_with_sound_clips(clips) -> None:
    seen: list[tuple[int, int]] = []
    made = Survey(Manifest("made", tuple(clips(*FOUR)), 2.0, grouping="made"), has_folds=True)
    found = audit(made, workers=1, on_progress=lambda done, total: seen.append((done, total)))
    assert kinds(found) == {}
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert found.counts == {"cat": {1: 1, 2: 1}, "dog": {1: 1, 2: 1}}
    assert [fact.rate_hz for fact in found.facts.values()] == [16_000] * 4


@pytest.mark.parametrize(
    ("copy", "has_folds", "kind"),
    [
        ((0, "dog", 1, "e"), True, "duplicate"),
        ((0, "dog", 2, "e"), True, "leak"),
        ((0, "dog", 2, "e"), False, "duplicate"),
        ((0, "Dog", 1, "e"), True, "duplicate"),
        ((0, "cat", 1, "e"), True, "contradiction"),
    ],
)
def test_the_same_samples_twice_are_named_by_what_they_do(clips, copy, has_folds: bool, kind: str) -> None:
    found = kinds(audited(clips(*FOUR, copy), has_folds=has_folds))
    found.pop("label-spelling", None)
    assert found == {kind: [("0.wav", "4.wav")]}


@pytest.mark.parametrize(
    ("copy", "kind"),
    [
        (("dog", 1, "e"), "near-duplicate"),
        (("dog", 2, "e"), "near-leak"),
        (("cat", 1, "e"), "near-contradiction"),
        (("dog", 1, "a"), None),
    ],
)
def test_nearly_the_same_sound_is_named_but_in_its_own_group(clips, tmp_path: Path, copy, kind: str | None) -> None:
    soundfile.write(tmp_path / "copy.mp3", good_sound(0)[1][4_000:] / 3, 16_000)
    made = [*clips(*FOUR), Clip(tmp_path / "copy.mp3", "copy.mp3", *copy)]
    assert kinds(audited(made)) == ({kind: [("0.wav", "copy.mp3")]} if kind else {})


def test_silent_clips_are_no_copies_of_each_other(clips) -> None:
    made = clips(*FOUR)
    for clip in made[:2]:
        soundfile.write(clip.path, np.zeros(32_000), 16_000)
    soundfile.write(made[2].path, np.outer(good_sound(9)[1], [1, -1]), 16_000, subtype="FLOAT")
    assert kinds(audited(made)) == {"silent": [("0.wav",), ("1.wav",)], "cancelling": [("2.wav",)]}


def test_a_group_in_two_folds_and_a_name_given_twice_are_named(clips) -> None:
    made = clips(*FOUR)
    made[3] = replace(made[3], group="b")
    assert kinds(audited([*made, made[0]]))["split-group"] == [("1.wav", "3.wav")]
    assert kinds(audited([*made, made[0]]))["name-twice"] == [("0.wav",)]


@pytest.mark.parametrize(
    ("rows", "has_folds", "reason"),
    [
        ([(n, "ab"[n % 2], 1, str(n)) for n in range(10)], True, "has only one fold; "),
        ([(n, "ab"[n % 2], 0, str(n % 3)) for n in range(10)], False, "10 clips in 3 groups cannot fill 5 folds; "),
        (
            [(n, "ab"[n % 2], 1 + n % 2, str(n)) for n in range(10)],
            True,
            "in official, fold 1, no clip of class 'a' is ",
        ),
        ([(n, "ab"[n % 2], 1 + n // 2, str(n)) for n in range(10)], True, ""),
    ],
)
def test_clips_that_no_study_could_divide_are_an_error(clips, rows, has_folds: bool, reason: str) -> None:
    found = [one.reason for one in audited(clips(*rows), has_folds=has_folds).findings if one.kind == "no-split"]
    assert len(found) == bool(reason)
    assert "".join(found).startswith(reason)


def test_an_annotation_that_is_not_used_is_named(clips) -> None:
    made = Manifest("made", tuple(clips(*FOUR)), 2.0, grouping="made", skipped=(("long.wav/1-2.wav", "begins late"),))
    found = audit(Survey(made, has_folds=True), workers=1)
    reasons = [finding.reason for finding in found.findings if finding.kind == "unused-annotation"]
    assert reasons == ["long.wav/1-2.wav: begins late"]


def test_the_odd_one_out_is_named(clips) -> None:
    made = clips(*[(n, "dog", 1, str(n)) for n in range(12)])
    soundfile.write(made[3].path, good_sound(20)[1], 44_100)
    soundfile.write(made[4].path, np.tile(good_sound(21)[1], 3), 16_000)
    soundfile.write(made[5].path, good_sound(22)[1][10_000:12_000], 16_000)
    found = kinds(audited(made))
    assert found == {"odd-rate": [("3.wav",)], "too-long": [("4.wav",)], "too-short": [("5.wav",)]}


def mixed_among_good(folder: Path, num_good: int, each: int, workers: int | None = None) -> None:
    """Check that every bad recording is named as what it is, and that the good are judged as if alone."""
    make_good(folder, num_good)
    alone = audit(survey(str(folder)), workers=workers)
    expected = make_bad(folder, each)
    together = audit(survey(str(folder)), workers=workers)
    named: dict[str, set[str]] = {}
    for finding in together.findings:
        assert finding.reason
        for name in finding.clips:
            named.setdefault(name, set()).add(finding.kind)
    assert {name: named.get(name) for name, kinds in expected.items() if not named.get(name, set()) & set(kinds)} == {}
    of_good = [finding for finding in together.findings if finding.clips and not set(finding.clips) & expected.keys()]
    assert of_good == [finding for finding in alone.findings if finding.clips]
    places = {clip.name: place for place, clip in enumerate(together.survey.manifest.clips)}
    for place, clip in enumerate(alone.survey.manifest.clips):
        assert alone.facts.get(place) == together.facts.get(places[clip.name])


def test_bad_recordings_are_named_and_change_nothing_for_the_good(tmp_path: Path) -> None:
    mixed_among_good(tmp_path / "sounds", 40, 1)


@pytest.mark.long
def test_25_of_every_defect_among_1000_good_are_named_and_change_nothing_for_them(tmp_path: Path) -> None:
    mixed_among_good(tmp_path / "sounds", 1_000, 25)


def test_a_folder_without_folds_or_groups_is_looked_at_and_says_so(tmp_path: Path) -> None:
    make_good(tmp_path / "sounds", 10)
    shutil.copytree(tmp_path / "sounds/bell", tmp_path / "sounds/.bell")
    found = audit(survey(str(tmp_path / "sounds")), workers=1)
    assert {kind.name for kind in found.by_kind} == {"no-groups", "tiny-class", "hidden-folder"}


def test_overlapping_clips_of_a_group_are_no_copies_without_folds_either(clips, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "copy.wav", good_sound(0)[1][4_000:] / 3, 16_000)
    copy = Clip(tmp_path / "copy.wav", "copy.wav", "dog", 0, "a")
    assert "near-duplicate" not in kinds(audited([*clips(*FOUR), copy], has_folds=False))
