"""Downloads from a server on loopback that can break off, forget ranges, or change its file."""

import contextlib
import gzip
import io
from pathlib import Path
from typing import Any

import pytest
import requests

from auricle.data import transfer
from auricle.data.transfer import fetch
from auricle.errors import MachineError, RefusedError, UsageError

CONTENT = bytes(range(256)) * 4_000
CHUNK = transfer.CHUNK_BYTES
MAX_BYTES = 10 * len(CONTENT)


@pytest.fixture(autouse=True)
def content(server: Any) -> None:
    server.content = CONTENT


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "file.part"


def fetch_all(server: Any, part: Path) -> list[tuple[int, int | None]]:
    seen: list[tuple[int, int | None]] = []
    fetch(server.url, part, lambda done, total: seen.append((done, total)), max_bytes=MAX_BYTES)
    return seen


def test_a_whole_file_comes_with_progress_to_its_end(server: Any, part: Path) -> None:
    seen = fetch_all(server, part)
    assert part.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert server.asked == [None]
    assert list(part.parent.iterdir()) == [part]


def test_a_connection_that_breaks_is_taken_up_where_it_did(server: Any, part: Path) -> None:
    server.breaks = [4 * CHUNK + 1, 3 * CHUNK + 1]
    seen = fetch_all(server, part)
    assert part.read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={4 * CHUNK + 1}-", f"bytes={7 * CHUNK + 2}-"]
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(server: Any, part: Path) -> None:
    server.breaks = [5 * CHUNK, 0]
    words = r"was interrupted after 0.3 MB: the connection was closed early; run this again to resume"
    with pytest.raises(MachineError, match=words):
        fetch_all(server, part)
    assert part.read_bytes() == CONTENT[: 5 * CHUNK]
    fetch_all(server, part)
    assert part.read_bytes() == CONTENT
    assert server.asked[-1] == f"bytes={5 * CHUNK}-"


def test_a_server_that_ignores_ranges_sends_it_anew(server: Any, part: Path) -> None:
    server.knows_ranges = False
    server.breaks = [300_000]
    fetch_all(server, part)
    assert part.read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_is_not_glued_to_its_old_half(server: Any, part: Path) -> None:
    server.breaks = [300_000, 0]
    with pytest.raises(MachineError):
        fetch_all(server, part)
    server.content, server.version = CONTENT[::-1], '"two"'
    fetch_all(server, part)
    assert part.read_bytes() == CONTENT[::-1]


def test_a_part_that_is_whole_already_is_not_fetched_again(server: Any, part: Path) -> None:
    part.write_bytes(CONTENT)
    assert fetch_all(server, part) == []
    assert part.read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_fetched_anew(server: Any, part: Path) -> None:
    part.write_bytes(CONTENT + b"more")
    fetch_all(server, part)
    assert part.read_bytes() == CONTENT


def test_a_server_that_does_not_say_how_long_it_is_is_believed(server: Any, part: Path) -> None:
    server.says_length, server.version = False, ""
    seen = fetch_all(server, part)
    assert part.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), None)


def test_an_answer_that_is_no_file_is_one_line(server: Any, part: Path) -> None:
    server.status = 404
    with pytest.raises(
        MachineError,
        match="cannot be downloaded: the server answers 404 Not Found; check the network and run this again",
    ) as caught:
        fetch_all(server, part)
    assert "\n" not in str(caught.value)
    assert len(server.asked) == 1


def test_no_server_at_all_is_one_line(part: Path) -> None:
    with pytest.raises(MachineError, match=r"cannot be downloaded: \[Errno .*\] Connection refused; ") as caught:
        fetch("http://127.0.0.1:9/file", part, lambda done, total: None, max_bytes=MAX_BYTES)
    assert "\n" not in str(caught.value)


def test_a_part_that_cannot_be_written_is_the_machines_fault(server: Any, tmp_path: Path) -> None:
    (tmp_path / "file.part").mkdir()
    with pytest.raises(MachineError, match="cannot write"):
        fetch_all(server, tmp_path / "file.part")


def answer(*headers: str, status: str = "200 OK", content: bytes = CONTENT) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "Connection: close", "", ""]).encode("latin-1") + content


def refusal(server: Any, part: Path, kind: type[Exception] = MachineError) -> str:
    with pytest.raises(kind) as caught:
        fetch_all(server, part)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_more_than_is_allowed_is_refused_and_not_kept_whether_it_is_promised_or_not(server: Any, part: Path) -> None:
    server.content = bytes(MAX_BYTES + 1)
    for server.says_length in (True, False):
        assert "it is larger than 10 MB" in refusal(server, part, RefusedError)
        assert not list(part.parent.iterdir())


def test_a_content_that_is_encoded_is_refused_and_never_expanded(server: Any, part: Path) -> None:
    server.raw = [answer("Content-Encoding: gzip", content=gzip.compress(CONTENT))]
    assert "sends it in the encoding 'gzip', which was not requested" in refusal(server, part)
    assert not list(part.parent.iterdir())


