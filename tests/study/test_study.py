import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from auricle import runs
from auricle.errors import MachineError, RefusedError, UsageError
from auricle.files import part_of
from auricle.model.describe import describe
from auricle.runs import CellName, StudyFolder
from auricle.runs.reopen import study_config
from made_sounds import decode_here


def test_every_cell_is_trained_and_the_record_says_what_was_asked(run, tmp_path):
    result = run(command="auricle study small")
    study = StudyFolder(tmp_path / "study")
    assert len(result.done) == 2 * (1 + 4)
    assert result.num_ran == 2 * 4  # test-split is a fold of k-fold
    assert not result.failed
    description = yaml.safe_load(study.description.read_text())
    assert description["study"]["models"] == ["cnn", "transformer-h2"]
    assert description["models"]["cnn"]["training"]["epochs"] == 2
    assert description["dataset"]["counts"] == {"cat": 5, "dog": 5}
    assert description["dataset"]["num_clips"] == 10
    assert "Folds were made" in " ".join(description["dataset"]["notes"])
    assert description["commands"] == ["auricle study small"]
    assert description["machine"]["device"] == "cpu"
    assert {"python", "torch", "auricle"} <= set(description["versions"])


def test_results_have_one_row_a_finished_cell(run, tmp_path):
    result = run()
    rows = list(csv.DictReader(StudyFolder(tmp_path / "study").results.open()))
    names = {CellName(row["model"], row["protocol"], int(row["fold"]), int(row["seed"])) for row in rows}
    assert names == set(result.done)
    assert float(rows[0]["test_accuracy"]) == 1.0
    assert float(rows[0]["validation_accuracy"]) == 0.5


def test_the_manifest_and_a_sample_of_each_class_outside_the_test_fold_are_kept(run, tmp_path):
    run()
    study = StudyFolder(tmp_path / "study")
    folds = {row["clip"]: int(row["fold"]) for row in csv.DictReader(study.manifest.open())}
    samples = np.load(study.samples)
    assert len(folds) == 10
    assert samples["categories"].tolist() == ["cat", "dog"]
    assert samples["waveforms"].shape == (2, 8_000)
    assert samples["waveforms"].dtype == np.int16
    assert 0.25 * 32767 < np.abs(samples["waveforms"]).max() < 0.4 * 32767
    assert all(folds[name] == 2 for name in samples["names"])


def test_layers_of_each_model_are_described(run, tmp_path):
    run(layers=describe, models=("cnn",))
    layers = json.loads(StudyFolder(tmp_path / "study").model("cnn").read_text())
    assert layers["name"] == "cnn"
    assert layers["layers"]


def test_a_study_run_again_trains_nothing(run, fakes, recorder, tmp_path):
    run()
    before = StudyFolder(tmp_path / "study").description.read_text()
    result = run(fakes.never_called)
    assert len(result.done) == 10
    assert result.num_ran == 0
    assert recorder.of("planned")[-1] == (0, 10, 1)
    assert StudyFolder(tmp_path / "study").description.read_text() == before


def test_seeds_models_and_protocols_may_be_added(run, recorder, tmp_path):
    run(models=("cnn",), protocols=("test-split",))
    result = run(models=("transformer-h2",), protocols=("official",), seeds=(3,))
    assert result.num_ran == 5
    description = yaml.safe_load(StudyFolder(tmp_path / "study").description.read_text())
    assert description["study"]["models"] == ["cnn", "transformer-h2"]
    assert description["study"]["protocols"] == ["test-split", "official"]
    assert description["study"]["seeds"] == [0, 3]
    assert set(description["models"]) == {"cnn", "transformer-h2"}


def test_finished_cells_that_were_brought_from_another_folder_are_taken_in(run, fakes, tmp_path):
    here, there = tmp_path / "study", tmp_path / "other"
    run(models=("cnn",), protocols=("test-split",), command="one")
    run(models=("transformer-h2",), protocols=("test-split",), out=there)
    shutil.copytree(there / "cells" / "transformer-h2", here / "cells" / "transformer-h2")
    result = run(
        fakes.never_called, models=("transformer-h2",), protocols=("test-split",), device="auto", command="two"
    )
    assert result.num_ran == 0
    description = yaml.safe_load(StudyFolder(here).description.read_text())
    assert description["study"]["models"] == ["cnn", "transformer-h2"]
    assert description["commands"] == ["one", "two"]
    assert description["machine"]["device"] == "cpu"  # of what was trained


def test_a_folder_of_another_configuration_is_refused_by_the_field_that_differs(run, tmp_path):
    run(protocols=("test-split",))
    with pytest.raises(UsageError, match=r"has cnn with training.epochs 2, not 3; choose another --out"):
        run(protocols=("test-split",), overrides={"training.epochs": 3})


def test_a_folder_made_from_other_recordings_is_refused(run, sounds, tmp_path):
    run(protocols=("test-split",))
    (sounds / "cat" / "cat 0.wav").write_bytes((sounds / "dog" / "dog 0.wav").read_bytes())
    with pytest.raises(RefusedError, match=r"other recordings .* choose another --out"):
        run(protocols=("test-split",))


