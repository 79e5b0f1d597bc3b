r"""What hostile names do to auricle: `python benchmarks/robust_names.py [--results RESULTS.md]`.

A hundred names of recordings, classes, folders, bundles and cells of a table: escape sequences, line ends, marks of
direction, formulas, bytes that are no UTF-8, 255 bytes, dashes, quotes, `..`, names that Windows keeps for itself,
emoji, one name in two Unicode forms. They go through `check` and `predict` in each format, on a terminal. A name is
survived if it is nowhere shown raw, every output names it again exactly or it is refused in one line, nothing is
written but the outputs, and no command ends in an internal error.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import soundfile

from auricle.text import is_unseen, unquoted, visible
from measure import publish, table

RATE_HZ = 16_000
FORMATS = ("csv", "jsonl", "raven")
MARKS = (
    b"\x1b[2J", b"\x1b]0;owned\x07", b"\x1b[31mred", b"a\nauricle: done", b"a\rb", b"a\tb", b"\x08\x08\x08", b"\x7f",
    "\x9b31m".encode(), "\u202egnp".encode(), "\u2066x\u2069".encode(), "\u200f".encode(), "a\u2028b".encode(),
    "\ufeffbom".encode(), "\u200bzero".encode(), "\U000e0041".encode(), b"caf\xe9", b"\xff\xfe", b"\xed\xa0\x80",
    b"[red]x", b"[]", b"{task.completed}",
)  # fmt: skip
FORMULAS = (b"=cmd|' !A0", b"+1+1", b"-1", b"@SUM(A1)", b"\t=1", b"'=1", b"''-1", b"=1,2", b'="x"', b"--out", b"-rf")
ODD = (
    b'"', b"'", b'a"b', b"a,b", b"a;b", b"a|b", b"$(id)", b"`id`", b"%s%n", b"~", b"*", b"a?b", b"a\\b", b"a..b",
    b"a..", b"CON", b"nul", b"a:b", b"end.", b" lead", b"\\x1b", "🔬👩\u200d🔬".encode(), "鳥".encode(), b"x" * 245,
    "é".encode() * 122, unicodedata.normalize("NFC", "é").encode(), unicodedata.normalize("NFD", "é").encode(),
)  # fmt: skip
FILES = tuple(name + b".wav" for name in (*MARKS, *FORMULAS, *ODD))
FOLDERS = (*MARKS[:12:2], b"caf\xe9", *FORMULAS[:4], b"x..", b"x" * 255, b" lead", b"a,b")
CLASSES = (*MARKS[:16:3], *FORMULAS[:7], b'"', b"a,b", "鳥".encode(), b"[red]x")
BUNDLES = (b"\x1b[2J", "\u202eb".encode(), b"=1", b"--", b"caf\xe9", b"a\nb")


def write_sound(path: Path) -> None:
    """Write a tenth of a second of noise that no other path has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(zlib.crc32(os.fsencode(path))).standard_normal(RATE_HZ // 10) * 0.1
    with path.open("wb") as file:
        soundfile.write(file, noise, RATE_HZ, format="WAV")


def on_terminal(*words: str | Path) -> tuple[int, str]:
    """Run a command on a terminal that knows no colours; return its exit code and all that is shown."""
    ours, theirs = pty.openpty()
    shown: list[bytes] = []

    def read() -> None:
        try:
            while part := os.read(ours, 65_536):
                shown.append(part)
        except OSError:  # Linux: nobody has the other end open
            pass

    reader = Thread(target=read)
    reader.start()
    command = [sys.executable, "-m", "auricle", *map(os.fspath, words)]
    code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, check=False).returncode
    os.close(theirs)
    reader.join()
    os.close(ours)
    return code, b"".join(shown).decode("utf-8", "surrogateescape").replace("\r\n", "\n")


