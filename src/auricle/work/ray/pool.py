"""A pool on a Ray cluster: each job is a Ray task, which is sent to another node if its own is lost."""

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import ray
from ray.util.queue import Empty, Queue
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from typing_extensions import override

from auricle.errors import MachineError
from auricle.runs import CellName
from auricle.work.jobs import Fit, Job, OnEvent, Pool, Task, clear_cell, record_failure
from auricle.work.ray.cluster import Cluster
from auricle.work.ray.node import Attempts, RemoteJob, train_on_node, train_together
from auricle.work.workers import unmapped

TICK_S = 0.2  # between two checks for tasks that have ended
MOST_LOSSES = 3  # of a cell, without an epoch in between
HEAD_S, HEAD_GONE_S = 5.0, 20.0  # between two checks of the head; after which it counts as gone
CANCEL_S = 4.0  # for tasks to end by themselves when the study is stopped


@contextlib.contextmanager
def ray_errors() -> Iterator[None]:
    """Turn Ray's exceptions, and its attempts to exit this process, into a MachineError."""
    try:
        yield
    except ray.exceptions.RayError as error:
        text = " ".join(str(error).split())
        raise MachineError(f"Ray failed: {text[:300]}; see `ray status`") from error
    except SystemExit as error:
        if error.code != 1:  # a signal's
            raise
        raise MachineError("Ray failed: the head of the cluster has dropped this machine; see `ray status`") from error


