"""The command `auricle`: verbs that parse, call and print. Nothing else prints or exits.

Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 failed, 2 usage, 3 data or
model refused, 5 the machine cannot do it now, 130 and 143 interrupted.
"""

import os
import sys
import traceback
from collections.abc import Sequence

import typer

from auricle.cli import data, demo, diagnose, export, models, predict, report, search, study
from auricle.cli.interrupts import interruptible
from auricle.cli.options import Quiet, Verbose, Verbosity, say, verbosity
from auricle.errors import AuricleError, MachineError
from auricle.system import num_threads

app = typer.Typer(
    help="Train small sound classifiers from scratch, and know honestly how good they are.",
    epilog="The whole way in two minutes, on built-in sounds: auricle study quickstart",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("study", short_help="Train models under protocols, and write the report.")(study.study)
app.command("train", short_help="Train one model.")(study.train)
app.command("search", short_help="Tune hyper-parameters, and score the best set once.")(search.search)
app.command("models", short_help="List the models, or show one layer by layer.")(models.models)
app.command("diagnose", short_help="Say why a training does not learn, and try cures.")(diagnose.diagnose)
app.add_typer(data.app, name="data")
app.command("report", short_help="Build a study's report again, from disk.")(report.report)
app.command("export", short_help="Make a bundle of a trained model, to give away.")(export.export)
app.command("predict", short_help="Detect classes in recordings, with start and end times.")(predict.predict)
app.command("listen", short_help="Say live what the microphone hears.")(predict.listen)
app.command("demo", short_help="Serve a web demo of trained models.")(demo.demo)


def _print_version(asked: bool) -> None:
    if asked:
        from auricle import __version__

        print(f"auricle {__version__}")
        raise typer.Exit


@app.callback()
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
    with interruptible():
        try:
            return _run(arguments)
        except KeyboardInterrupt:  # where the command was not yet, or not any more, at work
            return 130


def _run(arguments: Sequence[str] | None) -> int:
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # names of files need not be UTF-8
    os.environ.setdefault("OMP_NUM_THREADS", str(num_threads()))  # before numpy and PyTorch are loaded
    said = Verbosity()
    try:
        code = app(args=arguments, prog_name="auricle", standalone_mode=False, obj=said) or 0
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("AURICLE_DEBUG") or said.level > 1:
            traceback.print_exc()
        message, code = _explain(error)
        say(message)
        return code


def _explain(error: Exception) -> tuple[str, int]:
    """Return one line that says what happened, and the exit code for it."""
    line = " ".join(str(error).split())
    if isinstance(error, typer.TyperException):
        return _usage(error), error.exit_code
    if isinstance(error, AuricleError):
        code = error.exit_code
    elif isinstance(error, typer.Abort):
        line, code = "stopped, nothing was done", 1
    elif isinstance(error, MemoryError):
        line, code = "not enough memory; close other programs, or try fewer --workers", MachineError.exit_code
    elif isinstance(error, OSError):
        code = MachineError.exit_code
    else:
        what = f"{type(error).__name__}: {line}"
        line, code = f"internal error: {what} (AURICLE_DEBUG=1 shows where; please report it)", 1
    return f"auricle: {line}", code


def _usage(error: typer.TyperException) -> str:
    """Return what is wrong with the words of a command; the help, where there are no words at all."""
    message = error.format_message().strip()
    if "\n" in message:
        return message
    context = getattr(error, "ctx", None)
    return f"auricle: {message.rstrip('.')}; see {context.command_path if context else 'auricle'} --help"
