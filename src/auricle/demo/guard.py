"""A guard in front of Gradio: which clients may send requests, and which requests are allowed.

A malicious page can make a browser send requests to any server that its machine reaches, under any name; and Gradio
accepts a URL instead of an uploaded file, and fetches it. So a request must have an allowed host name, must not come
from a page of another site, and may refer only to files that were uploaded here.
"""

from __future__ import annotations

import ipaddress
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from auricle.system import disable_telemetry

POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; connect-src 'self' data: blob:; form-action 'none'; frame-ancestors 'self'"
)
MOST_BODY_BYTES = 2**20  # of a request that is not an upload
UPLOAD = "/gradio_api/upload"  # its body is files, whose size Gradio limits

Message = dict[str, Any]


class Refusal(Exception):  # noqa: N818
    """A refused request: the HTTP status and the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Guard:
    """ASGI middleware around the page; its header `POLICY` prevents loading anything from elsewhere.

    Args:
        app: the application that answers allowed requests.
        names: allowed host names besides those of this machine: the one served, and those that the user allows.
        is_local: only this machine is served, so that no other address is allowed.
        folder: contains all files that a request may refer to.
    """

    def __init__(self, app: Callable[..., Any], names: Sequence[str], is_local: bool, folder: Path) -> None:
        self.app, self.is_local = app, is_local
        self.names = {_hostname(name) for name in names} - {""}  # without the port that they may be given with
        self.folder = folder.resolve()

    async def __call__(self, scope: Message, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        """Answer a request, or refuse it in one line; internal errors are one line, too."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        has_started = False

        async def send_with_policy(part: Message) -> None:
            nonlocal has_started
            if part["type"] == "http.response.start":
                more = [(b"content-security-policy", POLICY.encode()), (b"referrer-policy", b"no-referrer")]
                part, has_started = {**part, "headers": [*part["headers"], *more]}, True
            await send(part)

        try:
            self._check_sender(scope)
            if scope["method"] not in ("GET", "HEAD", "OPTIONS") and scope["path"] != UPLOAD:
                receive = _received(self._checked(await _body(receive)), receive)
            await self.app(scope, receive, send_with_policy)
        except Exception as error:
            refusal = error if isinstance(error, Refusal) else Refusal(500, "this request cannot be answered")
            if refusal is not error:
                _report(error)
            body = b""
            if not has_started:
                body, kind = json.dumps({"detail": str(refusal)}).encode(), [(b"content-type", b"application/json")]
                await send_with_policy({"type": "http.response.start", "status": refusal.status, "headers": kind})
            await send_with_policy({"type": "http.response.body", "body": body})

    def _check_sender(self, scope: Message) -> None:
        headers = [(name.lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            raise Refusal(403, "this host name is not allowed; auricle demo --allow-host NAME allows it")
        for origin in (value for name, value in headers if name == b"origin"):
            netloc = _netloc(origin)
            if netloc.lower() != hosts[0].lower() and _hostname(netloc) not in self.names:
                raise Refusal(403, "requests from pages of other sites are not allowed")

    def _is_ours(self, netloc: str) -> bool:
        """Return whether a Host header is an allowed name or an address; prevents DNS rebinding."""
        host = _hostname(netloc)
        if host in self.names or host == "localhost":
            return True
        try:
            return ipaddress.ip_address(host).is_loopback or not self.is_local
        except ValueError:
            return False

    def _checked(self, body: bytes) -> bytes:
        """Return a JSON body, serialised again, that refers only to files in the upload folder."""
        try:
            value = json.loads(body or b"null")
            paths = list(_paths(value))
        except (ValueError, RecursionError):
            raise Refusal(400, "the body is not JSON") from None
        for path in paths:
            if not self._is_inside(path):
                raise Refusal(403, "only files that were uploaded here can be used")
        return json.dumps(value).encode() if body else b""

    def _is_inside(self, path: Any) -> bool:
        try:
            return Path(path).is_absolute() and Path(path).resolve().is_relative_to(self.folder)
        except (TypeError, ValueError, OSError):
            return False


def _paths(value: Any) -> Iterator[Any]:
    """Yield every file path anywhere in a JSON value."""
    if isinstance(value, dict):
        if "path" in value:
            yield value["path"]
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _paths(part)


async def _body(receive: Callable[..., Any]) -> bytes:
    body = b""
    while True:
        part = await receive()
        body += part.get("body", b"")
        if len(body) > MOST_BODY_BYTES:
            raise Refusal(413, f"a request has more than {MOST_BODY_BYTES} bytes")
        if not part.get("more_body"):
            return body


def _received(body: bytes, receive: Callable[..., Any]) -> Callable[..., Any]:
    """Return a receiver that replays a body that was read already, then continues."""
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_part() -> Message:
        return parts.pop() if parts else await receive()

    return next_part


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _hostname(netloc: str) -> str:
    try:
        return (urlsplit(f"//{netloc}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _report(error: BaseException | None) -> None:
    """Print the error of a request in one line on standard error; its text is untrusted."""
    if os.environ.get("AURICLE_DEBUG"):
        traceback.print_exception(error)
    text = ascii(" ".join(str(error).split())[:200])
    sys.stderr.write(f"auricle: a request could not be answered: {type(error).__name__}: {text}\n")


def without_tracebacks() -> None:
    """Let Gradio report errors of requests in one line instead of a traceback."""
    disable_telemetry()
    from gradio import queueing, route_utils, routes

    brief = SimpleNamespace(print_exc=lambda: _report(sys.exc_info()[1]))
    for module in (queueing, route_utils, routes):
        module.traceback = brief  # type: ignore[attr-defined]
