"""Standard streams that are closed, or whose reader has gone."""

import subprocess
import sys

import pytest

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
