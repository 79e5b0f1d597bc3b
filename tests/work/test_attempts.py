"""Of all attempts at a cell one counts, whatever the others send, and whenever."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auricle.runs import Cell, CellName
from auricle.work.ray.node import Attempts, read_files

NAME = CellName("cnn", "k-fold", 2, 0)
LEFT = ("config.yaml", "history.jsonl", "predictions.csv", "model.safetensors", "metrics.json")


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return Cell(NAME, tmp_path / "cells" / "cnn" / "k-fold-2-0")


def epoch_files(number: int) -> dict[str, bytes]:
    return dict.fromkeys(("config.yaml", "history.jsonl", "checkpoint.pt"), b"of attempt %d" % number)


def end_files(number: int) -> dict[str, bytes]:
    return dict.fromkeys(LEFT, b"of attempt %d" % number)


def test_a_later_attempt_goes_on_from_the_checkpoint_of_an_earlier_one(cell) -> None:
    attempts = Attempts()
    first, files = attempts.begin(cell)
    assert files == {}
    assert attempts.keep(cell, first, epoch_files(first))
    _, files = attempts.begin(cell)
    assert files == {"checkpoint.pt": b"of attempt %d" % first}


def test_a_lost_attempt_that_still_works_changes_no_byte(cell) -> None:
    attempts = Attempts()
    zombie, _ = attempts.begin(cell)
    attempts.keep(cell, zombie, epoch_files(zombie))
    second, _ = attempts.begin(cell)
    assert not attempts.keep(cell, zombie, epoch_files(99))
    assert attempts.keep(cell, second, epoch_files(second))
    assert not attempts.end(cell, zombie, end_files(zombie))
    assert not cell.done
    assert attempts.end(cell, second, end_files(second))
    assert not attempts.end(cell, second, end_files(99)), "it ends once"
    assert not attempts.keep(cell, zombie, epoch_files(zombie))
    assert read_files(cell) == end_files(second)


def test_a_failed_attempt_leaves_its_cause_and_its_checkpoint(cell) -> None:
    attempts = Attempts()
    number, _ = attempts.begin(cell)
    left = {**epoch_files(number), "error.json": b"{}"}
    assert attempts.end(cell, number, left)
    assert read_files(cell) == left
    again, _ = attempts.begin(cell)
    attempts.end(cell, again, end_files(again))
    assert not cell.error.exists()
    assert not cell.checkpoint.exists()


def test_the_metrics_that_make_a_cell_done_are_written_last(cell, monkeypatch) -> None:
    from auricle import files

    written = []
    monkeypatch.setattr(files, "write_atomically", lambda path, *rest: written.append(path.name))
    attempts = Attempts()
    number, _ = attempts.begin(cell)
    cell.folder.mkdir(parents=True)
    attempts.end(cell, number, {"metrics.json": b"", "weights": b"", "zeal": b""})
    assert written[-1] == "metrics.json"


@given(st.lists(st.tuples(st.sampled_from(["begin", "epoch", "end"]), st.integers(0, 4)), max_size=30))
def test_files_of_two_attempts_are_never_mixed(tmp_path_factory, moves) -> None:
    cell = Cell(NAME, tmp_path_factory.mktemp("study") / "cell")
    attempts, begun, num_ended = Attempts(), [], 0
    for kind, place in moves:
        if kind == "begin" and not cell.done:
            begun.append(attempts.begin(cell)[0])
        elif place < len(begun):
            number = begun[place]
            if kind == "epoch":
                attempts.keep(cell, number, epoch_files(number))
            elif kind == "end":
                num_ended += attempts.end(cell, number, end_files(number))
        if cell.folder.exists():
            assert len(set(read_files(cell).values())) <= 1
    assert num_ended <= 1
    assert cell.done == bool(num_ended)
