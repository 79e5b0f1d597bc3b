# ruff: noqa: F401, F811
"""The page of `auricle export --web`: in headless Chromium it says of a sound what `auricle predict` says."""

import base64
import gzip
import hashlib
import json
import os
import re
import runpy
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fake_classifier import tone

from auricle.bundle.reading import load_bundle
from auricle.cli import main
from auricle.demo import browser
from auricle.errors import RefusedError
from auricle.predict.classifier import Classifier
from auricle.predict.stream import predict_windows
from auricle.predict.stretches import Pooling
from bundle_fixtures import bundle, cell, copy, transformer_bundle, transformer_cell
from forged_bundles import change
from in_browser import chromium, complaints_of, needs_axe, needs_browser, violations

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-3  # in probability; what the browser's own resampler costs is a hundred times as much
BYTES = "Uint8Array.from(atob(sound), mark => mark.charCodeAt(0))"
ANSWER = f"""async sound => {{
  const answer = await answerTo(await waveformOf(new File([{BYTES}], ""), MODEL.rateHz));
  return [answer.clip, answer.steps, answer.stretches.map(part => [part.startS, part.endS, part.label])]; }}"""
RATE = f"sound => ownRateHz(new DataView({BYTES}.buffer))"
RESAMPLED = "([sound, from, to]) => Array.from(resampled(Float32Array.from(sound), from, to))"
FAKE_MICROPHONE = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
COUNTED = """() => { window.streams = [];
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async asked => { streams.push(await open(asked)); return streams.at(-1); }; }"""
HEARD = {".wav": (8_000, 22_050, 96_000), ".flac": (44_100, 12_000), ".ogg": (44_100, 16_000)}
ITS_RATE = {".mp3": (44_100, 24_000, 11_025), ".ogg": (22_050,), ".flac": (32_000,)}


