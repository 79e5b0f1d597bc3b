"""Several processes train one network together, with PyTorch's `DistributedDataParallel` (arXiv:2006.15704).

    every process   draws the same order of clips, and reads and augments its own rows of every batch
    together        average the gradients, so that all take the same steps

An epoch has the batches and windows that one process would draw. Windows are mixed with others of the same process, and
batch norm sees the rows of its own process; the running statistics are those of the first. The processes are those of
PyTorch's default group.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from typing_extensions import override

from auricle.errors import UsageError
from auricle.training.evaluate import Clips
from auricle.training.loop import Trainer


@dataclass(frozen=True)
class JointTrainer(Trainer):
    """The trainer of one of the processes."""

    network: DistributedDataParallel  # base, summary and head: what has weights

    @classmethod
    def of(cls, trainer: Trainer) -> JointTrainer:
        """Join a trainer with those of the other processes; all start from the weights of the first."""
        model = trainer.model
        network = nn.Sequential(model.base, model.summary, model.head)
        has_phases = trainer.preset.training.base_share > 0  # in the first, the encoder's blocks get no gradient
        return cls(**vars(trainer), network=DistributedDataParallel(network, find_unused_parameters=has_phases))

    @override
    def batches(self, clips: Clips) -> list[Tensor]:
        """Draw the batches of an epoch, and return the rows of this process; the remainder goes to the first ones.

        Raises:
            UsageError: a batch has fewer rows than there are processes.
        """
        batches, num = super().batches(clips), dist.get_world_size()
        if (least := min(map(len, batches))) < num:
            advice = "change training.batch_size or --workers"
            raise UsageError(f"a batch of {least} is too small for {num} workers; {advice}")
        return [batch.tensor_split(num)[dist.get_rank()] for batch in batches]

    @override
    def enter(self, epoch: int, num_alone: int) -> None:
        """Begin an epoch: of the seeds drawn by all, take this process's for augmentation and dropout.

        So a checkpoint of the first process is enough to resume all of them.
        """
        super().enter(epoch, num_alone)
        seed = torch.randint(2**62, (dist.get_world_size(),), generator=self.generator)[dist.get_rank()]
        self.augmenter.generator.manual_seed(int(seed))
        torch.manual_seed(int(seed))

    @override
    def classify(self, features: Tensor) -> Tensor:
        """Return the logits of this process's rows; the gradients of all processes are averaged."""
        return self.network(features)
