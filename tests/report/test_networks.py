"""The networks as a report draws them, and what stands on its first page and in its appendix."""

import pytest

from auricle.config import load_preset
from auricle.findings.findings import find
from auricle.findings.study import load_study
from auricle.model.describe import describe
from auricle.report.build import compose
from auricle.report.chapters.methods import network_steps
from auricle.report.document import Report
from auricle.report.figures.networks import encoder_block, network
from auricle.report.render import numbered


@pytest.mark.parametrize("name", ["cnn", "transformer-h4", "raw-cnn", "report-a-transformer-h2"])
def test_a_network_is_drawn_from_its_configuration_with_the_shapes_that_it_has(name: str) -> None:
    preset = load_preset(name)
    layers = describe(preset, 10, 5.0)["layers"]
    steps, in_base = network_steps(preset, layers)
    assert in_base == sum(block.repeat for block in preset.base.blocks)
    assert steps[-1][2] == "10"
    of_base = [layer for layer in layers if layer["name"].startswith("base.") and "shortcut" not in layer["name"]]
    assert steps[in_base][2] == " × ".join(map(str, of_base[-1]["output_shape"]))
    assert network(steps, in_base).draw().axes[0].texts[1].get_text() == steps[0][2]


@pytest.mark.parametrize("norm", ["pre", "post", "none"])
def test_an_encoder_block_has_its_norms_where_they_stand(norm: str) -> None:
    config = load_preset("transformer-h4", {"encoder.norm": norm}).encoder
    assert config is not None
    words = [text.get_text() for text in encoder_block(config).draw().axes[0].texts]
    parts = [word for word in words if word in ("layer norm", "+") or word.startswith(("attention,", "MLP"))]
    attention, mlp = "attention, 4 heads", "MLP 128 → 256 → 128, GELU"
    assert (
        parts
        == {
            "pre": ["layer norm", attention, "+", "layer norm", mlp, "+"],
            "post": [attention, "+", "layer norm", mlp, "+", "layer norm"],
            "none": [attention, "+", mlp, "+"],
        }[norm]
    )


def test_the_appendix_has_letters_and_the_first_page_an_author_and_a_link(make_study) -> None:
    study = load_study(make_study(models=("cnn",), protocols=("k-fold",), num_folds=3, epochs=2))
    front = {"author": "A. Student", "title": "Sounds", "link": "https://example.org/notebook"}
    content = numbered(compose(Report(study, find(study)), front))
    numbers = {section["id"]: section["number"] for section in content["sections"]}
    assert numbers["dataset"] == "1"
    assert (numbers["implementation"], numbers["details"]) == ("A", "B")
    assert (content["title"], content["link"]) == ("Sounds", "https://example.org/notebook")
    assert content["byline"].startswith("A. Student")
