"""Options that several verbs share, and how words on the command line become values."""

import contextlib
import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import typer

from auricle.errors import UsageError, choices

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors only.")]
Verbose = Annotated[
    int, typer.Option("--verbose", "-v", count=True, show_default=False, help="Say more; -vv shows tracebacks.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for programs.")]


def _use_threads(threads: int | None) -> int | None:
    """Let this process and those that it starts compute with so many threads; numpy and PyTorch are not loaded yet."""
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)
    return threads


Threads = Annotated[
    int | None,
    typer.Option(min=1, callback=_use_threads, help="CPU threads per process. [default: $OMP_NUM_THREADS, else 1]"),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Change a field of every model; repeatable."),
]


@dataclass(frozen=True)
class TrainingOptions:
    """What every verb that trains takes."""

    data: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE|DIR",
            help="A dataset's name; or a folder of class folders, or a CSV; "
            "or the folder that holds the study's dataset.",
        ),
    ] = None
    assignments: Set = None
    group_by: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN|PATTERN",
            help="What a split keeps together: a column, or a pattern over names such as '{fold}-{source}-*'.",
        ),
    ] = None
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that train at a time. [default: one a core; on a GPU one]")
    ] = None
    threads: Threads = None
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="Device.")] = "auto"
    wandb: Annotated[
        str | None,
        typer.Option(
            metavar="online|offline|off", help="Weights & Biases. [default: online if there is a key, else offline]"
        ),
    ] = None
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out recordings that cannot be read.")] = False
    no_probes: Annotated[bool, typer.Option("--no-probes", help="Do not measure what the trained models use.")] = False
    no_report: Annotated[bool, typer.Option("--no-report", help="Do not write the report.")] = False
    json: Json = False
    quiet: Quiet = False
    verbose: Verbose = 0


@dataclass(frozen=True)
class ClusterOptions:
    """What `search` does not take, as it trains on this machine and leaves the folds alone."""

    out: Annotated[Path | None, typer.Option(metavar="DIR", help="The study's folder. [default: runs/NAME]")] = None
    allow_split_groups: Annotated[
        bool, typer.Option("--allow-split-groups", help="Allow folds that split a group; results are marked as leaky.")
    ] = False
    ray: Annotated[
        str | None, typer.Option(metavar="auto|HOST:PORT", help="Train on a Ray cluster (pip install 'auricle[ray]').")
    ] = None
    gpus: Annotated[
        float | None, typer.Option(metavar="SHARE", help="With --ray: share of a GPU that each takes. [default: 1]")
    ] = None


@dataclass(frozen=True)
class StudyOptions(TrainingOptions, ClusterOptions):
    """What `study` and `train` take."""


def with_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Let a verb whose last parameter is a dataclass `asked` take each field of it as an option of its own."""
    signature, hints = inspect.signature(verb), get_type_hints(verb, include_extras=True)
    asked_as, own = hints["asked"], [each for each in signature.parameters.values() if each.name != "asked"]
    types = get_type_hints(asked_as, include_extras=True)
    shared = [
        inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=types[each.name])
        for each in fields(asked_as)
    ]

    @functools.wraps(verb)
    def with_each(**values: Any) -> None:
        of_verb = {each.name: values.pop(each.name) for each in own}
        verb(**of_verb, asked=asked_as(**values))

    parameters = [*(each.replace(annotation=hints[each.name]) for each in own), *shared]
    with_each.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return with_each


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
