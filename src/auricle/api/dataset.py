"""A dataset from Python: which clips, of which class, fold and group; and what is wrong with them."""

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
from auricle.study.asking import find_data
from auricle.tabular import to_frame
from auricle.text import visible

if TYPE_CHECKING:
    import pandas as pd

ALL = "all"  # the column with the clips of all folds


@dataclass(frozen=True)
class Dataset:
    """What `load_dataset` found: a table of clips. Nothing is decoded before it is checked or trained on.

    A notebook shows it as the number of clips of each class in each fold.

    Attributes:
        asked: where it was taken from: a name, a folder or a table.
        root: where named datasets lie; None: as `load_dataset` says.
        group_by: what clips are kept together by; None: as the source says.
        label: where classes are taken from; None: as the source says.
        clip_s: the length asked for, in seconds; None: as the source suggests.
    """

    asked: str | None
    root: Path | None = None
    group_by: str | None = None
    label: str | None = None
    clip_s: float | None = None

    @classmethod
    def described(cls, source: Path | str | None, **asked: Any) -> Dataset:
        """Return a dataset that is not read yet."""
        root = asked.pop("root", None)
        return cls(None if source is None else str(source), None if root is None else Path(root), **asked)

    @cached_property
    def manifest(self) -> Manifest:
        """The clips, and the length in seconds to which each is cut or padded."""
        return load_manifest(**self._where, group_by=self.group_by, label=self.label, clip_s=self.clip_s)

    @property
    def _where(self) -> Mapping[str, Any]:
        source, root = find_data(self.asked)
        return {"source": source, "root": self.root or root}

    @property
    def categories(self) -> tuple[str, ...]:
        """The names of the classes, alphabetical."""
        return self.manifest.categories

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what is assumed: lengths, folds, groups, class sizes."""
        return self.manifest.notes

    @property
    def counts(self) -> pd.DataFrame:
        """The number of clips: a row a class, a column a fold, and one of all."""
        frame = self.to_frame()
        table = frame.groupby(["category", "fold"]).size().unstack(fill_value=0)
        return table.assign(**{ALL: table.sum(axis=1)})

    def to_frame(self) -> pd.DataFrame:
        """Return a row a clip: `name`, `path`, `category`, `fold` and `group`."""
        columns = ("name", "path", "category", "fold", "group")
        rows = [{name: getattr(clip, name) for name in columns} for clip in self.manifest.clips]
        return to_frame(rows, columns).astype({"path": str})

    def check(self, *, workers: int | None = None, progress: bool = True) -> Check:
        """Decode every recording, and say what is wrong and what to do; `auricle check` does the same.

        Args:
            workers: processes that decode. None: one a core.
            progress: whether to show it.
        """
        described = survey(**self._where, group_by=self.group_by, label=self.label)
        with bar("{task.completed}/{task.total}") if progress else nullcontext() as draw:
            told = (lambda done, total: draw("decoding", done, total)) if draw else None
            return Check(audit(described, workers=workers, on_progress=told))

    def __len__(self) -> int:
        return len(self.manifest.clips)

    def __repr__(self) -> str:
        if "manifest" not in vars(self):
            return f"Dataset({self.asked!r})"
        found = self.manifest
        groups = f" from {count(len(set(found.groups)), 'group')}" if found.grouping else ""
        folds = count(len(set(found.folds.tolist())), "fold")
        classes = count(len(found.categories), "class", "classes")
        clips = count(len(found.clips), "clip")
        return f"Dataset({found.source!r}): {clips} of {classes}{groups} in {folds}, {found.clip_s:g} s each"

    def _repr_html_(self) -> str:
        self.manifest  # noqa: B018 - is read, so that the heading can say what it is
        notes = "".join(f"<li>{escape(visible(note))}</li>" for note in self.notes)
        table = self.counts.rename(index=visible).to_html(border=0)
        return f"<p>{escape(visible(repr(self)))}</p>{table}<ul>{notes}</ul>"


class Check:
    """What was found by decoding every recording of a dataset.

    Attributes:
        audit: all that was found.
    """

    def __init__(self, audit: Audit) -> None:
        self.audit = audit

    @property
    def is_fine(self) -> bool:
        """Whether nothing must be mended; there may be warnings."""
        return not self.audit.num_errors

    def to_frame(self) -> pd.DataFrame:
        """Return a row a finding, the gravest first: `severity`, `finding`, `reason`, `fix` and `clips` (names)."""
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
        """Write a page with all findings and their spectrograms, and return its path."""
        from auricle.report.check_page import write_check_page

        write_check_page(Path(path), self.audit)
        return Path(path)

    def __repr__(self) -> str:
        num = len(self.audit.survey.manifest.clips)
        found = f"{count(len(self.audit.findings), 'finding')}, of which {self.audit.num_errors} must be mended"
        return f"Check of {count(num, 'clip')}: {found if self.audit.findings else 'nothing is wrong with them'}"

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
    """Describe a dataset: which clips, of which class, in which fold, from which source.

    Args:
        source: `toy`, `esc10`, `esc50` or `urbansound8k`; a folder with a folder for each class; or a table of clips
            (CSV) with a column for the file and one for the class.
        label: what the class is: a column, or a pattern over names such as `{class}_{speaker}_*`.
        group_by: what a split must keep together (the source recording, the site, the speaker): a column, or a pattern
            over names such as `{site}_{date}_*`.
        clip_s: the length in seconds to which clips are cut or padded. None: what most of them have.
        root: where named datasets lie. None: `$AURICLE_DATA`, then the user's cache.

    Raises:
        UsageError: no such source, a length out of range, or no such pattern.
        RefusedError: the dataset is not there, not whole, or too small to train and test on.

    >>> load_dataset("toy")
    Dataset('toy'): 200 clips of 10 classes from 100 groups in 5 folds, 2 s each
    """
    data = Dataset.described(source, label=label, group_by=group_by, clip_s=clip_s, root=root)
    data.manifest  # noqa: B018 - what is wrong with it is said now
    return data
