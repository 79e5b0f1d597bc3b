"""Downloads from hostile servers: `python benchmarks/robust_downloads.py [--results RESULTS.md]`.

A server on loopback answers `auricle data get` in 50 ways, lying, breaking off or sending what is no dataset. A
download survives where it ends in the whole dataset, or in one printable line with the right exit code,
with nothing half left.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import random
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from auricle.data import download, transfer
from auricle.errors import AuricleError
from measure import publish, table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from data.conftest import Server
from data.test_download import esc50_zip, urbansound8k_tar

WHOLE = esc50_zip()


def answer(*headers: str, status: str = "200 OK", content: bytes = b"") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "Connection: close", "", ""]).encode("latin-1") + content


def attacks() -> Iterator[tuple[str, list[bytes]]]:
    """Yield what is tried: its kind, and the answers of the server in turn, the last one again and again."""
    good = answer(f"Content-Length: {len(WHOLE)}", content=WHOLE)
    for length in (str(len(WHOLE) + 9), "9", "-1", "x", "9" * 30, "5, 6", "0", str(10**15)):
        yield "a length that lies", [answer(f"Content-Length: {length}", content=WHOLE)]
    yield "no end", [answer(content=bytes(3_000_000))]
    for coding in ("gzip", "deflate", "br", "x"):
        yield "an encoding nobody asked for", [answer(f"Content-Encoding: {coding}", content=gzip.compress(WHOLE))]
    half = answer(f"Content-Length: {len(WHOLE)}", content=WHOLE[:9_000])
    for given in ("bytes 0-8/9", "bytes 9000-8/9", "bytes 9000-9/*", "bytes 5-6/7", "x", ""):
        yield "a wrong 206", [half, answer(f"Content-Range: {given}", status="206 P", content=b"wrong"), good]
    for given in ("bytes */9", "bytes */x", "x", ""):
        yield "a 416", [half, answer(f"Content-Range: {given}", status="416 R"), good]
    yield "a 416", [answer("Content-Range: bytes */0", status="416 R")]
    for to in ("file:///etc/passwd", "ftp://127.0.0.1/", "//[", "/file", "data:,x"):
        yield "a redirect", [answer(f"Location: {to}", status="302 Found")]
    for raw in (
        answer(status="500 \x1b]0;x\x07"),
        answer("Location: \x1b[2J", status="302 \x1b[2J"),
        b"\x1b[2J\r\n\r\n",
        answer("Transfer-Encoding: chunked", content=b"\x1b[2J\r\n"),
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000,
        b"",
    ):
        yield "escape sequences, no HTTP", [raw]
    generator = random.Random(0)
    for mode in ("w:gz", "w:bz2", "w:xz", "w"):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode=mode) as opened:
            info = tarfile.TarInfo("ESC-50-master/meta/esc50.csv")
            info.size = 5_000
            opened.addfile(info, io.BytesIO(generator.randbytes(5_000)))
        damaged = bytearray(packed.getvalue())
        damaged[len(damaged) // 2] ^= 0xFF
        yield "a damaged archive", [answer(content=bytes(damaged))]
        yield "a damaged archive", [answer(content=packed.getvalue()[: len(damaged) // 2])]
    for content in (WHOLE[: len(WHOLE) // 2], urbansound8k_tar(), b"<html>"):
        yield "a damaged archive", [answer(content=content)]
    bomb = tarfile.TarInfo("bomb")
    bomb.size = 10**10
    yield "a bomb", [answer(content=gzip.compress(bomb.tobuf(tarfile.GNU_FORMAT) + bytes(10**7)))]
    bomb.type = tarfile.XHDTYPE
    yield "a bomb", [answer(content=gzip.compress(bomb.tobuf(tarfile.GNU_FORMAT) + bytes(10**7)))]


@contextmanager
def serving() -> Iterator[Server]:
    os.environ["NO_PROXY"] = "127.0.0.1"
    with Server() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.over.set()
        server.shutdown()


def survives(server: Server, answers: list[bytes], folder: Path, trickle_s: float = 0.0) -> bool:
    """Return whether a download ends as it should."""
    server.raw, server.trickle_s = list(answers), trickle_s
    try:
        download.get("esc50", to=folder)
    except AuricleError as error:
        ended = str(error).isprintable() and error.exit_code in (3, 5)
    except Exception as error:
        print(f"{type(error).__name__}: {error!r:.200}", file=sys.stderr)
        return False
    else:
        ended = (folder / "esc50" / "meta" / "esc50.csv").is_file()
    return ended and not any(path.name == "unpacked" for path in folder.rglob("*"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    counts: dict[str, list[int]] = {}
    with serving() as server, tempfile.TemporaryDirectory() as scratch:
        small = replace(download.ARCHIVES["esc50"], url=server.url, size_mb=1, num_clips=8, num_categories=2)
        download.ARCHIVES["esc50"] = small
        transfer.CONNECT_S = transfer.SILENCE_S = 1.0  # as a minute is to a byte a minute
        slow = [
            ("a byte now and then", [answer()], 0.2),
            ("a byte now and then", [answer(content=WHOLE[:9_000])], 0.001),
        ]
        for number, (kind, answers, *pace) in enumerate([*attacks(), *slow]):
            tried = counts.setdefault(kind, [0, 0])
            tried[0] += 1
            tried[1] += survives(server, answers, Path(scratch) / str(number), *pace)
    counts["all"] = [sum(column) for column in zip(*counts.values(), strict=True)]
    rows = [(kind, str(tried), str(well), str(tried - well)) for kind, (tried, well) in counts.items()]
    about = (
        "`auricle data get` from a server on loopback that lies or breaks off: survived is the whole dataset, or one "
        "printable line with exit code 3 or 5 and nothing half unpacked."
    )
    publish("Hostile downloads", about, table(("server sends", "tried", "survived", "failed"), rows), asked.results)


if __name__ == "__main__":
    main()
