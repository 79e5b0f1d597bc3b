"""The model card: what a bundle is, what it was trained on, how good it is and what it cannot do."""

from __future__ import annotations

from collections.abc import Mapping

from auricle.serving.bundle import Description

LICENCES = {
    "esc10": "ESC-10 (K. J. Piczak, 2015), Creative Commons Attribution; each clip's author stands in the dataset",
    "esc50": "ESC-50 (K. J. Piczak, 2015), Creative Commons Attribution-NonCommercial 3.0",
    "urbansound8k": "UrbanSound8K (J. Salamon, C. Jacoby, J. P. Bello, 2014), Creative Commons "
    "Attribution-NonCommercial",
    "toy": "synthetic sounds that auricle makes from a seed; free of rights",
}


def card(description: Description, sizes: Mapping[str, int], *, has_encoder: bool) -> str:
    """Return README.md of a bundle."""
    about = description
    kind = "a transformer on a convolutional base" if has_encoder else "a convolutional network"
    lines = [
        f"# {about.name}",
        "",
        f"A sound classifier, {kind}, trained from scratch by auricle {about.origin.auricle}.",
        f"It tells {len(about.categories)} classes apart: {', '.join(_plain(name) for name in about.categories)}.",
        "",
        "## How to use it",
        "",
        "    auricle predict FOLDER recording.wav",
        "",
        "or in Python `Classifier.load(folder).predict(waveform, rate_hz)`, or `model.onnx` in any ONNX Runtime:",
        f"`waveform` is float32 (batch, samples) at {about.audio.sample_rate_hz} Hz, mono, full scale 1, any length;",
        "softmax of `logits` (batch, classes) gives calibrated probabilities. The class order stands in bundle.json.",
        f"It hears {about.audio.window_s:g} s at once, every {about.audio.window_hop_s:g} s, and averages.",
        "",
        "## What it was trained on",
        "",
        *_origin(about),
        "",
        "## How good it is",
        "",
        *_scores(about),
        "",
        "## Calibration",
        "",
        *_calibration(about),
        "",
        "## Limits",
        "",
        "- It knows its classes only. Any other sound looks like one of them; thresholds catch some of that, not all.",
        "- Other microphones, rooms, distances and noises than those of the training clips lower its accuracy.",
        "- Sounds that overlap share one answer. Do not let it decide anything that matters without a person.",
        *(["- Its test clips share sources with its training clips (a leaky split): expect less."]
          * about.origin.leaky),
        "",
        "## Files",
        "",
        *(f"- `{name}`, {size / 1e6:.2f} MB" for name, size in sizes.items()),
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Keep a name from becoming Markdown or HTML."""
    for mark in "\\`*_[]<>#|":
        text = text.replace(mark, f"\\{mark}" if mark not in "<>" else {"<": "&lt;", ">": "&gt;"}[mark])
    return text


def _origin(about: Description) -> list[str]:
    origin = about.origin
    num = f"{origin.num_train} training clips" if origin.num_train else "an unknown number of clips"
    lines = [f"- Data: {_plain(origin.source)}, {num}; cell `{origin.cell}` of its study."]
    lines.append(f"- Licence of the recordings: {origin.licence or 'not known to auricle; ask whoever trained it'}.")
    return lines + [f"- {_plain(note)}" for note in origin.notes]


def _scores(about: Description) -> list[str]:
    found = about.scores
    if found is None:
        return ["It has no test scores: nothing is known about how good it is."]
    lines = [
        f"On {found.num_clips} test clips that it never saw: accuracy {100 * found.accuracy:.1f} % "
        f"(95 % interval {100 * found.low:.1f} to {100 * found.high:.1f} %), macro F1 {found.macro_f1:.3f}, "
        f"calibration error {found.calibration_error:.3f}.",
        "",
        "| class | found |",
        "|---|---|",
        *(f"| {_plain(name)} | {100 * value:.0f} % |" for name, value in found.recall.items()),
    ]
    if about.int8 is not None and about.int8.accuracy_float is not None and about.int8.accuracy_int8 is not None:
        cost = about.int8
        lines += [
            "",
            f"This is the eight-bit version ({cost.method}): on {cost.num_clips} test clips it is right in "
            f"{100 * about.int8.accuracy_int8:.1f} %, the original in {100 * about.int8.accuracy_float:.1f} %; its "
            f"network has {cost.num_bytes_int8 / 1e6:.2f} MB instead of {cost.num_bytes_float / 1e6:.2f} MB. "
            "The scores above are those of the original.",
        ]
    return lines


def _calibration(about: Description) -> list[str]:
    calibration = about.calibration
    if not calibration.num_clips:
        return ["There were no validation clips: the temperature is 1, every threshold 0.5, and neither was fitted."]
    return [
        f"Temperature {calibration.temperature:.3f}, fitted on {calibration.num_clips} validation clips. A class that "
        "wins with less than its threshold counts as none of these; at least 95 % of the rightly told validation "
        "clips pass."
    ]
