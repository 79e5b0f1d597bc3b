"""Several processes that train one network together: each on rows of its own, all with the same weights."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing

from auricle.config import Preset, revalidated
from auricle.errors import UsageError
from auricle.runs import Cell, CellName, read_history
from auricle.training.augment import Augmenter
from auricle.training.fit import fit_cell
from auricle.training.joint import JointTrainer
from auricle.training.loop import Trainer, train_epoch
from auricle.training.start import prepare_training, training_clips

CPU = torch.device("cpu")


def worker(rank: int, size: int, port: int, work: Callable[..., Any], arguments: tuple, out: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=size)
    torch.save(work(*arguments), out / f"{rank}.pt")
    dist.destroy_process_group()


def together(size: int, out: Path, work: Callable[..., Any], *arguments: object) -> list[Any]:
    """Return what `work` returns in each of some processes of a group."""
    out.mkdir(exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    context = multiprocessing.get_context("fork")  # torch is imported already: no second one per process
    processes = [context.Process(target=worker, args=(rank, size, port, work, arguments, out)) for rank in range(size)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [torch.load(out / f"{rank}.pt") for rank in range(size)]


def weights_after_each_step(trainer: Trainer, clips, num_epochs: int = 2) -> list[list[float]]:
    """Train, and return all weights after each step."""
    return [
        torch.cat([weight.detach().flatten() for weight in trainer.model.parameters()]).tolist()
        for epoch in range(num_epochs)
        for _ in train_epoch(trainer, clips, epoch)
    ]


def steps_of(preset, recordings, split) -> list[list[float]]:
    trainer, sets = prepare_training(preset, recordings, split, 0, CPU)
    return weights_after_each_step(JointTrainer.of(trainer), training_clips(trainer, sets)[0])


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (2, {"optimizer": "muon", "encoder": True, "base_share": 0.5}),  # blocks without a gradient, then with one
        (3, {"windows": "grid", "views": 1, "gradient_clip": 0.1}),  # shares that are not equal
    ],
)
def test_all_have_the_same_weights_after_every_step(size, options, recordings, split, tmp_path, tiny) -> None:
    ranks = together(size, tmp_path, steps_of, tiny(epochs=2, **options), recordings, split)
    assert len(ranks[0]) > 4
    assert ranks[0][0] != ranks[0][-1]
    assert all(rank == ranks[0] for rank in ranks)


def plain(preset: Preset) -> Preset:
    """The same, with nothing that depends on the other rows of a batch or on chance, but for the order of clips."""
    blocks = tuple(block.model_copy(update={"norm": "none", "residual": False}) for block in preset.base.blocks)
    return preset.model_copy(
        update={
            "base": preset.base.model_copy(update={"blocks": blocks}),
            "head": preset.head.model_copy(update={"dropout": 0.0}),
            "augmentation": type(preset.augmentation)(
                **{name: 0 for name, value in preset.augmentation if isinstance(value, float | int)}
            ),
            "audio": revalidated(preset.audio, window_s=1.2),  # longer than a clip: nothing to draw
        }
    )


def test_without_chance_and_batch_norm_the_steps_are_those_of_one_process(recordings, split, tmp_path, tiny) -> None:
    preset = plain(tiny(batch_size=6, optimizer="sgd"))
    trainer, sets = prepare_training(preset, recordings, split, 0, CPU)
    alone = weights_after_each_step(trainer, training_clips(trainer, sets)[0])
    both = together(2, tmp_path, steps_of, preset, recordings, split)[0]
    torch.testing.assert_close(torch.tensor(both[:4]), torch.tensor(alone[:4]), rtol=0, atol=1e-5)


def rows_of(preset, recordings, split) -> tuple[list, list]:
    """Return the batches of an epoch, and the shape and first numbers of each that the augmentation gets and draws."""
    trainer, sets = prepare_training(preset, recordings, split, 0, CPU)
    joint, clips = JointTrainer.of(trainer), training_clips(trainer, sets)[0]
    state = joint.generator.get_state()
    batches = [batch.tolist() for batch in joint.batches(clips)]
    joint.generator.set_state(state)
    augmented = []

    class Heard(Augmenter):
        def __call__(self, clips, targets, window_frames):
            windows, targets = super().__call__(clips, targets, window_frames)
            augmented.append((len(clips), targets.tolist()))
            return windows, targets

    object.__setattr__(joint, "augmenter", Heard(**vars(joint.augmenter)))
    list(train_epoch(joint, clips, 0))
    return batches, augmented


@pytest.mark.parametrize("options", [{}, {"balance": "sampling"}])
def test_each_augments_its_own_rows_which_are_the_batches_of_one_process(
    options, recordings, split, tmp_path, tiny
) -> None:
    preset = tiny(**options)
    trainer, sets = prepare_training(preset, recordings, split, 0, CPU)
    alone = [batch.tolist() for batch in trainer.batches(training_clips(trainer, sets)[0])]
    ranks = together(2, tmp_path, rows_of, preset, recordings, split)
    assert [first + second for first, second in zip(*(batches for batches, _ in ranks), strict=True)] == alone
    for size, (batches, augmented) in zip((5, 4), ranks, strict=True):
        assert [len(batch) for batch in batches] == [num for num, _ in augmented] == [size] * len(alone)
    mixed = [[max(row) for _, targets in augmented for row in targets[:4]] for _, augmented in ranks]
    assert len(set(mixed[0]) & set(mixed[1]) - {1.0}) < 3, "each draws shares of its own"


def refused(preset, recordings, split) -> str:
    trainer, sets = prepare_training(preset, recordings, split, 0, CPU)
    with pytest.raises(UsageError) as error:
        JointTrainer.of(trainer).batches(training_clips(trainer, sets)[0])
    return str(error.value)


def test_a_batch_with_nothing_for_some_process_is_refused_by_all(recordings, split, tmp_path, tiny) -> None:
    said = together(3, tmp_path, refused, tiny(batch_size=2), recordings, split)
    assert said == ["a batch of 2 is too small for 3 workers; change training.batch_size or --workers"] * 3


def cell_of(folder: Path, rank: int) -> Cell:
    return Cell(CellName("tiny", "test-split", 1, 0), folder / str(rank))


def fitted(preset, recordings, split, folder: Path, stop_after: int | None) -> None:
    cell = cell_of(folder, dist.get_rank())
    cell.folder.mkdir(parents=True, exist_ok=True)

    def on_epoch(record) -> None:
        if record["epoch"] == stop_after:
            raise KeyboardInterrupt

    try:
        fit_cell(cell, preset, recordings, split, device="cpu", threads=1, on_epoch=on_epoch, joint=True)
    except KeyboardInterrupt:
        assert stop_after


def test_a_training_learns_and_resumes_from_the_files_of_the_first_bit_for_bit(
    recordings, split, tmp_path, tiny
) -> None:
    preset = tiny(epochs=8)
    asked = (preset, recordings, split)
    together(2, tmp_path / "whole", fitted, *asked, tmp_path / "whole", None)
    together(2, tmp_path / "again", fitted, *asked, tmp_path / "again", 3)
    first, second = (cell_of(tmp_path / "again", rank) for rank in range(2))
    second.checkpoint.write_bytes(first.checkpoint.read_bytes())
    together(2, tmp_path / "again", fitted, *asked, tmp_path / "again", None)
    whole = cell_of(tmp_path / "whole", 0)
    assert first.weights.read_bytes() == whole.weights.read_bytes()
    assert first.predictions.read_bytes() == whole.predictions.read_bytes()
    alone = Cell(whole.name, tmp_path / "alone")
    alone.folder.mkdir()
    fit_cell(alone, *asked, device="cpu", threads=1)
    accuracies = [json.loads(cell.metrics.read_text())["validation"]["clip"]["accuracy"] for cell in (whole, alone)]
    assert min(accuracies) > 0.85, accuracies
    assert [record["steps"] for record in read_history(whole)] == [record["steps"] for record in read_history(alone)]
