import os

from auricle.runs import CellName, StudyFolder, lock
from auricle.study.status import CellStatus, State, read_status, timed


def cell(name: str, state: State, epoch: int = 0, seconds: float = 0.0) -> CellStatus:
    return CellStatus(name, name.partition("/")[0], state, epoch, 10, seconds)


def test_what_waits_takes_what_the_epochs_of_its_model_have_taken():
    cells, left_s = timed([cell("cnn/k-fold-2-0", "running", 5, 20.0), cell("cnn/k-fold-3-0", "waiting")])
    assert [one.left_s for one in cells] == [20.0, 40.0]
    assert left_s == 60.0


def test_the_fold_that_is_trained_as_the_test_split_takes_no_time():
    names = ["cnn/test-split-2-0", "cnn/k-fold-2-0", "cnn/k-fold-3-0", "cnn/test-split-2-1"]
    states: list[State] = ["running", "waiting", "waiting", "waiting"]
    cells, left_s = timed(
        [cell(name, state, 0 if n else 5, 20.0) for n, (name, state) in enumerate(zip(names, states, strict=True))],
        {"cnn/k-fold-2-0"},
    )
    assert [one.left_s for one in cells] == [20.0, 0.0, 40.0, 40.0]
    assert left_s == 100.0


def test_cells_stand_in_the_order_in_which_they_are_trained(run, tmp_path):
    result = run(seeds=(0, 3))
    assert tuple(cell.name for cell in read_status(tmp_path / "study").cells) == tuple(map(str, result.done))


def test_steps_that_end_a_training_say_how_many_epochs_it_has(run, tmp_path):
    """Six clips train, each six times an epoch: two steps of 16, so three steps are two epochs of ten."""
    changes = {"training.epochs": 10, "training.max_steps": 3, "training.batch_size": 16}
    run(models=("cnn",), overrides=changes)
    assert {cell.epochs for cell in read_status(tmp_path / "study").cells} == {2}


def test_cells_that_an_earlier_process_left_unfinished_are_stopped_until_they_go_on(run, tmp_path):
    """Stopped with two workers, resumed with one: one cell is in training, and its worker does what is left."""
    run(models=("cnn",))
    first, second, *others = (cell for cell in StudyFolder(tmp_path / "study").cells())
    for cell in (first, second):
        cell.metrics.unlink()
        cell.history.write_text('{"epoch": 1, "seconds": 30.0}\n')
        for path in (cell.config, cell.history):
            os.utime(path, (1e9, 1e9))
    with lock(tmp_path / "study"):
        os.utime(first.history)
        status = read_status(tmp_path / "study")
    assert (status.num("running"), status.num("stopped"), status.num("done")) == (1, 1, len(others))
    assert status.left_s == sum(one.left_s for one in status.cells if one.left_s)


def test_before_the_table_of_clips_is_written_a_status_has_every_cell(run, tmp_path):
    run(models=("cnn",))
    StudyFolder(tmp_path / "study").manifest.unlink()
    status = read_status(tmp_path / "study")
    assert [CellName.parse(cell.name).fold for cell in status.cells] == [2, 2, 3, 4, 5]
