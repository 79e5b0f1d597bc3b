"""Files that are written atomically, with a hash that shows whether they have changed since.

The hash is stored with the content: a text or binary file begins with the line `# sha256 HEX`, a comment in YAML; a
JSON object has the field `sha256`; hashes of other files are in SHA256SUMS beside them, which `sha256sum -c` reads too.
Files without a hash, as earlier versions wrote them, are accepted unless the caller requires one.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import IO, Any

from auricle.errors import AuricleError, MachineError, RefusedError
from auricle.system import host_marks, is_running
from auricle.text import not_finite

MARK = b"# sha256 "
FIELD = "sha256"
SUMS = "SHA256SUMS"
DAY_S = 86_400
PART = re.compile(r"\..+\.(?P<process>\d+)-((?P<host>[0-9a-f]{6})-)?[0-9a-f]{8}\.part", re.DOTALL)  # an unfinished file


@contextlib.contextmanager
def machine_errors(path: Path, doing: str = "write", need_bytes: int | None = None) -> Iterator[None]:
    """Turn a disk error into one line that names the path and, if known, the space needed.

    Raises:
        MachineError: an OSError happened inside.
    """
    try:
        yield
    except OSError as error:
        need = "" if need_bytes is None else f" ({max(need_bytes / 1e6, 0.1):.1f} MB)"
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        hint = "; free some space and run the same command again" if full else ""
        raise MachineError(f"cannot {doing} {path}{need}: {error.strerror or error}{hint}") from error


def write_atomically(path: Path, write: Callable[[IO[bytes]], object], need_bytes: int | None = None) -> None:
    """Write a file atomically: to a temporary file beside it, fsync, rename; `need_bytes` if the size is known.

    Raises:
        MachineError: the disk refuses; the previous file at `path` is unharmed. Or `path` is a device or a pipe.
    """
    beside = part_of(path)
    with machine_errors(path, need_bytes=need_bytes):
        if is_special(path):  # renaming would replace it: as root, a file would be where /dev/full was
            raise MachineError(f"cannot write {path}: it is a device or a pipe, not a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            with contextlib.suppress(OSError):  # the first error says more
                beside.unlink(missing_ok=True)


def is_special(path: Path) -> bool:
    """Return whether something exists at a path that is neither a file nor a folder: a device, a pipe, a socket."""
    return path.exists() and not path.is_file() and not path.is_dir()


def part_of(path: Path) -> Path:
    """Return the temporary path at which this process writes a file or folder before renaming it."""
    return path.with_name(f".{path.name}.{os.getpid()}-{_host()}-{secrets.token_hex(4)}.part")


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files that killed processes left in a folder; those of other machines only after a day."""
    with contextlib.suppress(OSError):
        for path in [*folder.iterdir()]:
            if part := PART.fullmatch(path.name):
                is_left = part["host"] == _host() and not is_running(int(part["process"]))
                if is_left or path.stat().st_mtime < time.time() - DAY_S:
                    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


@cache
def _host() -> str:
    """Return a short name of the machine (since its start) or container within which process numbers are unique."""
    return digest("".join(host_marks()).encode())[:6]


def write_bytes(path: Path, *parts: bytes | memoryview) -> None:
    """Write bytes atomically."""
    write_atomically(path, lambda file: file.writelines(parts), sum(len(part) for part in parts))


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically.

    Raises:
        AuricleError: a number is NaN or infinite, which JSON cannot express.
        MachineError: the disk refuses.
    """
    if field := not_finite(value):
        raise AuricleError(f"cannot write {path}: {field}; if the model diverged, lower training.learning_rate")
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def digest(content: bytes | memoryview) -> str:
    """Return the SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def mark(content: bytes | memoryview) -> bytes:
    """Return the line with the hash that precedes some content.

    >>> mark(b"hello")[:22]
    b'# sha256 2cf24dba5fb0a'
    """
    return MARK + digest(content).encode() + b"\n"


def read_marked(path: Path, *, required: bool = False) -> bytes:
    """Read a file without its first line, and check the hash in that line.

    Raises:
        RefusedError: the content has changed, or the hash is `required` and missing.
        OSError: the file cannot be read.
    """
    content = path.read_bytes()
    if not content.startswith(MARK):
        if required:
            raise RefusedError(f"{path} is damaged: it does not begin with its SHA-256")
        return content
    line, _, rest = content.partition(b"\n")
    if line + b"\n" != mark(memoryview(content)[len(line) + 1 :]):
        raise RefusedError(
            f"{path} is damaged or was edited: it does not match the SHA-256 in its first line; restore the original, "
            "or delete that line if the edit is intended"
        )
    return rest


def write_summed(path: Path, *parts: bytes | memoryview) -> None:
    """Write bytes atomically, and their hash into SHA256SUMS beside them."""
    write_bytes(path, *parts)
    sums = _sums(path.with_name(SUMS)) | {path.name: digest(b"".join(parts))}
    write_text(path.with_name(SUMS), "".join(f"{each}  {name}\n" for name, each in sorted(sums.items())))


def read_summed(path: Path) -> bytes:
    """Read a file, and check its hash in SHA256SUMS beside it.

    Raises:
        RefusedError: the content has changed.
        OSError: the file cannot be read.
    """
    content = path.read_bytes()
    if _sums(path.with_name(SUMS)).get(path.name, digest(content)) != digest(content):
        raise RefusedError(f"{path} is damaged: it does not match its hash in {SUMS}")
    return content


def _sums(path: Path) -> dict[str, str]:
    """Return the hashes by file name; empty if there is no such file."""
    try:
        lines = path.read_bytes().decode("ascii", "replace").splitlines()
    except FileNotFoundError:
        return {}
    return {name: each for each, _, name in (line.partition("  ") for line in lines)}


def is_whole(path: Path, read: Callable[[Path], object]) -> bool:
    """Return whether a file exists and its hash is right, by reading it with one of the functions above."""
    try:
        read(path)
    except (OSError, RefusedError):
        return False
    return True


def write_sealed(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object with its hash, atomically."""
    write_json(path, sealed(value))


def sealed(value: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON object with its hash added as the last field."""
    return {**value, FIELD: _digest_of(value)}


def read_sealed(path: Path) -> dict[str, Any]:
    """Read a JSON object without its hash, after checking it.

    Raises:
        RefusedError: the file cannot be read, is not a JSON object, or has changed.
    """
    try:
        return unsealed(json.loads(path.read_text(encoding="utf-8")), str(path))
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise RefusedError(f"{path} is damaged ({' '.join(str(error).split())})") from error


def unsealed(sealed: dict[str, Any], where: str) -> dict[str, Any]:
    """Return a JSON object without its hash, after checking it; `where` names it in an error."""
    value = dict(sealed)
    seal = value.pop(FIELD, None)
    last = str(next(reversed(value.values()), ""))
    if seal != _digest_of(value) if seal is not None else re.fullmatch("[0-9a-f]{64}", last):
        raise RefusedError(f"{where} is damaged: its content does not match its SHA-256")
    return value


def _digest_of(value: dict[str, Any]) -> str:
    return digest(json.dumps(value, sort_keys=True).encode())
