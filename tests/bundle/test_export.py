import errno
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from safetensors.torch import load_file, save_file

import cut_off
import tiny_cells
from auricle.bundle import export, parity
from auricle.bundle.export import export_cell, find_cell
from auricle.bundle.model import BundleModel
from auricle.bundle.network import open_session
from auricle.bundle.reading import load_bundle
from auricle.bundle.standalone import page_models
from auricle.errors import RefusedError, UsageError
from auricle.scoring.calibration import fit, softmax
from auricle.scoring.predictions import mean_of, read_predictions, write_predictions


def test_a_network_that_differs_is_refused_and_nothing_is_written(cell, tmp_path, monkeypatch):
    honest = parity.torch_probabilities

    def differing(*arguments: object) -> np.ndarray:
        return honest(*arguments) + 2e-4  # type: ignore[arg-type]

    monkeypatch.setattr(parity, "torch_probabilities", differing)
    with pytest.raises(RefusedError, match=r"model\.onnx and PyTorch differ by 0\.0002 .* on .* samples in a batch of"):
        export_cell(cell, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_tie_may_fall_either_way_and_a_loss_may_not():
    truth = np.array([[0.50001, 0.49999]])
    assert parity._apart(truth, np.array([[0.49999, 0.50001]])) < 1e-4
    assert parity._apart(truth, np.array([[0.4, 0.6]])) > 1e-4
    assert parity._apart(truth, np.array([[np.nan, 0.5]])) == np.inf


def test_parity_hears_a_thousand_sounds_of_every_kind_and_length_around_a_boundary():
    from auricle.bundle.windows import Windowing
    from auricle.config import AudioConfig, FrontendConfig

    windowing = Windowing.of(AudioConfig(sample_rate_hz=4_000, window_s=0.6, window_hop_s=0.2), FrontendConfig())
    heard = list(parity.sounds(windowing, 1_000))
    assert sum(len(waveforms) for _, waveforms in heard) == 1_000
    assert {len(waveforms) for _, waveforms in heard[:-1]} == {1, 2, 7}
    lengths = {waveforms.shape[1] for _, waveforms in heard}
    assert set(range(2_470, 2_491)) | set(range(3_270, 3_291)) | {1} <= lengths
    assert {kind for kind, _ in heard} >= set(parity.KINDS)


def test_the_card_says_what_a_stranger_must_know(bundle):
    card = (bundle / "README.md").read_text()
    for words in ("click, noise, tone", "30 training clips", "95 % interval", "Temperature", "Limits", "Licence"):
        assert words in card


def test_exporting_again_replaces_a_bundle_and_nothing_else(cell, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(RefusedError, match="not a bundle"):
        export_cell(cell, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def full_after(num_files, monkeypatch):
    """Let the disk be full once so many files have been copied."""
    copy_file, copied = shutil.copyfile, []

    def copy(source, to):
        if len(copied) == num_files:
            to.write_bytes(source.read_bytes()[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        copied.append(to)
        return copy_file(source, to)

    monkeypatch.setattr(shutil, "copyfile", copy)


@pytest.mark.parametrize("num_files", range(7))
def test_a_full_disk_leaves_no_new_folder_and_an_old_bundle_whole(bundle, copy, tmp_path, monkeypatch, num_files):
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    for place in (tmp_path / "new", copy):
        with monkeypatch.context() as patch:
            full_after(num_files, patch)
            with pytest.raises(OSError, match="No space"):
                export.move_bundle(bundle, place)
    assert not (tmp_path / "new").exists()
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before


@pytest.mark.parametrize(("step", "num_steps"), [("unlink", 7), ("unlink", 10), ("replace", 1), ("replace", 4)])
def test_an_export_that_is_killed_is_no_bundle_and_can_be_repeated(bundle, copy, monkeypatch, step, num_steps):
    done = []
    act = getattr(Path, step)

    def killed(path, *words, **options):
        if len(done) == num_steps:
            raise KeyboardInterrupt
        done.append(path)
        return act(path, *words, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, step, killed)
        with pytest.raises(KeyboardInterrupt):
            export.move_bundle(bundle, copy)
    with pytest.raises(RefusedError):
        load_bundle(copy)
    export.check_folder(copy)
    export.move_bundle(bundle, copy)
    assert {path.name for path in copy.iterdir()} == {path.name for path in bundle.iterdir()}
    load_bundle(copy)


def test_a_folder_with_some_names_of_a_bundle_is_nobody_elses_unfinished_export(tmp_path):
    (tmp_path / "README.md").write_text("my thesis")
    with pytest.raises(RefusedError, match="not a bundle"):
        export.check_folder(tmp_path)


def test_a_file_in_the_place_of_the_folder_is_called_one(tmp_path):
    (tmp_path / "bird-box").write_text("mine")
    with pytest.raises(RefusedError, match="bird-box is a file, not a folder; choose another folder with --to"):
        export.check_folder(tmp_path / "bird-box")


@pytest.mark.parametrize("content", ['{"name": "a JavaScript bundle"}', "[]", "{"])
def test_a_bundle_of_another_kind_is_not_overwritten(tmp_path, content):
    (tmp_path / "bundle.json").write_text(content)
    with pytest.raises(RefusedError, match="not a bundle"):
        export.check_folder(tmp_path)


@pytest.mark.long
@pytest.mark.skipif(not cut_off.is_possible(), reason="no small disk can be mounted here")
def test_the_same_command_goes_on_once_there_is_room(cell, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    command = f"{sys.executable} -m auricle export {cell} --to {disk}/bird-box; echo $?"
    steps = (
        f"mount -t tmpfs -o size=32k none {disk}; ({command}; ls -A {disk}) > {tmp_path}/first; "
        f"mount -o remount,size=4m {disk}; ({command}; ls -A {disk}/bird-box) > {tmp_path}/second"
    )
    result = subprocess.run(["unshare", "-rm", "sh", "-c", steps], capture_output=True, text=True, check=False)
    assert (tmp_path / "first").read_text().split() == ["5"], result.stderr
    assert "free some space and run the same command again" in result.stderr
    assert (tmp_path / "second").read_text().splitlines()[1:3] == ["0", "README.md"]


def test_an_unfinished_cell_and_what_is_none_are_refused(cell, tmp_path):
    unfinished = tmp_path / "tiny" / "k-fold-2-0"
    shutil.copytree(cell, unfinished)
    (unfinished / "metrics.json").unlink()
    with pytest.raises(RefusedError, match="the cell is not finished"):
        find_cell(unfinished)
    with pytest.raises(RefusedError, match="neither a study nor a cell"):
        find_cell(tmp_path)


def test_a_study_gives_its_only_model_or_the_one_named(cell, tmp_path):
    study = tmp_path / "study"
    shutil.copytree(cell.parents[2], study)
    (study / "study.yaml").write_text("study: {}\n")
    assert find_cell(study).folder == study / "cells" / "tiny" / cell.name
    shutil.copytree(study / "cells" / "tiny", study / "cells" / "other")
    with pytest.raises(UsageError, match="available: other, tiny"):
        find_cell(study)
    assert find_cell(study, "other").name.model == "other"
    with pytest.raises(UsageError, match="did you mean 'tiny'"):
        find_cell(study, "tinny")


def test_weights_that_do_not_fit_are_refused(cell, tmp_path):
    damaged = tmp_path / "tiny" / cell.name
    shutil.copytree(cell, damaged)
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(RefusedError, match=r"model\.safetensors"):
        export_cell(damaged, tmp_path / "out")


def two_seeds(cell, study):
    """Copy a cell into a study of its own, and once more with other weights and predictions, as seed 1."""
    first, second = (study / "cells" / "tiny" / f"test-split-2-{seed}" for seed in (0, 1))
    for folder in (first, second):
        shutil.copytree(cell, folder)
    weights = {name: value * 1.3 for name, value in load_file(first / "model.safetensors").items()}
    save_file(weights, second / "model.safetensors")
    write_predictions(second / "predictions.csv", tiny_cells.made_predictions(sharpness=1.0))
    return [first, second]


def test_every_seed_answers_in_one_bundle_with_the_mean_of_their_probabilities(cell, tmp_path):
    cells = two_seeds(cell, tmp_path)
    bundle = export_cell(cells[0], tmp_path / "out", every_seed=True)
    assert bundle.description.num_members == 2
    assert "an ensemble of 2 networks trained with different seeds" in (bundle.folder / "README.md").read_text()
    together = BundleModel(bundle)
    alone = [BundleModel(export_cell(one, tmp_path / one.name)).network for one in cells]
    windows = np.random.default_rng(0).random((3, 16, together.windowing.window_frames), np.float32)
    expected = np.mean([softmax(network.logits(windows)) for network in alone], axis=0)
    np.testing.assert_allclose(softmax(together.network.logits(windows)), expected, atol=1e-5)
    assert np.abs(expected - softmax(alone[0].logits(windows))).max() > 0.01
    tables = [read_predictions(one / "predictions.csv") for one in cells]
    assert bundle.description.calibration.temperature == pytest.approx(fit(mean_of(tables)).temperature)


@pytest.mark.parametrize("name", ["bundle", "transformer_bundle"])
def test_the_halves_for_a_page_answer_clips_as_the_whole_does_and_windows_one_by_one(name, request):
    folder = request.getfixturevalue(name)
    model = BundleModel(load_bundle(folder))
    halves = page_models(onnx.load_from_string(model.bundle.network), model.bundle.description)
    to_frames, to_logits = (open_session(half.SerializeToString()) for half in halves)
    whole = open_session((folder / "model.onnx").read_bytes())
    waveform = np.random.default_rng(0).standard_normal((1, 9_000), np.float32)
    (frames,) = to_frames.run(None, {"waveform": waveform})
    (logits,) = to_logits.run(None, {"frames": frames})
    np.testing.assert_allclose(logits, whole.run(None, {"waveform": waveform})[0], atol=1e-5)
    windows = model.windowing.cut(frames[0], 4)
    (logits,) = to_logits.run(None, {"frames": windows.transpose(0, 2, 1)})
    np.testing.assert_allclose(softmax(logits), model.probabilities(windows), atol=1e-5)


def test_one_seed_or_seeds_that_heard_different_clips_are_no_ensemble(cell, tmp_path):
    with pytest.raises(RefusedError, match="only finished seed"):
        export_cell(cell, tmp_path / "out", every_seed=True)
    cells = two_seeds(cell, tmp_path)
    write_predictions(cells[1] / "predictions.csv", tiny_cells.made_predictions(num=20))
    with pytest.raises(RefusedError, match="different windows; run the study to the end"):
        export_cell(cells[0], tmp_path / "out", every_seed=True)


def test_weights_of_a_version_whose_kernels_had_two_axes_are_read(cell, bundle, tmp_path):
    old = Path(shutil.copytree(cell, tmp_path / "cells" / "tiny" / cell.name))
    weights = {
        name: value.unsqueeze(3).contiguous() if value.ndim == 3 else value
        for name, value in load_file(old / "model.safetensors").items()
    }
    assert any(value.ndim == 4 for value in weights.values())
    save_file(weights, old / "model.safetensors")
    assert export_cell(old, tmp_path / "out").network == load_bundle(bundle).network


def test_attention_over_pooled_steps_is_laid_on_them(tmp_path):
    options = {"pool_to_steps": 3, "positions": "sinusoidal", "norm": "post", "final_norm": False, "cls": "fixed"}
    bundle = export_cell(tiny_cells.write_cell(tmp_path, encoder=True, **options), tmp_path / "out")
    layout = bundle.description.attention
    assert (layout.num_steps, layout.num_rows) == (3, 1)


@pytest.mark.parametrize(
    "options",
    [
        {"num_heads": [1, 2]},
        pytest.param(
            {"tokens": "channels", "width": 15, "pad_heads": True, "positions": "none", "mlp_width": None},
            marks=pytest.mark.long,
        ),
        pytest.param({"output": "mean"}, marks=pytest.mark.long),
    ],
)
def test_attention_that_does_not_say_when_is_not_exported(tmp_path, options):
    bundle = export_cell(tiny_cells.write_cell(tmp_path, encoder=True, **options), tmp_path / "out")
    assert bundle.description.attention is None


def test_stacked_stretches_of_features_as_they_are_are_exported(tmp_path):
    frontend = {"stack_s": 0.3, "stack_hop_s": 0.1, "normalise": False}
    bundle = export_cell(tiny_cells.write_cell(tmp_path, encoder=False, frontend=frontend), tmp_path / "out")
    assert bundle.description.frontend.stack_s == 0.3  # its parity was checked


def test_a_model_that_is_no_better_than_none_is_exported_with_a_warning(cell, tmp_path):
    from auricle.bundle.card import warnings_of

    said: list[str] = []
    description = export_cell(cell, tmp_path / "good", on_progress=said.append).description
    assert not any("warning" in line for line in said)
    scores = description.scores
    poor = description.model_copy(update={"scores": scores.model_copy(update={"majority": scores.low + 0.01})})
    (warning,) = warnings_of(poor)
    assert "not significantly better than no model" in warning
    collapsed = description.model_copy(update={"origin": description.origin.model_copy(update={"collapsed": True})})
    assert "collapsed" in warnings_of(collapsed)[0]


def test_a_class_that_no_bundle_can_name_is_refused_before_the_work(cell, tmp_path):
    own = shutil.copytree(cell.parents[2], tmp_path / "study") / "cells" / "tiny" / "test-split-2-0"
    predictions = read_predictions(own / "predictions.csv")
    named = replace(predictions, categories=("\x1b[2J", *predictions.categories[1:]))
    write_predictions(own / "predictions.csv", named)
    with pytest.raises(RefusedError, match=r"class '\\x1b\[2J'"):
        export_cell(own, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_a_model_beyond_the_limits_of_a_bundle_is_refused_in_one_line(tmp_path):
    cell = tiny_cells.write_cell(tmp_path / "study", encoder=False, frontend={"floor": 2.0})
    with pytest.raises(RefusedError, match=r"beyond the limits of a bundle: .*floor"):
        export_cell(cell, tmp_path / "out")


def test_a_killed_export_whose_repetition_finds_the_disk_full_can_be_repeated(bundle, copy, monkeypatch):
    (copy / "bundle.json").unlink()
    (copy / export.UNFINISHED).touch()

    def full(*of):
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(export.shutil, "copyfile", full)
        with pytest.raises(OSError, match="full"):
            export.move_bundle(bundle, copy)
    export.check_folder(copy)


def test_a_model_that_is_not_the_cell_s_is_wrong_usage(cell):
    with pytest.raises(UsageError, match="leave out --model"):
        find_cell(cell, "cnn-2")
