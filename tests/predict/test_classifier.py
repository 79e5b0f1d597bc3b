import subprocess
import sys

import numpy as np
import onnxruntime
import pytest

from auricle.errors import RefusedError, UsageError
from auricle.model import transformer
from auricle.predict.classifier import Classifier
from auricle.predict.explain import rollout
from auricle.scoring.calibration import softmax

NOISE = np.random.default_rng(0).standard_normal(4_100).astype(np.float32) * 0.1


def test_predict_and_the_whole_onnx_model_say_the_same(bundle):
    prediction = Classifier.load(bundle).predict(NOISE, 4_000)
    session = onnxruntime.InferenceSession(bundle / "model.onnx")
    logits = session.run(["logits"], {"waveform": NOISE[None]})[0]
    np.testing.assert_allclose(softmax(logits)[0], prediction.probabilities, atol=1e-5)


def test_a_prediction_is_the_mean_of_its_windows(bundle):
    classifier = Classifier.load(bundle)
    prediction = classifier.predict(NOISE, 4_000)
    assert prediction.window_probabilities.shape == (len(prediction.starts_s), 3)
    np.testing.assert_allclose(prediction.window_probabilities.mean(axis=0), prediction.probabilities)
    assert prediction.probabilities.sum() == pytest.approx(1)
    assert prediction.label == classifier.categories[prediction.probabilities.argmax()]


def test_nothing_likely_enough_is_none_of_these(bundle):
    classifier = Classifier.load(bundle)
    for threshold, none in ((0.0, False), (1.0, True)):
        classifier.thresholds = np.full(3, threshold)
        assert classifier.predict(NOISE, 4_000).none_of_these is none


def test_integers_channels_and_other_rates_are_the_same_sound(bundle):
    classifier = Classifier.load(bundle)
    plain = classifier.predict(NOISE, 4_000).probabilities
    as_int16 = classifier.predict(np.round(NOISE * 32768).astype(np.int16), 4_000).probabilities
    stereo = classifier.predict(np.stack([NOISE, NOISE], axis=1), 4_000).probabilities
    np.testing.assert_allclose(as_int16, plain, atol=1e-2)
    np.testing.assert_allclose(stereo, plain, atol=1e-6)
    assert classifier.predict(NOISE, 8_000).window_probabilities.shape[0] < len(
        classifier.predict(NOISE, 4_000).starts_s
    )


@pytest.mark.parametrize("num_channels", [1, 2, 32])
@pytest.mark.parametrize("ask", ["predict", "explain", "spectrogram", "resampled"])
def test_channels_may_come_first_or_last(bundle, ask, num_channels):
    classifier = Classifier.load(bundle)
    channels = np.stack([NOISE * (index + 1) for index in range(num_channels)])
    mean = getattr(classifier, ask)(channels.mean(axis=0), 4_000)
    for waveform in (channels, channels.T):
        answer = getattr(classifier, ask)(waveform, 4_000)
        for part in ("probabilities", "occlusion"):
            if hasattr(mean, part):
                np.testing.assert_allclose(getattr(answer, part), getattr(mean, part), atol=1e-4)
        if ask == "resampled":
            np.testing.assert_allclose(answer, mean, atol=1e-5)
        if ask == "spectrogram":
            np.testing.assert_allclose(answer[0], mean[0], atol=0.1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 20), (20, 1), (1, 4_000), (4_000, 1), (33, 32), (32, 33)])
def test_a_side_of_one_or_the_only_one_of_few_is_the_channels(bundle, shape):
    num = shape[0] * shape[1] // min(shape)
    assert Classifier.load(bundle).resampled(np.ones(shape), 4_000).shape == (num,)


@pytest.mark.parametrize("shape", [(2, 2), (16, 20), (2, 32), (33, 33), (100, 4_000)])
@pytest.mark.parametrize("ask", ["predict", "explain", "spectrogram", "resampled"])
def test_a_waveform_whose_channels_are_not_clear_is_refused_with_what_to_do(bundle, ask, shape):
    with pytest.raises(UsageError, match=r"channels.*give one channel, \(T,\)"):
        getattr(Classifier.load(bundle), ask)(np.ones(shape), 4_000)


