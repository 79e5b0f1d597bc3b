import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import tiny_cells


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """Three recordings and what is none."""
    folder = tmp_path / "night"
    (folder / "late").mkdir(parents=True)
    for name in ("20240131_220000.WAV", "20240131_230000.WAV", "late/dog.wav"):
        soundfile.write(folder / name, np.random.default_rng(len(name)).standard_normal(8_000) * 0.1, 4_000)
    (folder / "notes.txt").write_text("no sound")
    return folder


def test_one_file_gives_lines_with_time_label_and_probability(auricle, bundle, night):
    answer = auricle("predict", bundle, "night/late/dog.wav", "--threshold", "0")
    assert answer.code == 0
    assert answer.err == ""
    assert answer.out.splitlines()[0].startswith("  0:00.0 – ")
    assert answer.out.rstrip().endswith("%")


def test_a_folder_goes_into_one_table_with_clock_times(auricle, bundle, night):
    answer = auricle("predict", bundle, "night", "--out", "night.csv", "--whole")
    assert answer.code == 0
    rows = Path("night.csv").read_text().splitlines()
    assert len(rows) == 4
    assert rows[1].startswith("night/20240131_220000.WAV,0.000,2.000,2024-01-31T22:00:00.000,")
    assert not list(Path().glob(".night*"))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("csv", "dog.wav.csv"),
        ("jsonl", "dog.wav.jsonl"),
        ("audacity", "dog.wav.txt"),
        ("raven", "dog.wav.selections.txt"),
    ],
)
def test_each_recording_gets_a_file_of_its_own(auricle, bundle, night, kind, name):
    assert auricle("predict", bundle, "night", "--each", "--out", "labels", "--format", kind).code == 0
    assert (Path("labels/late") / name).exists()
    assert len([path for path in Path("labels").rglob("*") if path.is_file()]) == 3


def test_json_is_a_line_for_each_stretch_and_no_other_format(auricle, bundle, night):
    lines = auricle("predict", bundle, "night", "--json").out
    assert lines == auricle("predict", bundle, "night", "--format", "jsonl").out
    assert all(Path(json.loads(line)["file"]).is_file() for line in lines.splitlines())
    assert (
        "--json means --format jsonl, not csv" in auricle("predict", bundle, "night", "--json", "--format", "csv").err
    )


def test_a_broken_file_is_named_and_the_rest_goes_on(auricle, bundle, night):
    (night / "broken.wav").write_text("this is no sound")
    (night / "empty.wav").touch()
    soundfile.write(night / "silent.wav", np.zeros(4_000), 4_000)
    answer = auricle("predict", bundle, "night", "--out", "x.csv")
    assert answer.code == 3
    assert len(Path("x.csv").read_text().splitlines()) > 3
    for name, reason in (("broken", "decoded"), ("empty", "empty"), ("silent", "silent")):
        assert any(f"{name}.wav" in line and reason in line for line in answer.err.splitlines())
    assert "3 of 6 recordings processed, 3 could not be read" in answer.err


def test_a_recording_that_lacks_its_end_is_heard_as_far_as_it_goes_and_named(auricle, bundle, night):
    path = night / "late" / "dog.wav"
    path.write_bytes(path.read_bytes()[:-2_000])
    for _ in range(2):
        answer = auricle("predict", bundle, str(path), "--out", "x.csv", "--threshold", "0")
        assert answer.code == 0
        assert f"auricle: {path} is truncated; processed up to where it ends: " in answer.err
        assert float(Path("x.csv").read_text().splitlines()[-1].split(",")[2]) == pytest.approx(1.75)


