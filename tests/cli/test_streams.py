"""Standard streams that are closed, or whose reader has gone."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

COMMAND = f"{sys.executable} -m auricle"


def run(command: str) -> tuple[int, str, str]:
    words = ["bash", "-o", "pipefail", "-c", command]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("config cnn | true", 0),  # printed by Rich, which has an answer of its own to a broken pipe
        ("--help | true", 0),
        ("data list <&- >&- 2>&-", 0),
        ("study nosuch 2>&-", 2),
        ("study nosuch 2>&1 | true", 2),
    ],
)
def test_a_stream_that_is_closed_or_unread_changes_no_exit_code_and_nothing_else_gets_its_messages(words, code):
    assert run(f"{COMMAND} {words}") == (code, "", "")


def test_output_that_cannot_be_written_is_exit_code_5():
    assert run(f"{COMMAND} --help >/dev/full") == (5, "", "auricle: [Errno 28] No space left on device\n")


def test_a_pipe_of_our_own_that_breaks_is_a_failure(auricle, monkeypatch):
    def broken(*whatever: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("auricle.predict.batch.list_recordings", broken)
    answer = auricle("predict", "nowhere", "x.wav")
    assert answer.code == 5
    assert "Broken pipe" in answer.err


def test_json_stays_json_where_the_encoding_of_the_output_lacks_a_letter(tmp_path):
    for name in ("🐶", "käuzchen"):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "1.wav", np.zeros(1_600), 16_000)
    code, out, _ = run(f"PYTHONIOENCODING=ascii {COMMAND} check --json {tmp_path}")
    assert code == 3  # too few clips for folds
    assert out.isascii()
    assert "🐶" in str(json.loads(out))
