"""Ctrl-C and SIGTERM, wherever a command is; every test starts a command in a process of its own."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from auricle.runs import StudyFolder
from waiting import is_gone

FAKES = str(Path(__file__).parents[1])
SMALL = ("study", "quickstart", "--data", "sounds", "--models", "cnn", "--protocols", "k-fold", "-v",
         "--device", "cpu", "--set", "training.epochs=2")  # fmt: skip
PROGRAM = """
    import sys, time, types
    sys.path.insert(0, {fakes!r})
    import fake_fits
    if __name__ == "__main__":  # no worker needs more
        for name, stand_in in (("training.fit", {{"fit_cell": fake_fits.{fit}}}), ("model.describe", vars(fake_fits))):
            module = sys.modules["auricle." + name] = types.ModuleType("auricle." + name)  # that does without PyTorch
            vars(module).update(stand_in, describe=fake_fits.layers)
        from auricle.cli import interrupts, main
        {more}
        sys.exit(main({words!r}))
"""
PATIENT = "interrupts.GRACE_S = 600"  # a busy machine may need longer to stop in order than a person has to wait
LONG = pytest.mark.long
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(sounds: Path, tmp_path: Path) -> Iterator[Start]:
    """Start a command whose training is a stand-in; what is left of it at the end is ended."""
    started: list[subprocess.Popen[str]] = []

    def start(fit: str, *words: str, more: str = "") -> subprocess.Popen[str]:
        script = tmp_path / "program.py"
        script.write_text(textwrap.dedent(PROGRAM).format(fakes=FAKES, fit=fit, more=more, words=[*SMALL, *words]))
        started.append(subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_for(process: subprocess.Popen[str], words: str) -> None:
    assert process.stderr
    for line in process.stderr:
        if re.search(words, line):
            return
    raise AssertionError(f"it ended without saying {words!r}")


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, err = process.communicate(timeout=300)
    return process.returncode, err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=LONG)])
def test_a_second_signal_ends_at_once_what_does_not_listen_to_the_first(start, number, code):
    process = start("does_not_listen", "--workers", "1", more=PATIENT)
    wait_for(process, "epoch 1/2")
    process.send_signal(number)
    wait_for(process, "epoch 2/2")  # it goes on
    process.send_signal(number)
    assert end(process)[0] == code


@LONG
def test_one_signal_is_enough_in_the_end(start):
    process = start("does_not_listen", "--workers", "1", more="interrupts.GRACE_S = 0.5")
    wait_for(process, "epoch 1/2")
    process.send_signal(signal.SIGINT)
    assert end(process)[0] == 130


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=LONG)])
def test_a_signal_leaves_what_is_there_and_no_worker_even_one_that_does_not_listen(start, tmp_path, number, code):
    process = start("never_ends", "--workers", "2", more=PATIENT)
    wait_for(process, "epoch 1/2")
    wait_for(process, "epoch 1/2")
    pause = threading.Event()
    while len(pids := [int(path.read_text()) for path in tmp_path.glob("runs/*/cells/*/*/pid")]) < 2:
        pause.wait(0.02)
    os.kill(pids[0], signal.SIGSTOP)
    process.send_signal(number)
    returned, err = end(process)
    assert returned == code
    assert all(map(is_gone, pids))
    assert "auricle: stopped; run the same command to resume from runs/quickstart" in err
    assert "Traceback" not in err
    histories = tmp_path.glob("runs/quickstart/cells/cnn/*/history.jsonl")
    assert [len(path.read_text().splitlines()) for path in histories] == [1, 1]


SLOW = {
    "decoding": (
        "auricle.data.cache.in_processes = lambda *_, **__: print('slow', file=sys.stderr) or time.sleep(600)"
    ),
    "the report": "auricle.report.build.to_pdf = lambda *_: print('slow', file=sys.stderr) or time.sleep(600)",
}


@pytest.mark.parametrize("stage", ["decoding", pytest.param("the report", marks=LONG)])
def test_whatever_takes_long_is_ended(start, tmp_path, stage):
    more = f"import auricle.data.cache, auricle.report.build; interrupts.GRACE_S = 0.5; {SLOW[stage]}"
    process = start("quick", "--workers", "1", more=more)
    wait_for(process, "slow")
    process.send_signal(signal.SIGINT)
    returned, err = end(process)
    assert returned == 130
    assert "Traceback" not in err
    assert len([cell for cell in StudyFolder(tmp_path / "runs/quickstart").cells() if cell.done]) in (0, 4)


@LONG
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_training_is_stopped_in_the_middle_of_an_epoch(sounds, tmp_path, workers, number, code):
    words = ["train", "tiny", "--data", "sounds", "--protocol", "k-fold", "--workers", workers, "-v",
             "--set", "training.epochs=100", "--set", "training.views=60"]  # fmt: skip
    program = f"import sys; from auricle.cli import interrupts, main; {PATIENT}; sys.exit(main({words!r}))"
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_for(process, "epoch 1/100")
    process.send_signal(number)
    returned, err = end(process)
    assert returned == code
    assert "auricle: stopped; run the same command to resume from runs/tiny" in err
    assert "Traceback" not in err