@pytest.mark.parametrize(
    ("waveform", "rate_hz", "error"),
    [
        (np.zeros(0), 4_000, UsageError),
        (np.zeros((2, 2, 2)), 4_000, UsageError),
        (np.array(["a"]), 4_000, UsageError),
        (np.zeros(10), 0, UsageError),
        (np.array([0.0, np.nan]), 4_000, RefusedError),
    ],
)
def test_what_is_no_waveform_is_refused(bundle, waveform, rate_hz, error):
    with pytest.raises(error):
        Classifier.load(bundle).predict(waveform, rate_hz)


def test_a_cnn_explains_by_occlusion(bundle):
    look = Classifier.load(bundle).explain(NOISE, 4_000)
    assert look.attention is None
    assert look.rolled_out is None
    assert look.occlusion is not None
    assert look.occlusion.shape == look.times_s.shape
    assert np.abs(look.occlusion).max() > 0
    assert (np.diff(look.times_s) > 0).all()
    assert look.times_s[-1] < len(NOISE) / 4_000


def test_a_transformer_explains_by_attention(transformer_bundle):
    look = Classifier.load(transformer_bundle).explain(NOISE, 4_000)
    assert look.occlusion is None
    assert look.attention is not None
    assert look.rolled_out is not None
    assert look.attention.shape == (2, 2, len(look.times_s))
    np.testing.assert_allclose(look.attention.sum(axis=2), 1)
    assert look.rolled_out.sum() == pytest.approx(1)


def test_attention_in_the_bundle_is_that_of_pytorch(transformer_bundle, transformer_cell):
    import torch

    from auricle.bundle.export import read_cell
    from auricle.runs import Cell, CellName
    from auricle.training.start import load_network

    cell = Cell(CellName.parse("tiny/test-split-2-0"), transformer_cell)
    network = load_network(cell, read_cell(cell)[0], 3)
    classifier = Classifier.load(transformer_bundle)
    windows = classifier.model.windowing.cut(classifier.model.maker.frames(NOISE), 2)
    with torch.no_grad():
        weights = transformer.attention_weights(
            network.summary, network.base(network.frontend(torch.from_numpy(windows)))
        )
    np.testing.assert_allclose(classifier.model.network.attention(windows), torch.stack(weights, 1), atol=1e-5)


def test_rollout_of_attention_that_stays_put_is_the_residual_path():
    everything_from_second = np.zeros((1, 1, 1, 3, 3))
    everything_from_second[..., 1] = 1
    np.testing.assert_allclose(rollout(everything_from_second), [[1.0, 0.0]])


def test_a_spectrogram_shows_a_tone_in_its_band(bundle):
    tone = np.sin(2 * np.pi * 1_000 * np.arange(8_000) / 4_000)
    levels_db, times_s, centres_hz = Classifier.load(bundle).spectrogram(tone, 4_000)
    assert levels_db.shape == (len(centres_hz), len(times_s))
    assert levels_db.max() == pytest.approx(0)
    assert abs(centres_hz[levels_db.mean(axis=1).argmax()] - 1_000) < 150


def test_predicting_imports_neither_torch_nor_sklearn_nor_onnx(bundle, recording):
    program = (
        "import sys; from auricle.cli import main; assert main(['predict', *sys.argv[1:]]) == 0\n"
        "from auricle.predict.classifier import Classifier\n"
        "print('loaded:', *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    words = [sys.executable, "-c", program, str(bundle), str(recording())]
    loaded = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split("loaded:")[1].split()
    assert not {"torch", "sklearn", "pandas", "onnx", "matplotlib", "wandb"} & set(loaded)


RUNTIME_WATCH = """
import importlib.abc, os, sys
class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "onnxruntime":
            print("telemetry off:", os.environ.get("ORT_DISABLE_TELEMETRY"))
sys.meta_path.insert(0, Watch())
from auricle.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("verb", ["predict", pytest.param("export", marks=pytest.mark.long)])
def test_onnx_runtime_is_told_not_to_report_before_it_is_imported(verb, bundle, cell, recording, tmp_path, monkeypatch):
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    words = {"predict": [bundle, recording()], "export": [cell, "--to", tmp_path / "out"]}[verb]
    program = [sys.executable, "-c", RUNTIME_WATCH, verb, *map(str, words)]
    out = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    found = [line for line in out.splitlines() if line.startswith("telemetry off: ")]
    assert found[-1] == "telemetry off: 1"  # the last to look for it is who imports it


def test_a_long_silent_array_has_an_answer_and_no_stretches(bundle):
    silent = Classifier.load(bundle).predict(np.zeros(60 * 4_000, np.float32), 4_000)
    with pytest.raises(RefusedError, match="silent"):
        _ = silent.stretches
