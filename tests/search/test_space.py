import re
from pathlib import Path

import pytest

from auricle.config import load_preset
from auricle.errors import UsageError
from auricle.search.space import MODEL, Choices, Range, SpaceConfig, check_space, load_space, space_names
from auricle.search.storage import make_pruner


def space(parameters=None, **changes):
    return check_space(SpaceConfig(**{"name": "mine", "models": ("cnn",), "parameters": parameters or {}} | changes))


def test_every_space_of_the_package_is_valid():
    for name in space_names():
        checked = check_space(load_space(name))
        assert checked.config.about
        assert checked.config.protocol in ("test-split", "k-fold")


def test_assignment_is_the_grid_of_the_specification():
    checked = check_space(load_space("assignment"))
    assert checked.grid == {
        MODEL: ("cnn", "transformer-h1", "transformer-h2", "transformer-h4"),
        "training.optimizer": ("adam", "sgd"),
        "training.learning_rate": (0.001, 0.05),
    }
    assert checked.num_trials == 16
    assert checked.config.protocol == "k-fold"


def test_wide_searches_all_that_the_issue_names():
    fields = {name.partition(".")[2] for name in load_space("wide").parameters}
    assert fields >= {"optimizer", "learning_rate", "batch_size", "dropout", "num_heads", "num_blocks", "width",
                      "weight_decay", "mix"}  # fmt: skip


def test_values_become_a_preset():
    checked = space({"training.learning_rate": {"low": "1e-4", "high": 0.1, "log": True}, "head.dropout": [0, 0.5]})
    assert checked.parameters == {
        "training.learning_rate": Range(1e-4, 0.1, True, False),
        "head.dropout": Choices((0.0, 0.5)),
    }
    preset = checked.preset({"training.learning_rate": 0.03, "head.dropout": 0.5})
    assert (preset.training.learning_rate, preset.head.dropout) == (0.03, 0.5)
    assert preset.training.epochs == load_preset("cnn").training.epochs


def test_a_trial_of_few_epochs_gets_past_its_warm_up_as_a_short_training_does():
    checked = space({"training.epochs": [5, 100]})
    assert checked.preset({"training.epochs": 5}).training == load_preset("cnn", {"training.epochs": 5}).training
    assert checked.preset({"training.epochs": 100}).training.warmup_epochs == 5
    fixed = space({"training.epochs": [5]}, overrides={"training.warmup_epochs": 3})
    assert fixed.preset({"training.epochs": 5}).training.warmup_epochs == 3


@pytest.mark.parametrize("epochs", [[5, 10], {"low": 5, "high": 10}])
def test_no_trial_is_pruned_in_a_fifth_of_the_epochs_that_are_searched(epochs):
    assert make_pruner(space({"training.epochs": epochs}, pruner="median"))._n_warmup_steps == 2


def test_a_range_of_a_whole_field_is_of_whole_numbers():
    assert space({"training.views": {"low": 1, "high": 6}}).parameters["training.views"] == Range(1, 6, False, True)


def test_fields_of_an_encoder_are_searched_only_where_there_is_one():
    checked = space({"encoder.num_heads": [1, 2]}, models=("cnn", "transformer-h1"))
    assert list(checked.parameters) == [MODEL, "encoder.num_heads"]
    assert list(checked.parameters_of("cnn")) == []
    assert checked.preset({MODEL: "transformer-h1", "encoder.num_heads": 2}).encoder.num_heads == 2
    assert checked.preset({MODEL: "cnn"}).encoder is None


def test_heads_and_widths_that_go_together_pass_though_one_would_not_with_the_preset():
    checked = space({"encoder.num_heads": [3, 6], "encoder.width": [96, 192]}, models=("transformer-h4",))
    assert checked.preset({"encoder.num_heads": 3, "encoder.width": 96}).encoder.width == 96


WRONG = {
    "'training.learnin_rate': did you mean 'training.learning_rate'": {"parameters": {"training.learnin_rate": [1]}},
    "did you mean 'training.epochs'": {"parameters": {"trainin.epochs": [1]}},
    "low 0.1 is not below high 0.001; swap them": {
        "parameters": {"training.learning_rate": {"low": 0.1, "high": 0.001}}
    },
    "low 5 is not below high 5": {"parameters": {"training.views": {"low": 5, "high": 5}}},
    "must start above 0, not at 0": {"parameters": {"head.dropout": {"low": 0, "high": 0.5, "log": True}}},
    "has nothing to try: list `parameters`": {"parameters": {}},
    "the list of values of training.batch_size is empty": {"parameters": {"training.batch_size": []}},
    "no encoder in cnn, so encoder.num_heads cannot be": {"parameters": {"encoder.num_heads": [1, 2]}},
    "learning_rate: Input should be greater than 0": {"parameters": {"training.learning_rate": [-1, 1]}},
    "dropout: Input should be less than 1": {"parameters": {"head.dropout": {"low": 0, "high": 1.5}}},
    "optimizer: Input should be": {"parameters": {"training.optimizer": ["adam", "adagrad"]}},
    "training.optimizer cannot have a range": {"parameters": {"training.optimizer": {"low": 0, "high": 1}}},
    "encoder.num_heads cannot have a range": {
        "parameters": {"encoder.num_heads": {"low": 1, "high": 4}}, "models": ("transformer-h4",),
    },
    "a range is {low, high, log}": {"parameters": {"training.views": {"low": 1, "hihg": 5}}},
    "takes a list of values or {low, high, log}, not 5": {"parameters": {"training.views": 5}},
    "must be text, numbers or booleans": {"parameters": {"head.hidden": [[64], [32]]}},
    "log must be true or false": {"parameters": {"training.views": {"low": 1, "high": 5, "log": "natural"}}},
    "a grid needs lists of values": {"parameters": {"training.views": {"low": 1, "high": 5}}, "sampler": "grid"},
    "cnn has no encoder.width, which a grid needs": {
        "parameters": {"encoder.width": [64]}, "sampler": "grid", "models": ("cnn", "transformer-h1"),
    },
    "is not divisible by 3 heads": {"parameters": {"encoder.num_heads": [3]}, "models": ("transformer-h4",)},
    "list `models` that differ": {"parameters": {"audio.sample_rate_hz": [8000, 16000]}},
    "is searched, so it cannot be set": {
        "parameters": {"training.views": [1, 2]}, "overrides": {"training.views": 3},
    },
    "did you mean 'cnn'": {"models": ("cnm",), "parameters": {"training.views": [1, 2]}},
}  # fmt: skip


@pytest.mark.parametrize("message", WRONG)
def test_what_is_wrong_is_said_in_one_line(message):
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        space(**WRONG[message])
    assert "\n" not in str(caught.value)


def test_a_space_is_read_by_path_and_refused_by_its_field(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("models: [cnn]\nparameters: {training.views: [1, 2]}\n")
    assert load_space(str(path)).name == "mine"
    path.write_text("models: [cnn]\npruner: medain\n")
    with pytest.raises(UsageError, match="pruner"):
        load_space(str(path))
    with pytest.raises(UsageError, match="did you mean 'wide'"):
        load_space("wied")
