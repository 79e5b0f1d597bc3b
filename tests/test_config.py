import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from auricle.config import (
    Preset,
    Section,
    load_preset,
    load_references,
    load_study,
    parse_overrides,
    preset_from_yaml,
    preset_names,
    settings,
    study_names,
    to_yaml,
)
from auricle.config.reference import SHOWN
from auricle.config.sections import section_within
from auricle.errors import UsageError


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_written_and_read_is_the_same(name: str) -> None:
    preset = load_preset(name)
    assert preset_from_yaml(to_yaml(preset), "here") == preset


@pytest.mark.parametrize("name", study_names())
def test_every_study_names_presets_that_exist(name: str) -> None:
    study = load_study(name)
    assert set(study.models) <= {*preset_names(), *study.presets}
    assert set(study.presets) <= set(study.models)
    for model in study.models:
        load_preset(model, study.overrides, beside=study.presets)


def test_an_ablation_takes_out_one_thing() -> None:
    study = load_study("ablations")
    full, *others = (load_preset(model, beside=study.presets).model_dump() for model in study.models)
    for other in others:
        sections = [name for name in other if other[name] != full[name] and name not in ("name", "about")]
        assert len(sections) == 1, other["name"]


def test_an_override_changes_one_field() -> None:
    changed = load_preset("transformer-h4", {"training.epochs": 3, "encoder.num_heads": 2})
    plain = load_preset("transformer-h4")
    assert (changed.training.epochs, changed.encoder.num_heads) == (3, 2)
    assert changed.base == plain.base


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"training.epoch": 3}, "no field 'training.epoch': did you mean 'training.epochs'"),
        ({"trainning.epochs": 3}, "did you mean 'training.epochs'"),
        ({"epochs": 3}, "no field 'epochs': did you mean 'training.epochs'"),
        ({"epoch": 3}, "did you mean 'training.epochs'"),
        ({"batch-size": 3}, "did you mean 'training.batch_size'"),
        ({"dropout": 0.5}, "did you mean 'encoder.dropout' or 'head.dropout'"),
        ({"training.num_heads": 2}, "did you mean 'encoder.num_heads'"),
        ({"nothing": 2}, "no field 'nothing'; `auricle config` lists them all"),
        ({"base.blocks.kernel": 5}, "base.blocks is a single value without a field"),
        ({"training.epochs": 0}, "training.epochs"),
        ({"frontend.max_hz": 0}, "frontend.max_hz: Input should be greater than 0"),
        ({"training.epochs": "many"}, "training.epochs"),
        ({"training.learning_rate": float("nan")}, "training.learning_rate"),
        ({"name.x": 1}, "name is a single value"),
        ({"training.batch_size": 8, "training": {"views": 1}}, "training is set as a whole, so training.batch_size"),
        ({"training": 5, "training.epochs": 2}, "training is set as a whole, so training.epochs cannot be set"),
        ({"encoder.num_heads": 3}, r"not divisible by 3 heads; valid: \[1, 2, 4, 8, 16\]"),
    ],
)
def test_a_wrong_override_is_refused_and_named(overrides: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_preset("transformer-h1", overrides)


def test_a_misspelt_preset_names_the_valid_ones() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'cnn'\? Available: cnn, raw-cnn, tiny, transformer-h1, "):
        load_preset("cnnn")
    with pytest.raises(UsageError, match=r"did you mean 'report-a-cnn'\? Available: cnn, raw-cnn, report-a-cnn, "):
        load_preset("report-a-cn")


def test_an_encoder_cannot_be_set_on_a_preset_without_one() -> None:
    with pytest.raises(UsageError, match="cnn has no encoder"):
        load_preset("cnn", {"encoder.num_heads": 2})


def test_a_preset_file_may_extend_a_preset(tmp_path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("extends: transformer-h2\ntraining: {epochs: 7}\n")
    mine = load_preset(str(file))
    assert (mine.name, mine.training.epochs, mine.encoder.num_heads) == ("mine", 7, 2)
    assert mine.training.batch_size == load_preset("cnn").training.batch_size


def test_the_name_of_an_extended_preset_is_its_own() -> None:
    assert [load_preset(name).name for name in preset_names()] == preset_names()


@pytest.mark.parametrize(
    "text", ["[1, 2]", "a: [", "extends: nothing", "base: {blocks: []}", "base: 5", "\x00", "extra: 1"]
)
def test_a_broken_preset_file_is_refused_in_one_line(tmp_path, text: str) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    with pytest.raises(UsageError) as refusal:
        load_preset(str(file))
    assert "\n" not in str(refusal.value)


def test_a_preset_file_longer_than_the_limit_in_bytes_is_refused_not_cut(tmp_path) -> None:
    file = tmp_path / "long.yaml"
    file.write_text("extends: cnn\nabout: a\n#" + "é" * 40_000, encoding="utf-8")
    with pytest.raises(UsageError, match="longer than 65536 bytes"):
        load_preset(str(file))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: cnn\nepochs: 3", "no field 'epochs': did you mean 'training.epochs'"),
        ("extends: cnn\ntraining: {epoch: 3}", "no field 'training.epoch': did you mean 'training.epochs'"),
        ("base: {blocks: [{chanels: 3}]}", "no field in base.blocks.0 'chanels': did you mean 'channels'"),
    ],
)
def test_a_wrong_field_of_a_file_names_the_right_one(tmp_path, text: str, message: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=message):
        load_preset(str(file))


