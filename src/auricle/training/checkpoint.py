"""The state from which an unfinished training resumes: weights, average, optimiser and all random generators."""

import io
from typing import Any

import torch

from auricle.errors import RefusedError
from auricle.files import machine_errors, mark, read_marked, write_bytes, write_text
from auricle.runs import Cell, json_line
from auricle.training.loop import EpochRecord, Trainer

FORMAT = 4  # raise it when the optimiser state changes: PyTorch loads another one without an error


def _state(trainer: Trainer) -> dict[str, Any]:
    """Return everything that the rest of the training depends on."""
    device = trainer.precision.device
    return {
        "model": trainer.model.state_dict(),
        "average": trainer.average.model.state_dict() if trainer.average else None,
        "optimizer": trainer.optimizer.state_dict(),
        "generators": [trainer.generator.get_state(), trainer.augmenter.generator.get_state(), torch.get_rng_state()],
        "device": device.type,
        "cuda_generator": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def _restore(trainer: Trainer, state: dict[str, Any]) -> None:
    trainer.model.load_state_dict(state["model"])
    if trainer.average:
        trainer.average.model.load_state_dict(state["average"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    order, augmentation, global_ = (generator.cpu() for generator in state["generators"])
    trainer.generator.set_state(order)
    trainer.augmenter.generator.set_state(augmentation)
    torch.set_rng_state(global_)
    if state["cuda_generator"] is not None:
        torch.cuda.set_rng_state(state["cuda_generator"].cpu(), trainer.precision.device)


def save_checkpoint(cell: Cell, trainer: Trainer, history: list[EpochRecord]) -> None:
    """Write the state after an epoch, atomically.

    Raises:
        MachineError: the file cannot be written.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "state": _state(trainer), "history": history}, buffer)
    content = buffer.getbuffer()
    write_bytes(cell.checkpoint, mark(content), content)


def resume(cell: Cell, trainer: Trainer) -> tuple[list[EpochRecord], str]:
    """Return to the end of the last saved epoch.

    The history file is rewritten, which repairs a truncated line or an epoch more than the checkpoint has.

    Returns:
        The history, empty for a new cell; and a message if the checkpoint was damaged and the training starts over.

    Raises:
        RefusedError: the checkpoint is intact, but from another version of auricle or another kind of device.
        MachineError: the file cannot be written.
    """
    history, damage = list[EpochRecord](), ""
    if cell.checkpoint.exists():
        try:
            with machine_errors(cell.checkpoint, "read"):
                content = read_marked(cell.checkpoint, required=True)
        except RefusedError:
            damage = f"{cell.checkpoint.name} was damaged, so the training started over"
        else:
            history = _go_back(cell, trainer, content)
    write_text(cell.history, "".join(json_line(record) for record in history))
    return history, damage


def _go_back(cell: Cell, trainer: Trainer, content: bytes) -> list[EpochRecord]:
    try:
        saved = torch.load(io.BytesIO(content), map_location=trainer.precision.device, weights_only=True)
        if (found := saved.get("format", 1)) != FORMAT:
            raise ValueError(f"format {found}, not {FORMAT}")
        here = trainer.precision.device.type
        if (there := saved["state"].get("device", here)) != here:
            raise RefusedError(
                f"{cell.checkpoint} was written on device {there}, not {here}; continue with --device {there}, or "
                "delete it to train from the start"
            )
        _restore(trainer, saved["state"])
        return saved["history"]
    except (MemoryError, RefusedError):
        raise
    except Exception as error:  # PyTorch raises many types
        reason = " ".join(str(error).split())[:200]
        raise RefusedError(
            f"{cell.checkpoint} is from another version of auricle ({type(error).__name__}: {reason}); delete it "
            "to train from the start"
        ) from error
