"""Write docs/licences.md: the licence of each package that auricle needs, as it says itself: `make licences`."""

import re
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Licences that ask something of whoever passes the package on; the library inside soundfile is one of them
COPYLEFT = re.compile(r"\b(L?GPL|AGPL|MPL|GNU|Mozilla)", re.IGNORECASE)
INSIDE = {
    "soundfile": "contains libsndfile (LGPL-2.1-or-later)",
    "soxr": "contains libsoxr (LGPL-2.1-or-later)",
    "av": "contains FFmpeg (LGPL-2.1-or-later; some of its libraries GPL)",
}


def licence_of(name: str) -> str:
    """Return the licence that an installed package names, in a few words."""
    about = metadata.metadata(name)
    classifiers = [each.rpartition(" :: ")[2] for each in about.get_all("Classifier", []) if "License ::" in each]
    named = about.get("License-Expression") or "; ".join(classifiers) or about.get("License") or "not named"
    return named.strip().splitlines()[0][:80].replace("|", "/")


def locked() -> dict[str, str]:
    """Return the packages of requirements.lock with their versions."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    return dict(re.findall(r"^([\w.-]+)==(\S+)", "\n".join(lines), re.MULTILINE))


def table_text() -> str:
    """Return the page: what asks something of whoever passes it on first, then the rest by name."""
    rows = []
    for name, version in locked().items():
        licence, inside = licence_of(name), INSIDE.get(name.lower(), "")
        rows.append((not (inside or COPYLEFT.search(licence)), name.lower(), name, version, licence, inside))
    lines = [
        "# Licences\n",
        "auricle itself is under Apache-2.0. What it needs to run, with the extras train, demo, media and wandb, as",
        "each package says itself; those first that ask something of whoever passes them on. By `make licences`.",
        "A page of `auricle export --web` brings ONNX Runtime Web along (MIT); its licences lie beside the page.\n",
        "| package | version | licence | |",
        "|---|---|---|---|",
        *(f"| {name} | {version} | {licence} | {inside} |" for _, _, name, version, licence, inside in sorted(rows)),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (ROOT / "docs" / "licences.md").write_text(table_text(), encoding="utf-8")
