"""What a flipped bit does: `python benchmarks/robust_flips.py [--flips 500] [--results RESULTS.md]`.

A study, a search and the cache of their recordings are made once. Then one bit of one file is flipped, in turn of
every kind of file, and what the study, the search or the cache says is compared with what it said before.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch

from auricle import runs
from auricle.data.store import cache_folder, find_entry
from auricle.errors import AuricleError
from auricle.findings.findings import find, to_json
from auricle.findings.study import load_study
from auricle.probes.probe import probe_study
from auricle.runs import StudyFolder
from auricle.search.record import read_record
from auricle.search.search import run_search
from auricle.search.storage import TrialStorage, open_storage
from auricle.study.study import run_study
from robust import publish_counts, small_space, small_study

COLUMNS = ("tried", "refused or named", "no difference", "silent")
REFUSED = "refused"


def study_says(folder: Path) -> str:
    """Return what a study says, and what it says is missing."""
    study = load_study(folder)
    layers = json.dumps(study.layers, sort_keys=True)
    samples = study.samples.waveforms.tobytes().hex()[:2000] if study.samples else ""
    return json.dumps([to_json(find(study)), [str(cell) for cell in study.missing], layers, samples], sort_keys=True)


def search_says(folder: Path) -> str:
    """Return the record of a search, and what its journal holds."""
    opened = open_storage(TrialStorage(str(folder / "journal.log"), ""))
    searches = opened.get_all_studies()
    trials = [trial for search in searches for trial in opened.get_all_trials(search._study_id)]
    told = [(one.params, one.values, str(one.state), one.user_attrs, one.intermediate_values) for one in trials]
    return json.dumps([read_record(folder), told], sort_keys=True, default=str)


def cache_says(folder: Path) -> str:
    """Return what the cache has under each key."""
    entries = {path.stem: find_entry(path.stem) for path in sorted((cache_folder() / "recordings").glob("*.json"))}
    return str([(key, entry and (hash(entry.waveforms.tobytes()), entry.refused)) for key, entry in entries.items()])


def kinds_of(out: Path) -> dict[str, tuple[list[Path], Callable[[Path], str], Path]]:
    """Return kind of file to the files, what is asked after a flip, and of which folder."""
    study = StudyFolder(out)
    found = {
        "study.yaml": [study.description],
        "dataset/": [path for path in (study.manifest, study.samples) if path.exists()],
        "models/": sorted(out.glob("models/*.json")),
        "predictions.csv": [cell.predictions for cell in study.cells()],
        "history.jsonl": [cell.history for cell in study.cells()],
        "metrics.json": [cell.metrics for cell in study.cells()],
        "baselines": [path for cell in study.baselines() for path in (cell.predictions, cell.metrics)],
        "insight/": sorted(out.glob("insight/*/*.json")),
    }
    kinds: dict[str, tuple[list[Path], Callable[[Path], str], Path]] = {
        kind: (paths, study_says, out) for kind, paths in found.items()
    }
    search = out.with_name("search-small") / "search"
    kinds["trials.json"] = ([search / "trials.json"], search_says, search)
    kinds["journal.log"] = ([search / "journal.log"], search_says, search)
    entries = sorted((cache_folder() / "recordings").glob("*"))
    kinds["recordings in the cache"] = (entries, cache_says, out)
    kinds["weights and config.yaml"] = (
        [path for cell in study.cells() for path in (cell.weights, cell.config)], cells_say, out
    )  # fmt: skip
    return kinds


def cells_say(folder: Path) -> str:
    """Return which cells are finished and intact, as the next `auricle study` sees them."""
    intact = [runs.is_intact(cell) for cell in StudyFolder(folder).cells()]
    return str(intact) if all(intact) else REFUSED


def outcome(path: Path, bit: int, before: str, says: Callable[[Path], str], folder: Path) -> str:
    """Flip a bit, ask, put the bit back, and return the outcome."""
    content = path.read_bytes()
    place = bit // 8
    path.write_bytes(content[:place] + bytes([content[place] ^ 1 << bit % 8]) + content[place + 1 :])
    try:
        after = says(folder)
    except AuricleError:
        return "refused or named"
    finally:
        path.write_bytes(content)
    if after == before:
        return "no difference"
    named = after == REFUSED or "damaged" in after or "None" in after or "cannot be read" in after
    return "refused or named" if named else "silent"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    random_place = random.Random(asked.seed)
    with tempfile.TemporaryDirectory(prefix="auricle-bench-") as scratch:
        os.environ["AURICLE_CACHE"] = str(Path(scratch, "cache"))
        out = Path(scratch, "small")
        run_study(small_study(), out)
        probe_study(out)
        run_search(small_space(), out.with_name("search-small"))
        kinds = kinds_of(out)
        before = {says: says(folder) for _, says, folder in kinds.values()}
        counts = {kind: Counter[str]() for kind in kinds}
        for number in range(asked.flips):
            kind = list(kinds)[number % len(kinds)]
            paths, says, folder = kinds[kind]
            path = random_place.choice(paths)
            bit = random_place.randrange(8 * path.stat().st_size)
            found = outcome(path, bit, before[says], says, folder)
            counts[kind].update(["tried", found])
            if found == "silent":
                print(f"silent: bit {bit} of {path.relative_to(scratch)}", file=sys.stderr)
    about = (
        "One bit of one file is flipped, and what its reader says compared with what it said before: findings, layers, "
        "samples and missing cells of a study; record and journal of a search; the recordings of the cache; whether a "
        "cell is trained anew. Refused or named: an error in one line, or the cell is listed as damaged."
    )
    publish_counts("Flipped bits", about, counts, COLUMNS, asked.results)


if __name__ == "__main__":
    main()