def test_a_wrong_field_of_a_study_names_the_right_one(tmp_path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("models: [cnn]\nprotocol: [k-fold]")
    with pytest.raises(UsageError, match="no field 'protocol': did you mean 'protocols'"):
        load_study(str(file))


def test_a_search_space_given_as_a_study_is_named_as_such(tmp_path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text("models: [cnn]\nparameters: {training.learning_rate: [0.1, 1]}")
    with pytest.raises(UsageError, match=rf"a search space, not a study; tune with auricle search {file}"):
        load_study(str(file))


def test_an_absent_file_is_a_usage_error(tmp_path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        load_preset(str(tmp_path / "absent.yaml"))


@given(st.lists(st.text(max_size=20), max_size=3))
def test_any_word_given_to_set_is_read_or_refused(words: list) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(parse_overrides(words), dict)


def test_sections_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_preset("cnn").training.epochs = 5
    assert Preset.model_config["extra"] == "forbid"


def test_a_preset_may_take_the_recipe_of_another_and_change_it() -> None:
    mine = {"extends": "report-b-cnn", "recipe": "cnn", "training": {"views": 9}}
    preset, network, recipe = (load_preset(name, beside={"mine": mine}) for name in ("mine", "report-b-cnn", "cnn"))
    assert (preset.base, preset.frontend, preset.name) == (network.base, network.frontend, "mine")
    assert preset.augmentation == recipe.augmentation
    assert preset.training == recipe.training.model_copy(update={"views": 9})


def fields_below(kind: type[Section], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Name every field of a section that holds a value, with the sections on the way to it."""
    for name, field in kind.model_fields.items():
        inner = section_within(field.annotation)
        yield from fields_below(inner, (*path, name)) if inner else [(*path, name)]


@pytest.mark.parametrize("name", ["cnn", "raw-cnn", "transformer-h4", "report-b-cnn"])
def test_every_field_of_a_preset_reaches_its_settings(name: str) -> None:
    found = settings(load_preset(name))
    paths = [(setting.section, *setting.field.split(".")) for setting in found]
    assert paths == [path for path in fields_below(Preset) if path[0] not in ("name", "about")]
    assert SHOWN.keys() == {f"{setting.section}.{setting.field}" for setting in found}
    assert all(setting.label and setting.value and setting.description for setting in found)
    assert len({(setting.section, setting.label) for setting in found}) == len(found)


def test_settings_say_what_may_be_typed() -> None:
    found = {f"{s.section}.{s.field}": s for s in settings(load_preset("cnn", {"training.epochs": 4}))}
    epochs, kind, clip = (found[name] for name in ("training.epochs", "frontend.kind", "training.gradient_clip"))
    assert (epochs.typed, epochs.default, epochs.allowed) == ("4", "100", "at least 1")
    assert (kind.typed, kind.default, kind.allowed) == ("log-mel", "log-mel", "raw | log-mel | mfcc")
    assert (clip.typed, clip.allowed) == ("2.0", "at least 0")
    assert found["augmentation.shift"].allowed == "true | false"
    assert found["frontend.max_hz"].typed == "null"


@pytest.mark.parametrize("name", ["cnn", "transformer-h4", "report-b-cnn"])
def test_every_setting_that_may_be_typed_is_read_as_it_stands(name: str) -> None:
    preset = load_preset(name)
    shown = {f"{s.section}.{s.field}": s.typed for s in settings(preset) if s.typed and ".blocks." not in f".{s.field}"}
    shown = {field: value for field, value in shown.items() if not field.startswith("base.blocks")}
    assert load_preset(name, parse_overrides(f"{field}={value}" for field, value in shown.items())) == preset


OF_PRESETS = [kind for kind in Section.__subclasses__() if kind.__module__ == Section.__module__]


@pytest.mark.parametrize("kind", [Section, *OF_PRESETS])
def test_every_field_says_what_it_means(kind: type[Section]) -> None:
    assert all(field.description for field in kind.model_fields.values())


def test_settings_tell_what_a_preset_does_and_leave_out_what_takes_no_part() -> None:
    report_b, cnn, transformer = (
        {(s.section, s.field): s.value for s in settings(load_preset(name)) if s.applies}
        for name in ("report-b-cnn", "cnn", "transformer-h4")
    )
    assert report_b["training", "windows"] == "those that are scored"
    assert report_b["augmentation", "feature_frame_mask"] == "up to 20 frames"
    assert report_b["augmentation", "feature_row_mask"] == "up to 30 rows"
    assert report_b["base", "blocks.channels"] == "32 / 64 / 128"
    assert ("training", "momentum") not in report_b
    assert cnn["training", "momentum"] == "0.95"
    assert cnn["augmentation", "stretch"] == "off"
    assert cnn["base", "blocks.channels"] == "16 × 3 / 32 × 2 / 64 × 4"
    assert ("encoder", "dropout") not in cnn
    assert transformer["encoder", "activation"] == "GELU"


@pytest.mark.parametrize(("epochs", "warmup"), [(4, 1.0), (1, 0.25), (20, 5.0), (400, 5.0)])
def test_a_short_training_leaves_its_warm_up(epochs: int, warmup: float):
    assert load_preset("cnn", {"training.epochs": epochs}).training.warmup_epochs == warmup
    assert load_preset("cnn", {"training": {"epochs": epochs}}).training.warmup_epochs == warmup


def test_a_warm_up_that_is_asked_for_stays_as_it_is_asked():
    assert load_preset("cnn", {"training.epochs": 4, "training.warmup_epochs": 3}).training.warmup_epochs == 3
    assert load_preset("cnn").training.warmup_epochs == 5


def test_a_study_cites_results_of_others_by_name_or_by_file(tmp_path: Path) -> None:
    figure = {"model": "cnn", "protocol": "k-fold", "accuracy": 91.2, "statistic": "best", "trainings": 4}
    mine = {"references": [{"source": "Doe 2024", "data": "esc10", "figures": [figure]}]}
    (tmp_path / "paper.yaml").write_text(yaml.safe_dump(mine))
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({"models": ["cnn"], "reference": str(tmp_path / "paper.yaml")}))
    (reference,) = load_study(str(tmp_path / "study.yaml")).reference
    assert (reference.source, reference.figures[0].accuracy, reference.figures[0].of) == ("Doe 2024", 91.2, "test")
    assert load_study("esc10").reference == load_references("four-reports")
    with pytest.raises(UsageError, match="no reference 'five-reports'"):
        load_references("five-reports")
    figure["acuracy"] = figure.pop("accuracy")
    (tmp_path / "paper.yaml").write_text(yaml.safe_dump(mine))
    with pytest.raises(UsageError, match="did you mean 'accuracy'"):
        load_references(str(tmp_path / "paper.yaml"))


@pytest.mark.parametrize("seed", [-1, 10**9])
def test_a_seed_that_no_name_of_a_cell_can_have_is_refused(tmp_path, seed) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"models: [cnn]\nseeds: [0, {seed}]\n")
    with pytest.raises(UsageError, match="seeds"):
        load_study(str(file))


def test_a_seed_or_protocol_listed_twice_counts_once(tmp_path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("models: [cnn]\nseeds: [1, 0, 1]\nprotocols: [k-fold, k-fold]\n")
    study = load_study(str(file))
    assert (study.seeds, study.protocols) == ((1, 0), ("k-fold",))


def test_a_hop_of_less_than_a_sample_is_refused() -> None:
    with pytest.raises(UsageError, match="less than a sample"):
        load_preset("cnn", {"frontend.hop_ms": 0.01})
    assert load_preset("cnn", {"frontend.hop_ms": 0.1}).frontend.hop_ms == 0.1
