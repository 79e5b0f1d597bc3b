import json
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from auricle.errors import RefusedError
from auricle.predict.classifier import Classifier
from auricle.predict.formats import LabelledRecording, to_audacity, to_csv, to_json_lines, to_raven, to_table
from auricle.predict.stream import WindowProbabilities, predict_windows
from auricle.predict.stretches import NONE_OF_THESE, Pooling, Stretch

AB = ("a", "b")


def heard(*shares_of_a: float, hop_s: float = 1.0, window_s: float = 1.0) -> WindowProbabilities:
    starts_s = np.arange(len(shares_of_a)) * hop_s
    probabilities = np.array([[share, 1 - share] for share in shares_of_a])
    return WindowProbabilities(float(starts_s[-1] + window_s), starts_s, probabilities)


def pooled(
    heard: WindowProbabilities, *, window_s: float = 1.0, threshold: float = 0.8, **options: float
) -> list[tuple]:
    pooling = Pooling(AB, (threshold, threshold), window_s, 1.0, **options)  # type: ignore[arg-type]
    return [(stretch.start_s, stretch.end_s, stretch.label) for stretch in pooling.stretches(heard)]


@pytest.mark.parametrize("seconds", [0.01, 0.6, 0.601, 2.0, 6.2, 40.0])  # 6.2: one window less than a batch
@pytest.mark.parametrize("rate_hz", [4_000, 11_025])
def test_a_streamed_file_gives_the_windows_of_the_whole(bundle, recording, seconds, rate_hz):
    classifier = Classifier.load(bundle)
    path = recording(seconds=seconds, rate_hz=rate_hz, channels=2)
    waveform, _ = soundfile.read(path, dtype="float32")
    whole = classifier.predict(waveform, rate_hz)
    streamed = predict_windows(classifier, path, whole_s=math.inf)
    assert streamed.weights is not None
    np.testing.assert_array_equal(streamed.weights, whole.weights)
    np.testing.assert_allclose(streamed.starts_s, whole.starts_s)
    np.testing.assert_allclose(streamed.probabilities, whole.window_probabilities, atol=2e-4)
    assert streamed.duration_s == pytest.approx(seconds, abs=2 / 4_000)


@pytest.mark.parametrize("hop_s", [0.05, 0.33, 1.7])
def test_another_hop_moves_the_windows_even_apart(bundle, recording, hop_s):
    classifier = Classifier.load(bundle)
    path = recording(seconds=70.0)
    waveform, _ = soundfile.read(path, dtype="float32")
    result = predict_windows(classifier, path, hop_s=hop_s)
    np.testing.assert_allclose(np.diff(result.starts_s), hop_s)
    frames = classifier.model.maker.frames(waveform)
    for place in (0, 31, 32, 33):
        first = round(place * hop_s * classifier.model.maker.frames_per_s)
        window = frames[first : first + 15].T[None].copy()
        np.testing.assert_allclose(classifier.model.probabilities(window)[0], result.probabilities[place], atol=1e-4)


def test_every_depth_and_format_is_the_same_sound(bundle, tmp_path):
    classifier = Classifier.load(bundle)
    noise = np.random.default_rng(0).standard_normal(12_000) * 0.1
    answers = []
    for suffix, subtype in ((".wav", "PCM_16"), (".wav", "FLOAT"), (".flac", "PCM_24"), (".aiff", "PCM_24")):
        soundfile.write(tmp_path / f"x{suffix}", noise, 4_000, subtype=subtype)
        answers.append(predict_windows(classifier, tmp_path / f"x{suffix}").probabilities)
    for answer in answers[1:]:
        np.testing.assert_allclose(answer, answers[0], atol=1e-2)


def test_silence_is_refused_with_the_reason(bundle, tmp_path):
    soundfile.write(tmp_path / "s.wav", np.zeros(8_000), 4_000)
    with pytest.raises(RefusedError, match="silent"):
        predict_windows(Classifier.load(bundle), tmp_path / "s.wav")


