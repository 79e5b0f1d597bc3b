"""The demo's page in pieces of HTML: what it is, one card a model, the pictures, a message. Every name is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from auricle.predict.classifier import NONE_OF_THESE
from auricle.report.figures import tracks
from auricle.report.figures.tracks import answer_bar, confidence, readable
from auricle.report.wording import visible

if TYPE_CHECKING:
    from auricle.predict.classifier import Classifier, Prediction
    from auricle.predict.explain import Explanation

MOST_BARS = 10


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


def introduction(shown: Sequence[Shown], *, max_mb: int, max_s: int, is_local: bool) -> str:
    """Say what the models can tell apart, what may be uploaded, and what happens to it."""
    categories = shown[0].classifier.categories
    listed = ", ".join(readable(name) for name in categories[:12])
    more = f" and {len(categories) - 12} more" if len(categories) > 12 else ""
    where = "on this computer" if is_local else "on the computer that serves this page"
    return (
        f'<header class="au-head"><h1>What do you hear?</h1><p>{_listeners(shown)} '
        f"{len(categories)} kinds of sound: {listed}{more}.</p>"
        f'<p class="au-quiet">Sounds of up to {max_s} s and {max_mb} MB. They are heard {where}, '
        "sent nowhere else, and not kept.</p></header>"
    )


def _listeners(shown: Sequence[Shown]) -> str:
    if len(shown) == 1:
        return f"The model <b>{readable(shown[0].name)}</b> tells apart"
    return f"{len(shown)} models, side by side, tell apart"


def placeholder() -> str:
    """Return what stands where the answer will be."""
    return '<p class="au-empty">Record or upload a sound, or click an example: the answer appears here.</p>'


def message(text: str) -> str:
    """Say what is wrong, in one plain sentence."""
    return f'<p class="au-message" role="alert">{escape(visible(text))}</p>'


def cards(shown: Sequence[Shown], predictions: Sequence[Prediction]) -> str:
    """Return one card a model, the classes in the same order on all of them: the likeliest over all models first."""
    total: dict[str, float] = {}
    for model, prediction in zip(shown, predictions, strict=True):
        for category, probability in zip(model.classifier.categories, prediction.probabilities, strict=True):
            total[category] = total.get(category, 0.0) + float(probability)
    made = "".join(_card(model, prediction, total) for model, prediction in zip(shown, predictions, strict=True))
    plain = [readable(model.name) for model in shown if not model.is_calibrated]
    note = "Probabilities are calibrated on clips that were not trained on."
    if plain:
        note = f"Probabilities are not calibrated for {', '.join(plain)}: such a model is surer than it should be."
    return f'<section class="au-cards">{made}</section><p class="au-quiet">{note}</p>'


def _card(model: Shown, prediction: Prediction, total: Mapping[str, float]) -> str:
    categories = model.classifier.categories
    order = sorted(range(len(categories)), key=lambda index: -total[categories[index]])
    best = int(np.argmax(prediction.probabilities))
    highest = float(prediction.probabilities[best])
    verdict = NONE_OF_THESE if prediction.none_of_these else readable(prediction.label)
    nearest = f"nearest: {readable(categories[best])}, " if prediction.none_of_these else ""
    bars = "".join(
        answer_bar(categories[index], float(prediction.probabilities[index]), is_best=index == best)
        for index in order[:MOST_BARS]
    )
    if rest := order[MOST_BARS:]:
        others = confidence(float(prediction.probabilities[rest].sum()))
        bars += f'<p class="au-quiet">{len(rest)} others together {others}</p>'
    return (
        f'<article class="au-card" style="--au-colour:{model.colour}"><h3>{readable(model.name)} '
        f"<small>{escape(model.about)}</small></h3>"
        f'<p class="au-verdict">{verdict} <small>{nearest}{confidence(highest)}</small></p>'
        f"{bars}</article>"
    )


def pictures(
    waveform: np.ndarray, rate_hz: int, shown: Sequence[Shown], explanations: Sequence[Explanation] = ()
) -> str:
    """Return the recording on one axis of time, and below it where each model looked, as far as that is known.

    Args:
        waveform: shape (T,).
        rate_hz: of the waveform.
        shown: the models; the spectrogram is what the first one hears.
        explanations: one a model, or none yet.
    """
    duration_s = len(waveform) / rate_hz
    levels_db, _, centres_hz = shown[0].classifier.spectrogram(waveform, rate_hz)
    rows = [
        tracks.caption("Waveform"), tracks.row("", tracks.waveform_track(waveform), kind="wave"),
        tracks.caption("Spectrogram", "mel bands in Hz, 70 dB from dark to bright"),
        tracks.row("", tracks.spectrogram_track(levels_db, centres_hz), kind="spectrum"),
        tracks.row("", tracks.axis_track(duration_s), kind="axis"),
    ]  # fmt: skip
    for model, explanation in zip(shown, explanations, strict=False):
        explained = tracks.explanation_tracks(model.name, model.colour, explanation, duration_s)
        rows.append(f'<div style="--au-colour:{model.colour}">{explained}</div>')
    if explanations:
        rows.append(tracks.row("", tracks.axis_track(duration_s), kind="axis"))
    return f'<section class="au-pictures">{"".join(rows)}</section>'
