"""Export a bundle as a web page that runs the model in the browser: one page and licences, without a server.

Model, ONNX Runtime (see `tools/vendor.py`), style and script are embedded in the page, as a page opened from disk may
read no other file; so a double click opens it. Its content security policy forbids all connections.
"""

import base64
import hashlib
from importlib import resources
from pathlib import Path
from typing import Any

import onnx
from markupsafe import Markup

from auricle import __version__, files
from auricle.bundle.card import warnings_of
from auricle.bundle.reading import Bundle
from auricle.bundle.standalone import page_models
from auricle.data.manifest import background_of, classes_of
from auricle.demo.page import style_or_template
from auricle.errors import RefusedError
from auricle.predict.classifier import NONE_OF_THESE, Classifier
from auricle.predict.stream import DIGITAL_SILENCE_PEAK
from auricle.report.figures.tracks import hz_marks
from auricle.report.pages import page_environment, template
from auricle.report.wording import spoken

PAGE, LICENCES = "index.html", "licences.txt"
GENERATOR = "auricle export --web"
MOST_MINUTES = 30  # longest recording, as a browser decodes it as a whole
SCRIPTS = ("sound.js", "model.js", "browser.js")


def check_page_place(to: Path) -> None:
    """Refuse a folder that contains anything but such a page, or what a killed export left of one (`RefusedError`)."""
    files.remove_leftovers(to)
    if to.exists() and (not to.is_dir() or any(path.name not in (PAGE, LICENCES) for path in to.iterdir())):
        raise RefusedError(f"{to} contains files that are not a web page of auricle; choose another folder with --to")


def write_page(bundle: Bundle, to: Path) -> int:
    """Write the page of a bundle, and the licences of its libraries, into a folder; return their size in bytes.

    Raises:
        RefusedError: the folder contains other files, or ONNX Runtime refuses the bundle.
        MachineError: the page cannot be written.
    """
    check_page_place(to)
    contents = {PAGE: page_text(bundle).encode(), LICENCES: _vendored("onnxruntime-licences.txt")}
    for name, content in contents.items():
        files.write_bytes(to / name, content)
    return sum(map(len, contents.values()))


def page_text(bundle: Bundle) -> str:
    """Return the page, about 5 MB plus four thirds of the network's size."""
    to_frames, to_logits = page_models(onnx.load_from_string(bundle.network), bundle.description)
    embedded = {
        "runtime": _vendored("ort.wasm.bundle.min.mjs"),
        "wasm": _vendored("ort-wasm-simd-threaded.wasm.gz"),
        "to-frames": to_frames.SerializeToString(),
        "to-logits": to_logits.SerializeToString(),
    }
    classifier = Classifier(bundle)
    maker = classifier.model.maker
    script = "".join(map(style_or_template, SCRIPTS))
    environment = page_environment()
    environment.filters["classes_of"] = classes_of
    return environment.from_string(style_or_template("browser.html.j2")).render(
        bundle=bundle,
        generator=f"{GENERATOR} {__version__}",
        style=Markup(template("report.css") + template("tracks.css") + style_or_template("browser.css")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        embedded={name: Markup(base64.b64encode(content).decode()) for name, content in embedded.items()},
        facts=_facts(classifier),
        marks="" if maker.raw else hz_marks(maker.centres_hz),
        warnings=warnings_of(bundle.description),
        none_of_these=NONE_OF_THESE,
        max_minutes=MOST_MINUTES,
    )


def _facts(classifier: Classifier) -> dict[str, Any]:
    """Return what the scripts of the page need to know about a model, under the names that they use."""
    windowing, maker, categories = classifier.model.windowing, classifier.model.maker, classifier.categories
    background = background_of(categories)
    return {
        "names": [spoken(category) for category in categories],
        "thresholds": classifier.thresholds,
        "background": -1 if background is None else categories.index(background),
        "noneOfThese": NONE_OF_THESE,
        "mostMinutes": MOST_MINUTES,
        "silentPeak": DIGITAL_SILENCE_PEAK,
        "rateHz": classifier.sample_rate_hz,
        "clipS": classifier.clip_s,
        "windowS": classifier.window_s,
        "windowSamples": windowing.window_samples,
        "windowFrames": windowing.window_frames,
        "hopS": windowing.hop_s,
        "hopSamplesOfWindows": windowing.hop_samples,
        "hopFrames": windowing.clips.hop_frames,
        "slackSamples": windowing.slack_samples,
        "bands": maker.num_bands,
        "hopSamples": maker.hop_samples,
        "transformSamples": maker.transform_samples,
    }


def _vendored(name: str) -> bytes:
    return resources.files("auricle.demo").joinpath("vendor", name).read_bytes()
