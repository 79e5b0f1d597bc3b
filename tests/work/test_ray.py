"""A study on a cluster of two nodes of this machine, one core each."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from auricle.config import revalidated
from auricle.errors import MachineError
from auricle.runs import StudyFolder, read_history
from auricle.study.study import run_study
from auricle.work.jobs import JobQueue, WorkListener, run_jobs
from auricle.work.options import RunOptions
from auricle.work.ray.cluster import RayOptions, connected
from made_jobs import make_jobs

pytest.importorskip("ray", reason="Ray is not installed: pip install 'auricle[ray]'")
pytestmark = pytest.mark.long
TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def cluster() -> Iterator:
    """Two nodes that find the stand-ins of these tests."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]))
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        try:
            cluster.add_node(num_cpus=1)
            yield cluster
        finally:
            cluster.shutdown()


@pytest.fixture
def execute(cluster, recorder):
    from auricle.work.ray.pool import RayPool

    def execute(jobs, fit, listener=None, **asked):
        with connected(RayOptions(cluster.address, **asked)) as found:
            queue = JobQueue(jobs, fit)
            run_jobs(queue, RayPool(found), listener or recorder)
            return queue.failures

    return execute


def epochs_of(jobs, num: int) -> list:
    """The same jobs, each of so many epochs."""
    from dataclasses import replace

    presets = {job.preset.name: revalidated(job.preset.training, epochs=num) for job in jobs}
    return [replace(job, preset=job.preset.model_copy(update={"training": presets[job.preset.name]})) for job in jobs]


def test_a_cluster_predicts_what_one_process_predicts(cluster, config, recorder, tmp_path) -> None:
    short = {"training.epochs": 2, "training.batch_size": 4, "audio.window_s": 0.5}
    study = config.model_copy(update={"models": ("tiny",), "protocols": ("k-fold",), "overrides": short})
    on = {"device": "cpu", "threads": 1}
    run_study(study, tmp_path / "here", RunOptions(workers=1, **on), listener=recorder)
    recorder.said.clear()
    asked = RunOptions(ray=RayOptions(cluster.address), **on)
    result = run_study(study, tmp_path / "there", asked, listener=recorder)
    assert len(result.done) == 4
    assert len(recorder.of("started")) == len(recorder.of("done")) == 4
    assert len(recorder.of("epoch")) == 8
    for name in result.done:
        here, there = (StudyFolder(tmp_path / where).cell(name) for where in ("here", "there"))
        assert there.predictions.read_bytes() == here.predictions.read_bytes()
        assert there.weights.read_bytes() == here.weights.read_bytes()
        assert not there.checkpoint.exists()
    assert "cluster: 2 nodes, 2 CPU" in StudyFolder(tmp_path / "there").description.read_text()


def test_a_cell_that_fails_says_why_and_the_others_go_on(execute, recorder, fakes, tmp_path) -> None:
    jobs = make_jobs(tmp_path, "cnn", "transformer-h2")
    failures = execute(jobs, fakes.cnn_diverges)
    assert failures == {jobs[0].cell.name: "loss nan in epoch 2; lower training.learning_rate"}
    assert json.loads(jobs[0].cell.error.read_text())["type"] == "DivergedError"
    assert jobs[1].cell.done


def test_a_cell_whose_process_dies_every_time_is_given_up(execute, recorder, fakes, tmp_path) -> None:
    jobs = make_jobs(tmp_path, "cnn", "transformer-h2")
    failures = execute(jobs, fakes.cnn_is_killed)
    assert list(failures) == [jobs[0].cell.name]
    assert "memory" in failures[jobs[0].cell.name]
    assert "3 times" in failures[jobs[0].cell.name]
    assert len(recorder.of("note")) == 2
    assert jobs[1].cell.done


def test_a_core_trains_one_cell_at_a_time_however_much_cells_say(execute, recorder, fakes, tmp_path) -> None:
    jobs = make_jobs(tmp_path, "cnn", "tiny", num_folds=4)
    assert not execute(jobs, fakes.writes_when_it_runs)
    times = [json.loads((job.cell.folder / "when.json").read_text()) for job in jobs]
    running = [sum(one["begun_s"] <= other["begun_s"] < one["ended_s"] for one in times) for other in times]
    assert max(running) <= 2, running


def test_a_head_that_gives_us_up_is_an_error_of_the_machine(execute, fakes, tmp_path, monkeypatch) -> None:
    def given_up(*whatever, **options) -> None:
        raise SystemExit(1)  # as Ray does, in any of its calls

    monkeypatch.setattr("ray.util.queue.Queue.get", given_up)
    with pytest.raises(MachineError, match="Ray failed: the head"):
        execute(make_jobs(tmp_path, "cnn"), fakes.quick)


