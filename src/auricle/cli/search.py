"""The command `search`: tune hyperparameters on the validation folds, then train the best set and test it once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auricle.cli import study as studies
from auricle.cli.options import TrainingOptions, required, verbosity, with_options

if TYPE_CHECKING:
    from auricle.search.search import SearchResult


@with_options
def search(
    context: typer.Context,
    space: Annotated[
        str | None,
        typer.Argument(metavar="SPACE|FILE", help="A search space by name, or a YAML file.", show_default=False),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Output folder. [default: runs/search-NAME]")] = None,
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
    from auricle.display.watching import search_watched
    from auricle.search.search import run_search
    from auricle.search.space import load_space, space_names
    from auricle.search.storage import TrialStorage
    from auricle.study.configure import STUDIES_FOLDER, configured
    from auricle.tracking.tracking import choose_trackers
    from auricle.work.options import RunOptions

    level = verbosity(context, asked.quiet, asked.verbose)
    config, root = configured(
        load_space(required(space, "space", space_names())),
        asked.data,
        asked.overrides,
        trials=trials,
        group_by=asked.group_by,
        label=asked.label,
        clip_s=asked.clip_s,
    )
    choose_trackers(asked.tracker, asked.wandb)  # refuses a wrong name now, not after the last trial
    folder = out or STUDIES_FOLDER / f"search-{config.name}"
    shown = TrialStorage(storage or "", "").shown  # without a password, which must not be recorded
    command = studies.typed_command({storage: shown} if storage else {})
    options = RunOptions(root, asked.skip_bad, asked.workers, asked.threads, device=asked.device, command=command)
    with search_watched(config.name, level) as listener, studies.hint_when_stopped(folder):
        result = run_search(config, folder, options, storage=storage, listener=listener)
    if not asked.json:
        _print(result)
        sys.stdout.flush()
    found = {"best": result.best, "importance": result.importance, "trials": list(result.entries)}
    studies.train_and_report(result.study, folder, options, asked, level, more={"search": found})


def _print(result: SearchResult) -> None:
    """Print the best set of values, with the importance of each parameter."""
    from rich.text import Text

    from auricle.cli.results import plain_table
    from auricle.display.search_progress import counts
    from auricle.display.terminal import Terminal
    from auricle.search.record import setting

    best = result.best
    table = plain_table("best set", "value", "importance")
    table.columns[0].no_wrap, table.columns[0].overflow = True, "ellipsis"
    for name, value in best["values"].items():
        share = result.importance.get(name)
        table.add_row(Text(name), setting(value), "–" if share is None else f"{100 * share:.0f} %")
    console = Terminal()
    console.print(table)
    score = f"validation loss {best['loss']:.3f}, accuracy {100 * best['accuracy']:.1f} %"
    console.print(Text(f"trial-{best['number']} of {counts(result.entries)}: {score}"), soft_wrap=True)
    console.print()
