"""Layouts that people have, each as a person types it."""

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from auricle.data.annotations import annotations_beside, cut_clips
from auricle.data.cache import prepare
from auricle.data.datasets import load_manifest
from auricle.data.folds import make_splits
from auricle.data.manifest import Clip, split_groups
from auricle.data.store import cut_folder
from auricle.errors import RefusedError
from auricle.predict.formats import LabelledRecording, to_raven, write_text
from auricle.predict.stretches import Stretch

WriteSound = Callable[..., Path]
RATE_HZ = 8_000


@pytest.fixture
def flat(tmp_path: Path, write_sound: WriteSound) -> Path:
    """Three digits, five speakers, two takes, all in one folder."""
    for digit in "012":
        for place, who in enumerate(("ann", "bob", "cyd", "dan", "eve")):
            for take in range(2):
                path = tmp_path / "flat" / f"{digit}_{who}_{take}.wav"
                write_sound(path, duration_s=0.1, pitch_hz=200 + 100 * int(digit) + 10 * place + take)
    return tmp_path / "flat"


def write_steps(path: Path, *levels: float) -> Path:
    """A recording of one second at each level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(os.fsencode(path), np.repeat(np.array(levels, np.float32), RATE_HZ), RATE_HZ, "FLOAT")
    return path


def test_one_pattern_gives_classes_and_groups_of_a_flat_folder(flat: Path) -> None:
    manifest = load_manifest(str(flat), label="{digit}_{speaker}_*")
    assert manifest.categories == ("0", "1", "2")
    assert set(manifest.groups) == {"ann", "bob", "cyd", "dan", "eve"}
    assert "Classes are taken from {digit} in the names, by the pattern {digit}_{speaker}_*." in manifest.notes


def test_the_field_class_wins_over_the_first_and_group_by_over_the_other_fields(flat: Path) -> None:
    who = load_manifest(str(flat), label="{digit}_{class}_*", group_by="{take}.wav").categories
    assert who == ("ann", "bob", "cyd", "dan", "eve")
    grouped = load_manifest(str(flat), label="{digit}_*", group_by="*_{speaker}_*")
    assert (len(set(grouped.groups)), grouped.categories) == (5, ("0", "1", "2"))


def test_classes_come_from_folders_above_the_last(tmp_path: Path, write_sound: WriteSound) -> None:
    for category in ("cat", "dog"):
        for who in ("ann", "bob", "cyd", "dan", "eve"):
            write_sound(tmp_path / "sounds" / who / category / "0.wav", pitch_hz=len(category) * 100 + ord(who[0]))
    manifest = load_manifest(str(tmp_path / "sounds"), label="{speaker}/{class}/*")
    assert (manifest.categories, len(set(manifest.groups))) == (("cat", "dog"), 5)


def test_a_field_that_is_the_class_is_pointed_out_with_the_pattern_that_is_meant(flat: Path) -> None:
    with pytest.raises(RefusedError, match=r"parts of 3 values \(0, 1, ...\), 5 \(ann, bob, ...\), 2 \(0, 1\)"):
        load_manifest(str(flat))
    for path in sorted(flat.iterdir()):
        (flat / path.name[0]).mkdir(exist_ok=True)
        path.rename(flat / path.name[0] / path.name)
    notes = load_manifest(str(flat), group_by="{digit}_{speaker}_*").notes
    assert any("--group-by '*_{speaker}_*' keeps it together" in note for note in notes)
    assert (
        "Each group has one clip, so grouping has no effect." in load_manifest(str(flat), group_by="{name}.wav").notes
    )


@pytest.mark.parametrize("name", ["path", "file", "file_name", "filename", "audio", "File"])
@pytest.mark.parametrize("label", ["label", "category", "class", "target", "species", "Species"])
def test_columns_may_have_the_names_that_people_give_them(class_folders: Path, name: str, label: str) -> None:
    table = class_folders / "clips.csv"
    names = sorted(path.relative_to(class_folders).as_posix() for path in class_folders.glob("*/*.wav"))
    table.write_text(f"{name},{label}\n" + "".join(f"{each},{each.split('/')[0]}\n" for each in names))
    assert load_manifest(str(table)).categories == ("bell", "cat", "dog")


@pytest.mark.parametrize(("suffix", "comma"), [("csv", ";"), ("csv", "\t"), ("csv", "|"), ("tsv", "\t")])
def test_semicolons_tabs_and_bars_divide_columns(class_folders: Path, suffix: str, comma: str) -> None:
    table = class_folders / f"clips.{suffix}"
    names = sorted(path.relative_to(class_folders).as_posix() for path in class_folders.glob("*/*.wav"))
    rows = [f"{each}{comma}{each.split('/')[0]}, small" for each in names]
    table.write_text("\n".join([f"filename{comma}label", *rows]))
    assert load_manifest(str(table)).categories == ("bell, small", "cat, small", "dog, small")


def test_folds_may_be_written_as_pandas_does_and_clips_without_a_group_are_counted(class_folders: Path) -> None:
    names = sorted(path.relative_to(class_folders).as_posix() for path in class_folders.glob("*/*.wav"))
    rows = [f"{each},{each.split('/')[0]},{n % 2 + 1}.0,{f'g{n}' if n else ''}" for n, each in enumerate(names)]
    (class_folders / "clips.csv").write_text("\n".join(["file,label,fold,group", *rows]))
    manifest = load_manifest(str(class_folders / "clips.csv"))
    assert set(manifest.folds.tolist()) == {1, 2}
    assert "1 clip without a group: each counts as its own source." in manifest.notes


def test_an_empty_column_of_groups_gives_none(class_folders: Path) -> None:
    names = sorted(path.relative_to(class_folders).as_posix() for path in class_folders.glob("*/*.wav"))
    rows = [f"{each},{each.split('/')[0]}," for each in names]
    (class_folders / "clips.csv").write_text("\n".join(["file,label,group", *rows]))
    manifest = load_manifest(str(class_folders / "clips.csv"))
    assert manifest.grouping is None
    assert any(note.startswith("No groups are given") for note in manifest.notes)


def test_any_column_may_be_the_class(class_folders: Path) -> None:
    table = class_folders / "clips.csv"
    names = [path.relative_to(class_folders).as_posix() for path in class_folders.glob("*/*.wav")]
    table.write_text("file,label,kind\n" + "".join(f"{name},same,{name.split('/')[0]}\n" for name in names))
    assert load_manifest(str(table), label="kind").categories == ("bell", "cat", "dog")
    with pytest.raises(RefusedError, match="no column sort to take classes from; its columns are file, label, kind"):
        load_manifest(str(table), label="sort")


def test_an_audio_folder_is_read_with_its_sets_as_folds(tmp_path: Path, write_sound: WriteSound) -> None:
    for place, (name, num) in enumerate((("train", 8), ("test", 2))):
        rows = []
        for category in ("cat", "dog"):
            for take in range(num):
                pitch_hz = 200 + 300 * (category == "dog") + 20 * take + 7 * place
                write_sound(tmp_path / "data" / name / "audio" / f"{category}{take}.wav", pitch_hz=pitch_hz)
                rows.append(f"audio/{category}{take}.wav,{category}\n")
        (tmp_path / "data" / name / "metadata.csv").write_text("file_name,label\n" + "".join(rows))
    manifest = load_manifest(str(tmp_path / "data"))
    assert manifest.has_test_set
    assert {clip.name for clip in manifest.clips if clip.fold == 1} == {
        f"test/audio/{category}{take}.wav" for category in ("cat", "dog") for take in range(2)
    }
    assert {split.fold for split in make_splits(manifest, "k-fold")} == {2, 3, 4, 5}
    assert any(
        note.startswith("Sets: the test set is fold 1, the training set folds 2 to 5") for note in manifest.notes
    )


def test_tables_of_sets_may_differ_in_groups_but_not_in_stretches(tmp_path: Path, write_sound: WriteSound) -> None:
    for name, column in (("train", "group"), ("test", "take")):
        rows = []
        for take in range(10):
            write_sound(tmp_path / name / f"{take}.wav", pitch_hz=200 + 20 * take)
            rows.append(f"{take}.wav,{'cat' if take % 2 else 'dog'},{f'{name}{take // 2}' if take > 1 else ''}\n")
        (tmp_path / name / "metadata.csv").write_text(f"file_name,label,{column}\n" + "".join(rows))
    manifest = load_manifest(str(tmp_path))
    assert manifest.grouping == "the column group"
    assert "12 clips without a group: each counts as its own source." in manifest.notes
    assert not split_groups(manifest)
    (tmp_path / "test" / "metadata.csv").write_text("file_name,label,start,end\n0.wav,cat,0.0,0.1\n")
    with pytest.raises(RefusedError, match="only some of its tables"):
        load_manifest(str(tmp_path))


def test_one_metadata_table_above_the_sets_is_read_as_well(tmp_path: Path, write_sound: WriteSound) -> None:
    rows = []
    for name, num in (("train", 8), ("validation", 2), ("test", 2)):
        for category in ("cat", "dog"):
            for take in range(num):
                write_sound(tmp_path / "data" / name / f"{category}{take}.wav", pitch_hz=200 + len(rows))
                rows.append(f"{name}/{category}{take}.wav,{category}\n")
    (tmp_path / "data" / "metadata.csv").write_text("file_name,label\n" + "".join(rows))
    folds = {clip.name.split("/")[0]: set() for clip in load_manifest(str(tmp_path / "data")).clips}
    for clip in load_manifest(str(tmp_path / "data")).clips:
        folds[clip.name.split("/")[0]].add(clip.fold)
    assert folds == {"test": {1}, "validation": {2}, "train": {3, 4, 5}}


def test_names_may_be_spelt_in_another_normal_form_or_by_windows(tmp_path: Path, write_sound: WriteSound) -> None:
    rows = []
    for category in ("cat", "dog"):
        for take in range(5):
            name = f"étage/{category}-Émile{take}.wav"
            write_sound(tmp_path / unicodedata.normalize("NFD", name), pitch_hz=200 + len(rows))
            rows.append(unicodedata.normalize("NFC", name).replace("/", "\\" if take % 2 else "/") + f",{category}\n")
    table = tmp_path / "clips.csv"
    table.write_text("filename,category\n" + "".join(rows))
    assert len(load_manifest(str(table)).clips) == 10
    table.write_text("filename,category\nC:\\Users\\me\\cat.wav,cat\n")
    with pytest.raises(RefusedError, match="these are paths on another computer; give paths relative to that folder"):
        load_manifest(str(table))


@pytest.mark.parametrize(
    "text",
    [
        "filename,category\na.wav,dog\na.wav,cat\nb.wav,cat\n",
        "filename,category\na.wav,dog;cat\nb.wav,dog\nb2.wav,cat\n",
        "filename,labels\na.wav,dog\n",
        'filename,label\na.wav,"dog, cat"\nb.wav,dog\nc.wav,cat\n',
        "filename,dog,cat\na.wav,1,1\nb.wav,0,1\n",
    ],
)
def test_clips_of_several_labels_are_refused_as_such(tmp_path: Path, text: str) -> None:
    for name in ("a", "b", "b2", "c"):
        write_steps(tmp_path / f"{name}.wav", 0.1)
    (tmp_path / "clips.csv").write_text(text)
    with pytest.raises(RefusedError, match="several labels") as caught:
        load_manifest(str(tmp_path / "clips.csv"))
    assert "one class per clip" in str(caught.value)


def test_classes_that_differ_by_case_or_unicode_form_are_told(class_folders: Path) -> None:
    (class_folders / "cat").rename(class_folders / "Dog")
    notes = load_manifest(str(class_folders)).notes
    assert (
        "'Dog' (5 clips) and 'dog' (5 clips) are used as different classes; auricle check --fix merges them." in notes
    )


def labelled(folder: Path, form: str) -> Path:
    """Five recordings of eight levels; the third and the sixth second are `low` and `high`, labelled in a file."""
    for take in range(5):
        recording = write_steps(folder / f"site{take}.wav", *(0.1 * step + 0.01 * take for step in range(8)))
        raven = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tSpecies\n"
        lines = [(2.2, 2.8, "low"), (5.0, 6.0, "high")]
        if form == "raven":
            rows = [f"{n}\t{view}\t1\t{a}\t{b}\t0\t{name}\n" for n, (a, b, name) in enumerate(lines, 1)
                    for view in ("Waveform 1", "Spectrogram 1")]  # fmt: skip
            recording.with_suffix(".Table.1.selections.txt").write_text(raven + "".join(rows))
        else:
            rows = [f"{a}\t{b}\t{name}\n\\\t100.0\t200.0\n" for a, b, name in lines]
            recording.with_suffix(".txt").write_text("".join(rows))
    return folder


@pytest.mark.parametrize("form", ["raven", "audacity"])
def test_annotations_beside_long_recordings_become_clips_of_their_group(tmp_path: Path, form: str) -> None:
    manifest = load_manifest(str(labelled(tmp_path / "sites", form)), clip_s=1.0)
    assert len(manifest.clips) == 10
    assert {(clip.name, clip.category, clip.group) for clip in manifest.clips} >= {
        ("site0.wav/2.000-3.000.wav", "low", "site0.wav"),
        ("site0.wav/5.000-6.000.wav", "high", "site0.wav"),
    }
    recordings = prepare(manifest, sample_rate_hz=RATE_HZ)
    for clip, waveform in zip(recordings.manifest.clips, recordings.waveforms, strict=True):
        level = (0.2 if clip.category == "low" else 0.5) + 0.01 * int(clip.name[4])
        np.testing.assert_allclose(waveform, level, atol=1e-6)
    assert len(set(manifest.groups)) == 5
    assert not any(split.leaky for split in make_splits(manifest, "official"))


def test_a_label_track_may_have_empty_lines_and_long_labels(tmp_path: Path) -> None:
    recording = write_steps(tmp_path / "a.wav", 0.1)
    (tmp_path / "a.txt").write_text(f"0.0\t1.0\tlow\n\n1.0\t2.0\t{'x' * 200_000}\tend\n")
    clips, spans = annotations_beside([recording], tmp_path)
    assert [len(clip.category) for clip in clips] == [3, 200_004]
    assert spans == [(0.0, 1.0), (1.0, 2.0)]


def test_pieces_that_are_used_are_not_pruned_however_long_ago_they_were_cut(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "sites", "audacity")
    load_manifest(str(folder), clip_s=1.0)
    for pieces in cut_folder().iterdir():
        os.utime(pieces, (1e9, 1e9))
    manifest = load_manifest(str(folder), clip_s=1.0)
    for rate_hz in (RATE_HZ, RATE_HZ // 2):  # the first one prunes
        assert len(prepare(manifest, sample_rate_hz=rate_hz).manifest.clips) == 10


def test_a_table_of_stretches_is_cut_too(tmp_path: Path) -> None:
    rows = []
    for take in range(6):
        write_steps(tmp_path / f"site{take}.wav", *(0.1 * step + 0.01 * take for step in range(8)))
        rows += [f"site{take}.wav;2,2;2,8;low", f"site{take}.wav;5;6;high"]
    rows += ["site0.wav;5,5;6,5;low", "site1.wav;20;21;low"]  # beside another class, and after the end
    (tmp_path / "clips.csv").write_text("\n".join(["file;start;end;label", *rows]))
    manifest = load_manifest(str(tmp_path / "clips.csv"), clip_s=1.0)
    assert len(manifest.clips) == 11
    words = "14 annotations of 6 recordings were cut into clips; 3 left out (auricle check lists them)."
    assert words in manifest.notes


def test_stretches_are_cut_within_what_is_free_of_other_classes(tmp_path: Path) -> None:
    recording = write_steps(tmp_path / "a.wav", *np.arange(10) / 10)
    clip = Clip(recording, "a.wav", "x", 0, "a.wav")
    other = Clip(recording, "a.wav", "y", 0, "a.wav")
    spans = [(1.0, 1.5), (1.5, 2.0), (4.0, 9.0), (6.0, 6.5), (9.5, 12.0), (20.0, 21.0)]
    made, left_out = cut_clips([clip, other, clip, other, clip, clip], spans, 2.0)
    assert [each.name for each in made] == ["a.wav/0.000-1.500.wav", "a.wav/1.500-3.500.wav",
                                            "a.wav/9.500-11.500.wav", "a.wav/10.000-12.000.wav"][:3]  # fmt: skip
    assert [reason.split(";")[0] for _, reason in left_out] == [
        "overlaps a stretch of another class",
        "overlaps a stretch of another class",
        "begins after the end of its recording",
        "begins after the end of its recording",
    ]
    assert soundfile.info(made[2].path).frames == RATE_HZ // 2  # what is there of it


def test_a_recording_that_is_cut_off_is_refused_by_its_own_name(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "sites", "audacity")
    whole = (folder / "site3.wav").read_bytes()
    (folder / "site3.wav").write_bytes(whole[: len(whole) // 2])
    for _ in range(2):  # what was cut before the damage showed is not taken for whole
        with pytest.raises(
            RefusedError, match=r"2 of 10 recordings cannot be used: site3\.wav/2\.000-3\.000\.wav \(cut off"
        ):
            prepare(load_manifest(str(folder), clip_s=1.0), sample_rate_hz=RATE_HZ)


def test_a_recording_that_lacks_its_end_leaves_no_pieces(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "sites", "audacity")
    whole = (folder / "site3.wav").read_bytes()
    (folder / "site3.wav").write_bytes(whole[:-1000])  # behind all annotations
    for _ in range(2):
        with pytest.raises(RefusedError, match=r"2 of 10 recordings cannot be used: site3\.wav"):
            prepare(load_manifest(str(folder), clip_s=1.0), sample_rate_hz=RATE_HZ)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1.0\t1.0\tlow\n", "line 1: '1.0' to '1.0' s is not a valid stretch"),
        ("0.0\t1.0\tlow\n2.0\t1.0\tlow\n", "line 2: '2.0' to '1.0' s"),
        ("0.0\t1.0\n", "line 1: a line of a label track is start, end and label"),
        ("Selection\tBegin Time (s)\tEnd Time (s)\n1\t0\t1\n", "no column annotation or category or label"),
        ("Begin Time (s)\tEnd Time (s)\tLabel\n0\t1\t\n", "line 2 has no Label"),
    ],
)
def test_a_label_file_that_is_wrong_is_refused_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    write_steps(tmp_path / "a.wav", 0.1)
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(RefusedError) as caught:
        load_manifest(str(tmp_path))
    assert words in str(caught.value)


def test_a_selection_table_of_several_recordings_needs_the_offset_in_each(tmp_path: Path) -> None:
    """Raven's begin times count from the first file: at 1 s of the sequence begins the second file."""
    recordings = [write_steps(tmp_path / "a.wav", 0.1), write_steps(tmp_path / "b.wav", 0.2, 0.3, 0.4)]
    table = tmp_path / "a.selections.txt"
    head = "Begin Time (s)\tEnd Time (s)\tLabel\tBegin File"
    table.write_text(f"{head}\n0.0\t1.0\tlow\ta.wav\n2.0\t3.0\tlow\tb.wav\n")
    with pytest.raises(RefusedError, match="line 2 has no File Offset"):
        annotations_beside(recordings, tmp_path)
    table.write_text(f"{head}\tFile Offset (s)\n0.0\t1.0\tlow\ta.wav\t0.0\n2.0\t3.0\tlow\tb.wav\t1.0\n")
    clips, spans = annotations_beside(recordings, tmp_path)
    assert ([clip.name for clip in clips], spans) == (["a.wav", "b.wav"], [(0.0, 1.0), (1.0, 2.0)])
    table.write_text(f"{head}\n1.0\t2.0\tlow\tb.wav\n")
    assert annotations_beside(recordings, tmp_path)[1] == [(1.0, 2.0)]


