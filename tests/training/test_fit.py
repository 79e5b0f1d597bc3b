import contextlib
import hashlib
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from auricle import runs
from auricle.api import sounds
from auricle.errors import DivergedError, MachineError, RefusedError
from auricle.files import mark, read_marked, write_bytes
from auricle.probes import cell as cell_probes
from auricle.runs import Cell, CellName, StudyFolder
from auricle.scoring.predictions import read_predictions
from auricle.training import fit, loop
from auricle.training.fit import fit_cell
from auricle.training.start import choose_device, prepare_training, training_clips


def cell_in(folder, seed: int = 0) -> Cell:
    return StudyFolder(folder).cell(CellName("tiny", "test-split", 2, seed))


def digest(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def outcome(cell: Cell) -> tuple:
    history = [{k: v for k, v in record.items() if not k.endswith("seconds")} for record in runs.read_history(cell)]
    return digest(cell.predictions), digest(cell.weights), history


@pytest.mark.parametrize("encoder", [False, True], ids=["architecture 1", "architecture 2"])
def test_both_architectures_learn_three_sounds(tmp_path, recordings, split, encoder, tiny) -> None:
    cell = cell_in(tmp_path)
    fit_cell(cell, tiny(encoder=encoder, epochs=40), recordings, split, device="cpu", threads=1)
    metrics = json.loads(cell.metrics.read_text())
    assert metrics["test"]["clip"]["accuracy"] == 1.0
    assert metrics["epochs"] == len(runs.read_history(cell)) == 40
    assert not cell.checkpoint.exists()


@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_two_runs_with_one_seed_write_identical_bytes(tmp_path, recordings, split, precision, tiny) -> None:
    one, two, other = cell_in(tmp_path / "1"), cell_in(tmp_path / "2"), cell_in(tmp_path / "3", seed=1)
    for cell in (one, two, other):
        fit_cell(cell, tiny(encoder=True, precision=precision), recordings, split, device="cpu", threads=1)
    assert outcome(one) == outcome(two)
    assert digest(one.predictions) != digest(other.predictions)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda saved: saved.pop("format"), "another version of auricle"),  # as the first versions wrote it
        (lambda saved: saved["state"].update(device="cuda"), "on device cuda, not cpu; continue with --device cuda"),
    ],
    ids=["another version", "another device"],
)
def test_a_foreign_checkpoint_is_refused_before_a_step_is_taken(
    tmp_path, recordings, split, tiny, change, message
) -> None:
    cell = cell_in(tmp_path)

    def interrupt(record: dict) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_cell(cell, tiny(), recordings, split, device="cpu", threads=1, on_epoch=interrupt)
    saved = torch.load(io.BytesIO(read_marked(cell.checkpoint, required=True)), weights_only=True)
    change(saved)
    buffer = io.BytesIO()
    torch.save(saved, buffer)
    write_bytes(cell.checkpoint, mark(buffer.getvalue()), buffer.getvalue())
    with pytest.raises(RefusedError, match=message):
        fit_cell(cell, tiny(), recordings, split, device="cpu", threads=1)


@pytest.mark.parametrize("stop_after", [1, 2, 3])
@pytest.mark.parametrize(
    "options",
    [{"encoder": False}, {"encoder": True}, {"encoder": True, "base_share": 0.5}],
    ids=["architecture 1", "architecture 2", "base first"],
)
def test_a_cell_that_was_interrupted_ends_as_if_it_had_not_been(
    tmp_path, recordings, split, stop_after, options, tiny
) -> None:
    whole, broken = cell_in(tmp_path / "whole"), cell_in(tmp_path / "broken")
    fit_cell(whole, tiny(**options), recordings, split, device="cpu", threads=1)

    def interrupt(record: dict) -> None:
        if record["epoch"] == stop_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_cell(broken, tiny(**options), recordings, split, device="cpu", threads=1, on_epoch=interrupt)
    assert not broken.done
    with broken.history.open("a") as file:
        file.write('{"epoch": 9, "tr')  # a line that a kill cut short
    epochs = []
    fit_cell(
        broken,
        tiny(**options),
        recordings,
        split,
        device="cpu",
        threads=1,
        on_epoch=lambda r: epochs.append(r["epoch"]),
    )
    assert epochs == list(range(stop_after + 1, 5))
    assert outcome(broken) == outcome(whole)
    spent_s = json.loads(broken.metrics.read_text())["cpu_seconds"]
    assert spent_s >= sum(record["cpu_seconds"] for record in runs.read_history(broken))  # of both sessions


