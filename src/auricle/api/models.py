"""Models in the Python API: the names of the presets, and an untrained network that takes waveforms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from auricle.config import load_preset, preset_names
from auricle.config.reading import OF_REPORTS
from auricle.extras import extras_named

if TYPE_CHECKING:
    from auricle.training.waveforms import WaveformClassifier


def list_models(*, reports: bool = False) -> list[str]:
    """Return the names of the presets; with `reports` also those that reproduce published reports.

    >>> list_models()
    ['cnn', 'raw-cnn', 'tiny', 'transformer-h1', 'transformer-h2', 'transformer-h4']
    """
    return [name for name in preset_names() if reports or not name.startswith(OF_REPORTS)]


def create_model(name: str, num_classes: int, overrides: Mapping[str, Any] | None = None) -> WaveformClassifier:
    """Return the network of a preset as an `nn.Module`, with fresh weights from torch's global generator.

    It takes mono waveforms (B, T) in [-1, 1] at `model.sample_rate_hz`, of any length, and returns logits (B, K).
    Before training it, fit its normalisation once: `model.normalise(waveforms)`. ::

        model = au.create_model("cnn", num_classes=10)
        model.normalise(training_waveforms)
        loss = torch.nn.functional.cross_entropy(model(waveforms), labels)

    Args:
        name: of a preset (`list_models`), or the path of a YAML file.
        num_classes: K, 2 or more.
        overrides: values by `section.field` that replace those of the preset; `auricle config NAME` lists the fields.

    Raises:
        UsageError: no such preset or field, sections that do not fit together, or fewer than two classes.
    """
    with extras_named():
        from auricle.training.waveforms import build_waveform_classifier

    return build_waveform_classifier(load_preset(name, overrides), num_classes)
