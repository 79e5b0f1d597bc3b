"""Two nodes with a cache of their own each, as on two machines without a shared folder."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from auricle.data.rows import StoredRows
from auricle.data.store import write_entry
from auricle.work.jobs import JobQueue, run_jobs
from auricle.work.ray.cluster import RayOptions, connected
from made_jobs import make_jobs

pytest.importorskip("ray", reason="Ray is not installed: pip install 'auricle[ray]'")
TESTS = Path(__file__).parents[1]


@pytest.mark.long
def test_a_node_copies_the_recordings_from_the_machine_of_the_study(recorder, fakes, tmp_path, monkeypatch) -> None:
    from ray.cluster_utils import Cluster

    from auricle.work.ray.pool import RayPool

    monkeypatch.setenv("AURICLE_CACHE", "cache")  # a path within the folder in which a node was started
    monkeypatch.setenv("PYTHONPATH", f"{TESTS}:{Path(__import__('auricle').__file__).parents[1]}")
    for name in ("node", "study"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "study")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        monkeypatch.chdir(tmp_path / "node")
        cluster.add_node(num_cpus=1)
        monkeypatch.chdir(tmp_path / "study")
        write_entry("key", list(np.arange(48, dtype="f4").reshape(6, 8)), 8)
        rows = StoredRows((Path("cache/recordings/key.f32"),), (6,), (8,), "<f4")
        jobs = [
            replace(job, recordings=replace(job.recordings, waveforms=rows))
            for job in make_jobs(tmp_path / "jobs", "cnn", num_folds=2)
        ]
        with connected(RayOptions(cluster.address)) as found:
            queue = JobQueue(jobs, fakes.writes_what_it_hears)
            run_jobs(queue, RayPool(found, memory_bytes={"cnn": 2e6}), recorder)
    finally:
        cluster.shutdown()
    assert not queue.failures
    assert [json.loads((job.cell.folder / "heard.json").read_text())["sum"] for job in jobs] == [sum(range(48))] * 2
    assert [path.name for path in sorted((tmp_path / "node" / "cache" / "recordings").iterdir())] == [
        "key.f32",
        "key.json",
    ]
    assert len([note for note in recorder.of("note") if "copies 0.00 GB of recordings into cache" in note]) == 1
