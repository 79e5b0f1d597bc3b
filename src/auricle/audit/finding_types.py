"""What can be wrong with a dataset: every kind of finding, how grave it is, and what to do about it."""

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, get_args

import yaml

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True)
class FindingType:
    """A kind of finding, as finding_types.yaml describes it."""

    severity: Severity
    name: str
    title: str
    fix: str
    leaves_out: bool = False


@dataclass(frozen=True)
class Finding:
    """One finding."""

    kind: str  # a name in `finding_types`
    reason: str  # what exactly was found
    clips: tuple[str, ...] = ()  # names of the clips that it is about; none where it is about a class, a folder or all


@cache
def finding_types() -> dict[str, FindingType]:
    """Return every kind of finding by its name, the gravest first."""
    text = resources.files("auricle.audit").joinpath("finding_types.yaml").read_text(encoding="utf-8")
    return {
        name: FindingType(severity, name, **row)
        for severity, rows in yaml.safe_load(text).items()
        for name, row in rows.items()
    }
