"""What a node of a cluster does to train a cell; it needs auricle, and nothing of the study's folder.

study                           node
  (remote, waveforms)     ----->
  ("unseen", None)        <-----   it does not see the memory map: send the waveforms too
  ("started", node)       <-----
  ("epoch", record+files) <-----   after every epoch
  ("ended", cause+files)  <-----   cause None: done
  ("stopped", why)        <-----   its machine cannot go on
"""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from auricle import files
from auricle.data.cache import Recordings
from auricle.errors import MachineError
from auricle.runs import Cell
from auricle.runs.provenance import versions
from auricle.work.jobs import Fit, Job, train_job
from auricle.work.ray.attempts import read_files
from auricle.work.worker import with_waveforms

Send = Callable[[str, Any], object]


def same_versions() -> dict[str, str]:
    """Return the versions, here, of what must be the same on all machines of a study."""
    return {name: version for name, version in versions().items() if name in ("auricle", "torch")}


@dataclass(frozen=True)
class RemoteJob:
    """One attempt at a cell.

    Attributes:
        number: of the attempt.
        job: what to train; its folder is the study's, and its recordings say where their memory map is.
        fit: trains it.
        files: of the cell, that the attempt goes on from.
        versions: of what shapes a result, where the study is.
    """

    number: int
    job: Job
    fit: Fit
    files: Mapping[str, bytes]
    versions: Mapping[str, str] = field(default_factory=same_versions)


def train_on_node(remote: RemoteJob, waveforms: np.ndarray | None, mailbox: Any) -> None:
    """Train a cell as a task of Ray.

    Args:
        remote: what to do.
        waveforms: of the recordings, (N, T); None: their memory map is to be found.
        mailbox: a `ray.util.queue.Queue` of (cell, attempt, kind, content).
    """
    send = partial(post, mailbox, remote)
    recordings = find_recordings_here(remote.job.recordings, waveforms)
    if recordings is None:
        send("unseen", None)
    else:
        send("started", socket.gethostname())
        train_remotely(remote, recordings, send)


def post(mailbox: Any, remote: RemoteJob, kind: str, content: Any) -> None:
    """Put a message into the mailbox of the study and wait until it is there.

    Awaited, because Ray gives the core of a task that waits in its own `get` to the next task.
    """
    asyncio.run(mailbox.put_async((remote.job.cell.name, remote.number, kind, content)))


def find_recordings_here(recordings: Recordings, waveforms: np.ndarray | None) -> Recordings | None:
    """Return recordings with their waveforms, sent along or mapped; None where this machine does not see the map.

    The name of the map is a hash of what is in it, so what has that name and size is it.
    """
    if waveforms is not None:
        return replace(recordings, waveforms=waveforms)
    try:
        return with_waveforms(recordings)
    except (OSError, ValueError):
        return None


def train_remotely(remote: RemoteJob, recordings: Recordings, send: Send) -> str | None:
    """Train in a folder of this node, send what comes of it, and return why it failed; None: it is done."""
    here = socket.gethostname()
    try:
        if (found := same_versions()) != remote.versions:
            raise MachineError(f"has {_in_words(found)}, and the study {_in_words(remote.versions)}; install the same")
        with (
            files.machine_errors(Path(tempfile.gettempdir())),
            tempfile.TemporaryDirectory(prefix="auricle-") as folder,
        ):
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


def _in_words(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
