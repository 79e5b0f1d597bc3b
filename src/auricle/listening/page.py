"""The mistakes as one HTML file that needs no network: sounds, pictures and style are in it. Every name is escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from auricle.data.audio import load_waveform
from auricle.demo.page import bar, confidence, explanation_tracks, readable
from auricle.demo.tracks import axis_track, row, spectrogram_track, waveform_track
from auricle.listening.mistakes import Mistake
from auricle.listening.sounds import PLAYED_HZ, playable
from auricle.predict.explain import Explanation
from auricle.report.evidence import Study
from auricle.report.figures import palette
from auricle.report.figures_dataset import mel_levels
from auricle.report.wording import count, spoken, visible

NUM_BARS = 3  # likeliest categories of an answer, besides the true one
Looks = Mapping[tuple[str, str], Explanation]  # by model and clip


@dataclass(frozen=True)
class Card:
    """A clip on the page: its sound and pictures as HTML, and each model's wrong answer."""

    name: str
    truth: int
    sound: str
    pictures: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Answer:
    """What a model took a clip for: places of model and category, and the rest as HTML."""

    model: int
    answer: int
    verdict: str
    told: str
    bars: str
    looked: str


def card(study: Study, mistakes: Sequence[Mistake], path: Path, looks: Looks, duration_s: float) -> Card:
    """Return the card of one clip.

    Raises:
        RefusedError: the recording cannot be read.
    """
    waveform = load_waveform(path, sample_rate_hz=PLAYED_HZ, duration_s=duration_s)
    pictures = [
        row("", waveform_track(waveform), kind="wave"),
        row("", spectrogram_track(*mel_levels(waveform, PLAYED_HZ)), kind="spectrum"),
        row("", axis_track(duration_s), kind="axis"),
    ]
    answers = tuple(_answer(study, mistake, looks, duration_s) for mistake in mistakes)
    return Card(mistakes[0].clip, mistakes[0].truth, playable(waveform), "".join(pictures), answers)


def _answer(study: Study, mistake: Mistake, looks: Looks, duration_s: float) -> Answer:
    categories, name = study.dataset.categories, mistake.cell
    likeliest = np.argsort(mistake.probabilities)[::-1][:NUM_BARS].tolist()
    places = likeliest if mistake.truth in likeliest else [*likeliest, mistake.truth]
    seed = f", seed {name.seed}" if len(study.config.seeds) > 1 else ""
    of = f"{mistake.num_wrong} of {count(mistake.num_tested, 'training')}" if mistake.num_tested > 1 else ""
    look = looks.get((name.model, mistake.clip))
    colour = palette(study.models)[name.model]
    return Answer(
        model=study.models.index(name.model),
        answer=mistake.answer,
        verdict=f"{readable(categories[mistake.answer])} <small>{confidence(mistake.confidence)}</small>",
        told=f"{name.protocol}, fold {name.fold}{seed}" + (f"; wrong in {of}" if of else ""),
        bars="".join(
            bar(categories[place], mistake.probabilities[place], is_best=place == mistake.truth) for place in places
        ),
        looked=explanation_tracks(name.model, colour, look, duration_s) if look else "",
    )


def render(study: Study, cards: Sequence[Card], *, duration_s: float, most: int, made_of: str) -> str:
    """Return the page.

    Args:
        study: whose mistakes they are.
        cards: the clips, in order.
        duration_s: how much of each clip is heard.
        most: mistakes that are shown of a model.
        made_of: a hash that the page carries, of all that it is made of.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["markup"] = Markup
    script = template("errors.js")
    return environment.from_string(template("errors.html.j2")).render(
        title=f"What did they mishear? {visible(study.dataset.name)}",
        study=visible(study.config.name),
        cards=cards,
        models=[visible(model) for model in study.models],
        colours=list(palette(study.models).values()),
        categories=[spoken(category) for category in study.dataset.categories],
        most=most,
        cut_s=f"{duration_s:g}" if duration_s < study.dataset.clip_s else "",
        made_of=made_of,
        style=Markup(style()),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def style() -> str:
    """Return the style sheets of the report, of the demo's pictures and of this page."""
    report = resources.files("auricle.report").joinpath("templates", "report.css").read_text(encoding="utf-8")
    demo = resources.files("auricle.demo").joinpath("demo.css").read_text(encoding="utf-8")
    return report + demo + template("errors.css")


def template(name: str) -> str:
    """Return a template of this room."""
    return resources.files("auricle.listening").joinpath("templates", name).read_text(encoding="utf-8")
