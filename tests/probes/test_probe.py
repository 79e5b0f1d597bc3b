import shutil
import subprocess
import sys

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from auricle.files import read_marked
from auricle.probes.probe import MOST_CELLS, cells_to_probe, probe_study
from auricle.probes.record import read_probe
from auricle.runs import CellName, StudyFolder
from auricle.runs.record import read_description
from auricle.scoring.predictions import read_predictions


@pytest.fixture
def study(trained, tmp_path, monkeypatch) -> StudyFolder:
    """A copy of the trained study, to be probed."""
    monkeypatch.setenv("AURICLE_CACHE", str(trained / "cache"))
    shutil.copytree(trained / "study", tmp_path / "study")
    return StudyFolder(tmp_path / "study")


@pytest.fixture(scope="module")
def probed(trained) -> StudyFolder:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AURICLE_CACHE", str(trained / "cache"))
        shutil.copytree(trained / "study", trained / "probed")
        messages: list[tuple[str, ...]] = []
        assert probe_study(trained / "probed", on_progress=lambda *message: messages.append(message)) == []
        assert messages[0] == ("reading the recordings",)
        assert messages[-1] == ("probing tiny-h2/k-fold-5-0", 7, 8)
    return StudyFolder(trained / "probed")


def test_the_cells_of_the_protocol_that_answers_the_question_are_chosen(study):
    cells = cells_to_probe(study, read_description(study))
    assert [str(cell.name) for cell in cells] == [
        f"{model}/k-fold-{fold}-0" for model in ("tiny", "tiny-h2") for fold in (2, 3, 4, 5)
    ]


def test_of_many_cells_those_of_the_first_seed_are_chosen(study):
    for seed in (1, 2):
        for fold in (2, 3, 4, 5):
            name = CellName("tiny", "k-fold", fold, seed)
            shutil.copytree(study.cell(CellName("tiny", "k-fold", fold, 0)).folder, study.cell(name).folder)
    seeds = [cell.name.seed for cell in cells_to_probe(study, read_description(study)) if cell.name.model == "tiny"]
    assert seeds == [0, 0, 0, 0, 1]
    assert len(seeds) == MOST_CELLS


def test_a_cell_without_weights_or_unfinished_is_left_out(study):
    study.cell(CellName("tiny", "k-fold", 2, 0)).weights.unlink()
    study.cell(CellName("tiny", "k-fold", 3, 0)).metrics.unlink()
    folds = [cell.name.fold for cell in cells_to_probe(study, read_description(study)) if cell.name.model == "tiny"]
    assert folds == [4, 5]


def test_without_weights_no_other_protocol_is_probed_than_that_of_the_report(study):
    other = study.cell(CellName("tiny", "test-split", 2, 0))
    shutil.copytree(study.cell(CellName("tiny", "k-fold", 2, 0)).folder, other.folder, dirs_exist_ok=True)
    description = read_description(study)
    description["study"]["protocols"] = ("test-split", "k-fold")
    for cell in study.cells():
        if cell.name.protocol == "k-fold":
            cell.weights.unlink()
    assert cells_to_probe(study, description) == []


def test_unchanged_it_says_what_the_cell_has_said(probed):
    for model in ("tiny", "tiny-h2"):
        name = CellName(model, "k-fold", 2, 0)
        found = read_probe(probed.insight(name))
        recorded = read_predictions(probed.cell(name).predictions).of("test").by_clip()
        assert found.clips == recorded.clips
        np.testing.assert_array_equal(found.plain.classes, recorded.answers)
        truth = recorded.probabilities[np.arange(len(recorded.labels)), recorded.labels]
        np.testing.assert_allclose(found.plain.truth, truth, atol=2e-5)


def test_only_a_transformer_has_an_encoder_to_change_and_to_read(probed):
    cnn, transformer = (read_probe(probed.insight(CellName(model, "k-fold", 2, 0))) for model in ("tiny", "tiny-h2"))
    assert list(cnn.changes) == ["reversed", "low-pass-1000", "low-pass-500"]
    assert "encoder-skipped" in transformer.changes
    assert cnn.reading is None
    assert transformer.reading.own.shape == (2, 2)
    assert len(set(transformer.changes["encoder-skipped"].classes.tolist())) == 1
    np.testing.assert_allclose(cnn.loudness.sum(1), 1, atol=1e-3)


def test_what_is_known_is_not_measured_again_and_needs_no_torch(probed):
    code = (
        "import sys; from pathlib import Path; from auricle.probes.probe import probe_study\n"
        f"assert probe_study(Path({str(probed.folder)!r})) == []; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def two_cells(study) -> StudyFolder:
    """A study with two cells to probe."""
    for cell in study.cells():
        if cell.name not in (CellName("tiny", "k-fold", 2, 0), CellName("tiny", "k-fold", 3, 0)):
            shutil.rmtree(cell.folder)
    return study


def test_weights_of_another_training_are_noted_and_not_believed(two_cells):
    study = two_cells
    cell = study.cell(CellName("tiny", "k-fold", 2, 0))
    save_file({name: value * 1.5 for name, value in load_file(cell.weights).items()}, cell.weights)
    notes = probe_study(study.folder)
    assert len(notes) == 1
    assert "its weights do not reproduce its predictions" in notes[0]
    assert not study.insight(cell.name).exists()
    assert study.insight(CellName("tiny", "k-fold", 3, 0)).exists()  # one cell does not stop the others


def test_damaged_weights_are_noted(two_cells):
    study = two_cells
    study.cell(CellName("tiny", "k-fold", 2, 0)).weights.write_bytes(b"no weights")
    notes = probe_study(study.folder)
    assert len(notes) == 1
    assert "does not match config.yaml" in notes[0]


def test_recordings_that_are_gone_are_noted(study):
    text = read_marked(study.description).decode()
    study.description.write_text(text.replace("/sounds", "/gone"))
    notes = probe_study(study.folder)
    assert len(notes) == 1
    assert "use is not measured" in notes[0]
    assert not (study.folder / "insight").exists()


def test_recordings_that_have_moved_are_heard_where_they_are_said_to_lie(two_cells, trained):
    text = read_marked(two_cells.description).decode()
    two_cells.description.write_text(text.replace("/sounds", "/gone"))
    assert probe_study(two_cells.folder, source=str(trained / "sounds")) == []


def test_a_folder_without_a_study_has_nothing_to_look_into(tmp_path):
    assert probe_study(tmp_path) == []
