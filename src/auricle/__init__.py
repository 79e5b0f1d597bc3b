"""auricle: small sound classifiers, trained from scratch on your own recordings and scored honestly.

The Python API, `import auricle as au`. Each name is imported when it is first used, so the import itself is fast.

    load_dataset     a dataset by name, folder or CSV: which clips, of which class, fold and group
    list_models      the names of the presets
    create_model     the untrained network of a preset: an nn.Module, waveforms in, logits out
    run_study        train and compare models, with progress shown
    run_search       tune hyperparameters on validation folds, then train and test the best set
    open_study       the results, figures and report of a study
    Classifier       a trained model from a bundle, without PyTorch
    SoundClassifier  a classifier with scikit-learn's interface (fit, predict)

Errors are an `errors.AuricleError` with a one-line message: `UsageError`, `RefusedError` (the recordings or a model),
`MachineError`. Nothing is printed except progress, which `progress=False` turns off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auricle.api.dataset import Dataset, load_dataset
    from auricle.api.models import create_model, list_models
    from auricle.api.running import open_study, run_search, run_study
    from auricle.api.sounds import SoundClassifier
    from auricle.api.study import Study
    from auricle.errors import AuricleError, MachineError, RefusedError, UsageError
    from auricle.predict.classifier import Classifier

__version__ = "0.1.0"
__all__ = [
    "AuricleError", "Classifier", "Dataset", "MachineError", "RefusedError", "SoundClassifier", "Study", "UsageError",
    "__version__", "create_model", "list_models", "load_dataset", "open_study", "run_search", "run_study",
]  # fmt: skip

_SOURCES = {
    "auricle.api.dataset": ("Dataset", "load_dataset"),
    "auricle.api.models": ("create_model", "list_models"),
    "auricle.api.running": ("open_study", "run_search", "run_study"),
    "auricle.api.sounds": ("SoundClassifier",),
    "auricle.api.study": ("Study",),
    "auricle.errors": ("AuricleError", "MachineError", "RefusedError", "UsageError"),
    "auricle.predict.classifier": ("Classifier",),
}


def __getattr__(name: str) -> Any:
    source = next((module for module, names in _SOURCES.items() if name in names), None)
    if source is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    from auricle.extras import extras_named

    with extras_named():
        globals()[name] = found = getattr(import_module(source), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
