"""The verbs that train, `study` and `train`, and `status`, which says how far they are."""

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
    find_data,
    name_of,
    numbers,
    preset_words,
    protocol_names,
    renamed,
    required,
    say,
    study_words,
    verbosity,
    with_options,
    words,
)
from auricle.errors import UsageError

if TYPE_CHECKING:
    from auricle.config import ProtocolName, StudyConfig
    from auricle.study.listener import Listener
    from auricle.work.options import RunOptions


OWN_MODELS = ("cnn", "transformer-h4")  # of a study that has no name: one of each architecture
OWN_PROTOCOLS: tuple[ProtocolName, ...] = ("test-split", "official")  # a model to export, and a score on every clip
TEST_SET_PROTOCOLS: tuple[ProtocolName, ...] = ("test-split", "k-fold")  # where clips are set apart to test on


@with_options
def study(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|FILE",
            help="A study of the package, or a YAML file; none, with --data: a study of those recordings.",
            show_default=False,
            autocompletion=study_words,
        ),
    ] = None,
    models: Annotated[str | None, typer.Option(metavar="A,B", help="Only these models.")] = None,
    protocols: Annotated[
        str | None, typer.Option(metavar="A,B", help="test-split, k-fold, official, random, random-split.")
    ] = None,
    folds: Annotated[str | None, typer.Option(metavar="2,3,...", help="Only these folds of the protocols.")] = None,
    seeds: Annotated[str | None, typer.Option(metavar="0,1,...", help="Train with each of these seeds.")] = None,
    reference: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Results of others, to set beside those measured: a YAML file."),
    ] = None,
    status: Annotated[Path | None, typer.Option(metavar="DIR", hidden=True)] = None,  # what `auricle status` was
    *,
    asked: StudyOptions,
) -> None:
    """Train all models of a study under all its protocols, and write the report.

    A study that was stopped goes on where it stood; a finished cell is never trained again.
    """
    from auricle.config import load_references, load_study, study_names

    level = verbosity(context, asked.quiet, asked.verbose)
    if status is not None:
        how_far(status, asked.json)
        return
    if name is not None and Path(name).is_dir() and name not in study_names():
        raise UsageError(
            f"{name} is a folder, not a study; for your own recordings: auricle study --data {shlex.quote(name)}"
        )
    config = (
        load_study(required(name, "study", (*study_names(), "--data DIR"))) if name or not asked.data else _own(asked)
    )
    chosen = words(models) or config.models, protocol_names(protocols) or config.protocols
    cited = load_references(reference) if reference else None
    changes = {
        "models": chosen[0],
        "protocols": chosen[1],
        "seeds": numbers(seeds, "--seeds"),
        "reference": cited,
    }
    if name is None and level >= 0:
        listed = " under ".join(map(" and ".join, chosen))
        say(f"study {config.name}: {listed}; --models and --protocols choose others")
    _train_as_asked(config, changes, asked, level, numbers(folds, "--folds"))


def how_far(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder of a study or a search, or its name in runs/.")
    ],
    json: Json = False,
) -> None:
    """Say how far a study or a search is: what is done, running, stopped and failed, and the time left.

    `auricle study --status DIR` does the same.
    """
    from auricle.cli.results import print_status

    print_status(folder, json)


def _own(asked: StudyOptions) -> StudyConfig:
    """Return the study of the package on a named dataset; of other data one that is named as they are."""
    from auricle.config import StudyConfig, load_study, study_names
    from auricle.data.datasets import survey

    assert asked.data is not None
    source, root = find_data(asked.data)
    if source in study_names():
        return load_study(source)
    described = survey(source, root=root, group_by=asked.group_by, label=asked.label, cuts=False).manifest
    protocols = TEST_SET_PROTOCOLS if described.has_test_set else OWN_PROTOCOLS
    return StudyConfig(name=name_of(source), data=source, models=OWN_MODELS, protocols=protocols)


@with_options
def train(
    context: typer.Context,
    preset: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A model of the package, or a YAML file.",
            show_default=False,
            autocompletion=preset_words,
        ),
    ] = None,
    protocol: Annotated[str, typer.Option(help="How the folds are used.")] = "test-split",
    fold: Annotated[int | None, typer.Option(min=0, metavar="N", help="One fold of the protocol only.")] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of every random number.")] = 0,
    *,
    asked: StudyOptions,
) -> None:
    """Train one model: a study of one, by default on one split of the built-in sounds (--data toy).

    With --ray and several --workers these train each cell together, each its share of every batch.
    """
    from auricle.config import StudyConfig, load_preset, preset_names

    level = verbosity(context, asked.quiet, asked.verbose)
    model = required(preset, "model", preset_names())
    config = StudyConfig(name=load_preset(model).name, models=(model,))
    changes = {"protocols": protocol_names(protocol), "seeds": (seed,)}
    _train_as_asked(config, changes, asked, level, None if fold is None else (fold,), together=asked.ray is not None)


def _train_as_asked(
    config: StudyConfig,
    changes: Mapping[str, Any],
    asked: StudyOptions,
    level: int,
    folds: Collection[int] | None,
    *,
    together: bool = False,
) -> None:
    """Train a study with the changes that the options mean; on a cluster all workers may train each cell together.

    Raises:
        UsageError: an option is wrong, or asks for a share of GPUs without a cluster.
    """
    from auricle.config import revalidated
    from auricle.work.options import RunOptions
    from auricle.work.ray.cluster import RayOptions

    on_ray, workers = None, None if together else asked.workers
    if asked.ray is not None:
        gpus = 1.0 if asked.gpus is None else asked.gpus
        on_ray = RayOptions(asked.ray, gpus, (asked.workers or 1) if together else 1)
    elif asked.gpus is not None:
        raise UsageError(f"--gpus {asked.gpus:g} is a share of the GPUs of a cluster; name that with --ray")
    source, root = find_data(asked.data, config.data)
    before, config = config, renamed(config, source)
    if config.name != before.name and level >= 0:
        say(f"these data are not {before.data}: the study is named {config.name}")
    overrides = asked.laid_over(config.overrides)
    changes = {
        **changes,
        "group_by": asked.group_by,
        "label": asked.label,
        "clip_s": asked.clip_s,
        "allow_split_groups": asked.allow_split_groups or None,
    }
    changes = {field: value for field, value in changes.items() if value is not None}
    config = revalidated(config, overrides=overrides, **changes)
    options = RunOptions(root, asked.skip_bad, workers, asked.threads, asked.device, on_ray, typed_command())
    train_and_report(config, asked.out, options, asked, level, folds=folds)


def typed_command() -> str:
    """Return the command as a person typed it, for the record."""
    return shlex.join(["auricle", *sys.argv[1:]])


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
    """Run a study, write its report and print what came out; failed cells make exit code 1.

    What is in `more` goes into the document for programs.
    """
    from auricle.cli.report import build
    from auricle.cli.results import print_json, print_places, print_results
    from auricle.study.study import run_study
    from auricle.tracking.tracking import choose_mode, mirrored

    folder, mode = out or Path("runs") / config.name, choose_mode(asked.wandb)
    with watched(config.name, level) as listener, hint_when_stopped(folder):
        beside = mirrored(mode, listener.note)
        result = run_study(config, folder, options, folds=folds, listener=listener, beside=beside)
    if not asked.json:
        print_results(result)
        sys.stdout.flush()
    files = {}
    if result.done and not asked.no_report:
        files = build(result.folder, level, root=options.root, probes=not asked.no_probes)
    if asked.json:
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
        from auricle.cli.live import Display
        from auricle.cli.terminal import Terminal

        display = Display(title, Terminal(stderr=True))
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
