"""What a node does and what is asked of a cluster, without one."""

import importlib.util
import json
import socket
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from auricle.config import load_preset
from auricle.data import store
from auricle.data.cache import LargeRecordings
from auricle.data.rows import StoredRows
from auricle.data.store import read_piece
from auricle.errors import MachineError, UsageError
from auricle.model.half_frames import HalfFrames
from auricle.work.ray import node
from auricle.work.ray.cluster import Cluster, RayOptions, connected
from auricle.work.ray.node import Attempts, RemoteJob, recordings_here, train_on_node
from auricle.work.workers import unmapped
from made_jobs import make_jobs


class Mailbox(list):
    """A queue, as far as a node sees it."""

    async def put_async(self, message: tuple) -> None:
        self.append(message)

    @property
    def kinds(self) -> list[str]:
        return [kind for _, _, kind, _ in self]


def remote_job(job, fit) -> RemoteJob:
    number, files = Attempts().begin(job.cell)
    return RemoteJob(number, replace(job, recordings=unmapped(job.recordings)), fit, files, "the study's node")


def test_a_node_sends_epochs_and_the_end_and_touches_no_folder_of_the_study(tmp_path, fakes) -> None:
    (job,) = make_jobs(tmp_path, "cnn")
    mailbox = Mailbox()
    train_on_node(remote_job(job, fakes.quick), mailbox)
    assert mailbox.kinds == ["started", "epoch", "epoch", "ended"]
    assert {(name, number) for name, number, _, _ in mailbox} == {(job.cell.name, 1)}
    cause, files = mailbox[-1][3]
    assert cause is None
    assert {"config.yaml", "history.jsonl", "predictions.csv", "metrics.json"} <= set(files)
    assert len(mailbox[2][3][1]["history.jsonl"].splitlines()) == 2
    assert not job.cell.folder.exists()


def test_a_node_goes_on_from_the_files_that_it_is_given(tmp_path, fakes) -> None:
    (job,) = make_jobs(tmp_path, "cnn")
    mailbox = Mailbox()
    remote = replace(remote_job(job, fakes.quick), files={"history.jsonl": b'{"epoch": 1}\n'})
    train_on_node(remote, mailbox)
    assert [content[0]["epoch"] for _, _, kind, content in mailbox if kind == "epoch"] == [2]


def test_a_node_leaves_nothing_behind(tmp_path, fakes, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "node"))
    (tmp_path / "node").mkdir()
    (job,) = make_jobs(tmp_path, "cnn")
    train_on_node(remote_job(job, fakes.cnn_diverges), Mailbox())
    assert not list((tmp_path / "node").iterdir())


@pytest.fixture
def far(tmp_path, monkeypatch):
    """Return a job whose recordings are in the cache of another machine, and the files that were read from there."""
    study, here, read = tmp_path / "study", tmp_path / "cache", []

    def read_from(origin: str, path: Path, start: int) -> bytes:
        read.append(path.name)
        return read_piece(study / path.relative_to("/nowhere"), start)

    monkeypatch.setattr(node, "read_from", read_from)
    monkeypatch.setattr(store, "PIECE_BYTES", 50)  # several pieces a file

    def make(dtype: str = "f4", *names: str):
        (job,) = make_jobs(tmp_path / "jobs", "cnn")
        monkeypatch.setenv("AURICLE_CACHE", str(study))
        rows = np.arange(6 * 8, dtype=dtype).reshape(6, 8)
        for number, name in enumerate(names or ("key",)):
            store.write_entry(name, list(rows + number), 8, dtype=dtype)
        monkeypatch.setenv("AURICLE_CACHE", str(here))
        paths = tuple(Path("/nowhere/recordings") / f"{name}.f{8 * int(dtype[1:])}" for name in names or ("key",))
        ends = tuple(6 * (number + 1) for number in range(len(paths)))
        return replace(job, recordings=replace(job.recordings, waveforms=StoredRows(paths, ends, (8,), f"<{dtype}")))

    return make, read


