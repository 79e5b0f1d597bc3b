"""Cells trained by a Ray cluster: each is a task, given again to another node where its own is lost."""

from __future__ import annotations

import contextlib
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from auricle.data.cache import Recordings
from auricle.errors import MachineError
from auricle.runs import CellName
from auricle.study.attempts import Attempts
from auricle.study.jobs import Failures, Fit, Job, clear, record_failure
from auricle.study.listener import Listener
from auricle.study.ray_cluster import Cluster
from auricle.study.ray_node import Errand, train_on_node
from auricle.study.worker import by_reference

TICK_S = 0.2  # between two looks at which tasks have ended
MOST_LOSSES = 3  # of a cell, without an epoch in between
HEAD_S, HEAD_GONE_S = 5.0, 20.0  # between two looks at whether the head is there; until it is given up
LAST_SECONDS_S = 4.0  # for tasks to end by themselves when we are stopped


@dataclass(frozen=True)
class Running:
    """An attempt at a cell, waiting for a node or on one."""

    job: Job
    number: int


def run_on_ray(
    jobs: Sequence[Job], listener: Listener, fit: Fit, *, cluster: Cluster, most: int | None = None
) -> Failures:
    """Train each cell on whatever node has room for it.

    Args:
        jobs: their recordings must be memory maps, which nodes map too where they see them; else they travel once.
        listener: told in this process.
        fit: a function that nodes can import.
        cluster: connected.
        most: cells at a time; None: as many as fit, on nodes that come later too.

    Raises:
        MachineError: a machine cannot go on; what is written stays.
    """
    return Dispatch(jobs, listener, fit, cluster, most).run()


