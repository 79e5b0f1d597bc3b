"""Fetch a file over HTTP into a part file, and go on where an earlier attempt broke off.

Nothing that a server says is believed: not how long its file is, nor which part it sends, nor where it has moved to.
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
MIN_BYTES = 2**16  # that come in SILENCE_S, or the server is too slow to wait for
CHUNK_BYTES = 2**16
NUM_ATTEMPTS = 5  # in one call, as long as each brings something
MAX_REDIRECTS = 5
_NETWORK = (requests.RequestException, HTTPError, HTTPException, OSError, ValueError)
Progress = Callable[[int, int | None], None]


class _BadAnswerError(Exception):
    """A server's answer is of no use; the message says why."""


def fetch(url: str, part: Path, on_progress: Progress, *, max_bytes: int) -> None:
    """Fetch a file whole into `part`, which may hold its beginning.

    A server that does not know ranges, or whose file has changed since, sends it anew from the start.

    `on_progress` is called with the bytes in `part` and those in all, None where the server does not say; beside
    `part`, `part.version` remembers of which version of the file they are.

    Raises:
        UsageError: the address is not of HTTP.
        RefusedError: the file has more than `max_bytes`; nothing of it is kept.
        MachineError: the server or the network fails, or the disk; `part` keeps what came.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise UsageError(f"{url} cannot be downloaded: an address begins with https:// or http://")
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
            reason = "the connection closed early"
        except RefusedError:
            part.unlink(missing_ok=True)
            _version(part).unlink(missing_ok=True)
            raise
        except (*_NETWORK, _BadAnswerError) as error:
            reason = _reason(error)
        if _size(part) <= before:
            break
    if not _size(part):
        raise MachineError(f"{url} cannot be downloaded: {reason}; check the network and run this again")
    raise MachineError(
        f"{url} broke off after {_size(part) / 1e6:.1f} MB: {reason}; run this again, it goes on from there"
    )


def _reason(error: Exception) -> str:
    """Say in a few words what went wrong; the whole chain of errors is a page, and what a server says is its own."""
    if isinstance(error, requests.Timeout | ReadTimeoutError):
        return f"the server is silent for {SILENCE_S:g} s"
    if "IncompleteRead" in str(error):  # of http.client's, within two of urllib3's
        return "the connection closed early"
    line = " ".join(str(error).split()).rsplit(": ", 1)[-1].strip("'\")( ")
    return "".join(mark if mark.isprintable() else "?" for mark in line)[:200] or type(error).__name__


def _fetch_rest(url: str, part: Path, on_progress: Progress, max_bytes: int) -> bool:
    """Request what is missing, or all of it where the answer does not fit; return whether the file is whole now."""
    have = _size(part)
    headers = {"Accept-Encoding": "identity"}  # ranges count the bytes that are sent
    if have:
        headers["Range"] = f"bytes={have}-"
        if _version(part).exists() and (version := _version(part).read_text(encoding="utf-8")):
            headers["If-Range"] = version
    with _answer(url, headers) as response:
        content_range = response.headers.get("Content-Range", "")
        status = response.status_code
        if status == HTTPStatus.OK:
            return _append(response, part, 0, _length(response), on_progress, max_bytes)
        if status == HTTPStatus.PARTIAL_CONTENT and have and (total := _total(response, have)):
            return _append(response, part, have, total, on_progress, max_bytes)
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and content_range == f"bytes */{have}" and have:
            return True  # all of it came before
        if not have or status not in (HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
            known = status in HTTPStatus._value2member_map_
            phrase = f" {HTTPStatus(status).phrase}" if known else ""  # the server's own could hold anything
            raise _BadAnswerError(f"the server answers {status}{phrase}")
    with machine_errors(part):
        part.unlink()
    return _fetch_rest(url, part, on_progress, max_bytes)


def _answer(url: str, headers: dict[str, str]) -> requests.Response:
    """Ask, follow redirects, and return an answer whose content has not been read yet."""
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
            raise _BadAnswerError(f"the server sends it in the encoding {coding[:20]!r}, which nobody asked for")
        return response
    raise _BadAnswerError(f"the server redirects more than {MAX_REDIRECTS} times")


def _ask(url: str, headers: dict[str, str]) -> requests.Response:
    """Make one request in a thread that is left behind where no answer is whole in time, however it trickles in."""
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
        raise _BadAnswerError(f"the server gives no whole answer in {CONNECT_S + SILENCE_S:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _length(response: requests.Response) -> int | None:
    """Return how many bytes an answer promises, None where it does not say."""
    length = response.headers.get("Content-Length", "")
    return int(length) if re.fullmatch("[0-9]{1,18}", length) else None


def _total(response: requests.Response, start: int) -> int | None:
    """Return the bytes of the whole file if a part begins where it was asked to and is as long as it says, or None."""
    found = re.fullmatch("bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", response.headers.get("Content-Range", ""))
    if found is None:
        return None
    first, last, total = map(int, found.groups())
    length = _length(response)
    return total if first == start <= last < total and length in (None, last - first + 1) else None


def _append(
    response: requests.Response, part: Path, have: int, total: int | None, on_progress: Progress, max_bytes: int
) -> bool:
    """Write what is sent behind the first `have` bytes; return whether as much came as was promised."""
    if (total or 0) > max_bytes:
        raise _too_long(response, max_bytes)
    with machine_errors(part):
        if not have:
            tag = response.headers.get("ETag", "")  # a weak one does not tell versions apart
            version = tag if tag.startswith('"') else response.headers.get("Last-Modified", "")
            fits = version.isascii() and version.isprintable() and len(version) < 200
            _version(part).write_text(version if fits else "", encoding="utf-8")
        file = part.open("ab" if have else "wb")
    done, since_s, num_since = have, time.monotonic(), 0
    with file:
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=False):  # its errors are the network's
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
        f"{response.url.split('?')[0][:200]} is not what was asked for: it has more than {max_bytes / 1e6:,.0f} MB"
    )


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _version(part: Path) -> Path:
    return part.with_name(part.name + ".version")
