"""Options that several verbs share, and how words on the command line become values."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from auricle.errors import UsageError, choices

if TYPE_CHECKING:
    from auricle.config import StudyConfig

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors only.")]
Verbose = Annotated[
    int, typer.Option("--verbose", "-v", count=True, show_default=False, help="Say more; -vv shows tracebacks.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for programs.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Change a field of every model; repeatable."),
]


@dataclass
class Verbosity:
    """How much is said on standard error: -1 errors only, 0 the usual, 1 and 2 more."""

    level: int = 0


def verbosity(context: typer.Context, quiet: bool, verbose: int) -> int:
    """Return the level, from the options before the verb and those after it."""
    said = context.ensure_object(Verbosity)
    said.level = -1 if quiet or said.level < 0 else said.level + verbose
    return said.level


def words(text: str | None) -> tuple[str, ...] | None:
    """Split `a,b` at the commas; None stays None.

    >>> words("cnn, transformer-h1")
    ('cnn', 'transformer-h1')
    """
    return None if text is None else tuple(word.strip() for word in text.split(",") if word.strip())


def numbers(text: str | None, option: str) -> tuple[int, ...] | None:
    """Read `0,1` as numbers; None stays None.

    >>> numbers("0,2", "--seeds")
    (0, 2)

    Raises:
        UsageError: something else stands there.
    """
    try:
        found = None if text is None else tuple(int(word) for word in words(text) or ())
    except ValueError:
        found = ()
    if found == () or any(number < 0 for number in found or ()):
        raise UsageError(f"{option} takes whole numbers from 0 on, such as 0,1,2, not {text!r}")
    return found


def required(value: str | None, kind: str, valid: Iterable[str]) -> str:
    """Return the word that names what a verb works on.

    Raises:
        UsageError: it is missing; the message lists the valid names.
    """
    if value is None:
        raise UsageError(f"name a {kind}. Valid: {', '.join(valid)}")
    return value


def say(line: str) -> None:
    """Write one line to standard error; if nobody reads it any more, the work goes on all the same."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def protocol_names(text: str | None) -> tuple[str, ...] | None:
    """Read `a,b` as protocols; None stays None.

    Raises:
        UsageError: no such protocol.
    """
    from auricle.config import ProtocolName

    asked = words(text)
    for protocol in asked or ():
        if protocol not in get_args(ProtocolName):
            raise choices("protocol", protocol, list(get_args(ProtocolName)))
    return asked


def resolve(
    config: StudyConfig, data: str | None, assignments: list[str] | None, **changes: Any
) -> tuple[StudyConfig, Path | None]:
    """Return the study as asked for, and the folder of named datasets if `--data` names that.

    Raises:
        UsageError: no such field, or a value out of range.
    """
    from auricle.config import parse_overrides, revalidated

    source, root = find_data(data, config.data)
    overrides = config.overrides | parse_overrides(assignments or ())
    asked = {field: value for field, value in changes.items() if value is not None}
    return revalidated(config, data=source, overrides=overrides, **asked), root


def find_data(asked: str | None, own: str) -> tuple[str, Path | None]:
    """Return the source that `--data` means, and the folder of named datasets if it means that.

    A name is a name. A folder in which the study's own dataset lies, itself or below, is where to look for it.
    Everything else is a person's own recordings.
    """
    from auricle.data.datasets import SOURCES, find_dataset

    if asked is None or asked in SOURCES:
        return asked or own, None
    named = own in SOURCES and own != "toy"
    if named and Path(asked).expanduser().is_dir() and find_dataset(own, Path(asked).expanduser()):
        return own, Path(asked).expanduser()
    return asked, None
