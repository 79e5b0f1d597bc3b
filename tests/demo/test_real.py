"""From real recordings to a real page: a network trained on ESC-10 answers in a browser. A minute: make test-long."""

import importlib.util
import os

import pytest

from auricle.config import load_preset
from auricle.data.cache import prepare
from auricle.data.datasets import load_manifest
from auricle.data.folds import make_splits
from auricle.runs import CellName, StudyFolder
from in_browser import chromium, needs_browser

pytestmark = [
    pytest.mark.real,
    pytest.mark.long,
    pytest.mark.skipif("AURICLE_DATA" not in os.environ, reason="AURICLE_DATA does not say where esc10 lies"),
    pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="Gradio is not installed"),
    needs_browser,
]


def test_an_uploaded_clip_of_esc10_gets_its_right_class_in_a_browser(tmp_path) -> None:
    from auricle.bundle.export import export_cell
    from auricle.demo import server
    from auricle.demo.page import Shown
    from auricle.predict.classifier import Classifier
    from auricle.training.fit import fit_cell

    recordings = prepare(load_manifest("esc10"), sample_rate_hz=16_000)
    split = make_splits(recordings.manifest, "k-fold")[0]
    cell = StudyFolder(tmp_path / "study").cell(CellName("cnn", "k-fold", split.fold, 0))
    preset = load_preset("cnn", {"training.epochs": 12, "training.weight_average": 0.98})
    fit_cell(cell, preset, recordings, split, device="cpu")
    bundle = export_cell(cell.folder, tmp_path / "bundle").folder
    shown = (Shown("cnn", "#0072b2", Classifier.load(bundle)),)
    clip = next(clip for clip in recordings.manifest.clips if clip.category == "rooster" and clip.fold == 3)
    demo = tmp_path / "demo"
    with server.serving(server.build_demo(shown, (), demo), demo) as address, chromium() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(address)
        page.set_input_files("input[type=file]", clip.path)
        page.wait_for_selector("#saliency .au-saliency", state="attached")
        assert "rooster" in page.inner_text(".au-verdict")
