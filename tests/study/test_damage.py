"""What a disk has spoilt is refused in one line, or made anew; it is never taken for what was written."""

import contextlib
import errno
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auricle import files, runs
from auricle.errors import MachineError, RefusedError
from auricle.findings.study import load_study
from auricle.runs import StudyFolder
from auricle.study.status import read_status


def flipped(content: bytes, bit: int) -> bytes:
    place = bit // 8 % len(content)
    return content[:place] + bytes([content[place] ^ 1 << bit % 8]) + content[place + 1 :]


SPOILT = st.one_of(
    st.builds(lambda bit: lambda content: flipped(content, bit), st.integers(0, 8 * 100_000)),
    st.builds(lambda share: lambda content: content[: int(share * len(content))], st.floats(0, 0.999)),
)
MANY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def study(run, tmp_path):
    """A study of one finished cell of two epochs."""
    run(models=("cnn",), protocols=("test-split",))
    return StudyFolder(tmp_path / "study")


@MANY
@given(spoil=SPOILT)
def test_a_checkpoint_that_is_not_what_was_written_is_refused(tmp_path, spoil):
    path, content = tmp_path / "checkpoint.pt", bytes(range(256)) * 8
    files.write_bytes(path, files.mark(content), content)
    assert files.read_marked(path, required=True) == content
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(RefusedError, match="damaged"):
        files.read_marked(path, required=True)


@MANY
@given(spoil=SPOILT)
def test_a_description_is_what_was_written_or_is_refused(study, spoil):
    content = study.description.read_bytes()
    before = read_status(study.folder)
    study.description.write_bytes(spoil(content))
    with contextlib.suppress(RefusedError):
        assert read_status(study.folder) == before
        assert load_study(study.folder).config.name == "small"
    study.description.write_bytes(content)


@MANY
@given(spoil=SPOILT)
def test_metrics_are_what_was_written_or_are_refused(study, spoil):
    (cell,) = study.cells()
    if "files" not in json.loads(cell.metrics.read_text()):
        runs.write_metrics(cell, runs.read_metrics(cell))
    content, before = cell.metrics.read_bytes(), runs.read_metrics(cell)
    cell.metrics.write_bytes(spoil(content))
    with contextlib.suppress(RefusedError):
        assert runs.read_metrics(cell) == before
    cell.metrics.write_bytes(content)


@pytest.mark.parametrize("name", ["history", "predictions"])
@MANY
@given(spoil=SPOILT)
def test_a_report_takes_no_curve_and_no_score_from_a_spoilt_file(study, name, spoil):
    (cell,) = study.cells()
    if "files" not in json.loads(cell.metrics.read_text()):
        runs.write_metrics(cell, runs.read_metrics(cell))
    path = getattr(cell, name)
    content = path.read_bytes()
    path.write_bytes(spoil(content))
    try:
        found = load_study(study.folder)
        assert not found.cells
        assert f"{path.name} is damaged" in found.missing[0].reason
    finally:
        path.write_bytes(content)


def with_weights(study):
    (cell,) = study.cells()
    files.write_bytes(cell.weights, b"weights" * 99)
    runs.write_metrics(cell, runs.read_metrics(cell))
    return cell


@pytest.mark.parametrize("name", ["metrics", "config", "history", "predictions", "weights"])
def test_a_damaged_cell_is_trained_anew(run, fakes, study, recorder, name):
    cell = with_weights(study)
    before = {path.name: path.read_bytes() for path in cell.folder.iterdir()}
    path = getattr(cell, name)
    path.write_bytes(flipped(path.read_bytes(), 800))
    run(fakes.quick, models=("cnn",), protocols=("test-split",))
    before.pop(cell.weights.name)  # the stand-in for a training writes none
    assert f"{cell.folder} is damaged: {cell.name} will be trained again" in recorder.of("note")
    assert {path.name: path.read_bytes() for path in cell.folder.iterdir()}.keys() == before.keys()
    run(fakes.never_called, models=("cnn",), protocols=("test-split",))


def test_what_stands_beside_the_cells_is_made_anew_where_it_is_damaged(run, fakes, study):
    beside = [study.manifest, study.samples, study.model("cnn")]
    for path in beside:
        content = path.read_bytes()
        path.write_bytes(flipped(content, 8 * (len(content) // 2)))
        with pytest.raises(RefusedError, match=f"{path} is damaged.*; run the study again"):
            load_study(study.folder)
        run(fakes.never_called, models=("cnn",), protocols=("test-split",))
        assert path.read_bytes() == content


def test_weights_that_were_deleted_are_no_damage(run, fakes, study):
    with_weights(study).weights.unlink()
    run(fakes.never_called, models=("cnn",), protocols=("test-split",))


@pytest.mark.parametrize("name", ["metrics", "predictions"])
def test_a_cell_that_may_not_be_read_is_not_taken_for_damaged(run, fakes, study, monkeypatch, name):
    cell = with_weights(study)
    real = Path.open

    def opened(path, *words, **options):
        if path == getattr(cell, name):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, *words, **options)

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(MachineError, match="Permission denied; nothing was deleted"):
        run(fakes.never_called, models=("cnn",), protocols=("test-split",))
    monkeypatch.undo()
    assert runs.is_intact(cell)


def test_a_description_changed_by_hand_is_taken_once_its_first_line_is_gone(run, fakes, study):
    text = study.description.read_text().replace("commands: []", "commands: [my own words]")
    study.description.write_text(text)
    with pytest.raises(RefusedError, match=r"was edited: .*delete that line if the edit is intended"):
        read_status(study.folder)
    study.description.write_text(text.partition("\n")[2])
    assert read_status(study.folder) is not None


def test_halves_and_spent_checkpoints_are_swept_away(run, fakes, study):
    (cell,) = study.cells()
    left = [study.folder / ".study.yaml.1-2.part", cell.folder / ".metrics.json.1-2.part", cell.checkpoint]
    for path in left:
        path.write_bytes(b"half")
    run(fakes.never_called, models=("cnn",), protocols=("test-split",))
    assert not any(path.exists() for path in left)


def test_a_line_of_history_that_is_no_epoch_is_left_out(study):
    (cell,) = study.cells()
    cell.history.write_bytes(b'7\n{"epoch": "x"}\n\xff{"epoch": 1}\n{"epoch": 2}\n')
    assert runs.read_history(cell) == [{"epoch": 2}]


def test_the_need_stands_in_the_message_of_a_full_disk(tmp_path):
    need = files.machine_errors(tmp_path / "checkpoint.pt", need_bytes=12_345_678)
    with pytest.raises(MachineError, match=r"write .*checkpoint.pt \(12.3 MB\): No space left on device; free"), need:
        raise OSError(28, "No space left on device")
