"""A search from start to end, with a stand-in for the training and one real worker process."""

import json
from pathlib import Path

import pytest

from auricle.config import StudyConfig
from auricle.data.datasets import load_manifest
from auricle.errors import AuricleError, MachineError, RefusedError, UsageError
from auricle.runs import lock
from auricle.search.record import read_record
from auricle.search.source import without_test
from auricle.study.study import run_study
from auricle.work.options import RunOptions
from made_sounds import decode_here


def test_the_set_with_the_lowest_validation_loss_becomes_a_study(search, tmp_path):
    result = search(workers=2)
    losses = [entry["loss"] for entry in result.entries]
    assert [entry["state"] for entry in result.entries] == ["done"] * 6
    assert result.best["loss"] == min(losses)
    (name,) = result.study.models
    assert name == f"cnn-trial-{result.best['number']}"
    assert result.study.presets[name]["training"]["learning_rate"] == result.best["values"]["training.learning_rate"]
    assert result.study.presets[name]["training"]["epochs"] == 2
    assert sum(result.importance.values()) == pytest.approx(1)
    record = read_record(tmp_path / "out" / "search")
    assert record["trials"] == list(result.entries)
    assert record["num_unheard"] == 2
    assert not list((tmp_path / "out" / "search" / "cells").glob("*/*/model.safetensors"))


def test_no_clip_of_the_test_fold_is_given_to_a_trial_or_even_decoded(search, sounds, fakes, tmp_path):
    """The files of the test fold are noise that cannot be decoded: nobody notices until the best set is scored."""
    tests = [clip for clip in load_manifest(str(sounds)).clips if clip.fold == 1]
    assert len(tests) == 2
    for clip in tests:
        clip.path.write_bytes(b"no sound at all")
    result = search(fakes.heard, trials=2, protocol="k-fold")
    given = [json.loads(path.read_text()) for path in (tmp_path / "out/search/cells").glob("*/*/heard.json")]
    assert len(given) == 2 * 4
    for each in given:
        assert {fold for _, fold in each["clips"]} == {2, 3, 4, 5}
        assert each["num_rows"] == len(each["clips"]) == 8
        assert each["test"] == []
        assert not {clip.name for clip in tests} & {*each["train"], *each["validation"]}
        assert sorted(each["train"] + each["validation"]) == sorted(name for name, _ in each["clips"])
    with pytest.raises(RefusedError, match="2 of 10 recordings cannot be used"):
        run_study(result.study, tmp_path / "out", RunOptions(device="cpu"))


def test_each_fold_but_the_first_validates_once_under_k_fold(search, fakes, tmp_path):
    search(fakes.heard, trials=1, protocol="k-fold")
    given = [json.loads(path.read_text()) for path in (tmp_path / "out/search/cells").glob("*/*/heard.json")]
    assert sorted(clip for each in given for clip in each["validation"]) == sorted(
        name for name, _ in given[0]["clips"]
    )


def test_the_same_command_goes_on_and_tries_nothing_again(search, fakes):
    first = search(trials=3)
    more = search(trials=5)
    assert more.entries[:3] == first.entries
    assert len(more.entries) == 5
    assert search(fakes.never_called, trials=5).entries == more.entries


def test_a_damaged_fold_of_a_trial_is_trained_again(search, tmp_path):
    metrics = tmp_path / "out/search/cells/trial-0/test-split-2-0/metrics.json"
    metrics.parent.mkdir(parents=True)
    metrics.write_text("{")
    (entry,) = search(trials=1).entries
    assert (entry["state"], entry["cause"]) == ("done", "")


@pytest.mark.parametrize(
    ("field", "values"), [("frontend.num_bands", [32, 64]), ("training.windows", ["random", "grid"])]
)
def test_large_data_are_not_searched_for_what_needs_other_frames_or_all_windows(search, field, values, monkeypatch):
    monkeypatch.setattr("auricle.data.cache.LARGE_BYTES", 0)
    monkeypatch.setattr("auricle.data.cache.in_processes", lambda *_, **options: pytest.fail("decoded"))
    with pytest.raises(UsageError, match=rf"^space small: {field} cannot be searched in 8 clips, .*; list `models`"):
        search(parameters={field: values})


def test_trials_that_raise_are_failed_and_those_that_diverge_are_bad_sets(search, fakes):
    result = search(fakes.batch_16_diverges, sampler="grid", parameters={"training.batch_size": [16, 32, 64]})
    by_batch = {entry["values"]["training.batch_size"]: entry for entry in result.entries}
    assert {batch: entry["state"] for batch, entry in by_batch.items()} == {16: "pruned", 32: "done", 64: "failed"}
    assert by_batch[16]["cause"] == "loss nan in epoch 1; lower training.learning_rate"
    assert by_batch[64]["cause"] == "ValueError: broken"
    assert result.best is not None
    assert result.best["values"] == {"training.batch_size": 32}


