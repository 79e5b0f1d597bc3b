import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import pytest

from auricle.errors import MachineError
from auricle.work.jobs import JobQueue, run_jobs
from auricle.work.workers import InProcess, Workers
from made_jobs import make_jobs
from waiting import is_gone, wait_until

TESTS = Path(__file__).parents[1]


def run_here(jobs, recorder, fit):
    queue = JobQueue(jobs, fit)
    run_jobs(queue, InProcess(), recorder)
    return queue.failures


def in_processes(jobs, recorder, fit, folder, num_workers=2):
    queue = JobQueue(jobs, fit)
    run_jobs(queue, Workers(num_workers, folder / "workers.log"), recorder)
    return queue.failures


def test_workers_write_what_one_process_writes_and_tell_the_same(recorder, fakes, tmp_path):
    run_here(make_jobs(tmp_path / "here", "cnn", num_folds=3), recorder, fakes.quick)
    told_here = sorted(map(str, recorder.said))
    recorder.said.clear()
    in_processes(make_jobs(tmp_path / "there", "cnn", num_folds=3), recorder, fakes.quick, tmp_path)
    assert sorted(map(str, recorder.said)) == told_here
    assert len(recorder.of("done")) == 3
    here, there = (
        {path.relative_to(tmp_path / where): path.read_bytes() for path in (tmp_path / where).glob("cells/*/*/*")}
        for where in ("here", "there")
    )
    assert here == there


def test_epochs_arrive_while_a_cell_is_trained(recorder, fakes, tmp_path):
    in_processes(make_jobs(tmp_path, "cnn"), recorder, fakes.quick, tmp_path)
    assert [kind for kind, _ in recorder.said] == ["started", "epoch", "epoch", "done"]


def test_a_worker_opens_the_memory_map_that_its_parent_has(recorder, fakes, tmp_path):
    jobs = make_jobs(tmp_path, "cnn")
    in_processes(jobs, recorder, fakes.writes_what_it_hears, tmp_path)
    heard = json.loads((jobs[0].cell.folder / "heard.json").read_text())
    assert heard == {"kind": "StoredRows", "sum": sum(range(48))}


def test_a_worker_that_is_killed_fails_its_cell_only_and_is_replaced(recorder, fakes, tmp_path):
    jobs = make_jobs(tmp_path, "cnn", "transformer-h2", num_folds=2)
    failures = in_processes(jobs, recorder, fakes.cnn_is_killed, tmp_path, num_workers=1)
    assert [name.model for name in failures] == ["cnn", "cnn"]
    assert len(recorder.of("done")) == 2
    assert all("SIGKILL" in cause and "memory" in cause for cause in failures.values())
    assert json.loads(jobs[0].cell.error.read_text())["type"] == "WorkerDied"


def test_a_worker_that_is_killed_while_idle_fails_no_cell(fakes, tmp_path):
    first, second = make_jobs(tmp_path, "cnn", num_folds=2)
    pool = Workers(1, tmp_path / "workers.log")
    ended = []

    def on_event(kind, job, content):
        if kind in ("ended", "died"):
            ended.append((kind, job.cell.name.fold))

    with contextlib.closing(pool):
        for job in (first, second):
            pool.give(job, fakes.quick)
            (worker,) = pool.tasks
            while pool.tasks:
                pool.wait(on_event, 1.0)
            worker.process.kill()
            worker.process.join()
    assert ended == [("ended", 0), ("ended", 1)]


def test_a_worker_that_leaves_is_told_by_its_exit_code(recorder, fakes, tmp_path):
    (cause,) = in_processes(make_jobs(tmp_path, "cnn"), recorder, fakes.cnn_leaves, tmp_path).values()
    assert cause.startswith("the worker ended with exit code 9")


@pytest.mark.parametrize("executor", ["here", "in processes"])
def test_a_cell_that_fails_says_why(recorder, fakes, tmp_path, executor):
    jobs = make_jobs(tmp_path, "cnn", "transformer-h2")
    execute = run_here if executor == "here" else partial(in_processes, folder=tmp_path)
    failures = execute(jobs, recorder, fakes.cnn_diverges)
    assert list(failures) == [jobs[0].cell.name]
    error = json.loads(jobs[0].cell.error.read_text())
    assert error["cause"] == failures[jobs[0].cell.name] == "loss nan in epoch 2; lower training.learning_rate"
    assert error["type"] == "DivergedError"
    assert "cnn_diverges" in error["traceback"]
    assert jobs[1].cell.done


