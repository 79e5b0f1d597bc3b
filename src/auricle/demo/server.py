"""The web page: record or upload a sound, see each model's answer and saliency. Gradio, without network access.

Gradio must not connect to other servers: no analytics, no share link, system fonts, and a policy in every response that
allows the browser to load only from this server. Uploads are in a folder that is cleaned regularly and deleted at the
end.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from auricle.audit.recording import SILENT_PEAK
from auricle.data.audio import header_duration_s, read_mono
from auricle.data.processes import in_process
from auricle.demo import page
from auricle.demo.guard import Guard, without_tracebacks
from auricle.demo.page import Shown
from auricle.demo.sources import Example
from auricle.demo.verdict import detections_over_time, is_long, lengths_s, verdict_of
from auricle.errors import MachineError, ModelRefusedError, RefusedError
from auricle.report.pages import template
from auricle.system import disable_telemetry

if TYPE_CHECKING:
    import gradio

MAX_UPLOAD_MB = 50
MAX_UPLOAD_MINUTES = 5
KEPT_S = 600  # for which an upload may be played again
AT_ONCE = 4
ANNOUNCED = "() => document.getElementById('verdict').setAttribute('aria-live', 'polite')"  # by screen readers
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def answer(shown: Sequence[Shown], upload: str | None) -> Iterator[tuple[str, str, str]]:
    """Answer an upload as HTML in three parts, all each time: the verdict, its details, the saliency of the models.

    The last part follows a moment later; sounds longer than a clip have a timeline instead. If the file cannot be used,
    there is one message; if it was removed, a placeholder.
    """
    if upload is None:
        yield page.render("placeholder"), "", ""
        return
    try:
        waveform, rate_hz = load_upload(Path(upload))
        duration_s = len(waveform) / rate_hz
        if is_long(shown, duration_s):
            stretches, models = detections_over_time(shown, waveform, rate_hz)
            details = page.timeline(stretches, duration_s, models) + page.pictures(waveform, rate_hz, shown)
            yield page.render("verdict_on_recording", lengths_s(stretches), duration_s), details, ""
            return
        predictions = [model.classifier.predict(waveform, rate_hz) for model in shown]
        verdict = page.render("verdict_on_clip", verdict_of(shown, predictions))
        details = page.cards(shown, predictions) + page.pictures(waveform, rate_hz, shown)
        yield verdict, details, ""
        explanations = [model.classifier.explain(waveform, rate_hz) for model in shown]
        yield verdict, details, page.saliency(shown, explanations, duration_s)
    except ModelRefusedError as error:
        sys.stderr.write(f"auricle: {error}\n")  # it may contain a path of this computer, which visitors must not see
        yield page.render("message", "A model failed on this sound."), "", ""
    except RefusedError as error:
        reason = str(error).replace(str(upload), Path(upload).name)
        yield page.render("message", f"This file cannot be used. {reason}. Try another: WAV, FLAC, Ogg or MP3."), "", ""


def warm_up(shown: Sequence[Shown]) -> None:
    """Run the models and draw the pictures once, so that the first visitor need not wait for loading."""
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 44_100).astype(np.float32)
    for model in shown:
        model.classifier.predict(noise, 44_100)
    page.pictures(noise, 44_100, shown)
    page.saliency(shown, [model.classifier.explain(noise, 44_100) for model in shown], duration_s=1.0)


def load_upload(path: Path) -> tuple[np.ndarray, int]:
    """Read an upload at its own rate: float32 mono of shape (T,), T >= 1, and Hz.

    Raises a `RefusedError` if it is not a sound, is cut off, silent, or above the limits of size and duration.
    """
    size_mb = path.stat().st_size / 1e6 if path.exists() else 0.0
    if size_mb > MAX_UPLOAD_MB:
        raise RefusedError(f"{path}: {size_mb:.0f} MB; at most {MAX_UPLOAD_MB} MB are allowed here")
    if (duration_s := in_process(header_duration_s, path)) > 60 * MAX_UPLOAD_MINUTES:
        raise RefusedError(f"{path}: {duration_s:.0f} s long; at most {MAX_UPLOAD_MINUTES} minutes are allowed here")
    waveform, rate_hz = in_process(partial(read_mono, limit_s=60 * MAX_UPLOAD_MINUTES), path)
    if float(np.abs(waveform).max()) < SILENT_PEAK:
        limit_db = 20 * np.log10(SILENT_PEAK)
        raise RefusedError(f"{path}: silent; nothing in it is louder than {limit_db:.0f} dB of full scale")
    return waveform, rate_hz


def build_demo(shown: Sequence[Shown], examples: Sequence[Example], folder: Path, *, is_local: bool = True) -> Any:
    """Return the page as gradio.Blocks; `folder` is for examples and uploads, and the caller removes it."""
    os.environ["GRADIO_TEMP_DIR"] = str(folder / "uploads")  # Gradio reads it while it builds and serves
    disable_telemetry()
    import gradio

    with gradio.Blocks(title="auricle", analytics_enabled=False, delete_cache=(60, KEPT_S)) as blocks:
        gradio.HTML(page.render("introduction", shown, MAX_UPLOAD_MB, MAX_UPLOAD_MINUTES, is_local))
        with gradio.Row():
            with gradio.Column(scale=3, min_width=300):
                sound = gradio.Audio(
                    type="filepath",
                    sources=["upload", "microphone"],
                    label="Sound",
                    editable=False,
                    buttons=[],
                    elem_id="sound",
                )
            with gradio.Column(scale=2, min_width=300):
                files = [_write_example(example, folder / "examples") for example in examples]
                if files:
                    gradio.Examples(
                        files, sound, label="Examples", cache_examples=False, preload=False,
                        example_labels=[example.name.replace("_", " ") for example in examples],
                        examples_per_page=len(files),
                    )  # fmt: skip
        verdict = gradio.HTML(page.render("placeholder"), elem_id="verdict")
        parts = [verdict, gradio.HTML(elem_id="answer"), gradio.HTML(elem_id="saliency")]
        sound.change(
            partial(answer, shown), sound, parts, api_name="answer", show_progress="hidden",
            concurrency_limit=AT_ONCE, trigger_mode="always_last",
        )  # fmt: skip
    return blocks


def _write_example(example: Example, folder: Path) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    plain = "".join(mark if mark.isalnum() or mark in "-_" else "_" for mark in example.name)[:60]
    path = folder / f"{len(list(folder.iterdir())) + 1:02d}-{plain}.wav"
    soundfile.write(path, example.waveform, example.sample_rate_hz, subtype="PCM_16")
    return [str(path)]


def free_port(host: str, port: int) -> int:
    """Return the port, or any free one for 0; a `MachineError` if it is not available."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as error:
        what = error.strerror or str(error)
        hint = "; choose another with --port (0: any free one)" if port and error.errno != -2 else ""
        raise MachineError(f"cannot listen on {host} port {port}: {what}{hint}") from error


