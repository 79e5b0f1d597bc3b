"""Detect from the training history, epoch by epoch, whether a training learns. No torch.

A training has collapsed when each of its last few epochs shows the same sign:

    constant       every clip gets the same logits: the network ignores its input
    one-class      all training and validation clips get the same prediction
    chance         training accuracy is not above that of always predicting the most frequent class
    guessing       training loss is back at chance level, with an accuracy below twice chance
    starting-loss  training loss never fell below chance level

A healthy training is near chance at first too, so nothing is reported in the first tenth of the epochs, nor until a
few epochs after the warm-up; a training that learns later is reported as recovered.
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
SPREAD = 0.05  # of logits; probabilities then differ between clips by a twentieth of their value
SHARE = 0.98  # of the most frequent prediction
LEVEL = 0.05  # p-value below which training accuracy is above chance
LOSS = 0.97  # of the loss at chance level
FEW_TIMES = 2.0  # times the accuracy at chance level

MEANINGS = {
    "constant": "every clip gets the same logits",
    "one-class": "every clip gets the same prediction",
    "chance": "training accuracy is not above chance",
    "guessing": "the loss is back at chance level",
    "starting-loss": "the loss never fell below chance level",
}  # the most severe first

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Watch:
    """The chance levels of one training, to which its history is compared.

    Attributes:
        num_clips: training clips on which accuracy is measured.
        chance: accuracy of always predicting their most frequent class, 0..1.
        blank_loss: cross-entropy of predicting the class shares for every clip, in nats.
        first_epoch: the first epoch (from 1) that can be reported as a collapse.
    """

    num_clips: int
    chance: float
    blank_loss: float
    first_epoch: int

    @classmethod
    def over(cls, labels: np.ndarray, config: TrainingConfig, num_measured: int) -> Watch:
        """Return the watch for a training with this configuration.

        `labels` are those of its training clips, (N,), of which the accuracy of `num_measured` is measured.
        """
        shares = np.bincount(labels) / len(labels)
        known = shares[shares > 0]
        if config.balance != "none" and is_unequal(known):  # all classes count the same in the curves
            known = np.full(len(known), 1 / len(known))
        patient = max(STREAK, math.ceil(config.epochs / 10), math.ceil(config.warmup_epochs) + STREAK)
        return cls(
            num_clips=num_measured,
            chance=float(known.max()),
            blank_loss=float(-(known * np.log(known)).sum()),
            first_epoch=max(STREAK, min(patient, config.epochs)),
        )

    def signs(self, record: Record) -> set[str]:
        """Return the signs of collapse in one epoch; older histories contain only losses and accuracies."""
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
        """Return the p-value of this training accuracy against chance, by the exact binomial test."""
        from scipy.stats import binom

        return float(binom.sf(round(accuracy * self.num_clips) - 1, self.num_clips, self.chance))

    def sign(self, history: Sequence[Record]) -> str | None:
        """Return the most severe sign that all of the last epochs show, or None."""
        if len(history) < self.first_epoch:
            return None
        lasting = set.intersection(*(self.signs(record) for record in history[-STREAK:]))
        has_left = any(record["train_loss"] < LOSS * self.blank_loss for record in history)
        lasting.discard("starting-loss" if has_left else "guessing")
        return next((kind for kind in MEANINGS if kind in lasting), None)

    def news(self, history: Sequence[Record]) -> str | None:
        """Return what changed in the last epoch of a history: a kind of collapse, "recovered", or None.

        A collapse is reported once; again only if it gets worse, or returns after a recovery.
        """
        before, now, gravity = standing(history[:-1]), self.sign(history), [*MEANINGS].index
        if before is None:
            return now
        if now is not None:
            return now if gravity(now) < gravity(before["kind"]) else None
        return None if any(self.signs(record) for record in history[-STREAK:]) else "recovered"


def standing(history: Sequence[Record]) -> dict[str, Any] | None:
    """Return the recorded collapse that lasts at the end of a history; None if there is none."""
    for record in reversed(history):
        if record.get("recovered"):
            return None
        if "collapse" in record:
            return dict(record["collapse"])
    return None
