"""The storage of the trials of a search: a journal file, or any Optuna URL that several machines share.

A journal is a text file to which processes append complete lines, one at a time. The system releases the lock of a
process that dies, and the next process that appends removes an incomplete line that a full disk may have left.
"""

import contextlib
import json
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import optuna
from optuna import Study
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, GridSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalRedisBackend
from typing_extensions import override

from auricle.errors import AuricleError, MachineError, RefusedError, UsageError
from auricle.files import sealed, unsealed
from auricle.search.space import Range, Space
from auricle.system import lock_file

CONNECT_S = 10  # timeout of a connection to a database server


@dataclass(frozen=True)
class TrialStorage:
    """The trials of one search: `url` is that of a database or a Redis server, or the path of a journal file."""

    url: str
    name: str

    @property
    def shown(self) -> str:
        """Return the URL without a password."""
        return re.sub(r"(?<=://)[^:/@]*(:[^@]*)?@|(?<=[?&])passw(?:or)?d=[^&]*&?", "", self.url)


class JournalLock:
    """The lock of a journal, freed if its process dies; Optuna's own lock is not."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def acquire(self) -> bool:
        """Wait for the lock, and remove an incomplete line at the end of the journal."""
        file = open(self._path, "a+b", buffering=0)  # noqa: PTH123, SIM115 - closed by `release`
        try:
            lock_file(file.fileno(), wait=True)
            _remove_incomplete_line(file)
        except BaseException:
            file.close()
            raise
        self._file = file
        return True

    def release(self) -> None:
        """Release the lock."""
        assert self._file is not None
        self._file.close()
        self._file = None


class SealedJournal(JournalFileBackend):
    """A journal whose lines each contain their hash; lines without one are from earlier versions."""

    def __init__(self, path: str) -> None:
        super().__init__(path, JournalLock(path))  # type: ignore[arg-type]
        self._path = path
        self._starts = {0: 0}  # number of an entry to its byte offset

    @override
    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        super().append_logs([sealed(log) for log in logs])

    @override
    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        """Yield the entries from a number on; unlike Optuna's own method, it detects a damaged last line."""
        known = max(number for number in self._starts if number <= log_number_from)
        with open(self._path, "rb") as file:  # noqa: PTH123
            file.seek(self._starts[known])
            for number, line in enumerate(file, start=known):
                if not line.endswith(b"\n"):
                    return  # another process is writing it, or was killed
                self._starts[number + 1] = self._starts[number] + len(line)
                if number >= log_number_from:
                    yield self._entry(line, number)

    def _entry(self, line: bytes, number: int) -> dict[str, Any]:
        where = f"{self._path}, line {number + 1}"
        try:
            return unsealed(json.loads(line), where)
        except (ValueError, TypeError, AttributeError, RefusedError) as error:
            remedy = "restore a backup of the file, or start a new search with another --out"
            raise RefusedError(f"{where} is damaged; {remedy}") from error


def _remove_incomplete_line(file: IO[bytes]) -> None:
    size = whole = file.seek(0, os.SEEK_END)
    while whole and file.seek(whole - 1) >= 0 and file.read(1) != b"\n":
        whole -= 1
    if whole < size:
        file.truncate(whole)


@contextlib.contextmanager
def storage_errors(storage: TrialStorage) -> Iterator[None]:
    """Turn errors of a storage into one line.

    Raises:
        UsageError: the URL is not one of a known database.
        MachineError: the storage cannot be reached, or refuses.
    """
    try:
        yield
    except AuricleError:
        raise
    except ImportError as error:
        raise MachineError(f"storage {storage.shown} needs a package that is not installed: {_line(error)}") from error
    except Exception as error:
        module = type(error).__module__.partition(".")[0]
        if type(error).__name__ in ("ArgumentError", "NoSuchModuleError"):
            raise UsageError(
                f"{storage.shown!r} is not a storage; give a journal file, or a URL such as sqlite:///trials.db"
            ) from error
        if module not in ("sqlalchemy", "optuna", "redis") and not isinstance(error, OSError):
            raise
        raise MachineError(
            f"cannot use the storage {storage.shown}: {_line(error)}; check that it exists and is writable"
        ) from error


def _line(error: Exception) -> str:
    """Return the first line of an error, or of its cause if it has one."""
    cause = error.__cause__ if type(error).__name__ == "StorageInternalError" and error.__cause__ else error
    return next(iter(str(cause).strip().splitlines()), type(cause).__name__)


def open_storage(storage: TrialStorage) -> BaseStorage:
    """Connect to the storage of a search.

    Raises:
        UsageError: the URL is not one of a known database.
        MachineError: the storage cannot be reached.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with storage_errors(storage):
        return _open(storage.url)


def _open(url: str) -> BaseStorage:
    if url.startswith(("redis://", "rediss://")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna marks it as experimental
            return JournalStorage(JournalRedisBackend(url))
    if "://" not in url:
        return JournalStorage(SealedJournal(url))
    waits = url.startswith(("postgresql", "mysql"))
    return RDBStorage(url, engine_kwargs={"connect_args": {"connect_timeout": CONNECT_S}} if waits else None)


def trials_in(
    opened: BaseStorage, storage: TrialStorage, sampler: BaseSampler | None = None, pruner: BasePruner | None = None
) -> Study:
    """Return the Optuna study with the trials of a search; without a sampler, only to read and report trials.

    Raises:
        MachineError: the storage cannot be reached.
    """
    with storage_errors(storage):
        return optuna.create_study(
            storage=opened,
            study_name=storage.name,
            sampler=sampler or RandomSampler(),
            pruner=pruner or NopPruner(),
            load_if_exists=True,
        )


def make_sampler(space: Space, seed: int) -> BaseSampler:
    """Return the sampler; every process and every run needs another seed, or all would start with the same values."""
    if space.config.sampler == "grid":
        return GridSampler(space.grid, seed=space.config.seed)
    with warnings.catch_warnings():
        # Optuna marks `group`, needed for fields that only some models have, as experimental
        warnings.simplefilter("ignore")
        return TPESampler(seed=seed, multivariate=True, group=True)


def make_pruner(space: Space) -> BasePruner:
    """Return the pruner, which ends a trial early by comparing validation losses at the same epoch."""
    epochs = max(preset.training.epochs for preset in space.presets.values())
    if asked := space.parameters.get("training.epochs"):
        tried = (asked.high,) if isinstance(asked, Range) else asked.values
        epochs = max(int(value) for value in tried if value)
    if space.config.pruner == "median":
        return MedianPruner(n_startup_trials=5, n_warmup_steps=epochs // 5)
    if space.config.pruner == "halving":
        return SuccessiveHalvingPruner(min_resource=max(1, epochs // 16), reduction_factor=4)
    return NopPruner()
