"""Classify the sound of the microphone, window by window."""

import queue
from collections.abc import Iterator
from typing import Any

import numpy as np

from auricle.errors import MachineError
from auricle.predict.classifier import Classifier, Prediction

TIMEOUT_S = 10.0  # without samples from the device


def listen(
    classifier: Classifier, *, device: str | None = None, hop_s: float | None = None
) -> Iterator[tuple[float, Prediction]]:
    """Yield the time since the start in seconds and the prediction for the last window, once per hop, without end.

    Where a prediction takes longer than a hop, hops are left out, so that it never lags.

    `device` is the number of a microphone, or a part of its name; None: the system's default.

    Raises a `MachineError` without PortAudio, without such a device, or if the device is disconnected.
    """
    try:
        import sounddevice
    except OSError as error:
        raise MachineError(f"listening needs PortAudio: {error}; on Debian: apt install libportaudio2") from error
    rate_hz, windowing = classifier.sample_rate_hz, classifier.model.windowing
    hop_samples = max(1, round((hop_s or windowing.hop_s) * rate_hz))
    blocks: queue.Queue[np.ndarray] = queue.Queue()

    def receive(block: np.ndarray, num: int, time: Any, status: Any) -> None:
        blocks.put(block[:, 0].copy())

    number_or_name = int(device) if device is not None and device.isdecimal() else device
    window = np.zeros(0, np.float32)
    num_received = 0
    try:
        with sounddevice.InputStream(
            samplerate=rate_hz, channels=1, dtype="float32", blocksize=hop_samples, device=number_or_name,
            callback=receive,
        ):  # fmt: skip
            while True:
                block = blocks.get(timeout=TIMEOUT_S)
                while not blocks.empty():
                    block = np.concatenate([block, blocks.get()])
                window = np.concatenate([window, block])[-windowing.window_samples :]
                num_received += len(block)
                yield num_received / rate_hz, classifier.predict(window, rate_hz)
    except (sounddevice.PortAudioError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise MachineError(
            f"the microphone cannot be opened: {reason}; python -m sounddevice lists the devices"
        ) from error
    except queue.Empty:
        raise MachineError(f"the microphone has sent nothing for {TIMEOUT_S:g} s; is it still plugged in?") from None
