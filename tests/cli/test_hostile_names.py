"""Names of files and classes that would obey nobody: nothing raw is printed, and outputs name the same file."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

NAMES = (b"\x1b[31mred\x1b]0;x\x07.wav", b"two\nlines.wav", "\u202egnp.wav".encode(), b"=cmd|calc.wav", b"caf\xe9.wav")
RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\udc80-\udcff]")


def write_sound(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        noise = np.random.default_rng(zlib.crc32(os.fsencode(path))).standard_normal(8_000) * 0.1
        soundfile.write(file, noise, 4_000, format="WAV")


@pytest.fixture
def night(tmp_path: Path) -> list[Path]:
    paths = [Path("night", os.fsdecode(name)) for name in NAMES]
    for path in paths:
        write_sound(path)
    return sorted(paths)


def test_a_table_shows_every_name_and_no_raw_mark(auricle, bundle, night):
    answer = auricle("predict", bundle, "night", "--whole", "--threshold", "0")
    assert (answer.code, answer.err) == (0, "")
    assert not RAW.search(answer.out)
    assert len(answer.out.splitlines()) == 3 * len(NAMES) - 1
    assert "night/\\x1b[31mred\\x1b]0;x\\x07.wav" in answer.out
    assert "night/two\\nlines.wav" in answer.out
    assert "night/caf\\udce9.wav" in answer.out


@pytest.mark.parametrize("to_file", [True, False])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "raven"])
def test_outputs_name_the_same_files_and_hold_no_formula(bundle, night, kind, to_file, capfdbinary):
    out = ("--out", "out") if to_file else ()
    from auricle.cli import main

    assert main(("predict", bundle, "night", "--whole", "--threshold", "0", "-q", "--format", kind, *out)) == 0
    content = Path("out").read_bytes() if to_file else capfdbinary.readouterr().out
    text = content.decode("utf-8", "surrogateescape")
    if kind == "jsonl":
        assert not RAW.search(content.decode())
        names = [json.loads(line)["file"] for line in text.splitlines()]
    elif kind == "csv":
        names = [row["file"] for row in csv.DictReader(io.StringIO(text, newline=""))]
    else:
        rows = [line.split("\t") for line in text.split("\n")[:-1]]
        assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
        assert [row[rows[0].index("Begin Path")] for row in rows[1:]] == [
            str(path.absolute()).replace("\n", " ") for path in night
        ]
        return
    assert not any(name.startswith("=") for name in names)
    assert [Path(name) for name in names] == night


def test_with_each_every_name_gets_a_file_of_its_own(auricle, bundle, night):
    answer = auricle("predict", bundle, "night", "--each", "--out", "o", "--format", "jsonl", "--whole")
    assert answer.code == 0
    assert sorted(Path("o").iterdir()) == [Path("o", f"{path.name}.jsonl") for path in night]


def test_refusals_name_a_file_in_one_line_without_raw_marks(auricle, bundle, night):
    for path in night:
        path.write_bytes(b"no sound")
    answer = auricle("predict", bundle, "night", "night/\x1b[2Jgone\n.wav")
    assert answer.code == 3
    assert not RAW.search(answer.err)
    assert len(answer.err.splitlines()) == len(NAMES) + 2
    assert "auricle: night/\\x1b[2Jgone\\n.wav: " in answer.err


def test_a_usage_error_and_a_traceback_show_no_raw_mark(auricle, monkeypatch):
    assert not RAW.search(auricle("\x1b[2J\nno-command").err)
    monkeypatch.setenv("AURICLE_DEBUG", "1")
    answer = auricle("status", "\x1b[2J")
    assert "Traceback" in answer.err
    assert not RAW.search(answer.err)


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_check_shows_names_of_files_and_classes_without_raw_marks(auricle, words):
    for name in ("\x1b[31mdog", "\u202ecat", "=cmd|calc"):
        for number in range(4):
            write_sound(Path("sounds", name, f"{number}\n.wav"))
    Path("sounds", "=cmd|calc", "0\n.wav").write_bytes(b"no sound")
    answer = auricle("check", "sounds", "--fix", "new.csv", *words)
    assert answer.code == 3
    assert not RAW.search(answer.out + answer.err)
    assert "\\x1b[31mdog" in answer.out or "\\u001b[31mdog" in answer.out
    again = auricle("check", "new.csv", "--json")
    assert set(json.loads(again.out)["counts"]) == {"\x1b[31mdog", "\u202ecat", "=cmd|calc"}


def test_on_a_terminal_a_csv_has_no_raw_marks_either(bundle, night):
    ours, theirs = pty.openpty()
    words = ("predict", bundle, "night", "--whole", "--format", "csv")
    subprocess.run([sys.executable, "-m", "auricle", *words], stdout=theirs, stderr=subprocess.DEVNULL, check=True)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65_536):
            shown += part
    except OSError:  # Linux: nobody has the other end open
        pass
    os.close(ours)
    text = shown.decode().replace("\r\n", "\n")
    assert not RAW.search(text)
    assert len(text.splitlines()) == 1 + len(NAMES)
