import contextlib
import sys
from types import SimpleNamespace

import numpy as np
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


def test_a_slow_model_leaves_hops_out_and_does_not_lag(bundle, monkeypatch):
    classifier = Classifier.load(bundle)
    sound = np.random.default_rng(0).normal(0, 0.1, (4_000, 1)).astype(np.float32)  # 1 s

    class Stream(contextlib.nullcontext):
        def __init__(self, callback, **_):
            super().__init__()
            for start in range(0, 4_000, 400):
                callback(sound[start : start + 400], 400, None, None)

    monkeypatch.setitem(sys.modules, "sounddevice", SimpleNamespace(InputStream=Stream, PortAudioError=OSError))
    seconds, prediction = next(listen(classifier, hop_s=0.1))
    assert seconds == 1.0
    expected = classifier.predict(sound[-classifier.model.windowing.window_samples :, 0], 4_000)
    np.testing.assert_array_equal(prediction.probabilities, expected.probabilities)