def test_a_server_that_answers_416_to_everything_is_one_line(server: Any, part: Path) -> None:
    server.raw = [answer("Content-Range: bytes */5", status="416 No", content=b"")]
    assert "answers 416" in refusal(server, part)
    part.write_bytes(b"half")
    assert "answers 416" in refusal(server, part)


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Range: bytes 4-3/4"],
        ["Content-Range: bytes 5-9/10"],
        ["Content-Range: bytes 4-9/8"],
        ["Content-Range: bytes 4-9/*"],
        ["Content-Range: bytes 4-9/10", "Content-Length: 99"],
        ["Content-Range: "],
        [],
    ],
)
def test_a_part_that_does_not_fit_is_not_glued_to_what_came_before(server: Any, part: Path, headers: list[str]) -> None:
    part.write_bytes(b"half")
    server.raw = [answer(*headers, status="206 Partial", content=b"wrong!"), answer(f"Content-Length: {len(CONTENT)}")]
    fetch_all(server, part)
    assert part.read_bytes() == CONTENT
    assert server.asked == ["bytes=4-", None]


def test_what_was_not_asked_for_in_part_is_not_taken_in_part(server: Any, part: Path) -> None:
    server.raw = [answer("Content-Range: bytes 0-4/5", status="206 Partial", content=b"wrong")]
    assert "answers 206" in refusal(server, part)


@pytest.mark.parametrize("length", ["x", "-1", "1e9", "9" * 5_000, "5, 6"])
def test_a_length_that_is_no_number_is_no_crash(server: Any, part: Path, length: str) -> None:
    server.raw = [answer(f"Content-Length: {length}")]
    with contextlib.suppress(MachineError):
        fetch_all(server, part)
        assert part.read_bytes() == CONTENT


def test_nothing_that_a_server_says_reaches_the_terminal_raw(server: Any, part: Path) -> None:
    for raw in (
        answer(status="500 \x1b]0;owned\x07"),
        answer("Location: \x1b[2Jfile:///etc/passwd", status="302 Found"),
        answer("Content-Encoding: \x1b[2J"),
        b"\x1b[2J\r\n\r\n",
        answer("Transfer-Encoding: chunked", content=b"\x1b[2J\r\n"),
    ):
        server.raw = [raw]
        assert len(refusal(server, part)) < 500


def test_a_version_that_no_header_may_hold_is_not_sent_back(server: Any, part: Path) -> None:
    server.raw = [answer('ETag: "\xff"', f"Content-Length: {len(CONTENT)}", content=CONTENT[:9]), answer()]
    fetch_all(server, part)
    assert part.read_bytes() == CONTENT


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/", "//[", "gopher:x", "data:,x"])
def test_a_redirect_to_anything_but_http_is_refused(server: Any, part: Path, to: str) -> None:
    server.raw = [answer(f"Location: {to}", status="302 Found", content=b"")]
    refusal(server, part)
    assert not list(part.parent.iterdir())


def test_redirects_end(server: Any, part: Path) -> None:
    server.raw = [answer("Location: /file", status="302 Found", content=b"")]
    assert "redirects more than 5 times" in refusal(server, part)
    server.raw = [answer("Location: /file", status="302 Found", content=b""), answer()]
    fetch_all(server, part)
    assert part.read_bytes() == CONTENT


def test_from_https_nothing_leads_back_to_http(part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = requests.Response()
    moved.status_code, moved.headers["Location"] = 302, "http://127.0.0.1/file"
    moved.raw = io.BytesIO()
    monkeypatch.setattr(transfer, "_ask", lambda url, headers: moved)
    with pytest.raises(MachineError, match=r"redirects to 'http://127\.0\.0\.1/file', which is not https"):
        fetch("https://127.0.0.1/file", part, lambda done, total: None, max_bytes=MAX_BYTES)


def test_a_server_that_sends_a_byte_now_and_then_is_given_up(
    server: Any, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "SILENCE_S", 0.2)
    monkeypatch.setattr(transfer, "CONNECT_S", 0.2)
    server.trickle_s = 0.05
    server.raw = [answer()]
    assert "no complete answer from the server in 0.4 s" in refusal(server, part)
    monkeypatch.setattr(transfer, "CONNECT_S", 60.0)
    server.raw = [answer(content=bytes(10_000))]
    monkeypatch.setattr(transfer, "NUM_ATTEMPTS", 1)
    assert "sends less than" in refusal(server, part)


def test_an_address_that_is_not_of_http_is_a_usage_error(part: Path) -> None:
    for url in ("file:///etc/passwd", "ftp://127.0.0.1/x", "here"):
        with pytest.raises(UsageError, match="an address must begin with https:// or http://"):
            fetch(url, part, lambda done, total: None, max_bytes=MAX_BYTES)
