"""The extras of auricle: the packages that each installs, and the message if one is missing.

`pip install auricle` installs what `predict` needs. Any other package is imported where it is used; if it is not
installed, the command line and the Python API say which extra installs it.
"""

import contextlib
from collections.abc import Iterator
from importlib.util import find_spec

from auricle.errors import MachineError

# Import names of the packages of each extra; their versions are in pyproject.toml
EXTRAS = {
    "train": (
        "torch", "sklearn", "scipy", "statsmodels", "optuna", "safetensors", "onnx", "onnxscript", "matplotlib", "PIL",
        "pandas", "jinja2", "markupsafe", "markdown_it", "typst", "platformdirs", "pooch", "requests", "urllib3",
    ),
    "demo": ("gradio", "starlette"),
    "ray": ("ray", "pyarrow"),
    "listen": ("sounddevice",),
    "media": ("av",),
    "wandb": ("wandb",),
    "tensorboard": ("tensorboardX",),
    "mlflow": ("mlflow",),
}  # fmt: skip


class MissingPackageError(MachineError, ImportError):
    """A package of an extra is not installed; the message says how to install it."""


def install_hint(extra: str) -> str:
    """Return the command that installs an extra.

    >>> install_hint("train")
    "pip install 'auricle[train]'"
    """
    return f"pip install 'auricle[{extra}]'"


def missing_package(error: BaseException) -> MissingPackageError | None:
    """Return the error that names the extra, if an import failed because a package of one is not installed."""
    name = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    for extra, packages in EXTRAS.items():
        if name in packages:
            return MissingPackageError(f"this needs {name}, which is not installed: {install_hint(extra)}")
    return None


@contextlib.contextmanager
def extras_named() -> Iterator[None]:
    """Turn a failed import inside the block into an error that names the extra.

    Raises:
        MissingPackageError: a package of an extra is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if missing := missing_package(error):
            raise missing from None
        raise


def is_installed(package: str) -> bool:
    """Return whether a package could be imported; a mere folder of its name, as trackers leave, does not count."""
    found = find_spec(package)
    return found is not None and found.origin is not None


def require(package: str) -> None:
    """Raise a MissingPackageError if a package is not installed, before work that would then be lost."""
    if not is_installed(package):
        with extras_named():
            raise ModuleNotFoundError(name=package)
