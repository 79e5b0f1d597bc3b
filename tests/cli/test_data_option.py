"""What `--data` means, and what a study of one's own recordings is called."""

import json
from pathlib import Path

import pytest
import yaml

from auricle.data.datasets import NUM_CLIPS
from auricle.study.configure import OWN_MODELS, find_data, name_of, own_study

SMALL = ("--models", "cnn", "--epochs", "2", "--workers", "1", "--no-report")
HEADER = "filename,fold,target,category,esc10,src_file,take\n"


def write_table(folder: Path, num_clips: int, num_esc10: int) -> Path:
    """Write a table in the layout of ESC-50, and no recordings."""
    rows = (f"{n}.wav,{n % 5 + 1},0,c{n % 10},{n < num_esc10},{n},A\n" for n in range(num_clips))
    (folder / "meta").mkdir(parents=True)
    (folder / "meta" / "esc50.csv").write_text(HEADER + "".join(rows))
    return folder


def test_a_folder_is_the_dataset_whose_clips_its_table_lists(tmp_path):
    esc10 = write_table(tmp_path / "a" / "esc10", 400, 400)
    esc50 = write_table(tmp_path / "b" / "ESC-50-master", 2000, 400)
    for folder in (esc10, esc10.parent):
        for own in ("esc10", "esc50", "toy", ""):
            assert find_data(str(folder), own) == ("esc10", folder)
    assert find_data(str(esc50), "esc10") == ("esc10", esc50)
    assert find_data(str(esc50.parent)) == ("esc50", esc50.parent)


def test_a_folder_in_the_layout_of_a_dataset_with_other_clips_is_a_person_s_own(tmp_path):
    mine = write_table(tmp_path / "esc10", 120, 120)
    assert find_data(str(mine), "esc10") == (str(mine), None)
    assert name_of(str(mine)) == "own-esc10"


def test_a_name_is_a_name_and_nothing_is_the_study_s_own():
    assert find_data("esc50", "esc10") == ("esc50", None)
    assert find_data(None, "esc10") == ("esc10", None)
    for nothing in ("no/such/folder", "~nobody-at-all/birds"):
        assert find_data(nothing, "esc10") == (nothing, None)
        assert name_of(nothing) == Path(nothing).name


def test_the_numbers_of_clips_are_those_that_the_datasets_are_said_to_have():
    from auricle.data.datasets import SOURCES

    assert all(SOURCES[name].startswith(f"{num:,} ") for name, num in NUM_CLIPS.items())


@pytest.mark.parametrize(("study", "name"), [("esc10", "sounds"), ("esc10-official", "sounds-official")])
def test_a_study_of_a_dataset_on_other_recordings_is_named_as_they_are(auricle, sounds, training, study, name):
    answer = auricle("study", study, "--data", "sounds", *SMALL)
    assert answer.code == 0
    assert f"the data are not esc10, so the study is named {name}" in answer.err
    text = Path(f"runs/{name}/study.yaml").read_text()
    assert "esc10" not in text.partition("command")[0].lower()
    assert "ESC-10" not in str(yaml.safe_load(text)["study"])


def test_recordings_without_a_study_make_one_of_their_name_with_both_architectures(auricle, sounds, training):
    Path("sounds").rename("My birds (2026)")
    answer = auricle("study", "--data", "My birds (2026)/", "--epochs", "2", "--workers", "1", "--no-report", "--json")
    assert answer.code == 0
    assert (
        "study My-birds-2026: cnn and transformer-h4 under test-split and official; choose others with --models"
        in answer.err
    )
    document = json.loads(answer.out)
    assert document["folder"] == "runs/My-birds-2026"
    assert {name.partition("-0")[0] for name in document["done"]} >= {"cnn/test-split-2", "transformer-h4/official-5"}


def test_a_dataset_without_a_study_is_its_study(auricle):
    answer = auricle("study", "--data", "esc10", "--models", "cnn", "--protocols", "k-fold,k-fold")
    assert answer.code == 3
    assert "study esc10: cnn under k-fold; choose others" in answer.err
    assert "auricle data get esc10 --yes" in answer.err
    assert "transformer-h4 under" not in answer.err


def test_the_record_of_a_search_on_other_recordings_is_named_as_they_are(auricle, sounds, training, monkeypatch):
    seen = []

    def run_search(config, folder, *_, **__):
        seen.append((config.name, config.data, config.about, str(folder)))
        raise KeyboardInterrupt

    monkeypatch.setattr("auricle.search.search.run_search", run_search)
    auricle("search", "wide", "--data", "sounds")
    assert seen == [("wide", "sounds", "", "runs/search-wide")]


def test_the_help_of_every_verb_says_the_same_of_data(auricle):
    texts = set()
    for verb in ("study", "train", "search", "export", "report", "diagnose", "check"):
        lines = auricle(verb, "--help").out.splitlines()
        first = next(n for n, line in enumerate(lines) if line.startswith("  --data NAME|DIR|CSV"))
        more = next(n for n in range(first + 1, len(lines)) if lines[n].startswith("  -"))
        texts.add(" ".join(" ".join(lines[first:more]).split()))
    assert len(texts) == 1


def test_recordings_that_were_moved_are_named_to_diagnose_and_export(auricle, sounds, training, monkeypatch):
    auricle("study", "--data", "sounds", *SMALL, "--protocols", "test-split", "-q")
    Path("sounds").rename("moved")
    cell = next(Path("runs/sounds/cells/cnn").iterdir())
    missing = auricle("diagnose", str(cell))
    assert missing.code == 2
    seen = []
    monkeypatch.setattr("auricle.training.diagnose.diagnose", lambda *_, **__: seen.append(1) or 1 / 0)
    auricle("diagnose", str(cell), "--data", "moved")
    assert seen
    monkeypatch.setattr("auricle.bundle.export.export_cell", lambda *_, **options: seen.append(options) or 1 / 0)
    auricle("export", str(cell), "--data", "moved", "--to", "out")
    assert (seen[-1]["source"], seen[-1]["root"]) == ("moved", None)


def test_a_folder_that_is_named_like_a_study_is_a_person_s_own(sounds):
    assert own_study(str(sounds.rename(sounds.with_name("reports")))).models == OWN_MODELS
