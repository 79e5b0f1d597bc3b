"""The demo's page in pieces of HTML: templates/page.html.j2 with values in it, which escapes every name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from auricle.data.manifest import classes_of
from auricle.predict.classifier import NONE_OF_THESE
from auricle.report.figures import tracks
from auricle.report.pages import page_environment

if TYPE_CHECKING:
    from markupsafe import Markup

    from auricle.predict.classifier import Classifier, Prediction
    from auricle.predict.explain import Explanation

MOST_BARS = 10


@dataclass(frozen=True)
class Shown:
    """A model on the page: its name, its colour in every figure of its study ("#rrggbb"), and itself."""

    name: str
    colour: str
    classifier: Classifier
    about: str = ""  # how good it is, in a few words
    is_calibrated: bool = True  # its probabilities were fitted on clips that it had not learnt from


def render(macro: str, *values: Any, **options: Any) -> Markup:
    """Return a piece of the page: `introduction`, `placeholder`, `message`, `cards` and others."""
    return getattr(_macros(), macro)(*values, **options)


@cache
def _macros() -> Any:
    environment = page_environment()
    environment.globals["none_of_these"] = NONE_OF_THESE
    environment.filters["classes_of"] = classes_of
    return environment.from_string(style_or_template("page.html.j2")).module


def style_or_template(name: str) -> str:
    """Return a file of this room's templates, such as demo.css."""
    return resources.files("auricle.demo").joinpath("templates", name).read_text(encoding="utf-8")


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
    """Return the recording on one axis of time, as the first model hears it, and where each looked, if known."""
    duration_s = len(waveform) / rate_hz
    axis = tracks.axis_track(duration_s)
    levels_db, _, centres_hz = shown[0].classifier.spectrogram(waveform, rate_hz)
    sound = render("sound", tracks.waveform_track(waveform), tracks.spectrogram_track(levels_db, centres_hz), axis)
    explained = [
        (model, tracks.looked_tracks(explanation, duration_s, model.colour))
        for model, explanation in zip(shown, explanations, strict=False)
    ]
    return render("pictures", sound, explained, axis)
