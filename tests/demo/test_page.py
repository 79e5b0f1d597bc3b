import re
from html.parser import HTMLParser

import numpy as np
import pytest
from fake_classifier import FakeClassifier, FakePrediction, tone
from hypothesis import given
from hypothesis import strategies as st

from auricle.demo import page
from auricle.demo.page import Shown
from auricle.demo.verdict import lengths_s, verdict_of
from auricle.predict.stretches import Stretch

CNN = Shown("cnn", "#0072b2", FakeClassifier())
TRANSFORMER = Shown("transformer-h2", "#d55e00", FakeClassifier(num_heads=2, num_layers=3))


class Words(HTMLParser):
    """The tags of a page, and its words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.words.append(data)


def prediction(probabilities, categories, *, none_of_these=False) -> FakePrediction:
    values = np.array(probabilities)
    return FakePrediction(values, categories[int(values.argmax())], np.zeros(1), values[None], none_of_these)


def names(card: str) -> list[str]:
    return re.findall(r'class="au-name" title="([^"]+)"', card)


def test_the_classes_stand_in_one_order_on_all_cards_the_likeliest_of_all_first():
    first, second = FakeClassifier(), FakeClassifier()
    shown = [Shown("a", "#000000", first), Shown("b", "#111111", second)]
    categories = first.categories
    html = page.cards(shown, [prediction([0.5, 0.4, 0.1], categories), prediction([0.0, 0.9, 0.1], categories)])
    one, two = html.split("</article>")[:2]
    assert names(one) == names(two) == ["flute", "bass drum", "whistle"]
    assert "bass drum <small>50 %" in one
    assert "flute <small>90 %" in two


def test_a_doubtful_sound_is_none_of_these_and_the_nearest_is_named():
    doubtful = prediction([0.2, 0.45, 0.35], CNN.classifier.categories, none_of_these=True)
    for html in (page.cards([CNN] * 2, [doubtful] * 2), page.render("verdict_on_clip", verdict_of([CNN], [doubtful]))):
        assert "none of these <small>nearest: flute, 45 %" in html


def test_the_verdict_is_the_mean_of_the_models_and_says_who_disagrees():
    shown = [Shown(name, "#000000", FakeClassifier()) for name in ("a", "b", "c")]
    categories = shown[0].classifier.categories
    answers = [prediction(values, categories) for values in ([0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.2, 0.7, 0.1])]
    html = page.render("verdict_on_clip", verdict_of(shown, answers))
    assert "bass drum <small>57 %" in html
    assert "2 of 3 models give this answer; c: flute." in html
    doubtful = [prediction([0.4, 0.3, 0.3], categories, none_of_these=True)] * 2
    html = page.render("verdict_on_clip", verdict_of(shown, [*doubtful, answers[0]]))
    assert "none of these <small>nearest: bass drum, 53 %" in html
    assert "2 of 3 models give this answer; c: bass drum." in html


def test_of_many_classes_the_likeliest_ten_are_shown_and_the_rest_added_up():
    categories = tuple(f"class{n}" for n in range(50))
    many = Shown("many", "#0072b2", FakeClassifier(categories=categories))
    html = page.cards([many], [prediction([0.5, *[0.5 / 49] * 49], categories)])
    assert len(names(html)) == page.MOST_BARS
    assert "40 other classes: 41 % in total" in html


@pytest.mark.parametrize(("num_heads", "num_layers"), [(1, 2), (4, 3)])
def test_every_head_of_every_layer_has_a_strip_and_the_whole_a_curve(num_heads, num_layers):
    model = Shown("h", "#d55e00", FakeClassifier(num_heads=num_heads, num_layers=num_layers))
    waveform = tone(440)
    html = page.saliency([model], [model.classifier.explain(waveform, 16_000)], duration_s=1.0)
    strips = re.findall(r'au-label">(L\d H\d)</div><div class="au-track au-strip"', html)
    assert strips == [f"L{layer} H{head}" for layer in range(1, num_layers + 1) for head in range(1, num_heads + 1)]
    assert html.count("au-track au-saliency") == 1


def test_models_with_and_without_attention_stand_below_each_other():
    waveform = tone(440)
    shown = [CNN, TRANSFORMER]
    html = page.saliency(shown, [model.classifier.explain(waveform, 16_000) for model in shown], duration_s=1.0)
    assert html.count("au-track au-saliency") == 2
    assert "when it is masked (occlusion)" in html
    assert "combined over 3 layers (attention rollout)" in html


@given(st.text(min_size=1, max_size=30))
def test_no_name_becomes_markup(name):
    hostile = Shown(name, "#0072b2", FakeClassifier(categories=(name, "<img src=x onerror=alert(1)>", "&quot;")))
    answers = [prediction([0.6, 0.3, 0.1], hostile.classifier.categories)]
    stretches = [Stretch(0.0, 1.0, name, 0.9, ()), Stretch(1.0, 2.0, "none of these", 0.4, ())]
    seen = Words(
        page.render("introduction", [hostile], max_mb=50, max_minutes=5, is_local=True)
        + page.render("verdict_on_clip", verdict_of([hostile] * 2, [*answers, *answers]))
        + page.render("verdict_on_recording", lengths_s(stretches), 2.0)
        + page.cards([hostile] * 2, answers * 2)
        + page.timeline(stretches, 2.0, [hostile])
        + page.render("message", name)
    )
    assert seen.tags <= {
        *("header", "h1", "h2", "p", "b", "section", "article", "div", "span", "i", "small", "details", "summary"),
        *("table", "thead", "tbody", "tr", "th", "td"),
    }


def test_the_introduction_says_the_limits_and_who_hears():
    html = page.render("introduction", [CNN], max_mb=50, max_minutes=5, is_local=True)
    assert "3 classes of sound: bass drum, flute, whistle." in html
    assert "up to 5 minutes and 50 MB" in html
    assert "on this computer" in html
    assert "on the computer that serves" in page.render("introduction", [CNN], max_mb=50, max_minutes=5, is_local=False)
