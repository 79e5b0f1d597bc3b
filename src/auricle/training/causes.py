"""The likely cause of a collapsed training, from measurements, and the changes that may fix it."""

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from auricle.config import Preset, TrainingConfig
from auricle.errors import count
from auricle.training.measure import FirstSteps, Inside

USUAL_STEP = 0.01  # relative to the norm of the matrix
FAST_STEP = 0.05
FEW_STEPS, ENOUGH_STEPS = 60, 200
WHOLE_WAY = 0.5  # least movement of all steps together, relative to the norm, that lets a network learn
STEEP_NORM = 20.0
FLAT_NORM = 1e-5
DEAD_SHARE = 0.5
SHARP_ENTROPY = 0.1
LOW_SPREAD = 0.01
WARMUP_EPOCHS = 5
MOST_CURES = 4

Cure = tuple[str, ...]


@dataclass(frozen=True)
class Cause:
    """A cause, described with its numbers, and the changes that may help: each one or several `section.field=value`."""

    text: str
    cures: tuple[Cure, ...]


@dataclass(frozen=True)
class Case:
    """A preset that did not learn, and its measurements."""

    preset: Preset
    start: FirstSteps
    now: Inside

    @property
    def step_size(self) -> float:
        """Return the largest of the first steps, relative to the weights."""
        return max(self.start.step_sizes, default=0.0)

    @property
    def steepest(self) -> float:
        """Return the largest gradient norm of the first steps."""
        return max(self.start.gradient_norms, default=0.0)

    @property
    def num_steps(self) -> int:
        """Return the number of steps of the whole training."""
        training = self.preset.training
        return min(self.start.steps_per_epoch * training.epochs, training.max_steps or sys.maxsize)

    @property
    def warmup(self) -> str:
        """Return the length of the warm-up as a phrase."""
        epochs = self.preset.training.warmup_epochs
        return f"a warm-up of {count(epochs, 'epoch')}" if epochs else "no warm-up"

    @property
    def longer_warmup(self) -> list[Cure]:
        """Return the change to a warm-up of the usual length if this one is shorter."""
        short = self.preset.training.warmup_epochs < WARMUP_EPOCHS <= self.preset.training.epochs / 4
        return [(f"training.warmup_epochs={WARMUP_EPOCHS}",)] if short else []


def likely_cause(case: Case) -> Cause:
    """Return the most likely cause and its effects, in one sentence, and the fixes to try, best first."""
    found = [cause for rule in RULES if (cause := rule(case)) is not None] or [_unknown(case)]
    cures = dict.fromkeys(cure for cause in found for cure in cause.cures)
    text = "; ".join([found[0].text, *_effects(case)])
    return Cause(text, tuple(cures)[:MOST_CURES])


def collapse(kind: str, record: Mapping[str, Any], case: Case) -> dict[str, Any]:
    """Return the description of a collapse (a kind of `watch.MEANINGS`) for the record of its epoch, JSON-able."""
    cause = likely_cause(case)
    seen = ("train_loss", "train_accuracy", "train_commonest", "validation_commonest", "train_spread")
    evidence = {name: record[name] for name in seen if name in record} | asdict(case.start) | asdict(case.now)
    return {
        "kind": kind,
        "epoch": record["epoch"],
        "cause": cause.text,
        "cures": [list(cure) for cure in cause.cures],
        "evidence": {name: _known(value) for name, value in evidence.items()},
    }


