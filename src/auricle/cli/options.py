"""Options that several verbs share, and how words on the command line become values."""

import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from auricle.display.watching import say as say
from auricle.errors import UsageError
from auricle.text import visible

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
    typer.Option(
        min=1, metavar="N", callback=_use_threads, help="CPU threads per process. [default: $OMP_NUM_THREADS, else 1]"
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Change a field; repeatable. auricle config lists them."),
]


def examples(*commands: str) -> str:
    """Return the end of a verb's help, which no wrapping changes: commands that work as they stand."""
    title = "Example:" if len(commands) == 1 else "Examples:"
    return "\n  ".join((f"\b\n{title}", *commands))


def preset_words() -> list[str]:
    """Return what a shell may complete a model's name to."""
    from auricle.config import preset_names

    return preset_names()


def study_words() -> list[str]:
    """Return what a shell may complete a study's name to."""
    from auricle.config import study_names

    return study_names()


def source_words() -> list[str]:
    """Return what a shell may complete a dataset's name to."""
    from auricle.data.datasets import SOURCES

    return list(SOURCES)


Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="NAME|DIR|CSV",
        help="A dataset's name; or your own recordings: a folder, or a CSV. A folder whose table lists the clips of a "
        "named dataset is that dataset.",
        autocompletion=source_words,
    ),
]
Label = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN|PATTERN",
        help="What the class is: a column, or a pattern over names such as '{class}_{speaker}_*'.",
    ),
]
GroupBy = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN|PATTERN",
        help="What a split keeps together: a column, or a pattern over names such as '{fold}-{source}-*'.",
    ),
]


@dataclass(frozen=True)
class TrainingOptions:
    """What every verb that trains takes."""

    data: Data = None
    epochs: Annotated[int | None, typer.Option(metavar="N", help="Passes over the training clips.")] = None
    batch_size: Annotated[int | None, typer.Option(metavar="N", help="Windows in a step.")] = None
    learning_rate: Annotated[
        float | None, typer.Option(metavar="RATE", help="Learning rate; Muon has a second one: auricle config.")
    ] = None
    assignments: Set = None
    label: Label = None
    group_by: GroupBy = None
    clip_s: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Length to which clips are cut or padded. [default: as the data suggest]"),
    ] = None
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Processes that train at a time. [default: one a core; on a GPU one]"),
    ] = None
    threads: Threads = None
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="Device.")] = "auto"
    tracker: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="wandb, tensorboard, mlflow. [default: wandb, where it is installed]"),
    ] = None
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

    @property
    def overrides(self) -> dict[str, Any]:
        """Return the fields that the options set, by `section.field`.

        Raises:
            UsageError: one is set twice, or not as `--set` takes it.
        """
        from auricle.config import parse_overrides
        from auricle.study.asking import SHORT

        assigned = parse_overrides(self.assignments or ())
        short = {field: value for name, field in SHORT.items() if (value := getattr(self, name)) is not None}
        if twice := [field for field in short if field in assigned]:
            option = twice[0].partition(".")[2].replace("_", "-")
            raise UsageError(f"--{option} and --set {twice[0]} are the same; give one of them")
        return assigned | short


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
    from auricle.study.asking import check_numbers

    try:
        found = tuple(int(word) for word in words(text) or ())
    except ValueError:
        found = ()
    return None if text is None else check_numbers(found, option, text)


def required(value: str | None, kind: str, valid: Iterable[str]) -> str:
    """Return the word that names what a verb works on.

    Raises:
        UsageError: it is missing; the message lists the valid names.
    """
    if value is None:
        raise UsageError(f"missing {kind.upper()}; available: {', '.join(valid)}")
    return value


def print_line(line: object) -> None:
    """Write one line of the result to standard output: for a person on a terminal, else for a program as it is."""
    print(visible(str(line)) if sys.stdout.isatty() else line, flush=True)


def protocol_names(text: str | None) -> tuple[str, ...] | None:
    """Read `a,b` as protocols; None stays None.

    Raises:
        UsageError: no such protocol.
    """
    from auricle.study.asking import check_protocols

    asked = words(text)
    return None if asked is None else check_protocols(asked)
