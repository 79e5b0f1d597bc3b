"""Options that several commands share, and how arguments on the command line become values."""

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
from auricle.files import is_special
from auricle.text import visible

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors only.")]
Verbose = Annotated[
    int,
    typer.Option(
        "--verbose", "-v", count=True, show_default=False, help="Print more detail; -vv also prints tracebacks."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for programs.")]


def _use_threads(threads: int | None) -> int | None:
    """Set the number of CPU threads of this process and its children, before numpy and PyTorch are loaded."""
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
    typer.Option(
        "--set",
        metavar="SECTION.FIELD=VALUE",
        help="Change a field of the configuration; repeatable. See: auricle config.",
    ),
]


def examples(*commands: str) -> str:
    """Return the examples at the end of a command's help, on lines of their own that are not wrapped."""
    title = "Example:" if len(commands) == 1 else "Examples:"
    return "\n  ".join((f"\b\n{title}", *commands))


def complete_preset() -> list[str]:
    """Return the names of models, for completion in a shell."""
    from auricle.config import preset_names

    return preset_names()


def complete_study() -> list[str]:
    """Return the names of studies, for completion in a shell."""
    from auricle.config import study_names

    return study_names()


def complete_source() -> list[str]:
    """Return the names of datasets, for completion in a shell."""
    from auricle.data.datasets import SOURCES

    return list(SOURCES)


Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="NAME|DIR|CSV",
        help="A dataset by name, or your own recordings: a folder or a CSV table. The folder of a known dataset is "
        "recognised by its table of clips.",
        autocompletion=complete_source,
    ),
]
Label = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN|PATTERN",
        help="Where the class label comes from: a column, or a pattern of file names such as '{class}_{speaker}_*'.",
    ),
]
GroupBy = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN|PATTERN",
        help="Which clips must stay in the same fold: a column, or a pattern of file names such as "
        "'{fold}-{source}-*'.",
    ),
]


@dataclass(frozen=True)
class TrainingOptions:
    """The options of every command that trains."""

    data: Data = None
    epochs: Annotated[int | None, typer.Option(metavar="N", help="Passes over the training clips.")] = None
    batch_size: Annotated[int | None, typer.Option(metavar="N", help="Windows per training step.")] = None
    learning_rate: Annotated[
        float | None, typer.Option(metavar="RATE", help="Learning rate. (Muon has a second one; see: auricle config.)")
    ] = None
    assignments: Set = None
    label: Label = None
    group_by: GroupBy = None
    clip_s: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Length to which clips are cut or padded. [default: from the data]"),
    ] = None
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Training processes in parallel. [default: one per core; on a GPU, as many as fit]"
        ),
    ] = None
    threads: Threads = None
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="Device.")] = "auto"
    tracker: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="wandb, tensorboard, mlflow. [default: wandb, if installed]"),
    ] = None
    wandb: Annotated[
        str | None,
        typer.Option(
            metavar="online|offline|off",
            help="Mode of Weights & Biases. [default: online if there is an API key, else offline]",
        ),
    ] = None
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Skip recordings that cannot be read.")] = False
    no_probes: Annotated[bool, typer.Option("--no-probes", help="Do not analyse what the trained models rely on.")] = (
        False
    )
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
        from auricle.study.configure import SHORT

        assigned = parse_overrides(self.assignments or ())
        short = {field: value for name, field in SHORT.items() if (value := getattr(self, name)) is not None}
        if twice := [field for field in short if field in assigned]:
            option = twice[0].partition(".")[2].replace("_", "-")
            raise UsageError(f"--{option} and --set {twice[0]} are the same; give one of them")
        return assigned | short


@dataclass(frozen=True)
class ClusterOptions:
    """The options that `search` lacks, as it trains on this machine only and does not change the folds."""

    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the study. [default: runs/NAME]")] = None
    allow_split_groups: Annotated[
        bool, typer.Option("--allow-split-groups", help="Allow folds that split a group; results are marked as leaky.")
    ] = False
    ray: Annotated[
        str | None, typer.Option(metavar="auto|HOST:PORT", help="Train on a Ray cluster (pip install 'auricle[ray]').")
    ] = None
    gpus: Annotated[
        float | None, typer.Option(metavar="SHARE", help="With --ray: share of a GPU per worker. [default: 1]")
    ] = None


@dataclass(frozen=True)
class StudyOptions(TrainingOptions, ClusterOptions):
    """The options of `study` and `train`."""


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command whose last parameter is a dataclass `asked` one option for each field of it."""
    signature, hints = inspect.signature(command), get_type_hints(command, include_extras=True)
    options_class, own = hints["asked"], [each for each in signature.parameters.values() if each.name != "asked"]
    types = get_type_hints(options_class, include_extras=True)
    shared = [
        inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=types[each.name])
        for each in fields(options_class)
    ]

    @functools.wraps(command)
    def with_each(**values: Any) -> None:
        of_command = {each.name: values.pop(each.name) for each in own}
        command(**of_command, asked=options_class(**values))

    parameters = [*(each.replace(annotation=hints[each.name]) for each in own), *shared]
    with_each.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return with_each


@dataclass
class Verbosity:
    """How much is printed on standard error: -1 errors only, 0 the usual, 1 and 2 more."""

    level: int = 0


def verbosity(context: typer.Context, quiet: bool, verbose: int) -> int:
    """Return the level, from the options before the command's name and those after it."""
    known = context.ensure_object(Verbosity)
    known.level = -1 if quiet or known.level < 0 else known.level + verbose
    return known.level


def split_list(text: str | None) -> tuple[str, ...] | None:
    """Split `a,b` at the commas; None stays None.

    >>> split_list("cnn, transformer-h1")
    ('cnn', 'transformer-h1')
    """
    return None if text is None else tuple(part.strip() for part in text.split(",") if part.strip())


def parse_numbers(text: str | None, option: str) -> tuple[int, ...] | None:
    """Read `0,1` as numbers; None stays None.

    >>> parse_numbers("0,2", "--seeds")
    (0, 2)

    Raises:
        UsageError: it is not a list of whole numbers.
    """
    from auricle.study.configure import check_numbers

    try:
        found = tuple(map(int, split_list(text) or ()))
    except ValueError:
        found = ()
    return None if text is None else check_numbers(found, option, text)


def refuse_to_overwrite(option: str, out: Path | None, inputs: Iterable[Path]) -> None:
    """Raise a UsageError if an output would replace a file that a command reads, under whatever name, or a device."""
    if out is not None and is_special(out):
        raise UsageError(f"{out} is a device or a pipe, and {option} writes a file; name a file")
    if out is not None and out.exists() and any(each.exists() and out.samefile(each) for each in inputs):
        raise UsageError(f"{out} is read by this command, and {option} would replace it; name another file")


def required(value: str | None, kind: str, valid: Iterable[str]) -> str:
    """Return the argument that names what a command works on.

    Raises:
        UsageError: it is missing; the message lists the valid names.
    """
    if value is None:
        raise UsageError(f"missing {kind.upper()}; available: {', '.join(valid)}")
    return value


def print_line(line: object) -> None:
    """Write one line of the result to standard output; on a terminal, control characters are spelt out."""
    print(visible(str(line)) if sys.stdout.isatty() else line, flush=True)


def protocol_names(text: str | None) -> tuple[str, ...] | None:
    """Read `a,b` as protocols; None stays None.

    Raises:
        UsageError: no such protocol.
    """
    from auricle.study.configure import check_protocols

    asked = split_list(text)
    return None if asked is None else tuple(dict.fromkeys(check_protocols(asked)))
