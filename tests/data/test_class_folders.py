import os
from collections.abc import Callable
from pathlib import Path

import pytest

from auricle.data.class_folders import class_folder_clips
from auricle.data.manifest import TEST_FOLD, TRAINING, VALIDATION_FOLD
from auricle.errors import RefusedError

WriteSound = Callable[..., Path]


def test_every_recording_under_a_class_folder_belongs_to_it_however_deep(
    tmp_path: Path, write_sound: WriteSound
) -> None:
    write_sound(tmp_path / "dog" / "a.wav")
    write_sound(tmp_path / "dog" / "park" / "2024" / "B.FLAC".lower())
    write_sound(tmp_path / "grille-pain été" / "🍞 1.wav")
    clips, notes = class_folder_clips(tmp_path)
    assert [(clip.name, clip.category, clip.group) for clip in clips] == [
        ("dog/a.wav", "dog", "dog/a.wav"),
        ("dog/park/2024/b.flac", "dog", "dog/park/2024/b.flac"),
        ("grille-pain été/🍞 1.wav", "grille-pain été", "grille-pain été/🍞 1.wav"),
    ]
    assert notes == []


def test_what_is_ignored_is_counted(tmp_path: Path, write_sound: WriteSound) -> None:
    write_sound(tmp_path / "dog" / "a.WAV".lower())
    for name in (".hidden/b.wav", "dog/.DS_Store", "dog/labels.txt", "dog/photo.txt", "README", "dog/._a.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    write_sound(tmp_path / "beside.wav")
    (tmp_path / "nothing").mkdir()
    clips, notes = class_folder_clips(tmp_path)
    assert [clip.name for clip in clips] == ["dog/a.wav"]
    assert notes == [
        "Ignored: .txt files (2), files without a suffix (1), folders without recordings (1), hidden files (3), "
        "recordings outside the class folders (1)."
    ]


def test_links_in_a_circle_end_and_no_recording_is_found_twice(tmp_path: Path, write_sound: WriteSound) -> None:
    write_sound(tmp_path / "dog" / "a.wav")
    (tmp_path / "dog" / "up").symlink_to(tmp_path)
    (tmp_path / "dog" / "self").symlink_to(tmp_path / "dog")
    (tmp_path / "hound").symlink_to(tmp_path / "dog")
    clips, notes = class_folder_clips(tmp_path)
    assert [clip.name for clip in clips] == ["dog/a.wav"]
    assert notes == ["Ignored: folders without recordings (1), linked folders that were already read (3)."]


def test_a_linked_class_folder_is_followed(tmp_path: Path, write_sound: WriteSound) -> None:
    write_sound(tmp_path / "elsewhere" / "a.wav")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "cat").symlink_to(tmp_path / "elsewhere")
    assert [clip.name for clip in class_folder_clips(tmp_path / "root")[0]] == ["cat/a.wav"]


def test_a_folder_that_is_named_like_a_recording_is_a_folder(tmp_path: Path, write_sound: WriteSound) -> None:
    write_sound(tmp_path / "dog" / "x.wav" / "a.wav")
    assert [clip.name for clip in class_folder_clips(tmp_path)[0]] == ["dog/x.wav/a.wav"]


def test_an_empty_folder_is_refused_with_what_was_ignored(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="contains no recordings in class folders"):
        class_folder_clips(tmp_path)
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog" / "a.mid").touch()
    with pytest.raises(RefusedError, match=r"Ignored: .mid files \(1\)"):
        class_folder_clips(tmp_path)


def test_folders_of_sets_are_folds(tmp_path: Path, write_sound: WriteSound) -> None:
    for name in ("train", "Test", "val"):
        write_sound(tmp_path / name / "dog" / "a.wav")
    clips, _ = class_folder_clips(tmp_path)
    assert [(clip.name, clip.category, clip.fold) for clip in clips] == [
        ("Test/dog/a.wav", "dog", TEST_FOLD),
        ("train/dog/a.wav", "dog", TRAINING),
        ("val/dog/a.wav", "dog", VALIDATION_FOLD),
    ]


def test_sets_beside_classes_are_refused(tmp_path: Path, write_sound: WriteSound) -> None:
    for name in ("train", "test", "dog"):
        write_sound(tmp_path / name / "a.wav")
    with pytest.raises(RefusedError, match="test and train look like sets, but dog like a class"):
        class_folder_clips(tmp_path)


def test_a_name_that_is_no_utf_8_is_refused(tmp_path: Path, write_sound: WriteSound) -> None:
    try:
        write_sound(tmp_path / "dog" / "a.wav").rename(tmp_path / "dog" / os.fsdecode(b"\xff.wav"))
    except OSError:
        pytest.skip("this file system takes no such names")
    with pytest.raises(RefusedError, match="is not UTF-8; rename the file"):
        class_folder_clips(tmp_path)
