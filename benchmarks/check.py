"""What `auricle check` finds and what it costs: `python benchmarks/check.py [--results RESULTS.md]`.

defects   54 kinds of defect, 25 files of each, among 1,000 good recordings (defects.py): how many are named rightly
copies    100 copies planted among the recordings (duplicates.py): how many are found, and what else is called a copy
cost      the recordings here, with two processes; and made files in three numbers, from which 100,000 are extrapolated
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import soundfile

from auricle.audit.audit import Audit, audit
from auricle.audit.recording import examine
from auricle.data.datasets import Survey, survey
from auricle.data.manifest import Manifest
from auricle.system import peak_memory_mb
from defects import make_bad, make_good
from duplicates import found_of, plant
from measure import publish, recordings_here, seconds, table

NUM_PROCESSES = 2
MADE_RATE_HZ = 8_000
EXTRAPOLATED = 100_000


def defect_rows(num_good: int, each: int) -> list[tuple[str, str]]:
    """Return how many bad recordings are named as what they are, and whether the good are judged as if alone."""
    with tempfile.TemporaryDirectory() as name:
        make_good(Path(name), num_good)
        alone = audit(survey(name))
        expected = make_bad(Path(name), each)
        together = audit(survey(name))
    named: dict[str, set[str]] = {}
    for finding in together.findings:
        for clip in finding.clips:
            named.setdefault(clip, set()).add(finding.kind)
    right = sum(bool(named.get(clip, set()) & set(kinds)) for clip, kinds in expected.items())
    of_good = {finding for finding in together.findings if finding.clips and not set(finding.clips) & expected.keys()}
    same = of_good == {finding for finding in alone.findings if finding.clips}
    return [
        (f"bad files named, {len(expected) // each} kinds of defect x {each}", f"{right} of {len(expected)}"),
        (f"{num_good} good files among them", "judged as if alone" if same else "JUDGED OTHERWISE"),
    ]


def copy_rows(manifest: Manifest, num: int) -> list[tuple[str, str]]:
    """Return how many planted copies are found, and how many pairs of different sources are called copies besides."""
    whole = Survey(manifest, has_folds=True)
    with tempfile.TemporaryDirectory() as name:
        planted, copies = plant(whole, Path(name), num, seed=0)
        found = found_of(audit(planted), copies)
    rows = [(f"planted copies found, {change}", f"{sum(each)} of {len(each)}") for change, each in found.items()]
    pairs = [f"{one} and {other}" for one, other in _across_sources(audit(whole))]
    every = len(manifest.clips) * (len(manifest.clips) - 1) // 2
    words = f"{len(pairs)} of {every:,} pairs" + (f" ({', '.join(pairs)})" if len(pairs) < 5 else "")
    return [*rows, ("called copies though of different sources", words)]


def _across_sources(found: Audit) -> list[tuple[str, str]]:
    clips = found.survey.manifest.clips
    pairs = [pair for places, _ in found.copies.near for pair in combinations(places, 2)]
    return [(clips[a].name, clips[b].name) for a, b in pairs if clips[a].group != clips[b].group]


def check_anew(source: str) -> tuple[float, float]:
    """Return the seconds, and the peak of memory in MB, of a check in a process of its own, with an empty cache."""
    with tempfile.TemporaryDirectory() as cache:
        words, environment = [sys.executable, __file__, "--one", source], {**os.environ, "AURICLE_CACHE": cache}
        done = subprocess.run(words, check=True, capture_output=True, text=True, env=environment)
    spent_s, peak_mb = json.loads(done.stdout)
    return spent_s, peak_mb


def cost_rows(manifest: Manifest, rounds: int) -> list[tuple[str, str]]:
    """Return how long the recordings here take, on the clock and on a processor."""
    times_s = [check_anew(manifest.source)[0] for _ in range(rounds)]
    start = time.process_time()
    for clip in manifest.clips:
        examine(clip.path)
    cpu_s = time.process_time() - start
    clock = f"{statistics.median(times_s):.1f} ({min(times_s):.1f} to {max(times_s):.1f})"
    return [
        (f"{len(manifest.clips)} recordings, {NUM_PROCESSES} processes, seconds", clock),
        ("CPU seconds to examine them all", f"{cpu_s:.1f}"),
    ]


def make_many(folder: Path, num: int) -> None:
    """Write that many seconds of noise, a file each."""
    for number in range(num):
        path = folder / f"class {number % 10}" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, np.random.default_rng(number).normal(0, 0.1, MADE_RATE_HZ), MADE_RATE_HZ)


def measure_one(source: str) -> None:
    """Check recordings, and print the seconds and the peak of memory in MB."""
    spent_s = seconds(lambda: audit(survey(source), workers=NUM_PROCESSES))
    print(json.dumps([spent_s, peak_memory_mb()]))


def scale_rows(numbers: list[int]) -> list[tuple[str, str]]:
    """Return seconds and memory for each number of made files, and what they say of 100,000."""
    found = []
    for num in numbers:
        with tempfile.TemporaryDirectory() as name:
            make_many(Path(name), num)
            found.append(check_anew(name))
    rows = [
        (f"{num:,} made files of 1 s", f"{spent_s:.1f} s, {1000 * spent_s / num:.1f} ms a file, {peak_mb:.0f} MB")
        for num, (spent_s, peak_mb) in zip(numbers, found, strict=True)
    ]
    slopes = [(found[-1][at] - found[-2][at]) / (numbers[-1] - numbers[-2]) for at in (0, 1)]
    spent_s, peak_mb = (found[-1][at] + slopes[at] * (EXTRAPOLATED - numbers[-1]) for at in (0, 1))
    rows.append((f"{EXTRAPOLATED:,}, by the slope of the last two", f"{spent_s / 60:.0f} min, {peak_mb:.0f} MB"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--good", type=int, default=1_000)
    parser.add_argument("--each", type=int, default=25)
    parser.add_argument("--copies", type=int, default=100)
    parser.add_argument("--numbers", type=int, nargs=3, default=[1_000, 3_000, 9_000])
    parser.add_argument("--results", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        measure_one(asked.one)
        return
    manifest, name = recordings_here()
    rows = [
        *defect_rows(asked.good, asked.each),
        *copy_rows(manifest, asked.copies),
        *cost_rows(manifest, asked.rounds),
        *scale_rows(asked.numbers),
    ]
    about = (
        f"What `auricle check` finds among made recordings and among {name}, and what it costs. Copies are exact, "
        f"coded again as MP3 or Ogg, trimmed by up to half a second at each end, or 20 dB softer to 6 dB louder. "
        f"Memory is the peak of the process that gathers; those that decode hold one recording each. The machine may "
        f"have had other work."
    )
    publish("Data check", about, table(("what", "found"), rows), asked.results)


if __name__ == "__main__":
    main()
