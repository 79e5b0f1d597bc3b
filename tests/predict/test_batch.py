import ntpath
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from auricle.predict.batch import Journal, list_recordings, predict_files
from auricle.predict.outputs import MAX_NAME_BYTES, output_names
from auricle.predict.stream import WindowProbabilities
from auricle.predict.stretches import Pooling


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def made(*names: str) -> list[Path]:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    return [Path(name) for name in names]


def outputs(recordings: list[Path], *roots: str) -> list[str]:
    return [name.as_posix() for name in output_names(recordings, [Path(root) for root in roots], ".csv").values()]


def test_recordings_below_a_folder_are_found_through_links_once_and_hidden_ones_are_not_heard():
    made("night/b.wav", "night/late/a.flac", "night/.Trash-1000/x.wav", "night/__MACOSX/._b.wav", "night/._b.wav")
    made("elsewhere/c.mp3", "night/notes.txt")
    Path("night/site").symlink_to(Path("elsewhere").absolute())
    Path("night/again").symlink_to(Path("elsewhere").absolute())
    Path("night/up").symlink_to(Path("night").absolute())
    listing = list_recordings([Path("night")])
    assert [str(path) for path in listing.recordings] == ["night/b.wav", "night/late/a.flac", "night/site/c.mp3"]
    assert not listing.refused


def test_links_that_lead_nowhere_and_pipes_are_not_passed_over():
    made("night/b.wav")
    Path("night/gone.wav").symlink_to("nowhere.wav")
    Path("night/unplugged").symlink_to("/nowhere/at/all")
    Path("night/loop").symlink_to("loop")
    os.mkfifo("night/pipe.wav")
    listing = list_recordings([Path("night")])
    assert {path.name for path in listing.recordings} == {"b.wav", "gone.wav", "pipe.wav"}
    assert set(listing.refused) == {Path("night/unplugged"), Path("night/loop")}


def test_a_folder_that_holds_nothing_or_cannot_be_listed_is_refused_and_the_others_are_read(monkeypatch):
    made("night/b.wav", "night/locked/c.wav")
    Path("empty").mkdir()
    real = Path.iterdir

    def iterdir(path: Path):
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    listing = list_recordings([Path("night"), Path("empty"), Path("a.wav")])
    assert listing.recordings == [Path("night/b.wav"), Path("a.wav")]
    assert listing.refused[Path("night/locked")] == "cannot be listed: Permission denied"
    assert "no recordings" in listing.refused[Path("empty")]


def test_a_folder_that_is_named_twice_is_read_once():
    made("night/late/a.wav")
    Path("link").symlink_to("night")
    for roots in (["night", "night"], ["night", "night/late"], ["night/late", "night"], ["night", "link"]):
        listing = list_recordings([Path(root) for root in roots])
        assert [path.name for path in listing.recordings] == ["a.wav"]
        assert not listing.refused


@pytest.mark.parametrize("grows", [False, True])
def test_a_recording_that_grows_while_it_is_classified_is_not_done(monkeypatch, grows):
    (path,) = made("a.wav")

    def windows(*_: object, **__: object) -> WindowProbabilities:
        if grows:
            path.write_bytes(b"more")
        return WindowProbabilities(1.0, np.zeros(1), np.array([[0.9, 0.1]]))

    monkeypatch.setattr("auricle.predict.batch.predict_windows", windows)
    pooling = Pooling(("a", "b"), (0.5, 0.5), 1.0, 1.0)
    (recording,) = predict_files(None, [path], pooling, journal=Journal(Path("journal"), {}))
    assert recording.stretches[0].label == "a"
    recalled = Journal(Path("journal"), {}).recall(path)
    assert (recalled is None) == grows


def test_outputs_of_recordings_on_two_drives_of_windows_do_not_meet(monkeypatch):
    for name in ("abspath", "commonpath", "relpath"):
        monkeypatch.setattr(f"os.path.{name}", getattr(ntpath, name))
    drives = ["C:/night/a.wav", "D:/night/a.wav"]
    names = outputs([Path(path) for path in drives], *drives)
    assert len(set(names)) == 2
    assert not [name for name in names if "/" in name or "\\" in name]


def test_outputs_lie_as_the_recordings_below_their_folder():
    recordings = made("night/a.wav", "night/a.mp3", "night/late/a.wav", "b.wav")
    names = ["a.wav.csv", "a.mp3.csv", "late/a.wav.csv", "b.wav.csv"]
    assert outputs(recordings, "night", "b.wav") == names
    assert outputs([path.absolute() for path in recordings], str(Path("night").absolute()), "b.wav") == names


def test_outputs_of_one_name_keep_their_folders():
    recordings = made("siteA/a.wav", "siteB/a.wav", "siteB/b.wav")
    kept = ["siteA/a.wav.csv", "siteB/a.wav.csv", "siteB/b.wav.csv"]
    assert outputs(recordings, "siteA", "siteB") == kept
    assert outputs(recordings, *map(str, recordings)) == kept
    assert outputs(made("x/site/a.wav", "y/site/a.wav"), "x/site", "y/site") == ["x/site/a.wav.csv", "y/site/a.wav.csv"]


@pytest.mark.parametrize(
    "names",
    [
        ("n/Dog.wav", "n/dog.wav"),
        ("n/Site/dog.wav", "n/site/DOG.wav"),
        (f"n/{unicodedata.normalize('NFC', 'é')}.wav", f"n/{unicodedata.normalize('NFD', 'é')}.wav"),
        ("n/a.wav", "n/a.wav.csv/b.wav"),
        ("n/stra\u00dfe.wav", "n/STRASSE.wav"),
    ],
)
def test_outputs_that_would_meet_on_some_file_system_are_told_apart(names):
    recordings = made(*names)
    folded = {unicodedata.normalize("NFC", name.casefold()) for name in outputs(recordings, "n")}
    assert len(folded) == 2
    for name in folded:
        assert not any(other != name and other.startswith(f"{name}/") for other in folded)
    assert all(name.endswith(".csv") for name in folded)


@pytest.mark.parametrize("letter", ["a", "é", "\U0001f415"])
def test_a_long_name_is_shortened_and_stays_unique(letter):
    length = 240 // len(letter.encode())
    recordings = made(*(f"n/{letter * length}{end}.wav" for end in "12"), "n/dog.wav")
    long, other, dog = outputs(recordings, "n")
    assert long != other
    assert dog == "dog.wav.csv"
    assert all(MAX_NAME_BYTES - 4 <= len(name.encode()) <= MAX_NAME_BYTES for name in (long, other))
    assert long.startswith(letter * 20)
