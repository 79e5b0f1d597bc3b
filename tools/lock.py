"""Write requirements.lock: what auricle needs to run, with the hash of each file: `make lock`.

pip chooses the files, within constraints.txt, for the Python and the system that this runs on.
"""

import json
import platform
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTRAS = ("train", "demo", "media", "wandb")
HEAD = """\
# Written by `make lock`; install with: pip install --require-hashes -r requirements.lock
# What `auricle` and its extras {extras} need, within constraints.txt: the files for Python {python} on {system}.
# On another system, write it anew there.
"""
LOCAL = (
    "# {name}: the hash is that of {version}, a build that is not on PyPI; where pip takes PyPI's, `make lock` writes\n"
    "# that one's, with the packages that it needs besides.\n"
)


def chosen() -> list[dict[str, str]]:
    """Return name, version and SHA-256 of each file that pip would install."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needs = [*project["dependencies"], *(need for name in EXTRAS for need in project["optional-dependencies"][name])]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    command += ["--only-binary", ":all:", "--constraint", str(ROOT / "constraints.txt"), *needs]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return [
        {
            "name": each["metadata"]["name"],
            "version": each["metadata"]["version"],
            "sha256": each["download_info"]["archive_info"]["hashes"]["sha256"],
        }
        for each in report["install"]
    ]


def lock_text(files: list[dict[str, str]]) -> str:
    """Return the lock file."""
    system = f"{platform.system()} {platform.machine()}"
    text = HEAD.format(extras=", ".join(EXTRAS), python=".".join(platform.python_version_tuple()[:2]), system=system)
    text += "".join(LOCAL.format(**each) for each in files if "+" in each["version"])
    for each in sorted(files, key=lambda each: each["name"].lower()):
        text += f"{each['name']}=={each['version'].partition('+')[0]} --hash=sha256:{each['sha256']}\n"
    return text


if __name__ == "__main__":
    (ROOT / "requirements.lock").write_text(lock_text(chosen()), encoding="utf-8")
