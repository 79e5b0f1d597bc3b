import importlib.util
import json

import onnxruntime
import pytest

from auricle.bundle.card import card
from auricle.bundle.reading import load_bundle
from forged_bundles import change

needs_hub = pytest.mark.skipif(
    importlib.util.find_spec("huggingface_hub") is None, reason="huggingface_hub is not installed"
)


def read_card(text):
    from huggingface_hub import ModelCard

    return ModelCard(text)


@needs_hub
def test_the_hub_reads_licence_task_and_scores_from_the_card(bundle):
    about, read = load_bundle(bundle).description, read_card((bundle / "README.md").read_text())
    assert (read.data.pipeline_tag, read.data.library_name) == ("audio-classification", "auricle")
    assert {"onnx", "audio-classification"} <= set(read.data.tags)
    assert read.data.license == "unknown"  # so are the recordings of this cell
    assert read.data.model_name == about.name
    values = {result.metric_type: result.metric_value for result in read.data.eval_results}
    assert values == pytest.approx({"accuracy": about.scores.accuracy, "f1": about.scores.macro_f1}, abs=5e-5)
    assert read.text.lstrip().startswith(f"# {about.name}")


@needs_hub
@pytest.mark.parametrize("source", ["a: [b", "x\n---\nlicense: mit", "---", "", "esc10"])
def test_whatever_the_dataset_is_called_the_card_stays_one_card(bundle, source):
    about = load_bundle(bundle).description
    named = about.model_copy(update={"origin": about.origin.model_copy(update={"source": source})})
    read = read_card(card(named, {}, has_encoder=False))
    assert read.data.license == "unknown"
    assert {result.dataset_name for result in read.data.eval_results} == {source or "unknown"}


@needs_hub
def test_scores_of_a_leaky_split_are_told_to_people_only(bundle):
    about = load_bundle(bundle).description
    leaky = about.model_copy(update={"origin": about.origin.model_copy(update={"leaky": True})})
    text = card(leaky, {}, has_encoder=False)
    assert read_card(text).data.eval_results is None
    assert "a leaky split" in text


def test_config_json_and_both_graphs_name_the_classes_in_the_order_of_the_description(bundle):
    about = load_bundle(bundle).description
    config = json.loads((bundle / "config.json").read_text())
    assert [config["id2label"][str(index)] for index in range(3)] == list(about.categories)
    assert {index: name for name, index in config["label2id"].items()} == dict(enumerate(about.categories))
    assert config["sampling_rate"] == about.audio.sample_rate_hz
    for name in ("model.onnx", "network.onnx"):
        metadata = onnxruntime.InferenceSession(bundle / name).get_modelmeta().custom_metadata_map
        assert json.loads(metadata["classes"]) == list(about.categories)
        assert float(metadata["sample_rate_hz"]) == about.audio.sample_rate_hz
        assert float(metadata["window_s"]) == about.audio.window_s


def test_a_bundle_of_a_version_that_wrote_no_config_json_is_read(copy):
    about = load_bundle(copy).description
    (copy / "config.json").unlink()
    kept = {name: file.model_dump() for name, file in about.files.items() if name != "config.json"}
    change(copy, files=kept)
    assert load_bundle(copy).description.categories == about.categories