@pytest.mark.parametrize("executor", ["here", "in processes"])
def test_a_cell_that_needs_too_much_memory_says_so_and_the_others_finish(recorder, fakes, tmp_path, executor):
    jobs = make_jobs(tmp_path, "cnn", "transformer-h2")
    execute = run_here if executor == "here" else partial(in_processes, folder=tmp_path, num_workers=1)
    (cause,) = execute(jobs, recorder, fakes.cnn_needs_too_much).values()
    assert cause == "not enough memory; lower training.batch_size, or try fewer --workers"
    assert json.loads(jobs[0].cell.error.read_text())["type"].endswith("MemoryError")
    assert jobs[1].cell.done


def test_a_tensor_for_which_there_is_no_memory_is_told_with_its_size(recorder, fakes, tmp_path):
    (cause,) = run_here(make_jobs(tmp_path, "cnn"), recorder, fakes.cnn_needs_too_many_tensors).values()
    assert cause.startswith("not enough memory (4503599627370496 bytes more were needed); lower training.batch_size")


def test_an_error_that_is_not_ours_is_told_with_its_name(recorder, fakes, tmp_path):
    (cause,) = run_here(make_jobs(tmp_path, "cnn"), recorder, fakes.never_called).values()
    assert cause == "AssertionError: cnn/k-fold-0-0 was trained again"


@pytest.mark.parametrize("executor", ["here", "in processes"])
def test_a_full_disk_ends_it_all_and_is_no_failure_of_a_cell(recorder, fakes, tmp_path, executor):
    jobs = make_jobs(tmp_path, "cnn")
    execute = run_here if executor == "here" else partial(in_processes, folder=tmp_path)
    with pytest.raises(MachineError, match="No space left"):
        execute(jobs, recorder, fakes.disk_is_full)
    assert not jobs[0].cell.error.exists()


def test_leftovers_of_a_killed_write_and_of_a_failure_are_cleared(recorder, fakes, tmp_path):
    jobs = make_jobs(tmp_path, "cnn")
    jobs[0].cell.folder.mkdir(parents=True)
    left = jobs[0].cell.folder / ".checkpoint.pt.123.part"
    for path in (left, jobs[0].cell.error):
        path.write_bytes(b"{}")
    run_here(jobs, recorder, fakes.quick)
    assert not left.exists()
    assert not jobs[0].cell.error.exists()


ENDLESS = """
    import sys
    sys.path.insert(0, {here!r})
    from pathlib import Path
    import fake_fits
    from auricle.work.jobs import JobQueue, WorkListener, run_jobs
    from auricle.work.workers import Workers
    from made_jobs import make_jobs
    if __name__ == "__main__":
        folder = Path({folder!r})
        jobs = make_jobs(folder, "cnn", "transformer-h2")
        run_jobs(JobQueue(jobs, fake_fits.never_ends), Workers(2, folder / "workers.log"), WorkListener())
"""


@pytest.fixture
def endless(tmp_path):
    """A process whose two workers train for ever, and the ids of these."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(ENDLESS).format(here=str(TESTS), folder=str(tmp_path)))
    process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL)
    workers = []
    try:
        workers += [wait_for_pid(tmp_path / "cells" / model) for model in ("cnn", "transformer-h2")]
        yield process, workers
    finally:
        process.kill()
        process.wait()
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def wait_for_pid(folder: Path) -> int:
    """Wait until a worker has written its id, which it does in one piece."""
    return int(wait_until(lambda: next((path.read_text() for path in folder.glob("*/pid")), None)))


def test_workers_do_not_outlive_a_parent_that_is_killed(endless):
    process, workers = endless
    process.kill()
    assert wait_until(lambda: all(is_gone(pid) for pid in workers))


def test_workers_leave_signals_to_their_parent_which_ends_them(endless):
    process, workers = endless
    for pid in workers:
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGTERM)
    assert not any(is_gone(pid) for pid in workers)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=300) != 0
    assert all(is_gone(pid) for pid in workers)