@pytest.mark.parametrize("bad", ["missing.wav", "empty", "night/unplugged"])
def test_what_is_missing_is_exit_code_3_and_the_rest_is_heard_and_written(auricle, bundle, night, bad):
    Path("empty").mkdir()
    Path("night/unplugged").symlink_to("/nowhere/at/all")
    answer = auricle("predict", bundle, "night/late", bad, *(["night"] if "/" in bad else []), "--out", "x.csv", "-q")
    assert answer.code == 3
    assert answer.err.startswith(f"auricle: {bad}: ")
    assert "dog.wav" in Path("x.csv").read_text()


def test_recordings_of_one_name_have_outputs_of_their_own_and_a_long_name_does_not_end_the_run(auricle, bundle, night):
    for folder in ("siteA", "siteB"):
        Path(folder).mkdir()
        shutil.copy(night / "late" / "dog.wav", folder)
    shutil.copy(night / "late" / "dog.wav", Path("siteB") / f"{'x' * 244}.wav")
    answer = auricle("predict", bundle, "siteA", "siteB", "--each", "--out", "o", "--format", "raven")
    assert (answer.code, answer.err) == (0, "3 of 3 recordings processed\n")
    assert len([path for path in Path("o").rglob("*") if path.is_file()]) == 3
    assert {path.name for path in Path("o").iterdir()} == {"siteA", "siteB"}


def test_a_refused_recording_in_the_middle_moves_no_time_in_a_raven_table(auricle, bundle, night):
    words = ("predict", bundle, "night", "--format", "raven", "--whole", "--threshold", "0")
    begins = [line.split("\t")[3] for line in auricle(*words).out.splitlines()[1:]]
    assert begins == ["0.000000", "2.000000", "4.000000"]
    soundfile.write(night / "20240131_223000.wav", np.zeros(12_000), 4_000)
    (night / "20240131_224000.wav").touch()
    answer = auricle(*words)
    assert [line.split("\t")[3] for line in answer.out.splitlines()[1:]] == ["0.000000", "5.000000", "7.000000"]
    assert "20240131_224000.wav counts as 0 s in the table" in answer.err
    (night / "20240131_225000.m4a").write_text("this is no sound")
    answer = auricle(*words)
    assert "Begin Time" not in answer.out
    assert "20240131_225000.m4a is unknown, so the table has no Begin Time" in answer.err


def test_nothing_readable_is_exit_code_3(auricle, bundle, night):
    (night / "broken.wav").write_text("this is no sound")
    for words in (["night/broken.wav"], ["missing.wav"], ["night/broken.wav", "missing.wav"]):
        answer = auricle("predict", bundle, *words)
        assert (answer.code, answer.out) == (3, "")
        assert words[0] in answer.err


def test_a_stopped_run_goes_on_and_a_changed_file_is_heard_again(auricle, bundle, night, monkeypatch):
    from auricle.predict import batch

    heard, real = [], batch.predict_windows

    def counting(classifier, path, **options):
        if len(heard) == 2 and "first" not in done:
            done.add("first")
            raise KeyboardInterrupt
        heard.append(path.name)
        return real(classifier, path, **options)

    done: set[str] = set()
    monkeypatch.setattr(batch, "predict_windows", counting)
    words = ("predict", bundle, "night", "--out", "x.csv", "--whole")
    assert auricle(*words).code != 0
    assert not Path("x.csv").exists()
    assert heard == ["20240131_220000.WAV", "20240131_230000.WAV"]
    soundfile.write(night / "20240131_230000.WAV", np.random.default_rng(5).standard_normal(4_000) * 0.1, 4_000)
    answer = auricle(*words)
    assert answer.code == 0
    assert "resuming: 2 of 3" in answer.err
    assert heard[2:] == ["20240131_230000.WAV", "dog.wav"]
    assert len(Path("x.csv").read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["night", "--format", "cvs"], "did you mean 'csv'"),
        (["night", "--each"], "--out DIR"),
        (["night", "--out", "x.csv", "--format", "table"], "table is for the terminal"),
        (["night", "--format", "audacity"], "--each"),
        (["night", "--out", "night"], "is a folder"),
        (["night", "--threshold", "2"], "threshold"),
        (["night", "--hop", "0"], "hop"),
        (["night", "--hop", "inf"], "hop"),
        (["night", "--whole", "--merge", "1"], "--merge has no effect"),
    ],
)
def test_words_that_do_not_fit_are_exit_code_2(auricle, bundle, night, words, said):
    answer = auricle("predict", bundle, *words)
    assert answer.code == 2
    assert said in answer.err


