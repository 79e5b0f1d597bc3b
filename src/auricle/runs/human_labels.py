"""What people heard in the clips, kept beside the manifest of a study, so that its report needs nothing else."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

from auricle.config import StudyConfig
from auricle.data.judgements import find_judgements, read_judgements
from auricle.errors import RefusedError
from auricle.runs.folder import StudyFolder
from auricle.runs.record import read_clips, read_description, write_csv


def keep_human_labels(study: StudyFolder, *, source: str | None = None, root: Path | None = None) -> str | None:
    """Write dataset/human.csv where the study's dataset is found and brings it, and it is not there yet.

    Args:
        study: with its study.yaml and its manifest.
        source: where a person's own recordings lie now; None: where they lay.
        root: where named datasets lie; None: as `load_manifest` says.

    Returns:
        Why it was left out, for a person to read; None where there is nothing to say.

    Raises:
        RefusedError: study.yaml is damaged.
        MachineError: the disk refuses.
    """
    description = read_description(study)
    if study.judgements.exists() or description is None or not study.manifest.exists():
        return None
    table = find_judgements(source or StudyConfig.model_validate(description["study"]).data, root)
    if table is None:
        return None
    try:
        found = read_judgements(table, {clip.name: clip.category for clip in read_clips(study)})
    except RefusedError as error:
        return f"what people heard is left out: {error}"
    if found:
        write_csv(study.judgements, ("clip", "heard_as", "count"), map(astuple, found))
    return None
