"""The names that `import auricle` offers."""

import subprocess
import sys

import pytest

import auricle
from test_rooms import HEAVY


def test_importing_auricle_imports_nothing_heavy():
    program = "import sys, auricle; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not HEAVY & set(loaded)
    assert [name for name in loaded if name.startswith("auricle")] == ["auricle"]


@pytest.mark.parametrize("name", auricle.__all__)
def test_every_name_of_the_front_door_is_there(name):
    assert getattr(auricle, name) is getattr(auricle, name)
    assert name in dir(auricle)


def test_a_classifier_needs_no_torch():
    program = "import sys; from auricle import Classifier; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "sklearn", "onnx", "matplotlib", "wandb"} & set(loaded)


def test_a_name_that_is_not_offered_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'load_datasett'"):
        auricle.load_datasett  # noqa: B018


def test_every_listed_model_is_a_preset_and_one_is_created_by_its_name():
    assert "cnn" in auricle.list_models()
    network = auricle.create_model("cnn", 7, {"head.hidden": [5]})
    assert list(network.network.head.parameters())[-1].shape == (7,)
