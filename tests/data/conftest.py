import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile

from auricle.data.manifest import Clip, Manifest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for every test, and no real recordings but where a test asks for them."""
    monkeypatch.setenv("AURICLE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _write_sound(path: Path, *, pitch_hz: float = 440.0, duration_s: float = 0.5, rate_hz: int = 8_000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    times_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * pitch_hz * times_s), rate_hz, subtype=None)
    return path


@pytest.fixture
def write_sound() -> Callable[..., Path]:
    """Write a tone; the format follows the suffix."""
    return _write_sound


@pytest.fixture
def class_folders(tmp_path: Path) -> Path:
    """Three classes of five tones each, every tone another pitch."""
    for place, category in enumerate(("bell", "cat", "dog")):
        for take in range(5):
            _write_sound(tmp_path / "sounds" / category / f"{take}.wav", pitch_hz=300 + 100 * place + 7 * take)
    return tmp_path / "sounds"


@pytest.fixture
def make_manifest() -> Callable[..., Manifest]:
    """A manifest of files that need not exist, from (category, fold, group) a clip."""

    def make(*rows: tuple[str, int, str], clip_s: float = 1.0) -> Manifest:
        clips = [Clip(Path(f"{n}.wav"), f"{n}.wav", *row) for n, row in enumerate(rows)]
        return Manifest("made", tuple(clips), clip_s)

    return make


class Server(ThreadingHTTPServer):
    """Serves `content` at any path, and remembers the ranges that were asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = b""
        self.over = threading.Event()
        self.version = '"one"'
        self.breaks: list[int] = []  # after how many bytes to hang up, request by request
        self.knows_ranges = True
        self.says_length = True
        self.status = 200
        self.raw: list[bytes] = []  # whole answers, sent as they are, request by request; the last one stays
        self.trickle_s = 0.0  # between bytes of such an answer
        self.asked: list[str | None] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """The client hung up, as a test wants."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append(asked)
        if server.raw:
            self._send_raw(server.raw.pop(0) if len(server.raw) > 1 else server.raw[0])
            return
        if server.status != 200:
            self.send_error(server.status)
            return
        start = int(re.findall(r"\d+", asked)[0]) if asked else 0
        if not server.knows_ranges or self.headers.get("If-Range", server.version) != server.version:
            start = 0
        if start >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        if server.version:
            self.send_header("ETag", server.version)
        if server.says_length:
            self.send_header("Content-Length", str(len(server.content) - start))
        self.end_headers()
        stop = start + server.breaks.pop(0) if server.breaks else None
        self.wfile.write(server.content[start:stop])

    def _send_raw(self, answer: bytes) -> None:
        if not self.server.trickle_s:
            self.wfile.write(answer)
            return
        for mark in answer:
            self.wfile.write(bytes([mark]))
            if self.server.over.wait(self.server.trickle_s):
                return

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on loopback that can break off, forget ranges, or change its file."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.over.set()
        running.shutdown()
        thread.join()