def test_the_base_learns_without_the_blocks_of_the_encoder_which_then_join_its_average(
    tmp_path, recordings, split, tiny
) -> None:
    preset = tiny(encoder=True, epochs=4, base_share=0.5)
    trainer, sets = prepare_training(preset, recordings, split, 0, torch.device("cpu"))
    clips, _ = training_clips(trainer, sets)
    blocks, base = ([*part.parameters()] for part in (trainer.model.summary.blocks, trainer.model.base))
    seen, averaged = [], None
    for epoch in range(4):
        before = [weight.clone() for weight in (*blocks, *base)]
        if epoch == 2:
            averaged = trainer.average.model.base[0].convolutions[0][0].weight.clone()
        steps = iter(loop.train_epoch(trainer, clips, epoch))
        next(steps)
        if epoch == 2:  # the average went on, not the last weights
            assert (trainer.model.base[0].convolutions[0][0].weight - averaged).abs().max() < 1e-2
        list(steps)
        moved = [not torch.equal(*pair) for pair in zip(before, (*blocks, *base), strict=True)]
        seen.append((any(moved[: len(blocks)]), any(moved[len(blocks) :])))
    assert seen == [(False, True), (False, True), (True, True), (True, True)]
    assert not trainer.scored_model.summary.base_alone


def test_a_base_that_learns_first_needs_an_encoder(tiny) -> None:
    with pytest.raises(ValueError, match="base_share needs an encoder"):
        tiny(base_share=0.5)


def test_a_training_ends_after_its_steps_and_goes_on_to_them(tmp_path, recordings, split, tiny) -> None:
    """A step more than an epoch has; a training that was stopped on the way takes no more."""

    def fit(folder: str, max_steps: int | None, stop_after: int | None = None) -> list[dict]:
        def interrupt(record: dict) -> None:
            if record["epoch"] == stop_after:
                raise KeyboardInterrupt

        cell, preset = cell_in(tmp_path / folder), tiny(max_steps=max_steps)
        with contextlib.suppress(KeyboardInterrupt):
            fit_cell(cell, preset, recordings, split, device="cpu", threads=1, on_epoch=interrupt)
        return runs.read_history(cell)

    (an_epoch,) = {record["steps"] for record in fit("whole", None)}
    wanted = an_epoch + 1
    history = fit("short", wanted)
    assert [record["steps"] for record in history] == [an_epoch, 1]
    fit("broken", wanted, stop_after=1)
    assert [record["steps"] for record in fit("broken", wanted)] == [an_epoch, 1]
    assert outcome(cell_in(tmp_path / "broken")) == outcome(cell_in(tmp_path / "short"))


def test_model_and_optimiser_are_fresh_in_every_cell(tmp_path, recordings, split, monkeypatch, tiny) -> None:
    starts = []
    prepare = fit.prepare_sets

    def watch(*args):
        trainer, sets = prepare(*args)
        starts.append((trainer.model.state_dict()["head.1.weight"].clone(), len(trainer.optimizer.state)))
        return trainer, sets

    monkeypatch.setattr(fit, "prepare_sets", watch)
    for folder in ("1", "2"):
        fit_cell(cell_in(tmp_path / folder), tiny(epochs=1), recordings, split, device="cpu", threads=1)
    assert torch.equal(starts[0][0], starts[1][0])
    assert starts[0][1] == starts[1][1] == 0


def test_the_test_clips_are_seen_once_and_after_the_last_epoch(tmp_path, recordings, split, monkeypatch, tiny) -> None:
    """Poison the test clips: whatever is computed before the end must not change, what is scored must."""
    clean, poisoned = cell_in(tmp_path / "clean"), cell_in(tmp_path / "poisoned")
    fit_cell(clean, tiny(), recordings, split, device="cpu", threads=1)
    waveforms = np.array(recordings.waveforms)
    waveforms[split.test] = np.random.default_rng(1).standard_normal(waveforms[split.test].shape)
    spoilt = type(recordings)(recordings.manifest, waveforms, recordings.sample_rate_hz, "other")
    seen = []
    monkeypatch.setattr(loop, "train_epoch", _noting(loop.train_epoch, seen, "epoch"))
    monkeypatch.setattr(fit, "scored_probabilities", _noting(fit.scored_probabilities, seen, "predict"))
    fit_cell(poisoned, tiny(), spoilt, split, device="cpu", threads=1)
    assert seen == ["epoch"] * 4 + ["predict"]
    assert digest(poisoned.weights) == digest(clean.weights)
    assert outcome(poisoned)[2] == outcome(clean)[2]
    assert digest(poisoned.predictions) != digest(clean.predictions)


