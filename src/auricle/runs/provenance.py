"""Where results come from: the machine, the versions of the packages, the commit of the source."""

import contextlib
import platform
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from auricle.system import num_cores, total_bytes

RECORDED_PACKAGES = ("auricle", "torch", "numpy", "scikit-learn", "soundfile", "soxr", "pydantic", "wandb")


def machine(device: str) -> dict[str, Any]:
    """Return the system, processor, cores and memory of this machine, and the device trained on."""
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor_name(),
        "cores": num_cores(),
        "memory_gb": round(total_bytes() / 1e9, 1),
        "device": f"{device} ({name})" if (name := _gpu_name(device)) else device,
    }


def _gpu_name(device: str) -> str | None:
    """Return the name of a GPU of this machine; PyTorch is loaded where one was looked for."""
    torch: Any = sys.modules.get("torch")
    is_here = device.startswith("cuda") and torch and torch.cuda.is_available()
    return torch.cuda.get_device_name(device) if is_here else None


def _processor_name() -> str:
    """Return the processor's name, which only Linux keeps in a file."""
    information = Path("/proc/cpuinfo")
    text = information.read_text(encoding="utf-8", errors="replace") if information.exists() else ""
    named = re.search(r"^model name[^:\n]*:(.*)$", text, re.MULTILINE)
    return named[1].strip() if named else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that influence results."""
    found = {"python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def commit() -> str | None:
    """Return the commit of auricle's source, `+` added if files differ from it; None for an installed package."""
    folder = Path(__file__).parent
    if _git_answer(folder, "ls-files", "--error-unmatch", Path(__file__).name) is None:
        return None  # not in a checkout, or in that of another project
    name = _git_answer(folder, "rev-parse", "--short=12", "HEAD")
    changed = _git_answer(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{name}+" if name and changed else name


def _git_answer(folder: Path, *arguments: str) -> str | None:
    """Return the output of a git command, or None if it fails or git is not installed."""
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]  # a killed study leaves no lock behind
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
