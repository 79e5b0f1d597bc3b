"""The command `auricle`: verbs that parse, call and print. Nothing else prints or exits.

Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 failed, 2 usage, 3 data or
model refused, 5 the machine cannot do it now, 130 and 143 interrupted.
"""

import os
import sys
import traceback
from collections.abc import Callable, Sequence

import typer

from auricle.cli import config, data, demo, diagnose, export, models, predict, report, search, streams, study
from auricle.cli.interrupts import interruptible
from auricle.cli.options import Quiet, Verbose, Verbosity, examples, say, verbosity
from auricle.cli.usage import usage_line
from auricle.errors import AuricleError, MachineError
from auricle.extras import missing_package
from auricle.system import disable_telemetry, is_out_of_memory, memory_hint, memory_limit, num_threads

# What a verb takes that only loads them; with less, numerical libraries wait for ever or crash
LEAST_BYTES = {
    **dict.fromkeys(("study", "train", "search", "export", "diagnose"), 2_200_000_000),  # of address space, not memory
    **dict.fromkeys(("report", "models"), 1_600_000_000),
    **dict.fromkeys(("check", "predict", "listen", "demo"), 450_000_000),
}
app = typer.Typer(
    help="Train small sound classifiers from scratch, and know honestly how good they are.",
    epilog="In two minutes, on built-in sounds: auricle study quickstart",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
VERBS = (
    (study.study, "study", "Train models under protocols, and write the report.",
     ("auricle study quickstart", "auricle study --data ~/recordings --epochs 30")),
    (study.train, "train", "Train one model.",
     ("auricle train tiny --data ~/recordings", "auricle train cnn --data esc10 --protocol k-fold --fold 2")),
    (search.search, "search", "Tune hyper-parameters, and score the best set once.",
     ("auricle search wide --data ~/recordings --trials 20",)),
    (study.how_far, "status", "Say how far a study or a search is.",
     ("auricle status runs/esc10",)),
    (models.models, "models", "List the models, or show one layer by layer.",
     ("auricle models", "auricle models transformer-h4 --set encoder.num_blocks=4")),
    (config.config, "config", "List every field of a model, with range and meaning.",
     ("auricle config transformer-h4", "auricle config cnn --set training.epochs=20 --json")),
    (diagnose.diagnose, "diagnose", "Say why a training does not learn, and try cures.",
     ("auricle diagnose runs/esc10/cells/cnn/test-split-2-0 --epochs 5",)),
    (report.report, "report", "Rebuild a study's report, from disk.",
     ("auricle report runs/esc10", "auricle report runs/mine --data ~/recordings")),
    (export.export, "export", "Make a bundle of a trained model, to give away.",
     ("auricle export runs/esc10 --model cnn --to bird-box",)),
    (predict.predict, "predict", "Detect classes in recordings, with start and end times.",
     ("auricle predict bird-box night.wav", "auricle predict bird-box recordings/ --out detections.csv")),
    (predict.listen, "listen", "Say live what the microphone hears.",
     ("auricle listen bird-box --threshold 0.7",)),
    (demo.demo, "demo", "Serve a web demo of trained models.",
     ("auricle demo runs/esc10 --model cnn",)),
    (data.check, "check", "Say what is in recordings, what is wrong with them, and mend it.",
     data.CHECKED),
)  # fmt: skip
for verb, name, about, commands in VERBS:
    app.command(name, short_help=about, epilog=examples(*commands))(verb)
app.add_typer(data.app, name="data")


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
    streams.open_closed()
    with interruptible(), streams.reader() as has_gone:
        try:
            return _run(arguments, has_gone)
        except KeyboardInterrupt:  # where the command was not yet, or not any more, at work
            return 130
        finally:
            streams.discard_unread()


def _run(arguments: Sequence[str] | None, has_gone: Callable[[], bool]) -> int:
    is_exact = not sys.stdout.isatty() and sys.stdout.encoding.lower() == "utf-8"  # names of files need not be UTF-8
    sys.stdout.reconfigure(errors="surrogateescape" if is_exact else "backslashreplace")  # type: ignore[union-attr]
    os.environ.setdefault("OMP_NUM_THREADS", str(num_threads()))  # before numpy and PyTorch are loaded
    disable_telemetry()
    said = Verbosity()
    code = 0
    try:
        _check_memory(sys.argv[1:] if arguments is None else arguments)
        code = app(args=arguments, prog_name="auricle", standalone_mode=False, obj=said) or 0
        sys.stdout.flush()
        return code
    except (Exception, SystemExit) as error:
        broken = next((each for each in (error, error.__context__) if isinstance(each, BrokenPipeError)), None)
        if broken and has_gone():  # the reader of our output has seen enough
            streams.discard(sys.stdout.fileno())
            return code
        if isinstance(error, SystemExit) and not broken:
            raise
        if os.environ.get("AURICLE_DEBUG") or said.level > 1:
            for line in traceback.format_exc().splitlines():
                say(line)
        message, code = _explain(broken or error)
        for line in message.splitlines():
            say(line)
        return code


def _check_memory(arguments: Sequence[str]) -> None:
    """Refuse a verb that a limit on memory leaves no room for, before it loads what would not return."""
    verb = next((word for word in arguments if not word.startswith("-")), "")
    limit, least = memory_limit(), LEAST_BYTES.get(verb, 0)
    if limit is not None and limit < least and not {"-h", "--help"} & set(arguments):
        raise MachineError(
            f"auricle {verb} needs {least / 1e6:,.0f} MB of memory or more, and this process may take "
            f"{limit / 1e6:,.0f} MB only; raise that limit (ulimit -v)"
        )


def _explain(error: BaseException) -> tuple[str, int]:
    """Return one line that says what happened, and the exit code for it."""
    error = missing_package(error) or error
    line = " ".join(str(error).split())
    if isinstance(error, typer.TyperException):
        return usage_line(error), error.exit_code
    if isinstance(error, AuricleError):
        code = error.exit_code
    elif isinstance(error, typer.Abort):
        line, code = "stopped, nothing was done", 1
    elif is_out_of_memory(error):
        line, code = f"not enough memory; {memory_hint()}", MachineError.exit_code
    elif isinstance(error, OSError):
        code = MachineError.exit_code
    else:
        what = f"{type(error).__name__}: {line}"
        line, code = f"internal error: {what} (AURICLE_DEBUG=1 shows where; please report it)", 1
    return f"auricle: {line}", code
