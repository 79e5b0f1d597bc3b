"""Reads the event files of TensorBoard: records of protobuf, each with its length, as TFRecord has them."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def read_events(folder: Path) -> Iterator[Any]:
    """Yield the events of a run, in the order in which its files were written."""
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted(folder.glob("events.out.tfevents.*"), key=lambda path: path.stat().st_mtime_ns):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack_from("<Q", content)
            yield Event.FromString(content[12 : 12 + length])  # after the length and its checksum
            content = content[16 + length :]


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """Return what TensorBoard shows: values by tag and step; a restart takes back the steps from its own on."""
    found: dict[str, dict[int, float]] = {}
    for event in read_events(folder):
        if event.HasField("session_log"):
            found = {tag: {step: v for step, v in steps.items() if step < event.step} for tag, steps in found.items()}
        for value in event.summary.value:
            if value.HasField("simple_value"):
                assert event.step not in found.setdefault(value.tag, {}), "a step twice"
                found[value.tag][event.step] = value.simple_value
    return found


def texts(folder: Path) -> dict[str, str]:
    """Return the texts by tag."""
    return {
        value.tag: value.tensor.string_val[0].decode()
        for event in read_events(folder)
        for value in event.summary.value
        if value.tensor.string_val
    }
