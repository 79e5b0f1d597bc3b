"""A first hour with one's own recordings, as it is typed: check, study, report, export, predict, demo; all end well.

Four sets: the built-in sounds, a flat folder of speakers, classes at 48 to 1, and sixteen sites, clips of 1 to 30 s.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from in_browser import IS_THERE, chromium

FSDD = Path(os.environ.get("AURICLE_DATA", "")) / "fsdd" / "recordings"
HAS_DEMO = IS_THERE and importlib.util.find_spec("gradio") is not None

pytestmark = pytest.mark.long


def auricle(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Type a command, and see it end as it should without a traceback."""
    command = [sys.executable, "-m", "auricle", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


def sound(kind: int, seconds: float, generator: np.random.Generator) -> np.ndarray:
    """A tone, a click train or noise whose place and level vary; silence around it."""
    t = np.arange(round(16_000 * seconds)) / 16_000
    pitch = 300 * 2 ** generator.uniform(0, 2)
    made = [
        np.sin(2 * np.pi * pitch * t),
        np.sin(2 * np.pi * pitch * t) * (np.sin(2 * np.pi * 8 * t) > 0),
        (t * 9 % 1 < 0.02) * generator.standard_normal(len(t)),
        generator.standard_normal(len(t)) * 0.3,
        np.sin(2 * np.pi * pitch * t * (1 + 0.3 * t / seconds)),
    ][kind]
    return made * 10 ** generator.uniform(-1.5, -0.2) + 0.002 * generator.standard_normal(len(t))


def unbalanced(folder: Path) -> tuple[Path, list[str]]:
    """400 clips of five classes: 240, 90, 45, 20 and 5."""
    generator = np.random.default_rng(0)
    for kind, num in enumerate((240, 90, 45, 20, 5)):
        (folder / f"kind{kind}").mkdir(parents=True)
        for number in range(num):
            soundfile.write(folder / f"kind{kind}" / f"{number}.wav", sound(kind, 1.0, generator), 16_000)
    return folder, []


def sites(folder: Path) -> tuple[Path, list[str]]:
    """Sixteen sites, clips of 1 to 30 s in three classes."""
    generator = np.random.default_rng(1)
    for kind, name in enumerate(("hum", "beep", "tick")):
        (folder / name).mkdir(parents=True)
        for site in range(16):
            for cut in range(2):
                seconds = 1.0 if cut else min(30.0, 1 + generator.exponential(4))
                path = folder / name / f"site{site:02}_{cut}.wav"
                soundfile.write(path, sound(kind, seconds, generator), 16_000)
    return folder, ["--group-by", "{site}_*"]


def speakers(folder: Path) -> tuple[Path, list[str]]:
    """The digits of six speakers from the flat folder as it is."""
    if not FSDD.is_dir():
        pytest.skip("AURICLE_DATA has no fsdd")
    return FSDD, ["--group-by", "{class}_{speaker}_*"]


def toy(folder: Path) -> tuple[str, list[str]]:
    return "toy", []


@pytest.mark.parametrize("make", [toy, speakers, unbalanced, sites])
def test_a_first_hour_ends_well(make, tmp_path, monkeypatch):
    monkeypatch.setenv("AURICLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.chdir(tmp_path)
    data, options = make(tmp_path / "set")
    checked = auricle("check", data, *options)
    if make is unbalanced:
        assert "classes of unequal size" in checked.stdout
    models = ("--models", "tiny") if make is speakers else ()
    study = auricle("study", "--data", data, *options, *models, "--epochs", 3, "--out", "mine", "--wandb", "off")
    if make is unbalanced:
        assert "'kind0' has 240 clips, 'kind4' 5" in study.stderr
        assert "balanced accuracy" in study.stdout
    if make is sites:
        assert re.search(r"Clips are [\d.]+ s long: \d+ of 96 are cut and \d+ of 96 are padded", study.stderr)
    auricle("status", "mine")
    auricle("report", "mine", *(("--data", data) if make is not toy else ()))
    findings = json.loads(Path("mine/report/findings.json").read_text())
    assert findings["main_protocol"] in ("official", "test-split", "k-fold")
    assert Path("mine/report/report.pdf").stat().st_size > 20_000
    model = "tiny" if make is speakers else "cnn"
    exported = auricle("export", "mine", "--model", model, "--to", "bundle")
    assert "taking " in exported.stderr
    recording = next(Path(data).rglob("*.wav")) if make is not toy else next((tmp_path / "cache").rglob("*.wav"))
    answer = auricle("predict", "bundle", recording)
    assert answer.stdout.strip()
    if HAS_DEMO:
        for words in demo_answers(recording):
            assert "%" in words


def demo_answers(recording: Path) -> Iterator[str]:
    """Upload a recording to the demo of the study in headless Chromium, and yield what the page answers."""
    command = [sys.executable, "-m", "auricle", "demo", "mine", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        assert address.startswith("http"), server.communicate()[1]
        with chromium() as browser:
            tab = browser.new_page()
            tab.goto(address)
            tab.set_input_files("input[type=file]", str(recording))
            tab.wait_for_selector("#verdict .au-verdict, #verdict .au-message", timeout=60_000)
            yield tab.inner_text("#verdict")
    finally:
        server.terminate()
        server.wait(30)
