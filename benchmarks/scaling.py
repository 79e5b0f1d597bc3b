"""Twice the machines against one: `python benchmarks/scaling.py [--results RESULTS.md]`.

processes   the same cells in one worker process, and in two (`auricle study --workers N`)
nodes       the same cells on a Ray cluster of one node, and of two, each of one core of this machine, on loopback
            (`auricle study --ray ADDRESS`); without Ray this pair is left out

A process trains on one thread. Time runs from handing the cells out until the last is written, so starting the
processes and loading PyTorch in them counts; starting the nodes does not, nor does decoding. A round is every side, in
turn.

The machine must be quiet and have two cores or more.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from auricle.config import load_preset
from auricle.data.cache import prepare
from auricle.data.folds import make_splits
from auricle.data.manifest import Manifest
from auricle.runs import CellName, StudyFolder
from auricle.training.fit import fit_cell
from auricle.work.jobs import Job, JobQueue, Pool, WorkListener, run_jobs
from auricle.work.ray.cluster import RayOptions, connected
from auricle.work.workers import Workers
from measure import in_turn, publish, ratio, recordings_here, seconds, table


def cells(manifest: Manifest, folder: Path, *, num_cells: int, epochs: int) -> list[Job]:
    """Return equal trainings of `cnn`: of one split, each with a seed of its own."""
    preset = load_preset("cnn", {"training.epochs": epochs})
    recordings = prepare(manifest, sample_rate_hz=preset.audio.sample_rate_hz)
    split = make_splits(recordings.manifest, "official")[0]
    names = [CellName("cnn", split.protocol, split.fold, seed) for seed in range(num_cells)]
    return [Job(StudyFolder(folder).cell(name), preset, split, recordings, "cpu", 1) for name in names]


def in_processes(make: Callable[[Path], list[Job]], num_workers: int) -> float:
    """Return the seconds that some processes take."""
    with tempfile.TemporaryDirectory() as folder:
        jobs, log = make(Path(folder)), Path(folder) / "workers.log"
        return seconds(lambda: finish(jobs, Workers(num_workers, log)))


def on_nodes(make: Callable[[Path], list[Job]], num_nodes: int) -> float:
    """Return the seconds that a cluster of some nodes takes."""
    from auricle.work.ray.pool import RayPool

    with tempfile.TemporaryDirectory() as folder, nodes(num_nodes) as address:
        jobs = make(Path(folder))
        with connected(RayOptions(address)) as cluster:
            return seconds(lambda: finish(jobs, RayPool(cluster)))


def finish(jobs: list[Job], pool: Pool) -> None:
    queue = JobQueue(jobs, fit_cell)
    run_jobs(queue, pool, WorkListener())
    if queue.failures:
        raise RuntimeError(f"cells failed: {queue.failures}")


@contextmanager
def nodes(num_nodes: int) -> Iterator[str]:
    """Start nodes of one core each, and give the address of the first."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        for _ in range(num_nodes - 1):
            cluster.add_node(num_cpus=1)
        yield cluster.address
    finally:
        cluster.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cells", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    manifest, name = recordings_here()
    make = partial(cells, manifest, num_cells=asked.cells, epochs=asked.epochs)
    one, two = ({"processes": partial(in_processes, make, n), "nodes": partial(on_nodes, make, n)} for n in (1, 2))
    kinds = ("processes", "nodes") if find_spec("ray") else ("processes",)
    sides = {f"{n} {kind}": of[kind] for kind in kinds for n, of in ((1, one), (2, two))}
    found = in_turn(sides, asked.rounds, warm_up=False)
    rows = [
        (side.replace("1 processes", "1 process").replace("1 nodes", "1 node"), f"{statistics.median(times):.1f}",
         "1" if side.startswith("1 ") else ratio(found[side.replace("2 ", "1 ")], times))
        for side, times in found.items()
    ]  # fmt: skip
    about = (
        f"{asked.cells} trainings of `cnn` on {name}, {asked.epochs} epochs each, a thread a process: in worker "
        f"processes, and on a Ray cluster of nodes of one core each, on loopback. Starting processes and loading "
        f"PyTorch counts. Medians of {asked.rounds} rounds, throughput with its lowest and highest round."
    )
    publish("Scaling", about, table(("on", "seconds", "throughput over one"), rows), asked.results)


if __name__ == "__main__":
    main()
