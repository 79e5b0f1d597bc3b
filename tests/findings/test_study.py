import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from auricle.errors import RefusedError
from auricle.findings.study import Study, load_study
from auricle.report.chapters.closing import resources
from auricle.runs import CellName, StudyFolder
from report_text import chapter_sections, tables


@pytest.fixture
def small(make_study: Callable[..., Path], tmp_path: Path) -> StudyFolder:
    """Two classes, one model, three trainings; a copy that a test may damage."""
    folder = make_study(
        categories=("cat", "dog"), models=("cnn",), protocols=("official",), num_folds=3, epochs=2, clip_s=0.5
    )
    return StudyFolder(Path(shutil.copytree(folder, tmp_path / "study")))


def test_every_planned_cell_of_a_finished_study_is_there(esc10: Study):
    study = esc10
    assert len(study.cells) == 20
    assert study.missing == ()
    assert study.models == ("cnn", "transformer-h1", "transformer-h2", "transformer-h4")
    assert [cell.name.fold for cell in study.of("cnn", "k-fold")] == [2, 3, 4, 5]
    assert [cell.name.fold for cell in study.of("cnn", "test-split")] == [2]
    assert study.dataset.num_clips == 400
    assert study.dataset.counts["dog"] == {1: 8, 2: 8, 3: 8, 4: 8, 5: 8}
    assert study.samples is not None
    assert study.samples.waveforms.shape == (10, 80_000)
    assert abs(study.samples.waveforms).max() <= 1


def test_scores_come_from_the_predictions_and_not_from_what_the_training_noted(small: StudyFolder):
    cell = small.cell(CellName("cnn", "official", 1, 0))
    honest = load_study(small.folder).cells[0].test["clip"]["accuracy"]
    noted = json.loads(cell.metrics.read_text())
    noted["test"]["clip"]["accuracy"] = 1.5
    cell.metrics.write_text(json.dumps(noted))
    assert load_study(small.folder).cells[0].test["clip"]["accuracy"] == honest


def test_cells_without_results_are_listed_with_the_reason(make_study: Callable[..., Path]):
    folder = make_study(
        categories=("cat", "dog"), models=("cnn",), num_folds=4, epochs=2, clip_s=0.5,
        failed=["cnn/k-fold-2-0"], unstarted=["cnn/k-fold-3-0"],
    )  # fmt: skip
    half = StudyFolder(folder).cell(CellName("cnn", "k-fold", 4, 0))
    half.metrics.unlink()
    study = load_study(folder)
    assert [str(cell.name) for cell in study.cells] == ["cnn/test-split-2-0"]
    assert [(str(cell.name), cell.reason) for cell in study.missing] == [
        ("cnn/k-fold-2-0", "failed: loss is not finite in epoch 3"),
        ("cnn/k-fold-3-0", "not started"),
        ("cnn/k-fold-4-0", "not finished"),
    ]
    assert study.protocols == ("test-split",)


def test_a_cell_that_cannot_be_read_is_missing_and_the_others_stay(small: StudyFolder):
    torn = small.cell(CellName("cnn", "official", 2, 0))
    torn.predictions.write_text("clip,set,label,start_s,cat,dog\na,test,cow,0,1,0\n")
    other = small.cell(CellName("cnn", "official", 3, 0))
    other.predictions.write_text("clip,set,label,start_s,cow,dog\na,test,cow,0,1,0\n")
    study = load_study(small.folder)
    assert [cell.name.fold for cell in study.cells] == [1]
    assert "row 2" in study.missing[0].reason
    assert "other classes" in study.missing[1].reason


def test_a_cell_without_its_costs_is_missing(small: StudyFolder):
    small.cell(CellName("cnn", "official", 2, 0)).metrics.write_text("{}")
    assert "lacks seconds" in load_study(small.folder).missing[0].reason


def test_a_folder_that_is_no_study_is_refused(tmp_path: Path):
    with pytest.raises(RefusedError, match=r"no study\.yaml"):
        load_study(tmp_path)


@pytest.mark.parametrize("damage", ["- a list", "study: {", "study: {name: x, models: [cnn]}\nmodels: {}\n"])
def test_a_damaged_description_is_refused_in_one_line(small: StudyFolder, damage: str):
    small.description.write_text(damage)
    with pytest.raises(RefusedError, match="is damaged") as refused:
        load_study(small.folder)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("part", ["manifest", "samples"])
def test_a_damaged_part_is_refused(small: StudyFolder, part: str):
    getattr(small, part).write_text("nonsense")
    with pytest.raises(RefusedError, match="is damaged"):
        load_study(small.folder)


def test_a_study_without_samples_or_layers_is_read(small: StudyFolder):
    small.samples.unlink()
    small.model("cnn").unlink()
    study = load_study(small.folder)
    assert study.samples is None
    assert study.layers == {}


def test_the_random_protocol_has_the_folds_that_the_study_makes(make_study: Callable[..., Path]):
    folder = make_study(categories=("cat", "dog"), models=("cnn",), protocols=("random",), epochs=1, clip_s=0.5)
    assert [cell.name.fold for cell in load_study(folder).cells] == [1, 2, 3, 4]


def test_cells_that_earlier_commands_trained_on_another_device_are_not_said_to_be_of_the_last(esc10: Study):
    assert esc10.device == "cpu"
    later = replace(esc10, machine={"device": "cuda (NVIDIA H200)"})
    assert later.device == "cuda (NVIDIA H200); other cells: cpu"
    on_gpu = tuple(replace(cell, costs={**cell.costs, "device": "cuda:1"}) for cell in esc10.cells)
    assert replace(later, cells=on_gpu).device == "cuda (NVIDIA H200)"
    (chapter,) = chapter_sections(later, resources)
    assert ["Training device", later.device] in [list(row) for row in tables((chapter,))["table-resources"].groups[""]]
