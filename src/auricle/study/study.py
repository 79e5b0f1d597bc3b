"""Run a study in its folder: find the cells left to train, train them in a pool, and write the results.

configuration -> plan -> study.yaml, dataset/, models/ -> cells, in a pool -> results.csv
"""

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from auricle import files, runs
from auricle.config import StudyConfig
from auricle.data.datasets import asked_manifest
from auricle.data.folds import PROTOCOLS, Split
from auricle.errors import AuricleError, UsageError
from auricle.runs import CellName, StudyFolder
from auricle.runs.plan import num_epochs, planned_splits, same_trainings
from auricle.runs.record import keep_human_labels, write_results
from auricle.study.baselines import run_baselines
from auricle.study.estimate import ModelWork, estimate_costs, estimate_memory, work_before_decoding
from auricle.study.listener import Listener
from auricle.study.plan import Plan, make_plan, resolve_presets, write_record
from auricle.work.jobs import Failures, Fit, Job, JobQueue, Pool, clear_cell, real_fit, run_jobs
from auricle.work.options import RunOptions, divide, find_device
from auricle.work.ray.cluster import Cluster, connected
from auricle.work.workers import InProcess, Workers

Beside = Callable[[StudyFolder, bool], AbstractContextManager[None]]


@dataclass(frozen=True)
class StudyResult:
    """How a study ended.

    Attributes:
        done: the requested cells that are finished, in the order of the plan.
        failed: those that failed, with the cause of each.
        num_ran: how many were trained now; the others were finished before, or took over the results of another cell.
    """

    folder: Path
    done: tuple[CellName, ...]
    failed: Failures
    num_ran: int


def run_study(
    config: StudyConfig,
    out: Path,
    options: RunOptions | None = None,
    *,
    folds: Collection[int] | None = None,
    listener: Listener | None = None,
    beside: Beside | None = None,
    fit: Fit | None = None,
) -> StudyResult:
    """Train every cell of a study that is not done, and write its record.

    A study in an existing folder resumes, and may gain models, protocols and seeds; `folds` limits it to some folds.
    `beside`, such as `tracking.mirrored`, is a context manager that is open during training; it gets the study and
    whether anything will change. `fit` is by default `training.fit.fit_cell`.

    Raises:
        UsageError: a name, a field or a value is wrong, or the folder contains another study.
        RefusedError: the recordings are refused or are not those of the folder, or files in the folder are damaged.
        MachineError: the folder is in use, the disk refuses, a model needs more memory than is free, or the cluster
            cannot be reached.
    """
    listener, options = listener or Listener(), options or RunOptions()
    options.check()
    presets = resolve_presets(config)
    runs.check_free(out)  # before anything that takes long
    listener.doing("reading the recordings")
    manifest = asked_manifest(config, root=options.root)
    check_folder(out)
    if options.ray:
        listener.doing("connecting to the cluster")
    with runs.lock(out), connected(options.ray) if options.ray else nullcontext() as cluster:
        listener.doing("reading the recordings")
        study = StudyFolder(out)
        runs.sweep(study)
        if not study.description.exists() and (works := work_before_decoding(presets.values(), manifest)):
            _memory_bytes(works, _device(options, cluster), cluster)
        plan = make_plan(config, presets, manifest, folds=folds, skip_bad=options.skip_bad, listener=listener)
        listener.assumed(plan.manifest.notes)
        listener.doing("building the models")
        session = _begin(study, plan, options, cluster, listener)
        memory_bytes = _prepare(session, listener, estimates=fit is None)
        try:
            waiting = take_over(study, session.same)
            with beside(study, session.changes) if beside else nullcontext():
                failures = {}
                if session.left:
                    queue = JobQueue(session.jobs, fit or real_fit())
                    run_jobs(queue, session.pool(memory_bytes), listener)
                    failures = queue.failures
                waiting = take_over(study, waiting)
        except BaseException:
            with contextlib.suppress(AuricleError):  # the first error says more
                write_results(study)
            raise
        write_results(study)
    failures |= {name: failures[original] for name, original in waiting.items() if original in failures}
    done = tuple(name for name in plan.cells if study.cell(name).done)
    return StudyResult(out, done, failures, len(session.left))


