"""Read a bundle that may come from an untrusted source, and check it."""

import stat
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from auricle import files
from auricle.bundle.description import DESCRIPTION, NETWORK, STANDALONE, Description
from auricle.bundle.graph import check_graph
from auricle.errors import RefusedError

MAX_DESCRIPTION_BYTES = 2**20


@dataclass(frozen=True)
class Bundle:
    """A checked bundle: its folder, its description, and the bytes of its network that were checked."""

    folder: Path
    description: Description
    network: bytes

    @property
    def num_bytes(self) -> int:
        """Size of the whole on disk."""
        return sum(file.num_bytes for file in self.description.files.values())


def first_fault(error: ValidationError) -> str:
    """Return in a line the first field of a description that is wrong, and why."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or "content"
    reason = " ".join(first["msg"].removeprefix("Value error, ").split())
    return f"{field[:100]}: {reason[:300]}"


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle and check everything about it that can be checked without running it.

    The `RefusedError` of a missing, damaged or dangerous bundle gives the file and the reason.
    """
    folder = Path(folder)
    try:
        if not folder.is_dir():
            what = "a file, not a bundle's folder" if folder.exists() else "no such folder"
            raise RefusedError(f"{folder}: {what}; auricle export makes a bundle")
        text = _read_ordinary(folder / DESCRIPTION, MAX_DESCRIPTION_BYTES)
    except ValueError as error:  # a zero byte in the name
        raise RefusedError(f"{str(folder)!r}: not a valid folder name: {error}") from error
    try:
        description = Description.model_validate_json(text)
    except ValidationError as error:
        raise RefusedError(f"{folder / DESCRIPTION}: {first_fault(error)}") from error
    network = b""
    for name, stored in description.files.items():
        content = _read_ordinary(folder / name, stored.num_bytes)
        if len(content) != stored.num_bytes or files.digest(content) != stored.sha256:
            raise RefusedError(f"{folder / name}: damaged, it is not the file that {DESCRIPTION} describes")
        if name in (NETWORK, STANDALONE):
            check_graph(content, folder / name)
        if name == NETWORK:
            network = content
    return Bundle(folder, description, network)


def _read_ordinary(path: Path, max_bytes: int) -> bytes:
    """Read an ordinary file of at most so many bytes; links are not followed."""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise RefusedError(f"{path}: not an ordinary file")
        if status.st_size > max_bytes:
            raise RefusedError(f"{path}: {status.st_size} bytes; at most {max_bytes} are allowed")
        return path.read_bytes()
    except FileNotFoundError:
        raise RefusedError(f"{path}: missing, so {path.parent} is not a complete bundle; export it again") from None
    except OSError as error:
        raise RefusedError(f"{path}: cannot be read: {error.strerror}") from error
