"""Why a training collapsed, most likely, and the changes that may cure it; from what was measured."""

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from auricle.config import Preset, TrainingConfig
from auricle.training.measure import FirstSteps, Inside

USUAL_STEP = 0.01  # of a matrix' own norm
FAST_STEP = 0.05
FEW_STEPS, ENOUGH_STEPS = 60, 200
WHOLE_WAY = 0.5  # that all steps together must be able to go for a network to learn
STEEP_NORM = 20.0
FLAT_NORM = 1e-5
DEAD_SHARE = 0.5
SHARP_ENTROPY = 0.1
DEAF_SPREAD = 0.01
WARMUP_EPOCHS = 5
MOST_CURES = 4

Cure = tuple[str, ...]


@dataclass(frozen=True)
class Cause:
    """Why, in words that hold the numbers, and the changes that may help: each one or several `section.field=value`."""

    words: str
    cures: tuple[Cure, ...]


@dataclass(frozen=True)
class Case:
    """A preset that did not learn, and what was measured of it."""

    preset: Preset
    start: FirstSteps
    now: Inside

    @property
    def step_size(self) -> float:
        """Return the largest of the first steps, as a share of the weights."""
        return max(self.start.step_sizes, default=0.0)

    @property
    def steepest(self) -> float:
        """Return the largest norm of the gradient in the first steps."""
        return max(self.start.gradient_norms, default=0.0)

    @property
    def num_steps(self) -> int:
        """Return the steps of the whole training."""
        training = self.preset.training
        return min(self.start.steps_per_epoch * training.epochs, training.max_steps or sys.maxsize)

    @property
    def warmup(self) -> str:
        """Return what the warm-up is, as a part of a sentence."""
        epochs = self.preset.training.warmup_epochs
        return f"a warm-up of {epochs:g} epochs" if epochs else "no warm-up"

    @property
    def longer_warmup(self) -> list[Cure]:
        """Return the change to a warm-up of the usual length, where this one is shorter."""
        short = self.preset.training.warmup_epochs < WARMUP_EPOCHS <= self.preset.training.epochs / 4
        return [(f"training.warmup_epochs={WARMUP_EPOCHS}",)] if short else []


def likely_cause(case: Case) -> Cause:
    """Return the likeliest cause and what it has led to, in one sentence, and the cures to try, best first."""
    found = [cause for rule in RULES if (cause := rule(case)) is not None] or [_unknown(case)]
    cures = dict.fromkeys(cure for cause in found for cure in cause.cures)
    words = "; ".join([found[0].words, *_aftermath(case)])
    return Cause(words, tuple(cures)[:MOST_CURES])


def collapse(kind: str, record: Mapping[str, Any], case: Case) -> dict[str, Any]:
    """Return what is written down of a collapse (a kind of `watch.MEANINGS`) in the record of its epoch: JSON-able."""
    cause = likely_cause(case)
    seen = ("train_loss", "train_accuracy", "train_commonest", "validation_commonest", "train_spread")
    evidence = {name: record[name] for name in seen if name in record} | asdict(case.start) | asdict(case.now)
    return {
        "kind": kind,
        "epoch": record["epoch"],
        "cause": cause.words,
        "cures": [list(cure) for cure in cause.cures],
        "evidence": {name: _known(value) for name, value in evidence.items()},
    }