def test_recordings_that_have_moved_are_recorded_where_they_are_now(run, sounds, fakes, tmp_path):
    run(models=("cnn",), protocols=("test-split",))
    moved = sounds.rename(tmp_path / "moved")
    run(fakes.never_called, models=("cnn",), protocols=("test-split",), data=str(moved))
    assert study_config(StudyFolder(tmp_path / "study")).data == str(moved)


def test_a_folder_with_something_else_in_it_is_left_alone(run, tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "thesis.tex").write_text("precious")
    with pytest.raises(UsageError, match=r"contains files that are not a study \(first: thesis.tex\)"):
        run()
    assert [path.name for path in (tmp_path / "study").iterdir()] == ["thesis.tex"]


def test_a_study_that_was_killed_while_it_first_wrote_its_description_begins_again(run, tmp_path):
    part = part_of(tmp_path / "study" / "study.yaml")
    part.parent.mkdir()
    part.touch()
    assert not run(protocols=("test-split",)).failed
    assert not part.exists()


def test_a_cell_that_fails_says_why_and_the_others_go_on(run, fakes, recorder, tmp_path):
    result = run(fakes.cnn_diverges)
    assert {name.model for name in result.failed} == {"cnn"}
    assert {name.model for name in result.done} == {"transformer-h2"}
    cell = StudyFolder(tmp_path / "study").cell(next(iter(result.failed)))
    error = json.loads(cell.error.read_text())
    assert error["cause"] == "loss nan in epoch 2; lower training.learning_rate"
    assert error["type"] == "DivergedError"
    assert "cnn_diverges" in error["traceback"]
    assert len(recorder.of("failed")) == 4
    assert len(result.failed) == 5


def test_a_failed_cell_is_tried_again_and_its_error_goes(run, fakes, tmp_path):
    run(fakes.cnn_diverges)
    result = run()
    assert result.num_ran == 4
    assert not result.failed
    assert not list((tmp_path / "study").glob("cells/*/*/error.json"))


def test_a_machine_that_cannot_go_on_ends_the_study_and_keeps_what_is_done(run, fakes, tmp_path):
    run(models=("cnn",))
    with pytest.raises(MachineError, match="No space left"):
        run(fakes.disk_is_full)
    assert len([cell for cell in StudyFolder(tmp_path / "study").cells() if cell.done]) == 5


def test_a_folder_in_use_is_refused(run, tmp_path):
    with runs.lock(tmp_path / "study"), pytest.raises(MachineError, match="in use by process"):
        run()


def test_nothing_is_written_when_a_name_is_wrong(run, tmp_path):
    for wrong in ({"models": ("cnm",)}, {"overrides": {"training.epoch": 1}}, {"data": "esc11"}):
        with pytest.raises(UsageError, match=r"Available: |`auricle config` lists them all"):
            run(**wrong)
    assert not (tmp_path / "study").exists()


def test_nothing_but_the_lock_is_written_when_a_recording_is_refused(run, sounds, tmp_path):
    (sounds / "cat" / "cat 0.wav").write_bytes(b"")
    with pytest.raises(RefusedError, match=r"cat 0.wav.*--skip-bad"):
        run()
    assert [path.name for path in (tmp_path / "study").iterdir()] == [".lock"]


def test_a_recording_left_out_is_counted(run, sounds, tmp_path):
    (sounds / "cat" / "extra.wav").write_bytes(b"")
    run(protocols=("test-split",), skip_bad=True)
    dataset = yaml.safe_load(StudyFolder(tmp_path / "study").description.read_text())["dataset"]
    assert dataset["num_clips"] == 10
    assert dataset["skipped"][0][0].endswith("extra.wav")


def test_a_study_is_not_continued_with_clips_that_could_not_be_decoded_when_it_began(run, sounds, monkeypatch):
    clip = sounds / "cat" / "extra.wav"
    clip.write_bytes((sounds / "cat" / "cat 0.wav").read_bytes())
    decode_here(monkeypatch, all_but=clip)
    run(models=("cnn",), protocols=("test-split",), skip_bad=True)
    decode_here(monkeypatch)
    with pytest.raises(RefusedError, match="a study of 10 clips, but 11 of the same recordings can be decoded now"):
        run(models=("cnn",), protocols=("test-split",), seeds=(1,), skip_bad=True)


def test_a_model_that_does_not_build_is_refused_before_anything_is_written(run, tmp_path):
    with pytest.raises(UsageError):
        run(layers=describe, models=("cnn",), overrides={"audio.window_s": 0.001})
    assert [path.name for path in (tmp_path / "study").iterdir()] == [".lock"]


def test_only_the_folds_asked_for_are_trained(run):
    assert {name.fold for name in run(protocols=("k-fold",), folds={3}).done} == {3}


def test_no_worker_is_a_usage_error(run):
    with pytest.raises(UsageError, match="--workers"):
        run(workers=0)


def test_threads_asked_for_are_those_of_every_cell(run, fakes):
    heard = []

    def listens(*cell, threads, **options):
        heard.append(threads)
        fakes.quick(*cell, threads=threads, **options)

    run(listens, protocols=("test-split",), threads=3)
    assert heard == [3, 3]


def test_a_damaged_description_is_refused(run, tmp_path: Path):
    run(protocols=("test-split",))
    StudyFolder(tmp_path / "study").description.write_text("study: {")
    with pytest.raises(RefusedError, match="damaged"):
        run(protocols=("test-split",))
