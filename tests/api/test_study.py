"""A study from Python: trained, looked at, exported; stopped and gone on with; and what is refused."""

import doctest
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import fake_trials
import numpy as np
import pytest

import auricle as au
import fake_fits
from auricle.api import dataset, models, running
from auricle.cli import main
from auricle.display.notebook import NotebookDisplay
from auricle.runs import CellName
from auricle.study import configure
from made_sounds import write_sounds
from small_networks import SMALL

OPTIONS = {"protocols": "test-split", "epochs": 4, "overrides": SMALL, "wandb": "off"}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> au.Study:
    """Two small networks on two classes of tones, trained in this process."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AURICLE_CACHE", str(folder / "cache"))
        data = au.load_dataset(write_sounds(folder / "tones", num_takes=10))
        return au.run_study(data, ["tiny", "cnn"], out=folder / "study", workers=1, progress=False, **OPTIONS)


def test_a_study_shows_its_results_as_tables(study):
    assert repr(study).endswith("2 of 2 cells done")
    assert study.models == ("tiny", "cnn")
    assert study.protocols == ("test-split",)
    assert not study.failed
    results = study.results.set_index("model")
    assert set(results.index) >= {"tiny", "cnn"}
    assert results.loc["tiny", "test_clips"] == 4
    assert ((results.accuracy_low <= results.accuracy) & (results.accuracy <= results.accuracy_high)).all()
    pairs = study.compare()
    assert {*pairs.iloc[0][["first", "second"]]} == {"tiny", "cnn"}
    assert pairs.significant.dtype == bool
    assert "<td>tiny</td>" in study._repr_html_()


def test_the_results_are_those_of_the_command_line(study, capfd):
    from auricle.findings.scores import comparative

    assert study.results.accuracy.tolist() == [row.accuracy for row in comparative(study.folder)]
    assert main(["status", str(study.folder)]) == 0
    assert "2 of 2 cells done" in capfd.readouterr().out


def test_its_figures_are_those_of_the_report(study):
    from matplotlib.figure import Figure

    for figure, num in (
        (study.plot_accuracy(), 1), (study.plot_confusion(), 2), (study.plot_curves(), 4),
        (study.plot_confusion("cnn"), 1), (study.plot_curves("tiny", "test-split"), 2),
    ):  # fmt: skip
        assert isinstance(figure, Figure)
        assert len(figure.axes) == num
    titles = [axes.get_title(loc="left") for axes in study.plot_curves().axes]
    assert titles == ["tiny", "cnn", "", ""]


def test_findings_are_numbers_and_a_study_is_opened_by_its_name_in_runs(study, monkeypatch):
    assert study.findings.main_protocol == "test-split"
    folder = study.folder.rename(study.folder.parent / "runs")  # of a folder runs/ that holds it by its name
    try:
        (folder.parent / "here" / "runs").mkdir(parents=True, exist_ok=True)
        link = folder.parent / "here" / "runs" / "mine"
        link.symlink_to(folder)
        monkeypatch.chdir(folder.parent / "here")
        assert au.open_study("mine").models == ("tiny", "cnn")
    finally:
        folder.rename(study.folder)


@pytest.mark.parametrize(
    ("ask", "reason"),
    [
        (lambda study: study.plot_confusion("cnm"), "no finished model 'cnm': did you mean 'cnn'?"),
        (lambda study: study.compare("k-fold"), "no finished protocol 'k-fold'"),
        (lambda study: study.report(link="here", progress=False), "--link takes an address"),
        (lambda study: study.export("bundle", progress=False), "has several models; name one"),
    ],
)
def test_what_a_study_does_not_have_is_named(study, ask, reason):
    with pytest.raises(au.UsageError, match=reason):
        ask(study)


def test_a_model_is_exported_and_hears_files_as_it_hears_their_samples(study, tmp_path, monkeypatch):
    import soundfile

    monkeypatch.setattr("auricle.bundle.parity.NUM_SOUNDS", 20)
    classifier = study.export(tmp_path / "bundle", "cnn", progress=False)
    clip = next((study.folder.parent / "tones").rglob("*.wav"))
    waveform, rate_hz = soundfile.read(clip)
    of_file, of_samples = classifier.predict(clip), classifier.predict(waveform, rate_hz)
    assert of_file.label == of_samples.label
    assert of_file.probabilities == pytest.approx(of_samples.probabilities, abs=1e-3)
    assert list(of_file.to_frame().columns) == ["start_s", "end_s", "label", "probability"]
    assert of_file.to_frame()[["start_s", "end_s"]].values.tolist() == [[0.0, 0.5]]
    long = np.concatenate([waveform[::2]] * 5 + [np.random.default_rng(0).standard_normal(8_000) * 0.1])
    soundfile.write(tmp_path / "long.wav", long, 4_000, subtype="FLOAT")
    of_file, of_samples = classifier.predict(str(tmp_path / "long.wav")), classifier.predict(long, 4_000)
    assert of_file.stretches == of_samples.stretches
    assert of_file.stretches[-1].end_s == pytest.approx(len(long) / 4_000)
    with pytest.raises(au.UsageError, match="a waveform needs its rate"):
        classifier.predict(waveform)
    with pytest.raises(au.UsageError, match="a file has its own rate"):
        classifier.predict(clip, rate_hz)
    with pytest.raises(au.RefusedError, match=r"no\.wav: no such file"):
        classifier.predict("no.wav")


class TestLookedAtAndStopped:
    def test_a_dataset_shows_counts_and_is_checked(self, sounds):
        data = au.load_dataset(sounds, clip_s=0.5)
        assert repr(data) == f"Dataset({str(sounds)!r}): 12 clips of 2 classes in 5 folds, 0.5 s each"
        assert data.counts["all"].to_dict() == {"cat": 6, "dog": 6}
        assert data.counts.drop(columns="all").sum(axis=1).tolist() == [6, 6]
        assert set(data.to_frame().path.map(Path)) == set(sounds.rglob("*.wav"))
        assert "<th>cat</th>" in data._repr_html_()
        assert len(data) == 12
        (sounds / "cat" / "cat 0.wav").write_bytes(b"")
        check = au.load_dataset(sounds, clip_s=0.5).check(progress=False)
        assert not check.is_fine
        assert check.to_frame().iloc[0][["severity", "finding"]].tolist() == ["error", "empty file (0 bytes)"]
        assert "cat 0.wav" in check._repr_html_()

    def test_names_of_classes_are_text_in_html(self, sounds):
        (sounds / "cat").rename(sounds / "<b>")
        page = au.load_dataset(sounds)._repr_html_()
        assert "<b>" not in page
        assert "&lt;b&gt;" in page

    def test_ctrl_c_leaves_a_folder_that_the_same_call_goes_on_from(self, sounds, monkeypatch, capfd):
        def stop(self, cell, record):
            if record["epoch"] == 2:
                raise KeyboardInterrupt

        def train(**more):
            return au.run_study(sounds, "tiny", workers=1, **OPTIONS, **more)

        with monkeypatch.context() as patched:
            patched.setattr("auricle.display.progress.Lines.epoch", stop)
            with pytest.raises(KeyboardInterrupt):
                train()
        assert "stopped; call run_study again to resume from runs/sounds" in capfd.readouterr().err
        status = au.open_study("runs/sounds").status()
        assert [(cell.state, cell.epoch) for cell in status.cells] == [("stopped", 2)]
        with pytest.raises(au.AuricleError, match="no cell of runs/sounds is finished"):
            au.open_study("runs/sounds").results  # noqa: B018
        assert repr(train(progress=False)) == "Study('runs/sounds'): 1 of 1 cell done"
        assert capfd.readouterr().err == ""

    def test_a_study_of_which_nothing_could_be_trained_says_why(self, sounds, monkeypatch):
        monkeypatch.setattr("auricle.training.fit.fit_cell", fake_fits.cnn_diverges)
        with pytest.raises(au.AuricleError, match="no cell of runs/sounds could be trained; cnn/test-split-2-0: loss"):
            au.run_study(sounds, "cnn", workers=1, progress=False, **OPTIONS)

    @pytest.mark.parametrize(
        ("words", "call"),
        [
            (["--data", "nowhere"], lambda: au.run_study("nowhere")),
            (["--data", "sounds", "--models", "cnm"], lambda: au.run_study("sounds", ["cnm"])),
            (["--data", "sounds", "--protocols", "kfold"], lambda: au.run_study("sounds", protocols="kfold")),
            (["--data", "sounds", "--epochs", "0"], lambda: au.run_study("sounds", epochs=0)),
            (["--data", "sounds", "--set", "epochs=1"], lambda: au.run_study("sounds", overrides={"epochs": 1})),
            (["--data", "sounds", "--device", "gpu"], lambda: au.run_study("sounds", device="gpu")),
            (["--data", "sounds", "--wandb", "on"], lambda: au.run_study("sounds", wandb="on")),
            (["--data", "sounds", "--out", "sounds"], lambda: au.run_study("sounds", out="sounds")),
            (["quickstat"], lambda: au.run_study(study="quickstat")),
        ],
    )
    def test_what_is_wrong_is_said_as_on_the_command_line(self, sounds, capfd, words, call):
        assert main(["study", *words, "-q"]) == au.UsageError.exit_code
        line = capfd.readouterr().err
        with pytest.raises(au.UsageError) as refused:
            call()
        assert line == f"auricle: {refused.value}\n"
        shown = capfd.readouterr()
        assert not shown.out
        assert "Traceback" not in shown.err

    def test_what_is_no_dataset_and_no_study_is_refused(self, sounds, tmp_path):
        (tmp_path / "empty").mkdir()
        for folder in ("empty", "sounds", "nowhere"):
            with pytest.raises(au.RefusedError, match=f"{folder} contains no study"):
                au.open_study(folder)
        with pytest.raises(au.RefusedError, match="empty contains no recordings in class folders"):
            au.load_dataset("empty")
        with pytest.raises(au.UsageError, match="no source 'nowhere'"):
            au.load_dataset("nowhere")
        with pytest.raises(au.UsageError, match="no data: give a dataset"):
            au.run_study()
        for seeds in ([-1], 5, np.array([])):
            with pytest.raises(au.UsageError, match="seeds takes whole numbers of 0 or more"):
                au.run_study(sounds, seeds=seeds)
        with pytest.raises(au.UsageError, match="no fold 9 in"):
            au.run_study(sounds, folds=np.array([9, 2]))
        with pytest.raises(au.UsageError, match="are the same; give one of them"):
            au.run_study(sounds, epochs=1, overrides={"training.epochs": 2})


STAND_INS = """
import sys, types, fake_fits
sys.modules["auricle.model.describe"] = types.SimpleNamespace(describe=fake_fits.layers)  # needs no PyTorch
import auricle.study.study as study
study.run_baselines, study.real_fit = lambda *whatever: [], lambda: fake_fits.quick
"""


@pytest.mark.parametrize("stand_ins", [STAND_INS, pytest.param("", marks=pytest.mark.long)], ids=["quick", "real"])
def test_a_script_without_a_guard_trains_in_workers(sounds, tmp_path, stand_ins):
    script = tmp_path / "script.py"
    call = f"au.run_study('sounds', ['tiny', 'cnn'], workers=2, **{OPTIONS!r})"
    script.write_text(f"import auricle as au\nprint('once')\n{stand_ins}\nprint({call})\n")
    around = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, env=around)
    assert done.stdout == "once\nStudy('runs/sounds'): 2 of 2 cells done\n", done.stderr
    assert not Path("runs/sounds/workers.log").exists()


@pytest.mark.parametrize("module", [configure, dataset, models], ids=lambda module: module.__name__)
def test_the_examples_of_docstrings_are_true(module):
    assert doctest.testmod(module).failed == 0


def test_a_notebook_s_progress_is_html_that_others_cannot_write_into():
    shown: list[str] = []
    display = NotebookDisplay("<i>birds</i>", shown.append)
    with display.shown():
        display.note("a <script> in a note")
        display.planned({CellName("cnn", "k-fold", 2, 0): 10}, 0, 1)
        display.started(CellName("cnn", "k-fold", 2, 0))
        while not any("cnn/k-fold-2-0" in html for html in shown):
            pass
    assert "&lt;i&gt;birds" in "".join(shown)
    assert "0 of 1 cell" in "".join(shown)
    assert "&lt;script&gt;" in shown[-1]
    assert "<script>" not in "".join(shown)
    assert "0 of 1 cell" not in shown[-1]  # the bar goes with the end


@pytest.mark.parametrize("name", ["tiny", "transformer-h1"])
def test_a_created_model_takes_waveforms_and_is_trained_like_any_other(name):
    import torch

    from auricle.model.windows import mean_over_windows
    from auricle.training.evaluate import cut_windows, window_probabilities

    torch.manual_seed(0)
    model = au.create_model(name, 3, SMALL)
    waveforms = 0.1 * torch.randn(4, round(1.1 * model.sample_rate_hz))
    model.normalise(waveforms)
    assert model(waveforms[:, : model.window_samples]).shape == (4, 3)
    torch.nn.functional.cross_entropy(model(waveforms), torch.tensor([0, 1, 2, 0])).backward()
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters())
    model.eval()
    frames = model.network.frontend.frames(waveforms)
    windows = cut_windows(frames, model.rule)
    probabilities = window_probabilities(model.network, windows.flatten(0, 1)).unflatten(0, windows.shape[:2])
    weights = torch.tensor([model.rule.weights(each).tolist() for each in frames.numpy()])
    expected = mean_over_windows(probabilities.double().numpy(), weights.double().numpy())
    torch.testing.assert_close(model(waveforms).softmax(1).double(), torch.from_numpy(expected), atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match=r"waveforms are \(B, T\), mono"):
        model(waveforms[0])
    with pytest.raises(au.UsageError, match="at least two classes"):
        au.create_model(name, 1)


SPACE = {
    "models": ["cnn"],
    "parameters": {"training.batch_size": [16, 32], "training.learning_rate": {"low": 1e-4, "high": 1.0, "log": True}},
}


@pytest.fixture
def quick_search(monkeypatch):
    """Stand-ins for every training of a search."""
    monkeypatch.setattr("auricle.search.search.real_fit", lambda: fake_trials.quick)
    monkeypatch.setattr("auricle.training.fit.fit_cell", fake_fits.quick)
    monkeypatch.setattr("auricle.model.describe.describe", fake_fits.layers)


def test_a_search_returns_the_study_of_the_best_set_with_its_trials(quick_search, sounds, tmp_path, capfd):
    asked = {"trials": 3, "epochs": 2, "workers": 1, "device": "cpu", "wandb": "off"}
    study = au.run_search(SPACE, sounds, out=tmp_path / "tuned", **asked)
    assert "3 trials on validation folds" in capfd.readouterr().err
    trials = study.trials
    assert list(trials) == ["number", "state", "loss", "accuracy", "seconds", *SPACE["parameters"]]
    assert trials.state.tolist() == ["done"] * 3
    assert trials.loss.is_monotonic_increasing
    assert study.models == (f"cnn-trial-{trials.number[0]}",)
    again = au.run_search(SPACE, sounds, out=tmp_path / "tuned", progress=False, **asked)
    assert again.trials.equals(trials)
    assert not capfd.readouterr().err


def test_what_a_search_refuses(quick_search, sounds, study):
    with pytest.raises(au.UsageError, match=r"space: .*parameter"):
        au.run_search({"models": ["cnn"], "parameter": {}}, sounds)
    with pytest.raises(au.UsageError, match="nothing to try"):
        au.run_search({"models": ["cnn"]}, sounds)
    with pytest.raises(au.AuricleError, match="contains no search"):
        study.trials  # noqa: B018


def test_without_a_tracker_wandb_is_used_if_it_is_installed_as_on_the_command_line(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(running, "choose_trackers", lambda *of: asked.append(of) or ("off", []))
    monkeypatch.setattr(running, "train_cells", lambda *of, **how: SimpleNamespace(done=(1,), folder=tmp_path))
    for tracker in (None, "mlflow", ["wandb", "mlflow"]):
        au.run_study("toy", "tiny", out=tmp_path, tracker=tracker, progress=False)
    assert asked == [(None, None), ("mlflow", None), ("wandb,mlflow", None)]


def test_a_tilde_is_the_home_folder_for_what_is_written_too(study, monkeypatch):
    monkeypatch.setenv("HOME", str(study.folder.parent))
    asked = []
    monkeypatch.setattr(running, "train_cells", lambda *of, **how: asked.append(of[1]) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        au.run_study("toy", "tiny", out="~/more", wandb="off", progress=False)
    monkeypatch.setattr("auricle.api.exporting.export_model", lambda folder, to, *of, **how: asked.append(to) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        au.open_study("~/study").export("~/bundle", progress=False)
    assert asked == [study.folder.parent / "more", study.folder.parent / "bundle"]


def test_a_dataset_is_trained_where_it_was_loaded_from(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(configure, "survey", lambda source, **how: seen.append((source, how["root"])) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        au.run_study(au.Dataset("urbansound8k", root=tmp_path))
    assert seen == [("urbansound8k", tmp_path)]


def test_a_study_knows_where_its_dataset_was(monkeypatch, tmp_path):
    asked = {}
    monkeypatch.setattr(running, "train_cells", lambda *of, **how: SimpleNamespace(done=(1,), folder=tmp_path))
    monkeypatch.setattr("auricle.api.reporting.write_report", lambda folder, **how: asked.update(how) or ({}, []))
    au.run_study(au.Dataset("toy", root=tmp_path), "tiny", wandb="off", progress=False).report(progress=False)
    assert asked["root"] == tmp_path
