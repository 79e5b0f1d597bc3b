"""auricle: small sound classifiers, trained from scratch on your own recordings and scored honestly.

The front door: each name is imported when it is first used, so that the command line starts at once.

    load_dataset   a dataset by name, folder or CSV: which clips, of which class, fold and group
    list_models    the names of the presets
    create_model   the untrained network of a preset
    run_study      train every cell of a study
    open_study     what a study's folder holds
    Classifier     a trained model from a bundle, without PyTorch
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auricle.config import preset_names as list_models
    from auricle.data.datasets import load_manifest as load_dataset
    from auricle.findings.study import load_study as open_study
    from auricle.model.classifier import Classifier as Network
    from auricle.predict.classifier import Classifier
    from auricle.study.study import run_study

__version__ = "0.1.0"
__all__ = ["Classifier", "__version__", "create_model", "list_models", "load_dataset", "open_study", "run_study"]

_SOURCES = {
    "Classifier": "auricle.predict.classifier.Classifier",
    "list_models": "auricle.config.preset_names",
    "load_dataset": "auricle.data.datasets.load_manifest",
    "open_study": "auricle.findings.study.load_study",
    "run_study": "auricle.study.study.run_study",
}


def create_model(name: str, num_classes: int, overrides: Mapping[str, Any] | None = None) -> Network:
    """Return the network of a preset, with fresh weights from torch's global generator.

    Args:
        name: of a preset (`list_models`), or the path of a YAML file.
        num_classes: K.
        overrides: `section.field` to a value, laid over the preset.

    Raises:
        UsageError: no such preset or field, or its sections do not fit together.
    """
    from auricle.config import load_preset
    from auricle.extras import extras_named

    with extras_named():
        from auricle.model.classifier import build_model

    return build_model(load_preset(name, overrides), num_classes)


def __getattr__(name: str) -> Any:
    if name not in _SOURCES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    from auricle.extras import extras_named

    module, _, attribute = _SOURCES[name].rpartition(".")
    with extras_named():
        globals()[name] = found = getattr(import_module(module), attribute)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
