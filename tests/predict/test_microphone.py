import sys
from types import SimpleNamespace

import pytest

from auricle.errors import MachineError
from auricle.predict.classifier import Classifier
from auricle.predict.microphone import listen


def test_a_device_is_given_by_its_number_or_its_name(bundle, monkeypatch):
    asked = []

    def stream(**how):
        asked.append(how["device"])
        raise ValueError("no such device")

    monkeypatch.setitem(sys.modules, "sounddevice", SimpleNamespace(InputStream=stream, PortAudioError=OSError))
    for device in ("1", "USB mic", None):
        with pytest.raises(MachineError, match="no such device"):
            next(listen(Classifier.load(bundle), device=device))
    assert asked == [1, "USB mic", None]
