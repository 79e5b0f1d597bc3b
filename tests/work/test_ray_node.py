"""What a node does and what is asked of a cluster, without one."""

import importlib.util
import json
import socket
from dataclasses import replace

import numpy as np
import pytest

from auricle.data.cache import Recordings
from auricle.errors import MachineError, UsageError
from auricle.work.ray import node
from auricle.work.ray.cluster import Cluster, RayOptions, connected
from auricle.work.ray.node import Attempts, RemoteJob, find_recordings_here, train_on_node
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
    return RemoteJob(number, replace(job, recordings=unmapped(job.recordings)), fit, files)


def test_a_node_sends_epochs_and_the_end_and_touches_no_folder_of_the_study(tmp_path, fakes) -> None:
    (job,) = make_jobs(tmp_path, "cnn")
    mailbox = Mailbox()
    train_on_node(remote_job(job, fakes.quick), None, mailbox)
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
    train_on_node(remote, None, mailbox)
    assert [content[0]["epoch"] for _, _, kind, content in mailbox if kind == "epoch"] == [2]


def test_a_node_leaves_nothing_behind(tmp_path, fakes, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "node"))
    (tmp_path / "node").mkdir()
    (job,) = make_jobs(tmp_path, "cnn")
    train_on_node(remote_job(job, fakes.cnn_diverges), None, Mailbox())
    assert not list((tmp_path / "node").iterdir())


def test_a_node_that_does_not_see_the_recordings_says_so_and_trains_on_what_is_sent(tmp_path, fakes) -> None:
    (job,) = make_jobs(tmp_path, "cnn")
    waveforms = np.array(job.recordings.waveforms)
    remote, mailbox = remote_job(job, fakes.writes_what_it_hears), Mailbox()
    (tmp_path / "clips.f32").unlink()
    train_on_node(remote, None, mailbox)
    assert mailbox.kinds == ["unseen"]
    train_on_node(remote, waveforms, mailbox)
    heard = json.loads(mailbox[-1][3][1]["heard.json"])
    assert heard["sum"] == sum(range(48))


def test_a_map_that_was_cut_short_is_not_seen(tmp_path) -> None:
    (job,) = make_jobs(tmp_path, "cnn")
    reference: Recordings = unmapped(job.recordings)
    (tmp_path / "clips.f32").write_bytes(b"short")
    assert find_recordings_here(reference, None) is None


def test_a_cell_that_fails_on_a_node_says_why(tmp_path, fakes) -> None:
    (job,) = make_jobs(tmp_path, "cnn")
    mailbox = Mailbox()
    train_on_node(remote_job(job, fakes.cnn_diverges), None, mailbox)
    cause, files = mailbox[-1][3]
    assert cause == "loss nan in epoch 2; lower training.learning_rate"
    assert json.loads(files["error.json"])["type"] == "DivergedError"
    assert "metrics.json" not in files


def test_a_full_disk_of_a_node_is_told_with_its_name(tmp_path, fakes, monkeypatch) -> None:
    monkeypatch.setattr(node.socket, "gethostname", lambda: "node-7")
    (job,) = make_jobs(tmp_path, "cnn")
    mailbox = Mailbox()
    train_on_node(remote_job(job, fakes.disk_is_full), None, mailbox)
    assert mailbox[-1][2] == "stopped"
    assert mailbox[-1][3].startswith("node-7: cannot write")


def test_a_node_with_another_version_does_not_train(tmp_path, fakes) -> None:
    (job,) = make_jobs(tmp_path, "cnn")
    mailbox = Mailbox()
    remote = remote_job(job, fakes.never_called)
    train_on_node(replace(remote, versions={**remote.versions, "torch": "1.0"}), None, mailbox)
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