def test_a_flac_that_claims_hours_is_refused_without_their_memory(bundle, recording, tmp_path):
    path = recording("x.flac", seconds=3.0)
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F  # the number of samples in STREAMINFO: 36 bits
    content[22:26] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    with pytest.raises(RefusedError, match=r"declares|cut off|decoded"):
        predict_windows(Classifier.load(bundle), path)


def test_steps_of_one_class_become_one_stretch():
    assert pooled(heard(0.9, 0.9, 0.1, 0.1)) == [(0, 2, "a"), (2, 4, "b")]


def test_what_is_not_likely_enough_is_none_of_these():
    assert pooled(heard(0.9, 0.5, 0.1)) == [(0, 1, "a"), (1, 2, NONE_OF_THESE), (2, 3, "b")]


def test_overlapping_windows_share_their_steps():
    assert pooled(heard(1.0, 1.0, 0.0, window_s=2.0), window_s=2.0) == [(0, 2, "a"), (2, 3, NONE_OF_THESE), (3, 4, "b")]


def test_a_short_gap_of_nothing_is_bridged_and_a_long_one_or_another_class_is_not():
    assert pooled(heard(0.9, 0.5, 0.9), merge_s=1.0) == [(0, 3, "a")]
    assert len(pooled(heard(0.9, 0.5, 0.5, 0.9), merge_s=1.0)) == 3
    assert len(pooled(heard(0.9, 0.1, 0.9), merge_s=5.0)) == 3


def test_a_short_stretch_is_left_out():
    assert pooled(heard(0.9, 0.1, 0.1), min_duration_s=2.0) == [(1, 3, "b")]


def test_the_whole_recording_has_one_answer():
    windows = heard(0.9, 0.9, 0.9, 0.7)
    assert pooled(replace(windows, weights=np.ones(4))) == [(0, 4, "a")]
    assert pooled(replace(windows, weights=np.array([0.0, 0, 0, 1]))) == [(0, 4, NONE_OF_THESE)]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.0, 3.0))
def test_stretches_cover_the_recording_once_and_in_order(shares, merge_s):
    spans = pooled(heard(*shares), merge_s=merge_s, threshold=0.6)
    assert spans[0][0] == 0
    assert spans[-1][1] == len(shares)
    assert all(before[1] == after[0] for before, after in pairwise(spans))


def test_windows_that_do_not_touch_still_answer_for_every_moment():
    pooling = Pooling(AB, (0.5, 0.5), 1.0, 3.0)
    result = pooling.stretches(heard(0.9, 0.1, hop_s=3.0))
    assert [(stretch.start_s, stretch.end_s, stretch.label) for stretch in result] == [(0, 3, "a"), (3, 4, "b")]


RECORDINGS = [
    LabelledRecording(
        Path("20240131_235930.WAV"),
        40.0,
        (Stretch(30.0, 40.0, "dog", 0.91, (("dog", 0.91), ("cat", 0.05))),),
        datetime(2024, 1, 31, 23, 59, 30),
    ),
    LabelledRecording(
        Path("a,\tb.wav"),
        5.0,
        (
            Stretch(0.0, 2.5, NONE_OF_THESE, 0.3, (("cat", 0.3), ("dog", 0.2))),
            Stretch(2.5, 5.0, "cat", 0.8, (("cat", 0.8), ("dog", 0.1))),
        ),
    ),
]


def test_csv_has_a_row_a_stretch_with_its_clock_time():
    assert to_csv(RECORDINGS, top=2).splitlines() == [
        "file,start_s,end_s,start_time,label,probability,label_2,probability_2",
        "20240131_235930.WAV,30.000,40.000,2024-02-01T00:00:00.000,dog,0.9100,cat,0.0500",
        '"a,\tb.wav",0.000,2.500,,none of these,0.3000,dog,0.2000',
        '"a,\tb.wav",2.500,5.000,,cat,0.8000,dog,0.1000',
    ]


