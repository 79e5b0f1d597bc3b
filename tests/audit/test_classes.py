from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auricle.audit.classes import folder_findings, name_findings, plain, size_findings, spellings


def kinds(findings) -> list[str]:
    return [finding.kind for finding in findings]


@pytest.mark.parametrize(
    "counts",
    [{"Dog": 3, "dog": 9}, {"bebe": 5, "bébé": 9}, {"car horn": 1, "car_horn": 9}, {"SIREN": 9, "Siren": 2}],
)
def test_one_class_spelt_in_two_ways_is_named_the_frequent_way_first(counts: dict[str, int]) -> None:
    (finding,) = name_findings(counts)
    assert finding.kind == "label-spelling"
    assert finding.reason.endswith(" are used as different classes")
    assert spellings(counts) == [tuple(sorted(counts, key=lambda name: -counts[name]))]


@pytest.mark.parametrize(
    ("rare", "common"),
    [("chainsw", "chainsaw"), ("sneezign", "sneezing"), ("helicoptre", "helicopter"), ("siern", "siren")],
)
def test_a_rare_class_that_is_nearly_a_common_one_is_named(rare: str, common: str) -> None:
    assert kinds(name_findings({common: 40, rare: 2})) == ["label-typo"]


@pytest.mark.parametrize(
    "counts",
    [
        {"cat": 1, "bat": 40}, {"speaker_01": 1, "speaker_02": 40}, {"dog": 40, "rooster": 2},
        {"mouse_click": 40, "clock_tick": 40}, {"door_wood_knock": 40, "door_wood_creaks": 40},
        {"ม้า": 40, "มา": 2}, {"か": 40, "が": 2}, {"-.": 40, ".-": 2},
    ],
)  # fmt: skip
def test_different_classes_are_left_alone(counts: dict[str, int]) -> None:
    assert kinds(name_findings(counts)) == []


@given(st.dictionaries(st.text(max_size=12), st.integers(1, 50), max_size=8))
def test_any_names_can_be_compared(counts: dict[str, int]) -> None:
    list(name_findings(counts))
    assert all(len({plain(name) for name in names}) == 1 for names in spellings(counts))


def test_small_and_unequal_classes_are_named() -> None:
    assert kinds(size_findings({"dog": 40, "cat": 30}, 5)) == []
    assert kinds(size_findings({"dog": 40, "cat": 9}, 5)) == ["few-clips", "imbalance"]
    assert kinds(size_findings({"dog": 40, "cat": 0}, 0)) == ["tiny-class", "imbalance"]
    assert kinds(size_findings({"dog": 6, "cat": 6}, 10)) == ["tiny-class", "tiny-class"]
    assert kinds(size_findings({"dog": 6}, 5)) == ["few-classes"]


def test_folders_that_hide_recordings_or_hold_none_are_named(tmp_path: Path) -> None:
    for name in ("dog/a.wav", ".cat/deep/b.WAV", ".git/config", "notes/readme.txt", "__MACOSX/._a.wav"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "siren").mkdir()
    found = {finding.reason for finding in folder_findings(tmp_path, ["dog"])}
    assert found == {
        "'.cat' contains 1 recording that auricle does not read",
        "'notes' contains files, but no recordings",
        "'siren' is empty",
    }
