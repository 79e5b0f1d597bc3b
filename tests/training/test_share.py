"""Several processes that train one network together take the steps of one."""

import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from conftest import tiny_preset

from auricle.training.fit import prepare_training
from auricle.training.share import Share


def trained(preset, recordings, split, share: Share) -> dict[str, list[float]]:
    """Return the losses of two epochs, and weights with running statistics at their end."""
    torch.set_num_threads(1)
    trainer, sets = prepare_training(preset, recordings, split, 0, torch.device("cpu"))
    share.join(trainer.model)
    object.__setattr__(trainer, "share", share)
    clips = sets.drawn_from(trainer)
    losses = [float(step.objective) for epoch in range(2) for step in trainer.steps(epoch, clips)]
    state = trainer.model.state_dict()
    return {"losses": losses, **{name: value.flatten().tolist() for name, value in state.items()}}


def worker(rank: int, size: int, port: int, preset, recordings, split, out: Path) -> None:
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=size)
    torch.save(trained(preset, recordings, split, Share.of_group()), out / f"{rank}.pt")
    dist.destroy_process_group()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def together(size: int, preset, recordings, split, out: Path) -> list[dict[str, list[float]]]:
    context = multiprocessing.get_context("fork")  # torch is imported already: no second one per process
    port = free_port()
    processes = [
        context.Process(target=worker, args=(rank, size, port, preset, recordings, split, out)) for rank in range(size)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [torch.load(out / f"{rank}.pt") for rank in range(size)]
