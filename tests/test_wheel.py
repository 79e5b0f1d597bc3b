"""The wheel, installed as anybody would: in an environment of its own, not editable."""
# ruff: noqa: F401, F811

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bundle_fixtures import bundle, cell, recording

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "auricle"
MOST_MB = 450

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT]
    subprocess.run(command, check=True)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    ours = {str(path.relative_to(ROOT / "src")) for path in SOURCE.rglob("*") if path.is_file()}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == {name for name in ours if "__pycache__" not in name}
    assert "auricle/py.typed" in packed


def python(version: str) -> str:
    """Return a Python of this version that runs, or skip; a shim of pyenv may lead to none, and hide one."""
    of_pyenv = Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}")
    for found in (shutil.which(f"python{version}"), *map(str, of_pyenv)):
        if found and not subprocess.run([found, "-c", "import venv"], capture_output=True).returncode:
            return found
    pytest.skip(f"no Python {version} at hand")


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_what_is_installed_by_default_predicts_is_small_and_names_the_extra_that_trains(
    version, wheel, bundle, recording, tmp_path
):
    subprocess.run([python(version), "-m", "venv", tmp_path / "venv"], check=True)
    bin = tmp_path / "venv" / "bin"
    install = [bin / "python", "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", wheel]
    subprocess.run(install, check=True)
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def auricle(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([bin / "auricle", *words], capture_output=True, text=True, cwd=tmp_path, env=alone)

    answer = auricle("predict", bundle, recording())
    assert (answer.returncode, answer.stderr) == (0, "")
    assert len(answer.stdout.splitlines()) == 1
    train = auricle("train", "tiny", "--data", "toy")
    assert train.returncode == 5
    assert train.stderr.endswith("pip install 'auricle[train]'\n")
    sizes = [path.lstat().st_size for path in (tmp_path / "venv").rglob("*") if path.is_file()]
    assert sum(sizes) / 1e6 < MOST_MB, f"{sum(sizes) / 1e6:.0f} MB"
