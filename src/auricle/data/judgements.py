"""Labels given by people to the clips of a dataset, if it has them: `meta/human.csv`.

filename,category,heard_as,count
1-100032-A-0.ogg,dog,sneezing,1
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from auricle.data.datasets import SOURCES, find_dataset
from auricle.data.tables import read_table, whole_number
from auricle.errors import RefusedError
from auricle.system import expanded

JUDGEMENTS = Path("meta", "human.csv")


@dataclass(frozen=True)
class Judgement:
    """`count` people labelled a clip as `heard_as`."""

    clip: str
    heard_as: str
    count: int


def find_judgements(source: str, root: Path | None = None) -> Path | None:
    """Return the table of a dataset, or None; `source` is as in `load_manifest`, `root` as in `find_dataset`."""
    if source in SOURCES:
        folder = find_dataset(source, root) if source != "toy" else None
    else:
        path = expanded(source)
        folder = path if path.is_dir() else path.parent
    if folder is None:
        return None
    table = folder / JUDGEMENTS
    return table if table.is_file() else None


def read_judgements(table: Path, categories: Mapping[str, str]) -> list[Judgement]:
    """Read the labels of the clips in `categories` (clip to category); lines about other clips are ignored.

    A `RefusedError` if the table cannot be read, a count is not a whole number from 1, or a clip has another class.
    """
    judgements = []
    for line, row in read_table(table, ("filename", "category", "heard_as", "count")):
        clip, number = row["filename"], whole_number(row["count"])
        if clip not in categories:
            continue
        if not number:
            raise RefusedError(f"{table}: line {line}: a count is a whole number from 1, not {row['count'][:40]!r}")
        if row["category"] != categories[clip]:
            raise RefusedError(
                f"{table}: line {line}: {clip} has class {row['category']!r}, but {categories[clip]!r} in the study; "
                "correct one of them"
            )
        judgements.append(Judgement(clip, row["heard_as"], number))
    return judgements