def test_json_lines_are_objects_a_program_can_read():
    records = [json.loads(line) for line in to_json_lines(RECORDINGS).splitlines()]
    assert [record["label"] for record in records] == ["dog", None, "cat"]
    assert [record["none_of_these"] for record in records] == [False, True, False]
    assert records[0]["start_time"] == "2024-02-01T00:00:00.000"


@pytest.mark.parametrize(("zone", "offset"), [(None, ""), (UTC, "Z"), (timezone(timedelta(hours=-3)), "-03:00")])
def test_every_format_tells_the_same_time_in_the_zone_that_is_known(zone, offset):
    recording = replace(RECORDINGS[0], began=datetime(2024, 1, 31, 23, 59, 30, tzinfo=zone))
    text = f"2024-02-01T00:00:00.000{offset}"
    assert to_csv([recording]).splitlines()[1].split(",")[3] == text
    assert json.loads(to_json_lines([recording]))["start_time"] == text
    assert to_table([recording]).startswith(f"00:00:00{offset}  ")


def test_audacity_labels_are_start_end_and_label():
    assert to_audacity(RECORDINGS[1:]) == "2.500000\t5.000000\tcat\n"


def raven_rows(recordings: Sequence[LabelledRecording]) -> list[dict[str, str]]:
    header, *rows = (line.split("\t") for line in to_raven(recordings, band_hz=(50.0, 2_000.0)).splitlines())
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_a_raven_table_counts_its_files_as_one_sequence():
    first, second = raven_rows(RECORDINGS)
    assert first["Selection"] == "1"
    assert [second[name] for name in ("Begin Time (s)", "File Offset (s)", "Begin File")] == [
        "42.500000",
        "2.500000",
        "a, b.wav",
    ]


def test_a_raven_table_names_the_band_that_is_heard_and_tells_files_of_one_name_apart():
    dog = RECORDINGS[0].stretches
    rows = raven_rows([LabelledRecording(Path(site) / "x  1.wav", 40.0, dog) for site in "ab"])
    assert {(row["Low Freq (Hz)"], row["High Freq (Hz)"]) for row in rows} == {("50.0", "2000.0")}
    assert [row["Begin Path"] for row in rows] == [str(Path(site, "x  1.wav").absolute()) for site in "ab"]


def test_a_refused_recording_counts_in_the_sequence_and_one_of_unknown_length_takes_its_times_away():
    def sequence(duration_s: float | None) -> list[LabelledRecording]:
        return [RECORDINGS[0], LabelledRecording(Path("r.wav"), duration_s, (), refused="why"), RECORDINGS[1]]

    assert [row["Begin Time (s)"] for row in raven_rows(sequence(7.0))] == ["30.000000", "49.500000"]
    unknown = raven_rows(sequence(None))
    assert not {"Begin Time (s)", "End Time (s)"} & set(unknown[0])
    assert [row["File Offset (s)"] for row in unknown] == ["30.000000", "2.500000"]
    assert "Begin Time (s)" in raven_rows(sequence(None)[:2])[0]


def test_what_a_player_makes_of_a_refused_file(recording, tmp_path):
    from auricle.predict.batch import playable_s

    assert playable_s(recording(seconds=2.0)) == 2.0
    cut = recording("cut.wav", seconds=4.0)
    cut.write_bytes(cut.read_bytes()[:16_044])
    assert playable_s(cut) == pytest.approx(2.0)
    for name, content in (("text.wav", b"no sound"), ("empty.wav", b""), ("header.wav", cut.read_bytes()[:44])):
        (tmp_path / name).write_bytes(content)
        assert playable_s(tmp_path / name) == 0
    assert playable_s(tmp_path / "missing.wav") == 0
    (tmp_path / "text.m4a").write_bytes(b"no sound")
    assert playable_s(tmp_path / "text.m4a") is None
