"""Train a cell on a node of a cluster, and decide which of several attempts at a cell counts.

A node needs auricle installed, but no access to the study's folder, nor to its cache of recordings: it copies what it
needs into its own, once.

study                           node
  (remote)                ----->
  ("note", text)          <-----   it copies recordings
  ("started", node)       <-----
  ("epoch", record+files) <-----   after every epoch
  ("ended", cause+files)  <-----   cause None: done
  ("stopped", why)        <-----   the machine cannot continue
"""

import asyncio
import socket
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from auricle import files
from auricle.data.cache import LargeRecordings, Recordings
from auricle.data.rows import StoredRows
from auricle.data.store import (
    LIMIT_BYTES,
    ReadPiece,
    cache_folder,
    copied,
    copy_entry,
    prune_entries,
    read_piece,
    require_room,
)
from auricle.errors import AuricleError, MachineError
from auricle.model.half_frames import HalfFrames
from auricle.runs import Cell, CellName
from auricle.runs.provenance import versions
from auricle.system import lock_file
from auricle.work.jobs import Fit, Job, train_job

Send = Callable[[str, Any], object]


def same_versions() -> dict[str, str]:
    """Return this machine's versions of the packages that must be the same on all machines of a study."""
    return {name: version for name, version in versions().items() if name in ("auricle", "torch")}


@dataclass(frozen=True)
class RemoteJob:
    """One attempt at a cell."""

    number: int
    job: Job  # with the study's folder, and recordings that are read from the cache
    fit: Fit
    files: Mapping[str, bytes]  # of the cell, from which the attempt resumes
    origin: str  # identifier of the study's node, from which recordings are copied
    versions: Mapping[str, str] = field(default_factory=same_versions)  # on the machine of the study


def train_on_node(remote: RemoteJob, mailbox: Any) -> None:
    """Train a cell as a Ray task; the mailbox is a Ray queue of (cell, attempt, kind, content)."""
    train_remotely(remote, partial(post, mailbox, remote))


def post(mailbox: Any, remote: RemoteJob, kind: str, content: Any) -> None:
    """Put a message into the mailbox of the study and wait until it has arrived."""
    # Awaited, because Ray gives the core of a task that waits in its own `get` to the next task.
    asyncio.run(mailbox.put_async((remote.job.cell.name, remote.number, kind, content)))


def read_from(node: str, path: Path, start: int) -> bytes:
    """Return the bytes of a file on another node from a position, as `read_piece` does there.

    Raises:
        MachineError: the file cannot be read there.
    """
    from ray.exceptions import RayTaskError

    async def wait() -> bytes:  # awaited for the same reason as in `post`
        return await _reader(node).remote(path, start)

    try:
        return asyncio.run(wait())
    except RayTaskError as error:
        raise MachineError(f"the machine of the study cannot read {path}: {error.cause}") from error


@cache
def _reader(node: str) -> Any:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    on_it = NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=on_it)(read_piece)


def recordings_here(job: Job, read: ReadPiece, note: Callable[[str], object]) -> Recordings:
    """Return the recordings of a job with rows that this machine can read: those of the study's cache, or copies.

    Of a large dataset these are the frames of the job's model.

    Raises:
        MachineError: the disk refuses, or has too little space.
    """
    recordings, here = job.recordings, partial(rows_here, read=read, note=note)
    if isinstance(recordings, LargeRecordings):
        frames = {form: here(rows) for form, rows in recordings.frames.items() if form == HalfFrames.of(job.preset)}
        return replace(recordings, frames=frames)
    return replace(recordings, waveforms=here(recordings.waveforms))


def rows_here(rows: StoredRows, *, read: ReadPiece, note: Callable[[str], object]) -> StoredRows:
    """Return rows that this machine can read; they are copied into its cache, by one process at a time."""
    if not rows.missing():
        return rows
    copies = replace(rows, paths=tuple(map(copied, rows.paths)))
    sources = dict(zip(copies.paths, rows.paths, strict=True))
    folder = cache_folder()
    with files.machine_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".copying").open("ab") as lock:
            lock_file(lock.fileno(), wait=True)
            copies.keep()
            if missing := copies.missing():
                num_bytes = sum(missing.values())
                require_room(num_bytes)
                note(f"{socket.gethostname()} copies {num_bytes / 1e9:.2f} GB of recordings into {folder}")
                for path in missing:
                    copy_entry(sources[path], read)
                prune_entries(LIMIT_BYTES)
    return copies


