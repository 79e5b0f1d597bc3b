"""A study in its folder: which cells are done, running the rest, leaving a record.

configuration -> plan -> study.yaml, dataset/, models/ -> cells, by an executor -> results.csv
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auricle import files, runs
from auricle.config import StudyConfig
from auricle.data.datasets import load_manifest
from auricle.data.folds import Split
from auricle.errors import AuricleError, UsageError
from auricle.runs import Cell, CellName, StudyFolder
from auricle.study import record, tracking
from auricle.study.baselines import run_baselines
from auricle.study.estimate import Estimate, Work, estimate, num_epochs
from auricle.study.executors import run_here, run_in_processes
from auricle.study.jobs import Failures, Fit, Job, real_fit
from auricle.study.listener import Listener
from auricle.study.machine import check_workers, choose_device, divide
from auricle.study.people import keep_judgements
from auricle.study.plan import Plan, make_plan, resolve_presets
from auricle.study.ray_cluster import Cluster, OnRay, connected
from auricle.study.ray_executor import run_on_ray
from auricle.study.twins import take_over, told, twins


@dataclass(frozen=True)
class StudyResult:
    """How a study ended.

    Attributes:
        folder: the study's folder.
        done: the cells asked for that are finished, in the order of the plan.
        failed: those that are not, with the cause of each.
        num_ran: how many were trained now; the others were finished before, or are trainings of those.
    """

    folder: Path
    done: tuple[CellName, ...]
    failed: Failures
    num_ran: int


def run_study(
    config: StudyConfig,
    out: Path,
    *,
    root: Path | None = None,
    workers: int | None = None,
    device: str = "auto",
    skip_bad: bool = False,
    wandb_mode: str | None = None,
    listener: Listener | None = None,
    folds: Collection[int] | None = None,
    command: str = "",
    fit: Fit | None = None,
    threads: int | None = None,
    on_ray: OnRay | None = None,
) -> StudyResult:
    """Train every cell of a study that is not done, and write its record.

    Args:
        config: what to train, on what.
        out: the study's folder; one that exists goes on, and may get more models, protocols and seeds.
        root: where named datasets lie; None: as `load_manifest` says.
        workers: processes at a time; None: one a core on the CPU, one on an accelerator; on a cluster, what it holds.
        device: auto, cpu, cuda or mps.
        skip_bad: leave out recordings that cannot be read, instead of refusing the dataset.
        wandb_mode: online, offline or off; None: as `tracking.choose_mode` says.
        listener: told what happens, in this process.
        folds: only these folds of the protocols; None: all.
        command: what a person typed, for the record.
        fit: trains one cell; None: `training.fit.fit_cell`.
        threads: processor threads of each process; None: the cores divided; on a cluster, one.
        on_ray: the cluster that trains; None: this machine.

    Raises:
        UsageError: a name, a field or a value is wrong, or the folder holds another study.
        RefusedError: the recordings are refused, or are not those of the folder, or what is done there is damaged.
        MachineError: the folder is in use, the disk refuses, a model needs more memory than is free, or no cluster
            answers.
    """
    listener = listener or Listener()
    check_workers(workers, device)
    if on_ray:
        on_ray.check()
    presets = resolve_presets(config)
    mode = tracking.choose_mode(wandb_mode)
    runs.check_free(out)  # before anything that takes long
    listener.doing("reading the recordings")
    manifest = load_manifest(config.data, root=root, group_by=config.group_by)
    check_folder(out)
    with runs.lock(out), _reached(on_ray, listener) as cluster:
        study = StudyFolder(out)
        runs.sweep(study)
        plan = make_plan(config, presets, manifest, folds=folds, skip_bad=skip_bad, listener=listener)
        finished = {name for name in plan.cells if _is_done(study.cell(name))}
        taken = twins(plan.cells, finished)
        left = tuple(name for name in plan.cells if name not in finished and name not in taken)
        listener.doing("building the models")
        if cluster:
            device = cluster.device(device)
            num_workers, threads = cluster.divide(workers, device, threads, len(left))
        else:
            device = choose_device(device) if left else device
            num_workers, own_threads = divide(workers, device, len(left))
            threads = threads or own_threads
        session = _Session(study, plan, left, taken, device, num_workers, threads, listener, cluster, workers)
        _write_record(session, command)
        listener.doing("scoring the free baselines")
        for note in run_baselines(study, plan.recordings_of(plan.config.models[0]), plan.splits):
            listener.note(note)
        if lost := keep_judgements(study, root=root):
            listener.note(lost)
        if left and fit is None and cluster is None:
            listener.estimated(_estimate(session), num_workers)
        try:
            failures = _run(session, mode, fit)
        except BaseException:
            with contextlib.suppress(AuricleError):  # what went wrong before says more
                record.write_results(study)
            raise
        record.write_results(study)
    done = tuple(name for name in plan.cells if study.cell(name).done)
    return StudyResult(out, done, failures, len(left))


@dataclass(frozen=True)
class _Session:
    """One pass over a study: cells to train, cells whose results are those of others, on what, and who is told."""

    study: StudyFolder
    plan: Plan
    left: tuple[CellName, ...]
    taken: Mapping[CellName, CellName]
    device: str
    num_workers: int
    threads: int
    listener: Listener
    cluster: Cluster | None
    asked_workers: int | None


@contextlib.contextmanager
def _reached(on_ray: OnRay | None, listener: Listener) -> Iterator[Cluster | None]:
    """Connect to the cluster, if there is to be one."""
    if on_ray is None:
        yield None
        return
    listener.doing("reaching the cluster")
    with connected(on_ray) as cluster:
        listener.doing("reading the recordings")
        yield cluster


def _is_done(cell: Cell) -> bool:
    """Return whether a cell is finished; refuse one whose metrics.json is damaged, before hours are spent beside it."""
    return cell.done and bool(runs.read_metrics(cell))


def check_folder(out: Path) -> None:
    """Refuse a folder that holds something else than a study, or the search that comes before one.

    Raises:
        UsageError: it does.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; --out names a folder")
    strangers = [path.name for path in out.iterdir() if path.name not in (".lock", "search")] if out.exists() else []
    if strangers and not StudyFolder(out).description.exists():
        raise UsageError(f"{out} holds {strangers[0]!r} and no study; choose another --out")


