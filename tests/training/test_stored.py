"""A training whose clips are read from the cache batch by batch, beside the one that holds them."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from auricle.config import load_preset
from auricle.data import cache
from auricle.data.manifest import Manifest
from auricle.errors import MachineError, UsageError
from auricle.files import digest
from auricle.model.half_frames import HalfFrames, prepare_for
from auricle.runs import Cell, CellName
from auricle.training import stored
from auricle.training.fit import fit_cell
from auricle.training.start import prepare_training
from auricle.training.stored import evenly, prepare_sets

NAME = CellName("tiny", "test-split", 2, 0)


@pytest.fixture
def kept(recordings, tmp_path, monkeypatch):
    """Return what keeps the recordings as frames of presets, as if they were too many."""
    monkeypatch.setenv("AURICLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "LARGE_BYTES", 0)
    monkeypatch.setattr(cache, "BLOCK_CLIPS", 10)
    (tmp_path / "sounds").mkdir()
    clips = tuple(
        replace(clip, path=tmp_path / "sounds" / clip.path.name, group=str(place))
        for place, clip in enumerate(recordings.manifest.clips)
    )
    for clip, waveform in zip(clips, recordings.waveforms, strict=True):
        soundfile.write(clip.path, waveform, recordings.sample_rate_hz, subtype="FLOAT")
    manifest = Manifest("sounds", clips, 1.0)
    return lambda *presets, **options: prepare_for(presets, manifest, recordings.sample_rate_hz, **options)


def train(folder: Path, preset, recordings, split, **options) -> tuple[str, str]:
    cell = Cell(NAME, folder)
    folder.mkdir(exist_ok=True)
    fit_cell(cell, preset, recordings, split, device="cpu", threads=1, **options)
    return digest(cell.weights.read_bytes()), digest(cell.predictions.read_bytes())


def test_frames_from_the_cache_are_those_of_the_waveform_to_a_thousandth(kept, recordings, split, tiny) -> None:
    for preset in (tiny(), tiny().model_copy(update={"frontend": tiny().frontend.model_copy(update={"kind": "raw"})})):
        found = kept(preset)
        _, sets = prepare_sets(preset, found, split, 0, torch.device("cpu"))
        _, exact = prepare_training(preset, recordings, split, 0, torch.device("cpu"))
        np.testing.assert_allclose(sets.frames(split.test)[:], exact.frames(split.test), rtol=2e-3, atol=1e-7)
        np.testing.assert_allclose(
            sets.fullest(split.test).frames, exact.fullest(split.test).frames, rtol=2e-3, atol=1e-7
        )


def test_a_training_learns_from_the_cache_as_from_memory(kept, recordings, split, tiny, tmp_path) -> None:
    preset = tiny(epochs=3)
    losses = []
    for number, found in enumerate((recordings, kept(preset))):
        records: list[dict] = []
        train(tmp_path / str(number), preset, found, split, on_epoch=records.append)
        losses.append([record["validation_loss"] for record in records])
    np.testing.assert_allclose(*losses, rtol=5e-3)


def test_a_training_from_the_cache_goes_on_bit_for_bit(kept, split, tiny, tmp_path) -> None:
    preset, stopped = tiny(epochs=3), tmp_path / "stopped"
    found = kept(preset)
    whole = train(tmp_path / "whole", preset, found, split)

    def stop(record: dict) -> None:
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(stopped, preset, found, split, on_epoch=stop)
    assert train(stopped, preset, found, split) == whole


def test_a_grid_of_so_many_windows_is_refused_before_anything_is_decoded(kept, tiny) -> None:
    with pytest.raises(UsageError, match=r"training\.windows=grid.*--models"):
        kept(tiny(windows="grid"))


def test_the_test_clips_are_read_after_the_last_epoch(kept, split, tiny, tmp_path, monkeypatch) -> None:
    read, epochs = [], []
    fetch = stored.StoredRows.fetch

    def watch(rows, indices):
        read.append((len(epochs), set(indices)))
        return fetch(rows, indices)

    monkeypatch.setattr(stored.StoredRows, "fetch", watch)
    train(tmp_path / "cell", tiny(epochs=2), kept(tiny()), split, on_epoch=epochs.append)
    tested = {num for num, indices in read if indices & set(split.test.tolist())}
    assert tested == {2}
    assert max(len(indices) for _, indices in read) <= 128


def test_models_whose_frames_are_alike_share_them_and_others_are_told(kept, split, tiny) -> None:
    other = tiny().model_copy(update={"frontend": tiny().frontend.model_copy(update={"num_bands": 8})})
    alike = tiny().model_copy(update={"frontend": tiny().frontend.model_copy(update={"floor": 0.1, "kind": "mfcc"})})
    found = kept(tiny(), alike)
    assert len(found.frames) == 1
    with pytest.raises(UsageError, match="keep the frontend fields"):
        prepare_sets(other, found, split, 0, torch.device("cpu"))


def test_decoding_that_was_stopped_goes_on_at_its_block(kept, tiny, monkeypatch) -> None:
    done: list[int] = []

    def stop(num: int, total: int) -> None:
        done.append(total)
        if num == 25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept(tiny(), on_progress=stop)
    found = kept(tiny(), on_progress=lambda num, total: done.append(total))
    assert done == [36] * 25 + [16] * 16
    done.clear()
    again = kept(tiny(), on_progress=lambda num, total: done.append(total))
    assert done == []
    form = HalfFrames.of(tiny())
    assert np.array_equal(again.frames[form][:], found.frames[form][:])


def test_a_clip_that_is_refused_leaves_the_rows_of_the_others_in_place(kept, tiny, recordings) -> None:
    form = HalfFrames.of(tiny())
    whole = kept(tiny())
    bad = [whole.manifest.clips[place] for place in (3, 12)]
    for clip in bad:
        clip.path.write_bytes(b"no sound")
    found = kept(tiny(), skip_bad=True)
    left = np.delete(np.arange(36), (3, 12))
    assert [clip.name for clip in found.manifest.clips] == [whole.manifest.clips[place].name for place in left]
    assert np.array_equal(found.frames[form][:], whole.frames[form][left])
    np.testing.assert_array_equal(found.waveforms[2:5], recordings.waveforms[left[2:5]])
    np.testing.assert_array_equal(found.waveforms[7], recordings.waveforms[left[7]])


def test_a_training_notes_that_its_frames_are_in_use(kept, split, tiny, tmp_path) -> None:
    found, descriptions = kept(tiny()), [*(tmp_path / "cache").rglob("*.json")]
    for path in descriptions:
        os.utime(path, (1, 1))
    prepare_sets(tiny(), found, split, 0, torch.device("cpu"))
    assert descriptions
    assert all(path.stat().st_mtime > 1 for path in descriptions)


def test_a_cache_that_is_gone_is_an_error_of_the_machine(kept, tiny, tmp_path) -> None:
    found = kept(tiny())
    for path in (tmp_path / "cache").rglob("*.f16"):
        path.unlink()
    with pytest.raises(MachineError, match="run the same command again"):
        found.frames[HalfFrames.of(tiny())][[0]]


def test_a_disk_without_room_is_told_before_anything_is_decoded(kept, tiny, monkeypatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 100})())
    decoded: list[int] = []
    notes: list[str] = []
    with pytest.raises(MachineError, match=r"GB is free; free some space.*AURICLE_CACHE"):
        kept(tiny(), on_progress=lambda *numbers: decoded.append(1), on_note=notes.append)
    assert decoded == []
    assert [note[:33] for note in notes] == ["frames of 36 clips are stored, 0."]


def test_power_of_recordings_that_are_not_scaled_stays_finite() -> None:
    form = HalfFrames.of(load_preset("tiny"))
    loud = 32_768 * np.sign(np.sin(np.arange(4000) / 3)).astype(np.float32)
    assert np.isfinite(form(loud)).all()


def test_even_distances_reach_over_all() -> None:
    assert evenly(np.arange(5), 5).tolist() == [0, 1, 2, 3, 4]
    assert evenly(np.arange(100), 4).tolist() == [0, 25, 50, 75]


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 44_100])
def test_as_many_frames_are_kept_as_are_planned(rate_hz):
    """At 22,050 Hz a transform of 64 ms has an odd length."""
    form = HalfFrames.of(load_preset("tiny", {"audio.sample_rate_hz": rate_hz}))
    for num_samples in (rate_hz, 4 * rate_hz, 4 * rate_hz + 1):
        assert form(np.zeros(num_samples, np.float32)).shape == form.row_shape(num_samples)