def _known(value: Any) -> Any:
    """Return a value as JSON can store it: lists for tuples, None for a number that is not finite."""
    if isinstance(value, tuple):
        return [_known(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _too_fast(case: Case) -> Cause | None:
    training = case.preset.training
    if case.step_size < FAST_STEP and not case.start.diverged:
        return None
    size = f"{100 * case.step_size:.0f} %" if case.start.step_sizes else "an infinite share"
    cures = [_at_rate(training, USUAL_STEP / max(case.step_size, USUAL_STEP * 10))]
    cures += case.longer_warmup
    cures += [("training.gradient_clip=1",)] if not training.gradient_clip else []
    width = f" for tokens of width {case.preset.encoder.width}" if case.preset.encoder else ""
    return Cause(
        f"learning rate {training.learning_rate:g} with {case.warmup} is too high{width}: one of the first steps "
        f"changes the typical weight matrix by {size} of its norm (1 % is usual)",
        tuple(cures),
    )


def _at_rate(training: TrainingConfig, factor: float) -> Cure:
    """Return the change that multiplies the learning rate by a factor, rounded to one digit."""
    rates = {"learning_rate": training.learning_rate}
    if training.optimizer == "muon":
        rates["matrix_learning_rate"] = training.matrix_learning_rate
    return tuple(f"training.{name}={float(f'{factor * rate:.0e}'):g}" for name, rate in rates.items())


def _steep(case: Case) -> Cause | None:
    if case.steepest < STEEP_NORM or case.preset.training.gradient_clip:
        return None
    return Cause(
        f"the gradient norm reaches {case.steepest:.3g} in the first steps, without gradient clipping",
        (("training.gradient_clip=1",),),
    )


def _too_few(case: Case) -> Cause | None:
    if case.num_steps >= FEW_STEPS or case.step_size < USUAL_STEP:
        return None
    training, epochs = case.preset.training, math.ceil(ENOUGH_STEPS / case.start.steps_per_epoch)
    cure = [f"training.epochs={epochs}"] if epochs > training.epochs else []
    cure += [f"training.max_steps={ENOUGH_STEPS}"] if (training.max_steps or ENOUGH_STEPS) < ENOUGH_STEPS else []
    steps = count(case.num_steps, "training step")
    return Cause(f"only {steps}, too few to learn", (tuple(cure),))


def _too_slow(case: Case) -> Cause | None:
    training, steps = case.preset.training, case.num_steps
    if case.step_size * steps >= WHOLE_WAY or case.step_size >= USUAL_STEP or case.start.diverged:
        return None
    return Cause(
        f"learning rate {training.learning_rate:g} is too low for {training.optimizer}: a step changes the typical "
        f"weight matrix by {100 * case.step_size:.2g} % of its norm (1 % is usual), {count(steps, 'step')} together by "
        f"at most {100 * case.step_size * steps:.2g} %",
        (_at_rate(training, min(100.0, USUAL_STEP / max(case.step_size, 1e-9))),),
    )


def _late_norm(case: Case) -> Cause | None:
    encoder = case.preset.encoder
    if encoder is None or encoder.norm == "pre":
        return None
    how = "comes after each residual sum (post-norm)" if encoder.norm == "post" else "is missing"
    return Cause(
        f"the layer norm of the encoder's {count(encoder.num_blocks, 'block')} {how}, with {case.warmup}: the gradient "
        f"norm reaches {case.steepest:.2g} in the first steps, which change the typical weight matrix by up to "
        f"{100 * case.step_size:.1f} % of its norm",
        (("encoder.norm=pre",), *case.longer_warmup),
    )


def _flat(case: Case) -> Cause | None:
    steepest = max(case.start.gradient_norms, default=FLAT_NORM)
    if steepest >= FLAT_NORM:
        return None
    text = f"vanishing gradients: the gradient norm is at most {steepest:.1g} in the first steps"
    return Cause(text, (_at_rate(case.preset.training, 10.0),))


RULES: tuple[Callable[[Case], Cause | None], ...] = (_too_fast, _too_few, _too_slow, _late_norm, _steep, _flat)


def _unknown(case: Case) -> Cause:
    text = (
        "nothing unusual in the first steps: they change the typical weight matrix by up to "
        f"{100 * case.step_size:.1f} % of its norm, with a gradient norm of {case.steepest:.2g}"
    )
    return Cause(text, tuple(_at_rate(case.preset.training, factor) for factor in (0.1, 10.0)))


def _effects(case: Case) -> Iterator[str]:
    """Yield the effects that show in the network now."""
    now = case.now
    if now.dead_units is not None and now.dead_units >= DEAD_SHARE:
        yield f"{100 * now.dead_units:.0f} % of the units of {now.dead_layer} are dead"
    if now.attention_entropy is not None and now.attention_entropy <= SHARP_ENTROPY:
        yield f"attention is saturated (entropy {100 * now.attention_entropy:.0f} % of uniform attention)"
    if now.summary_spread < LOW_SPREAD:
        yield f"the input of the classification head differs between clips by only {100 * now.summary_spread:.1g} %"
