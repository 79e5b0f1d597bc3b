"""The command `search`: tune hyperparameters on the validation folds, then train the best set and test it once."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auricle.cli import study as studies
from auricle.cli.options import TrainingOptions, required, say, verbosity, with_options

if TYPE_CHECKING:
    from auricle.search.search import SearchResult
    from auricle.study.listener import Listener


@with_options
def search(
    context: typer.Context,
    space: Annotated[
        str | None,
        typer.Argument(metavar="SPACE|FILE", help="A search space by name, or a YAML file.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the search. [default: runs/search-NAME]")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Number of trials. [default: from the space]")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Optuna storage, to share between machines. [default: a journal in the folder]"
        ),
    ] = None,
    *,
    asked: TrainingOptions,
) -> None:
    """Tune hyperparameters on the validation folds, then train the best set and test it once on the test fold.

    A search that was stopped resumes where it stopped. The test fold is not even loaded before the best set is known.
    """
    from auricle.config import revalidated
    from auricle.search.search import run_search
    from auricle.search.space import load_space, space_names
    from auricle.search.storage import TrialStorage
    from auricle.study.configure import STUDIES_FOLDER, find_data, merge_overrides, renamed
    from auricle.work.options import RunOptions

    level = verbosity(context, asked.quiet, asked.verbose)
    config = load_space(required(space, "space", space_names()))
    source, root = find_data(asked.data, config.data)
    config = renamed(config, source)
    overrides = merge_overrides(config.overrides, asked.overrides)
    changes = {
        "trials": trials or config.trials,
        "group_by": asked.group_by or config.group_by,
        "label": asked.label or config.label,
        "clip_s": asked.clip_s or config.clip_s,
    }
    config = revalidated(config, overrides=overrides, **changes)
    folder = out or STUDIES_FOLDER / f"search-{config.name}"
    command = studies.typed_command()
    if storage:  # it may contain a password, which must not be recorded
        command = command.replace(shlex.quote(storage), shlex.quote(TrialStorage(storage, "").shown))
    options = RunOptions(root, asked.skip_bad, asked.workers, asked.threads, device=asked.device, command=command)
    with _watched(config.name, level) as listener, studies.hint_when_stopped(folder):
        result = run_search(config, folder, options, storage=storage, listener=listener)
    if not asked.json:
        _print(result)
        sys.stdout.flush()
    found = {"best": result.best, "importance": result.importance, "trials": list(result.entries)}
    studies.train_and_report(result.study, folder, options, asked, level, more={"search": found})


@contextlib.contextmanager
def _watched(title: str, level: int) -> Iterator[Listener]:
    """Give the listener for this standard error: lines and, on a terminal, a status line below them."""
    from auricle.cli.search_progress import SearchLines
    from auricle.study.listener import Listener

    if level < 0:
        yield Listener()
    elif sys.stderr.isatty() and level == 0:
        from rich.text import Text

        from auricle.display.terminal import Terminal

        console = Terminal(stderr=True)
        with console.status(Text(f"search {title}")) as status:
            yield SearchLines(
                lambda line: console.print(Text(line), soft_wrap=True), level, lambda text: status.update(Text(text))
            )
    else:
        yield SearchLines(say, level)


def _print(result: SearchResult) -> None:
    """Print the best set of values, with the importance of each parameter."""
    from rich.text import Text

    from auricle.cli.results import plain_table
    from auricle.cli.search_progress import counts, plain
    from auricle.display.terminal import Terminal

    best = result.best
    table = plain_table("best set", "value", "importance")
    table.columns[0].no_wrap, table.columns[0].overflow = True, "ellipsis"
    for name, value in best["values"].items():
        share = result.importance.get(name)
        table.add_row(Text(name), plain(value), "–" if share is None else f"{100 * share:.0f} %")
    console = Terminal()
    console.print(table)
    score = f"validation loss {best['loss']:.3f}, accuracy {100 * best['accuracy']:.1f} %"
    console.print(Text(f"trial-{best['number']} of {counts(result.entries)}: {score}"), soft_wrap=True)
    console.print()
