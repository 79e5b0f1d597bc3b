"""The page of mistakes: which they are, where the models looked, and that it does nothing but what it should."""

import base64
import json
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parents[1]))

import fake_fits
from auricle import files, runs
from auricle.api import reporting
from auricle.config import StudyConfig
from auricle.data.cache import digest_of, prepare
from auricle.data.datasets import load_manifest
from auricle.errors import RefusedError
from auricle.findings.findings import find
from auricle.findings.mistakes import explanations, most_confident
from auricle.findings.study import Study, load_study
from auricle.report import errors_page
from auricle.report.build import build_report
from auricle.report.chapters.closing import listening
from auricle.report.document import Document, Report
from auricle.report.errors_page import PLAYED_HZ, build_errors_page, playable
from auricle.report.prose import sections_of
from auricle.report.render import numbered
from auricle.runs import StudyFolder
from auricle.runs.reopen import find_recordings
from auricle.scoring.predictions import Predictions, read_predictions, write_predictions
from auricle.study.study import run_study
from auricle.work.options import RunOptions
from in_browser import chromium, complaints_of, needs_axe, needs_browser, violations

HOSTILE = (
    "<img src=x onerror=document.title='hacked'>",
    "=cmd|' calc'!A0",
    "dog {{ 7 * 7 }} **x** [a](javascript:x) \ue0000\ue001",
)
RATE_HZ = 8_000
SMALL = {"training.epochs": 1, "audio.window_s": 0.5, "audio.window_hop_s": 0.25, "frontend.num_bands": 16}


