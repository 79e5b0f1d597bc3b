"""The recipe in the report: every setting of the configuration that takes part reaches it, and as it was used."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from auricle.config import Preset, Section, load_preset, preset_names, settings
from auricle.config.sections import section_within
from auricle.findings.findings import Findings, find
from auricle.findings.study import Study, load_study
from auricle.report.chapters.methods import methods
from auricle.report.chapters.training import ABSENT, training
from auricle.report.document import Report
from auricle.report.prose import sections_of
from auricle.report.table import Table

STRETCHED = load_preset("cnn", {"augmentation.stretch": 0.25, "head.dropout": 0.3, "training.optimizer": "adam"})


@pytest.fixture(scope="module")
def study(make_study: Callable[..., Path]) -> Study:
    """A CNN, a transformer and the network of another report, which trains on all windows that score a clip."""
    models = ("cnn", "transformer-h4", "report-b-cnn")
    return load_study(
        make_study(
            models=models, protocols=("test-split",), categories=("cat", "dog"), epochs=6, clip_s=0.1,
            clips_per_class_and_fold=2,
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def findings(study: Study) -> Findings:
    """What is found out about it."""
    return find(study)


def recipe_of(study: Study, findings: Findings, model: str) -> dict[tuple[str, str], str]:
    """Return the rows of the tables of settings by heading and label, of one model."""
    cells = tuple(replace(cell, history=()) for cell in study.cells)  # no curves to draw
    exhibits = training(Report(replace(study, cells=cells), findings)).exhibits
    found = {}
    for table in (exhibits[name] for name in ("table-recipe", "table-networks") if name in exhibits):
        assert isinstance(table, Table)
        (index,) = [at for at, column in enumerate(table.columns) if column.title == model]
        found |= {(heading, str(row[0])): str(row[index]) for heading, rows in table.groups.items() for row in rows}
    return found


def test_what_another_report_trained_with_is_in_the_recipe(study: Study, findings: Findings):
    recipe = recipe_of(study, findings, "report-b-cnn")
    assert recipe["Training", "Training windows"] == "those that are scored"
    assert recipe["Augmentation", "Time mask of features"] == "up to 20 frames"
    assert recipe["Augmentation", "Row mask of features"] == "up to 30 rows"
    assert recipe["Base", "Channels"] == "32 / 64 / 128"
    assert recipe["Training", "Momentum"] == ABSENT


def test_stretch_dropout_activation_and_optimiser_are_in_the_recipe(study: Study, findings: Findings):
    stretched = replace(study, presets={**study.presets, "cnn": STRETCHED})
    recipe = recipe_of(stretched, findings, "cnn")
    assert recipe["Augmentation", "Time stretch"] == "up to 25 %"
    assert recipe["Augmentation", "Time shift"] == ABSENT
    assert recipe["Head", "Dropout"] == "0.3"
    assert recipe["Base", "Activation"] == "ReLU"
    assert recipe["Training", "Optimiser"] == "Adam"
    assert recipe_of(study, findings, "transformer-h4")["Encoder", "Activation"] == "GELU"
    assert recipe_of(study, findings, "transformer-h4")["Encoder", "Dropout"] == "0.1"


def test_auto_precision_says_what_was_used(study: Study, findings: Findings):
    assert recipe_of(study, findings, "cnn")["Training", "Precision"] == "bfloat16 (auto)"


def fields_below(kind: type[Section], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Name every field of a section that holds a value, with the sections on the way to it."""
    for name, field in kind.model_fields.items():
        inner = section_within(field.annotation)
        yield from fields_below(inner, (*path, name)) if inner else [(*path, name)]


def test_every_field_of_the_configuration_reaches_the_recipe_of_some_preset(study: Study, findings: Findings):
    reached: set[tuple[str, ...]] = set()
    for name in preset_names():
        preset = load_preset(name)
        one = replace(study, presets={"cnn": preset}, cells=study.cells[:1], missing=())
        rows = recipe_of(one, findings, "All models").keys()
        for setting in settings(preset):
            heading = Preset.model_fields[setting.section].title
            assert ((heading, setting.label) in rows) == setting.applies, f"{name}: {setting.section}.{setting.field}"
            reached |= {(setting.section, *setting.field.split("."))} if setting.applies else set()
    assert reached == {path for path in fields_below(Preset) if path[0] not in ("name", "about")}


def test_the_method_says_which_windows_a_network_was_trained_on(study: Study, findings: Findings):
    chapter = methods(Report(study, findings))
    *_, preprocessing = sections_of("methods", chapter.values, chapter.exhibits)[0].sections
    (bullets,) = preprocessing.blocks
    items = {item[0].text: "".join(str(piece) for piece in item[1:]) for item in bullets.items}
    assert "Training uses windows at random positions" in items["cnn, transformer-h4"]
    assert "Training uses the same windows as scoring" in items["report-b-cnn"]
