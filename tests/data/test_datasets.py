from collections.abc import Callable
from pathlib import Path

import pytest

from auricle.data.datasets import SOURCES, find_dataset, load_manifest
from auricle.errors import RefusedError, UsageError

WriteSound = Callable[..., Path]
HEADER = "filename,fold,target,category,esc10,src_file,take\n"


@pytest.fixture
def esc50_layout(tmp_path: Path, write_sound: WriteSound) -> Path:
    """Two classes in two folds, one clip each; `hen` is not in esc10."""
    folder = tmp_path / "data" / "ESC-50-master"
    rows = []
    for category, in_esc10 in (("dog", True), ("rain", True), ("hen", False)):
        for fold in (1, 2):
            name = f"{fold}-{category}.wav"
            write_sound(folder / "audio" / name)
            rows.append(f"{name},{fold},0,{category},{in_esc10},{category}{fold},A\n")
    (folder / "meta").mkdir()
    (folder / "meta" / "esc50.csv").write_text(HEADER + "".join(rows))
    return folder


@pytest.fixture(autouse=True)
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AURICLE_DATA", raising=False)


def test_a_named_dataset_is_found_in_the_folder_given_and_below_it(esc50_layout: Path) -> None:
    for root in (esc50_layout, esc50_layout.parent):
        manifest = load_manifest("esc50", root=root)
        assert (manifest.source, manifest.clip_s, len(manifest.clips)) == ("esc50", 5.0, 6)
        assert load_manifest("esc10", root=root).categories == ("dog", "rain")


