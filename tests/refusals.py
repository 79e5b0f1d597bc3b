"""Why a recording of odd bytes is refused."""

from pathlib import Path

import pytest

from auricle.audit.recording import examine
from auricle.data.audio import read_mono
from auricle.errors import RefusedError


def refusal_of(path: Path, content: bytes) -> str:
    """Write a file, and return why training refuses it, which the check refuses too."""
    path.write_bytes(content)
    with pytest.raises(RefusedError) as caught:
        read_mono(path)
    assert examine(path).measures is None
    return str(caught.value)
