"""The verbs that train: `study` and `train`."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auricle.cli.options import (
    Json,
    Quiet,
    Set,
    Verbose,
    numbers,
    protocol_names,
    required,
    resolve,
    say,
    verbosity,
    words,
)
from auricle.errors import UsageError

if TYPE_CHECKING:
    from auricle.config import StudyConfig
    from auricle.study.listener import Listener
    from auricle.work.options import RunOptions
    from auricle.work.ray.cluster import RayOptions

Data = Annotated[
    str | None,
    typer.Option(
        metavar="SOURCE|DIR",
        help="A dataset's name; or a folder of class folders, or a CSV; or the folder that holds the study's dataset.",
    ),
]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="The study's folder. [default: runs/NAME]")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes that train at a time. [default: one a core; on a GPU one]")
]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="Device.")]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="CPU threads per worker. [default: the cores divided; with --ray 1]"),
]
Ray = Annotated[
    str | None, typer.Option(metavar="auto|HOST:PORT", help="Train on a Ray cluster (pip install 'auricle[ray]').")
]
Gpus = Annotated[
    float | None, typer.Option(metavar="SHARE", help="With --ray: share of a GPU that each takes. [default: 1]")
]
Wandb = Annotated[
    str | None,
    typer.Option(
        metavar="online|offline|off", help="Weights & Biases. [default: online if there is a key, else offline]"
    ),
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out recordings that cannot be read.")]
GroupBy = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN|PATTERN",
        help="What a split keeps together: a column, or a pattern over names such as '{fold}-{source}-*'.",
    ),
]
AllowSplitGroups = Annotated[
    bool,
    typer.Option("--allow-split-groups", help="Allow folds that split a group; results are marked as leaky."),
]
NoReport = Annotated[bool, typer.Option("--no-report", help="Do not write the report.")]


def study(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME|FILE", help="A study of the package, or a YAML file.", show_default=False),
    ] = None,
    data: Data = None,
    out: Out = None,
    assignments: Set = None,
    models: Annotated[str | None, typer.Option(metavar="A,B", help="Only these models.")] = None,
    protocols: Annotated[str | None, typer.Option(metavar="A,B", help="test-split, k-fold, official, random.")] = None,
    folds: Annotated[str | None, typer.Option(metavar="2,3,...", help="Only these folds of the protocols.")] = None,
    seeds: Annotated[str | None, typer.Option(metavar="0,1,...", help="Train with each of these seeds.")] = None,
    group_by: GroupBy = None,
    allow_split_groups: AllowSplitGroups = False,
    workers: Workers = None,
    device: Device = "auto",
    threads: Threads = None,
    ray: Ray = None,
    gpus: Gpus = None,
    wandb: Wandb = None,
    skip_bad: SkipBad = False,
    no_report: NoReport = False,
    status: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Only say how far the study or the search in this folder is."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Train all models of a study under all its protocols, and write the report.

    A study that was stopped goes on where it stood; a finished cell is never trained again.
    """
    from auricle.config import load_study, study_names
    from auricle.work.options import RunOptions

    level = verbosity(context, quiet, verbose)
    if status is not None:
        from auricle.cli.results import print_status

        print_status(status, json)
        return
    config = load_study(required(name, "study", study_names()))
    changes: dict[str, Any] = {
        "models": words(models), "protocols": protocol_names(protocols), "seeds": numbers(seeds, "--seeds")
    }  # fmt: skip
    changes |= {"group_by": group_by, "allow_split_groups": allow_split_groups or None}
    config, root = resolve(config, data, assignments, **changes)
    options = RunOptions(root, skip_bad, workers, threads, device, cluster(ray, gpus), typed_command())
    show = Shown(level, json, not no_report)
    train_and_report(config, out, options, show, folds=numbers(folds, "--folds"), wandb=wandb)


