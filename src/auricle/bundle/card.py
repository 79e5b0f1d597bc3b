"""The parts of a bundle that people and other programs read: model card, config.json, metadata of the ONNX files.

The front matter of the card follows https://huggingface.co/docs/hub/model-cards, so that `hf upload USER/NAME FOLDER`
gives a page with the licence, the task and the scores.
"""

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

import yaml

from auricle.bundle.description import Description
from auricle.data.manifest import classes_of
from auricle.scoring.calibration import KEPT_SHARE

# dataset to the licence of its recordings, in words and as the Hub calls it (cc: of Creative Commons, any version)
LICENCES = {
    "esc10": (
        "ESC-10 (K. J. Piczak, 2015), Creative Commons Attribution; the dataset lists the author of each clip",
        "cc",
    ),
    "esc50": ("ESC-50 (K. J. Piczak, 2015), Creative Commons Attribution-NonCommercial 3.0", "cc-by-nc-3.0"),
    "urbansound8k": (
        "UrbanSound8K (J. Salamon, C. Jacoby, J. P. Bello, 2014), Creative Commons Attribution-NonCommercial",
        "cc",
    ),
    "toy": ("synthetic sounds that auricle makes from a seed; free of rights", "cc0-1.0"),
}
TASK = "audio-classification"
ESCAPED = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]#|"} | {"<": "&lt;", ">": "&gt;"})


def card(description: Description, sizes: Mapping[str, int], *, has_encoder: bool) -> str:
    """Return README.md of a bundle, from templates/card.md.j2; no name in it becomes Markdown, HTML or YAML."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    environment.filters["plain"] = lambda name: name.translate(ESCAPED)
    environment.filters["classes_of"] = classes_of
    environment.filters["percent"] = lambda share, digits=1: f"{100 * share:.{digits}f} %"
    environment.filters["megabytes"] = lambda num_bytes: f"{num_bytes / 1e6:.2f} MB"
    template = resources.files("auricle.bundle").joinpath("templates", "card.md.j2").read_text(encoding="utf-8")
    text = environment.from_string(template).render(
        about=description, sizes=sizes, has_encoder=has_encoder, kept=KEPT_SHARE, warnings=warnings_of(description)
    )
    head = yaml.safe_dump(_front_matter(description), allow_unicode=True, sort_keys=False, width=10_000)
    return f"---\n{head}---\n{text}"


def _front_matter(description: Description) -> dict[str, Any]:
    """Return the fields of the card that a program reads; scores of a leaky split are left out."""
    origin, scores = description.origin, description.scores
    fields: dict[str, Any] = {
        "license": dict(LICENCES.values()).get(origin.licence, "unknown"),
        "library_name": "auricle",
        "pipeline_tag": TASK,
        "tags": [TASK, "sound-classification", "onnx", "auricle"],
    }
    if scores is None or origin.leaky:
        return fields
    values = {scores.measure.replace(" ", "_"): scores.accuracy, "f1": scores.macro_f1}
    metrics = [{"type": kind, "value": round(value, 4)} for kind, value in values.items()]
    metrics[0]["name"] = f"{scores.measure.capitalize()} on {scores.num_clips} test clips"
    metrics[1]["name"] = "Macro F1"
    source = origin.source or "unknown"
    dataset = {"type": source, "name": source, "split": "test"}
    result = {"task": {"type": TASK}, "dataset": dataset, "metrics": metrics}
    return fields | {"metrics": [*values], "model-index": [{"name": description.name, "results": [result]}]}


def config_json(description: Description) -> str:
    """Return config.json: `id2label` and `label2id` as in transformers, and the required format of a waveform."""
    categories = description.categories
    content = {
        "model_type": "auricle",
        "id2label": {str(index): name for index, name in enumerate(categories)},
        "label2id": {name: index for index, name in enumerate(categories)},
        "sampling_rate": description.audio.sample_rate_hz,
        "window_s": description.audio.window_s,
        "window_hop_s": description.audio.window_hop_s,
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def onnx_metadata(description: Description) -> dict[str, str]:
    """Return `metadata_props` of the ONNX files; `classes` is a JSON list in the order of the logits."""
    return {
        "classes": json.dumps(description.categories, ensure_ascii=False),
        "sample_rate_hz": str(description.audio.sample_rate_hz),
        "window_s": str(description.audio.window_s),
        "window_hop_s": str(description.audio.window_hop_s),
        "auricle": description.origin.auricle,
    }


def warnings_of(description: Description) -> list[str]:
    """Return warnings for users of a model: that its training collapsed, or that it is no better than chance."""
    scores, found = description.scores, []
    if description.origin.collapsed:
        found.append("its training collapsed; `auricle diagnose CELL` looks for the cause")
    if scores and scores.low <= scores.majority:
        always = f"always predicting the most frequent class reaches {100 * scores.majority:.1f} %"
        share = f"{100 * scores.accuracy:.1f} % ({100 * scores.low:.1f} to {100 * scores.high:.1f})"
        found.append(
            f"it is not significantly better than no model: {scores.measure} of {share} on {scores.num_clips} test "
            f"clips, while {always}"
        )
    return found
