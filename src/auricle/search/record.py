"""The record of a search, trials.json: what the report, the command line and `--status` read. No Optuna."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from auricle import files
from auricle.errors import RefusedError
from auricle.search.space import Choices, Space

FILE = "trials.json"
Entry = dict[str, Any]


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the record into the folder of a search, whole or not at all."""
    files.write_json(folder / FILE, record)


def read_record(folder: Path) -> dict[str, Any] | None:
    """Read the record in the folder of a search; None where there is none.

    Raises:
        RefusedError: it is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        [entry["state"] for entry in record["trials"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RefusedError(f"{path} is damaged; run the search again, which writes it anew") from error
    return record


def describe_parameters(space: Space) -> dict[str, dict[str, Any]]:
    """Return what may be tried of each parameter: {choices} or {low, high, log, whole}."""
    return {
        name: {"choices": list(each.values)} if isinstance(each, Choices) else asdict(each)
        for name, each in space.parameters.items()
    }


def ranked(entries: Sequence[Entry]) -> list[Entry]:
    """Return the trials that came to their end, lowest validation loss first, the earlier first among equals."""
    done = [entry for entry in entries if entry["state"] == "done"]
    return sorted(done, key=lambda entry: (entry["loss"], entry["number"]))


def best_of(entries: Sequence[Entry]) -> Entry | None:
    """Return the trial with the lowest validation loss; None where none came to its end."""
    return next(iter(ranked(entries)), None)
