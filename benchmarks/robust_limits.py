"""Verbs under limits of the system: `python benchmarks/robust_limits.py [--results RESULTS.md]`.

Memory (`ulimit -v`), 64 file descriptors (`ulimit -n`) and a clock that was set back between two runs. A verb survives
where it does its work, or ends in exit code 5 with one line that is no internal error and no traceback.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measure import publish, table

LIMITS_MB = (150, 250, 400, 700, 1_000, 1_300, 1_600, 1_900, 2_300)
TIME_LIMIT_S = 120
AURICLE = (sys.executable, "-c", "from auricle.cli import main; raise SystemExit(main())")
VERBS = {
    "train": "train tiny --data toy --epochs 1 --out {folder}/{number}",
    "models": "models",
    "check": "check toy",
    "report": "report {folder}/study",
    "export": "export {folder}/study --to {folder}/bundle{number}",
    "status": "status {folder}/study",
    "config": "config cnn",
}


def survives(verb: str, folder: Path, number: int, limit: Callable[[], object] | None = None) -> bool:
    """Return whether a verb does its work, or says in one line why the machine cannot."""
    command = [*AURICLE, *VERBS[verb].format(folder=folder, number=number).split()]
    try:
        ended = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            preexec_fn=limit,
            timeout=TIME_LIMIT_S,
            cwd=folder,
        )
    except subprocess.TimeoutExpired:
        print(f"{verb}: no end in {TIME_LIMIT_S} s", file=sys.stderr)
        return False
    bad = "internal error" in ended.stderr or "Traceback" in ended.stderr
    if bad or ended.returncode not in (0, 5):
        print(f"{verb}: {ended.returncode} {ended.stderr[-300:]}", file=sys.stderr)
    return not bad and ended.returncode in (0, 5)


def limited(kind: int, amount: int) -> Callable[[], object]:
    return lambda: resource.setrlimit(kind, (amount, amount))


def in_the_future(folder: Path) -> None:
    """Give all files times of next year, as they have where the clock was set back since."""
    later = time.time() + 365 * 86_400
    for path in folder.rglob("*"):
        os.utime(path, (later, later))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {"AURICLE_CACHE": str(folder / "cache"), "WANDB_MODE": "disabled"}
        small = ["study", "quickstart", "--models", "tiny", "--protocols", "test-split", "--no-report"]
        study = [*AURICLE, *small, "--set", "training.epochs=1", "--out", str(folder / "study")]
        subprocess.run(study, check=True, capture_output=True)
        kinds: dict[str, list[Callable[[], object] | None]] = {
            "memory, 150 to 2,300 MB": [limited(resource.RLIMIT_AS, mb * 10**6) for mb in LIMITS_MB],
            "64 file descriptors": [limited(resource.RLIMIT_NOFILE, 64)],
            "clock set back": [None],
        }
        number = 0
        for kind, limits in kinds.items():
            if kind == "clock set back":
                in_the_future(folder)
            found = []
            for verb in VERBS:
                for limit in limits:
                    number += 1
                    found.append(survives(verb, folder, number, limit))
            rows.append((kind, str(len(found)), str(sum(found)), str(len(found) - sum(found))))
    about = (
        f"{', '.join(VERBS)} under limits of the system: survived is the work done, or exit code 5 with a line that "
        "says what is needed; neither a traceback nor an internal error, and an end within two minutes."
    )
    publish("Limits of the system", about, table(("limit", "tried", "survived", "failed"), rows), asked.results)


if __name__ == "__main__":
    main()
