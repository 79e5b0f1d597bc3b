"""Turn what the user asks for into a configuration, the same way for Python and the command line.

data ("esc10", a folder, a CSV)  ->  a named dataset or the user's own recordings  ->  StudyConfig
"""

import re
from collections.abc import Collection, Mapping, Sequence
from operator import index
from pathlib import Path
from typing import Any, TypeVar

from auricle.config import ProtocolName, Section, StudyConfig, load_study, revalidated, study_names
from auricle.data.datasets import SOURCES, dataset_in, survey
from auricle.data.folds import PROTOCOLS
from auricle.data.tables import TABLE_SUFFIXES
from auricle.errors import UsageError, choices
from auricle.runs.reopen import study_config, study_of
from auricle.system import expanded

OWN_MODELS = ("cnn", "transformer-h4")  # for the user's own recordings: one of each architecture
OWN_PROTOCOLS: tuple[ProtocolName, ...] = ("test-split", "official")  # a model to export, and a score on every clip
TEST_SET_PROTOCOLS: tuple[ProtocolName, ...] = ("test-split", "k-fold")  # if the dataset has a test set of its own
STUDIES_FOLDER = Path("runs")
SHORT = {"epochs": "training.epochs", "batch_size": "training.batch_size", "learning_rate": "training.learning_rate"}
SomeConfig = TypeVar("SomeConfig", bound=Section)


def find_data(asked: str | None, own: str = "") -> tuple[str, Path | None]:
    """Return the dataset that `--data` means, and its folder if that is the folder of a named dataset.

    A folder whose table lists the clips of a named dataset is that dataset; if several match, the study's `own`.
    Everything that is not a name or such a folder is taken as the user's own recordings.
    """
    if asked is None or asked in SOURCES:
        return asked or own, None
    folder = expanded(asked)
    if asked and folder.is_dir() and (name := dataset_in(folder, first=own)):
        return name, folder
    return asked, None


def data_of(folder: Path, asked: str | None) -> tuple[str | None, Path | None]:
    """Return what `--data` means for an existing study or cell, as `find_data` does; (None, None) without it.

    Raises:
        RefusedError: the folder is not part of a study.
    """
    return (None, None) if asked is None else find_data(asked, study_config(study_of(folder)).data)


def find_study(folder: Path | str) -> Path:
    """Return the folder of a study, given its path or its name in runs/."""
    path = expanded(folder)
    return path if path.exists() or not (STUDIES_FOLDER / path).is_dir() else STUDIES_FOLDER / path


def name_of(source: str) -> str:
    """Return a name for a study of some recordings; it differs from every named dataset except the one it is of.

    >>> name_of("esc10"), name_of("/home/me/My birds (2026)/"), name_of("data/esc10"), name_of("birds.tsv")
    ('esc10', 'My-birds-2026', 'own-esc10', 'birds')
    """
    if source in SOURCES:
        return source
    path = expanded(source).absolute()
    own = path.stem if path.suffix.lower() in TABLE_SUFFIXES else path.name
    name = re.sub(r"[^\w]+", "-", own).strip("-") or "recordings"
    return f"own-{name}" if name.lower() in SOURCES else name


def own_study(
    data: str, *, root: Path | None = None, group_by: str | None = None, label: str | None = None
) -> StudyConfig:
    """Return the predefined study of a named dataset; for other data a new one, named after the data.

    `root` is the folder of a named dataset; None: where such datasets are looked for.

    Raises:
        UsageError, RefusedError: as `data.datasets.survey`.
    """
    source, found = find_data(data)
    if source in SOURCES and source in study_names():  # a folder may be named like a study
        return load_study(source)
    described = survey(source, root=root or found, group_by=group_by, label=label, cuts=False).manifest
    protocols = TEST_SET_PROTOCOLS if described.has_test_set else OWN_PROTOCOLS
    return StudyConfig(name=name_of(source), data=source, models=OWN_MODELS, protocols=protocols)


def renamed(config: SomeConfig, source: str) -> SomeConfig:
    """Return a study or a space on other data, without references to its own dataset, also in its name.

    `esc10-official` on a folder `birds` becomes `birds-official`; `quickstart` keeps its name.
    """
    asked: Any = config
    if source == asked.data:
        return config
    of_its_own = {"reference": ()} if hasattr(asked, "reference") else {}
    name = asked.name.replace(asked.data, name_of(source))
    return revalidated(config, data=source, about="", name=name, **of_its_own)


def merge_overrides(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge overrides; those of `above` win. If they change the epochs, the warm-up of `below` is dropped too.

    >>> merge_overrides({"training.epochs": 6, "training.warmup_epochs": 1}, {"training.epochs": 2})
    {'training.epochs': 2}
    """
    warmup = "training.warmup_epochs"
    kept = {field: value for field, value in below.items() if field != warmup or "training.epochs" not in above}
    return kept | dict(above)


def check_protocols(asked: Sequence[str]) -> tuple[str, ...]:
    """Return the names of protocols, or raise the UsageError that lists the valid ones."""
    for protocol in asked:
        if protocol not in PROTOCOLS:
            raise choices("protocol", protocol, list(PROTOCOLS))
    return tuple(asked)


def check_numbers(numbers: Collection[int], option: str, typed: str | None = None) -> tuple[int, ...]:
    """Return folds or seeds, or raise a UsageError that says what they are and what was `typed` instead."""
    try:
        found = tuple(map(index, numbers))  # NumPy's too
    except TypeError:
        found = ()
    if not found or min(found) < 0:
        shown = numbers if typed is None else typed
        raise UsageError(f"{option} takes whole numbers of 0 or more, such as 0,1,2, not {shown!r}")
    return found


def configured(
    config: SomeConfig, data: str | None, overrides: Mapping[str, Any], **changes: Any
) -> tuple[SomeConfig, Path | None]:
    """Return a study or a space with its data (None: its own) and fields changed, and the folder `data` gives, if any.

    `overrides` are values by `section.field`; `changes` are fields of the configuration, where None changes nothing.

    Raises:
        UsageError: a field or a value is wrong.
    """
    asked: Any = config
    source, root = find_data(data, asked.data)
    changes = {field: value for field, value in changes.items() if value is not None}
    merged = merge_overrides(asked.overrides, overrides)
    return revalidated(renamed(config, source), overrides=merged, **changes), root