def _noting(function, seen: list, name: str):
    def noted(*args, **kwargs):
        seen.append(name)
        return function(*args, **kwargs)

    return noted


def test_predictions_hold_every_window_of_the_validation_and_test_clips(tmp_path, recordings, split, tiny) -> None:
    cell = cell_in(tmp_path)
    fit_cell(cell, tiny(epochs=1), recordings, split, device="cpu", threads=1)
    predictions = read_predictions(cell.predictions)
    names = [clip.name for clip in recordings.manifest.clips]
    for name, indices in (("validation", split.validation), ("test", split.test)):
        rows = predictions.of(name)
        assert sorted(set(rows.clips)) == sorted(names[i] for i in indices)
        assert sorted(set(rows.starts_s)) == [0.0, 0.2, 0.4, 0.6, 0.8]
        assert set(rows.weights) <= {0.0, 1.0}
        assert all(rows.weights[np.array(rows.clips) == clip].any() for clip in set(rows.clips))
    np.testing.assert_allclose(predictions.probabilities.sum(1), 1, atol=1e-5)


def test_the_official_protocol_has_no_validation_curve(tmp_path, recordings, tiny) -> None:
    from auricle.data.folds import make_splits

    cell = StudyFolder(tmp_path).cell(CellName("tiny", "official", 1, 0))
    fit_cell(cell, tiny(epochs=1), recordings, make_splits(recordings.manifest, "official")[0], device="cpu", threads=1)
    assert "validation_loss" not in runs.read_history(cell)[0]
    assert json.loads(cell.metrics.read_text())["validation"] is None


def test_a_step_that_is_not_finite_stops_the_cell_and_keeps_the_last_finite_epoch(
    tmp_path, recordings, split, monkeypatch, tiny
) -> None:
    cell = cell_in(tmp_path)
    whole = loop.Trainer.loss

    def poison(self, clips, targets):
        return whole(self, clips, targets) * (float("nan") if len(runs.read_history(cell)) == 2 else 1)

    monkeypatch.setattr(loop.Trainer, "loss", poison)
    with pytest.raises(DivergedError, match=r"diverged in epoch 3, step 9: loss nan.*lower training\.learning_rate"):
        fit_cell(cell, tiny(), recordings, split, device="cpu", threads=1)
    saved = torch.load(io.BytesIO(read_marked(cell.checkpoint, required=True)), weights_only=True)
    assert len(saved["history"]) == 2
    assert all(bool(torch.isfinite(value).all()) for value in saved["state"]["model"].values())
    assert not cell.done


def test_a_device_that_is_not_there_is_named_with_those_that_are(tmp_path, recordings, split, tiny) -> None:
    with pytest.raises(MachineError, match=r"no device 'abacus' on this machine; available: .*cpu"):
        fit_cell(cell_in(tmp_path), tiny(), recordings, split, device="abacus")


@pytest.mark.parametrize("name", ["cuda:1", "cuda:one", "cpu:1"])
def test_a_number_that_no_device_has_is_refused(monkeypatch, name) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(MachineError, match=f"no device '{name}' on this machine; available: cuda, .*cpu"):
        choose_device(name)
    assert str(choose_device("cuda:0")) == "cuda:0"


def test_the_metrics_are_those_of_the_predictions_file(tmp_path, recordings, split, tiny) -> None:
    from auricle.scoring.metrics import score_predictions

    cell = cell_in(tmp_path)
    fit_cell(cell, tiny(epochs=1), recordings, split, device="cpu", threads=1)
    assert json.loads(cell.metrics.read_text())["test"] == score_predictions(read_predictions(cell.predictions), "test")
    shutil.rmtree(cell.folder)


def test_a_gradient_whose_norm_overflows_is_no_divergence_where_nothing_is_clipped(tiny, recordings, split):
    preset = tiny(gradient_clip=0)
    trainer, sets = prepare_training(preset, recordings, split, 0, torch.device("cpu"))
    clips, _ = training_clips(trainer, sets)
    norm = trainer.step(1e25 * trainer.loss(clips.frames[:6], clips.targets[:6]))
    assert float(norm) == pytest.approx(1e30)
    assert all(bool(weight.isfinite().all()) for weight in trainer.model.parameters())


def test_numbers_leave_the_device_before_they_are_doubled_as_apples_gpus_have_no_float64():
    for room in (fit, cell_probes, sounds):
        for path in Path(room.__file__).parent.glob("*.py"):
            assert not re.search(r"(?<!\.cpu\(\))\.double\(\)", path.read_text()), path
