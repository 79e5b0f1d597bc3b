"""Whatever dies, every trial ends in a known state and no set is lost."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import numpy as np
import optuna
import pytest

from auricle.errors import RefusedError
from auricle.search import trials as book
from auricle.search.space import SpaceConfig, check_space
from auricle.search.storage import JournalLock, TrialStorage, open_storage, trials_in
from auricle.search.trials import Trials
from waiting import is_gone, wait_until

pytestmark = pytest.mark.long

HERE = Path(__file__).parent
PARAMETERS = {"training.learning_rate": {"low": 1e-4, "high": 1.0, "log": True}}


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def small_space(num_trials: int = 3, **changes):
    parameters = changes.pop("parameters", PARAMETERS)
    return check_space(SpaceConfig(name="small", models=("cnn",), trials=num_trials, parameters=parameters, **changes))


def opened(tmp_path: Path, owner: str = "here", *, shared: bool = False, clock: Clock | None = None, **space) -> Trials:
    storage = TrialStorage(str(tmp_path / "journal.log"), "small")
    return Trials(small_space(**space), storage, owner, shared=shared, clock=clock or Clock())


def raw_states(tmp_path: Path) -> list[str]:
    """Return the state of every trial in the journal, those given back too."""
    storage = TrialStorage(str(tmp_path / "journal.log"), "small")
    return [trial.state.name for trial in trials_in(open_storage(storage), storage).trials]


def finish(trials: Trials) -> None:
    while begun := trials.next():
        trials.end(begun, "done", loss=1.0, accuracy=0.5)


def test_a_trial_that_ran_when_its_search_died_is_failed_and_its_set_tried_again(tmp_path):
    before = opened(tmp_path)
    begun = before.next()
    assert begun is not None
    after = opened(tmp_path)
    assert raw_states(tmp_path) == ["FAIL", "WAITING"]
    again = after.next()
    assert again is not None
    assert again.values == begun.values
    assert (again.folder, again.tries) == (begun.folder, 1), "it goes on from the checkpoint of the first try"
    after.end(again, "done", loss=1.0, accuracy=0.5)
    finish(after)
    assert [entry["state"] for entry in after.entries()] == ["done"] * 3
    assert after.over()


def test_a_search_that_is_stopped_gives_back_what_it_trains(tmp_path):
    trials = opened(tmp_path)
    trials.next()
    trials.next()
    trials.stop()
    assert Counter(raw_states(tmp_path)) == {"FAIL": 2, "WAITING": 2}
    assert [entry["state"] for entry in trials.entries()] == ["waiting"] * 2


def test_giving_back_is_done_once_though_a_process_died_in_the_middle_of_it(tmp_path, monkeypatch):
    trials = opened(tmp_path)
    trials.next()
    with monkeypatch.context() as patched:
        patched.setattr(Trials, "_fail", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            trials.stop()
    assert raw_states(tmp_path) == ["RUNNING", "WAITING"]
    opened(tmp_path)
    assert raw_states(tmp_path) == ["FAIL", "WAITING"]


def test_a_set_whose_worker_dies_is_tried_once_more(tmp_path):
    trials = opened(tmp_path, num_trials=1)
    first = trials.next()
    trials.died(first, "killed")
    second = trials.next()
    assert (second.values, second.tries) == (first.values, 2)
    trials.died(second, "killed")
    assert trials.next() is None
    assert trials.over()
    (entry,) = trials.entries()
    assert (entry["state"], entry["cause"]) == ("failed", "killed")


def test_others_leave_a_living_search_alone_and_take_over_from_a_dead_one(tmp_path):
    clock = Clock()
    here, there = (opened(tmp_path, owner, shared=True, clock=clock) for owner in ("here", "there"))
    begun = there.next()
    for _ in range(20):  # six minutes in which both show that they live
        clock.now_s += 18
        there.tick()
        here.tick()
    assert raw_states(tmp_path) == ["RUNNING"]
    for _ in range(20):
        clock.now_s += 18
        here.tick()
    assert raw_states(tmp_path) == ["FAIL", "WAITING"]
    assert here.next().values == begun.values


def test_a_trial_without_an_owner_is_given_back_after_a_while(tmp_path):
    clock = Clock()
    here = opened(tmp_path, shared=True, clock=clock)
    here._asked.ask()  # and killed before it could say who asked
    here.tick()
    clock.now_s += book.DEAD_S + 1
    here.tick()
    assert raw_states(tmp_path) == ["FAIL", "WAITING"]
    finish(here)
    assert [entry["state"] for entry in here.entries()] == ["done"] * 3


def test_searches_that_share_a_storage_begin_no_more_than_all_trials(tmp_path):
    here, there = (opened(tmp_path, owner, shared=True, num_trials=5) for owner in ("here", "there"))
    begun = [each.next() for _ in range(4) for each in (here, there)]
    assert sum(each is not None for each in begun) == 5
    assert len({json.dumps(each.values) for each in begun if each}) == 5, "and none begins with the sets of another"


def test_half_a_line_that_was_left_in_the_journal_is_cut_off(tmp_path):
    trials = opened(tmp_path)
    trials.end(trials.next(), "done", loss=1.0, accuracy=0.5)
    with (tmp_path / "journal.log").open("ab") as file:
        file.write(b'{"op_code": 4, "worker')
    after = opened(tmp_path)
    finish(after)
    assert [entry["state"] for entry in after.entries()] == ["done"] * 3


def test_a_flipped_bit_in_the_journal_is_refused_or_changes_nothing(tmp_path):
    storage = TrialStorage(str(tmp_path / "journal.log"), "small")
    trials = trials_in(open_storage(storage), storage)
    for loss in (0.5, 0.25, float("nan")):
        trial = trials.ask({"rate": optuna.distributions.FloatDistribution(0.0, 1.0)})
        trial.report(loss, 1)
        trials.tell(trial, 0.5)
    content = (tmp_path / "journal.log").read_bytes()

    def read():
        return [(t.params, t.values, t.state) for t in trials_in(open_storage(storage), storage).trials]

    whole = read()
    random = np.random.default_rng(0)
    for place in [
        *random.integers(0, len(content) - 1, 30),
        *random.integers(len(content) - 200, len(content) - 1, 30),
    ]:
        flipped = content[:place] + bytes([content[place] ^ 1 << random.integers(8)]) + content[place + 1 :]
        (tmp_path / "journal.log").write_bytes(flipped)
        with contextlib.suppress(RefusedError):
            assert read() == whole, place


def test_the_lock_of_the_journal_is_free_when_its_process_dies(tmp_path):
    acquire = "from auricle.search.storage import JournalLock; JournalLock(sys.argv[1]).acquire()"
    program = f"import sys, os; {acquire}; os._exit(9)"
    path = str(tmp_path / "journal.log")
    subprocess.run([sys.executable, "-c", program, path], check=False)
    lock = JournalLock(path)
    assert lock.acquire()
    lock.release()


def killed_search(search, fakes, tmp_path, monkeypatch, *, num_workers, num_trials, num_kills):
    """Search with workers that are killed at random moments, and check that nothing is lost or left."""
    kills = tmp_path / "kills"
    kills.write_text(str(num_kills))
    monkeypatch.setenv("AURICLE_TEST_KILLS", str(kills))
    result = search(fakes.killed, workers=num_workers, trials=num_trials)
    assert len(list(tmp_path.glob("kill-*"))) == num_kills
    assert len(result.entries) == num_trials
    assert {entry["state"] for entry in result.entries} <= {"done", "failed"}
    assert sum(entry["state"] == "failed" for entry in result.entries) <= num_kills // 2, "two deaths of one set"
    journal = tmp_path / "out" / "search" / "journal.log"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    ended = {line["trial_id"] for line in lines if line.get("state") in (1, 2, 3) and "trial_id" in line}
    assert len(ended) == sum(line["op_code"] == 4 for line in lines), "every trial in the journal has ended"


def test_workers_that_are_killed_lose_no_trial(search, fakes, tmp_path, monkeypatch):
    killed_search(search, fakes, tmp_path, monkeypatch, num_workers=2, num_trials=12, num_kills=2)


@pytest.mark.long
def test_sixteen_workers_of_which_ten_are_killed_lose_none_of_500_trials(search, fakes, tmp_path, monkeypatch):
    killed_search(search, fakes, tmp_path, monkeypatch, num_workers=16, num_trials=500, num_kills=10)


ENDLESS = """
    import sys
    sys.path[:0] = [{here!r}, {here!r} + "/../cli"]
    from pathlib import Path
    import fake_trials
    import auricle.search.search
    auricle.search.search.real_fit = lambda: fake_trials.never_ends
    from auricle.cli import interrupts, main
    interrupts.GRACE_S = 600  # a busy machine may need longer to stop in order than a person has to wait
    if __name__ == "__main__":
        sys.exit(main(["search", "space.yaml", "--workers", "2", "--device", "cpu", "-v"]))