@pytest.mark.parametrize("text", ["", "A cat, heard in the garden.\n", "x" * 200_000, "\n1\t2\tcat"])
def test_a_text_that_is_no_label_file_is_passed_over(class_folders: Path, text: str) -> None:
    (class_folders / "cat" / "0.txt").write_text(text)
    assert len(load_manifest(str(class_folders)).clips) == 15


@pytest.mark.parametrize("name", ["=1+1.wav", "a\tb.wav", "-1.wav", " dog.wav", os.fsdecode(b"caf\xe9.wav")])
def test_a_selection_table_of_predict_names_its_recording_and_its_classes_again(tmp_path: Path, name: str) -> None:
    recording = write_steps(tmp_path / name, 0.1, 0.2)
    heard = [Stretch(0.0, 1.0, "=dog", 0.9, ()), Stretch(1.0, 2.0, "cat", 0.9, ())]
    write_text(
        tmp_path / f"{name}.selections.txt",
        to_raven([LabelledRecording(recording, 2.0, tuple(heard))], band_hz=(0.0, 2_000.0)),
    )
    clips, spans = annotations_beside([recording], tmp_path)
    assert [(clip.path, clip.category) for clip in clips] == [(recording, "=dog"), (recording, "cat")]
    assert spans == [(0.0, 1.0), (1.0, 2.0)]
