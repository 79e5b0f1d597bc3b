"""The sixteen presets of the four reports: their totals, and that nothing of them is code."""

import re

import pytest
from torch import nn

from auricle.config import load_preset, preset_names
from auricle.model.classifier import build_model
from auricle.model.describe import describe

# What each report counted, and what is built here; SPEC.md, section 2.
TOTALS = {
    "report-a-cnn": (12_212, 12_212),
    "report-a-transformer": (98_730, 98_730),
    "report-b-cnn": (36_522, 36_522),
    "report-b-transformer": (335_402, 335_402),
    "report-c-cnn": (128_682, 128_682),
    "report-c-transformer": (2_607_778, 2_607_778),
    "report-d-cnn": (2_591_498, 2_591_498),
    "report-d-transformer": (48_467_946, 48_467_594),
}
REPORTS = [name for name in preset_names() if name.startswith("report-")]


def family(name: str) -> str:
    return re.sub(r"-h\d$", "", name)


def test_each_report_has_a_cnn_and_three_transformers_or_the_one_that_it_has() -> None:
    heads = {name: (encoder := load_preset(name).encoder) and encoder.num_heads for name in REPORTS}
    assert heads == {
        f"report-{report}-{model}": num_heads
        for report in "acd"
        for model, num_heads in (("cnn", None), ("transformer-h1", 1), ("transformer-h2", 2), ("transformer-h4", 4))
    } | {"report-b-cnn": None, "report-b-transformer": (1, 2, 4)}


@pytest.mark.parametrize("name", ["report-a-transformer-h2", "report-b-transformer"])
def test_modules_of_the_transformers_of_a_and_b_are_those_that_are_known(name: str) -> None:
    model = build_model(load_preset(name), 10)
    norms = sum(isinstance(module, nn.LayerNorm) for module in model.modules())
    drops = [
        str(module) for module in model.modules() if "Dropout" in type(module).__name__ and getattr(module, "p", 1)
    ]
    assert (norms, bool(drops)) == {"a": (0, False), "b": (6, True)}[name[7]]
    assert isinstance(model.head[-1], nn.Softmax) == (name[7] == "b")


@pytest.mark.parametrize("name", REPORTS)
def test_parameters_are_those_that_the_report_counted_or_those_that_about_says(name: str) -> None:
    reported, built = TOTALS[family(name)]
    facts = describe(load_preset(name), 10, clip_s=5.0)
    assert facts["parameters"] == facts["trainable_parameters"] == built
    assert abs(built - reported) <= 0.02 * reported
    if name == f"{family(name)}-h1" or name == family(name):
        assert {f"{reported:,}", f"{built:,}"} <= set(re.findall(r"[\d,]+\d", facts["about"]))


def test_layers_of_report_c_are_those_that_it_lists() -> None:
    layers = describe(load_preset("report-c-cnn"), 10, 5.0)["layers"]
    assert [row["parameters"] for row in layers if row["parameters"]] == [1024 + 256, 41_024 + 128, 6_176 + 64, 80_010]
    assert [row["output_shape"] for row in layers if "pooling" in row["kind"]][-1] == [32, 1, 250]


SHAPES = [("a-transformer-h4", 16, 64), ("b-transformer", 50, 128), ("c-transformer-h4", 32, 250),
          ("d-transformer-h4", 128, 2000)]  # fmt: skip


@pytest.mark.parametrize(("name", "tokens", "width"), SHAPES)
def test_tokens_have_the_shape_that_the_report_says(name: str, tokens: int, width: int) -> None:
    layers = describe(load_preset(f"report-{name}"), 10, 5.0)["layers"]
    attention = next(row for row in layers if row["kind"] == "self-attention, 4 heads")
    assert attention["output_shape"] == [1 + tokens, width]


@pytest.mark.parametrize("name", REPORTS)
def test_the_recipe_adds_nothing_that_the_report_does_not_name(name: str) -> None:
    training = load_preset(name).training
    assert (training.epochs, training.optimizer, training.learning_rate) == (100, "adam", 0.001)
    assert training.schedule == "constant"
    added = ("warmup_epochs", "label_smoothing", "weight_average", "weight_decay", "gradient_clip")
    assert not any(getattr(training, field) for field in added)
    changes = {field for field, value in load_preset(name).augmentation if value}
    assert changes == {
        "b": {"feature_frame_mask", "feature_row_mask", "mask_when_scored"},
        "d": {"shift", "gain_db"},
    }.get(name[7], set())
