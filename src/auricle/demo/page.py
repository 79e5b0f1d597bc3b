"""The pieces of HTML of the demo's page, from templates/page.html.j2, which escapes every name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from auricle.data.manifest import classes_of
from auricle.demo.verdict import mean_probabilities
from auricle.predict.classifier import NONE_OF_THESE
from auricle.predict.formats import short_time
from auricle.predict.stretches import named_stretches
from auricle.report.figures import tracks
from auricle.report.figures.style import palette
from auricle.report.pages import page_environment

if TYPE_CHECKING:
    from markupsafe import Markup

    from auricle.predict.classifier import Classifier, Prediction
    from auricle.predict.explain import Explanation
    from auricle.predict.stretches import Stretch

MOST_BARS = 10


@dataclass(frozen=True)
class Shown:
    """A model on the page: its name, its colour in every figure of its study ("#rrggbb"), and itself."""

    name: str
    colour: str
    classifier: Classifier
    about: str = ""  # its accuracy, in a few words
    is_calibrated: bool = True  # whether its probabilities were calibrated on clips not used for training


def render(macro: str, *values: Any, **options: Any) -> Markup:
    """Return a piece of the page: `introduction`, `verdict_on_clip`, `cards` and others."""
    return getattr(_macros(), macro)(*values, **options)


@cache
def _macros() -> Any:
    environment = page_environment()
    environment.globals["none_of_these"] = NONE_OF_THESE
    environment.filters |= {"classes_of": classes_of, "short_time": short_time}
    return environment.from_string(style_or_template("page.html.j2")).module


def style_or_template(name: str) -> str:
    """Return a file of this room's templates, such as demo.css."""
    return resources.files("auricle.demo").joinpath("templates", name).read_text(encoding="utf-8")


def cards(shown: Sequence[Shown], predictions: Sequence[Prediction]) -> Markup:
    """Return one card per model, with the classes in the same order on all: the most probable over all models first."""
    order = list(mean_probabilities(shown, predictions))
    answers = []
    for model, prediction in zip(shown, predictions, strict=True):
        row = dict(zip(model.classifier.categories, prediction.probabilities.tolist(), strict=True))
        bars = [(category, row[category]) for category in order if category in row]
        answers.append(
            {
                "model": model,
                "label": prediction.label,
                "none_of_these": prediction.none_of_these,
                "probability": row[prediction.label],
                "bars": bars[:MOST_BARS],
                "num_others": len(bars[MOST_BARS:]),
                "others": sum(share for _, share in bars[MOST_BARS:]),
            }
        )
    return render("cards", answers)


def timeline(stretches: Sequence[Stretch], duration_s: float, models: Sequence[Shown]) -> Markup:
    """Return the detections in a long sound: blocks on its time axis, and the same as a table."""
    colours = palette([*dict.fromkeys(stretch.label for stretch in named_stretches(stretches))])
    return render("timeline", stretches, duration_s, models, colours)


def pictures(waveform: np.ndarray, rate_hz: int, shown: Sequence[Shown]) -> Markup:
    """Return waveform and spectrogram of the recording, as in the input of the first model."""
    levels_db, _, centres_hz = shown[0].classifier.spectrogram(waveform, rate_hz)
    sound = tracks.waveform_track(waveform), tracks.spectrogram_track(levels_db, centres_hz)
    return render("sound", *sound, tracks.axis_track(len(waveform) / rate_hz))


def saliency(shown: Sequence[Shown], explanations: Sequence[Explanation], duration_s: float) -> Markup:
    """Return the saliency of each model over the time of the recording."""
    explained = [
        (model, tracks.saliency_tracks(explanation, duration_s, model.colour))
        for model, explanation in zip(shown, explanations, strict=True)
    ]
    return render("saliency", explained, tracks.axis_track(duration_s))
