from pathlib import Path

from auricle.config import StudyConfig
from auricle.data.manifest import Clip, Manifest
from auricle.runs import CellName
from auricle.runs.plan import cells_by_model, planned_cells, planned_splits, same_trainings, with_splits

CLIPS = tuple(Clip(Path(f"{n}.wav"), f"{n}.wav", "ab"[n % 2], 1 + n // 2, str(n)) for n in range(10))
MADE = Manifest("made", CLIPS, 0.5)


def study(**changes: object) -> StudyConfig:
    return StudyConfig(**{"name": "some", "models": ("a", "b"), "protocols": ("test-split", "k-fold")} | changes)


def test_all_models_come_once_before_any_comes_again_and_a_seed_is_whole_before_the_next():
    cells = planned_cells(study(seeds=(0, 1)), ("a", "b"), (1, 2, 3, 4, 5))
    assert [cell.model for cell in cells] == ["a", "b"] * 10
    assert [cell.seed for cell in cells] == [0] * 10 + [1] * 10
    assert [(cell.protocol, cell.fold) for cell in cells[:10:2]] == [
        ("test-split", 2), *(("k-fold", fold) for fold in (2, 3, 4, 5))
    ]  # fmt: skip


def test_a_model_keeps_to_its_protocols():
    cells = planned_cells(study(only={"a": ("test-split",)}), ("a", "b"), (1, 2, 3))
    assert {cell.protocol for cell in cells if cell.model == "a"} == {"test-split"}


def test_what_stands_under_two_names_is_trained_once_and_what_is_done_comes_first():
    config = study(models=("a",))
    cells = with_splits(config, ("a",), MADE, planned_splits(config, MADE))
    once, twice = CellName("a", "test-split", 2, 0), CellName("a", "k-fold", 2, 0)
    assert same_trainings(cells, ()) == {twice: once}
    assert same_trainings(cells, {twice}) == {once: twice}
    assert same_trainings(cells, {once, twice}) == {}


def test_a_report_reads_the_same_cells_by_protocol_and_model():
    config, folds = study(seeds=(3, 0)), (1, 2, 3)
    cells = cells_by_model(config, ("a", "b"), folds)
    assert sorted(cells) == sorted(planned_cells(config, ("a", "b"), folds))
    assert [str(cell) for cell in cells[:6]] == [
        "a/test-split-2-3", "a/test-split-2-0", "b/test-split-2-3", "b/test-split-2-0", "a/k-fold-2-3", "a/k-fold-2-0"
    ]  # fmt: skip
