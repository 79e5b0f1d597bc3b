"""Graphs of strangers that pass the trial with one silent window, and want more once they hear."""

import subprocess
import sys
import threading

import numpy as np
import pytest

import forged_bundles as forged
from auricle.bundle import model as bundle_model
from auricle.bundle import network
from auricle.cli import main
from auricle.errors import RefusedError
from auricle.predict.classifier import Classifier

TEN_WINDOWS = np.random.default_rng(0).standard_normal(8_000).astype(np.float32)  # at 4 kHz, a hop of 0.2 s apart

PEAK = """
import re, sys, numpy as np
from pathlib import Path
from auricle.errors import RefusedError
from auricle.predict.classifier import Classifier
try:
    Classifier.load(sys.argv[1]).predict(np.ones(9_600, np.float32), 4_000)
except RefusedError as error:
    print(error)
print(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.parametrize("forge", [forged.large_for_a_batch, forged.large_for_a_sound])
def test_what_a_network_computes_stays_below_a_gibibyte_whatever_it_hears(copy, forge):
    forged.rewrite(copy, "network.onnx", forge())
    result = subprocess.run([sys.executable, "-c", PEAK, str(copy)], capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr[-500:]
    *refusal, peak_kb = result.stdout.splitlines()
    assert int(peak_kb) < 1.5 * 2**20
    assert bool(refusal) == (forge is forged.large_for_a_sound)


def test_a_network_that_needs_long_for_a_sound_is_stopped(copy, monkeypatch):
    forged.rewrite(copy, "network.onnx", forged.long_for_a_sound())
    classifier = Classifier.load(copy)
    monkeypatch.setattr(network, "TRIAL_LIMIT_S", 0.2)
    monkeypatch.setattr(network, "WINDOW_LIMIT_S", 0.02)
    before = set(threading.enumerate())
    with pytest.raises(RefusedError, match=r"no answer within 0\.2 s of processor time"):
        classifier.predict(TEN_WINDOWS, 4_000)
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=30)  # it ends at its next operator
        assert not thread.is_alive()


def test_a_model_that_fails_while_it_hears_is_refused_in_one_line_for_all_recordings(copy, recording, capfd):
    forged.rewrite(copy, "network.onnx", forged.not_finite_for_a_sound())
    assert main(["predict", str(copy), str(recording("a.wav")), str(recording("b.wav"))]) == 3
    (said,) = capfd.readouterr().err.splitlines()
    assert said.startswith(f"auricle: {copy / 'network.onnx'}: logits are")


def test_an_answer_that_is_not_finite_is_refused(copy):
    forged.rewrite(copy, "network.onnx", forged.not_finite_for_a_sound())
    with pytest.raises(RefusedError, match="not all finite"):
        Classifier.load(copy).predict(TEN_WINDOWS, 4_000)


def test_attention_that_is_not_as_described_is_refused(copy):
    forged.change(copy, attention={"num_blocks": 1, "num_heads": 1, "num_steps": 5})
    with pytest.raises(RefusedError, match="attention"):
        Classifier.load(copy)


def test_a_network_with_room_for_few_windows_is_given_few(bundle, monkeypatch):
    classifier = Classifier.load(bundle)
    truth = classifier.predict(TEN_WINDOWS, 4_000).window_probabilities
    run = network.Network._run

    def cramped(self, names, batch, limit_s):
        if len(batch) > 3:
            raise RuntimeError("no room")
        return run(self, names, batch, limit_s)

    monkeypatch.setattr(network.Network, "_run", cramped)
    np.testing.assert_allclose(classifier.predict(TEN_WINDOWS, 4_000).window_probabilities, truth, atol=1e-6)


def test_windows_are_made_a_few_at_a_time_and_all_at_once_only_where_there_is_room(bundle, monkeypatch):
    truth = Classifier.load(bundle).predict(TEN_WINDOWS, 4_000).window_probabilities
    monkeypatch.setattr(bundle_model, "MOST_BATCH_BYTES", 2_500)
    classifier = Classifier.load(bundle)
    assert classifier.model.windows_at_once == 2
    np.testing.assert_allclose(classifier.predict(TEN_WINDOWS, 4_000).window_probabilities, truth, atol=1e-6)
    monkeypatch.setattr(bundle_model, "MOST_WINDOW_BYTES", 3_000)
    with pytest.raises(RefusedError, match="use auricle predict"):
        classifier.explain(TEN_WINDOWS, 4_000)
