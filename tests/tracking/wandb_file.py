"""Reads the file of an offline W&B run: records of protobuf in the blocks of a LevelDB log."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK_BYTES, HEADER_BYTES = 32_768, 7
FULL, LAST = 1, 4


def read_records(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the kind of each record, and the record."""
    from wandb.proto.wandb_internal_pb2 import Record

    content = path.read_bytes()
    assert content[:4] == b":W&B"
    place, parts = 7, b""
    while place + HEADER_BYTES <= len(content):
        left = BLOCK_BYTES - place % BLOCK_BYTES
        if left < HEADER_BYTES:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        parts += content[place + HEADER_BYTES : place + HEADER_BYTES + length]
        place += HEADER_BYTES + length
        if kind in (FULL, LAST):
            record = Record.FromString(parts)
            parts = b""
            name = record.WhichOneof("record_type")
            yield name, getattr(record, name)


def items(changes: Any) -> dict[str, str]:
    """Return keys and JSON values of a history, summary or configuration record."""
    return {item.key or ".".join(item.nested_key): item.value_json for item in changes}
