"""Connect to a Ray cluster, and divide its resources among cells."""

import contextlib
import logging
import math
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from auricle.errors import MachineError, UsageError, count, listing
from auricle.extras import require
from auricle.system import disable_telemetry, num_threads

ANSWER_S = 20.0  # for a cluster to answer; a busy one takes three
CONNECTION_S = 3.0
PROBE = "import sys, ray; ray.init(sys.argv[1], logging_level='ERROR', log_to_driver=False)"


@dataclass(frozen=True)
class RayOptions:
    """The cluster to use, and how cells are trained on it."""

    address: str  # HOST:PORT of its head, or "auto": the cluster that this machine belongs to
    gpus: float = 1.0  # share of a GPU per worker, above 0 and at most 1
    together: int = 1  # number of workers that train one cell together

    def check(self) -> None:
        """Check the values before anything is read.

        Raises:
            UsageError: no such address or share.
            MachineError: Ray is not installed.
        """
        if self.address != "auto" and not re.fullmatch(r"[^\s:/]+:\d{1,5}", self.address):
            raise UsageError(f"--ray takes auto or HOST:PORT of the head, such as 10.0.0.1:6379, not {self.address!r}")
        if not 0 < self.gpus <= 1:
            raise UsageError(f"--gpus must be above 0 and at most 1, not {self.gpus:g}")
        require("ray")
        if self.together > 1:
            require("pyarrow")  # Ray Train imports it


@dataclass(frozen=True)
class Cluster:
    """A cluster that this process is connected to: the resources of each node, and HOST:PORT of its head."""

    asked: RayOptions
    nodes: tuple[Mapping[str, float], ...]
    head: str = ""

    def total(self, resource: str) -> float:
        """Return how much of a resource all nodes have together."""
        return sum(node.get(resource, 0.0) for node in self.nodes)

    def check(self) -> None:
        """Check that the head of the cluster answers; Ray itself would try for a minute and then end this process.

        Raises:
            MachineError: it does not.
        """
        try:
            _connect(self.head)
        except OSError as error:
            raise MachineError(
                f"the head of the cluster, {self.head}, is gone ({error}); the same command resumes on another cluster"
            ) from error

    def device(self, name: str) -> str:
        """Return the device that a name means; "auto" is CUDA if a node has a GPU.

        Raises:
            MachineError: no node has one.
        """
        has_gpu = self.total("GPU") > 0
        if name == "auto":
            return "cuda" if has_gpu else "cpu"
        if name != "cpu" and not (has_gpu and name == "cuda"):
            raise MachineError(f"no device {name!r} in the cluster; available: {'cuda, cpu' if has_gpu else 'cpu'}")
        return name

    @property
    def node_bytes(self) -> float:
        """Memory of the largest node, as Ray counts it."""
        return max(node.get("memory", 0.0) for node in self.nodes)

    def needs(self, device: str, threads: int, memory_bytes: float = 0) -> dict[str, float]:
        """Return the resources of a cell, or of each worker if several train it together; 0: any memory will do."""
        memory = {"memory": math.ceil(memory_bytes)} if memory_bytes else {}
        return {"CPU": threads, **({"GPU": self.asked.gpus} if device == "cuda" else {}), **memory}

    def divide(
        self, workers: int | None, device: str, threads: int | None, num_jobs: int, memory_bytes: float = 0
    ) -> tuple[int, int]:
        """Return how many cells are trained in parallel, and the CPU threads of each process.

        None: as many workers as fit, and the threads of `system.num_threads`. `memory_bytes` is what the largest needs,
        0 if not known.

        Raises:
            MachineError: not even one fits.
        """
        threads, together = threads or num_threads(), self.asked.together
        needs = self.needs(device, threads, memory_bytes)
        room = sum(int(min(node.get(name, 0.0) / need for name, need in needs.items()) + 1e-9) for node in self.nodes)
        if room < together:
            wanted = listing(
                f"{need / 1e9:.1f} GB of memory" if name == "memory" else f"{need:g} {name}"
                for name, need in needs.items()
            )
            each = f"{together} workers of " if together > 1 else ""
            raise MachineError(
                f"the cluster ({self}) has no room for {each}{wanted}; lower --threads, --gpus or --workers"
            )
        return max(1, min(workers or num_jobs, room // together, num_jobs)), threads

    def __str__(self) -> str:
        gpus = f", {self.total('GPU'):g} GPU" if self.total("GPU") else ""
        return f"{count(len(self.nodes), 'node')}, {self.total('CPU'):g} CPU{gpus}"


@contextlib.contextmanager
def connected(asked: RayOptions) -> Iterator[Cluster]:
    """Connect to a cluster while the block runs. No Ray process is started on this machine.

    Raises:
        MachineError: no cluster answers at the address, or it has another version of Ray or Python.
    """
    disable_telemetry()
    _probe(asked.address)
    import ray

    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(asked.address, logging_level=logging.ERROR, log_to_driver=False)
        signal.signal(signal.SIGTERM, handler)  # ours: Ray's would end us with another exit code
        nodes = tuple(node["Resources"] for node in ray.nodes() if node["Alive"])
        yield Cluster(asked, nodes, ray.get_runtime_context().gcs_address)
    finally:
        ray.shutdown()


def _probe(address: str) -> None:
    """Try to connect in a separate process, as Ray would try for minutes if something other than Ray answers."""
    advice = "start one with `ray start --head`" if address == "auto" else "see `ray status` on its head"
    try:
        if address != "auto":
            _connect(address)
    except (OSError, OverflowError) as error:
        raise MachineError(f"no Ray cluster at {address} ({error}); {advice}") from None
    command = [sys.executable, "-c", PROBE, address]
    environment = {**os.environ, "RAY_gcs_server_request_timeout_seconds": "5"}
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_S, env=environment)
    except subprocess.TimeoutExpired:
        raise MachineError(f"no Ray cluster answers at {address}; {advice}") from None
    if answer.returncode:  # say what the last exception of the traceback said
        lines = answer.stderr.strip().splitlines() or ["no error message"]
        starts = [index for index, line in enumerate(lines) if re.match(r"[\w.]+(Error|Exception)\b", line)]
        cause = " ".join(" ".join(lines[starts[-1] if starts else -1 :]).split())[:300]
        raise MachineError(f"no Ray cluster at {address} ({cause}); {advice}")


def _connect(address: str) -> None:
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), timeout=CONNECTION_S).close()
