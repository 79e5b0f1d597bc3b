"""The demo's page in pieces of HTML: templates/page.html.j2 with values in it, which escapes every name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from auricle.demo import tracks
from auricle.predict.classifier import NONE_OF_THESE
from auricle.report.wording import shortened, visible

if TYPE_CHECKING:
    from markupsafe import Markup

    from auricle.predict.classifier import Classifier, Prediction
    from auricle.predict.explain import Explanation

MOST_BARS = 10
NAME_LENGTH = 26


@dataclass(frozen=True)
class Shown:
    """A model on the page: its name, its colour in every figure of its study ("#rrggbb"), and itself.

    Attributes:
        about: how good it is, in a few words.
        is_calibrated: its probabilities were fitted on clips that it had not learnt from.
    """

    name: str
    colour: str
    classifier: Classifier
    about: str = ""
    is_calibrated: bool = True


def render(macro: str, *values: Any, **options: Any) -> Markup:
    """Return a piece of the page: `introduction`, `placeholder`, `message`, `verdict`, `bar`, `track` and others."""
    return getattr(_macros(), macro)(*values, **options)


@cache
def _macros() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"readable": readable, "confidence": confidence, "visible": visible}
    environment.globals["none_of_these"] = NONE_OF_THESE
    return environment.from_string(style_or_template("page.html.j2")).module


def style_or_template(name: str) -> str:
    """Return a file of this room's templates, such as demo.css."""
    return resources.files("auricle.demo").joinpath("templates", name).read_text(encoding="utf-8")


def readable(name: str, length: int = NAME_LENGTH) -> str:
    """Return a name from a bundle in words and not too long.

    >>> readable("crying_baby")
    'crying baby'
    """
    return shortened(visible(name).replace("_", " "), length)


def confidence(probability: float) -> str:
    """Write a probability so that what is neither sure nor impossible does not look so.

    >>> confidence(0.973), confidence(0.004), confidence(0.9991)
    ('97 %', '<1 %', '>99 %')
    """
    if 0.01 <= probability <= 0.99:
        return f"{100 * probability:.0f} %"
    return "<1 %" if probability < 0.01 else ">99 %"


def cards(shown: Sequence[Shown], predictions: Sequence[Prediction]) -> Markup:
    """Return one card a model, the classes in the same order on all of them: the likeliest over all models first."""
    rows = [
        dict(zip(model.classifier.categories, prediction.probabilities.tolist(), strict=True))
        for model, prediction in zip(shown, predictions, strict=True)
    ]
    totals: Counter[str] = Counter()
    for row in rows:
        totals.update(row)
    answers = []
    for model, prediction, row in zip(shown, predictions, rows, strict=True):
        order = sorted(row, key=lambda category: -totals[category])
        answers.append(
            {
                "model": model,
                "label": prediction.label,
                "none_of_these": prediction.none_of_these,
                "probability": row[prediction.label],
                "bars": [(category, row[category]) for category in order[:MOST_BARS]],
                "num_others": len(order[MOST_BARS:]),
                "others": sum(row[category] for category in order[MOST_BARS:]),
            }
        )
    return render("cards", answers)


def pictures(
    waveform: np.ndarray, rate_hz: int, shown: Sequence[Shown], explanations: Sequence[Explanation] = ()
) -> Markup:
    """Return the recording on one axis of time, and below it where each model looked, as far as that is known.

    Args:
        waveform: shape (T,).
        rate_hz: of the waveform.
        shown: the models; the spectrogram is what the first one hears.
        explanations: one a model, or none yet.
    """
    duration_s = len(waveform) / rate_hz
    axis = tracks.axis_track(duration_s)
    levels_db, _, centres_hz = shown[0].classifier.spectrogram(waveform, rate_hz)
    sound = render("sound", tracks.waveform_track(waveform), tracks.spectrogram_track(levels_db, centres_hz), axis)
    explained = [
        (model.colour, explanation_tracks(model.name, model.colour, explanation, duration_s))
        for model, explanation in zip(shown, explanations, strict=False)
    ]
    return render("pictures", sound, explained, axis)


def explanation_tracks(model: str, colour: str, explanation: Explanation, duration_s: float) -> Markup:
    """Return where a model looked, in its colour ("#rrggbb"): a curve, and for a transformer a strip a head."""
    times_s, strips, num_layers = explanation.times_s, [], 0
    if explanation.attention is not None:
        num_layers = len(explanation.attention)
        for layer, heads in enumerate(explanation.attention, 1):
            for head, values in enumerate(heads, 1):
                strips.append((f"L{layer} H{head}", tracks.strip_track(times_s, values, duration_s, colour)))
    values = explanation.occlusion if explanation.rolled_out is None else explanation.rolled_out
    assert values is not None
    return render("explanation", model, tracks.curve_track(times_s, values, duration_s), strips, num_layers)
