"""What `--ray`, `--gpus` and `--threads` refuse and pass on."""

import socket

import pytest


@pytest.mark.parametrize("verb", ["study", "train"])
def test_an_address_that_cannot_be_one_is_a_usage_error(auricle, verb) -> None:
    answer = auricle(verb, {"study": "quickstart", "train": "tiny"}[verb], "--ray", "ray://head:10001")
    assert answer.code == 2
    assert answer.err == (
        "auricle: --ray takes auto or HOST:PORT of the head, such as 10.0.0.1:6379, not 'ray://head:10001'\n"
    )


def test_a_share_of_a_gpu_needs_a_cluster(auricle) -> None:
    answer = auricle("train", "tiny", "--gpus", "0.5")
    assert answer.code == 2
    assert "name the cluster with --ray" in answer.err


def test_without_a_cluster_nothing_is_trained(auricle, sounds, training, tmp_path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'auricle[ray]'")
    training("never_called")
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    answer = auricle("train", "tiny", "--data", str(sounds), "--out", "x", "--ray", address)
    assert answer.code == 5
    assert f"no Ray cluster at {address}" in answer.err
    assert [path.name for path in (tmp_path / "x").iterdir()] == [".lock"]
