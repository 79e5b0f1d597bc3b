"""One cell trained by several workers of a cluster together, through Ray Train: each takes its share of every batch."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from auricle.errors import AuricleError
from auricle.work.ray.node import RemoteJob, find_recordings_here, post, train_remotely


def train_together(
    remote: RemoteJob, waveforms: Sequence[Any], mailbox: Any, num_workers: int, needs: Mapping[str, float]
) -> None:
    """Gather workers, train a cell with them as a task of Ray, and wait until it ends.

    Args:
        remote: what to do; its `fit` takes a `share`.
        waveforms: the object that holds the recordings' waveforms in Ray's store, or None: as in `train_on_node`.
        mailbox: the same.
        num_workers: how many train together.
        needs: resources of each.

    Raises:
        TrainingFailedError: Ray's; a worker failed or was lost.
    """
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    on_gpus = "GPU" in needs
    with tempfile.TemporaryDirectory(prefix="auricle-") as folder:
        TorchTrainer(
            _train_as_one,
            train_loop_config={"remote": remote, "waveforms": waveforms, "mailbox": mailbox},
            scaling_config=ScalingConfig(num_workers=num_workers, use_gpu=on_gpus, resources_per_worker=dict(needs)),
            torch_config=TorchConfig(backend="nccl" if on_gpus else "gloo"),
            run_config=RunConfig(name="auricle", storage_path=folder),
        ).fit()


def _train_as_one(config: Mapping[str, Any]) -> None:
    """Train as one of the workers. All write the same files, each in a folder of its own; the first sends them.

    One that fails says so and ends with an error, which ends the others, as they would wait for it.
    """
    import ray
    import torch

    from auricle.training.share import Share

    remote, (waveforms,) = config["remote"], config["waveforms"]
    share = Share.of_group()
    recordings = find_recordings_here(remote.job.recordings, None if waveforms is None else ray.get(waveforms))
    num_seeing = torch.tensor(int(recordings is not None), device=remote.job.device)
    share.add_up([num_seeing])

    def send(kind: str, content: Any) -> None:
        failed = kind == "stopped" or (kind == "ended" and content[0] is not None)
        if share.rank == 0 or failed:
            post(config["mailbox"], remote, kind, content)

    if recordings is None or num_seeing < share.size:
        send("unseen", None)
        return
    send("started", socket.gethostname())
    cause = train_remotely(replace(remote, fit=partial(remote.fit, share=share)), recordings, send)
    if cause is not None:
        raise AuricleError(cause)
