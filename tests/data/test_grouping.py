from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auricle.data.datasets import load_manifest
from auricle.data.folds import make_splits
from auricle.data.grouping import NamePattern, grouped_by_name, parts_of_names, pattern_in_names
from auricle.data.manifest import Clip, Manifest, split_groups
from auricle.errors import RefusedError, UsageError

WriteSound = Callable[..., Path]


@pytest.mark.parametrize(
    ("pattern", "name", "taken"),
    [
        ("{fold}-{source}-*", "1-100032-A-0.ogg", {"fold": "1", "source": "100032"}),
        ("*_{speaker}.wav", "night_anna.wav", {"speaker": "anna"}),
        ("*_{speaker}.wav", "a_b_c.wav", {"speaker": "b_c"}),
        ("{site}_*", "forêt 🐦_1.wav", {"site": "forêt 🐦"}),
        ("{source}", "a.wav", {"source": "a.wav"}),
        ("rec-{day}-{mic}.wav", "rec-3-left.wav", {"day": "3", "mic": "left"}),
        ("{a}-*.wav", "x-.wav", {"a": "x"}),
        ("{a}-*.wav", "x-1.flac", None),
        ("{a}-{b}", "-b", None),
        ("{a}-{b}", "ab", None),
        ("x{a}", "ya", None),
        ("{site}_*", "abc", None),
    ],
)
def test_a_pattern_takes_as_little_as_it_can_from_left_to_right(pattern: str, name: str, taken: dict | None) -> None:
    assert NamePattern.parse(pattern).match(name) == taken


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("{fold}-*", "needs a {field} for the group"),
        ("{}-*", "letters, digits and _"),
        ("{a b}", "letters, digits and _"),
        ("{a", "needs a {field}"),
        ("{a}{", "letters, digits and _"),
        ("{a}-{a}", "has a field twice"),
        ("{a}{b}", "text between two fields"),
        ("{a}*", "text between two fields"),
    ],
)
def test_a_pattern_that_means_nothing_is_refused_with_an_example(pattern: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        NamePattern.parse(pattern)
    assert words in str(caught.value)
    assert "{fold}-{source}-*" in str(caught.value)


@given(fields=st.lists(st.text("abc", min_size=1, max_size=5), min_size=1, max_size=6))
def test_a_name_made_from_a_pattern_is_taken_apart_again(fields: list[str]) -> None:
    pattern = "-".join(f"{{f{place}}}" for place in range(len(fields)))
    assert NamePattern.parse(pattern).match("-".join(fields)) == {f"f{n}": field for n, field in enumerate(fields)}


@pytest.fixture
def named_sounds(tmp_path: Path, write_sound: WriteSound) -> Path:
    """Two classes; names say fold and source; two takes of each source."""
    for category in ("cat", "dog"):
        for source in range(10):
            for take in "AB":
                pitch_hz = 300 + 50 * source + 300 * (category == "dog")
                write_sound(tmp_path / "sounds" / category / f"{source % 5 + 1}-{source}-{take}.wav", pitch_hz=pitch_hz)
    return tmp_path / "sounds"


def test_a_pattern_gives_groups_and_folds_to_a_folder(named_sounds: Path) -> None:
    manifest = load_manifest(str(named_sounds), group_by="{fold}-{source}-*")
    assert manifest.grouping == "the names, by the pattern {fold}-{source}-*"
    assert {(clip.name, clip.fold, clip.group) for clip in manifest.clips} >= {("cat/3-7-A.wav", 3, "7")}
    assert len(set(manifest.groups)) == 10
    assert manifest.notes[-1] == "Groups are taken from the names, by the pattern {fold}-{source}-*: 10 groups."
    assert not any(split.leaky for split in make_splits(manifest, "k-fold"))


def test_groups_without_folds_get_folds_that_keep_them_whole(named_sounds: Path) -> None:
    manifest = load_manifest(str(named_sounds), group_by="*-{source}-*")
    assert split_groups(manifest) == {}
    assert sorted(set(manifest.folds.tolist())) == [1, 2, 3, 4, 5]
    assert "keep groups together" in manifest.notes[-1]


def test_a_pattern_with_a_slash_is_held_against_the_whole_name(named_sounds: Path) -> None:
    manifest = load_manifest(str(named_sounds), group_by="{category}/*-{source}-*")
    assert len(set(manifest.groups)) == 20
    assert "cat-7" in manifest.groups


@pytest.mark.parametrize("pattern", ["*_{class}_{source}", "*_{class}_{source}.wav", "*/*_{class}_{source}"])
def test_the_suffix_of_a_recording_is_no_part_of_its_class_or_source(pattern: str) -> None:
    names = [f"x/1_{category}_rex.wav" for category in ("cat", "dog")]
    grouped = grouped_by_name(named(names, ["", ""]), NamePattern.parse(pattern))
    assert [(clip.category, clip.group) for clip in grouped.clips] == [("cat", "rex"), ("dog", "rex")]


def test_recordings_of_one_source_in_two_formats_are_one_group() -> None:
    names = ["1_rex.wav", "2_rex.FLAC", "3_rex.2"]
    assert grouped_by_name(named(names, [""] * 3), NamePattern.parse("*_{source}")).groups == ("rex", "rex", "rex.2")


def test_names_that_do_not_fit_are_counted_and_the_first_is_named(named_sounds: Path) -> None:
    (named_sounds / "cat" / "1-0-A.wav").rename(named_sounds / "cat" / "other.wav")
    with pytest.raises(
        RefusedError, match=r"1 of 40 names do not match .*, first 'cat/other\.wav'; rename them or change"
    ):
        load_manifest(str(named_sounds), group_by="{fold}-{source}-*")
    (named_sounds / "cat" / "other.wav").rename(named_sounds / "cat" / "one-0-A.wav")
    with pytest.raises(RefusedError, match=r"\{fold\} in 'cat/one-0-A\.wav' is 'one', not a whole number"):
        load_manifest(str(named_sounds), group_by="{fold}-{source}-*")


def test_any_column_of_a_table_may_give_the_groups(named_sounds: Path) -> None:
    table = named_sounds / "clips.csv"
    rows = [
        f"{path.relative_to(named_sounds).as_posix()},{path.parent.name},{path.name.split('-')[1]}\n"
        for path in sorted(named_sounds.glob("*/*.wav"))
    ]
    table.write_text("filename,category,twin of\n" + "".join(rows))
    assert load_manifest(str(table)).grouping is None
    manifest = load_manifest(str(table), group_by="twin of")
    assert (manifest.grouping, len(set(manifest.groups))) == ("the column twin of", 10)
    assert split_groups(manifest) == {}
    with pytest.raises(RefusedError, match="no column site to group by; its columns are filename, category, twin of"):
        load_manifest(str(table), group_by="site")
    with pytest.raises(UsageError, match="a folder has no columns; use a pattern such as"):
        load_manifest(str(named_sounds), group_by="site")


def test_a_named_dataset_may_be_grouped_otherwise() -> None:
    assert load_manifest("toy").grouping == "the column src_file"
    assert set(load_manifest("toy", group_by="take").groups) == {"A", "B"}
    with pytest.raises(RefusedError, match="no column speaker"):
        load_manifest("toy", group_by="speaker")


def test_split_groups_are_refused_unless_allowed_and_then_only_what_leaks_is_leaky(
    make_manifest: Callable[..., Manifest],
) -> None:
    rows = [(category, fold, f"{category}{fold}{n}") for category in "ab" for fold in range(1, 6) for n in range(2)]
    manifest = make_manifest(*rows, ("a", 3, "torn"), ("a", 4, "torn"))
    with pytest.raises(RefusedError, match=r"group 'torn' is in folds 3 and 4; .*--allow-split-groups"):
        make_splits(manifest, "k-fold")
    leaky = {split.fold: split.leaky for split in make_splits(manifest, "k-fold", allow_split_groups=True)}
    assert leaky == {2: False, 3: True, 4: True, 5: False}
    (plain,) = make_splits(manifest, "test-split", allow_split_groups=True)
    assert not plain.leaky  # both of its clips train


def test_made_folds_are_more_even_than_chance_whatever_the_groups() -> None:
    from auricle.data.folds import assign_folds

    rng = np.random.default_rng(0)
    labels, groups = [], []
    while len(labels) < 200:
        size = int(rng.integers(1, 9))
        labels += [int(rng.integers(4))] * size
        groups += [f"{len(groups)}"] * size
    folds = assign_folds(np.array(labels), groups, 5, seed=0)
    by_chance = {group: int(rng.integers(1, 6)) for group in set(groups)}
    assert unevenness(labels, folds.tolist()) < 0.6 * unevenness(labels, [by_chance[group] for group in groups])


def unevenness(labels: list[int], folds: list[int]) -> float:
    """The largest surplus of clips of a class in a fold."""
    counts = np.zeros((4, 6))
    np.add.at(counts, (labels, folds), 1)
    return float((counts[:, 1:].max(axis=1) - counts[:, 1:].mean(axis=1)).max())


def test_grouping_changes_nothing_else(make_manifest: Callable[..., Manifest]) -> None:
    from auricle.data.grouping import grouped_by_name

    manifest = replace(make_manifest(("a", 1, "x"), ("b", 2, "y")), notes=("kept",))
    grouped = grouped_by_name(manifest, NamePattern.parse("{n}.wav"))
    assert grouped.clips[0] == Clip(manifest.clips[0].path, "0.wav", "a", 1, "0")
    assert (grouped.notes, grouped.source, grouped.clip_s) == (("kept",), manifest.source, manifest.clip_s)


def named(names: list[str], categories: list[str]) -> Manifest:
    clips = (Clip(Path(name), name, category, 1, name) for name, category in zip(names, categories, strict=True))
    return Manifest("", tuple(clips), 1.0)


@pytest.mark.parametrize(
    ("names", "categories", "pattern", "num_sources"),
    [
        ([f"{digit}_{who}_{take}.wav" for digit in "01" for who in ("ann", "bob") for take in range(5)],
         ["0"] * 10 + ["1"] * 10, "*_{source}_*", 2),
        ([f"patient{number % 3:02}-cough-{number}.wav" for number in range(30)], ["a", "b"] * 15, "{source}-*", 3),
        ([f"site {number % 4}_rec{number // 8}_seg{number}.wav" for number in range(40)], ["a", "b"] * 20,
         "* {source1}_{source2}_*", 20),
        ([f"{kind}/{number:03}.wav" for kind in ("cat", "dog") for number in range(9)], ["cat"] * 9 + ["dog"] * 9,
         None, 0),
        ([f"cat_{number:03}.wav" for number in range(9)] + [f"dog_{number:03}.wav" for number in range(9)],
         ["cat"] * 9 + ["dog"] * 9, None, 0),
        ([f"{number}.wav" for number in range(9)], ["cat"] * 9, None, 0),
        ([f"unique{number}-of-its-kind-{number}.wav" for number in range(9)], ["cat"] * 9, None, 0),
        ([], [], None, 0),
    ],
)  # fmt: skip
def test_names_that_look_like_sources_give_a_pattern_that_groups_them(names, categories, pattern, num_sources):
    hint = pattern_in_names(named(names, categories))
    assert (hint.pattern if hint else None) == pattern
    if hint:
        assert hint.num_sources == num_sources
        assert len(set(grouped_by_name(named(names, categories), NamePattern.parse(pattern)).groups)) == num_sources


def test_a_flat_folder_takes_its_classes_and_groups_from_names(tmp_path: Path, write_sound: WriteSound) -> None:
    for digit in "012":
        for who in ("ann", "bob", "cyd", "dan", "eve"):
            for take in range(2):
                write_sound(tmp_path / "flat" / f"{digit}_{who}_{take}.wav", duration_s=0.1)
    with pytest.raises(RefusedError, match=r"--label '\{class\}_\{source\}_\*'"):
        load_manifest(str(tmp_path / "flat"))
    manifest = load_manifest(str(tmp_path / "flat"), group_by="{class}_{who}_*")
    assert manifest.categories == ("0", "1", "2")
    assert set(manifest.groups) == {"ann", "bob", "cyd", "dan", "eve"}
    assert not split_groups(manifest)
    alone = load_manifest(str(tmp_path / "flat"), group_by="{class}_*")
    assert (alone.categories, alone.grouping, len(set(alone.groups))) == (("0", "1", "2"), None, 30)


def test_names_that_only_count_give_no_pattern() -> None:
    assert "--label" not in parts_of_names([f"rec_{take:03d}.wav" for take in range(20)])