class Trial:
    """Commands in one folder, with what was wrong: of all names, or of some."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.folder, self.bundle = folder, bundle
        self.wrong: dict[str, str] = {}  # name to what; of "" of all

    def blame(self, name: str, what: str) -> None:
        """Remember the first thing that was wrong with a name."""
        self.wrong.setdefault(name, what)

    def run(self, *words: str | Path, codes: tuple[int, ...] = (0,)) -> str:
        """Run a command; it may write into the folder `out` only."""
        before = self._outside()
        code, shown = on_terminal(*words)
        line = visible(" ".join(map(os.fspath, words)))[:200]
        if code not in codes or "internal error" in shown:
            self.blame("", f"exit code {code}: {line}: {visible(shown[-300:])}")
        if raw := {mark for mark in shown if mark not in "\n\t" and is_unseen(mark)}:
            self.blame("", f"shown raw: {sorted(map(repr, raw))}: {line}")
        if written := self._outside() - before:
            self.blame("", f"written beside the output: {sorted(map(repr, written))[:3]}: {line}")
        return shown

    def _outside(self) -> set[Path]:
        return {path for path in self.folder.rglob("*") if self.folder / "out" not in (path, *path.parents)}

    def output(self, *words: str | Path) -> bytes:
        """Run a command with --out and return what it wrote."""
        path = self.folder / "out" / "result"
        path.parent.mkdir(exist_ok=True)
        self.run(*words, "--out", path)
        try:
            return path.read_bytes()
        except OSError:
            return b""


def read_back(content: bytes, kind: str) -> Iterator[tuple[str, str]]:
    """Yield the path and the class of each row of an output, as a program reads it."""
    text = content.decode("utf-8", "surrogateescape")
    if kind == "jsonl":
        for line in text.splitlines():
            row = json.loads(line)
            yield row["file"], row["label"] or "none of these"
    else:
        how = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if kind == "raven" else {}
        file, label = ("Begin Path", "Label") if kind == "raven" else ("file", "label")
        for row in csv.DictReader(io.StringIO(text, newline=""), **how):  # type: ignore[call-overload]
            if any(str(cell).startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row.values()):
                yield "a formula", str(row)
            yield row[file], unquoted(row[label])


def try_recordings(trial: Trial, paths: list[Path]) -> None:
    """Put recordings through `predict` in each format, and into an output each."""
    options = ("--whole", "--threshold", "0")
    trial.run("predict", trial.bundle, "night", *options)
    for kind in FORMATS:
        content = trial.output("predict", trial.bundle, "night", *options, "--format", kind)
        found = {path for path, _ in read_back(content, kind)}
        blanks = kind == "raven"  # which has no place for a tab or a line end
        for path in paths:
            wanted = re.sub(r"[^\S ]", " ", str(trial.folder / path)) if blanks else str(path)
            if not any(os.path.normpath(each) == wanted for each in found):
                trial.blame(str(path), f"not in the {kind}")
        if "a formula" in found:
            trial.blame("", f"a formula in the {kind}")
        trial.run("predict", trial.bundle, "night", *options, "--format", kind)
    out = trial.folder / "out" / "each"
    trial.run("predict", trial.bundle, "night", *options, "--each", "--format", "jsonl", "--out", out)
    written = [path.read_bytes() for path in out.rglob("*.jsonl")]
    heard = sorted(os.path.normpath(path) for content in written for path, _ in read_back(content, "jsonl"))
    for path in set(map(str, paths)) - set(heard):
        trial.blame(path, "has no output of its own")
    if len(heard) != len(paths):
        trial.blame("", f"{len(heard)} outputs of {len(paths)}")
    shutil.rmtree(out)


def files(trial: Trial) -> int:
    paths = [Path("night", os.fsdecode(name)) for name in FILES]
    for path in paths:
        write_sound(path)
    try_recordings(trial, paths)
    for path in paths:
        path.write_bytes(b"no sound")
    trial.run("predict", trial.bundle, "night", codes=(3,))
    return len(FILES)


def folders(trial: Trial) -> int:
    paths = [Path("night", os.fsdecode(name), "a.wav") for name in FOLDERS]
    for path in paths:
        write_sound(path)
    try_recordings(trial, paths)
    return len(FOLDERS)


def classes(trial: Trial) -> int:
    names = {os.fsdecode(name) for name in CLASSES}
    for name in names:
        for number in range(4):
            write_sound(Path("sounds", name, f"{number}.wav"))
    trial.run("check", "sounds", codes=(0, 3))
    shown = trial.run("check", "sounds", "--json", "--fix", "out/new.csv", codes=(0, 3))
    again = trial.run("check", "out/new.csv", "--json", codes=(0, 3))
    for text in (shown, again):
        try:
            counts = json.JSONDecoder().raw_decode(text, text.find("{"))[0]["counts"]
        except (ValueError, KeyError):
            trial.blame("", f"no counts: {visible(text[-300:])}")
            continue
        for name in names - set(counts):
            trial.blame(name, "is another class in the check or in the mended table")
    return len(names)


def bundles(trial: Trial) -> int:
    write_sound(Path("night/a.wav"))
    for name in map(os.fsdecode, BUNDLES):
        shutil.copytree(trial.bundle, Path(name))
        own = Trial(trial.folder, trial.bundle)
        own.run("predict", f"./{name}", "night")
        (Path(name) / "network.onnx").write_bytes(b"no network")
        own.run("predict", f"./{name}", "night", codes=(3,))
        own.run("predict", f"./{name} is not there", "night", codes=(2, 3))
        if own.wrong:
            trial.blame(name, "; ".join(own.wrong.values()))
    return len(BUNDLES)


def cells(trial: Trial) -> int:
    for name in map(os.fsdecode, (*MARKS[:9], *FORMULAS[:5])):
        own = Trial(trial.folder, trial.bundle)
        rows = [(f"{name}{number}.wav", name) for number in range(3)]
        text = io.StringIO(newline="")
        csv.writer(text, quoting=csv.QUOTE_ALL).writerows([("filename", "category"), *rows])
        Path("cells.csv").write_bytes(text.getvalue().encode("utf-8", "surrogateescape"))
        own.run("check", "cells.csv", codes=(0, 3))  # which names what is missing
        if own.wrong:
            trial.blame(name, "; ".join(own.wrong.values()))
    return len(MARKS[:9]) + len(FORMULAS[:5])


KINDS: dict[str, Callable[[Trial], int]] = {
    "recordings": files, "folders": folders, "classes": classes, "bundles": bundles, "cells of a table": cells,
}  # fmt: skip


def make_bundle(folder: Path) -> Path:
    """Train a small network for an epoch on sounds whose classes have names such as formulas, and export it."""
    names = [os.fsdecode(name) for name in CLASSES if os.fsdecode(name).isprintable()]
    for name in names:
        for number in range(10):
            write_sound(folder / "taught" / name / f"{number}.wav")
    study, bundle = folder / "study", folder / "bundle"
    train = ("train", "tiny", "--data", folder / "taught", "--epochs", "1", "--out", study, "--wandb", "off", "-q")
    for words in ((*train, "--no-report", "--no-probes"), ("export", study, "--to", bundle, "-q")):
        code, shown = on_terminal(*words)
        if code:
            sys.exit(f"no bundle: {visible(shown)}")
    return bundle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    results = asked.results and asked.results.absolute()
    rows = []
    with tempfile.TemporaryDirectory(prefix="auricle-names-") as scratch:
        os.environ |= {"AURICLE_CACHE": f"{scratch}/cache", "TERM": "dumb", "COLUMNS": "80", "OMP_NUM_THREADS": "1"}
        bundle = make_bundle(Path(scratch))
        for kind in asked.kinds:
            folder = Path(scratch, "tried", kind)
            folder.mkdir(parents=True)
            os.chdir(folder)
            trial = Trial(folder, bundle)
            num = KINDS[kind](trial)
            for name, what in trial.wrong.items():
                print(f"{kind}: {visible(name)}: {what}", file=sys.stderr)
            num_failed = num if "" in trial.wrong else len(trial.wrong)
            rows.append((kind, str(num), str(num - num_failed), str(num_failed)))
            os.chdir(scratch)
    sums = (str(sum(int(row[place]) for row in rows)) for place in (1, 2, 3))
    about = __doc__.split("\n\n", 1)[1].strip().replace("\n", " ")
    measured = table(("names of", "tried", "survived", "failed"), [*rows, ("all", *sums)])
    publish("Hostile names", about, measured, results)


if __name__ == "__main__":
    main()
