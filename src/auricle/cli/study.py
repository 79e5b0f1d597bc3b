"""The commands that train, `study` and `train`, and `status`, which shows their progress."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auricle.cli.options import (
    Json,
    StudyOptions,
    TrainingOptions,
    complete_preset,
    complete_study,
    parse_numbers,
    protocol_names,
    required,
    say,
    split_list,
    verbosity,
    with_options,
)
from auricle.display.watching import watched
from auricle.errors import UsageError, count, listing

if TYPE_CHECKING:
    from auricle.config import StudyConfig
    from auricle.work.options import RunOptions


@with_options
def study(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|FILE",
            help="A study by name, or a YAML file. With --data alone, a new study of those recordings.",
            show_default=False,
            autocompletion=complete_study,
        ),
    ] = None,
    models: Annotated[str | None, typer.Option(metavar="A,B", help="Train only these models.")] = None,
    protocols: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Evaluation protocols: test-split, k-fold, official, random, random-split."),
    ] = None,
    folds: Annotated[str | None, typer.Option(metavar="2,3,...", help="Train only these folds.")] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="0,1,...", help="Train once with each of these random seeds.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Published results to compare with: four-reports, or a YAML file."),
    ] = None,
    status: Annotated[
        Path | None, typer.Option(metavar="DIR", hidden=True)
    ] = None,  # the former form of `auricle status`
    *,
    asked: StudyOptions,
) -> None:
    """Train every model of a study under each of its evaluation protocols, and write a report.

    A study that was stopped resumes where it stopped; a finished cell is never trained again.
    """
    from auricle.config import load_references, load_study, study_names
    from auricle.study.configure import own_study

    level = verbosity(context, asked.quiet, asked.verbose)
    if status is not None:
        from auricle.cli.results import print_status

        print_status(status, asked.json)
        return
    if name is not None and Path(name).is_dir() and name not in study_names():
        raise UsageError(
            f"{name} is a folder, not a study; for your own recordings: auricle study --data {shlex.quote(name)}"
        )
    if name or not asked.data:
        config = load_study(required(name, "study", (*study_names(), "--data DIR")))
    else:
        config = own_study(asked.data, group_by=asked.group_by, label=asked.label)
    chosen = split_list(models), protocol_names(protocols)
    cited = load_references(reference) if reference else None
    changes = {
        "models": chosen[0],
        "protocols": chosen[1],
        "seeds": parse_numbers(seeds, "--seeds"),
        "reference": cited,
    }
    if name is None and level >= 0:
        own = config.models, config.protocols
        listed = " under ".join(listing(given or default) for given, default in zip(chosen, own, strict=True))
        say(f"study {config.name}: {listed}; choose others with --models and --protocols")
    _configure_and_train(config, changes, asked, level, parse_numbers(folds, "--folds"))


def status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a study or a search, or its name in runs/.")],
    json: Json = False,
) -> None:
    """Show the progress of a study or a search: what is done, running, stopped or failed, and the time left."""
    from auricle.cli.results import print_status

    print_status(folder, json)


@with_options
def train(
    context: typer.Context,
    preset: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A model by name, or a YAML file.",
            show_default=False,
            autocompletion=complete_preset,
        ),
    ] = None,
    protocol: Annotated[
        str, typer.Option(metavar="NAME", help="Evaluation protocol: how the folds are used.")
    ] = "test-split",
    fold: Annotated[int | None, typer.Option(min=0, metavar="N", help="Train only this fold of the protocol.")] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Random seed.")] = 0,
    *,
    asked: StudyOptions,
) -> None:
    """Train one model (a study of one), by default on one split of the built-in sounds (--data toy).

    With --ray and several --workers, the workers train each cell together; each processes a share of every batch.
    """
    from auricle.config import StudyConfig, load_preset, preset_names

    level = verbosity(context, asked.quiet, asked.verbose)
    model = required(preset, "model", preset_names())
    config = StudyConfig(name=load_preset(model).name, models=(model,))
    changes = {"protocols": protocol_names(protocol), "seeds": (seed,)}
    _configure_and_train(
        config, changes, asked, level, None if fold is None else (fold,), together=asked.ray is not None
    )


def _configure_and_train(
    config: StudyConfig,
    changes: Mapping[str, Any],
    asked: StudyOptions,
    level: int,
    folds: Collection[int] | None,
    *,
    together: bool = False,
) -> None:
    """Train a study with the changes given as options; on a cluster, `together` trains each cell on all workers.

    Raises:
        UsageError: an option is wrong, or asks for a share of GPUs without a cluster.
    """
    from auricle.study.configure import configured
    from auricle.work.options import RunOptions
    from auricle.work.ray.cluster import RayOptions

    on_ray, workers = None, None if together else asked.workers
    if asked.ray is not None:
        gpus = 1.0 if asked.gpus is None else asked.gpus
        on_ray = RayOptions(asked.ray, gpus, (asked.workers or 1) if together else 1)
    elif asked.gpus is not None:
        raise UsageError(f"--gpus {asked.gpus:g} is a share of a cluster's GPUs; name the cluster with --ray")
    before = config
    config, root = configured(
        config,
        asked.data,
        asked.overrides,
        group_by=asked.group_by,
        label=asked.label,
        clip_s=asked.clip_s,
        allow_split_groups=asked.allow_split_groups or None,
        **changes,
    )
    if config.name != before.name and level >= 0:
        say(f"the data are not {before.data}, so the study is named {config.name}")
    options = RunOptions(root, asked.skip_bad, workers, asked.threads, asked.device, on_ray, typed_command())
    train_and_report(config, asked.out, options, asked, level, folds=folds)


def typed_command(instead: Mapping[str, str] | None = None) -> str:
    """Return the command as it was typed, for study.yaml; `instead` are texts to write for some of its values."""
    typed = sys.argv[1:]
    for value, text in (instead or {}).items():
        typed = [each.replace(value, text) for each in typed]
    return shlex.join(["auricle", *typed])


def train_and_report(
    config: StudyConfig,
    out: Path | None,
    options: RunOptions,
    asked: TrainingOptions,
    level: int,
    *,
    folds: Collection[int] | None = None,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Run a study, write its report and print the results; the exit code is 1 if cells failed.

    `more` is added to the JSON output.
    """
    from auricle.api.running import train_cells
    from auricle.cli.report import build
    from auricle.cli.results import print_json, print_locations, print_results
    from auricle.study.configure import STUDIES_FOLDER
    from auricle.tracking.tracking import choose_trackers

    folder = out or STUDIES_FOLDER / config.name
    trackers = choose_trackers(asked.tracker, asked.wandb)
    with watched(config.name, level) as listener, hint_when_stopped(folder):
        result = train_cells(config, folder, options, trackers, folds=folds, listener=listener)
    if not asked.json:
        print_results(result)
        sys.stdout.flush()
    files = {}
    if result.done and not asked.no_report:
        files = build(result.folder, level, root=options.root, probes=not asked.no_probes)
    if asked.json:
        print_json(result, files, more)
    else:
        print_locations(result, files)
    if result.failed:
        cells = count(len(result.done) + len(result.failed), "cell")
        say(f"auricle: {len(result.failed)} of {cells} failed; run the same command to try them again")
        raise typer.Exit(1)


@contextlib.contextmanager
def hint_when_stopped(folder: Path) -> Iterator[None]:
    """Print how to resume, when Ctrl-C or the system stops the block."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        say(f"auricle: stopped; run the same command to resume from {folder}")
        raise