def test_a_named_dataset_is_found_through_the_environment_then_in_the_cache(
    esc50_layout: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_dataset("esc10") is None
    monkeypatch.setenv("AURICLE_DATA", str(esc50_layout.parent))
    assert find_dataset("esc10") == esc50_layout
    monkeypatch.delenv("AURICLE_DATA")
    (cache / "datasets").mkdir(parents=True)
    esc50_layout.rename(cache / "datasets" / "esc50")
    assert find_dataset("esc50") == cache / "datasets" / "esc50"


def test_an_absent_dataset_is_refused_with_the_command_that_gets_it(tmp_path: Path) -> None:
    for name in ("esc10", "esc50", "urbansound8k"):
        with pytest.raises(RefusedError, match=f"'auricle data get {name} --yes'"):
            load_manifest(name, root=tmp_path)


@pytest.mark.parametrize("source", ["esc1O", "no/such/folder", "absent.csv", "", "~nobody-at-all/x", "a\0b"])
def test_a_misspelt_source_lists_the_valid_ones(source: str) -> None:
    with pytest.raises(
        UsageError, match="Available: esc10, esc50, urbansound8k, toy, a folder of class folders, a CSV file"
    ):
        load_manifest(source)


def test_a_file_that_is_no_csv_is_no_source(tmp_path: Path, write_sound: WriteSound) -> None:
    with pytest.raises(UsageError, match="Available: "):
        load_manifest(str(write_sound(tmp_path / "a.wav")))


def test_a_folder_of_class_folders_gets_folds_and_says_so(class_folders: Path) -> None:
    manifest = load_manifest(str(class_folders), seed=3)
    assert manifest.categories == ("bell", "cat", "dog")
    assert sorted(set(manifest.folds.tolist())) == [1, 2, 3, 4, 5]
    assert manifest.clip_s == 0.5
    assert manifest.notes == (
        "Clips are 0.5 s long: none is cut or padded (recordings are 0.50 to 0.50 s long); --clip-s sets another "
        "length.",
        "No groups are given, so each file is its own group: clips of one recording may be in both training "
        "and test set.",
        "Folds were made by auricle from seed 3: 5 stratified folds that keep groups together.",
    )
    assert load_manifest(str(class_folders), seed=3) == manifest


@pytest.mark.parametrize(
    ("longest_s", "clip_s"), [(0.1, 0.5), (0.54, 0.5), (0.6, 1.0), (1.0, 1.0), (4.97, 5.0), (12.0, 10.0)]
)
def test_the_length_is_the_longest_recordings_in_half_seconds_up_to_ten(
    class_folders: Path, write_sound: WriteSound, longest_s: float, clip_s: float
) -> None:
    for path in class_folders.glob("*/*.wav"):
        write_sound(path, duration_s=min(longest_s, 0.1))
    write_sound(class_folders / "dog" / "0.wav", duration_s=longest_s)
    manifest = load_manifest(str(class_folders))
    assert manifest.clip_s == clip_s
    assert ("1 of 15 are cut" in manifest.notes[0]) == (longest_s > 10)


def test_one_long_recording_pads_no_other(tmp_path: Path, write_sound: WriteSound) -> None:
    for number in range(40):
        write_sound(tmp_path / "set" / "ab"[number % 2] / f"{number}.wav", duration_s=8.0 if number == 7 else 1.0)
    manifest = load_manifest(str(tmp_path / "set"))
    assert manifest.clip_s == 1.0
    assert manifest.notes[0].startswith("Clips are 1 s long: 1 of 40 are cut (recordings are 1.00 to 8.00 s long)")
    longer = load_manifest(str(tmp_path / "set"), clip_s=2.0)
    assert longer.notes[0].startswith("Clips are 2 s long: 1 of 40 are cut and 39 of 40 are padded with silence")


def test_the_length_may_be_given(class_folders: Path, esc50_layout: Path) -> None:
    assert load_manifest(str(class_folders), clip_s=2.5).clip_s == 2.5
    assert load_manifest("esc50", root=esc50_layout, clip_s=2.5).clip_s == 2.5
    for clip_s in (0.0, -1.0, 1e9, float("nan")):
        with pytest.raises(UsageError, match="a clip length of"):
            load_manifest(str(class_folders), clip_s=clip_s)


def test_a_folder_in_a_published_layout_is_read_as_such(esc50_layout: Path) -> None:
    manifest = load_manifest(str(esc50_layout))
    assert (manifest.source, manifest.clip_s, manifest.notes) == (str(esc50_layout), 5.0, ())
    assert manifest.groups[0] == "dog1"


def test_a_csv_with_folds_and_groups_keeps_them(class_folders: Path) -> None:
    rows = [
        f"{path.relative_to(class_folders)},{path.parent.name},{int(path.stem) % 3 + 7},{path.stem}\n"
        for path in sorted(class_folders.glob("*/*.wav"))
    ]
    (class_folders / "clips.csv").write_text("filename,category,fold,group\n" + "".join(rows))
    manifest = load_manifest(str(class_folders / "clips.csv"))
    assert sorted(set(manifest.folds.tolist())) == [7, 8, 9]
    assert set(manifest.groups) == set("01234")
    assert len(manifest.notes) == 1  # the length


def test_a_csv_with_groups_and_no_folds_gets_folds_that_keep_them_whole(class_folders: Path) -> None:
    rows = [f"{p.relative_to(class_folders)},{p.parent.name},{p.stem}\n" for p in class_folders.glob("*/*.wav")]
    (class_folders / "clips.csv").write_text("filename,category,group\n" + "".join(rows))
    manifest = load_manifest(str(class_folders / "clips.csv"))
    assert len({(clip.group, clip.fold) for clip in manifest.clips}) == 5
    assert manifest.notes[-1].startswith("Folds were made by auricle from seed 0")
    assert not any("No groups" in note for note in manifest.notes)


def test_too_small_a_dataset_is_refused_in_one_sentence_with_the_fix(class_folders: Path) -> None:
    (class_folders / "dog" / "4.wav").unlink()
    with pytest.raises(RefusedError, match="class 'dog' has 4 clips, fewer than the 5 folds; add clips or leave"):
        load_manifest(str(class_folders))
    assert len(load_manifest(str(class_folders), num_folds=4).clips) == 14
    for path in (class_folders / "dog", class_folders / "cat"):
        path.rename(path.with_name(f".{path.name}"))
    with pytest.raises(RefusedError, match="contains only one class, 'bell'"):
        load_manifest(str(class_folders))


def test_a_csv_that_names_a_file_twice_or_none_is_refused(class_folders: Path) -> None:
    table = class_folders / "clips.csv"
    table.write_text("filename,category\n")
    with pytest.raises(RefusedError, match="contains no clips"):
        load_manifest(str(table))
    table.write_text("filename,category\ndog/0.wav,dog\ndog/0.wav,dog\ncat/0.wav,cat\n")
    with pytest.raises(RefusedError, match=r"lists 'dog/0\.wav' 2 times"):
        load_manifest(str(table))
    table.write_text("filename,category,fold\ndog/0.wav,dog,1\ncat/0.wav,cat,1\n")
    with pytest.raises(RefusedError, match="has only one fold"):
        load_manifest(str(table))


def test_an_unreadable_recording_does_not_stop_the_description(class_folders: Path) -> None:
    (class_folders / "dog" / "0.wav").write_text("broken")
    assert len(load_manifest(str(class_folders)).clips) == 15


def test_every_source_has_one_line_about_it() -> None:
    assert list(SOURCES) == ["esc10", "esc50", "urbansound8k", "toy"]
    assert all(about and "\n" not in about for about in SOURCES.values())