class Dispatch:
    """Tasks for the cells, and what becomes of them."""

    def __init__(self, jobs: Sequence[Job], listener: Listener, fit: Fit, cluster: Cluster, most: int | None) -> None:
        import ray
        from ray.util.queue import Queue
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self.mailbox = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})
        self.jobs = {job.cell.name: job for job in jobs}
        self.pending = deque(jobs)
        self.listener, self.fit, self.cluster = listener, fit, cluster
        self.most = most or len(jobs)
        self.attempts = Attempts()
        self.running: dict[Any, Running] = {}  # by the object of a task
        self.waveforms: dict[str, Any] = {}  # by digest; of recordings that a node did not see
        self.nodes: dict[CellName, str] = {}  # where a cell has started
        self.losses: Counter[CellName] = Counter()
        self.failures: Failures = {}
        self.head_seen_s = time.monotonic()

    def run(self) -> Failures:
        """Train until every cell has ended.

        Raises:
            MachineError: a machine cannot go on, or Ray itself cannot.
        """
        import ray

        try:
            while self.pending or self.running:
                while self.pending and len(self.running) < self.most:
                    self._send_out(self.pending.popleft())
                self._hear(TICK_S)
                self._collect()
                self._see_head()
        except ray.exceptions.RayError as error:
            words = " ".join(str(error).split())
            raise MachineError(f"Ray cannot go on: {words[:300]}; see `ray status`") from error
        except SystemExit as error:
            if error.code != 1:  # a signal's
                raise
            raise MachineError("Ray cannot go on: its head has given this machine up; see `ray status`") from error
        finally:
            self._call_off()
        return self.failures

    def _see_head(self) -> None:
        """Look now and then whether the head of the cluster is there, and bear with it for a while."""
        unseen_s = time.monotonic() - self.head_seen_s
        if unseen_s > HEAD_S:
            try:
                self.cluster.check()
                self.head_seen_s = time.monotonic()
            except MachineError:
                if unseen_s > HEAD_GONE_S:
                    raise

    def _send_out(self, job: Job) -> None:
        import ray

        number, files = self.attempts.begin(job.cell)
        errand = Errand(number, replace(job, recordings=by_reference(job.recordings)), self.fit, files)
        needs = self.cluster.needs(job.device, job.threads or 1)
        waveforms = self.waveforms.get(job.recordings.digest)
        if self.cluster.asked.together > 1:
            from auricle.study.ray_train import train_together

            task, content = ray.remote(num_cpus=0, max_retries=0)(train_together), [waveforms]
            sent = task.remote(errand, content, self.mailbox, self.cluster.asked.together, needs)
        else:
            cpus, gpus = needs["CPU"], needs.get("GPU", 0)
            task = ray.remote(max_retries=0, scheduling_strategy="SPREAD", num_cpus=cpus, num_gpus=gpus)(train_on_node)
            sent = task.remote(errand, waveforms, self.mailbox)
        self.running[sent] = Running(job, number)

    def _hear(self, patience_s: float) -> None:
        """Act on all messages that have come, waiting a moment for the first."""
        from ray.util.queue import Empty

        with contextlib.suppress(Empty):
            if patience_s:
                self._act(*self.mailbox.get(timeout=patience_s))
            while True:
                self._act(*self.mailbox.get_nowait())

    def _act(self, name: CellName, number: int, kind: str, content: Any) -> None:
        """Act on a message, unless its attempt does not count any more."""
        if not self.attempts.counts(name, number):
            return
        cell = self.jobs[name].cell
        if kind == "unseen":
            self.attempts.give_up(name)
            self._share(self.jobs[name].recordings)
            self.pending.appendleft(self.jobs[name])
        elif kind == "started":
            clear(cell)
            if name not in self.nodes:
                self.listener.started(name)
            self.nodes[name] = content
        elif kind == "epoch":
            record, files = content
            self.losses[name] = 0
            self.attempts.keep(cell, number, files)
            self.listener.epoch(name, record)
        elif kind == "ended":
            cause, files = content
            self.attempts.end(cell, number, files)
            self._tell(name, cause)
        else:
            raise MachineError(content)

    def _share(self, recordings: Recordings) -> None:
        """Send the waveforms along from now on: each node gets them once."""
        import ray

        if recordings.digest not in self.waveforms:
            self.listener.note("nodes do not see the cache of recordings: sending them through Ray's object store")
            self.waveforms[recordings.digest] = ray.put(recordings.waveforms)

    def _collect(self) -> None:
        """Find the tasks that have ended, and those among them that took their cell with them."""
        import ray

        tasks = list(self.running)
        ended, _ = ray.wait(tasks, num_returns=len(tasks), timeout=0) if tasks else ([], [])
        if ended:
            self._hear(0.0)  # what they said last
        for task in ended:
            running = self.running.pop(task)
            if self.attempts.counts(running.job.cell.name, running.number):
                self._lost(running.job, *_why(task))

    def _lost(self, job: Job, why: str, again: bool) -> None:
        """Train a cell again from its last epoch, or give it up."""
        name = job.cell.name
        self.losses[name] += 1
        where = f"on {self.nodes[name]}" if name in self.nodes else "on its way to a node"
        if again and self.losses[name] < MOST_LOSSES:
            self.listener.note(f"{name} was lost {where} ({why}); it goes on from its last epoch")
            self.pending.appendleft(job)
            return
        cause = f"{why}, {where}" + (f", {MOST_LOSSES} times without an epoch" if again else "")
        self.attempts.give_up(name)
        clear(job.cell)
        record_failure(job.cell, cause, "NodeLost", "")
        if name not in self.nodes:
            self.listener.started(name)
        self._tell(name, cause)

    def _tell(self, name: CellName, cause: str | None) -> None:
        if cause is None:
            self.listener.done(name)
        else:
            self.failures[name] = cause
            self.listener.failed(name, cause)

    def _call_off(self) -> None:
        """End what still runs: first with a word, so that nodes tidy up, then at once."""
        import ray

        with contextlib.suppress(ray.exceptions.RayError):
            for force, patience_s in ((False, LAST_SECONDS_S), (True, 1.0)):
                for task in self.running:
                    ray.cancel(task, force=force)
                if self.running:
                    ended, _ = ray.wait(list(self.running), num_returns=len(self.running), timeout=patience_s)
                    self.running = {task: job for task, job in self.running.items() if task not in ended}
            self.mailbox.shutdown(force=True)


def _why(task: Any) -> tuple[str, bool]:
    """Return why a task ended without a word, and whether another attempt may do better."""
    import ray

    try:
        ray.get(task)
    except ray.exceptions.OutOfMemoryError:
        return "memory ran out; raise --threads, so that fewer cells share a node, or lower training.batch_size", False
    except ray.exceptions.NodeDiedError:
        return "its node is gone", True
    except ray.exceptions.WorkerCrashedError:
        return "its process died, mostly because memory ran out or its node is gone", True
    except ray.exceptions.RayError as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return " ".join(lines[-1].split()), True
    return "it ended without a word", True
