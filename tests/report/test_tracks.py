import base64
import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from auricle.report.figures import tracks


def points(track: str) -> np.ndarray:
    match = re.search(r'points="([^"]+)"', track)
    assert match
    return np.array([[float(part) for part in pair.split(",")] for pair in match[1].split()])


def pixels(track: str) -> np.ndarray:
    match = re.search(r"base64,([^\"]+)", track)
    assert match
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(match[1]))))


def test_a_click_stands_in_the_waveform_where_it_was():
    waveform = np.zeros(10_000)
    waveform[7_500] = 0.2
    outline = points(tracks.waveform_track(waveform))
    highest = outline[outline[:, 1].argmin()]
    assert highest[0] == pytest.approx(750, abs=2)
    assert highest[1] == pytest.approx(-100, abs=2)


def test_a_curve_peaks_where_its_values_do():
    outline = points(tracks.curve_track(np.array([0.5, 1.5, 2.5, 3.5]), np.array([0.1, 0.1, 0.8, -0.3]), 4.0))
    assert tuple(outline[outline[:, 1].argmin()]) == (625.0, -100.0)
    assert outline[:, 1].max() == 0


def test_a_strip_is_deepest_where_its_value_is_largest():
    strip = pixels(tracks.strip_track(np.array([1.0, 3.0]), np.array([0.5, 1.0]), 4.0, "#d55e00"))
    assert strip.shape == (1, tracks.STRIP_COLUMNS, 4)
    assert strip[0, 0].tolist() == [0xD5, 0x5E, 0x00, 128]
    assert strip[0, -1].tolist() == [0xD5, 0x5E, 0x00, 255]
    assert (strip[0, : tracks.STRIP_COLUMNS // 2, 3] == 128).all()
    assert (strip[0, tracks.STRIP_COLUMNS // 2 :, 3] == 255).all()


def test_the_lowest_band_is_at_the_bottom_of_the_spectrogram():
    levels_db = np.full((8, 20), -70.0)
    levels_db[0, 5] = 0.0
    picture = pixels(tracks.spectrogram_track(levels_db, np.geomspace(50, 8_000, 8)))
    assert picture.shape == (8, 20, 3)
    assert picture[-1, 5].sum() > 600
    assert picture[:-1].sum(axis=-1).max() < 20


def test_the_marks_of_the_spectrogram_stand_at_their_bands():
    track = tracks.spectrogram_track(np.zeros((3, 2)), np.array([100.0, 500.0, 2_000.0]))
    assert re.findall(r"bottom:([\d.]+)%\">(\w+)<", track) == [
        ("16.7", "100"),
        ("50.0", "500"),
        ("61.1", "1k"),
        ("83.3", "2k"),
    ]


@pytest.mark.parametrize("duration_s", [0.05, 0.7, 1, 5, 13, 60])
def test_the_axis_has_a_few_marks_and_all_lie_on_it(duration_s):
    places = [float(place) for place in re.findall(r"left:([\d.]+)%", tracks.axis_track(duration_s))]
    assert 1 <= len(places) <= 7
    assert places[0] == 0
    assert places[-1] <= 100


@given(arrays(np.float64, st.integers(1, 50), elements=st.floats(-1e9, 1e9) | st.just(float("nan"))))
def test_shares_lie_between_0_and_1(values):
    shares = tracks.relative(values)
    assert ((shares >= 0) & (shares <= 1)).all()


@given(st.integers(1, 3_000))
def test_a_waveform_of_any_length_can_be_drawn(num_samples):
    outline = points(tracks.waveform_track(np.linspace(-1, 1, num_samples)))
    assert outline[:, 0].min() >= 0
    assert outline[:, 0].max() <= 1000
