"""A study as NAME.pdf and NAME.py: what the program says, and that it gives the study's own numbers."""

import ast
import json
import re
import runpy
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from matplotlib.figure import Figure

from auricle.config import StudyConfig, load_preset, preset_names
from auricle.data.manifest import Clip
from auricle.errors import AuricleError, DivergedError, MachineError, UsageError
from auricle.findings.study import load_study
from auricle.handin import hand_in_results, program
from auricle.handin.hand_in import NEEDS, check_name, program_text, write_hand_in
from auricle.handin.program import main, read_presets
from auricle.handin.study_text import models, recordings_text
from auricle.runs import StudyFolder
from auricle.study.study import run_study
from auricle.work.options import RunOptions

sys.path.insert(0, str(Path(__file__).parents[1]))

from made_sounds import write_sounds

TINY = {"training.epochs": 1, "training.views": 1, "audio.window_s": 0.5, "frontend.num_bands": 16}
SMALL = {"encoder.width": 16, "encoder.num_blocks": 1}
CONSTANTS = ("CLIPS", "CONFIGURATION")
ALONE = (
    "import sys, runpy; sys.modules['auricle'] = None; sys.argv = sys.argv[1:]; "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> Path:
    return write_sounds(tmp_path_factory.mktemp("data") / "sounds")


def trained(tmp_path_factory, sounds: Path, **overrides: object) -> Path:
    """Train a transformer in a second on a person's own recordings, and return the folder of its study."""
    overrides = TINY | SMALL | {f"training.{field}": value for field, value in overrides.items()}
    config = StudyConfig(
        name="mine", data=str(sounds), models=("transformer-h2",), protocols=("test-split",), overrides=overrides
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AURICLE_CACHE", str(tmp_path_factory.mktemp("cache")))
        folder = tmp_path_factory.mktemp("runs") / "mine"
        run_study(config, folder, RunOptions(workers=1))
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory, sounds) -> Path:
    return trained(tmp_path_factory, sounds)


def run_alone(program: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a program where auricle cannot be imported."""
    return subprocess.run(
        [sys.executable, "-c", ALONE, str(program), *words], capture_output=True, text=True, timeout=300, check=False
    )


def imported(tree: ast.Module) -> set[str]:
    """Name what `import NAME` imports anywhere."""
    return {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}


def assert_same_numbers(study: Path, out: Path) -> None:
    cells = StudyFolder(study).cells()
    assert cells
    for cell in cells:
        other = out / cell.predictions.relative_to(study)
        assert other.read_bytes() == cell.predictions.read_bytes()
        expected, scores = (
            json.loads(path.read_text())["test"] for path in (cell.metrics, other.parent / cell.metrics.name)
        )
        for name in ("accuracy", "macro_f1", "macro_auc"):
            assert scores[name] == pytest.approx(expected["clip"][name], abs=1e-9), name
        assert scores["confusion"] == expected["clip"]["confusion"]


def run_here(study: Path, sounds: Path, folder: Path, monkeypatch, *words: str) -> Path:
    """Run the hand-in of a study in this process, where auricle cannot be imported; return where its results are."""
    program, out = folder / "answer.py", folder / "out"
    program.write_text(program_text(load_study(study), program.name))
    with monkeypatch.context() as alone:
        alone.setattr(sys, "argv", [str(program), "--data", str(sounds), "--out", str(out), *words])
        for name in [name for name in sys.modules if name.partition(".")[0] == "auricle"]:
            alone.setitem(sys.modules, name, None)
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(program), run_name="__main__")
    assert end.value.code == 0
    return out


def test_the_program_runs_without_auricle_and_gives_the_numbers_of_the_study(
    study, sounds, tmp_path, monkeypatch, capsys
):
    out = run_here(study, sounds, tmp_path, monkeypatch, "--wandb", "offline")
    assert_same_numbers(study, out)
    assert (out / "results.csv").read_text().startswith("protocol,model,cells,parameters,accuracy")
    assert [path.name for path in (out / "figures").iterdir()] == ["transformer-h2-test-split.png"]
    assert len(list((out / "wandb").glob("offline-run-*"))) == 1
    printed = capsys.readouterr().out
    assert "macro_f1" in printed
    assert "macro_auc" in printed
    assert "rows are true classes" in printed


def test_the_hand_in_of_a_study_of_so_many_steps_gives_its_numbers(tmp_path_factory, sounds, tmp_path, monkeypatch):
    study = trained(tmp_path_factory, sounds, max_steps=1, epochs=3, batch_size=4)
    assert_same_numbers(study, run_here(study, sounds, tmp_path, monkeypatch))


def test_what_the_configuration_does_not_reach_is_not_in_the_program(study, esc10_study):
    text = program_text(load_study(study), "answer.py")
    assert "class Muon" in text
    plain = load_study(study)
    adam = plain.presets["transformer-h2"].model_copy(
        update={"training": plain.presets["transformer-h2"].training.model_copy(update={"optimizer": "adam"})}
    )
    text = program_text(replace(plain, presets={"transformer-h2": adam}), "answer.py")
    for left_out in (
        "Muon",
        "filter_waveforms",
        "_grid_windows",
        "draw_stretched",
        "mask_features",
        "build_raw",
        "Pool(",
    ):
        assert left_out not in text, left_out
    assert "def build_adam(" in text
    networks = program_text(load_study(esc10_study), "answer.py")
    assert "class Pool(" in networks
    assert "class Encoder(" in networks


def test_the_hand_in_of_a_study_with_background_gives_its_numbers(tmp_path_factory, tmp_path, monkeypatch):
    sounds = write_sounds(tmp_path / "sounds", num_classes=3)
    (sounds / "hen").rename(sounds / "background")
    study = trained(tmp_path_factory, sounds)
    assert_same_numbers(study, run_here(study, sounds, tmp_path, monkeypatch))


def test_classes_that_are_unequal_only_in_training_are_balanced_as_in_the_study(
    tmp_path_factory, tmp_path, monkeypatch
):
    sounds = write_sounds(tmp_path / "sounds", num_takes=12)
    folds = {"cat": [1, 2, *[3] * 10], "dog": [1, 1, 2, 3]}  # 12 to 4 clips, and 10 to 1 in the training set
    rows = [f"{name}/{name} {take}.wav,{name},{fold}" for name in folds for take, fold in enumerate(folds[name])]
    (sounds / "clips.csv").write_text("\n".join(["file,label,fold", *rows]))
    study = trained(tmp_path_factory, sounds / "clips.csv")
    assert_same_numbers(study, run_here(study, sounds, tmp_path, monkeypatch))


@pytest.mark.long
def test_the_toy_study_makes_its_own_sounds_and_gives_its_own_numbers(tmp_path, monkeypatch):
    monkeypatch.setenv("AURICLE_CACHE", str(tmp_path / "cache"))
    config = StudyConfig(name="toys", models=("cnn", "transformer-h2"), overrides=TINY)
    run_study(config, tmp_path / "toys", RunOptions(workers=1))
    program = tmp_path / "answer.py"
    program.write_text(program_text(load_study(tmp_path / "toys"), program.name))
    done = run_alone(program, "--data", str(tmp_path / "sounds"), "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert_same_numbers(tmp_path / "toys", tmp_path / "out")


def test_the_program_is_whole_and_clean(esc10_study, tmp_path):
    text = program_text(load_study(esc10_study), "answer.py")
    tree = ast.parse(text)
    named = {getattr(node, "module", None) or "" for node in ast.walk(tree)} - {""}
    assert not [name for name in named if name.startswith("auricle")]
    foreign = {name.partition(".")[0] for name in named | imported(tree)} - {*sys.stdlib_module_names, "__future__"}
    assert "wandb" in foreign  # which is needed with --wandb alone
    foreign -= {"wandb"}
    assert {{"sklearn": "scikit-learn", "yaml": "pyyaml"}.get(name, name) for name in foreign} == {
        *NEEDS.replace(" and", ",").split(", ")
    }
    undocumented = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_" and not ast.get_docstring(node)
    ]
    assert undocumented == []
    (tmp_path / "answer.py").write_text(text)
    rules = ["--isolated", "--no-cache", "--select", "F,E,W", "--line-length", "120"]
    checked = subprocess.run(
        [sys.executable, "-m", "ruff", "check", *rules, str(tmp_path / "answer.py")], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout
    assert len(text.splitlines()) <= 1800
    titles = re.findall(r"^# \d+\. (.+)$", text, re.MULTILINE)
    assert titles[0] == "The configuration"  # which is the study's own
    named_files = [origin for title in titles for origin in re.findall(r"\((.+)\)$", title)]
    assert len(named_files) >= len(titles) - 3
    assert all(resources.files("auricle").joinpath(*file.split("/")[1:]).is_file() for file in named_files)


def test_the_best_set_of_a_search_is_named(study):
    (study / "search").mkdir()
    trials = [{"number": 0, "state": "done", "loss": 0.5, "accuracy": 0.9, "values": {"training.learning_rate": 0.01}}]
    (study / "search" / "trials.json").write_text(json.dumps({"trials": trials}))
    doc = ast.get_docstring(ast.parse(program_text(load_study(study), "answer.py")))
    shutil.rmtree(study / "search")
    assert "Best of 1 set of values that a search tried:\n\n    training.learning_rate=0.01" in doc


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_is_the_same_after_it_was_spelt_out(name):
    presets = {other: load_preset(other) for other in ("cnn", "transformer-h1", name)}
    spelt = yaml.safe_load(yaml.safe_dump(models(presets), sort_keys=False))
    assert read_presets(spelt)[name].model_dump(exclude={"about"}) == presets[name].model_dump(exclude={"about"})


@pytest.mark.parametrize("source", ["esc10", "esc50", "urbansound8k", "toy"])
def test_the_recordings_of_a_named_dataset_are_read_where_they_lie(make_study, source):
    text = program_text(load_study(make_study(source=source, models=("cnn",))), "answer.py")
    assert "def read_clips(folder: Path) -> list[Clip]:" in text
    assert ('if row["esc10"] == "True"' in text) == (source == "esc10")
    assert "CLIPS =" not in text


def test_hostile_names_do_nothing(make_study, tmp_path):
    categories = ('"""; raise SystemExit("hacked")', "=cmd|' /C calc'!A0", "a\\\nb\r{curly}%s", "狗")
    folder = make_study(source='/data/"""{0}', categories=categories, models=("cnn",), skipped=[('x"""\\', "bad")])
    text = program_text(load_study(folder), 'na"""me.py')
    names: dict = {"__name__": "imported"}
    tree = ast.parse(text)
    wanted = [node for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in CONSTANTS]
    exec(compile(ast.Module(wanted, []), "constants", "exec"), names)
    assert yaml.safe_load(names["CONFIGURATION"])["skipped"] == ['x"""\\']
    manifest = StudyFolder(folder).manifest.read_bytes().decode()
    assert names["CLIPS"] == manifest.replace("\r\n", "\n")


def test_folds_groups_and_formats_that_a_person_chose_are_kept(esc10_study):
    study = load_study(esc10_study)
    chosen = study.config.model_copy(update={"group_by": "take", "allow_split_groups": True})
    heard = replace(study.dataset, groups={"a.m4a": "a", "b.wav": "b"})
    text = program_text(replace(study, config=chosen, dataset=heard), "answer.py")
    assert 'CLIPS = """' in text
    assert "It cannot read .m4a: convert 1 recording to WAV" in text


def test_a_name_that_exists_is_refused_and_nothing_is_written(study, tmp_path):
    (tmp_path / "answer.py").write_text("mine")
    for name in ("answer", "answer.py", "answer.pdf"):
        with pytest.raises(UsageError, match=r"answer\.py exists already; delete it or choose another name"):
            write_hand_in(study, study / "none.pdf", tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["answer.py"]
    with pytest.raises(UsageError, match="takes a name for two new files"):
        check_name(tmp_path)


def test_a_place_that_cannot_be_written_is_named(study, tmp_path):
    (tmp_path / "file").touch()
    pdf = tmp_path / "report.pdf"
    pdf.write_bytes(b"%PDF")
    with pytest.raises(MachineError, match="cannot write"):
        write_hand_in(study, pdf, tmp_path / "file" / "answer")


@pytest.mark.parametrize("error", [MachineError("the disk is full"), KeyboardInterrupt()])
def test_without_its_program_no_pdf_remains_by_which_the_same_command_would_be_refused(
    study, tmp_path, monkeypatch, error
):
    def fails(path: Path, text: str) -> None:
        raise error

    pdf = tmp_path / "report.pdf"
    pdf.write_bytes(b"%PDF")
    monkeypatch.setattr("auricle.handin.hand_in.write_text", fails)
    with pytest.raises(type(error)):
        write_hand_in(study, pdf, tmp_path / "answer")
    assert [path.name for path in tmp_path.iterdir()] == ["report.pdf"]


def test_a_study_of_seconds_did_not_take_0_minutes(study):
    assert "The study took less than a minute\n" in program_text(load_study(study), "answer.py")


def test_a_class_whose_name_begins_with_an_underscore_is_in_the_legend():
    labels = np.repeat([0, 1], 4)
    result = SimpleNamespace(
        manifest=SimpleNamespace(categories=("_a", "b")), history=[], cell="k-fold-2-0", test={"f1": [1.0, 1.0]},
        tested=(labels, np.eye(2)[labels]),
    )  # fmt: skip
    figure = hand_in_results.draw([result], np.eye(2, dtype=int))
    legends = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    shown = [text.get_text().split() for legend in legends for text in legend.get_texts()]
    assert [words[0] for words in shown if "(AUC" in words] == ["_a", "b"]


def test_ctrl_c_ends_the_program_in_one_line(monkeypatch, tmp_path, capsys):
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "run_models", stopped)
    options = ["--data", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(configuration_of_one_model(), lambda folder: [], options) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_study_without_a_finished_cell_has_nothing_to_hand_in(make_study):
    folder = make_study(models=("cnn",), protocols=("test-split",), unstarted=("cnn/test-split-2-0",))
    with pytest.raises(AuricleError, match="nothing to hand in"):
        program_text(load_study(folder), "answer.py")


@pytest.mark.parametrize("name", ["random", "out/torch", "yaml.py", "sklearn.pdf"])
def test_a_name_that_hides_a_module_from_the_program_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match=r"would hide the module \w+ of Python; choose another name"):
        check_name(tmp_path / name)
    assert not any(tmp_path.iterdir())


def test_recordings_in_folders_of_folds_are_found(make_study, tmp_path):
    names: dict = {}
    exec(recordings_text(load_study(make_study(source="/data/mine", models=("cnn",)))), names)
    for file in ("a.wav", "audio/b.wav", "audio/fold10/c.wav"):
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        assert names["_path_of"](tmp_path, path.name) == path
    assert names["_path_of"](tmp_path, "d.wav") == tmp_path / "d.wav"


def test_other_epochs_shorten_the_warm_up_as_on_the_command_line():
    presets = {name: load_preset(name) for name in ("cnn", "transformer-h2")}
    for epochs in (1, 10, 1000):
        shorter = read_presets(models(presets), epochs)
        for name, preset in shorter.items():
            expected = load_preset(name, {"training.epochs": epochs}).training
            assert vars(preset.training)["warmup_epochs"] == expected.warmup_epochs
            assert preset.training.epochs == epochs


def test_columns_do_not_run_together():
    row = ("random-split", "report-b-transformer-clean-test", 1, 335_402, 1.0, None, 1.0, 1.0, None)
    assert hand_in_results._aligned(row).split()[:4] == ["random-split", row[1], "1", "335402"]


def test_the_accuracies_of_the_study_are_a_table_whatever_the_names(make_study):
    study = load_study(make_study(models=("report-b-transformer",), protocols=("random-split",)))
    name = "report-b-transformer-clean-test"
    cells = tuple(replace(cell, name=replace(cell.name, model=name)) for cell in study.cells)
    text = program_text(replace(study, cells=cells, presets={name: study.presets["report-b-transformer"]}), "a.py")
    assert f"    random-split {name} " in ast.get_docstring(ast.parse(text))


def test_all_rows_of_the_confusion_of_many_classes_are_printed(tmp_path, monkeypatch):
    monkeypatch.setattr(hand_in_results, "draw", lambda own, confusion: Figure())
    scores = {"accuracy": 1.0, "macro_f1": 1.0, "macro_auc": None, "confusion": np.eye(50, dtype=int).tolist()}
    result = SimpleNamespace(
        split=SimpleNamespace(protocol="k-fold"), preset=SimpleNamespace(name="cnn"), num_parameters=1, test=scores,
        validation_accuracy=None,
    )  # fmt: skip
    printed = hand_in_results.compare([result], tmp_path)
    assert "..." not in printed
    assert sum(line.count("1") == 1 and line.count("0") == 49 for line in printed.splitlines()) == 50


def configuration_of_one_model(**changes: object) -> str:
    return yaml.safe_dump(
        {"name": "s", "clip_s": 1.0, "skipped": [], "not_scored": None, "protocols": ["test-split"],
         "only": {}, "seeds": [0],
         "threads": 1, "device": "cpu", "models": models({"cnn": load_preset("cnn")})} | changes
    )  # fmt: skip


def test_a_training_that_diverges_does_not_stop_the_others(monkeypatch, tmp_path, capsys):
    trained: list[int] = []

    def train(preset, recordings, split, seed, options):
        if seed == 1:
            raise DivergedError("diverged in epoch 1")
        trained.append(seed)

    clips = [Clip(tmp_path / f"{c}{f}", f"{c}{f}", c, f, f"{c}{f}") for c in "ab" for f in (1, 2, 3)]
    monkeypatch.setattr(program, "train", train)
    monkeypatch.setattr(program, "read_recordings", lambda manifest, rate_hz: None)
    monkeypatch.setattr(program, "write_result", lambda folder, result: None)
    monkeypatch.setattr(program, "compare", lambda results, out: f"{len(results)} results")
    options = ["--data", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(configuration_of_one_model(seeds=[0, 1, 2]), lambda folder: clips, options) == 1
    said = capsys.readouterr()
    assert trained == [0, 2]
    assert said.out == "2 results\n"
    assert said.err.splitlines() == [
        "cnn test-split-2-1: diverged in epoch 1",
        "1 of 3 trainings diverged and are not in the tables",
    ]


def test_the_program_says_in_one_line_what_is_wrong(capsys, tmp_path):
    from auricle.data.tables import esc50_clips

    configuration, options = configuration_of_one_model(), ["--data", str(tmp_path), "--out", str(tmp_path / "out")]

    def says(code: int, *words: str) -> str:
        assert main(configuration, esc50_clips, [*options, *words]) == code
        line = capsys.readouterr().err
        assert line.count("\n") == 1
        return line

    assert "esc50.csv: cannot be read" in says(3)
    assert "no model 'cnm'; the study has cnn" in says(2, "--models", "cnm")
    assert "--epochs must be at least 1, not 0" in says(2, "--epochs", "0")
    assert "no device 'gpu'" in says(5, "--device", "gpu")
    (tmp_path / "meta").mkdir()
    rows = [f"{c}{f}.wav,{f},{c},False,{c}{f}" for c in "ab" for f in (1, 2, 3)]
    (tmp_path / "meta" / "esc50.csv").write_text("\n".join(["filename,fold,category,esc10,src_file", *rows]))
    assert "a1.wav cannot be read" in says(3)
