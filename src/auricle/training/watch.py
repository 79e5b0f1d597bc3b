"""Whether a training learns: what its history says, epoch by epoch. No torch.

A training has collapsed when each of its last few epochs shows the same sign:

    constant       every clip is given the same logits: the network does not hear its input
    one-class      every clip of training and validation is given one answer
    chance         training accuracy is not above that of always giving the commonest class
    guessing       training loss is back at that of guessing, with less than twice the right answers of guessing
    starting-loss  training loss has never fallen below that of guessing

A healthy training is near chance at first too, so nothing is said before a tenth of the epochs, nor before the
warm-up is a few epochs past; and one that learns in the end is said to have recovered.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from auricle.config import TrainingConfig
from auricle.data.manifest import is_unequal

STREAK = 5  # epochs in a row
SPREAD = 0.05  # of logits; the clips' probabilities then differ by a twentieth of themselves
SHARE = 0.98  # of one answer
LEVEL = 0.05  # p-value below which training accuracy is above chance
LOSS = 0.97  # of the loss of guessing
FEW_TIMES = 2.0  # times the right answers of guessing

MEANINGS = {
    "constant": "every clip is given the same logits",
    "one-class": "every clip is given one answer",
    "chance": "training accuracy is not above chance",
    "guessing": "the loss is back at that of guessing",
    "starting-loss": "the loss has never fallen below that of guessing",
}  # the gravest first

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Watch:
    """What tells learning from guessing, for one training.

    Attributes:
        num_clips: training clips.
        chance: accuracy of always giving their commonest class, 0..1.
        blank_loss: cross-entropy of guessing, each class with its share, in nats.
        first_epoch: the first (from 1) of which anything is said.
    """

    num_clips: int
    chance: float
    blank_loss: float
    first_epoch: int

    @classmethod
    def over(cls, labels: np.ndarray, config: TrainingConfig) -> Watch:
        """Return the watch over a training by this recipe; labels are those of its training clips, (N,)."""
        shares = np.bincount(labels) / len(labels)
        known = shares[shares > 0]
        if config.balance != "none" and is_unequal(known):  # all classes count the same in the curves
            known = np.full(len(known), 1 / len(known))
        patient = max(STREAK, math.ceil(config.epochs / 10), math.ceil(config.warmup_epochs) + STREAK)
        return cls(
            num_clips=len(labels),
            chance=float(known.max()),
            blank_loss=float(-(known * np.log(known)).sum()),
            first_epoch=max(STREAK, min(patient, config.epochs)),
        )

    def signs(self, record: Record) -> set[str]:
        """Return the signs of collapse that one epoch shows; older histories hold losses and accuracies only."""
        found = set()
        if record.get("train_spread", math.inf) < SPREAD:
            found.add("constant")
        if min(record.get("train_commonest", 0.0), record.get("validation_commonest", 1.0)) >= SHARE > self.chance:
            found.add("one-class")
        if self.p_chance(record["train_accuracy"]) >= LEVEL:
            found.add("chance")
        if record["train_loss"] >= LOSS * self.blank_loss:
            found.add("starting-loss")
            if record["train_accuracy"] < FEW_TIMES * self.chance:
                found.add("guessing")
        return found

    def p_chance(self, accuracy: float) -> float:
        """Return the probability that guessing has this training accuracy or more, by the exact binomial test."""
        from scipy.stats import binom

        return float(binom.sf(round(accuracy * self.num_clips) - 1, self.num_clips, self.chance))

    def sign(self, history: Sequence[Record]) -> str | None:
        """Return the gravest sign that all of the last epochs show, None where they show none."""
        if len(history) < self.first_epoch:
            return None
        lasting = set.intersection(*(self.signs(record) for record in history[-STREAK:]))
        has_left = any(record["train_loss"] < LOSS * self.blank_loss for record in history)
        lasting.discard("starting-loss" if has_left else "guessing")
        return next((kind for kind in MEANINGS if kind in lasting), None)

    def news(self, history: Sequence[Record]) -> str | None:
        """Return what the last epoch of a history changes: a kind of collapse, "recovered", or nothing.

        A collapse is news once; again only if it gets graver, or comes back after a recovery.
        """
        before, now, gravity = standing(history[:-1]), self.sign(history), [*MEANINGS].index
        if before is None:
            return now
        if now is not None:
            return now if gravity(now) < gravity(before["kind"]) else None
        return None if any(self.signs(record) for record in history[-STREAK:]) else "recovered"


def standing(history: Sequence[Record]) -> dict[str, Any] | None:
    """Return the collapse in which a history ends, as its epoch recorded it; None where there is none."""
    for record in reversed(history):
        if record.get("recovered"):
            return None
        if "collapse" in record:
            return dict(record["collapse"])
    return None