class Scripts(HTMLParser):
    """How many scripts a page has, and which attributes lead elsewhere."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.num = 0
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.num += tag == "script"
        self.links += [value or "" for name, value in attrs if name in ("src", "href") or name.startswith("on")]


def test_the_page_holds_all_that_it_needs_and_no_name_becomes_markup(copy):
    whole = Scripts(browser.page_text(load_bundle(copy)))
    assert (whole.num, whole.links) == (6, [])
    change(copy, categories=["</script><script>alert(1)", "<img src=x onerror=alert(1)>", "{{ 7 * 7 }}"])
    text = browser.page_text(load_bundle(copy))
    assert (Scripts(text).num, Scripts(text).links) == (6, [])
    assert "{{ 7 * 7 }}" in text


def test_what_is_vendored_is_what_its_hashes_say():
    tool = runpy.run_path(str(ROOT / "tools" / "vendor.py"))
    for name, expected in tool["HASHES"].items():
        path = tool["VENDOR"] / name
        content = path.read_bytes() if path.exists() else gzip.decompress(path.with_name(f"{name}.gz").read_bytes())
        assert hashlib.sha256(content).hexdigest() == expected
    assert "MIT License" in (tool["VENDOR"] / "onnxruntime-licences.txt").read_text()


def test_a_folder_with_anything_else_in_it_is_left_alone(bundle, tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("precious")
    assert main(["export", str(bundle), "--web", "--to", str(tmp_path)]) == 3
    assert "contains files that are not a web page" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_page_that_was_killed_while_it_was_written_can_be_written_again(bundle, tmp_path):
    program = (
        "import os, signal; os.fsync = lambda number: os.kill(os.getpid(), signal.SIGKILL)\n"
        "import sys; from auricle.files import write_text; from pathlib import Path; write_text(Path(sys.argv[1]), '')"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "page" / browser.PAGE)], check=False)
    assert [path.name for path in (tmp_path / "page").iterdir()] != []
    browser.write_page(load_bundle(bundle), tmp_path / "page")
    assert {path.name for path in (tmp_path / "page").iterdir()} == {browser.PAGE, browser.LICENCES}


def sound_file(path: Path, rate_hz: int, seconds: float, channels: int = 1) -> Path:
    """Noise that rises and falls, with a tone in it."""
    generator = np.random.default_rng(round(rate_hz * seconds))
    times_s = np.arange(round(rate_hz * seconds)) / rate_hz
    sound = np.sin(2 * np.pi * 700 * times_s) * (times_s > seconds / 2) + generator.standard_normal(len(times_s))
    loudness = 0.1 * (1 + np.sin(2 * np.pi * times_s))
    soundfile.write(path, np.outer(loudness * sound, np.linspace(1, 0.5, channels)).clip(-1, 1), rate_hz)
    return path


def apart_from_predict(page, bundle: Path, sound: Path) -> float:
    """Return by how much page and `auricle predict` differ at most, after their stretches and labels were compared."""
    classifier = Classifier.load(bundle)
    clip, steps, stretches = page.evaluate(ANSWER, base64.b64encode(sound.read_bytes()).decode())
    heard = predict_windows(classifier, sound, whole_s=classifier.clip_s)
    pooling = Pooling(
        classifier.categories, classifier.thresholds, classifier.window_s, classifier.model.windowing.hop_s
    )
    expected = pooling._steps(heard, pooling._edges(heard))
    if clip is None:
        labels = [classifier.categories[label] if label >= 0 else "none of these" for *_, label in stretches]
        times = [time for *times, _ in stretches for time in times]
        made = pooling.stretches(heard)
        assert labels == [stretch.label for stretch in made]
        assert times == pytest.approx([time for stretch in made for time in (stretch.start_s, stretch.end_s)], abs=0.01)
    else:
        steps = [clip]
    return float(np.abs(np.array(steps) - expected).max())


def opened(window, bundle: Path, folder: Path, **options):
    """Open the page of a bundle from the disk, as a double click does, and wait for its model."""
    from playwright.sync_api import expect

    browser.write_page(load_bundle(bundle), folder)
    page = window.new_page(viewport={"width": 390, "height": 844}, **options)
    complaints = complaints_of(page, "file:", "data:", "blob:")
    page.goto((folder / "index.html").as_uri())
    expect(page.locator("#state")).to_have_text("Ready", timeout=30_000)
    return page, complaints


@needs_browser
def test_the_page_says_what_predict_says_of_files_and_hears_the_microphone(copy, tmp_path):
    from playwright.sync_api import expect

    origin = json.loads((copy / "bundle.json").read_text())["origin"]
    change(copy, origin=origin | {"clip_s": 2.0})
    spoken = sound_file(tmp_path / "spoken.wav", 48_000, 3.0)
    with chromium(
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={spoken}",
    ) as window:
        page, complaints = opened(window, copy, tmp_path / "page")
        for rate_hz, seconds, channels in ((4_000, 1.7, 1), (44_100, 2.0, 2), (16_000, 0.3, 1), (11_025, 24.3, 1)):
            sound = sound_file(tmp_path / "a.wav", rate_hz, seconds, channels)
            assert apart_from_predict(page, copy, sound) < TOLERANCE
        page.set_input_files("#file", sound)
        expect(page.locator("#state")).to_have_text("a.wav, 0:24.3")
        assert page.locator("#stretches tr").count() >= 1
        page.set_input_files("#file", {"name": "diary.txt", "mimeType": "text/plain", "buffer": b"Dear diary"})
        expect(page.locator("#message")).to_contain_text("cannot open diary.txt as a sound")
        page.click("#microphone")
        expect(page.locator("#bars .au-share").first).to_contain_text("%")
        expect(page.locator("#microphone")).to_have_attribute("aria-pressed", "true")
        page.click("#microphone")
        expect(page.locator("#state")).to_have_text("Stopped listening")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert complaints == []


@needs_browser
def test_a_file_ends_listening_and_what_predict_refuses_has_no_answer(bundle, tmp_path):
    from playwright.sync_api import expect

    sound = sound_file(tmp_path / "a.wav", 4_000, 1.0)
    soundfile.write(tmp_path / "silent.wav", np.zeros(4_000), 4_000)
    soundfile.write(tmp_path / "broken.wav", np.full(4_000, np.nan), 4_000, subtype="FLOAT")
    head, rest = sound.read_bytes()[:12], sound.read_bytes()[12:]
    odd = base64.b64encode(head + b"JUNK" + (3).to_bytes(4, "little") + b"odd\0" + rest).decode()
    with chromium(*FAKE_MICROPHONE) as window:
        page, complaints = opened(window, bundle, tmp_path / "page")
        assert page.evaluate(RATE, odd) == 4_000
        page.evaluate(COUNTED)
        page.evaluate("$('microphone').click(); $('microphone').click()")
        expect(page.locator("#bars .au-share").first).to_contain_text("%")
        page.set_input_files("#file", sound)
        expect(page.locator("#state")).to_have_text("a.wav, 0:01.0")
        expect(page.locator("#microphone")).to_have_attribute("aria-pressed", "false")
        for name, reason in (("silent.wav", "is silent"), ("broken.wav", "not finite")):
            page.set_input_files("#file", tmp_path / name)
            expect(page.locator("#message")).to_contain_text(reason)
            expect(page.locator("#answer")).to_be_hidden()
        page.evaluate("() => { probabilitiesOf = async () => { throw new Error('no memory'); }; }")
        page.click("#microphone")
        expect(page.locator("#message")).to_contain_text("no memory")
        assert page.evaluate("streams.map(stream => stream.getTracks()[0].readyState)") == ["ended", "ended"]
        assert complaints == []


@needs_browser
@pytest.mark.long
def test_a_transformer_and_every_format_and_rate_are_heard_alike(transformer_bundle, tmp_path):
    with chromium() as window:
        page, complaints = opened(window, transformer_bundle, tmp_path / "page")
        for suffix, rates in {
            ".wav": (8_000, 22_050, 96_000),
            ".flac": (44_100, 12_000),
            ".ogg": (44_100, 16_000),
        }.items():
            for rate_hz in rates:
                sound = sound_file(tmp_path / f"a{suffix}", rate_hz, 3.3)
                assert apart_from_predict(page, transformer_bundle, sound) < TOLERANCE, (suffix, rate_hz)
        for suffix, rates in ITS_RATE.items():
            for rate_hz in rates:
                sound = base64.b64encode(sound_file(tmp_path / f"a{suffix}", rate_hz, 1.0).read_bytes()).decode()
                script = (
                    "sound => ownRateHz(new DataView(Uint8Array.from(atob(sound), mark => mark.charCodeAt(0)).buffer))"
                )
                assert page.evaluate(script, sound) == rate_hz
        assert complaints == []


@needs_axe
@pytest.mark.long
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(bundle, tmp_path, scheme):
    from playwright.sync_api import expect

    with chromium() as window:
        page, _ = opened(window, bundle, tmp_path / "page", color_scheme=scheme)
        page.locator("summary").click()
        assert violations(page) == []
        page.set_input_files("#file", sound_file(tmp_path / "a.wav", 4_000, 3.0))
        expect(page.locator("#state")).to_have_text(re.compile("^a.wav"))
        assert violations(page) == []


@needs_browser
@pytest.mark.long
def test_a_tone_through_the_resampler_stays_that_tone(bundle, tmp_path):
    with chromium() as window:
        page, _ = opened(window, bundle, tmp_path / "page")
        for from_hz, to_hz in ((44_100, 16_000), (48_000, 22_050), (8_000, 16_000)):
            for frequency_hz, level in ((440, 1.0), (0.9 * min(from_hz, to_hz) / 2, 1.0), (1.05 * to_hz / 2, 0.0)):
                if frequency_hz >= from_hz / 2:
                    continue
                made = np.array(page.evaluate(RESAMPLED, [tone(frequency_hz, 0.5, from_hz).tolist(), from_hz, to_hz]))
                inside = slice(to_hz // 10, -to_hz // 10)
                expected = level * tone(frequency_hz, 0.5, to_hz)[inside]
                np.testing.assert_allclose(made[inside], expected, atol=2e-4)


@needs_browser
@pytest.mark.long
@pytest.mark.real
@pytest.mark.skipif("AURICLE_DATA" not in os.environ, reason="AURICLE_DATA does not say where esc10 lies")
def test_real_recordings_are_heard_alike(bundle, tmp_path):
    sounds = sorted(Path(os.environ["AURICLE_DATA"], "esc10", "audio").glob("1-*"))[::8]
    with chromium() as window:
        page, _ = opened(window, bundle, tmp_path / "page")
        assert sounds
        for sound in sounds:
            assert apart_from_predict(page, bundle, sound) < TOLERANCE