def _known(value: Any) -> Any:
    """Return a value as JSON gives it back: lists for tuples, None for a number that it does not know."""
    if isinstance(value, tuple):
        return [_known(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _too_fast(case: Case) -> Cause | None:
    training = case.preset.training
    if case.step_size < FAST_STEP and not case.start.diverged:
        return None
    size = f"{100 * case.step_size:.0f} %" if case.start.step_sizes else "no finite share"
    cures = [_at_rate(training, USUAL_STEP / max(case.step_size, USUAL_STEP * 10))]
    cures += case.longer_warmup
    cures += [("training.gradient_clip=1",)] if not training.gradient_clip else []
    width = f" for tokens of width {case.preset.encoder.width}" if case.preset.encoder else ""
    return Cause(
        f"learning rate {training.learning_rate:g} with {case.warmup} is too high{width}: one of the first steps moves "
        f"the typical weight matrix by {size} of its size (1 % is usual)",
        tuple(cures),
    )


def _at_rate(training: TrainingConfig, factor: float) -> Cure:
    """Return the change to so many times the learning rate, to one digit."""
    rates = {"learning_rate": training.learning_rate}
    if training.optimizer == "muon":
        rates["matrix_learning_rate"] = training.matrix_learning_rate
    return tuple(f"training.{name}={float(f'{factor * rate:.0e}'):g}" for name, rate in rates.items())


def _steep(case: Case) -> Cause | None:
    if case.steepest < STEEP_NORM or case.preset.training.gradient_clip:
        return None
    return Cause(
        f"the norm of the gradient reaches {case.steepest:.3g} in the first steps and is not clipped",
        (("training.gradient_clip=1",),),
    )


def _too_few(case: Case) -> Cause | None:
    if case.num_steps >= FEW_STEPS or case.step_size < USUAL_STEP:
        return None
    epochs = math.ceil(ENOUGH_STEPS / case.start.steps_per_epoch)
    steps = "step in all is" if case.num_steps == 1 else "steps in all are"
    return Cause(f"{case.num_steps} {steps} too few to learn in", ((f"training.epochs={epochs}",),))


def _too_slow(case: Case) -> Cause | None:
    training, steps = case.preset.training, case.num_steps
    if case.step_size * steps >= WHOLE_WAY or case.step_size >= USUAL_STEP or case.start.diverged:
        return None
    return Cause(
        f"learning rate {training.learning_rate:g} is too low for {training.optimizer}: a step moves the typical "
        f"weight matrix by {100 * case.step_size:.2g} % of its size (1 % is usual), all {steps:,} steps together by "
        f"{100 * case.step_size * steps:.2g} % at most",
        (_at_rate(training, min(100.0, USUAL_STEP / max(case.step_size, 1e-9))),),
    )


def _late_norm(case: Case) -> Cause | None:
    encoder = case.preset.encoder
    if encoder is None or encoder.norm == "pre":
        return None
    how = "stands after each sum (post-norm)" if encoder.norm == "post" else "is missing"
    return Cause(
        f"the norm of the encoder's {encoder.num_blocks} blocks {how}, with {case.warmup}: the gradient's norm reaches "
        f"{case.steepest:.2g} in the first steps, which move the typical weight matrix by up to "
        f"{100 * case.step_size:.1f} % of its size",
        (("encoder.norm=pre",), *case.longer_warmup),
    )


def _flat(case: Case) -> Cause | None:
    steepest = max(case.start.gradient_norms, default=FLAT_NORM)
    if steepest >= FLAT_NORM:
        return None
    words = f"no gradient reaches the weights: its norm is {steepest:.1g} at most in the first steps"
    return Cause(words, (_at_rate(case.preset.training, 10.0),))


RULES: tuple[Callable[[Case], Cause | None], ...] = (_too_fast, _too_few, _too_slow, _late_norm, _steep, _flat)


def _unknown(case: Case) -> Cause:
    words = (
        "nothing stands out in the first steps: the typical weight matrix moves by up to "
        f"{100 * case.step_size:.1f} % of its size, gradient norm {case.steepest:.2g}"
    )
    return Cause(words, tuple(_at_rate(case.preset.training, factor) for factor in (0.1, 10.0)))


def _aftermath(case: Case) -> Iterator[str]:
    """Yield what the network looks like by now."""
    now = case.now
    if now.dead_units is not None and now.dead_units >= DEAD_SHARE:
        yield f"{100 * now.dead_units:.0f} % of the units of {now.dead_layer} are dead by now"
    if now.attention_entropy is not None and now.attention_entropy <= SHARP_ENTROPY:
        yield f"attention is saturated (entropy {100 * now.attention_entropy:.0f} % of even attention)"
    if now.summary_spread < DEAF_SPREAD:
        yield f"what the head is given differs between clips by {100 * now.summary_spread:.1g} % only"
