"""Runs a command where nothing but itself can be reached, and every name that it looks up is counted.

    unshare -rnm python tests/cut_off.py LOG COMMAND ...

A network namespace holds only loopback, on which a resolver listens that writes each name into LOG and knows none:
whatever language asks, whichever process. `Kept.run` does that, with an empty home folder.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
CHOSEN = ("ORT_DISABLE_TELEMETRY", "GRADIO_ANALYTICS_ENABLED", "HF_HUB_DISABLE_TELEMETRY", "RAY_USAGE_STATS_ENABLED",
          "WANDB_ERROR_REPORTING", "WANDB_MODE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR")  # fmt: skip


def is_possible() -> bool:
    """Say whether this system lets us make such a namespace."""
    probe = ("unshare", "-rnm", "true")
    return shutil.which("unshare") is not None and subprocess.run(probe, capture_output=True).returncode == 0


@dataclass(frozen=True)
class Kept:
    """A command that was run cut off: how it ended, the names that it looked up, what it wrote into its home folder."""

    code: int
    out: str
    err: str
    lookups: list[str]
    at_home: list[str]

    @classmethod
    def run(cls, folder: Path, *command: object, environment: Mapping[str, str] | None = None) -> Kept:
        """Run a command in an empty `folder`, which takes its home, its temporary files and the log."""
        home, temporary, log = (folder / name for name in ("home", "tmp", "lookups"))
        for each in (home, temporary):
            each.mkdir(parents=True)
        log.touch()
        kept = {name: value for name, value in os.environ.items() if name not in CHOSEN}
        kept |= {"HOME": str(home), "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})}
        words = ["unshare", "-rnm", sys.executable, __file__, str(log), *map(str, command)]
        result = subprocess.run(words, env=kept, capture_output=True, text=True, timeout=300)
        written = sorted(str(path.relative_to(home)) for path in home.rglob("*") if not path.is_dir())
        return cls(result.returncode, result.stdout, result.stderr, log.read_text().split(), written)


def main(log: str, *command: str) -> int:
    """Set up the namespace that this process is in, and run the command there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        flags = fcntl.ioctl(link, SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0))
        fcntl.ioctl(link, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", struct.unpack("16xh14x", flags)[0] | IFF_UP))
    for name, content in (("resolv.conf", "nameserver 127.0.0.1\n"), ("nsswitch.conf", "hosts: files dns\n")):
        ours = Path(log).with_name(name)
        ours.write_text(content)
        subprocess.run(["mount", "--bind", ours, f"/etc/{name}"], check=True)
    resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    resolver.bind(("127.0.0.1", 53))
    threading.Thread(target=_know_nothing, args=(resolver, Path(log)), daemon=True).start()
    return subprocess.run(command).returncode


def _know_nothing(resolver: socket.socket, log: Path) -> None:
    """Answer every question with "no such name" (RFC 1035), and write down what was asked."""
    while True:
        question, asker = resolver.recvfrom(4096)
        labels, place = [], 12
        while length := question[place]:
            labels.append(question[place + 1 : place + 1 + length].decode("ascii", "replace"))
            place += 1 + length
        with log.open("a") as file:
            file.write(".".join(labels) + "\n")
        resolver.sendto(question[:2] + b"\x81\x83" + question[4:6] + bytes(6) + question[12 : place + 5], asker)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
