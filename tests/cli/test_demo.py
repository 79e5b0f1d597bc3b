import importlib.util
import os
import socket
import sys
import types

import numpy as np
import pytest
import yaml

from auricle.demo import sources
from auricle.errors import RefusedError, UsageError
from auricle.files import write_json, write_summed, write_text
from auricle.runs import CellName, StudyFolder
from auricle.runs.contents import CONTENTS
from auricle.runs.reopen import representative_cells


def make_study(folder, cells):
    """A study's folder with cells that are done, and nothing else in them."""
    study = StudyFolder(folder)
    models = list(dict.fromkeys(CellName.parse(cell).model for cell in cells))
    write_text(study.description, yaml.safe_dump({"models": {name: {} for name in models}}, sort_keys=False))
    for cell in cells:
        write_json(study.cell(CellName.parse(cell)).metrics, {})
    return folder


def test_without_gradio_one_line_says_how_to_install_it(auricle, monkeypatch):
    monkeypatch.setattr("auricle.extras.find_spec", lambda name: None)
    answer = auricle("demo", "bundle")
    assert answer.code == 5
    assert answer.err == "auricle: this needs gradio, which is not installed: pip install 'auricle[demo]'\n"


@pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="Gradio is not installed")
class TestRefusals:
    def test_a_port_in_use_is_named_with_exit_code_5(self, auricle):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            answer = auricle("demo", "bundle", "--port", str(port))
        assert answer.code == 5
        assert f"port {port}" in answer.err
        assert len(answer.err.splitlines()) == 1

    def test_a_folder_that_is_neither_is_refused(self, auricle, tmp_path):
        answer = auricle("demo", str(tmp_path), "--port", "0")
        assert answer.code == 3
        assert "neither a bundle (no bundle.json) nor a study" in answer.err

    def test_a_study_without_a_finished_cell_is_refused(self, auricle, tmp_path):
        answer = auricle("demo", str(make_study(tmp_path / "study", [])), "--port", "0")
        assert answer.code == 3
        assert "no finished cell" in answer.err


def test_each_model_of_a_study_is_its_plainest_finished_cell_in_the_order_of_the_study(tmp_path):
    study = make_study(
        tmp_path, ["h2/k-fold-3-0", "h2/k-fold-2-1", "h2/k-fold-2-0", "cnn/k-fold-2-0", "cnn/test-split-2-0"]
    )
    assert [str(cell.name) for cell in representative_cells(study).values()] == ["h2/k-fold-2-0", "cnn/test-split-2-0"]


@pytest.fixture
def exported(monkeypatch):
    """Where cells were exported to, without exporting them."""
    places = []

    def export_cell(cell, to, **options):
        write_json(to / "bundle.json", {})
        places.append(to)

    module = types.SimpleNamespace(export_cell=export_cell)  # the real one would import PyTorch
    monkeypatch.setitem(sys.modules, "auricle.bundle.export", module)
    return places


def test_a_model_of_a_study_is_exported_once_and_again_when_its_cell_is_newer(tmp_path, exported):
    study = make_study(tmp_path / "study", ["cnn/test-split-2-0"])
    (cell,) = representative_cells(study).values()
    said = []
    for _ in range(2):
        assert sources.study_bundle(study, cell, tmp_path / "scratch", said.append) == study / "bundles" / "cnn"
    assert len(exported) == 1
    assert "bundles/MODEL/" in CONTENTS
    assert str(study) in said[0]
    later = (study / "bundles" / "cnn" / "bundle.json").stat().st_mtime + 10
    os.utime(cell.metrics, (later, later))
    sources.study_bundle(study, cell, tmp_path / "scratch", said.append)
    assert len(exported) == 2


