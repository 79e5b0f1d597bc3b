"""The exceptions that the command line turns into exit codes, and helpers for their messages.

Every message is one line: the rule that was broken, the value that broke it, what to do next.
"""

from collections.abc import Iterable

MOST_NAMED, FIRST_NAMED = 10, 6  # items listed in a sentence: all if there are at most 10, else the first 6


class AuricleError(Exception):
    """Something failed while running; exit code 1."""

    exit_code = 1


class UsageError(AuricleError):
    """The request itself is wrong: a name, a field, a value; exit code 2."""

    exit_code = 2


class RefusedError(AuricleError):
    """The data or the model is refused, and the message says why; exit code 3."""

    exit_code = 3


class ModelRefusedError(RefusedError):
    """The model fails on a recording that is fine, so the model is refused."""


class MachineError(AuricleError):
    """The machine cannot do it now: disk, lock, port, memory; exit code 5."""

    exit_code = 5


class DivergedError(AuricleError):
    """A training produced a loss or a gradient that is not finite; the cell fails, the study continues."""


EXIT_CODES = {  # of the command; the classes above say which failure ends with which
    0: "done",
    1: "failed while running: a training, a report, an internal error",
    2: "wrong usage: a name, an option, a value",
    3: "data or a model refused, or `check` found what must be fixed; the message names the file and the reason",
    5: "the machine cannot do it now: disk, lock, port, memory, network",
    130: "interrupted by Ctrl-C; the same command resumes",
    143: "ended by the system (SIGTERM); the same command resumes",
}


def count(number: float, noun: str, plural: str | None = None) -> str:
    """Write a number and its noun.

    >>> count(1, "cell"), count(1200, "class", "classes"), count(1.0, "epoch"), count(0.5, "epoch")
    ('1 cell', '1,200 classes', '1 epoch', '0.5 epochs')
    """
    return f"{number:,}".removesuffix(".0") + f" {noun if number == 1 else plural or noun + 's'}"


def listing(items: Iterable[object], last: str = "and") -> str:
    """Join items as in a sentence; if there are very many, the first few, and how many more.

    >>> listing(["a", "b", "c"])
    'a, b and c'
    >>> listing("abcdefghijk")
    'a, b, c, d, e, f and 5 more'
    """
    texts = [str(item) for item in items]
    if len(texts) > MOST_NAMED:
        texts[FIRST_NAMED:] = [f"{len(texts) - FIRST_NAMED} more"]
    return f" {last} ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def choices(name: str, value: str, valid: "list[str]") -> UsageError:
    """Return the error for a misspelt name, with the nearest valid one first.

    >>> str(choices("preset", "cnm", ["cnn", "transformer-h1"]))
    "no preset 'cnm': did you mean 'cnn'? Available: cnn, transformer-h1"
    """
    from difflib import get_close_matches

    near = get_close_matches(value, valid, n=1)
    hint = f": did you mean {near[0]!r}? " if near else ". "
    return UsageError(f"no {name} {value[:100]!r}{hint}Available: {', '.join(valid)}")