def train_remotely(remote: RemoteJob, send: Send) -> str | None:
    """Train in a temporary folder on this node, send the files, and return the cause of a failure; None: it is done."""
    here = socket.gethostname()
    try:
        if (found := same_versions()) != remote.versions:
            has, needs = (", ".join(f"{name} {v}" for name, v in each.items()) for each in (found, remote.versions))
            raise MachineError(f"has {has}, but the study has {needs}; install the same versions")
        recordings = recordings_here(remote.job, partial(read_from, remote.origin), partial(send, "note"))
        send("started", here)
        with files.machine_errors(Path(tempfile.gettempdir())), TemporaryDirectory(prefix="auricle-") as folder:
            cell = Cell(remote.job.cell.name, Path(folder) / "cell")
            for name, content in remote.files.items():
                files.write_bytes(cell.folder / name, content)
            job = replace(remote.job, cell=cell, recordings=recordings)

            def on_epoch(record: dict[str, Any]) -> None:
                send("epoch", (record, read_files(cell)))

            cause = train_job(job, remote.fit, on_epoch)
            send("ended", (cause, read_files(cell)))
            return cause
    except MachineError as error:
        send("stopped", f"{here}: {error}")
        return str(error)


def train_together(remote: RemoteJob, mailbox: Any, num_workers: int, needs: Mapping[str, float]) -> None:
    """Train a cell with several workers as a Ray task, and wait until it ends.

    Each worker needs the same resources; `remote.fit` takes `joint`. The other arguments are those of `train_on_node`.

    Raises:
        TrainingFailedError: Ray's; a worker failed or was lost.
    """
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    on_gpus = "GPU" in needs
    with TemporaryDirectory(prefix="auricle-") as folder:
        TorchTrainer(
            _train_as_one,
            train_loop_config={"remote": remote, "mailbox": mailbox},
            scaling_config=ScalingConfig(num_workers=num_workers, use_gpu=on_gpus, resources_per_worker=dict(needs)),
            torch_config=TorchConfig(backend="nccl" if on_gpus else "gloo"),
            run_config=RunConfig(name="auricle", storage_path=folder),
        ).fit()


def _train_as_one(config: Mapping[str, Any]) -> None:
    """Train as one of several workers; the files of the first count, and if one fails, all end."""
    from ray.train import get_context

    remote, is_first = config["remote"], get_context().get_world_rank() == 0

    def send(kind: str, content: Any) -> None:
        failed = kind == "stopped" or (kind == "ended" and content[0] is not None)
        if is_first or failed or kind == "note":
            post(config["mailbox"], remote, kind, content)

    cause = train_remotely(replace(remote, fit=partial(remote.fit, joint=True)), send)
    if cause is not None:
        raise AuricleError(cause)


Files = Mapping[str, bytes]


def read_files(cell: Cell) -> dict[str, bytes]:
    """Return the finished files of a cell, by name."""
    with files.machine_errors(cell.folder, "read"):
        paths = [path for path in sorted(cell.folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
        return {path.name: path.read_bytes() for path in paths}


class Attempts:
    """The numbered attempts at the cells of a study, as a cell may be trained again if its machine disappears.

    A node trains in a temporary folder and sends the files of the cell. Only the process of the study writes them into
    the cell's folder, and only those of the latest attempt until it has ended; files of other attempts are dropped. So
    a node that was given up but still runs changes nothing.
    """

    def __init__(self) -> None:
        self._counting: dict[CellName, int] = {}
        self._num_begun = 0

    def begin(self, cell: Cell) -> tuple[int, Files]:
        """Start a new attempt, the only one that counts from now on; return its number and its starting files."""
        self._num_begun += 1
        self._counting[cell.name] = self._num_begun
        with files.machine_errors(cell.checkpoint, "read"):
            there = cell.checkpoint.exists()
            return self._num_begun, {cell.checkpoint.name: cell.checkpoint.read_bytes()} if there else {}

    def give_up(self, cell: CellName) -> None:
        """Make no attempt at a cell count any more."""
        self._counting.pop(cell, None)

    def counts(self, cell: CellName, number: int) -> bool:
        """Return whether this attempt is the one that counts."""
        return self._counting.get(cell) == number

    def keep(self, cell: Cell, number: int, contents: Files) -> bool:
        """Write the files of an attempt after an epoch, if it counts; return whether it does."""
        if not self.counts(cell.name, number):
            return False
        for name in sorted(contents, key=lambda name: name == cell.metrics.name):  # metrics.json is written last
            files.write_bytes(cell.folder / name, contents[name])
        return True

    def end(self, cell: Cell, number: int, contents: Files) -> bool:
        """Write the final files of an attempt, if it counts, and let no other count; return whether it did."""
        if not self.keep(cell, number, contents):
            return False
        self.give_up(cell.name)
        with files.machine_errors(cell.folder):
            for path in (cell.checkpoint, cell.error):
                if path.name not in contents:
                    path.unlink(missing_ok=True)
        return True