def mistaken(cell, preset, recordings, split, *, device, threads, on_epoch):
    """Take the first half of the clips for the next class, and leave the weights of an untrained network."""
    from safetensors.torch import save

    from auricle.training.start import fresh_model, torch

    fake_fits.quick(cell, preset, recordings, split, device=device, threads=threads, on_epoch=on_epoch)
    right = read_predictions(cell.predictions)
    half = len(right.clips) // 2
    probabilities = right.probabilities.copy()
    probabilities[:half] = np.roll(probabilities[:half], 1, axis=1)
    columns = (right.clips, ("test",) * half + right.sets[half:], right.labels, right.starts_s)
    write_predictions(cell.predictions, Predictions(*columns, probabilities, right.categories))
    state = fresh_model(preset, len(right.categories), 0, torch.device("cpu")).state_dict()
    content = save({name: value.contiguous() for name, value in state.items()})
    files.write_atomically(cell.weights, lambda file: file.write(content))
    runs.write_metrics(cell, runs.read_metrics(cell))


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five tones of each of three classes, one second each."""
    folder = tmp_path_factory.mktemp("data") / "sounds"
    time_s = np.arange(RATE_HZ) / RATE_HZ
    for place, category in enumerate(HOSTILE):
        (folder / category).mkdir(parents=True)
        for take in range(5):
            tone = 0.3 * np.sin(2 * np.pi * 200 * (1 + place + take / 10) * time_s) * (time_s > 0.1 * take)
            soundfile.write(folder / category / f'{take}"><svg onload=alert(1)>.wav', tone, RATE_HZ)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, sounds: Path) -> Path:
    """The folder of the study."""
    config = StudyConfig(
        name="mishears", data=str(sounds), models=("cnn", "transformer-h2"), protocols=("k-fold",), overrides=SMALL
    )
    out = tmp_path_factory.mktemp("runs") / "mishears"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AURICLE_CACHE", str(tmp_path_factory.mktemp("cache")))
        run_study(config, out, RunOptions(workers=1), fit=mistaken)
    return out


@pytest.fixture(scope="module")
def study(folder: Path) -> Study:
    """The study, read."""
    return load_study(folder)


class Tags(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict]:
        return [attrs for name, attrs in self.found if name == tag]


@pytest.fixture(scope="module")
def page(study) -> str:
    path = build_errors_page(load_study(study.folder))
    assert path is not None
    return path.read_text()


def test_the_mistakes_are_the_surest_of_each_model_the_surest_first(study):
    chosen = most_confident(study, most=2)
    flat = [mistake for own in chosen for mistake in own]
    assert {name: sum(mistake.cell.model == name for mistake in flat) for name in study.models} == {
        "cnn": 2, "transformer-h2": 2,
    }  # fmt: skip
    first = [max(mistake.confidence for mistake in own) for own in chosen]
    assert first == sorted(first, reverse=True)
    for mistake in flat:
        assert mistake.answer != mistake.truth
        wrong = [
            cell.clips.answers[cell.clips.clips.index(mistake.clip)] != mistake.truth
            for cell in study.cells
            if cell.name.model == mistake.cell.model and mistake.clip in cell.clips.clips
        ]
        assert (mistake.num_wrong, mistake.num_tested) == (sum(wrong), len(wrong))


def test_a_network_says_where_it_looked_attention_or_occlusion(study, sounds):
    folder = StudyFolder(study.folder)
    clips = {clip.name: clip.path for clip in find_recordings(folder).clips}
    name = most_confident(study)[0][0].clip
    for cell in folder.cells():
        preset = study.presets[cell.name.model]
        found = explanations(cell, preset, 3, {name: clips[name]}, 1.0)[name]
        if preset.encoder is None:
            assert found.attention is None
            assert np.isfinite(found.occlusion).all()
        else:
            assert found.attention.shape[:2] == (preset.encoder.num_blocks, 2)
            np.testing.assert_allclose(found.attention.sum(axis=2), 1, atol=1e-6)
            np.testing.assert_allclose(found.rolled_out.sum(), 1, atol=1e-6)


def test_every_mistake_has_its_sound_pictures_answers_and_explanations(study, page):
    tags, chosen = Tags(page), most_confident(study)
    assert len(tags.named("audio")) == len(tags.named("article")) == len(chosen)
    assert all(audio["src"].startswith("data:audio/mpeg;base64,") for audio in tags.named("audio"))
    answers = [attrs for attrs in tags.named("section") if attrs.get("class") == "answer-of"]
    lookings = [attrs for attrs in tags.named("div") if attrs.get("class") == "saliency-of"]
    assert len(answers) == len(lookings) == sum(map(len, chosen))
    assert "attention of &lt;cls&gt;" in page
    assert len(page) < 8_000_000


def test_hostile_names_stay_words_and_nothing_is_fetched(page):
    tags = Tags(page)
    assert "&lt;img src=x onerror" in page
    assert not [attrs for attrs in tags.named("img") if not attrs["src"].startswith("data:image/png")]
    assert not [name for _, attrs in tags.found for name in attrs if name.startswith("on")]
    assert len(tags.named("script")) == 1
    addresses = [attrs[key] for _, attrs in tags.found for key in ("src", "href") if key in attrs]
    assert {address.partition(",")[0].partition(";")[0] for address in addresses} <= {
        "data:image/png", "data:audio/mpeg", "report.html",
    }  # fmt: skip
    policy = next(attrs["content"] for attrs in tags.named("meta") if attrs.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    assert "script-src 'sha256-" in policy


def test_a_page_that_is_still_true_is_left_and_another_is_made_anew(study, page, monkeypatch):
    path = StudyFolder(study.folder).report / "errors.html"
    before = path.stat().st_mtime_ns
    assert build_errors_page(load_study(study.folder)) == path
    assert path.stat().st_mtime_ns == before
    monkeypatch.setattr(errors_page, "VERSION", errors_page.VERSION + 1)
    build_errors_page(load_study(study.folder))
    assert path.stat().st_mtime_ns > before


def test_without_weights_the_page_has_sounds_and_no_explanations(study, tmp_path):
    shutil.copytree(study.folder, tmp_path / "study")
    for path in (tmp_path / "study").rglob("model.safetensors"):
        path.unlink()
    page = build_errors_page(load_study(tmp_path / "study"))
    assert page is not None
    tags = Tags(page.read_text())
    assert tags.named("audio")
    assert not [attrs for attrs in tags.named("div") if attrs.get("class") == "saliency-of"]


def test_other_recordings_are_refused_and_an_old_page_goes(study, sounds, tmp_path):
    shutil.copytree(study.folder, tmp_path / "study")
    other = shutil.copytree(sounds, tmp_path / "other")
    changed = next(other.rglob("*.wav"))
    soundfile.write(changed, np.zeros(8_000), 8_000)
    page = tmp_path / "study" / "report" / "errors.html"
    page.parent.mkdir(exist_ok=True)
    page.write_text("an older study's")
    with pytest.raises(RefusedError, match="differs from the recordings of"):
        build_errors_page(load_study(tmp_path / "study"), source=str(other))
    assert not page.exists()


@pytest.mark.long
def test_a_page_that_takes_long_is_the_same_from_another_process_and_the_report_waits_for_it(
    study, page, monkeypatch, tmp_path
):
    shutil.copytree(study.folder, tmp_path / "study", ignore=shutil.ignore_patterns("report"))
    monkeypatch.setattr(reporting, "takes_long", lambda evidence: True)
    written, notes = reporting.write_report(tmp_path / "study", probes=False, on_progress=lambda *message: None)
    assert notes == []
    assert written["errors"].read_text() == page
    assert "errors.html" in written["html"].read_text()
    written["errors"].unlink()
    for weights in (tmp_path / "study").rglob("model.safetensors"):
        weights.write_bytes(b"damaged")
    written, notes = reporting.write_report(tmp_path / "study", probes=False, on_progress=lambda *message: None)
    assert "errors" not in written
    assert notes[0].startswith("the page of mistakes was not written: ")


def test_a_page_holds_as_many_clips_as_it_may(study, monkeypatch, tmp_path):
    without_page = shutil.ignore_patterns("report")  # of another test, which would be left as it is
    shutil.copytree(study.folder, tmp_path / "study", ignore=without_page)
    monkeypatch.setattr(errors_page, "MAX_BYTES", 100_000)
    page = build_errors_page(load_study(tmp_path / "study"))
    assert page is not None
    assert 1 <= len(Tags(page.read_text()).named("article")) < len(most_confident(study))
    assert page.stat().st_size < 100_000 + 40_000  # style and words


def test_the_digest_is_that_of_decoding(sounds, tmp_path, monkeypatch):
    monkeypatch.setenv("AURICLE_CACHE", str(tmp_path))
    manifest = load_manifest(str(sounds))
    assert digest_of(manifest, sample_rate_hz=4_000) == prepare(manifest, sample_rate_hz=4_000).digest


def test_what_is_played_is_the_sound(tmp_path):
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * PLAYED_HZ) / PLAYED_HZ)).astype(np.float32)
    (tmp_path / "tone.mp3").write_bytes(base64.b64decode(playable(tone).partition(",")[2]))
    played, rate_hz = soundfile.read(tmp_path / "tone.mp3")
    assert rate_hz == PLAYED_HZ
    assert abs(np.abs(np.fft.rfft(played[:PLAYED_HZ])).argmax() - 440) <= 1
    assert (tmp_path / "tone.mp3").stat().st_size < 30_000


def test_the_report_links_to_the_page_or_says_how_to_get_it(study, page, tmp_path):
    def chapter(study: Study) -> str:
        found = listening(Report(study, find(study)))
        assert found is not None
        return json.dumps(numbered(Document("", "", "", sections_of("listening", found.values, found.exhibits))))

    assert '"kind": "beside", "text": "errors.html"' in chapter(study)
    shutil.copytree(study.folder, tmp_path / "study")
    shutil.rmtree(tmp_path / "study" / "report")
    assert "auricle report STUDY --data DIR" in chapter(load_study(tmp_path / "study"))


@needs_axe
@pytest.mark.long
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_report_and_page_of_mistakes_are_accessible(study, page, scheme):
    build_report(load_study(study.folder))
    with chromium() as browser:
        for name in ("report.html", "errors.html"):
            tab = browser.new_page(color_scheme=scheme)
            tab.goto((StudyFolder(study.folder).report / name).as_uri())
            assert violations(tab) == []


@needs_browser
def test_a_browser_plays_filters_and_goes_on(study, page):
    from playwright.sync_api import expect

    with chromium() as browser:
        tab = browser.new_page(viewport={"width": 390, "height": 800})
        wrong = complaints_of(tab, "file:", "data:")
        tab.goto((StudyFolder(study.folder).report / "errors.html").as_uri())
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        first, second = (tab.locator(".clip audio").nth(number) for number in (0, 1))
        tab.keyboard.press(" ")
        expect(first).to_have_js_property("paused", False)
        tab.keyboard.press("ArrowRight")
        expect(second).to_have_js_property("paused", False)
        expect(first).to_have_js_property("paused", True)  # the event `play` pauses the others
        assert tab.evaluate("document.querySelectorAll('.clip')[1].classList.contains('current')")
        everything = tab.inner_text("#shown")
        tab.select_option("#by-model", "1")
        assert tab.evaluate(
            "[...document.querySelectorAll('.answer-of:not([hidden])')].every(e => e.dataset.model === '1')"
        )
        tab.select_option("#by-class", "2")
        assert tab.inner_text("#shown") != everything
        assert re.fullmatch(r"\d+ of \d+ clips", tab.inner_text("#shown"))
        assert tab.title() != "hacked"
        assert wrong == []


@needs_browser
def test_keys_pressed_quickly_play_one_clip_and_shift_leaves_the_space_bar_to_the_browser(study, page):
    press = """keys => keys.forEach(
        key => document.body.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true})))"""
    playing = "[...document.querySelectorAll('audio')].flatMap((audio, place) => audio.paused ? [] : [place])"
    path = StudyFolder(study.folder).report / "errors.html"
    with chromium() as browser:
        tab = browser.new_page()
        wrong = complaints_of(tab, "file:", "data:")
        tab.goto(path.as_uri())
        tab.keyboard.press("Shift+Space")
        assert tab.evaluate(playing) == []
        tab.evaluate("document.querySelector('audio').load()")
        tab.evaluate(press, [" ", " "])
        tab.evaluate(press, [" ", "ArrowRight", "ArrowRight"])
        tab.wait_for_function("document.querySelectorAll('.clip')[2].classList.contains('begun')")
        assert tab.evaluate(playing) == [2]
        assert wrong == []
