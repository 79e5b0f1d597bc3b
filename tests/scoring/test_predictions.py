from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auricle.errors import RefusedError
from auricle.runs import Cell, CellName
from auricle.scoring import predictions
from auricle.scoring.predictions import Predictions, read_predictions, write_predictions

WINDOWS = Predictions(
    clips=("b.wav", "b.wav", "a.wav", "a.wav"),
    sets=("validation", "validation", "test", "test"),
    labels=np.array([1, 1, 0, 0]),
    starts_s=np.array([0.0, 0.5, 0.0, 1.25]),
    probabilities=np.array([[0.4, 0.6], [0.2, 0.8], [1.0, 0.0], [0.3333333333, 0.6666666667]]),
    categories=("cat", "dog"),
)


def test_clip_probabilities_are_the_mean_of_the_clip_s_windows_in_order_of_first_appearance():
    clips = WINDOWS.by_clip()
    assert clips.clips == ("b.wav", "a.wav")
    np.testing.assert_allclose(clips.probabilities, [[0.3, 0.7], [2 / 3, 1 / 3]], atol=1e-9)
    assert clips.labels.tolist() == [1, 0]
    assert clips.answers.tolist() == [1, 0]


def test_windows_of_one_clip_need_not_be_neighbours():
    order = [0, 2, 1, 3]
    shuffled = Predictions(
        tuple(WINDOWS.clips[i] for i in order),
        tuple(WINDOWS.sets[i] for i in order),
        WINDOWS.labels[order],
        WINDOWS.starts_s[order],
        WINDOWS.probabilities[order],
        WINDOWS.categories,
    )
    np.testing.assert_array_equal(shuffled.by_clip().probabilities, WINDOWS.by_clip().probabilities)


def test_of_keeps_only_the_rows_of_its_set():
    assert WINDOWS.of("test").clips == ("a.wav", "a.wav")
    assert WINDOWS.of("train").probabilities.shape == (0, 2)
    assert WINDOWS.of("train").by_clip().probabilities.shape == (0, 2)


def test_columns_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        Predictions(("a",), ("test",), np.array([0]), np.array([0.0]), np.array([[1.0]]), ("cat", "dog"))


def test_the_file_is_the_table_that_the_documentation_shows(tmp_path: Path):
    write_predictions(tmp_path / "predictions.csv", WINDOWS)
    assert (tmp_path / "predictions.csv").read_bytes().decode() == (
        "clip,set,label,start_s,weight,cat,dog\r\n"
        "b.wav,validation,dog,0,1,0.4,0.6\r\n"
        "b.wav,validation,dog,0.5,1,0.2,0.8\r\n"
        "a.wav,test,cat,0,1,1,0\r\n"
        "a.wav,test,cat,1.25,1,0.3333333,0.6666667\r\n"
    )


names = st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=12)


@given(st.lists(names, min_size=2, max_size=4, unique=True), names, st.integers(0, 9))
def test_any_name_survives_the_file(tmp_path_factory, categories: list[str], clip: str, seed: int):
    path = tmp_path_factory.mktemp("p") / "predictions.csv"
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(len(categories)), size=2)
    written = Predictions(
        (clip, clip),
        ("test", "test"),
        np.array([0, 0]),
        np.array([0.0, 1.0]),
        probabilities,
        tuple(categories),
    )
    write_predictions(path, written)
    found = read_predictions(path)
    assert found.clips == written.clips
    assert found.categories == written.categories
    assert found.labels.tolist() == [0, 0]
    np.testing.assert_allclose(found.probabilities, probabilities, rtol=1e-6)


def test_a_file_name_that_is_not_utf_8_survives_the_file(tmp_path: Path):
    name = b"caf\xe9.wav".decode("utf-8", "surrogateescape")
    one = Predictions((name,), ("test",), np.array([0]), np.array([0.0]), np.array([[1.0, 0.0]]), ("cat", "dog"))
    write_predictions(tmp_path / "predictions.csv", one)
    assert read_predictions(tmp_path / "predictions.csv").clips == (name,)


def test_writing_twice_gives_the_same_bytes_and_reading_back_changes_nothing(tmp_path: Path):
    write_predictions(tmp_path / "1.csv", WINDOWS)
    write_predictions(tmp_path / "2.csv", read_predictions(tmp_path / "1.csv"))
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()


HEADER = "clip,set,label,start_s,cat,dog\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "run the study again"),
        ("", "first line"),
        ("clip,set,label,cat,dog\n", "first line"),
        ("clip,set,label,start_s,cat\n", "first line"),
        (HEADER + "a,test,cow,0,1,0\n", "row 2"),
        (HEADER + "a,test,cat,0,1,0\na,test,cat,0,1\n", "row 3"),
        (HEADER + "a,test,cat,0,nan,0\n", "finite"),
        (HEADER + "a,test,cat,zero,1,0\n", "row 2"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused_with_the_place(tmp_path: Path, content: str | None, reason: str):
    path = tmp_path / "predictions.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RefusedError, match=reason) as refused:
        read_predictions(path)
    assert str(path) in str(refused.value)


def test_no_rows_are_a_table_too(tmp_path: Path):
    write_predictions(tmp_path / "predictions.csv", WINDOWS.of("train"))
    assert read_predictions(tmp_path / "predictions.csv").probabilities.shape == (0, 2)


def test_very_many_rows_are_arrays_which_the_same_reader_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = Cell(CellName("cnn", "k-fold", 1, 0), tmp_path)
    table = replace(WINDOWS, clips=("b\udcff.wav", "b\udcff.wav", "a.wav", "a.wav"), weights=np.array([1.0, 0, 1, 1]))
    write_predictions(cell.predictions, table)
    as_text = read_predictions(cell.predictions)
    monkeypatch.setattr(predictions, "MOST_AS_TEXT", 7)
    write_predictions(cell.predictions, table)
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.npz"]
    found = read_predictions(cell.predictions)
    for name in ("clips", "sets", "categories"):
        assert getattr(found, name) == getattr(as_text, name), name
    for name in ("labels", "starts_s", "weights", "probabilities"):
        np.testing.assert_allclose(getattr(found, name), getattr(as_text, name), atol=1e-7)
    monkeypatch.undo()
    write_predictions(cell.predictions, table)
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.csv"]


@pytest.mark.parametrize("content", [b"", b"no arrays", None])
def test_arrays_that_are_damaged_are_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "predictions.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RefusedError, match="run the study again"):
        read_predictions(path)