def test_a_node_that_does_not_see_the_recordings_copies_them_into_its_cache_once(far, fakes) -> None:
    make, read = far
    job, mailbox = make(), Mailbox()
    remote = RemoteJob(1, job, fakes.writes_what_it_hears, {}, "the study's node")
    train_on_node(remote, mailbox)
    assert mailbox.kinds[:2] == ["note", "started"]
    assert "copies 0.00 GB of recordings into" in mailbox[0][3]
    assert json.loads(mailbox[-1][3][1]["heard.json"])["sum"] == sum(range(48))
    assert read.count("key.f32") == 1 + -(-6 * 8 * 4 // 50)
    read.clear()
    train_on_node(remote, mailbox)
    assert not read


def test_of_a_large_dataset_the_frames_of_the_model_are_copied(far) -> None:
    make, read = far
    job = make("f2", "a", "b")
    rows, other = job.recordings.waveforms, HalfFrames.of(load_preset("transformer-h2", {"frontend.num_bands": 9}))
    frames = {HalfFrames.of(job.preset): rows, other: replace(rows, paths=(Path("/nowhere/recordings/other.f16"),) * 2)}
    large = LargeRecordings(job.recordings.manifest, None, 16, "digest", frames)
    found = recordings_here(replace(job, recordings=large), partial(node.read_from, "origin"), lambda note: None)
    assert isinstance(found, LargeRecordings)
    assert [len(rows) for rows in found.frames.values()] == [12]
    np.testing.assert_array_equal(found.frames[HalfFrames.of(job.preset)][[5, 6]][:, 0], [40, 1])
    assert set(read) == {"a.f16", "a.json", "b.f16", "b.json"}


def test_copying_ends_the_study_where_the_disk_of_a_node_is_too_small(far, fakes, monkeypatch) -> None:
    make, read = far
    job, mailbox = make(), Mailbox()
    monkeypatch.setattr(store.shutil, "disk_usage", lambda folder: SimpleNamespace(free=100))
    train_on_node(RemoteJob(1, job, fakes.never_called, {}, "the study's node"), mailbox)
    assert mailbox.kinds == ["stopped"]
    assert f"{socket.gethostname()}: the recordings need 0.0 GB" in mailbox[0][3]
    assert not read


def test_a_copy_that_is_damaged_on_its_way_is_not_used(far, fakes, monkeypatch) -> None:
    make, _ = far
    job, mailbox, read_from = make(), Mailbox(), node.read_from
    damaged = lambda origin, path, start: read_from(origin, path, start).replace(b"\x40", b"\x41")  # noqa: E731
    monkeypatch.setattr(node, "read_from", damaged)
    remote = RemoteJob(1, job, fakes.writes_what_it_hears, {}, "the study's node")
    train_on_node(remote, mailbox)
    assert mailbox.kinds[-1] == "stopped"
    assert "key.f32 was damaged on its way" in mailbox[-1][3]
    monkeypatch.setattr(node, "read_from", read_from)
    train_on_node(remote, mailbox)
    assert json.loads(mailbox[-1][3][1]["heard.json"])["sum"] == sum(range(48))


def test_a_file_that_was_cut_short_is_missing(tmp_path) -> None:
    (job,) = make_jobs(tmp_path, "cnn")
    rows = unmapped(job.recordings).waveforms
    assert not rows.missing()
    (tmp_path / "clips.f32").write_bytes(b"short")
    assert rows.missing() == {tmp_path / "clips.f32": 6 * 8 * 4}


def test_a_cell_that_fails_on_a_node_says_why(tmp_path, fakes) -> None:
    (job,) = make_jobs(tmp_path, "cnn")
    mailbox = Mailbox()
    train_on_node(remote_job(job, fakes.cnn_diverges), mailbox)
    cause, files = mailbox[-1][3]
    assert cause == "loss nan in epoch 2; lower training.learning_rate"
    assert json.loads(files["error.json"])["type"] == "DivergedError"
    assert "metrics.json" not in files


def test_a_full_disk_of_a_node_is_told_with_its_name(tmp_path, fakes, monkeypatch) -> None:
    monkeypatch.setattr(node.socket, "gethostname", lambda: "node-7")
    (job,) = make_jobs(tmp_path, "cnn")
    mailbox = Mailbox()
    train_on_node(remote_job(job, fakes.disk_is_full), mailbox)
    assert mailbox[-1][2] == "stopped"
    assert mailbox[-1][3].startswith("node-7: cannot write")


def test_a_node_with_another_version_does_not_train(tmp_path, fakes) -> None:
    (job,) = make_jobs(tmp_path, "cnn")
    mailbox = Mailbox()
    remote = remote_job(job, fakes.never_called)
    train_on_node(replace(remote, versions={**remote.versions, "torch": "1.0"}), mailbox)
    assert mailbox[-1][2] == "stopped"
    assert "but the study has" in mailbox[-1][3]
    assert mailbox[-1][3].endswith("torch 1.0; install the same versions")


@pytest.mark.parametrize("address", ["local", "ray://head:10001", "head", "head:", ":6379", "a b:1", "head:6379/x"])
def test_an_address_that_cannot_be_one_is_refused(address) -> None:
    with pytest.raises(UsageError, match="auto or HOST:PORT"):
        RayOptions(address).check()


@pytest.mark.parametrize("gpus", [0, -1, 1.5, float("nan")])
def test_a_share_of_a_gpu_is_a_share(gpus) -> None:
    with pytest.raises(UsageError, match="--gpus"):
        RayOptions("auto", gpus).check()


def test_without_ray_the_extra_is_named(monkeypatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("auricle.extras.find_spec", lambda name: None if name == "ray" else found(name))
    with pytest.raises(MachineError, match=r"pip install 'auricle\[ray\]'"):
        RayOptions("auto").check()


def test_without_what_ray_train_needs_only_workers_together_are_refused(monkeypatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "auricle.extras.find_spec",
        lambda name: None if name == "pyarrow" else found("numpy") if name == "ray" else found(name),
    )
    RayOptions("auto").check()
    with pytest.raises(MachineError, match=r"pip install 'auricle\[ray\]'"):
        RayOptions("auto", together=2).check()


def test_where_nobody_listens_there_is_no_cluster() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with (
        pytest.raises(MachineError, match=rf"no Ray cluster at 127.0.0.1:{port} .*ray status"),
        connected(RayOptions(f"127.0.0.1:{port}")),
    ):
        pass


NODES = ({"CPU": 4.0, "GPU": 1.0}, {"CPU": 3.0})


def test_a_cluster_holds_as_many_cells_as_fit_into_its_nodes() -> None:
    cluster = Cluster(RayOptions("auto"), NODES)
    assert cluster.divide(None, "cpu", None, 100) == (7, 1)
    assert cluster.divide(None, "cpu", 2, 100) == (3, 2)
    assert cluster.divide(None, "cuda", 1, 100) == (1, 1)
    assert cluster.divide(5, "cpu", 1, 3) == (3, 1)
    assert Cluster(RayOptions("auto", gpus=0.25), NODES).divide(None, "cuda", 1, 100) == (4, 1)
    assert Cluster(RayOptions("auto", together=3), NODES).divide(None, "cpu", 1, 100) == (2, 1)


def test_a_cluster_without_room_is_refused() -> None:
    with pytest.raises(MachineError, match=r"2 nodes, 7 CPU, 1 GPU\) has no room for 5 CPU; lower --threads"):
        Cluster(RayOptions("auto"), NODES).divide(None, "cpu", 5, 1)
    with pytest.raises(MachineError, match="no room for 2 workers of 1 CPU and 1 GPU"):
        Cluster(RayOptions("auto", together=2), NODES).divide(None, "cuda", 1, 1)


def test_a_cell_asks_for_memory_only_where_its_need_is_known() -> None:
    cluster = Cluster(RayOptions("auto", gpus=0.5), ({"CPU": 1.0, "memory": 2e9}, {"CPU": 1.0, "memory": 1e9}))
    assert cluster.needs("cpu", 2) == {"CPU": 2}
    assert cluster.needs("cuda", 1, 1.5) == {"CPU": 1, "GPU": 0.5, "memory": 2}
    assert cluster.node_bytes == 2e9
    assert cluster.divide(None, "cpu", 1, 9) == (2, 1)
    assert cluster.divide(None, "cpu", 1, 9, 1.5e9) == (1, 1)
    with pytest.raises(MachineError, match=r"no room for 2 workers of 1 CPU and 1\.5 GB of memory; lower"):
        Cluster(RayOptions("auto", together=2), cluster.nodes).divide(None, "cpu", 1, 1, 1.5e9)


def test_the_device_is_what_the_nodes_have() -> None:
    assert Cluster(RayOptions("auto"), NODES).device("auto") == "cuda"
    assert Cluster(RayOptions("auto"), NODES[1:]).device("auto") == "cpu"
    with pytest.raises(MachineError, match="no device 'cuda' in the cluster"):
        Cluster(RayOptions("auto"), NODES[1:]).device("cuda")


def test_a_head_that_is_gone_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        head = f"127.0.0.1:{server.getsockname()[1]}"
        cluster = Cluster(RayOptions("auto"), NODES, head)
        cluster.check()
    with pytest.raises(MachineError, match=rf"the head of the cluster, {head}, is gone"):
        cluster.check()
