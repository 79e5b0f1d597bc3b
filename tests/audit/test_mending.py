import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from auricle.audit.audit import Audit, audit
from auricle.audit.mending import mend, write_manifest
from auricle.data.datasets import Survey, load_manifest, survey
from auricle.data.manifest import Clip, Manifest
from auricle.errors import UsageError
from defects import encoded, good_sound, patched


def checked(folder: Path, rows: list[tuple[bytes, str, int, str]], *, has_folds: bool = True) -> Audit:
    clips = []
    for place, (content, category, fold, group) in enumerate(rows):
        path = folder / f"{place}.wav"
        path.write_bytes(content)
        clips.append(Clip(path, path.name, category, fold, group))
    return audit(Survey(Manifest("made", tuple(clips), 2.0, grouping="made"), has_folds), workers=1)


def wav(number: int) -> bytes:
    return encoded(good_sound(number)[1], "wav")


def near(number: int) -> bytes:
    return encoded(good_sound(number)[1][3_000:] / 4, "wav")


def test_what_is_bad_is_left_out_and_the_rest_is_as_it_was(tmp_path: Path) -> None:
    rows = [(wav(0), "dog", 1, "a"), (b"", "dog", 1, "b"), (wav(1)[:9_000], "cat", 2, "c"), (wav(2), "cat", 2, "d")]
    found = checked(tmp_path, [*rows, (wav(0), "dog", 1, "e")])
    mended = mend(found)
    assert mended.clips == tuple(found.survey.manifest.clips[place] for place in (0, 3))
    assert mended.done == {
        "left out: empty file (0 bytes)": 1,
        "left out: truncated file": 1,
        "left out: an exact copy of another": 1,
    }


def test_the_same_sound_under_two_classes_is_left_out_both_times(tmp_path: Path) -> None:
    found = checked(tmp_path, [(wav(0), "dog", 1, "a"), (wav(0), "cat", 1, "b"), (wav(1), "cat", 2, "c")])
    assert [clip.name for clip in mend(found).clips] == ["2.wav"]


def test_nearly_the_same_become_one_group_in_the_fold_of_most(tmp_path: Path) -> None:
    rows = [(wav(0), "dog", 1, "a"), (wav(1), "dog", 2, "b"), (near(0), "dog", 2, "b"), (wav(3), "dog", 3, "c")]
    mended = mend(checked(tmp_path, rows))
    assert [(clip.fold, clip.group) for clip in mended.clips] == [(2, "a"), (2, "a"), (2, "a"), (3, "c")]


def test_without_folds_only_groups_are_joined(tmp_path: Path) -> None:
    mended = mend(checked(tmp_path, [(wav(0), "dog", 0, "a"), (near(0), "dog", 0, "b")], has_folds=False))
    assert [(clip.fold, clip.group) for clip in mended.clips] == [(0, "a"), (0, "a")]


def test_a_class_is_spelt_as_most_of_it_is(tmp_path: Path) -> None:
    names = ("Dog", "dog", "dog", "DOG", "cat")
    mended = mend(checked(tmp_path, [(wav(n), name, 1, str(n)) for n, name in enumerate(names)]))
    assert [clip.category for clip in mended.clips] == ["dog"] * 4 + ["cat"]


def test_recordings_whose_header_contradicts_itself_are_kept(tmp_path: Path) -> None:
    rows = [(patched(wav(number), 28, "<I", 1), "dog", 1, str(number)) for number in range(3)]
    found = checked(tmp_path, rows)
    assert {kind.name for kind in found.by_kind if kind.severity == "error"} <= {"few-classes"}
    assert len(mend(found).clips) == 3


def test_a_class_that_is_silent_on_purpose_stays(tmp_path: Path) -> None:
    silence = encoded(np.zeros(32_000), "wav")
    rows = [(silence, "nothing", fold, str(fold)) for fold in (1, 2)]
    rows += [(silence, "dog", 1, "c"), (wav(1), "dog", 2, "d"), (wav(2), "dog", 2, "e")]
    found = checked(tmp_path, rows)
    assert [clip.name for clip in mend(found).clips] == ["0.wav", "1.wav", "3.wav", "4.wav"]
    manifest = found.survey.manifest
    twice = Survey(replace(manifest, clips=(*manifest.clips, manifest.clips[0])), has_folds=True)
    assert [clip.name for clip in mend(audit(twice, workers=1)).clips] == ["0.wav", "1.wav", "3.wav", "4.wav"]


def test_the_new_table_can_be_trained_on_and_has_no_errors_left(tmp_path: Path) -> None:
    sounds = tmp_path / "sons à moi"
    for category, numbers in (("dog", range(6)), ("Dog", range(6, 8)), ("=cat,\n2", range(10, 16))):
        for number in numbers:
            (sounds / category).mkdir(parents=True, exist_ok=True)
            (sounds / category / f" {number} 🐕.wav").write_bytes(wav(number))
    (sounds / "dog/empty.wav").touch()
    soundfile.write(sounds / "dog/near.flac", good_sound(3)[1][2_000:], 16_000)
    before = {path: path.read_bytes() for path in sounds.rglob("*.*")}
    found = audit(survey(str(sounds)), workers=1)
    table = tmp_path / "tables" / "new.csv"
    write_manifest(table, mend(found), has_folds=False, has_groups=True)
    manifest = load_manifest(str(table))
    assert set(manifest.categories) == {"dog", "=cat,\n2"}
    assert len(manifest.clips) == 15
    groups = {clip.path.name: clip.group for clip in manifest.clips}
    assert groups["near.flac"] == groups[" 3 🐕.wav"]
    again = audit(survey(str(table)), workers=1)
    assert {kind.name for kind in again.by_kind if kind.severity == "error"} == set()
    assert {path: path.read_bytes() for path in sounds.rglob("*.*")} == before


def test_folds_that_are_given_are_written(tmp_path: Path) -> None:
    found = checked(tmp_path, [(wav(0), "dog", 1, "a"), (wav(1), "cat", 2, "b")])
    write_manifest(tmp_path / "new.csv", mend(found), has_folds=True, has_groups=True)
    with (tmp_path / "new.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["filename", "category", "fold", "group"], ["0.wav", "dog", "1", "a"], ["1.wav", "cat", "2", "b"],
        ]  # fmt: skip


@pytest.mark.parametrize("name", ["old.csv", "new.txt", "audio.wav"])
def test_nothing_is_written_over_and_only_tables_are_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "old.csv").write_text("mine")
    found = checked(tmp_path, [(wav(0), "dog", 1, "a")])
    with pytest.raises(UsageError):
        write_manifest(tmp_path / name, mend(found), has_folds=True, has_groups=True)
    assert (tmp_path / "old.csv").read_text() == "mine"


def test_where_nothing_is_kept_nothing_is_warned_of(tmp_path: Path) -> None:
    mended = mend(checked(tmp_path, [(wav(0), "dog", 1, "a"), (wav(0), "cat", 1, "b")]))
    assert (mended.clips, mended.warning) == ((), "")


def test_data_without_groups_stay_without(tmp_path: Path) -> None:
    rows = [(wav(number), name, 0, str(number)) for number, name in enumerate(("dog", "cat") * 5)]
    mended = mend(checked(tmp_path, rows, has_folds=False))
    write_manifest(tmp_path / "new.csv", mended, has_folds=False, has_groups=False)
    assert load_manifest(str(tmp_path / "new.csv")).grouping is None
