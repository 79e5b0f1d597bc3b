"""The command `auricle`: sub-commands that parse options, call the library and print. Nothing else prints or exits.

Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 failed, 2 usage, 3 data or
model refused, 5 the machine cannot do it now, 130 and 143 interrupted.
"""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module

import typer

from auricle.cli import streams
from auricle.cli.interrupts import interruptible
from auricle.cli.options import Quiet, Verbose, Verbosity, examples, say, verbosity
from auricle.cli.usage import usage_line
from auricle.errors import AuricleError, MachineError
from auricle.extras import missing_package
from auricle.system import disable_telemetry, is_out_of_memory, memory_hint, memory_limit, num_threads

# Address space, not memory, that a command needs to load its libraries; with less they hang or crash, without a message
LEAST_BYTES = {
    **dict.fromkeys(("study", "train", "search", "export", "diagnose"), 2_200_000_000),
    **dict.fromkeys(("report", "models"), 1_600_000_000),
    **dict.fromkeys(("check", "predict", "listen", "demo"), 450_000_000),
}
# The module, the command, which is the name of its function, what the command does, and examples
COMMANDS = (
    ("study", "study", "Train and compare models, and write a report.",
     ("auricle study quickstart", "auricle study --data ~/recordings --epochs 30")),
    ("study", "train", "Train one model.",
     ("auricle train tiny --data ~/recordings", "auricle train cnn --data esc10 --protocol k-fold --fold 2")),
    ("search", "search", "Tune hyperparameters, then test the best set once.",
     ("auricle search wide --data ~/recordings --trials 20",)),
    ("study", "status", "Show the progress of a study or a search.",
     ("auricle status runs/esc10",)),
    ("models", "models", "List the models, or show one layer by layer.",
     ("auricle models", "auricle models transformer-h4 --set encoder.num_blocks=4")),
    ("config", "config", "List all settings of a model, with range and meaning.",
     ("auricle config transformer-h4", "auricle config cnn --set training.epochs=20 --json")),
    ("diagnose", "diagnose", "Find out why a model does not learn, and try fixes.",
     ("auricle diagnose runs/esc10/cells/cnn/test-split-2-0 --epochs 5",)),
    ("report", "report", "Rebuild the report of a study.",
     ("auricle report runs/esc10", "auricle report runs/mine --data ~/recordings")),
    ("export", "export", "Export a trained model as a bundle or a web page.",
     ("auricle export runs/esc10 --model cnn --to bird-box",)),
    ("predict", "predict", "Detect classes in recordings, with start and end times.",
     ("auricle predict bird-box night.wav", "auricle predict bird-box recordings/ --out detections.csv")),
    ("predict", "listen", "Detect classes live, from the microphone.",
     ("auricle listen bird-box --threshold 0.7",)),
    ("demo", "demo", "Serve a web demo of trained models.",
     ("auricle demo runs/esc10 --model cnn",)),
    ("data", "check", "Check recordings for problems, and fix what is safe to fix.",
     ("auricle check esc10", "auricle check ~/recordings --html page.html --fix new.csv")),
)  # fmt: skip


@cache
def build_app(command: str = "") -> typer.Typer:
    """Return the command line, with one command alone where its name is given, as the others take time to load."""
    names = [name for _, name, _, _ in COMMANDS]
    app = typer.Typer(
        help="Train small sound classifiers from scratch, and measure honestly how good they are.",
        epilog="Try it in a few minutes, on built-in sounds: auricle study quickstart",
        no_args_is_help=True,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for module, name, about, example_commands in COMMANDS:
        if command == name or command not in names:
            function = getattr(import_module(f"auricle.cli.{module}"), name)
            app.command(name, short_help=about, epilog=examples(*example_commands))(function)
    if command not in names:
        app.add_typer(import_module("auricle.cli.data").app, name="data")
    return app


def _print_version(asked: bool) -> None:
    if asked:
        from auricle import __version__

        print(f"auricle {__version__}")
        raise typer.Exit


def _options(
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    verbosity(context, quiet, verbose)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; every expected failure is one line on standard error."""
    streams.open_closed()
    with interruptible(), streams.reader() as has_gone:
        try:
            return _run(arguments, has_gone)
        except KeyboardInterrupt:  # before the command began, or after it ended
            return 130
        finally:
            streams.discard_unread()


def _run(arguments: Sequence[str] | None, has_gone: Callable[[], bool]) -> int:
    is_exact = not sys.stdout.isatty() and sys.stdout.encoding.lower() == "utf-8"  # file names need not be UTF-8
    sys.stdout.reconfigure(errors="surrogateescape" if is_exact else streams.ESCAPED)  # type: ignore[union-attr]
    os.environ.setdefault("OMP_NUM_THREADS", str(num_threads()))  # before numpy and PyTorch are loaded
    disable_telemetry()
    verbosity_level = Verbosity()
    code = 0
    given = sys.argv[1:] if arguments is None else arguments
    command = next((each for each in given if not each.startswith("-")), "")
    try:
        if not {"-h", "--help"} & set(given):
            _check_memory(command)
        app = build_app(command)
        code = app(args=arguments, prog_name="auricle", standalone_mode=False, obj=verbosity_level) or 0
        sys.stdout.flush()
        return code
    except (Exception, SystemExit) as error:
        broken = next((each for each in (error, error.__context__) if isinstance(each, BrokenPipeError)), None)
        if broken and has_gone():  # the reader of our output has seen enough
            streams.discard(sys.stdout.fileno())
            return code
        if isinstance(error, SystemExit) and not broken:
            raise
        if os.environ.get("AURICLE_DEBUG") or verbosity_level.level > 1:
            for line in traceback.format_exc().splitlines():
                say(line)
        message, code = _explain(broken or error, command)
        for line in message.splitlines():
            say(line)
        return code


def _check_memory(command: str) -> None:
    """Refuse a command that a memory limit leaves no room for, before it loads libraries that would hang."""
    limit, least = memory_limit(), LEAST_BYTES.get(command, 0)
    if limit is not None and limit < least:
        raise MachineError(
            f"auricle {command} needs at least {least / 1e6:,.0f} MB of memory, but this process is limited to "
            f"{limit / 1e6:,.0f} MB; raise the limit (ulimit -v)"
        )


def _explain(error: BaseException, command: str) -> tuple[str, int]:
    """Return one line that says what happened in a command, and the exit code for it."""
    error = missing_package(error) or error
    line = " ".join(str(error).split())
    if isinstance(error, typer.TyperException):
        return usage_line(error, command), error.exit_code
    if isinstance(error, AuricleError):
        code = error.exit_code
    elif isinstance(error, typer.Abort):
        line, code = "cancelled; nothing was changed", 1
    elif is_out_of_memory(error):
        line, code = f"not enough memory; {memory_hint()}", MachineError.exit_code
    elif isinstance(error, OSError):
        code = MachineError.exit_code
    else:
        what = f"{type(error).__name__}: {line}"
        line, code = f"internal error: {what} (please report it; AURICLE_DEBUG=1 shows the traceback)", 1
    return f"auricle: {line}", code
