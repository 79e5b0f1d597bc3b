import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from auricle import files, runs
from auricle.errors import AuricleError, DivergedError, MachineError
from auricle.runs import CellName, StudyFolder, json_line


def test_the_name_of_a_cell_reads_back() -> None:
    name = CellName("transformer-h1", "test-split", 2, 10)
    assert CellName.parse(str(name)) == name


def test_cells_are_found_by_their_folders_and_strangers_are_left_out(tmp_path) -> None:
    study = StudyFolder(tmp_path)
    for name in ("cnn/k-fold-3-0", "cnn/k-fold-2-0", "a/test-split-2-1", "a/notes", "a/copy-of-test-split-2-1"):
        (tmp_path / "cells" / name).mkdir(parents=True)
    assert [str(cell.name) for cell in study.cells()] == ["a/test-split-2-1", "cnn/k-fold-2-0", "cnn/k-fold-3-0"]


def test_a_write_that_fails_leaves_what_stood_there(tmp_path) -> None:
    path = tmp_path / "file"
    files.write_text(path, "before")

    def fail(file) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(MachineError, match=r"cannot write .*file: No space left on device; free some space"):
        files.write_atomically(path, fail)
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_device_or_a_pipe_is_not_replaced_by_a_file(tmp_path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(MachineError, match="pipe: it is a device or a pipe, not a file"):
        files.write_text(pipe, "after")
    assert pipe.is_fifo()
    assert [each.name for each in tmp_path.iterdir()] == ["pipe"]


def test_not_a_number_is_not_written(tmp_path) -> None:
    with pytest.raises(AuricleError, match=r"metrics.json: test.loss is nan; if the model diverged, lower"):
        files.write_json(tmp_path / "metrics.json", {"test": {"loss": float("nan")}})
    assert not list(tmp_path.iterdir())


def test_an_epoch_whose_loss_is_not_finite_has_diverged() -> None:
    with pytest.raises(DivergedError, match="diverged in epoch 3: validation_loss is inf; lower"):
        json_line({"epoch": 3, "train_loss": 0.5, "validation_loss": float("inf")})
    assert json.loads(json_line({"epoch": 3, "train_loss": 0.5})) == {"epoch": 3, "train_loss": 0.5}


def test_a_history_line_cut_short_is_left_out(tmp_path) -> None:
    cell = StudyFolder(tmp_path).cell(CellName("cnn", "k-fold", 2, 0))
    cell.folder.mkdir(parents=True)
    cell.history.write_text(json.dumps({"epoch": 1}) + "\n" + '{"epoch": 2, "tr')
    assert runs.read_history(cell) == [{"epoch": 1}]


def test_a_process_that_has_released_a_lock_is_no_owner_even_without_proc(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("auricle.locks.Path", lambda name: Path("/nowhere") if "proc" in name else Path(name))
    with runs.lock(tmp_path):
        assert runs.owner(tmp_path) == os.getpid()
    assert runs.owner(tmp_path) is None


def test_a_file_system_without_locks_is_told_with_the_path(tmp_path, monkeypatch) -> None:
    def lock_file(file: int) -> bool:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("auricle.locks.lock_file", lock_file)
    with pytest.raises(MachineError, match=r"cannot lock .*/.lock: No locks available"), runs.lock(tmp_path):
        pass
    runs.check_free(tmp_path)


def test_a_second_owner_is_refused_and_told_who_the_first_is(tmp_path) -> None:
    take = "import sys, pathlib; from auricle import runs\nwith runs.lock(pathlib.Path(sys.argv[1])): print('got it')"
    with runs.lock(tmp_path):
        other = subprocess.run([sys.executable, "-c", take, str(tmp_path)], capture_output=True, text=True)
        assert f"in use by process {os.getpid()}" in other.stderr
    assert subprocess.run([sys.executable, "-c", take, str(tmp_path)], capture_output=True).stdout == b"got it\n"


def test_unfinished_files_of_a_killed_process_go_from_every_folder_of_a_study(tmp_path) -> None:
    killed = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    left = []
    for path in ("study.yaml", "cells/cnn/k-fold-2-0/metrics.json", "baselines/majority/k-fold-2-0/metrics.json",
                 "insight/cnn/k-fold-2-0.json", "report/findings.json"):  # fmt: skip
        part = files.part_of(tmp_path / path)
        left.append(part.with_name(part.name.replace(f".{os.getpid()}-", f".{killed.stdout.strip()}-")))
        left[-1].parent.mkdir(parents=True, exist_ok=True)
        left[-1].touch()
    mine = files.part_of(tmp_path / "insight" / "cnn" / "k-fold-3-0.json")
    mine.touch()  # a report of another process may be writing it
    runs.sweep(StudyFolder(tmp_path))
    assert [path for path in left if path.exists()] == []
    assert mine.exists()
