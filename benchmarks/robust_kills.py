"""What a kill loses: `python benchmarks/robust_kills.py [--kills 100] [--results RESULTS.md]`.

SIGKILL meets a study, a search, an export, the caching of recordings and a report with all their processes, at a random
moment of the time that they take. The same command then runs again, until it comes to its end, and what it has written
is compared with what was written without a kill.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from auricle.bundle.export import export_cell
from auricle.data.cache import prepare
from auricle.data.datasets import load_manifest
from auricle.data.store import cache_folder, find_entry
from auricle.files import digest
from auricle.findings.study import load_study
from auricle.report.build import build_report
from auricle.runs import StudyFolder
from auricle.search.search import run_search
from auricle.study.study import run_study
from auricle.work.options import RunOptions
from robust import publish_counts, small_space, small_study

COLUMNS = ("tried", "survived", "failed")


@dataclass(frozen=True)
class Task:
    """A command, and what it leaves that must be the same whatever happened."""

    run: Callable[[Path], object]  # in a folder of its own
    says: Callable[[Path], object]


def _study(folder: Path) -> None:
    run_study(small_study(), folder / "small", RunOptions(workers=2))


def _trained(folder: Path) -> object:
    study = StudyFolder(folder / "small")
    files = [path for cell in study.cells() for path in (cell.predictions, cell.weights)]
    files += [cell.predictions for cell in study.baselines()]
    return [str(path.relative_to(folder)) + digest(path.read_bytes()) for path in files], _halves(folder)


def _search(folder: Path) -> None:
    run_search(small_space(), folder / "small", RunOptions(workers=1))


def _found(folder: Path) -> object:
    record = json.loads((folder / "small" / "search" / "trials.json").read_text())
    done = [entry for entry in record["trials"] if entry["state"] == "done"]
    return sorted((sorted(entry["values"].items()), entry["loss"]) for entry in done), _halves(folder)


def _cache(folder: Path) -> None:
    os.environ["AURICLE_CACHE"] = str(folder / "cache")
    prepare(load_manifest(os.environ["AURICLE_BENCH_SOUNDS"]), sample_rate_hz=8_000)


def _cached(folder: Path) -> object:
    os.environ["AURICLE_CACHE"] = str(folder / "cache")
    entries = [find_entry(path.stem) for path in (cache_folder() / "recordings").glob("*.json")]
    return [entry and digest(entry.waveforms.tobytes()) for entry in entries], _halves(folder / "cache")


def _export(folder: Path) -> None:
    export_cell(Path(os.environ["AURICLE_BENCH_STUDY"]), folder / "bundle", model="plain")


def _bundle(folder: Path) -> object:
    return sorted((path.name, digest(path.read_bytes())) for path in (folder / "bundle").iterdir())


def _report(folder: Path) -> None:
    if not (folder / "small").exists():
        shutil.copytree(os.environ["AURICLE_BENCH_STUDY"], folder / "small")
    build_report(load_study(folder / "small"))


def _reported(folder: Path) -> object:
    report = folder / "small" / "report"
    return [digest((report / name).read_bytes()) for name in ("findings.json", "report.html")], _halves(report)


def _halves(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*.part")]


TASKS = {
    "study": Task(_study, _trained),
    "search": Task(_search, _found),
    "export": Task(_export, _bundle),
    "caching": Task(_cache, _cached),
    "report": Task(_report, _reported),
}


def start(task: Task, folder: Path) -> int:
    """Run a task in a process of a group of its own; return its number."""
    if pid := os.fork():
        return pid
    os.setpgrp()
    code = 1
    with (folder / "log").open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            task.run(folder)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)


def ended(pid: int, within_s: float) -> int | None:
    """Wait for a process; return its exit code, or None where it still runs."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    return None


def kill_again_and_again(task: Task, num: int, scratch: Path, moments: random.Random) -> Counter[str]:
    """Kill a task so many times, several times in one folder, and count after how many all came out as without."""
    counts: Counter[str] = Counter()
    fresh(scratch)
    began = time.monotonic()
    if ended(start(task, scratch), 600.0) != 0:
        raise SystemExit(f"it fails without a kill:\n{(scratch / 'log').read_text()[-2000:]}")
    takes_s, whole = time.monotonic() - began, task.says(scratch)
    while counts["tried"] < num:
        fresh(scratch)
        kills = 0
        for _ in range(min(3, num - counts["tried"])):
            pid = start(task, scratch)
            if ended(pid, moments.uniform(0.0, takes_s)) is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                kills += 1
        code = ended(start(task, scratch), 600.0)
        same = code == 0 and task.says(scratch) == whole
        counts.update({"tried": kills, "survived" if same else "failed": kills})
        if not same:
            print(f"exit code {code}:\n{(scratch / 'log').read_text()[-1500:]}", file=sys.stderr)
    return counts


def fresh(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--only", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    moments = random.Random(asked.seed)
    with tempfile.TemporaryDirectory(prefix="auricle-bench-") as scratch:
        os.environ["AURICLE_CACHE"] = str(Path(scratch, "cache"))
        os.environ["AURICLE_BENCH_SOUNDS"] = "toy"
        os.environ["AURICLE_BENCH_STUDY"] = str(Path(scratch, "made", "small"))
        made = Path(scratch, "made")
        made.mkdir()
        if ended(start(TASKS["study"], made), 600.0) != 0:
            raise SystemExit((made / "log").read_text()[-2000:])
        each = -(-asked.kills // len(asked.only))
        counts = {name: kill_again_and_again(TASKS[name], each, Path(scratch, "own"), moments) for name in asked.only}
    about = (
        "SIGKILL at a random moment of a command, to it and its processes, up to three times before it may come to its "
        "end. Survived: that end comes, what was written is byte for byte what it is without a kill (weights and "
        "predictions; sets and losses of trials; bundle; samples; findings and page), and nothing is left over."
    )
    publish_counts("Kills", about, counts, COLUMNS, asked.results)


if __name__ == "__main__":
    main()
