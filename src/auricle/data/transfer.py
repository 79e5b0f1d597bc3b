"""Download a file over HTTP into a part file, resuming an earlier attempt.

Nothing that a server declares is trusted: not the length of its file, nor the range it sends, nor a redirect.
"""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from auricle.errors import MachineError, RefusedError, UsageError
from auricle.files import machine_errors

CONNECT_S, SILENCE_S = 15.0, 60.0
MIN_BYTES = 2**16  # minimum in SILENCE_S; a slower server is given up
CHUNK_BYTES = 2**16
NUM_ATTEMPTS = 5  # in one call, as long as each makes progress
MAX_REDIRECTS = 5
_NETWORK = (requests.RequestException, HTTPError, HTTPException, OSError, ValueError)
TransferProgress = Callable[[int, int | None], None]


class _BadAnswerError(Exception):
    """The answer of a server is unusable; the message says why."""


def fetch(url: str, part: Path, on_progress: TransferProgress, *, max_bytes: int) -> None:
    """Download a complete file into `part`, which may already contain its beginning.

    If the server does not support ranges, or its file has changed, the download starts over.

    `on_progress` is called with the bytes in `part` and the total, None if the server does not declare it;
    `part.version`, beside `part`, stores the version of the file.

    Raises:
        UsageError: not an HTTP address.
        RefusedError: the file is larger than `max_bytes`; `part` is deleted.
        MachineError: the server, the network or the disk fails; `part` is kept.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise UsageError(f"{url} cannot be downloaded: an address must begin with https:// or http://")
    with machine_errors(part):
        part.parent.mkdir(parents=True, exist_ok=True)
        if _size(part) > max_bytes:
            part.unlink()
    for _ in range(NUM_ATTEMPTS):
        before = _size(part)
        try:
            if _fetch_rest(url, part, on_progress, max_bytes):
                _version(part).unlink(missing_ok=True)
                return
            reason = "the connection was closed early"
        except RefusedError:
            part.unlink(missing_ok=True)
            _version(part).unlink(missing_ok=True)
            raise
        except (*_NETWORK, _BadAnswerError) as error:
            reason = _plain_reason(error)
        if _size(part) <= before:
            break
    if not _size(part):
        raise MachineError(f"{url} cannot be downloaded: {reason}; check the network and run this again")
    raise MachineError(f"{url} was interrupted after {_size(part) / 1e6:.1f} MB: {reason}; run this again to resume")


def _plain_reason(error: Exception) -> str:
    """Return a short reason; the full chain of errors is a page long, and contains text of the server."""
    if isinstance(error, requests.Timeout | ReadTimeoutError):
        return f"no data from the server for {SILENCE_S:g} s"
    if "IncompleteRead" in str(error):  # http.client's error, inside two of urllib3
        return "the connection was closed early"
    line = " ".join(str(error).split()).rsplit(": ", 1)[-1].strip("'\")( ")
    return printable(line) or type(error).__name__


def printable(text: str) -> str:
    """Return text of a server or an archive as a short line; characters that cannot be printed become `?`."""
    return "".join(mark if mark.isprintable() else "?" for mark in " ".join(text.split()))[:200]


def _fetch_rest(url: str, part: Path, on_progress: TransferProgress, max_bytes: int) -> bool:
    """Request the missing part, or everything if the answer does not match; return whether the file is complete."""
    have = _size(part)
    headers = {"Accept-Encoding": "identity"}  # ranges count encoded bytes
    if have:
        headers["Range"] = f"bytes={have}-"
        if _version(part).exists() and (version := _version(part).read_text(encoding="utf-8")):
            headers["If-Range"] = version
    with _answer(url, headers) as response:
        content_range = response.headers.get("Content-Range", "")
        status = response.status_code
        if status == HTTPStatus.OK:
            return _append(response, part, 0, _declared_length(response), on_progress, max_bytes)
        if status == HTTPStatus.PARTIAL_CONTENT and have and (total := _declared_total(response, have)):
            return _append(response, part, have, total, on_progress, max_bytes)
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and content_range == f"bytes */{have}" and have:
            return True  # it was already complete
        if not have or status not in (HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
            known = status in HTTPStatus._value2member_map_
            phrase = f" {HTTPStatus(status).phrase}" if known else ""  # the server's own phrase could be anything
            raise _BadAnswerError(f"the server answers {status}{phrase}")
    with machine_errors(part):
        part.unlink()
    return _fetch_rest(url, part, on_progress, max_bytes)


def _answer(url: str, headers: dict[str, str]) -> requests.Response:
    """Send a request, follow redirects, and return the response before its content is read."""
    at = url
    for _ in range(MAX_REDIRECTS + 1):
        response = _ask(at, headers)
        if response.is_redirect:
            to = urljoin(at, response.headers["Location"])
            response.close()
            safe = ("https",) if urlsplit(at).scheme == "https" else ("http", "https")
            if urlsplit(to).scheme not in safe:
                raise _BadAnswerError(f"the server redirects to {to[:100]!r}, which is not {' or '.join(safe)}")
            at = to
            continue
        coding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            response.close()
            raise _BadAnswerError(f"the server sends it in the encoding {coding[:20]!r}, which was not requested")
        return response
    raise _BadAnswerError(f"the server redirects more than {MAX_REDIRECTS} times")


def _ask(url: str, headers: dict[str, str]) -> requests.Response:
    """Make one request in a thread, which is abandoned if the response headers are not complete in time."""
    answers: queue.SimpleQueue[requests.Response | Exception] = queue.SimpleQueue()
    options = {"stream": True, "allow_redirects": False, "timeout": (CONNECT_S, SILENCE_S)}

    def ask() -> None:
        try:
            answers.put(requests.get(url, headers=headers, **options))  # type: ignore[arg-type]
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=CONNECT_S + SILENCE_S)
    except queue.Empty:
        raise _BadAnswerError(f"no complete answer from the server in {CONNECT_S + SILENCE_S:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _declared_length(response: requests.Response) -> int | None:
    """Return the declared length of a response in bytes, None if there is none."""
    length = response.headers.get("Content-Length", "")
    return int(length) if re.fullmatch("[0-9]{1,18}", length) else None


def _declared_total(response: requests.Response, start: int) -> int | None:
    """Return the declared size of the whole file if the range is as requested and as declared, or None."""
    found = re.fullmatch("bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", response.headers.get("Content-Range", ""))
    if found is None:
        return None
    first, last, total = map(int, found.groups())
    length = _declared_length(response)
    return total if first == start <= last < total and length in (None, last - first + 1) else None


def _append(
    response: requests.Response, part: Path, have: int, total: int | None, on_progress: TransferProgress, max_bytes: int
) -> bool:
    """Write the content after the first `have` bytes; return whether it has the declared length."""
    if (total or 0) > max_bytes:
        raise _too_long(response, max_bytes)
    with machine_errors(part):
        if not have:
            tag = response.headers.get("ETag", "")  # a weak one does not distinguish versions
            version = tag if tag.startswith('"') else response.headers.get("Last-Modified", "")
            fits = version.isascii() and version.isprintable() and len(version) < 200
            _version(part).write_text(version if fits else "", encoding="utf-8")
        file = part.open("ab" if have else "wb")
    done, since_s, num_since = have, time.monotonic(), 0
    with file:
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=False):  # network errors
            done += len(chunk)
            if done > max_bytes:
                raise _too_long(response, max_bytes)
            with machine_errors(part):
                file.write(chunk)
                file.flush()
            on_progress(done, total)
            num_since += len(chunk)
            if num_since >= MIN_BYTES:
                since_s, num_since = time.monotonic(), 0
            elif time.monotonic() - since_s > SILENCE_S:
                raise _BadAnswerError(f"the server sends less than {MIN_BYTES / SILENCE_S / 1e3:.0f} kB/s")
    return total is None or done == total


def _too_long(response: requests.Response, max_bytes: int) -> RefusedError:
    return RefusedError(
        f"{response.url.split('?')[0][:200]} is not the requested file: it is larger than {max_bytes / 1e6:,.0f} MB"
    )


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _version(part: Path) -> Path:
    return part.with_name(part.name + ".version")