def _write_record(session: _Session, command: str) -> None:
    """Write all that describes the study, having checked that it is the one that the folder holds."""
    study, plan = session.study, session.plan
    old = record.read_description(study)
    if old:
        record.check_same(old, plan.presets, plan.digests, study.folder)
    fresh = {name: _describe(plan, name) for name in plan.presets if not study.model(name).exists()}
    if session.left or session.taken or not old or record.asks_for_more(old, plan.config):
        cluster = str(session.cluster) if session.cluster else None
        device = session.device if session.left else None
        record.write_description(study, record.describe(plan, old, device, command, cluster))
    recordings = plan.recordings_of(plan.config.models[0])
    if not study.manifest.exists():
        record.write_manifest(study, recordings.manifest)
    if not study.samples.exists():
        record.write_samples(study, recordings)
    for name, layers in fresh.items():
        files.write_json(study.model(name), layers)


def _describe(plan: Plan, model: str) -> dict[str, Any]:
    """Return layers and counts of a model; one that does not build is refused before anything is written."""
    from auricle.model.describe import describe

    manifest = plan.recordings_of(model).manifest
    return describe(plan.presets[model], len(manifest.categories), manifest.clip_s)


def _estimate(session: _Session) -> list[Estimate]:
    """Say what the cells that are left will cost."""
    plan = session.plan
    splits: dict[str, list[Split]] = {}
    for name in session.left:
        splits.setdefault(name.model, []).append(plan.cells[name])
    works = []
    for model, own in splits.items():
        manifest = plan.recordings_of(model).manifest
        work = Work(
            preset=plan.presets[model],
            facts=json.loads(session.study.model(model).read_text(encoding="utf-8")),
            num_cells=len(own),
            num_train=max(len(split.train) for split in own),
            num_clips=len(manifest.clips),
            num_classes=len(manifest.categories),
            clip_s=manifest.clip_s,
        )
        works.append(work)
    return estimate(
        works,
        device=session.device,
        num_workers=session.num_workers,
        threads=session.threads,
        doing=session.listener.doing,
    )


def _run(session: _Session, mode: tracking.Mode, fit: Fit | None) -> Failures:
    """Train the cells that are left, with W&B's mirror beside them."""
    plan, left, listener = session.plan, session.left, session.listener
    clip_s = plan.recordings_of(plan.config.models[0]).manifest.clip_s
    epochs = {name: num_epochs(plan.presets[name.model], len(plan.cells[name].train), clip_s) for name in left}
    if session.taken:
        listener.note(told(session.taken))
    listener.planned(epochs, len(plan.cells) - len(left) - len(session.taken), session.num_workers)
    waiting = take_over(session.study, session.taken)
    mirror = tracking.Mirror(session.study, mode)
    if mode != "off" and (left or session.taken or tracking.something_to_send(session.study)):
        mirror.start()
    try:
        failures = _train(session, fit or real_fit()) if left else {}
        waiting = take_over(session.study, waiting)
    except BaseException:  # stopped by a person, or by the machine: the mirror gets a moment, not a minute
        mirror.finish(timeout_s=3.0)
        raise
    if note := mirror.finish():
        listener.note(note)
    return failures | {name: failures[original] for name, original in waiting.items() if original in failures}


def _train(session: _Session, fit: Fit) -> Failures:
    study, plan, num_workers = session.study, session.plan, session.num_workers
    jobs = [
        Job(
            cell=study.cell(name),
            preset=plan.presets[name.model],
            split=plan.cells[name],
            recordings=plan.recordings_of(name.model),
            device=session.device,
            threads=session.threads,
        )
        for name in session.left
    ]
    if session.cluster:
        return run_on_ray(jobs, session.listener, fit, cluster=session.cluster, most=session.asked_workers)
    if num_workers == 1:
        return run_here(jobs, session.listener, fit)
    log = study.folder / "workers.log"
    failures = run_in_processes(jobs, session.listener, fit, num_workers=num_workers, log=log)
    if log.exists() and not log.stat().st_size:
        log.unlink()
    return failures
