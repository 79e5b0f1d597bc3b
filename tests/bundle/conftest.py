import pytest

from bundle_fixtures import bundle, cell, copy, recording, transformer_bundle, transformer_cell

__all__ = ["bundle", "cell", "copy", "recording", "transformer_bundle", "transformer_cell"]


@pytest.fixture(autouse=True)
def _fewer_sounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare PyTorch and ONNX Runtime on a hundred sounds; the tests of the command line hear the thousand."""
    monkeypatch.setattr("auricle.bundle.parity.NUM_SOUNDS", 100)
