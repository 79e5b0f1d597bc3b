"""How fast and how small a bundle is: `python benchmarks/serving.py BUNDLE [CLIP.wav] [--cell CELL] [--hours 6]`.

Medians of one run on this machine. `--results RESULTS.md` writes the section "Serving" of that page.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from measure import in_turn, publish, seconds, table

CLIP_S = 5.0
ABOUT = "A bundle in use. Medians of one run."


def median_ms(work: Callable[[], object], times: int = 50) -> float:
    found = in_turn({"work": partial(seconds, work)}, times)
    return 1000 * statistics.median(found["work"])


def whole_process(bundle: Path, recording: Path, *, times: int) -> tuple[float, float]:
    """Return median seconds and the largest memory in MB of `auricle predict`, from shell to answer."""
    program = (
        "import resource, subprocess, sys, time\n"
        "start = time.perf_counter()\n"
        "subprocess.run([sys.argv[1], 'predict', *sys.argv[2:]], check=True, stdout=subprocess.DEVNULL)\n"
        "print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    )
    command = str(Path(sys.executable).with_name("auricle"))
    words = [sys.executable, "-c", program, command, str(bundle), str(recording), "-q"]
    results = [subprocess.run(words, capture_output=True, text=True, check=True).stdout.split() for _ in range(times)]
    return statistics.median(float(elapsed) for elapsed, _ in results), max(float(memory) for _, memory in results)


def onnx_and_torch(bundle: Path, cell: Path | None) -> dict[str, float]:
    """Return milliseconds for one clip on one thread: model.onnx, its network alone, and PyTorch."""
    from auricle import Classifier
    from auricle.bundle.network import open_session

    classifier = Classifier.load(bundle)
    waveform = np.random.default_rng(0).standard_normal(round(CLIP_S * classifier.sample_rate_hz)).astype(np.float32)
    model, rate_hz = classifier.model, classifier.sample_rate_hz
    session = open_session((bundle / "model.onnx").read_bytes(), threads=1)
    windows, _ = model.windows(waveform)
    measured = {
        "model_onnx_ms": median_ms(lambda: session.run(None, {"waveform": waveform[None]})),
        "network_onnx_ms": median_ms(lambda: model.network.logits(windows)),
        "numpy_frames_ms": median_ms(lambda: model.maker.frames(waveform)),
        "classifier_predict_ms": median_ms(lambda: classifier.predict(waveform, rate_hz)),
    }
    if cell is not None:
        import torch

        from auricle.bundle.export import find_cell, read_cell
        from auricle.bundle.parity import torch_probabilities
        from auricle.training.start import load_network

        torch.set_num_threads(1)
        found = find_cell(cell)
        preset, predictions = read_cell(found)
        network = load_network(found, preset, len(predictions.categories))
        temperature = model.bundle.description.calibration.temperature
        measured["torch_ms"] = median_ms(
            lambda: torch_probabilities(network, model.windowing, waveform[None], temperature)
        )
        measured["torch_over_onnx"] = measured["torch_ms"] / measured["model_onnx_ms"]
    return measured


def write_night(path: Path, hours: float, rate_hz: int = 44_100) -> None:
    noise = (np.random.default_rng(0).standard_normal(rate_hz * 60) * 3_000).astype(np.int16)
    with soundfile.SoundFile(path, "w", rate_hz, 1, subtype="PCM_16") as file:
        for _ in range(round(hours * 60)):
            file.write(noise)


ROWS = {
    "bundle_mb": ("bundle, MB", "{:.2f}"),
    "predict_clip_s": ("`auricle predict` of one 5 s clip, whole process, s", "{:.2f}"),
    "predict_clip_mb": ("its memory, MB", "{:.0f}"),
    "predict_long_s": ("`auricle predict` of {hours:g} h of 44.1 kHz WAV, s", "{:.1f}"),
    "times_real_time": ("that is, times real time", "{:,.0f}"),
    "predict_long_mb": ("its memory, MB", "{:.0f}"),
    "model_onnx_ms": ("one 5 s clip through model.onnx, one thread, ms", "{:.2f}"),
    "torch_ms": ("the same through PyTorch, one thread, ms", "{:.2f}"),
    "torch_over_onnx": ("PyTorch over ONNX Runtime", "{:.1f}"),
}


def rows(measured: dict[str, float], hours: float) -> list[tuple[str, str]]:
    """Return the rows of the table."""
    return [
        (words.format(hours=hours), form.format(measured[key]))
        for key, (words, form) in ROWS.items()
        if key in measured
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("clip", type=Path, nargs="?")
    parser.add_argument("--cell", type=Path)
    parser.add_argument("--hours", type=float, default=6.0)
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    measured: dict[str, float] = {"bundle_mb": sum(f.stat().st_size for f in asked.bundle.iterdir()) / 1e6}
    measured |= onnx_and_torch(asked.bundle, asked.cell)
    with tempfile.TemporaryDirectory() as scratch:
        clip = asked.clip
        if clip is None:
            clip = Path(scratch) / "clip.wav"
            soundfile.write(clip, np.random.default_rng(0).standard_normal(220_500) * 0.1, 44_100)
        measured["predict_clip_s"], measured["predict_clip_mb"] = whole_process(asked.bundle, clip, times=5)
        if asked.hours:
            night = Path(scratch) / "night.wav"
            write_night(night, asked.hours)
            measured["predict_long_s"], measured["predict_long_mb"] = whole_process(asked.bundle, night, times=1)
            measured["times_real_time"] = asked.hours * 3600 / measured["predict_long_s"]
    publish("Serving", ABOUT, table(("what", "measured"), rows(measured, asked.hours)), asked.results)


if __name__ == "__main__":
    main()