"""


@pytest.fixture
def endless(sounds, tmp_path, monkeypatch):
    """A search whose two trials train for ever, and the ids of its workers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    Path("space.yaml").write_text(
        "models: [cnn]\ndata: sounds\noverrides: {training.epochs: 2}\n"
        "parameters: {training.batch_size: [16, 32, 64]}\n"
    )
    Path("script.py").write_text(textwrap.dedent(ENDLESS).format(here=str(HERE)))
    process = subprocess.Popen([sys.executable, "script.py"], stderr=subprocess.PIPE, text=True)
    workers: list[int] = []
    try:
        cells = tmp_path / "runs" / "search-space" / "search" / "cells"
        wait_until(lambda: len(list(cells.glob("*/*/pid"))) == 2)
        workers += [int(path.read_text()) for path in cells.glob("*/*/pid")]
        yield process, workers, cells.parent
    finally:
        process.kill()
        process.wait()
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.long)]
)
def test_a_signal_stops_the_search_with_its_own_code_and_leaves_no_trial_running(endless, number, code):
    process, workers, folder = endless
    process.send_signal(number)
    _, err = process.communicate(timeout=300)
    assert process.returncode == code
    assert "auricle: stopped; run the same command to resume from runs/search-space" in err
    assert "Traceback" not in err
    assert all(is_gone(pid) for pid in workers)
    states = Counter(entry["state"] for entry in json.loads((folder / "trials.json").read_text())["trials"])
    assert states == {"waiting": 2}


def test_workers_do_not_outlive_a_search_that_is_killed(endless):
    process, workers, _ = endless
    process.kill()
    assert wait_until(lambda: all(is_gone(pid) for pid in workers))
