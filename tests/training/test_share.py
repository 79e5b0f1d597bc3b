"""Several processes that train one network together take the steps of one."""

import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing

from auricle.config import Preset
from auricle.errors import UsageError
from auricle.training.evaluate import Clips
from auricle.training.loop import train_epoch
from auricle.training.share import Share
from auricle.training.start import prepare_training, training_clips


def trained(preset, recordings, split, share: Share, double: bool) -> dict[str, list[float]]:
    """Return the losses of two epochs, and weights with running statistics at their end."""
    torch.set_num_threads(1)
    trainer, sets = prepare_training(preset, recordings, split, 0, torch.device("cpu"))
    share.join(trainer.model)
    trainer, clips = replace(trainer, share=share), training_clips(trainer, sets)[0]
    if double:
        trainer, clips = replace(trainer, average=None), Clips(clips.frames.double(), clips.targets.double())
        trainer.model.double()
    losses = [float(step.objective) for epoch in range(2) for step in train_epoch(trainer, clips, epoch)]
    state = trainer.model.state_dict()
    return {"losses": losses, **{name: value.flatten().tolist() for name, value in state.items()}}


def dropping(preset: Preset) -> Preset:
    """The same with dropout in the base, where maps lie channels last."""
    blocks = tuple(block.model_copy(update={"dropout": 0.3}) for block in preset.base.blocks)
    return preset.model_copy(update={"base": preset.base.model_copy(update={"blocks": blocks})})


def worker(rank: int, size: int, port: int, preset, recordings, split, out: Path, double: bool) -> None:
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=size)
    torch.save(trained(preset, recordings, split, Share.of_group(), double), out / f"{rank}.pt")
    dist.destroy_process_group()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def together(size: int, preset, recordings, split, out: Path, double: bool) -> list[dict[str, list[float]]]:
    context = multiprocessing.get_context("fork")  # torch is imported already: no second one per process
    port = free_port()
    processes = [
        context.Process(target=worker, args=(rank, size, port, preset, recordings, split, out, double))
        for rank in range(size)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [torch.load(out / f"{rank}.pt") for rank in range(size)]


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (2, {}),
        (3, {"encoder": True, "optimizer": "muon"}),
        (2, {"encoder": True, "windows": "grid", "views": 1, "gradient_clip": 0.1}),  # shares that are not equal
    ],
)
def test_without_rounding_losses_and_weights_are_those_of_one_process(
    size, options, recordings, split, tmp_path, tiny
) -> None:
    preset = dropping(tiny(**options))
    alone = trained(preset, recordings, split, Share(), double=True)
    ranks = together(size, preset, recordings, split, tmp_path, True)
    assert len(alone["losses"]) > 2
    for name, values in alone.items():
        if not name.endswith("key.bias"):  # softmax does not see it: its gradient is rounding alone
            np.testing.assert_allclose(ranks[0][name], values, atol=1e-6, err_msg=name)
    assert all(rank == ranks[0] for rank in ranks), "every process holds the same weights, to the bit"


def test_with_rounding_the_losses_are_those_of_one_process_to_a_ten_thousandth(
    recordings, split, tmp_path, tiny
) -> None:
    preset = tiny(encoder=True)
    alone = trained(preset, recordings, split, Share(), double=False)
    ranks = together(2, preset, recordings, split, tmp_path, False)
    np.testing.assert_allclose(ranks[0]["losses"], alone["losses"], atol=1e-4)


@pytest.mark.parametrize("num_rows", [9, 7, 3])
def test_shares_are_the_batch_in_pieces(num_rows: int) -> None:
    batch = torch.arange(num_rows)
    pieces = [Share(rank, 3).of(batch) for rank in range(3)]
    assert torch.equal(torch.cat(pieces), batch)
    assert max(map(len, pieces)) - min(map(len, pieces)) <= 1
    assert Share().of(batch) is batch


def test_a_batch_with_nothing_for_some_process_is_refused() -> None:
    with pytest.raises(UsageError, match=r"a batch of 2 is too small for 3 workers; change training.batch_size"):
        Share(0, 3).of(torch.arange(2))


def test_joining_leaves_the_state_of_a_network_as_it_was(recordings, split, tiny) -> None:
    trainer, _ = prepare_training(tiny(encoder=True), recordings, split, 0, torch.device("cpu"))
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    parameters = list(trainer.model.parameters())
    Share(0, 2).join(trainer.model)
    after = trainer.model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert all(new is old for new, old in zip(trainer.model.parameters(), parameters, strict=True))