@contextlib.contextmanager
def serving(
    blocks: gradio.Blocks, folder: Path, *, host: str = "127.0.0.1", port: int = 0, names: Sequence[str] = ()
) -> Iterator[str]:
    """Serve the page while the block runs, and yield its address.

    Args:
        blocks: the page, from `build_demo`.
        folder: as in `build_demo`; requests can refer only to files in it.
        host: where to listen; `LOOPBACK` serves only this machine.
        port: where to listen; 0: any free one.
        names: allowed host names, besides the host and the addresses of this machine.

    Raises:
        MachineError: the port is in use.
    """
    from starlette.middleware import Middleware

    port = free_port(host, port)
    disable_telemetry()
    import gradio

    theme = gradio.themes.Default(
        primary_hue="blue", neutral_hue="slate", font=["system-ui", "sans-serif"], font_mono=["monospace"]
    )
    blocks.queue(default_concurrency_limit=AT_ONCE)
    guard = Middleware(Guard, names=(host, *names), is_local=host in LOOPBACK, folder=folder)
    without_tracebacks()
    try:
        _, address, _ = blocks.launch(
            server_name=f"[{host}]" if ":" in host else host, server_port=port, share=False, quiet=True,
            prevent_thread_lock=True, ssr_mode=False,
            max_file_size=MAX_UPLOAD_MB * 1_000_000, footer_links=[], pwa=False, mcp_server=False,
            enable_monitoring=False, theme=theme, css=page.style_or_template("demo.css") + template("tracks.css"),
            js=ANNOUNCED, app_kwargs={"middleware": [guard]},
        )  # fmt: skip
    except OSError as error:
        raise MachineError(f"cannot listen on {host} port {port}: {error}") from error
    try:
        yield address
    finally:
        blocks.close(verbose=False)


def wait_until_stopped() -> None:
    """Sleep until the process is interrupted or terminated."""
    threading.Event().wait()
