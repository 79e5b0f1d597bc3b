"""The model to use is trained on all clips; what vouches for it are the cells of its study, each on its own clips."""

import shutil

import numpy as np
import pytest

from auricle import runs
from auricle.api.exporting import export_model
from auricle.config import load_preset
from auricle.data.cache import Recordings
from auricle.data.datasets import load_manifest
from auricle.data.folds import ALL, Split
from auricle.errors import RefusedError, UsageError
from auricle.runs import CellName, StudyFolder
from auricle.runs.reopen import reopen_cells, scoring_cells, seeds_of
from auricle.scoring.predictions import read_predictions, write_predictions
from auricle.study.final import train_final
from auricle.training.fit import fit_cell
from tiny_cells import made_predictions


@pytest.fixture
def fit():
    """A training that remembers what it was given and writes nothing but that it is done."""

    def fit(cell, preset, recordings, split, **options):
        fit.calls.append((cell.name, preset.name, recordings, split))
        runs.write_metrics(cell, {"cell": str(cell.name)})

    fit.calls = []
    return fit


def test_all_clips_train_once_and_nobody_tests(run, tmp_path, fit):
    run(models=("cnn",))
    cell = train_final(tmp_path / "study", fit=fit)
    (name, preset, recordings, split) = fit.calls[0]
    assert (cell.name, preset) == (name, "cnn") == (CellName("cnn", "all", 0, 0), "cnn")
    assert split.train.tolist() == list(range(len(recordings.manifest.clips)))
    assert len(split.scored) == 0
    assert train_final(tmp_path / "study", fit=fit).folder == cell.folder
    assert len(fit.calls) == 1


def test_every_validation_clip_of_the_vouching_protocol_has_one_say(run, tmp_path, fit):
    run(models=("cnn",), seeds=(1, 2))
    study = StudyFolder(tmp_path / "study")
    assert [str(cell.name) for cell in scoring_cells(study, "cnn")] == [
        f"cnn/k-fold-{fold}-{seed}" for seed in (1, 2) for fold in (2, 3, 4, 5)
    ]
    predictions = read_predictions(train_final(study.folder, fit=fit).predictions)
    assert set(predictions.sets) == {"validation"}
    assert len(set(predictions.clips)) == len(predictions.clips) == 8  # of ten, two of which test
    assert fit.calls[0][0].seed == 1


def test_cells_that_are_finished_later_have_their_say_without_another_training(run, tmp_path, fit):
    run(models=("cnn",), protocols=("k-fold",), folds=(2, 3))
    before = train_final(tmp_path / "study", fit=fit)
    assert len(set(read_predictions(before.predictions).clips)) == 4
    run(models=("cnn",), protocols=("k-fold",))
    after = train_final(tmp_path / "study", fit=fit)
    assert len(set(read_predictions(after.predictions).clips)) == 8
    assert runs.is_intact(after)
    assert len(fit.calls) == 1


def test_every_seed_trains_on_all_clips_and_those_that_are_done_are_not_repeated(run, tmp_path, fit):
    run(models=("cnn",), seeds=(1, 2))
    train_final(tmp_path / "study", fit=fit)
    first = train_final(tmp_path / "study", every_seed=True, fit=fit)
    assert first.name.seed == 1
    assert [(name.protocol, name.seed) for name, *_ in fit.calls] == [("all", 1), ("all", 2)]
    assert [found.name.seed for found in seeds_of(first)] == [1, 2]
    shutil.copytree(first.folder, first.folder.with_name(f"{first.folder.name} copy"))
    assert [found.name.seed for found in seeds_of(first)] == [1, 2]


def test_a_damaged_final_model_is_trained_again_as_a_damaged_cell_is(run, tmp_path, fit, recorder):
    run(models=("cnn",))
    cell = train_final(tmp_path / "study", fit=fit)
    cell.metrics.write_text("{")
    assert train_final(tmp_path / "study", fit=fit, listener=recorder) == cell
    assert len(fit.calls) == 2
    assert recorder.of("note")[-1] == f"{cell.folder} is damaged: cnn/all-0-0 will be trained again"


