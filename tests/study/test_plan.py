import pytest
import yaml

from auricle.config import StudyConfig, load_study
from auricle.data.datasets import load_manifest
from auricle.errors import UsageError
from auricle.runs.record import check_same, united
from auricle.study.listener import Listener
from auricle.study.plan import make_plan, resolve_presets


def study(*models: str, **overrides: object) -> StudyConfig:
    return StudyConfig(name="some", models=models, overrides=overrides)


def test_an_override_reaches_every_model():
    presets = resolve_presets(study("cnn", "transformer-h1", **{"training.epochs": 3}))
    assert [preset.training.epochs for preset in presets.values()] == [3, 3]


def test_an_override_of_the_encoder_reaches_the_models_that_have_one():
    presets = resolve_presets(study("cnn", "transformer-h1", **{"encoder.num_blocks": 3}))
    assert presets["cnn"].encoder is None
    assert presets["transformer-h1"].encoder.num_blocks == 3


def test_an_override_of_the_encoder_without_one_is_refused():
    with pytest.raises(UsageError, match=r"no encoder in cnn, so encoder.num_heads cannot be set"):
        resolve_presets(study("cnn", **{"encoder.num_heads": 2}))


def test_a_preset_file_is_named_by_what_it_says(tmp_path):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"extends": "cnn", "name": "my-cnn"}))
    assert list(resolve_presets(study(str(tmp_path / "mine.yaml")))) == ["my-cnn"]


def test_a_study_may_spell_out_models_of_its_own():
    own = {
        "plain": {"extends": "cnn", "augmentation": {"mix": 0}},
        "plainer": {"extends": "plain", "training": {"views": 1}},
    }
    presets = resolve_presets(StudyConfig(name="some", models=("cnn", "plain", "plainer"), presets=own))
    assert [preset.augmentation.mix for preset in presets.values()] == [1, 0, 0]
    assert [preset.training.views for preset in presets.values()] == [6, 6, 1]
    assert list(presets) == ["cnn", "plain", "plainer"]


def test_an_unknown_model_is_answered_with_those_of_the_study_too():
    with pytest.raises(UsageError, match=r"plain"):
        resolve_presets(StudyConfig(name="some", models=("plan",), presets={"plain": {"extends": "cnn"}}))


def test_a_name_that_is_no_folder_name_is_refused(tmp_path):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"extends": "cnn", "name": "../cnn"}))
    with pytest.raises(UsageError, match="letters, digits"):
        resolve_presets(study(str(tmp_path / "mine.yaml")))


def test_two_models_whose_names_differ_only_in_case_are_refused(tmp_path):
    """They would share a folder on macOS and Windows."""
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"extends": "cnn", "name": "CNN"}))
    with pytest.raises(UsageError, match="models 'cnn' and 'CNN' differ only in case; give each"):
        resolve_presets(study("cnn", str(tmp_path / "mine.yaml")))
    presets = resolve_presets(study(str(tmp_path / "mine.yaml")))
    with pytest.raises(UsageError, match="models 'cnn' and 'CNN' differ only in case"):
        check_same({"models": {"cnn": {}}}, presets, {}, tmp_path)


def test_two_models_of_one_name_are_refused():
    with pytest.raises(UsageError, match="two models are named 'cnn'"):
        resolve_presets(study("cnn", "cnn"))


def test_all_models_come_once_before_any_comes_again(config):
    plan = make_plan(config, resolve_presets(config), load_manifest(config.data), listener=Listener())
    cells = list(plan.cells)
    assert [cell.model for cell in cells] == ["cnn", "transformer-h2"] * 5
    assert [(cell.protocol, cell.fold) for cell in cells[::2]] == [
        ("test-split", 2),
        *(("k-fold", f) for f in (2, 3, 4, 5)),
    ]


def test_models_of_two_sample_rates_hear_the_same_clips(config, tmp_path):
    (tmp_path / "low.yaml").write_text(yaml.safe_dump({"extends": "cnn", "audio": {"sample_rate_hz": 8_000}}))
    mixed = config.model_copy(update={"models": ("cnn", str(tmp_path / "low.yaml"))})
    plan = make_plan(mixed, resolve_presets(mixed), load_manifest(mixed.data), listener=Listener())
    assert plan.config.models == ("cnn", "low")
    assert plan.recordings_of("low").waveforms.shape[1] * 2 == plan.recordings_of("cnn").waveforms.shape[1]
    assert set(plan.digests) == {16_000, 8_000}


def test_a_fold_that_no_protocol_has_is_refused_with_those_that_it_has(config):
    with pytest.raises(UsageError, match=r"no fold 9 .* available: 2, 3, 4, 5"):
        make_plan(config, resolve_presets(config), load_manifest(config.data), folds={9}, listener=Listener())


def test_a_model_may_keep_to_some_protocols(config):
    limited = config.model_copy(update={"only": {"cnn": ("test-split",)}})
    plan = make_plan(limited, resolve_presets(limited), load_manifest(config.data), listener=Listener())
    assert [str(cell) for cell in plan.cells] == [
        "cnn/test-split-2-0",
        "transformer-h2/test-split-2-0",
        *(f"transformer-h2/k-fold-{fold}-0" for fold in (2, 3, 4, 5)),
    ]


def test_a_model_of_which_no_cell_is_asked_is_left_out(config):
    limited = config.model_copy(update={"only": {"cnn": ("test-split",)}, "protocols": ("k-fold",)})
    plan = make_plan(limited, resolve_presets(limited), load_manifest(config.data), listener=Listener())
    assert plan.config.models == tuple(plan.presets) == ("transformer-h2",)


def test_protocols_that_no_model_runs_under_are_refused_with_those_that_they_do(config):
    limited = config.model_copy(update={"models": ("cnn",), "only": {"cnn": ("test-split",)}, "protocols": ("k-fold",)})
    with pytest.raises(UsageError, match=r"no model of small is trained under k-fold; available: cnn: test-split"):
        make_plan(limited, resolve_presets(limited), load_manifest(config.data), listener=Listener())


def test_two_passes_limit_a_model_only_where_both_do():
    first = StudyConfig(name="s", models=("a", "b"), only={"a": ("k-fold",), "b": ("k-fold",)})
    second = StudyConfig(name="s", models=("a", "b", "c"), only={"a": ("test-split",), "c": ("k-fold",)})
    assert united(first, second).only == {"a": ("k-fold", "test-split"), "c": ("k-fold",)}


def test_a_limit_for_a_model_that_the_study_lacks_is_refused(tmp_path):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"models": ["cnn"], "only": {"cnm": ["k-fold"]}}))
    with pytest.raises(UsageError, match="did you mean 'cnn'"):
        load_study(str(tmp_path / "mine.yaml"))


def test_the_study_of_the_reports_runs_each_model_in_the_configurations_that_its_report_used():
    study = load_study("reports")
    presets = resolve_presets(study)
    protocols = {model: study.protocols_of(model) for model in presets}
    assert len(presets) == 16 + 5 + 4 + 1 + 6
    assert protocols["report-a-cnn-sgd-0.05"] == ("k-fold",)
    assert protocols["report-b-transformer"] == ("random-split", "random", "test-split")
    assert protocols["report-c-cnn"] == ("k-fold", "test-split")
    assert protocols["report-d-cnn"] == ("test-split",)
    assert protocols["report-d-transformer-h1"] == ("test-split",)
    split = presets["report-b-cnn-no-masks"]
    assert split.training == presets["report-b-cnn"].training
    assert not split.augmentation.feature_frame_mask
    assert not split.augmentation.mask_when_scored