def test_the_output_replaces_no_recording_under_any_name(auricle, bundle, night):
    recording = night / "late/dog.wav"
    before = recording.read_bytes()
    Path("link").symlink_to(recording)
    for out in (str(recording), "link"):
        for source in ("night/late/dog.wav", "night"):
            answer = auricle("predict", bundle, source, "--format", "csv", "--out", out)
            assert (answer.code, recording.read_bytes() == before) == (2, True)
            assert "--out would replace it" in answer.err


def test_an_output_to_a_device_is_refused_before_the_work(auricle, bundle, night):
    os.mkfifo("pipe")
    answer = auricle("predict", bundle, "night", "--out", "pipe")
    assert answer.code == 2
    assert "pipe is a device or a pipe, and --out writes a file; name a file" in answer.err
    assert Path("pipe").is_fifo()


def test_a_folder_without_sounds_is_refused(auricle, bundle, tmp_path):
    (tmp_path / "nothing").mkdir()
    answer = auricle("predict", bundle, "nothing")
    assert answer.code == 3
    assert "no recordings" in answer.err


def test_what_is_no_bundle_is_exit_code_3(auricle, night):
    for folder in ("night", "nowhere", "night/notes.txt"):
        answer = auricle("predict", folder, "night")
        assert answer.code == 3
        assert len(answer.err.splitlines()) == 1


def test_listening_without_a_device_is_exit_code_5_and_says_what_to_install(auricle, bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    answer = auricle("listen", bundle)
    assert answer.code == 5
    assert "pip install 'auricle[listen]'" in answer.err
    assert "listening" not in answer.err


def test_export_prints_where_the_bundle_is_and_how_large(auricle, tmp_path):
    cell = tiny_cells.write_cell(tmp_path / "study", encoder=False)
    answer = auricle("export", str(cell), "--to", "out")
    assert answer.code == 0
    assert answer.out.startswith("out  ")
    assert "agree" in answer.out
    assert Path("out/model.onnx").exists()
    assert auricle("export", "nowhere", "--to", "out").code == 3


def test_export_of_a_bundle_to_the_web_prints_where_the_page_is_and_replaces_only_a_page(auricle, bundle):
    answer = auricle("export", bundle, "--web", "--to", "page", "--json")
    assert answer.code == 0
    assert json.loads(answer.out)["page"] == str(Path("page/index.html"))
    assert {path.name for path in Path("page").iterdir()} == {"index.html", "licences.txt"}
    assert auricle("export", bundle, "--web", "--to", "page").out.startswith("page/index.html  ")
    assert auricle("export", bundle, "--web", "--to", bundle).code == 3


@pytest.mark.parametrize("words", [("--out", "o/x.csv"), ("--out", "o", "--each")])
def test_a_run_that_was_killed_leaves_no_parts_once_another_has_ended(auricle, bundle, night, words):
    program = (
        "import os, signal; os.fsync = lambda number: os.kill(os.getpid(), signal.SIGKILL)\n"
        "import sys; from auricle.cli import main; main(sys.argv[1:])"
    )
    killed = subprocess.run([sys.executable, "-c", program, "predict", bundle, "night", *words], check=False)
    assert killed.returncode == -signal.SIGKILL
    kept = Path("o/.notes.part")
    kept.touch()
    assert list(Path("o").rglob(".*-*.part"))
    assert auricle("predict", bundle, "night", *words).code == 0
    assert list(Path("o").rglob(".*")) == [kept]
