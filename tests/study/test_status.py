from auricle.runs import CellName
from auricle.study.status import CellStatus, State, timed, trained_as_test_split


def cell(name: str, state: State, epoch: int = 0, seconds: float = 0.0) -> CellStatus:
    return CellStatus(name, name.partition("/")[0], state, epoch, 10, seconds)


def test_what_waits_takes_what_the_epochs_of_its_model_have_taken():
    cells, left_s = timed([cell("cnn/k-fold-2-0", "running", 5, 20.0), cell("cnn/k-fold-3-0", "waiting")])
    assert [one.left_s for one in cells] == [20.0, 40.0]
    assert left_s == 60.0


def test_the_fold_that_is_trained_as_the_test_split_takes_no_time():
    names = ["cnn/test-split-2-0", "cnn/k-fold-2-0", "cnn/k-fold-3-0", "cnn/test-split-2-1"]
    twins = trained_as_test_split([CellName.parse(name) for name in names])
    assert twins == {"cnn/k-fold-2-0"}
    states: list[State] = ["running", "waiting", "waiting", "waiting"]
    cells, left_s = timed(
        [cell(name, state, 0 if n else 5, 20.0) for n, (name, state) in enumerate(zip(names, states, strict=True))],
        twins,
    )
    assert [one.left_s for one in cells] == [20.0, 0.0, 40.0, 40.0]
    assert left_s == 100.0
