"""What hostile bundles do: `python benchmarks/robust_bundles.py [--results RESULTS.md]`.

Sixty copies of an honest bundle, each changed as somebody who means harm would, are given to `auricle predict` with ten
seconds of noise. One survives if it is refused in one line, or does no harm: the answer is of finite numbers, nothing
changes on disk, and processor time and memory stay within limits.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from auricle.files import digest
from measure import publish, table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import forged_bundles as forged

CLOCK_LIMIT_S = 120.0  # then it is ended, and has failed
PROCESSOR_LIMIT_S = 60.0
MEMORY_LIMIT_MB = 1536.0
RATE_HZ = 4_000
HONEST = """
import sys; from pathlib import Path
sys.path.insert(0, sys.argv[1])
import tiny_cells; from auricle.bundle.export import export_cell
export_cell(tiny_cells.write_cell(Path(sys.argv[2]), encoder=False), Path(sys.argv[3]))
"""  # in a process of its own: one starts with the peak of memory of its parent, which PyTorch makes large

Forge = Callable[[Path], object]


@dataclass(frozen=True)
class Outcome:
    """What became of `auricle predict`: what is wrong with how it ended, or nothing; its costs."""

    trouble: str
    is_refused: bool
    processor_s: float
    memory_mb: float


def flipped(name: str, share: float = 0.5) -> Forge:
    """Flip a bit of a file, so far into it."""

    def forge(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[int(share * (len(content) - 1))] ^= 1
        (folder / name).write_bytes(content)

    return forge


def cut(name: str) -> Forge:
    """Keep the first half of a file."""
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size // 2)


def missing(name: str) -> Forge:
    """Take a file away."""
    return lambda folder: (folder / name).unlink()


def huge(name: str, num_bytes: int = 2**40) -> Forge:
    """Make a file a terabyte long; it takes no room."""
    return lambda folder: os.truncate(folder / name, num_bytes)


def extra(folder: Path) -> None:
    """Add files that are not described."""
    (folder / "run_me.py").write_text("raise SystemExit('run')\n")
    (folder / "model.pkl").write_bytes(b"\x80\x04\x95")


def linked(name: str, to: str) -> Forge:
    """Put a link to another file in the place of one."""

    def forge(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(to)

    return forge


def pipe(name: str) -> Forge:
    """Put a pipe, from which nothing ever comes, in the place of a file."""

    def forge(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return forge


def directory(name: str) -> Forge:
    """Put a folder in the place of a file."""

    def forge(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return forge


def stored(name: str, **fields: object) -> Forge:
    """Say something else about a file."""

    def forge(folder: Path) -> None:
        files = json.loads((folder / "bundle.json").read_text())["files"]
        files[name] = files.get(name, {"num_bytes": 1, "sha256": digest(b"x")}) | fields
        forged.change(folder, files=files)

    return forge


def described(content: bytes) -> Forge:
    """Write something else than a description."""
    return lambda folder: (folder / "bundle.json").write_bytes(content)


def fields(**values: object) -> Forge:
    """Change fields of the description."""
    return lambda folder: forged.change(folder, **values)


def inside(section: str, **values: object) -> Forge:
    """Change fields of a section of the description."""

    def forge(folder: Path) -> None:
        old: dict[str, Any] = json.loads((folder / "bundle.json").read_text())[section] or {}
        forged.change(folder, **{section: old | values})

    return forge


def graph(content: bytes, name: str = "network.onnx") -> Forge:
    """Put another graph in the place of one, with its size and hash."""
    return lambda folder: forged.rewrite(folder, name, content)


def regraphed(change: Callable[[bytes], bytes], name: str) -> Forge:
    """Change a graph, and its size and hash."""
    return lambda folder: forged.rewrite(folder, name, change((folder / name).read_bytes()))


def kinds() -> dict[str, list[Forge]]:
    """Return sixty forgeries by kind."""
    noise = np.random.default_rng(0).bytes(100_000)
    relu = forged.helper.make_node("Relu", ["frames"], ["logits"])
    renamed = forged.network(forged.helper.make_node("Relu", ["frames"], ["other"]))
    return {
        "damaged bytes": [
            flipped("network.onnx"), flipped("model.onnx"), flipped("model.safetensors"), flipped("config.yaml"),
            flipped("bundle.json"), cut("network.onnx"),
        ],
        "missing, extra or huge files": [
            missing("network.onnx"), missing("bundle.json"), missing("README.md"), extra, huge("network.onnx"),
            huge("bundle.json"),
        ],
        "links, pipes and folders": [
            linked("network.onnx", "/etc/passwd"), linked("bundle.json", "/dev/zero"),
            linked("config.yaml", "config.yaml"), pipe("bundle.json"), pipe("network.onnx"), directory("README.md"),
        ],
        "wrong names, sizes and hashes": [
            stored("network.onnx", sha256="0" * 64), stored("network.onnx", num_bytes=0),
            stored("network.onnx", num_bytes=2**62), stored("../../evil"), stored("run_me.py"),
            stored("model.onnx", sha256="../../../etc/passwd"),
        ],
        "no description": [
            described(b""), described(b"\xff\xfe"), described(b"[" * 500_000), described(b'{"a":' * 200_000),
            described(b"{" + b" " * 2**21 + b"}"), described(b'{"schema_version": 1' + b"0" * 100_000 + b"}"),
        ],
        "numbers": [
            inside("calibration", temperature=1e-320), inside("calibration", temperature="NaN"),
            inside("audio", window_s=1e9), inside("audio", window_s=120, window_hop_s=0.01, sample_rate_hz=192_000),
            inside("frontend", transform_ms=1e9, num_bands=512), fields(std=1e-320, mean=1e308),
        ],
        "names and layouts": [
            fields(categories=["one", "two", "\x1b]0;owned\x07"]), fields(categories=["same"] * 3),
            fields(categories=[f"class {number}" for number in range(9_999)]), fields(name="a\nb\x1b[2J"),
            fields(attention={"num_blocks": 1_000, "num_heads": 1_000, "num_steps": 15, "num_rows": 10_000}),
            inside("origin", cell="x" * 10**6),
        ],
        "graphs that do more than compute": [
            regraphed(forged.external, "network.onnx"), regraphed(forged.function, "model.onnx"),
            graph(forged.looping()), graph(forged.hidden_graph()), graph(forged.custom(), "model.onnx"),
            graph(forged.short_constant()),
        ],
        "graphs that are none": [
            graph(noise), graph(forged.of_parts(forged.field(1, b"") * 2_000_000)),
            graph(forged.of_parts(forged.field(5, forged.field(1, b"\x01" * 4_000_000)))), graph(b"\xff" * 100_000),
            graph(forged.network(relu)), graph(renamed),
        ],
        "graphs that cost": [
            graph(forged.huge_product()), graph(forged.endless_products()), graph(forged.large_for_a_batch()),
            graph(forged.large_for_a_sound()), graph(forged.long_for_a_sound()), graph(forged.long_pooling()),
        ],
    }  # fmt: skip


def hear(bundle: Path, recording: Path) -> Outcome:
    """Let `auricle predict` hear a recording with a bundle, in a process of its own."""
    before = snapshot(bundle.parent)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        words = [sys.executable, "-m", "auricle", "predict", str(bundle), str(recording), "--json"]
        process = subprocess.Popen(words, stdout=out, stderr=err, preexec_fn=_end_at_a_limit)
        status, usage = _ended(process)
        out.seek(0)
        err.seek(0)
        shown, said = out.read(), err.read()
    code = os.waitstatus_to_exitcode(status)
    memory_mb, processor_s = usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime
    troubles = {
        f"exit code {code}: {said[-200:]}": code not in (0, 3),
        f"said {said[:200]!r}": code == 3 and (len(said.splitlines()) != 1 or not said.startswith("auricle: ")),
        "an answer that is not finite": bool(re.search(r"NaN|Infinity", shown)),
        "files have changed": snapshot(bundle.parent) != before,
        f"{memory_mb:.0f} MB": memory_mb > MEMORY_LIMIT_MB,
        f"{processor_s:.0f} s": processor_s > PROCESSOR_LIMIT_S,
    }
    return Outcome("; ".join(name for name, is_so in troubles.items() if is_so), code == 3, processor_s, memory_mb)


def _end_at_a_limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (int(2 * PROCESSOR_LIMIT_S),) * 2)


def _ended(process: subprocess.Popen[bytes]) -> tuple[int, resource.struct_rusage]:
    start_s = time.monotonic()
    while True:
        number, status, usage = os.wait4(process.pid, os.WNOHANG)
        if number:
            return status, usage
        if time.monotonic() - start_s > CLOCK_LIMIT_S:
            process.kill()
            start_s = time.monotonic()
        time.sleep(0.02)


def snapshot(folder: Path) -> list[tuple[str, int]]:
    """Return the files below a folder and when they were changed last."""
    return sorted((str(path), path.lstat().st_mtime_ns) for path in folder.rglob("*"))


def try_kind(name: str, forgeries: Sequence[Forge], honest: Path, recording: Path, folder: Path) -> tuple[str, ...]:
    """Return the row of a kind; what failed is said on standard error."""
    outcomes = []
    for number, forge in enumerate(forgeries):
        bundle = folder / f"{name.replace(' ', '-')}-{number}" / "bundle"
        shutil.copytree(honest, bundle)
        forge(bundle)
        outcomes.append(hear(bundle, recording))
        shutil.rmtree(bundle.parent)
        if outcomes[-1].trouble:
            print(f"{name}, number {number + 1}: {outcomes[-1].trouble}", file=sys.stderr, flush=True)
    failed = sum(bool(outcome.trouble) for outcome in outcomes)
    refused = sum(outcome.is_refused for outcome in outcomes)
    worst_s, worst_mb = (max(getattr(one, cost) for one in outcomes) for cost in ("processor_s", "memory_mb"))
    numbers = (len(outcomes), refused, len(outcomes) - failed, failed)
    return name, *map(str, numbers), f"{worst_s:.1f}", f"{worst_mb:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", metavar="WORD", default=[""], help="only kinds with one of these words")
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="auricle-") as scratch:
        folder = Path(scratch)
        honest = folder / "honest"
        tests = Path(forged.__file__).parent
        subprocess.run([sys.executable, "-c", HONEST, tests, folder / "study", honest], check=True)
        recording = folder / "noise.wav"
        soundfile.write(recording, np.random.default_rng(0).standard_normal(10 * RATE_HZ) * 0.1, RATE_HZ)
        if (outcome := hear(honest, recording)).trouble or outcome.is_refused:
            raise SystemExit(f"the honest bundle fails: {outcome}")
        chosen = {name: forgeries for name, forgeries in kinds().items() if any(word in name for word in asked.kinds)}
        rows = [try_kind(name, forgeries, honest, recording, folder / "forged") for name, forgeries in chosen.items()]
    sums = [str(sum(int(row[column]) for row in rows)) for column in range(1, 5)]
    worst = [f"{max(float(row[column]) for row in rows):{form}}" for column, form in ((5, ".1f"), (6, ".0f"))]
    header = ("kind", "tried", "refused", "survived", "failed", "worst, s", "worst, MB")
    about = (
        "Copies of an honest bundle, each changed as somebody who means harm would, given to `auricle predict` with "
        "ten seconds of noise. It survives what is refused in one line (exit code 3) or does no harm: finite answers, "
        f"nothing changed on disk, at most {PROCESSOR_LIMIT_S:g} s of processor time and {MEMORY_LIMIT_MB:g} MB. The "
        f"honest one takes {outcome.processor_s:.1f} s and {outcome.memory_mb:.0f} MB."
    )
    publish("Hostile bundles", about, table(header, [*rows, ("all", *sums, *worst)]), asked.results)


if __name__ == "__main__":
    main()
