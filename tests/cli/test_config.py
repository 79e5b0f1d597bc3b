"""The command `config`, and options that set fields of a model."""

import json
import re
from pathlib import Path

import pytest

from auricle.config import load_preset, settings


def test_every_field_of_a_model_is_listed_in_80_columns_with_value_default_range_and_meaning(auricle):
    answer = auricle("config", "transformer-h4", "--set", "training.epochs=7")
    assert answer.code == 0
    assert max(map(len, answer.out.splitlines())) <= 80
    assert re.search(r"^  epochs +7 +100 +at least 1 *\n    passes over the training clips", answer.out, re.MULTILINE)
    assert re.search(r"^  axes .* \[time\] +time \| frequency", answer.out, re.MULTILINE)
    for setting in settings(load_preset("transformer-h4")):
        assert re.search(rf"^  {setting.field.rpartition('.')[2]} ", answer.out, re.MULTILINE), setting


def test_a_model_without_an_encoder_says_so(auricle):
    assert "encoder = null" in auricle("config").out


def test_the_fields_of_a_model_are_json_for_programs(auricle):
    document = json.loads(auricle("config", "cnn", "--json", "--set", "training.epochs=7").out)
    fields = {each["field"]: each for each in document["settings"]}
    assert document["name"] == "cnn"
    assert fields["training.epochs"]["value"] == "7"
    assert fields["training.epochs"]["default"] == "100"
    assert fields["training.momentum"]["applies"]
    assert not fields["encoder.width"]["applies"]


def test_options_set_the_fields_that_they_name(auricle, sounds, training, monkeypatch):
    words = ("train", "cnn", "--data", "sounds", "--workers", "1", "--no-report", "-q", "--out", "x")
    assert auricle(*words, "--epochs", "3", "--batch-size", "4", "--learning-rate", "0.5").code == 0
    (config,) = Path("x/cells").rglob("config.yaml")
    assert {"  epochs: 3", "  batch_size: 4", "  learning_rate: 0.5"} <= set(config.read_text().splitlines())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "cnn", "--epochs", "3", "--set", "training.epochs=4"], "--epochs and --set training.epochs are the"),
        (["train", "cnn", "--epochs", "0"], "training.epochs: Input should be greater than or equal to 1"),
        (["search", "wide", "--learning-rate", "0.1"], "training.learning_rate is searched, so it cannot be set"),
        (["train", "cnn", "--epoch", "4"], "no option --epoch: did you mean --epochs?"),
        (
            ["train", "cnn", "--dropout", "4"],
            "no option --dropout: did you mean --set encoder.dropout=... or --set",
        ),
        (["train", "cnn", "--nothing", "4"], "no option --nothing; see auricle train --help"),
        (["demo", "x", "--epochs", "4"], "no option --epochs; see auricle demo --help"),
        (["train", "cnn", "--lr", "4"], "no option --lr; see auricle train --help"),
        (["report", "x", "--results"], "requires an argument; see auricle report --help"),
        (["data", "list", "--quiet"], "--quiet is given before the command: auricle --quiet data list"),
        (["exprot"], "no command 'exprot': did you mean 'export'?"),
        (["data", "chek"], "no command 'chek': did you mean 'check'?"),
        (["config", "cnm"], "did you mean 'cnn'?"),
        (["config", "cnn", "--set", "epochs=4"], "no field 'epochs': did you mean 'training.epochs'?"),
    ],
)
def test_a_wrong_option_or_field_names_the_right_one(auricle, words, message):
    answer = auricle(*words)
    assert answer.code == 2
    assert message in answer.err
    assert len(answer.err.splitlines()) == 1


def test_other_epochs_than_a_study_s_have_another_warm_up_than_its():
    from auricle.cli.options import TrainingOptions
    from auricle.study.configure import merge_overrides

    of_study = {"training.epochs": 6, "training.warmup_epochs": 1, "training.views": 2}
    assert merge_overrides(of_study, TrainingOptions(epochs=2).overrides) == {"training.epochs": 2, "training.views": 2}
    assert merge_overrides(of_study, TrainingOptions(batch_size=8).overrides) == of_study | {"training.batch_size": 8}