def test_a_study_that_cannot_be_written_is_exported_for_this_time_only(tmp_path, exported, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    study = make_study(tmp_path / "study", ["cnn/test-split-2-0"])
    (cell,) = representative_cells(study).values()
    said = []
    bundle = sources.study_bundle(study, cell, tmp_path / "scratch", said.append)
    assert bundle == tmp_path / "scratch" / "bundles" / "cnn"
    assert "for this session only" in said[0]


def test_examples_are_the_clips_of_the_study_else_made_sounds(tmp_path):
    study = make_study(tmp_path / "study", ["cnn/test-split-2-0"])
    made = sources.load_examples([study])
    assert [example.name for example in made][:2] == ["closing", "cuckoo"]
    assert max(float(np.abs(example.waveform).max()) for example in made) <= 1
    samples = StudyFolder(study).samples
    samples.parent.mkdir()
    np.savez(samples, waveforms=np.full((2, 100), 16_384, np.int16), names=["a.wav", "b.wav"],
             categories=["dog", "rain"], sample_rate_hz=8_000)  # fmt: skip
    for path in (study, study / "bundles" / "cnn"):
        dog, rain = sources.load_examples([path])
        assert (dog.name, rain.name, dog.sample_rate_hz) == ("dog", "rain", 8_000)
        assert dog.waveform.tolist() == pytest.approx([0.5] * 100, abs=1e-4)
    write_summed(samples, samples.read_bytes())
    samples.write_bytes(samples.read_bytes()[:-100])
    with pytest.raises(RefusedError, match=r"samples.npz is damaged"):
        sources.load_examples([study])


@pytest.fixture
def loads(monkeypatch):
    """Bundles load as stand-ins, but for those of models that are named in the list."""
    broken: list[str] = []

    def load(bundle):
        if bundle.name in broken:
            raise RefusedError(f"{bundle.name} is damaged")
        description = types.SimpleNamespace(scores=None, calibration=types.SimpleNamespace(num_clips=8))
        return types.SimpleNamespace(model=types.SimpleNamespace(bundle=types.SimpleNamespace(description=description)))

    monkeypatch.setattr(sources.Classifier, "load", load)
    return broken


def test_a_model_that_is_refused_leaves_the_others_on_the_page(tmp_path, exported, loads):
    study = make_study(tmp_path / "study", ["cnn/test-split-2-0", "h1/test-split-2-0", "h2/test-split-2-0"])
    loads.append("h1")
    said: list[str] = []
    shown = sources.load_models([study], tmp_path / "scratch", said.append)
    assert [model.name for model in shown] == ["cnn", "h2"]
    assert "h1 is left out: h1 is damaged" in said
    loads += ["cnn", "h2"]
    with pytest.raises(RefusedError, match="cnn is damaged"):
        sources.load_models([study], tmp_path / "scratch", said.append)


def test_only_the_models_that_are_named_are_shown(tmp_path, exported, loads):
    study = make_study(tmp_path / "study", ["cnn/test-split-2-0", "h1/test-split-2-0", "h2/test-split-2-0"])
    shown = sources.load_models([study], tmp_path / "scratch", print, ["h2", "cnn"])
    assert [model.name for model in shown] == ["cnn", "h2"]
    assert [place.name for place in exported] == ["cnn", "h2"]
    with pytest.raises(UsageError, match="no finished model 'h3'"):
        sources.load_models([study], tmp_path / "scratch", print, ["h3"])
    write_text(tmp_path / "box" / "bundle.json", "{}")
    with pytest.raises(UsageError, match="only bundles are given"):
        sources.load_models([tmp_path / "box"], tmp_path / "scratch", print, ["cnn"])


def test_a_cell_that_was_copied_into_a_study_has_a_colour_of_its_own(tmp_path, exported, loads):
    study = make_study(tmp_path / "study", ["cnn/test-split-2-0"])
    write_json(StudyFolder(study).cell(CellName.parse("h1/test-split-2-0")).metrics, {})
    first, second = sources.load_models([study], tmp_path / "scratch", print)
    assert (first.name, second.name) == ("cnn", "h1")
    assert first.colour != second.colour


def test_a_model_that_is_named_may_be_in_either_study(tmp_path, exported, loads):
    studies = [make_study(tmp_path / name, [f"{name}/test-split-2-0"]) for name in ("cnn", "h1")]
    shown = sources.load_models(studies, tmp_path / "scratch", print, ["cnn"])
    assert [model.name for model in shown] == ["cnn"]
