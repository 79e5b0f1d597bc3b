import json
from pathlib import Path

import pytest
import yaml

SMALL = ("--models", "cnn", "--protocols", "k-fold", "--workers", "1", "--no-report", "--set", "training.epochs=2")


@pytest.fixture
def torn(sounds: Path) -> Path:
    """A table whose folds split a group of two clips."""
    rows = [
        f"{path.relative_to(sounds).as_posix()},{path.parent.name},{int(path.stem[-1]) + 1},{path.stem}\n"
        for path in sorted(sounds.glob("*/*.wav"))
    ]
    rows[2], rows[3] = (row.rsplit(",", 1)[0] + ",twin\n" for row in rows[2:4])
    table = sounds / "clips.csv"
    table.write_text("filename,category,fold,group\n" + "".join(rows))
    return table


def test_folds_that_split_a_group_are_refused_unless_told_otherwise_and_then_stamped(auricle, torn, training):
    words = ("study", "quickstart", "--data", str(torn), *SMALL)
    refused = auricle(*words)
    assert refused.code == 3
    assert len(refused.err.strip().splitlines()[-1:]) == 1
    assert "group 'twin' is in folds 3 and 4" in refused.err
    assert "--allow-split-groups" in refused.err
    allowed = auricle(*words, "--allow-split-groups")
    assert allowed.code == 0
    assert "k-fold, leaky" in allowed.out
    description = yaml.safe_load(Path("runs/quickstart/study.yaml").read_text())
    assert description["dataset"]["leaky_protocols"] == ["k-fold"]
    assert description["dataset"]["split_groups"] == 1
    assert description["study"]["allow_split_groups"] is True
    assert auricle(*words).code == 3  # every time


def test_groups_from_names_are_those_of_the_study(auricle, sounds, training):
    answer = auricle("study", "quickstart", "--data", "sounds", "--group-by", "{kind} {take}.wav", "--json", *SMALL)
    assert answer.code == 0
    assert len(json.loads(answer.out)["done"]) == 4
    description = yaml.safe_load(Path("runs/quickstart/study.yaml").read_text())
    assert description["study"]["group_by"] == "{kind} {take}.wav"
    assert description["dataset"]["grouping"] == "the names, by the pattern {kind} {take}.wav"
    assert description["dataset"]["num_groups"] == 10


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ("{fold}-*", 2, "needs a {field} for the group"),
        ("site", 2, "a folder has no columns; use a pattern"),
        ("{a}_{b}.wav", 3, "10 of 10 names do not match '{a}_{b}.wav', first 'cat/cat 0.wav'"),
    ],
)
def test_a_grouping_that_does_not_fit_is_one_line(auricle, sounds, training, given, code, words):
    answer = auricle("study", "quickstart", "--data", "sounds", "--group-by", given, "-q", *SMALL)
    assert answer.code == code
    assert len(answer.err.strip().splitlines()) == 1
    assert words in answer.err


def test_a_read_only_folder_is_no_hindrance(auricle, sounds, training):
    for path in (*sounds.rglob("*"), sounds):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        before = sorted(sounds.rglob("*"))
        assert auricle("study", "quickstart", "--data", "sounds", *SMALL).code == 0
        assert sorted(sounds.rglob("*")) == before
    finally:
        for path in (sounds, *sounds.rglob("*")):
            path.chmod(0o755)
