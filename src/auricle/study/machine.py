"""On what a study runs: the machine and how its work is divided, the versions, the commit."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from auricle.errors import UsageError, choices
from auricle.system import num_cores

DEVICES = ("auto", "cpu", "cuda", "mps")
PACKAGES = ("auricle", "torch", "numpy", "scikit-learn", "soundfile", "soxr", "pydantic", "wandb")


def check_workers(workers: int | None, device: str) -> None:
    """Refuse a number of workers or a name of a device that cannot be meant.

    Raises:
        UsageError: it cannot.
    """
    if workers is not None and workers < 1:
        raise UsageError(f"--workers must be 1 or more, not {workers}")
    if device.partition(":")[0] not in DEVICES:
        raise choices("device", device, list(DEVICES))


def choose_device(name: str) -> str:
    """Return the device that a name means, as `training.start.choose_device` does.

    Raises:
        MachineError: this machine has no such device.
    """
    if name == "cpu":  # which every machine has, and PyTorch takes a second to say so
        return name
    from auricle.training import start

    return str(start.choose_device(name))


def divide(workers: int | None, device: str, num_jobs: int) -> tuple[int, int]:
    """Return how many processes train at a time, and the processor threads of each.

    Args:
        workers: asked for; None: one a core on the CPU, one on an accelerator.
        device: as `choose_device` returns it.
        num_jobs: what there is to do.
    """
    num_workers = max(1, min(workers or (num_cores() if device == "cpu" else 1), num_jobs))
    return num_workers, max(1, num_cores() // num_workers)


def machine(device: str) -> dict[str, Any]:
    """Return the system, processor, cores and memory of this machine, and the device trained on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": num_cores(),
        "memory_gb": round(memory / 1e9, 1),
        "device": device,
    }


def _processor() -> str:
    """Return the processor's name, which only Linux keeps in a file."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that shape a result."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """Return the commit of auricle's source, `+` added if files differ from it; None for an installed package."""
    folder = Path(__file__).parent
    if _git(folder, "ls-files", "--error-unmatch", Path(__file__).name) is None:
        return None  # not a checkout, or only somebody else's that the package lies in
    name = _git(folder, "rev-parse", "--short=12", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{name}+" if name and changed else name


def _git(folder: Path, *words: str) -> str | None:
    """Return what a git command prints, or None where it fails or there is no git."""
    command = ["git", "--no-optional-locks", "-C", str(folder), *words]  # a killed study leaves no lock behind
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
