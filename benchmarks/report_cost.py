"""What a report costs: `python benchmarks/report_cost.py STUDY [--than SRC] [--results RESULTS.md]`.

Processor time of whole processes that build the report of a copy of a study: for the first time, and again, when its
panels stand there already; with `--than`, also by another source of auricle (the folder `src` of a checkout), in turn.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import auricle
from measure import in_turn, publish, ratio, table

HERE = Path(auricle.__file__).parents[1]


def cpu_seconds(study: Path, source: Path, *, first: bool) -> float:
    """Build a report in a process of its own and return its processor time."""
    if first:
        shutil.rmtree(study / "report", ignore_errors=True)
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    program = (
        "import sys, pathlib; from auricle.findings.study import load_study; "
        "from auricle.report.build import build_report; build_report(load_study(pathlib.Path(sys.argv[1])))"
    )
    subprocess.run([sys.executable, "-c", program, str(study)], env=environment, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--than", type=Path, metavar="SRC", help="the source of another auricle")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copies = {name: Path(shutil.copytree(asked.study, Path(folder) / name)) for name in ("first", "again", "other")}
        sides = {
            "first": lambda: cpu_seconds(copies["first"], HERE, first=True),
            "again": lambda: cpu_seconds(copies["again"], HERE, first=False),
        }
        if asked.than:
            sides["other"] = lambda: cpu_seconds(copies["other"], asked.than, first=False)
        found = in_turn(sides, asked.rounds)
    names = {"first": "first build", "again": "again, nothing changed", "other": "another source"}
    under = found["other" if asked.than else "first"]
    rows = [(names[name], f"{statistics.median(spent):.1f}", ratio(spent, under)) for name, spent in found.items()]
    num_cells = len(list(asked.study.glob("cells/*/*/metrics.json")))
    than = "the other source" if asked.than else "the first build"
    about = (
        f"CPU seconds of a process that builds the report of the study {asked.study.name} ({num_cells} cells), without "
        f"probes, on one thread; medians of {asked.rounds} rounds in turn; the ratio is to {than}."
    )
    publish("Report", about, table(("build", "CPU s", "ratio"), rows), asked.results)


if __name__ == "__main__":
    main()
