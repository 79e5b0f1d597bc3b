"""The recordings of a study, from its folder: classes, folds, groups, and one clip per class."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auricle.data.manifest import background_of, classes_of, imbalance, scored_of
from auricle.files import read_summed
from auricle.runs import StudyFolder
from auricle.runs.record import read_clips


@dataclass(frozen=True)
class Dataset:
    """The description of the recordings in study.yaml and the manifest."""

    source: str  # its name, or its path
    digest: str
    clip_s: float
    sample_rate_hz: int  # of the samples in the report
    categories: tuple[str, ...]  # the K names, alphabetical
    counts: Mapping[str, Mapping[int, int]]  # category to fold to number of clips
    folds: tuple[int, ...]
    groups: Mapping[str, str]
    notes: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    leaky_protocols: tuple[str, ...]  # those with clips of one group in both training and test
    split_groups: int = 0  # number of groups with clips in several folds
    ungrouped: bool = False  # whether no groups are given, so that each clip is its own group

    @property
    def name(self) -> str:
        """Return its name, or the last part of its path."""
        return Path(self.source).name or self.source

    @property
    def background(self) -> str | None:
        """Return the background class, whose sounds belong to no other class; None where there is none."""
        return background_of(self.categories)

    @property
    def scored(self) -> tuple[str, ...]:
        """Return the classes that count in accuracy (`data.manifest.scored_of`)."""
        return scored_of(self.categories)

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the classes without the background."""
        return classes_of(self.categories)

    @property
    def imbalance(self) -> str:
        """Return a description of unequal class sizes (`data.manifest.imbalance`); empty where they are equal."""
        return imbalance({category: sum(by_fold.values()) for category, by_fold in self.counts.items()})

    @property
    def num_clips(self) -> int:
        """Return the number of clips."""
        return sum(sum(by_fold.values()) for by_fold in self.counts.values())


@dataclass(frozen=True, eq=False)
class Samples:
    """One clip per category, for pictures: waveforms in [-1, 1], shape (K, T)."""

    waveforms: np.ndarray
    names: tuple[str, ...]
    categories: tuple[str, ...]
    sample_rate_hz: int


def read_dataset(content: Mapping[str, Any], study: StudyFolder) -> Dataset:
    """Combine the section "dataset" of study.yaml with the counts and groups of the table of clips.

    Raises:
        OSError, ValueError, KeyError, RefusedError: a file is missing or damaged.
    """
    clips = read_clips(study)
    if not clips:
        raise ValueError(f"{study.manifest.name} lists no clips")
    categories = tuple(content["categories"])
    folds = tuple(sorted({clip.fold for clip in clips}))
    counts = {category: dict.fromkeys(folds, 0) for category in categories}
    for clip in clips:
        counts[clip.category][clip.fold] += 1
    groups = {clip.name: clip.group for clip in clips}
    alone = all(name == group for name, group in groups.items())
    return Dataset(
        source=str(content["source"]),
        digest=str(content["digest"]),
        clip_s=float(content["clip_s"]),
        sample_rate_hz=int(content["sample_rate_hz"]),
        categories=categories,
        counts=counts,
        folds=folds,
        groups=groups,
        notes=tuple(content.get("notes") or ()),
        skipped=tuple((str(name), str(reason)) for name, reason in content.get("skipped") or ()),
        leaky_protocols=tuple(content.get("leaky_protocols") or ()),
        split_groups=int(content.get("split_groups") or 0),
        ungrouped=content["grouping"] is None if "grouping" in content else alone,
    )


def read_samples(path: Path) -> Samples | None:
    """Read dataset/samples.npz; None where there is none.

    Raises:
        OSError, ValueError, KeyError, zipfile.BadZipFile, RefusedError: the file is damaged.
    """
    if not path.exists():
        return None
    with np.load(io.BytesIO(read_summed(path)), allow_pickle=False) as arrays:
        return Samples(
            waveforms=arrays["waveforms"] / np.float32(32767),
            names=tuple(arrays["names"].tolist()),
            categories=tuple(arrays["categories"].tolist()),
            sample_rate_hz=int(arrays["sample_rate_hz"]),
        )
