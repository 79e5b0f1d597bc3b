import json
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from auricle.data import cache as cache_module
from auricle.data.audio import load_waveform
from auricle.data.cache import prepare
from auricle.data.datasets import load_manifest
from auricle.data.manifest import Clip, Manifest
from auricle.data.store import cache_folder
from auricle.errors import MachineError, RefusedError

RATE_HZ = 4_000
WriteSound = Callable[..., Path]


@pytest.fixture
def manifest(class_folders: Path) -> Manifest:
    return replace(load_manifest(str(class_folders)), untrusted=False)


@pytest.fixture
def num_decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were decoded, in any order."""
    decoded: list[Path] = []

    def counting(path: Path, **options: object) -> np.ndarray:
        decoded.append(path)
        return load_waveform(path, **options)

    monkeypatch.setattr(cache_module, "load_waveform", counting)
    return decoded


def entries(cache: Path) -> list[str]:
    return sorted(path.suffix for path in (cache / "recordings").iterdir())


def test_every_row_is_the_clips_waveform_whether_decoded_now_or_before(manifest: Manifest) -> None:
    for _ in range(2):
        recordings = prepare(manifest, sample_rate_hz=RATE_HZ)
        assert recordings.waveforms.shape == (15, round(manifest.clip_s * RATE_HZ))
        assert recordings.waveforms.dtype == np.float32
        for clip, row in zip(recordings.manifest.clips, recordings.waveforms, strict=True):
            expected = load_waveform(clip.path, sample_rate_hz=RATE_HZ, duration_s=manifest.clip_s)
            np.testing.assert_array_equal(row, expected)


def test_the_second_time_nothing_is_decoded(manifest: Manifest, num_decoded: list[Path]) -> None:
    first = prepare(manifest, sample_rate_hz=RATE_HZ)
    num_decoded.clear()
    second = prepare(manifest, sample_rate_hz=RATE_HZ)
    assert num_decoded == []
    assert (second.manifest, second.digest) == (first.manifest, first.digest)


def test_the_rows_are_a_map_that_cannot_be_written(manifest: Manifest) -> None:
    waveforms = prepare(manifest, sample_rate_hz=RATE_HZ).waveforms
    assert isinstance(waveforms, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        waveforms[0, 0] = 1.0


def test_an_edited_file_is_decoded_anew_even_if_size_and_date_are_the_same(
    manifest: Manifest, write_sound: WriteSound
) -> None:
    before = prepare(manifest, sample_rate_hz=RATE_HZ)
    path = manifest.clips[0].path
    status = path.stat()
    write_sound(path, pitch_hz=1_234)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    after = prepare(manifest, sample_rate_hz=RATE_HZ)
    assert after.digest != before.digest
    assert not np.array_equal(after.waveforms[0], before.waveforms[0])
    np.testing.assert_array_equal(after.waveforms[1:], before.waveforms[1:])


def test_added_renamed_and_relabelled_files_are_never_served_stale(
    class_folders: Path, write_sound: WriteSound
) -> None:
    def content() -> dict[str, tuple[str, bytes]]:
        recordings = prepare(load_manifest(str(class_folders)), sample_rate_hz=RATE_HZ)
        digests.append(recordings.digest)
        rows = zip(recordings.manifest.clips, recordings.waveforms, strict=True)
        return {clip.name: (clip.category, row.tobytes()) for clip, row in rows}

    digests: list[str] = []
    before = content()
    write_sound(class_folders / "cat" / "5.wav", pitch_hz=999)
    added = content()
    assert {name: added[name] for name in before} == before
    assert added.keys() - before.keys() == {"cat/5.wav"}

    (class_folders / "cat" / "5.wav").rename(class_folders / "cat" / "-first.wav")
    renamed = content()
    assert renamed["cat/-first.wav"] == added["cat/5.wav"]
    assert {name: renamed[name] for name in before} == before

    (class_folders / "cat" / "-first.wav").rename(class_folders / "dog" / "-first.wav")
    relabelled = content()
    assert relabelled["dog/-first.wav"] == ("dog", added["cat/5.wav"][1])
    assert len(set(digests)) == 4


def test_the_digest_names_labels_folds_groups_rate_and_length_but_not_the_place(
    manifest: Manifest, class_folders: Path
) -> None:
    first, *rest = manifest.clips
    changed = [
        *(
            replace(manifest, clips=(replace(first, **{field: value}), *rest))
            for field, value in (
                ("category", "cat"),
                ("fold", first.fold % 5 + 1),
                ("group", "other"),
                ("name", "other"),
            )
        ),
        replace(manifest, clip_s=0.4),
    ]
    digests = [prepare(each, sample_rate_hz=RATE_HZ).digest for each in (manifest, *changed)]
    digests.append(prepare(manifest, sample_rate_hz=2 * RATE_HZ).digest)
    assert len(set(digests)) == len(digests)

    moved = class_folders.rename(class_folders.with_name("elsewhere"))
    assert prepare(load_manifest(str(moved)), sample_rate_hz=RATE_HZ).digest == digests[0]


def test_new_folds_and_labels_need_no_new_decoding(manifest: Manifest, num_decoded: list[Path]) -> None:
    prepare(manifest, sample_rate_hz=RATE_HZ)
    num_decoded.clear()
    clips = tuple(replace(clip, fold=6 - clip.fold, group=clip.category) for clip in manifest.clips)
    assert prepare(replace(manifest, clips=clips), sample_rate_hz=RATE_HZ).manifest.clips == clips
    assert num_decoded == []


def test_progress_counts_every_clip_once_and_is_silent_when_nothing_is_decoded(manifest: Manifest) -> None:
    seen: list[tuple[int, int]] = []
    prepare(manifest, sample_rate_hz=RATE_HZ, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 15) for n in range(1, 16)]
    prepare(manifest, sample_rate_hz=RATE_HZ, on_progress=lambda done, total: seen.append((done, total)))
    assert len(seen) == 15


def test_the_number_of_threads_changes_nothing(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    contents = []
    for workers in (1, 7):
        monkeypatch.setenv("AURICLE_CACHE", str(tmp_path / f"cache-{workers}"))
        contents.append(prepare(manifest, sample_rate_hz=RATE_HZ, workers=workers).waveforms.tobytes())
    assert contents[0] == contents[1]


# Bad files


def test_refused_files_are_named_with_reasons_and_the_way_out(manifest: Manifest) -> None:
    for clip in manifest.clips[:7]:
        clip.path.write_bytes(b"")
    soundfile.write(manifest.clips[1].path, np.array([0.0, np.nan]), RATE_HZ, subtype="FLOAT")
    with pytest.raises(RefusedError) as caught:
        prepare(manifest, sample_rate_hz=RATE_HZ)
    assert str(caught.value) == (
        "7 of 15 recordings cannot be used: bell/0.wav (empty (0 bytes)); bell/1.wav (contains samples that are not "
        "finite); bell/2.wav (empty (0 bytes)); bell/3.wav (empty (0 bytes)); bell/4.wav (empty (0 bytes)); and 2 "
        "more; repair or delete them, or leave them out with --skip-bad"
    )


@pytest.fixture
def six_each(class_folders: Path, write_sound: WriteSound) -> Manifest:
    """Six clips a class in five folds, so that one may be missed."""
    for category in ("bell", "cat", "dog"):
        write_sound(class_folders / category / "5.wav", pitch_hz=777)
    return replace(load_manifest(str(class_folders)), untrusted=False)


def test_left_out_files_are_listed_and_the_rows_fit_the_clips_that_stay(six_each: Manifest) -> None:
    six_each.clips[2].path.write_text("no sound")
    for _ in range(2):
        recordings = prepare(six_each, sample_rate_hz=RATE_HZ, skip_bad=True)
        assert recordings.manifest.skipped == (("bell/2.wav", "cannot be decoded: Format not recognised"),)
        assert recordings.manifest.clips == six_each.clips[:2] + six_each.clips[3:]
        assert len(recordings.waveforms) == 17
        kept = recordings.manifest.clips[2]
        expected = load_waveform(kept.path, sample_rate_hz=RATE_HZ, duration_s=six_each.clip_s)
        np.testing.assert_array_equal(recordings.waveforms[2], expected)
    with pytest.raises(RefusedError, match="1 of 18 recordings cannot be used"):
        prepare(six_each, sample_rate_hz=RATE_HZ)


def test_a_file_that_can_be_read_again_comes_back(six_each: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(path: Path, **options: object) -> np.ndarray:
        if path == six_each.clips[2].path:
            raise RefusedError(f"{path}: cannot be opened: Too many open files")
        return load_waveform(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "load_waveform", busy)
        skipped = prepare(six_each, sample_rate_hz=RATE_HZ, skip_bad=True).manifest.skipped
    assert skipped == (("bell/2.wav", "cannot be opened: Too many open files"),)
    assert prepare(six_each, sample_rate_hz=RATE_HZ, skip_bad=True).manifest.skipped == ()


def test_too_little_left_is_refused(manifest: Manifest, six_each: Manifest) -> None:
    for clip in six_each.clips[:2]:
        clip.path.unlink()
    with pytest.raises(
        RefusedError, match=r"with 2 recordings left out, .* class 'bell' has 4 clips, fewer than the 5"
    ):
        prepare(six_each, sample_rate_hz=RATE_HZ, skip_bad=True)
    for clip in six_each.clips[:6]:
        clip.path.unlink(missing_ok=True)
    with pytest.raises(RefusedError, match="with 6 recordings left out, class bell has no clips"):
        prepare(six_each, sample_rate_hz=RATE_HZ, skip_bad=True)
    for clip in six_each.clips:
        clip.path.unlink(missing_ok=True)
    with pytest.raises(RefusedError, match=r"18 of 18 recordings cannot be used: .*repair or delete them$"):
        prepare(six_each, sample_rate_hz=RATE_HZ, skip_bad=True)


# The files of the cache


def test_an_entry_that_is_damaged_is_made_anew(manifest: Manifest, cache: Path) -> None:
    whole = prepare(manifest, sample_rate_hz=RATE_HZ).waveforms.tobytes()
    (rows,) = (cache / "recordings").glob("*.f32")
    (description,) = (cache / "recordings").glob("*.json")
    text = description.read_text()
    for damage in (
        lambda: rows.write_bytes(rows.read_bytes()[:-4]),
        lambda: rows.unlink(),
        lambda: description.write_text(text[:-10]),
        lambda: description.write_text("[]"),
        lambda: description.write_text(json.dumps(json.loads(text) | {"num_rows": 14})),
    ):
        damage()
        assert prepare(manifest, sample_rate_hz=RATE_HZ).waveforms.tobytes() == whole


def test_a_preparation_that_breaks_off_leaves_nothing_behind(manifest: Manifest, cache: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(manifest, sample_rate_hz=RATE_HZ, on_progress=stop)
    assert entries(cache) == []


def test_a_cache_that_cannot_be_written_is_the_machines_fault(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AURICLE_CACHE", str(tmp_path / "file"))
    with pytest.raises(MachineError, match="cannot write"):
        prepare(manifest, sample_rate_hz=RATE_HZ)


def _prepare(
    manifest: Manifest, start: "multiprocessing.synchronize.Barrier", found: "multiprocessing.Queue[bytes]"
) -> None:
    start.wait()
    found.put(prepare(manifest, sample_rate_hz=RATE_HZ).waveforms.tobytes())


def test_two_processes_that_prepare_at_once_both_succeed(manifest: Manifest, cache: Path) -> None:
    spawn = multiprocessing.get_context("fork")
    start, found = spawn.Barrier(2), spawn.Queue()
    processes = [spawn.Process(target=_prepare, args=(manifest, start, found)) for _ in range(2)]
    for process in processes:
        process.start()
    contents = [found.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert contents[0] == contents[1] != b""
    assert entries(cache) == [".f32", ".json"]


def test_the_cache_lies_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AURICLE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("AURICLE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder().name == "auricle"


def test_two_clips_may_be_one_file(class_folders: Path) -> None:
    path = class_folders / "dog" / "0.wav"
    clips = tuple(Clip(path, f"{n}", "ab"[n % 2], n // 2, "g") for n in range(4))
    waveforms = prepare(Manifest("same", clips, 0.5), sample_rate_hz=RATE_HZ).waveforms
    assert (waveforms == waveforms[0]).all()