def test_a_grid_is_tried_once_each(search):
    parameters = {"training.batch_size": [16, 32], "training.optimizer": ["adam", "sgd"]}
    result = search(sampler="grid", trials=None, parameters=parameters, workers=2)
    tried = sorted(tuple(entry["values"].values()) for entry in result.entries)
    assert tried == [(16, "adam"), (16, "sgd"), (32, "adam"), (32, "sgd")]


def test_a_grid_that_is_stopped_while_a_trial_gets_its_values_misses_no_point(search, monkeypatch):
    parameters = {"training.batch_size": [16, 32], "training.optimizer": ["adam", "sgd"]}
    with monkeypatch.context() as patched:
        patched.setattr("auricle.search.trials._suggest", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            search(sampler="grid", trials=None, parameters=parameters)
    result = search(sampler="grid", trials=None, parameters=parameters)
    tried = sorted(tuple(entry["values"].values()) for entry in result.entries)
    assert tried == [(16, "adam"), (16, "sgd"), (32, "adam"), (32, "sgd")]


def test_trials_that_lag_behind_end_early(search):
    result = search(pruner="median", trials=14, overrides={"training.epochs": 10})
    pruned = [entry for entry in result.entries if entry["state"] == "pruned"]
    assert pruned
    assert all(entry["epochs"] < 10 and entry["cause"].startswith("worse than other trials") for entry in pruned)


def test_a_worker_that_dies_again_fails_its_trial_for_good(search, fakes, tmp_path):
    with pytest.raises(AuricleError, match=r"none of the trials \(1\) was completed: .*SIGKILL"):
        search(fakes.dies, trials=1)
    (entry,) = read_record(tmp_path / "out" / "search")["trials"]
    assert entry["state"] == "failed"


def test_another_space_or_other_recordings_in_the_folder_are_refused(search, sounds):
    search(trials=1)
    with pytest.raises(
        UsageError, match=r"contains a search with another space, preset or setting; choose another --out"
    ):
        search(trials=1, overrides={"training.epochs": 3})
    (sounds / "dog" / "dog 9.wav").write_bytes((sounds / "dog" / "dog 1.wav").read_bytes())
    with pytest.raises(RefusedError, match="contains a search of other recordings"):
        search(trials=1)


def test_a_search_is_not_continued_with_other_clips_than_it_began_with(search, sounds, monkeypatch):
    for number in (7, 8, 9):
        (sounds / "dog" / f"dog {number}.wav").write_bytes((sounds / "dog" / "dog 1.wav").read_bytes())
    begun = [clip.path for clip in without_test(load_manifest(str(sounds)), "test-split").manifest.clips]
    (clip,) = [path for path in begun if path.name == "dog 9.wav"]
    decode_here(monkeypatch, all_but=clip)
    result = search(trials=1, skip_bad=True)
    assert read_record(result.folder / "search")["num_clips"] == len(begun) - 1
    decode_here(monkeypatch)
    with pytest.raises(
        RefusedError,
        match=rf"a search of {len(begun) - 1} clips, but {len(begun)} of the same .* run the search again",
    ):
        search(trials=1, skip_bad=True)


def test_a_folder_in_use_or_with_something_else_is_left_alone(search, tmp_path):
    with lock(tmp_path / "out" / "search"), pytest.raises(MachineError, match="in use by process"):
        search(trials=1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("precious")
    with pytest.raises(UsageError, match=r"contains files that are not a study \(first: thesis.tex\)"):
        search(trials=1, out=tmp_path / "mine")


def test_the_study_of_the_best_set_goes_into_the_folder_of_the_search(search, tmp_path, monkeypatch):
    import fake_fits

    monkeypatch.setattr("auricle.model.describe.describe", fake_fits.layers)
    result = search(trials=2)
    done = run_study(result.study, tmp_path / "out", RunOptions(device="cpu", workers=1), fit=fake_fits.quick)
    assert [cell.model for cell in done.done] == list(result.study.models)
    assert isinstance(result.study, StudyConfig)
    assert search(trials=2).entries == result.entries, "and the search still knows its folder"


@pytest.mark.parametrize(
    "url", ["sqlite:///no/such/folder/trials.db", "no/such/folder/journal.log", "redis://localhost:1/0"]
)
def test_a_storage_that_cannot_be_reached_is_the_machine_s_fault(search, url):
    with pytest.raises(MachineError, match=r"storage") as caught:
        search(trials=1, storage=url)
    assert "\n" not in str(caught.value)


def test_a_storage_that_is_none_is_a_usage_error(search):
    with pytest.raises(UsageError, match="is not a storage; give a journal file"):
        search(trials=1, storage="sqlight:///x.db")


def test_a_password_in_a_storage_is_not_shown(search):
    with pytest.raises((MachineError, UsageError)) as caught:
        search(trials=1, storage="nosuch://me:secret@host/db")
    assert "secret" not in str(caught.value)


def test_a_database_serves_as_storage_too(search, tmp_path: Path):
    storage = f"sqlite:///{tmp_path / 'trials.db'}"
    first = search(trials=2, storage=storage)
    again = search(trials=2, storage=storage, out=tmp_path / "elsewhere")
    assert again.entries == first.entries
