import math

import librosa
import numpy as np
import pytest
import torch

from auricle.config import AudioConfig, FrontendConfig, load_preset
from auricle.model.classifier import build_model
from auricle.model.frames import mel_filters
from auricle.model.frontend import FRONTENDS, Frontend, MelSpectrum, Stack, cosine_transform


def spectrum(**changes: object) -> MelSpectrum:
    options = {
        "sample_rate_hz": 16_000,
        "num_bands": 64,
        "transform_samples": 1024,
        "hop_samples": 640,
        "min_hz": 50,
        "max_hz": 8_000,
    }
    return MelSpectrum(**{**options, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rate_hz", "samples", "bands", "low", "high"), [(16000, 1024, 64, 50, 8000), (44100, 2048, 128, 0, 22050)]
)
def test_mel_filters_are_those_of_librosa(rate_hz: int, samples: int, bands: int, low: float, high: float) -> None:
    ours = mel_filters(sample_rate_hz=rate_hz, transform_samples=samples, num_bands=bands, min_hz=low, max_hz=high)
    theirs = librosa.filters.mel(sr=rate_hz, n_fft=samples, n_mels=bands, fmin=low, fmax=high, htk=True, norm=None)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_mel_power_is_that_of_librosa() -> None:
    waveform = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    theirs = librosa.feature.melspectrogram(
        y=waveform,
        sr=16_000,
        n_fft=1024,
        hop_length=640,
        n_mels=64,
        fmin=50,
        fmax=8000,
        htk=True,
        norm=None,
        pad_mode="constant",
    )
    ours = spectrum()(torch.from_numpy(waveform)[None])[0]
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("tone_hz", [200.0, 1000.0, 5000.0])
def test_a_tone_lights_the_band_that_holds_it(tone_hz: float) -> None:
    time_s = torch.arange(16_000) / 16_000
    power = spectrum()(torch.sin(2 * math.pi * tone_hz * time_s)[None])[0]
    band = int(power[:, 5:-5].mean(1).argmax())
    edges_hz = librosa.mel_frequencies(n_mels=66, fmin=50, fmax=8000, htk=True)
    assert edges_hz[band] < tone_hz < edges_hz[band + 2]


def test_a_click_lights_the_frame_that_is_centred_on_it() -> None:
    waveform = torch.zeros(1, 16_000)
    waveform[0, 10 * 640] = 1.0
    assert int(spectrum()(waveform)[0].sum(0).argmax()) == 10


def test_cosine_transform_is_orthonormal() -> None:
    square = cosine_transform(40, 40)
    torch.testing.assert_close(square @ square.T, torch.eye(40), atol=1e-6, rtol=0)


def test_features_of_the_fitted_clips_have_mean_zero_and_spread_one() -> None:
    frontend = FRONTENDS["log-mel"](AudioConfig(), FrontendConfig())
    frames = frontend.frames(torch.randn(4, 16_000, generator=torch.Generator().manual_seed(0)))
    frontend.fit(frames)
    features = frontend(frames)
    assert abs(float(features.mean())) < 1e-4
    assert float(features.std()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("kind", ["raw", "log-mel"])
def test_the_neutral_frame_has_feature_zero(kind: str) -> None:
    frontend = FRONTENDS[kind](AudioConfig(), FrontendConfig(kind=kind))
    frontend.fit(frontend.frames(torch.randn(2, 16_000, generator=torch.Generator().manual_seed(0))))
    assert float(frontend(frontend.neutral.expand(1, 1, 1)).abs()) < 1e-4


def test_raw_frames_are_the_waveform() -> None:
    waveforms = torch.randn(2, 100)
    assert torch.equal(FRONTENDS["raw"](AudioConfig(), FrontendConfig(kind="raw")).frames(waveforms)[:, 0], waveforms)


def test_mfcc_has_as_many_rows_as_coefficients() -> None:
    frontend = FRONTENDS["mfcc"](AudioConfig(), FrontendConfig(kind="mfcc", num_coefficients=40))
    assert frontend(frontend.frames(torch.randn(2, 16_000))).shape == (2, 40, 26)


@pytest.mark.parametrize(
    "changes",
    [{"num_bands": 512}, {"min_hz": 9000.0}, {"kind": "mfcc", "num_coefficients": 65}],
    ids=["bands without a bin", "range beyond half the rate", "more coefficients than bands"],
)
def test_a_frontend_that_cannot_be_is_refused(changes: dict) -> None:
    config = FrontendConfig(**changes)
    with pytest.raises(ValueError, match=r"band"):
        FRONTENDS[config.kind](AudioConfig(), config)


def test_silence_gives_finite_features() -> None:
    frontend = Frontend(25, 64, spectrum(), 1e-5, None)
    assert bool(torch.isfinite(frontend(frontend.frames(torch.zeros(1, 16_000)))).all())


def test_nine_stretches_of_a_clip_are_its_nine_channels() -> None:
    preset = load_preset("report-a-cnn")
    model = build_model(preset, 10)
    waveform = torch.randn(1, 80_000)
    features = model.frontend(model.frontend.frames(waveform))
    assert features.shape == (1, 9, 16_000)
    for stretch in range(9):
        assert torch.equal(features[0, stretch], waveform[0, 8_000 * stretch : 8_000 * stretch + 16_000])


def test_stretches_of_bands_come_one_after_the_other() -> None:
    features = torch.arange(20.0).view(1, 2, 10)
    stacked = Stack(FrontendConfig(stack_s=2, stack_hop_s=1.5), frames_per_s=2)(features)
    assert stacked.tolist()[0] == [[0, 1, 2, 3], [10, 11, 12, 13], [3, 4, 5, 6], [13, 14, 15, 16], [6, 7, 8, 9],
                                   [16, 17, 18, 19]]  # fmt: skip


def test_features_that_are_not_normalised_are_the_logarithm_itself() -> None:
    frontend = build_model(load_preset("cnn", {"frontend.normalise": False}), 3).frontend
    frames = torch.rand(3, 64, 5)
    frontend.fit(frames)
    torch.testing.assert_close(frontend(frames), torch.log(frames + 1e-5))