def train(
    context: typer.Context,
    preset: Annotated[
        str | None, typer.Argument(metavar="PRESET", help="A model of the package, or a YAML file.", show_default=False)
    ] = None,
    data: Data = None,
    out: Out = None,
    assignments: Set = None,
    protocol: Annotated[str, typer.Option(help="How the folds are used.")] = "test-split",
    fold: Annotated[int | None, typer.Option(min=0, help="One fold of the protocol only.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    group_by: GroupBy = None,
    allow_split_groups: AllowSplitGroups = False,
    workers: Workers = None,
    device: Device = "auto",
    threads: Threads = None,
    ray: Ray = None,
    gpus: Gpus = None,
    wandb: Wandb = None,
    skip_bad: SkipBad = False,
    no_report: NoReport = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Train one model: a study of one, by default on one split of the built-in sounds (--data toy).

    With --ray and several --workers these train each cell together, each its share of every batch.
    """
    from auricle.config import StudyConfig, load_preset, preset_names
    from auricle.work.options import RunOptions

    level = verbosity(context, quiet, verbose)
    model = required(preset, "model", preset_names())
    config = StudyConfig(name=load_preset(model).name, models=(model,))
    changes: dict[str, Any] = {"protocols": protocol_names(protocol), "seeds": (seed,)}
    changes |= {"group_by": group_by, "allow_split_groups": allow_split_groups or None}
    config, root = resolve(config, data, assignments, **changes)
    on_ray = cluster(ray, gpus, together=workers or 1)
    options = RunOptions(root, skip_bad, None if ray else workers, threads, device, on_ray, typed_command())
    show = Shown(level, json, not no_report)
    train_and_report(config, out, options, show, folds=None if fold is None else {fold}, wandb=wandb)


def cluster(address: str | None, gpus: float | None, together: int = 1) -> RayOptions | None:
    """Return how a cluster is asked for, if it is.

    Raises:
        UsageError: a share of its GPUs without a cluster.
    """
    from auricle.work.ray.cluster import RayOptions

    if address is None:
        if gpus is not None:
            raise UsageError(f"--gpus {gpus:g} is a share of the GPUs of a cluster; name that with --ray")
        return None
    return RayOptions(address, 1.0 if gpus is None else gpus, together)


def typed_command() -> str:
    """Return the command as a person typed it, for the record."""
    return shlex.join(["auricle", *sys.argv[1:]])


@dataclass(frozen=True)
class Shown:
    """What of a run is shown: how much on the way, one document for programs or tables, and whether a report."""

    level: int
    as_json: bool
    report: bool


def train_and_report(
    config: StudyConfig,
    out: Path | None,
    options: RunOptions,
    show: Shown,
    *,
    folds: Collection[int] | None = None,
    wandb: str | None = None,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Run a study, write its report and print what came out; failed cells make exit code 1.

    What is in `more` goes into the document for programs. The mode of W&B is chosen by `tracking.choose_mode`.
    """
    from auricle.cli.report import build
    from auricle.cli.results import print_json, print_places, print_results
    from auricle.study.plan import folder_of
    from auricle.study.study import run_study
    from auricle.tracking.tracking import choose_mode, mirrored

    folder, mode = out or folder_of(config), choose_mode(wandb)
    with watched(config.name, show.level) as listener, hint_when_stopped(folder):
        beside = mirrored(mode, listener.note)
        result = run_study(config, folder, options, folds=folds, listener=listener, beside=beside)
    if not show.as_json:
        print_results(result)
        sys.stdout.flush()
    files = build(result.folder, show.level, root=options.root) if show.report and result.done else {}
    if show.as_json:
        print_json(result, files, more)
    else:
        print_places(result, files)
    if result.failed:
        num_cells = len(result.done) + len(result.failed)
        say(f"auricle: {len(result.failed)} of {num_cells} cells failed; the same command tries them again")
        raise typer.Exit(1)


@contextlib.contextmanager
def watched(title: str, level: int) -> Iterator[Listener]:
    """Give the listener for this standard error: a display on a terminal, lines elsewhere, or nothing."""
    from auricle.study.listener import Listener

    if level < 0:
        yield Listener()
    elif sys.stderr.isatty() and level == 0:
        from rich.console import Console

        from auricle.cli.live import Display

        display = Display(title, Console(stderr=True))
        with display.shown():
            yield display
    else:
        from auricle.cli.progress import Lines

        yield Lines(say, level)


@contextlib.contextmanager
def hint_when_stopped(folder: Path) -> Iterator[None]:
    """Say how to go on, when a person or the system stops the block."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        say(f"auricle: stopped; the same command goes on from {folder}")
        raise