def test_the_study_and_its_report_do_not_count_it_as_a_cell(run, tmp_path, fit, fakes):
    run(models=("cnn",))
    before = [str(cell.name) for cell in StudyFolder(tmp_path / "study").cells()]
    train_final(tmp_path / "study", fit=fit)
    assert [str(cell.name) for cell in StudyFolder(tmp_path / "study").cells()] == before
    assert run(fakes.never_called, models=("cnn",)).num_ran == 0


def test_a_model_that_is_not_there_or_not_named_or_not_finished_is_refused(run, tmp_path, fit):
    run()
    with pytest.raises(UsageError, match="several models"):
        train_final(tmp_path / "study", fit=fit)
    with pytest.raises(UsageError, match="'cnm'"):
        train_final(tmp_path / "study", "cnm", fit=fit)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(RefusedError, match="neither a study nor a cell"):
        train_final(tmp_path / "nothing", fit=fit)
    assert fit.calls == []


def test_a_cell_without_anybody_to_score_keeps_the_predictions_that_stand_there(tmp_path):
    manifest = load_manifest("toy")
    waveforms = np.zeros((len(manifest.clips), 4_000), np.float32)
    nobody, everybody = np.array([], np.int64), np.arange(len(manifest.clips))
    preset = load_preset("tiny", {"audio.sample_rate_hz": 2_000, "training.epochs": 1, "training.views": 1})
    name = CellName("tiny", ALL, 0, 0)
    cell = runs.Cell(name, tmp_path / str(name))
    cell.folder.mkdir(parents=True)
    write_predictions(cell.predictions, made_predictions())
    before = cell.predictions.read_bytes()
    fit_cell(cell, preset, Recordings(manifest, waveforms, 2_000, ""), Split(ALL, 0, everybody, nobody, nobody, False))
    assert cell.predictions.read_bytes() == before
    assert runs.read_metrics(cell, cell.predictions, cell.weights)["num_train"] == len(manifest.clips)


def test_steps_that_end_a_training_end_the_final_one_too(run, tmp_path, fit, recorder):
    """Ten clips train, each six times an epoch: three steps of 16 are one epoch of ten."""
    changes = {"training.epochs": 10, "training.max_steps": 3, "training.batch_size": 16}
    run(models=("cnn",), overrides=changes)
    planned = []
    recorder.planned = lambda epochs, num_done, num_workers: planned.append(epochs)
    train_final(tmp_path / "study", fit=fit, listener=recorder)
    assert [set(epochs.values()) for epochs in planned] == [{1}]


def test_nothing_is_left_to_evaluate_a_final_model_on(run, tmp_path, fit):
    run(models=("cnn",))
    with pytest.raises(UsageError, match="leave out int8 or final"):
        export_model(tmp_path / "study", tmp_path / "bundle", final=True, every_seed=False, int8=True)
    cell = train_final(tmp_path / "study", fit=fit)
    with pytest.raises(RefusedError, match="was trained on all clips, so none is left"):
        next(reopen_cells(StudyFolder(tmp_path / "study"), [cell]))


def test_a_cell_names_the_model_to_train_on_all_clips(run, tmp_path, fit):
    run(models=("cnn",))
    cell = StudyFolder(tmp_path / "study").cells()[0]
    assert train_final(cell.folder, fit=fit).folder == (tmp_path / "study" / "final" / "cnn" / "all-0-0").resolve()


def test_what_cannot_be_exported_is_not_trained_first(run, tmp_path, fit):
    run(models=("cnn",))
    with pytest.raises(RefusedError, match="only one finished seed"):
        train_final(tmp_path / "study", every_seed=True, fit=fit)
    with pytest.raises(RefusedError, match="not a bundle"):
        export_model(tmp_path / "study", tmp_path / "study", final=True, every_seed=False, int8=False)
    assert fit.calls == []
