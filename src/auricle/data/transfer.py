"""Fetch a file over HTTP into a part file, and go on where an earlier attempt broke off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import requests

from auricle.errors import MachineError
from auricle.files import machine_errors

CONNECT_S, SILENCE_S = 15, 60
CHUNK_BYTES = 2**16  # what a broken connection loses at most
NUM_ATTEMPTS = 5  # in one call, as long as each brings something


def fetch(url: str, part: Path, on_progress: Callable[[int, int | None], None]) -> None:
    """Fetch a file whole into `part`, which may hold its beginning.

    A server that does not know ranges, or whose file has changed since, sends it anew from the start.

    `on_progress` is called with the bytes in `part` and those in all, None where the server does not say; beside
    `part`, `part.version` remembers of which version of the file they are.

    Raises:
        MachineError: the server or the network fails, or the disk; `part` keeps what came.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(NUM_ATTEMPTS):
        before = _size(part)
        try:
            if _fetch_rest(url, part, on_progress):
                _version(part).unlink(missing_ok=True)
                return
            reason = "the connection closed early"
        except requests.RequestException as error:
            reason = _network_reason(error)
        if _size(part) <= before:
            break
    if not _size(part):
        raise MachineError(f"{url} cannot be downloaded: {reason}; check the network and run this again")
    raise MachineError(
        f"{url} broke off after {_size(part) / 1e6:.1f} MB: {reason}; run this again, it goes on from there"
    )


def _network_reason(error: requests.RequestException) -> str:
    """Say in a few words what went wrong; the whole chain of errors is a page."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return f"the server is silent for {SILENCE_S} s"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection closed early"
    return str(error).rsplit(": ", 1)[-1].strip("'\")( ")


def _fetch_rest(url: str, part: Path, on_progress: Callable[[int, int | None], None]) -> bool:
    """Make one request for what is missing; return whether the file is whole now."""
    have = _size(part)
    headers = {"Accept-Encoding": "identity"}  # ranges count the bytes that are sent
    if have:
        headers["Range"] = f"bytes={have}-"
        if _version(part).exists() and (version := _version(part).read_text()):
            headers["If-Range"] = version
    with requests.get(url, headers=headers, stream=True, timeout=(CONNECT_S, SILENCE_S)) as response:
        content_range = response.headers.get("Content-Range", "")
        not_satisfiable = response.status_code == requests.codes.requested_range_not_satisfiable
        if not_satisfiable and content_range == f"bytes */{have}":  # all of it came before
            return True
        is_part = response.status_code == requests.codes.partial_content
        resumed = is_part and content_range.startswith(f"bytes {have}-")
        if not_satisfiable or (is_part and not resumed):
            part.unlink()
            return _fetch_rest(url, part, on_progress)
        response.raise_for_status()
        return _append(response, part, have if resumed else 0, on_progress)


def _append(response: requests.Response, part: Path, have: int, on_progress: Callable[[int, int | None], None]) -> bool:
    """Write what is sent behind the first `have` bytes; return whether as much came as was promised."""
    promised = response.headers.get("Content-Length")
    total = have + int(promised) if promised else None
    done = have
    with machine_errors(part):
        if not have:
            tag = response.headers.get("ETag", "")  # a weak one does not tell versions apart
            _version(part).write_text(tag if tag.startswith('"') else response.headers.get("Last-Modified", ""))
        file = part.open("ab" if have else "wb")
    with file:
        for chunk in response.iter_content(CHUNK_BYTES):  # its errors are the network's
            with machine_errors(part):
                file.write(chunk)
                file.flush()
            done += len(chunk)
            on_progress(done, total)
    return total is None or done == total


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _version(part: Path) -> Path:
    return part.with_name(part.name + ".version")
