import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile


@pytest.fixture
def noises(tmp_path: Path) -> Path:
    """Two classes of twelve noises each, one of them in two copies."""
    generator = np.random.default_rng(0)
    for category in ("cat", "dog"):
        for take in range(12):
            path = tmp_path / "sounds" / category / f"{category} {take}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, generator.normal(0, 0.1, 8_000), 8_000)
    (tmp_path / "sounds/dog/copy.wav").write_bytes((tmp_path / "sounds/dog/dog 3.wav").read_bytes())
    return tmp_path / "sounds"


def test_warnings_are_told_with_what_to_do_in_80_columns_and_exit_code_0(auricle, noises):
    answer = auricle("check", "sounds", "--workers", "1")
    assert answer == auricle("data", "check", "--data", "sounds", "--workers", "1")
    assert answer.code == 0
    assert answer.err == ""
    assert re.search(r"cat +12\n +dog +13\n|cat +12\ndog +13\n", answer.out)
    assert "25 clips; 25 can be decoded completely." in answer.out
    assert re.search(r"warning +the same samples twice +1\n +dog/copy.wav, dog/dog 3.wav", answer.out)
    assert "→ keep one copy (--fix does this)" in answer.out
    assert max(map(len, answer.out.splitlines())) <= 80


def test_errors_are_told_with_exit_code_3(auricle, noises):
    for n in range(5):
        (noises / "dog" / f"empty {n}.wav").touch()
    answer = auricle("check", "sounds", "--workers", "1")
    assert answer.code == 3
    assert re.search(r"error +empty file \(0 bytes\) +5\n( +dog/empty \d.wav: .*\n){3} +and 2 more\n", answer.out)
    assert answer.err.splitlines() == [
        "auricle: 5 findings must be fixed; --fix NEW.csv writes a table without the clips that can be left out"
    ]


def test_json_has_every_finding_with_its_path_and_nothing_else_is_printed(auricle, noises):
    (noises / "dog" / "empty.wav").touch()
    answer = auricle("check", "sounds", "--json", "--workers", "1")
    document = json.loads(answer.out)
    assert (document["clips"], document["whole"], document["errors"]) == (26, 25, 1)
    found = {finding["kind"]: finding for finding in document["findings"]}
    assert found["empty"]["severity"] == "error"
    (case,) = found["empty"]["cases"]
    assert case["clips"] == ["dog/empty.wav"]
    assert Path(case["paths"][0]).samefile(noises / "dog/empty.wav")


def test_a_mended_table_and_a_page_are_written(auricle, noises):
    (noises / "dog" / "empty.wav").touch()
    answer = auricle("check", "sounds", "--fix", "new.csv", "--html", "page.html", "--workers", "1")
    assert answer.code == 3
    done = "1 left out: empty file (0 bytes); 1 left out: an exact copy of another"
    assert f"new.csv lists 24 clips: {done}" in answer.err
    with Path("new.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    assert rows[0].keys() == {"filename", "category"}  # no groups are known
    page = Path("page.html").read_text()
    assert "dog/empty.wav" in page
    assert "<script" not in page
    again = auricle("check", "new.csv", "--workers", "1")
    assert again.code == 0


def test_a_table_is_not_written_over_and_nothing_is_decoded_before_that_is_said(auricle, noises, monkeypatch):
    monkeypatch.setattr("auricle.audit.audit.audit", lambda *_, **__: pytest.fail("it was decoded"))
    Path("old.csv").write_text("mine")
    answer = auricle("check", "sounds", "--fix", "old.csv")
    assert answer.code == 2
    assert "old.csv exists and is never overwritten" in answer.err
    assert Path("old.csv").read_text() == "mine"


def test_a_page_replaces_neither_the_table_nor_a_recording(auricle, noises):
    Path("table.csv").write_text("filename,category\n" + "".join(f"dog {n}.wav,dog\n" for n in range(12)))
    for source, page in (("table.csv", Path("table.csv")), ("sounds", noises / "dog/dog 1.wav")):
        before = page.read_bytes()
        answer = auricle("check", source, "--html", str(page))
        assert (answer.code, page.read_bytes() == before) == (2, True)
        assert "--html would replace it" in answer.err


def test_a_table_and_a_page_in_one_file_are_refused_before_anything_is_decoded(auricle, noises, monkeypatch):
    monkeypatch.setattr("auricle.audit.audit.audit", lambda *_, **__: pytest.fail("it was decoded"))
    answer = auricle("check", "sounds", "--fix", "new.csv", "--html", "./new.csv")
    assert answer.code == 2
    assert "--fix and --html would both write new.csv; name two files" in answer.err
    assert not Path("new.csv").exists()


def test_files_that_a_table_names_and_that_are_not_there_are_findings(auricle, noises):
    Path("table.csv").write_text("filename,category\nsounds/cat/cat 1.wav,cat\nsounds/gone.wav,dog\n")
    answer = auricle("check", "table.csv", "--workers", "1")
    assert answer.code == 3
    assert re.search(r"error +no such file +1\n +sounds/gone.wav: no such file\n", answer.out)


def test_names_that_move_the_cursor_are_shown_as_what_they_are(auricle, noises):
    (noises / "dog" / "a\x1b[2Jb\n.wav").touch()
    answer = auricle("check", "sounds", "--workers", "1")
    assert "\x1b" not in answer.out
    assert r"a\x1b[2Jb\n.wav" in answer.out


def test_groups_come_from_a_pattern_over_names(auricle, noises):
    (noises / "dog" / "dog 3b.wav").write_bytes((noises / "dog/dog 3.wav").read_bytes())
    answer = auricle("check", "sounds", "--group-by", "*/{group}.*", "--workers", "1")
    assert "no groups given" not in answer.out


def test_a_folder_of_a_user_that_does_not_exist_is_wrong_usage(auricle):
    answer = auricle("check", "~nobody-at-all/birds")
    assert answer.code == 2
    assert answer.err.startswith("auricle: no source '~nobody-at-all/birds'")


def test_two_different_sources_are_wrong_usage(auricle, noises):
    answer = auricle("check", "sounds", "--data", "toy")
    assert (answer.code, "different recordings" in answer.err) == (2, True)


@pytest.mark.parametrize("options", [[], ["--fix", "new.csv"]])
def test_what_fix_does_not_fix_is_not_left_to_it(auricle, noises, options):
    table = [["filename", "category"], *([f"sounds/cat/cat {n}.wav", "cat"] for n in range(12))]
    with Path("one.csv").open("w", newline="") as file:
        csv.writer(file).writerows(table)
    answer = auricle("check", "one.csv", "--workers", "1", *options)
    assert answer.code == 3
    assert answer.err.splitlines()[-1] == (
        "auricle: 1 finding must be fixed; --fix cannot fix it: see what is advised with each"
    )