class RayPool(Pool):
    """The nodes of a cluster; a job trains on any node with free resources.

    `most` limits the cells trained in parallel; None: as many as fit, also on nodes that join later. `memory_bytes` is
    what a training of each model needs; Ray places no more of them on a node than fit in its memory.
    """

    def __init__(
        self, cluster: Cluster, most: int | None = None, memory_bytes: Mapping[str, float] | None = None
    ) -> None:
        super().__init__(most)
        self._origin = ray.get_runtime_context().get_node_id()
        here = NodeAffinitySchedulingStrategy(self._origin, soft=False)
        self._mailbox = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})
        self.cluster = cluster
        self.memory_bytes = memory_bytes or {}
        self._attempts = Attempts()
        self._numbers: dict[Any, int] = {}  # number of each task's attempt
        self._given: dict[CellName, Task] = {}
        self._nodes: dict[CellName, str] = {}  # where a cell has started
        self._losses: Counter[CellName] = Counter()
        self._head_seen_s = time.monotonic()

    @override
    @ray_errors()
    def give(self, job: Job, fit: Fit) -> None:
        self._given[job.cell.name] = job, fit
        number, files = self._attempts.begin(job.cell)
        remote = RemoteJob(number, replace(job, recordings=unmapped(job.recordings)), fit, files, self._origin)
        needs = self.cluster.needs(job.device, job.threads or 1, self.memory_bytes.get(job.cell.name.model, 0))
        if self.cluster.asked.together > 1:
            task = ray.remote(num_cpus=0, max_retries=0)(train_together)
            sent = task.remote(remote, self._mailbox, self.cluster.asked.together, needs)
        else:
            asked = {"num_cpus": needs["CPU"], "num_gpus": needs.get("GPU", 0), "memory": needs.get("memory")}
            task = ray.remote(max_retries=0, scheduling_strategy="SPREAD", **asked)(train_on_node)
            sent = task.remote(remote, self._mailbox)
        self.tasks[sent], self._numbers[sent] = (job, fit), number

    @override
    @ray_errors()
    def wait(self, on_event: OnEvent, timeout_s: float) -> None:
        self._read_mailbox(on_event, min(timeout_s, TICK_S))
        self._collect(on_event)
        self._check_head()

    def _check_head(self) -> None:
        """Check from time to time that the head of the cluster answers; raise if it has been gone for a while."""
        unseen_s = time.monotonic() - self._head_seen_s
        if unseen_s > HEAD_S:
            try:
                self.cluster.check()
                self._head_seen_s = time.monotonic()
            except MachineError:
                if unseen_s > HEAD_GONE_S:
                    raise

    def _read_mailbox(self, on_event: OnEvent, timeout_s: float) -> None:
        """Handle all messages that have arrived, waiting a moment for the first."""
        with contextlib.suppress(Empty):
            if timeout_s:
                self._act(on_event, *self._mailbox.get(timeout=timeout_s))
            while True:
                self._act(on_event, *self._mailbox.get_nowait())

    def _act(self, on_event: OnEvent, name: CellName, number: int, kind: str, content: Any) -> None:
        """Handle a message, unless its attempt no longer counts."""
        if not self._attempts.counts(name, number):
            return
        job, _ = self._given[name]
        if kind == "note":
            on_event("note", job, content)
        elif kind == "started":
            clear_cell(job.cell)
            if name not in self._nodes:
                on_event("started", job, None)
            self._nodes[name] = content
        elif kind == "epoch":
            record, files = content
            self._losses[name] = 0
            self._attempts.keep(job.cell, number, files)
            on_event("epoch", job, record)
        elif kind == "ended":
            cause, files = content
            self._attempts.end(job.cell, number, files)
            on_event("ended", job, cause)
        else:
            raise MachineError(content)

    def _collect(self, on_event: OnEvent) -> None:
        """Find the tasks that have ended, and those whose cell was lost."""
        tasks = list(self.tasks)
        ended, _ = ray.wait(tasks, num_returns=len(tasks), timeout=0) if tasks else ([], [])
        if ended:
            self._read_mailbox(on_event, 0.0)  # their last messages
        for task in ended:
            job, fit = self.tasks.pop(task)
            if self._attempts.counts(job.cell.name, self._numbers.pop(task)):
                self._lose(job, fit, *_why_ended(task), on_event)

    def _lose(self, job: Job, fit: Fit, why: str, again: bool, on_event: OnEvent) -> None:
        """Resume a cell from its last epoch on another node, or give it up."""
        name = job.cell.name
        self._losses[name] += 1
        where = f"on {self._nodes[name]}" if name in self._nodes else "on its way to a node"
        if again and self._losses[name] < MOST_LOSSES:
            on_event("note", job, f"{name} was lost {where} ({why}); it resumes from its last epoch")
            self.give(job, fit)
            return
        cause = f"{why}, {where}" + (f", {MOST_LOSSES} times without an epoch" if again else "")
        self._attempts.give_up(name)
        clear_cell(job.cell)
        record_failure(job.cell, cause, "NodeLost", "")
        if name not in self._nodes:
            on_event("started", job, None)
        on_event("ended", job, cause)

    @override
    def close(self) -> None:
        with contextlib.suppress(ray.exceptions.RayError):
            for force, patience_s in ((False, CANCEL_S), (True, 1.0)):  # first politely, so that nodes can clean up
                for task in self.tasks:
                    ray.cancel(task, force=force)
                if self.tasks:
                    ended, _ = ray.wait(list(self.tasks), num_returns=len(self.tasks), timeout=patience_s)
                    self.tasks = {task: given for task, given in self.tasks.items() if task not in ended}
            self._mailbox.shutdown(force=True)


def _why_ended(task: Any) -> tuple[str, bool]:
    """Return why a task ended without a message, and whether another attempt may succeed."""
    try:
        ray.get(task)
    except ray.exceptions.OutOfMemoryError:
        return "memory ran out; raise --threads, so that fewer cells share a node, or lower training.batch_size", False
    except ray.exceptions.NodeDiedError:
        return "its node is gone", True
    except ray.exceptions.WorkerCrashedError:
        return "its process died, probably because memory ran out or its node is gone", True
    except ray.exceptions.RayError as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return " ".join(lines[-1].split()), True
    return "it ended without an error message", True
