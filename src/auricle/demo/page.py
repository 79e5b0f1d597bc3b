"""The demo's page in pieces of HTML: what it is, one card a model, the pictures, a message. Every name is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from auricle.demo import tracks
from auricle.predict.classifier import NONE_OF_THESE
from auricle.report.wording import shortened, visible

if TYPE_CHECKING:
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


def readable(name: str, length: int = NAME_LENGTH) -> str:
    """Return a name from a bundle as safe HTML, in words and not too long.

    >>> readable("crying_baby"), readable("<b>")
    ('crying baby', '&lt;b&gt;')
    """
    return escape(shortened(visible(name).replace("_", " "), length))


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
        bar(categories[index], float(prediction.probabilities[index]), is_best=index == best)
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


def bar(category: str, probability: float, *, is_best: bool) -> str:
    """Return a category, its probability as a bar, and in tracks."""
    best = " au-best" if is_best else ""
    return (
        f'<div class="au-bar{best}"><span class="au-name" title="{readable(category, 80)}">{readable(category)}</span>'
        f'<span class="au-full"><i style="width:{100 * probability:.1f}%"></i></span>'
        f'<span class="au-share">{confidence(probability)}</span></div>'
    )


def confidence(probability: float) -> str:
    """Write a probability so that what is neither sure nor impossible does not look so.

    >>> confidence(0.973), confidence(0.004), confidence(0.9991)
    ('97 %', '&lt;1 %', '&gt;99 %')
    """
    if 0.01 <= probability <= 0.99:
        return f"{100 * probability:.0f} %"
    return "&lt;1 %" if probability < 0.01 else "&gt;99 %"


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
        _caption("Waveform"), tracks.row("", tracks.waveform_track(waveform), kind="wave"),
        _caption("Spectrogram", "mel bands in Hz, 70 dB from dark to bright"),
        tracks.row("", tracks.spectrogram_track(levels_db, centres_hz), kind="spectrum"),
        tracks.row("", tracks.axis_track(duration_s), kind="axis"),
    ]  # fmt: skip
    for model, explanation in zip(shown, explanations, strict=False):
        explained = explanation_tracks(model.name, model.colour, explanation, duration_s)
        rows.append(f'<div style="--au-colour:{model.colour}">{explained}</div>')
    if explanations:
        rows.append(tracks.row("", tracks.axis_track(duration_s), kind="axis"))
    return f'<section class="au-pictures">{"".join(rows)}</section>'


def explanation_tracks(model: str, colour: str, explanation: Explanation, duration_s: float) -> str:
    """Return where a model looked, in its colour ("#rrggbb"): a curve, and for a transformer a strip a head."""
    name = f"Where <b>{readable(model)}</b> looked"
    if explanation.attention is None:
        assert explanation.occlusion is not None
        about = "how far its answer falls when this moment is blanked out"
        curve = tracks.curve_track(explanation.times_s, explanation.occlusion, duration_s)
        return _caption(name, about) + tracks.row("", curve, kind="look")
    assert explanation.rolled_out is not None
    layers, heads = explanation.attention.shape[:2]
    about = f"attention of &lt;cls&gt;, rolled out over {layers} layers; below, each head of each layer"
    curve = tracks.curve_track(explanation.times_s, explanation.rolled_out, duration_s)
    rows = [_caption(name, about), tracks.row("", curve, kind="look")]
    for layer in range(layers):
        for head in range(heads):
            strip = tracks.strip_track(explanation.times_s, explanation.attention[layer, head], duration_s, colour)
            rows.append(tracks.row(f"L{layer + 1} H{head + 1}", strip, kind="strip"))
    return "".join(rows)


def _caption(name: str, about: str = "") -> str:
    return f'<p class="au-caption">{name} <span class="au-quiet">{about}</span></p>'
