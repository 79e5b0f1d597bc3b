"""Datasets in the Python API: the clips with their classes, folds and groups, and a check for problems."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auricle.audit.audit import Audit, audit
from auricle.data.datasets import load_manifest, survey
from auricle.data.manifest import Manifest
from auricle.display.bar import bar
from auricle.errors import count
from auricle.study.configure import find_data
from auricle.system import expanded
from auricle.tabular import to_frame
from auricle.text import visible

if TYPE_CHECKING:
    import pandas as pd

ALL = "all"  # name of the column that counts the clips of all folds


@dataclass(frozen=True)
class Dataset:
    """A dataset as a table of clips, returned by `load_dataset`. Recordings are decoded only by a check or a training.

    A notebook shows the number of clips of each class in each fold.

    Attributes:
        source: a name, a folder or a CSV table.
        root: the folder of named datasets; None: the default of `load_dataset`.
        group_by: the column or pattern that groups clips; None: the dataset's own groups.
        label: the column or pattern with the class labels; None: the dataset's own classes.
        clip_s: length of the clips in seconds; None: from the data.
    """

    source: str | None
    root: Path | None = None
    group_by: str | None = None
    label: str | None = None
    clip_s: float | None = None

    @classmethod
    def described(cls, source: Path | str | None, **asked: Any) -> Dataset:
        """Return a dataset whose table is read when it is first needed."""
        root = asked.pop("root", None)
        return cls(None if source is None else str(source), None if root is None else expanded(root), **asked)

    @cached_property
    def manifest(self) -> Manifest:
        """The clips, and the length in seconds to which each is cut or padded."""
        return load_manifest(**self._where, group_by=self.group_by, label=self.label, clip_s=self.clip_s)

    @property
    def _where(self) -> Mapping[str, Any]:
        source, root = find_data(self.source)
        return {"source": source, "root": self.root or root}

    @property
    def categories(self) -> tuple[str, ...]:
        """The names of the classes, alphabetical."""
        return self.manifest.categories

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the assumptions made: clip lengths, folds, groups, class sizes."""
        return self.manifest.notes

    @property
    def counts(self) -> pd.DataFrame:
        """The number of clips: one row per class, one column per fold, and one for all folds.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        frame = self.to_frame()
        table = frame.groupby(["category", "fold"]).size().unstack(fill_value=0)
        return table.assign(**{ALL: table.sum(axis=1)})

    def to_frame(self) -> pd.DataFrame:
        """Return one row per clip: `name`, `path`, `category`, `fold` and `group`.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        columns = ("name", "path", "category", "fold", "group")
        rows = [{name: getattr(clip, name) for name in columns} for clip in self.manifest.clips]
        return to_frame(rows, columns).astype({"path": str})

    def check(self, *, workers: int | None = None, progress: bool = True) -> Check:
        """Decode every recording and report problems with their fixes; `auricle check` does the same.

        Args:
            workers: decoding processes. None: one per core.
            progress: whether to show progress.

        Raises:
            UsageError, RefusedError: as `load_dataset`.
            MachineError: no decoding process can be started.
        """
        described = survey(**self._where, group_by=self.group_by, label=self.label)
        with bar("{task.completed}/{task.total}") if progress else nullcontext() as draw:
            on_progress = (lambda done, total: draw("decoding", done, total)) if draw else None
            return Check(audit(described, workers=workers, on_progress=on_progress))

    def __len__(self) -> int:
        return len(self.manifest.clips)

    def __repr__(self) -> str:
        if "manifest" not in vars(self):
            return f"Dataset({self.source!r})"
        found = self.manifest
        groups = f" from {count(len(set(found.groups)), 'group')}" if found.grouping else ""
        folds = count(len(set(found.folds.tolist())), "fold")
        classes = count(len(found.categories), "class", "classes")
        clips = count(len(found.clips), "clip")
        return f"Dataset({found.source!r}): {clips} of {classes}{groups} in {folds}, {found.clip_s:g} s each"

    def _repr_html_(self) -> str:
        self.manifest  # noqa: B018 - reads the table, which the heading describes
        notes = "".join(f"<li>{escape(visible(note))}</li>" for note in self.notes)
        table = self.counts.rename(index=visible).to_html(border=0)
        return f"<p>{escape(visible(repr(self)))}</p>{table}<ul>{notes}</ul>"


class Check:
    """The problems found by decoding every recording of a dataset.

    Attributes:
        audit: the full result.
    """

    def __init__(self, audit: Audit) -> None:
        self.audit = audit

    @property
    def is_fine(self) -> bool:
        """Whether nothing must be fixed; there may be warnings."""
        return not self.audit.num_errors

    def to_frame(self) -> pd.DataFrame:
        """Return one row per finding, most severe first: `severity`, `finding`, `reason`, `fix`, `clips` (names).

        Raises:
            MissingPackageError: pandas is not installed.
        """
        rows = [
            {
                "severity": kind.severity,
                "finding": kind.title,
                "reason": one.reason,
                "fix": kind.fix,
                "clips": one.clips,
            }
            for kind, findings in self.audit.by_kind.items()
            for one in findings
        ]
        return to_frame(rows, ("severity", "finding", "reason", "fix", "clips"))

    def write_page(self, path: Path | str) -> Path:
        """Write a page with all findings and their spectrograms, and return its path.

        Raises:
            MachineError: the file cannot be written.
        """
        from auricle.report.check_page import write_check_page

        path = expanded(path)
        write_check_page(path, self.audit)
        return path

    def __repr__(self) -> str:
        num = len(self.audit.survey.manifest.clips)
        found = f"{count(len(self.audit.findings), 'finding')}, of which {self.audit.num_errors} must be fixed"
        return f"Check of {count(num, 'clip')}: {found if self.audit.findings else 'no problems found'}"

    def _repr_html_(self) -> str:
        frame = self.to_frame()
        frame["clips"] = [", ".join(map(visible, clips)) for clips in frame["clips"]]
        return f"<p>{escape(repr(self))}</p>{frame.to_html(index=False, border=0) if len(frame) else ''}"


def load_dataset(
    source: Path | str,
    *,
    label: str | None = None,
    group_by: str | None = None,
    clip_s: float | None = None,
    root: Path | str | None = None,
) -> Dataset:
    """Read the table of a dataset: its clips, with their classes, folds and groups.

    Args:
        source: `toy`, `esc10`, `esc50` or `urbansound8k`; a folder with one folder per class; or a CSV table with one
            column for the file and one for the class.
        label: where the class label comes from: a column, or a pattern of file names such as `{class}_{speaker}_*`.
        group_by: which clips must stay in the same fold (same source recording, site or speaker): a column, or a
            pattern of file names such as `{site}_{date}_*`.
        clip_s: the length in seconds to which clips are cut or padded. None: the length that most clips have.
        root: the folder of named datasets. None: `$AURICLE_DATA`, then the user's cache.

    Raises:
        UsageError: no such dataset or pattern, or a length out of range.
        RefusedError: the dataset is missing, incomplete, or too small to train and test on.

    >>> load_dataset("toy")
    Dataset('toy'): 200 clips of 10 classes from 100 groups in 5 folds, 2 s each
    """
    data = Dataset.described(source, label=label, group_by=group_by, clip_s=clip_s, root=root)
    data.manifest  # noqa: B018 - reads the table, so that errors in it are raised here
    return data