def check_folder(out: Path) -> None:
    """Refuse a folder that contains anything but a study, the search that precedes it, or a study.yaml half written.

    Raises:
        UsageError: it does.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; --out takes a folder")
    names = [path.name for path in out.iterdir()] if out.exists() else []
    others = [name for name in names if name not in (".lock", "search") and not files.PART.fullmatch(name)]
    if others and not StudyFolder(out).description.exists():
        raise UsageError(f"{out} contains files that are not a study (first: {others[0]}); choose another --out")


@dataclass(frozen=True)
class _Session:
    """One run of a study: the cells to train, those that take over the results of another, and the resources."""

    study: StudyFolder
    plan: Plan
    options: RunOptions
    cluster: Cluster | None
    left: tuple[CellName, ...]
    same: Mapping[CellName, CellName]
    device: str
    num_workers: int
    threads: int

    @property
    def changes(self) -> bool:
        return bool(self.left or self.same)

    @property
    def jobs(self) -> list[Job]:
        plan, on = self.plan, (self.device, self.threads)
        return [
            Job(self.study.cell(name), plan.presets[name.model], plan.cells[name], plan.recordings_of(name.model), *on)
            for name in self.left
        ]

    def pool(self, memory_bytes: Mapping[str, float]) -> Pool:
        if self.cluster:
            from auricle.work.ray.pool import RayPool

            return RayPool(self.cluster, self.options.workers, memory_bytes)
        return InProcess() if self.num_workers == 1 else Workers(self.num_workers, self.study.folder / "workers.log")


def _begin(
    study: StudyFolder, plan: Plan, options: RunOptions, cluster: Cluster | None, listener: Listener
) -> _Session:
    """Find the cells left to train, and divide this machine or the cluster among them."""
    finished = _finished(study, plan, listener)
    beside = _finished_beside(study, plan) if len(finished) < len(plan.cells) else {}
    same = same_trainings({**plan.cells, **beside}, {*finished, *beside})
    left = tuple(name for name in plan.cells if name not in finished and name not in same)
    device = _device(options, cluster) if left or cluster else options.device
    share = cluster.divide if cluster else divide
    num_workers, threads = share(options.workers, device, options.threads, len(left))
    return _Session(study, plan, options, cluster, left, same, device, num_workers, threads)


def _device(options: RunOptions, cluster: Cluster | None) -> str:
    return cluster.device(options.device) if cluster else find_device(options.device)


def _finished(study: StudyFolder, plan: Plan, listener: Listener) -> set[CellName]:
    """Return the finished cells; the folder of a damaged one is removed, so that it is trained again."""
    finished = set()
    for cell in map(study.cell, plan.cells):
        if runs.is_intact(cell):
            finished.add(cell.name)
        else:
            runs.remove_damaged(cell, listener.note)
    return finished


def _finished_beside(study: StudyFolder, plan: Plan) -> dict[CellName, Split]:
    """Return the finished cells that the folder has besides those of the plan, with their splits."""
    names = [cell.name for cell in study.cells() if cell.name.model in plan.presets and cell.name not in plan.cells]
    protocols = tuple({name.protocol for name in names} & set(PROTOCOLS))
    config = plan.config.model_copy(update={"protocols": protocols, "allow_split_groups": True})
    splits = {(split.protocol, split.fold): split for split in planned_splits(config, plan.manifest)}
    with_split = {name: splits.get((name.protocol, name.fold)) for name in names}
    return {name: split for name, split in with_split.items() if split and runs.is_intact(study.cell(name))}


def _prepare(session: _Session, listener: Listener, *, estimates: bool) -> dict[str, float]:
    """Write the record and the baselines of the study, and report the plan and its cost.

    Returns:
        By model, the memory in bytes that a training needs on a node of the cluster; empty without a cluster.
    """
    study, plan, options, left = session.study, session.plan, session.options, session.left
    cluster = str(session.cluster) if session.cluster else None
    device = session.device if left else None
    write_record(study, plan, changes=session.changes, device=device, command=options.command, cluster=cluster)
    listener.doing("scoring the free baselines")
    for note in run_baselines(study, plan.recordings_of(plan.config.models[0]), plan.splits):
        listener.note(note)
    if lost := keep_human_labels(study, root=options.root):
        listener.note(lost)
    memory_bytes, num_workers = dict[str, float](), session.num_workers
    if left and estimates and session.cluster:
        memory_bytes = _memory_bytes(_works(session), session.device, session.cluster)
        on_it = session.device, session.threads, len(left), max(memory_bytes.values(), default=0)
        num_workers, _ = session.cluster.divide(options.workers, *on_it)
    elif left and estimates:
        found = estimate_costs(
            _works(session),
            device=session.device,
            threads=session.threads,
            num_workers=num_workers,
            doing=listener.doing,
        )
        listener.estimated(found, num_workers)
    if session.same:
        name, original = next(iter(session.same.items()))
        reason = f"same model, clips and seed as another cell (first: {name} is the same as {original})"
        listener.note(f"cells that need no training: {len(session.same)}, {reason}")
    clip_s = plan.manifest.clip_s
    epochs = {name: num_epochs(plan.presets[name.model], len(plan.cells[name].train), clip_s) for name in left}
    listener.planned(epochs, len(plan.cells) - len(left) - len(session.same), num_workers)
    return memory_bytes


def _memory_bytes(works: Sequence[ModelWork], device: str, cluster: Cluster | None) -> dict[str, float]:
    """Return the memory that a training of each model needs, or refuse it; nothing is known of that of a GPU."""
    if device != "cpu":
        return {}
    return estimate_memory(works, cluster.node_bytes if cluster else None)


def _works(session: _Session) -> list[ModelWork]:
    """Return the work left to train for each model."""
    plan, manifest = session.plan, session.plan.manifest
    splits: dict[str, list[Split]] = {}
    for name in session.left:
        splits.setdefault(name.model, []).append(plan.cells[name])
    return [
        ModelWork(
            preset=plan.presets[model],
            facts=files.read_sealed(session.study.model(model)),
            num_cells=len(own),
            num_train=max(len(split.train) for split in own),
            num_clips=len(manifest.clips),
            num_classes=len(manifest.categories),
            clip_s=manifest.clip_s,
        )
        for model, own in splits.items()
    ]


def take_over(study: StudyFolder, same: Mapping[CellName, CellName]) -> dict[CellName, CellName]:
    """Copy to each cell the files, or the failure, of its original; return those whose originals are not finished.

    Raises:
        MachineError: the disk refuses.
        RefusedError: files of an original are damaged.
    """
    waiting = {}
    for name, original in same.items():
        ours, theirs = study.cell(name), study.cell(original)
        if theirs.done or theirs.error.exists():
            clear_cell(ours)
        if not theirs.done:
            waiting[name] = original
            if theirs.error.exists():
                files.write_bytes(ours.error, theirs.error.read_bytes())
            continue
        weights = [theirs.weights] if theirs.weights.exists() else []  # they may have been deleted
        written = (theirs.config, theirs.history, theirs.predictions, *weights)
        metrics = runs.read_metrics(theirs, *written)
        # An original that was damaged or deleted comes back from its copy: the original again, not a copy of it.
        is_original = metrics.pop("same_as", None) == str(name)
        for path in filter(Path.exists, written):
            files.write_bytes(ours.folder / path.name, path.read_bytes())
        copied = {} if is_original else {"same_as": str(original)}
        runs.write_metrics(ours, {**metrics, "cell": str(name), **copied})
        ours.checkpoint.unlink(missing_ok=True)
    return waiting