def test_cells_of_a_node_that_is_lost_are_trained_elsewhere_from_their_last_epoch(
    cluster, execute, recorder, fakes, tmp_path
) -> None:
    jobs = epochs_of(make_jobs(tmp_path, "cnn", num_folds=4), 10)
    node = cluster.add_node(num_cpus=1)

    class Killer(WorkListener):
        def epoch(self, cell, record) -> None:
            recorder.epoch(cell, record)
            if record["epoch"] == 5 and node in cluster.worker_nodes:
                cluster.remove_node(node, allow_graceful=False)

        def note(self, text) -> None:
            recorder.note(text)

    assert not execute(jobs, fakes.slowly, Killer())
    assert all(job.cell.done for job in jobs)
    lost = [note for note in recorder.of("note") if "was lost" in note]
    assert lost
    for job in jobs:
        told = [epoch for name, epoch in recorder.of("epoch") if name == str(job.cell.name)]
        assert told == sorted(told), "no epoch that was told is trained again"
        assert [record["epoch"] for record in read_history(job.cell)] == list(range(1, 11))


STUDY = """
    import sys
    sys.path.insert(0, {here!r})
    from pathlib import Path
    import fake_fits
    from made_jobs import make_jobs
    from auricle import cli
    from auricle.work.ray.cluster import RayOptions, connected
    from auricle.work.jobs import JobQueue, WorkListener, run_jobs
    from auricle.work.ray.pool import RayPool

    class Loud(WorkListener):
        def epoch(self, cell, record):
            print("epoch", flush=True)

    def work():
        with connected(RayOptions({address!r})) as cluster:
            jobs = make_jobs(Path({folder!r}), "cnn", "tiny")
            run_jobs(JobQueue(jobs, fake_fits.never_ends), RayPool(cluster), Loud())

    cli.build_app("work").command("work")(work)
    sys.exit(cli.main(["work"]))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_study_and_its_tasks(cluster, tmp_path, number, code) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(STUDY).format(here=str(TESTS), address=cluster.address, folder=str(tmp_path)))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, str(script)], text=True, **pipes) as process:
        assert process.stdout
        process.stdout.readline()
        process.stdout.readline()
        process.send_signal(number)
        _, said = process.communicate(timeout=10)
        assert process.returncode in (code, -number), said
    import ray

    with connected(RayOptions(cluster.address)):
        free = 0.0
        for _ in range(100):
            if (free := ray.available_resources().get("CPU", 0.0)) == ray.cluster_resources()["CPU"]:
                break
            ray.wait([ray.put(None)], timeout=0.1)
        assert free == ray.cluster_resources()["CPU"]


def test_a_study_that_needs_more_memory_than_a_node_has_is_refused_in_one_line(cluster, config, tmp_path) -> None:
    study = config.model_copy(update={"models": ("tiny",), "overrides": {"training.batch_size": 100_000}})
    asked = RunOptions(ray=RayOptions(cluster.address), device="cpu", threads=1)
    with pytest.raises(MachineError) as error:
        run_study(study, tmp_path / "study", asked)
    assert "tiny needs about" in str(error.value)
    assert "the largest node of the cluster has" in str(error.value)
    assert "lower training.batch_size" in str(error.value)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("study/cells/*/*/config.yaml"))


def test_two_workers_train_a_cell_together(cluster, config, recorder, tmp_path) -> None:
    pytest.importorskip("pyarrow", reason="Ray Train needs pyarrow: pip install 'auricle[ray]'")
    short = {"training.epochs": 3, "training.batch_size": 4, "audio.window_s": 0.5, "training.precision": "float32"}
    study = config.model_copy(update={"models": ("tiny",), "protocols": ("test-split",), "overrides": short})
    on = {"device": "cpu", "threads": 1}
    (name,) = run_study(study, tmp_path / "one", RunOptions(workers=1, **on), listener=recorder).done
    asked = RunOptions(ray=RayOptions(cluster.address, together=2), **on)
    two = run_study(study, tmp_path / "two", asked, listener=recorder)
    assert two.done == (name,)
    one, both = (StudyFolder(tmp_path / where).cell(name) for where in ("one", "two"))
    assert json.loads(both.metrics.read_text())["workers"] == 2
    steps = [[record["steps"] for record in read_history(cell)] for cell in (one, both)]
    assert steps[0] == steps[1]
    losses = [record["train_loss"] for record in read_history(both)]
    assert losses[-1] < losses[0]
    assert len(recorder.of("done")) == 2
