"""The folder of a study and its files: the only way by which the packages of auricle exchange data."""

from auricle.locks import check_free, held_since, lock, owner
from auricle.runs.folder import (
    Cell,
    CellName,
    StudyFolder,
    commands_of,
    is_intact,
    json_line,
    read_history,
    read_metrics,
    remove_damaged,
    remove_unfinished,
    sweep,
    write_metrics,
)

__all__ = [
    "Cell", "CellName", "StudyFolder", "check_free", "commands_of", "held_since", "is_intact", "json_line", "lock",
    "owner", "read_history", "read_metrics", "remove_damaged", "remove_unfinished", "sweep", "write_metrics",
]  # fmt: skip
