import struct
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile

from auricle.predict.clock import clock_of


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("20240131_235930.WAV", "2024-01-31T23:59:30"),
        ("20240131_235930T.WAV", "2024-01-31T23:59:30"),  # AudioMoth, triggered
        ("SITE-3_20240131_235930.wav", "2024-01-31T23:59:30"),
        ("SM4_20240131_235930.wav", "2024-01-31T23:59:30"),
        ("ARIZONA-1_0+1_20240131$235930.wac.wav", "2024-01-31T23:59:30"),  # Song Meter with GPS
        ("SERF_20240131_235930_000.wav", "2024-01-31T23:59:30"),
        ("T2024-01-31_23-59-30_0000123.wav", "2024-01-31T23:59:30"),  # Avisoft
        ("2024-01-31 23:59:30.ogg", "2024-01-31T23:59:30"),
        ("20240131T235930Z.flac", "2024-01-31T23:59:30+00:00"),
        ("SWIFT_20240131_235930Z.wav", "2024-01-31T23:59:30+00:00"),
        ("20240301T063000+1000_REC.wav", "2024-03-01T06:30:00+10:00"),  # Frontier Labs
        ("20240301T063000-0330_REC [-27.38 152.87].flac", "2024-03-01T06:30:00-03:30"),
        ("S20240815T060000.6120+1000_E20240815T061459.6380+1000_-12.34+78.91.wav", "2024-08-15T06:00:00.612000+10:00"),
        ("S1087_20240131_235930_-0500.wav", "2024-01-31T23:59:30-05:00"),  # SwiftOne
        ("a_20240131-235959+10.mp3", "2024-01-31T23:59:59+10:00"),
        ("20240131_235930-01.wav", "2024-01-31T23:59:30"),  # a number, not a zone
        ("20240131_235930-0007.wav", "2024-01-31T23:59:30"),
        ("5E90A4D4.WAV", "2020-04-10T16:54:44+00:00"),
        ("FE90A4D4.WAV", None),  # in 2105
        ("1E90A4D4.WAV", None),  # in 1986
        ("20240131.wav", None),
        ("00012345.wav", None),
        ("10160435.wav", None),  # Batlogger: device and number
        ("20241331_235930.WAV", None),
        ("12345678_123456.wav", None),
        ("20240131_2359301.wav", None),
        ("1-100032-A-0.wav", None),
        ("dog.wav", None),
        ("\udcff20240131_235930.wav", "2024-01-31T23:59:30"),
        ("a\0b.wav", None),
    ],
)
def test_a_name_tells_when_a_recording_began_and_no_more_than_it_says(name, time):
    assert clock_of(Path(name)) == (datetime.fromisoformat(time) if time else None)


@pytest.mark.parametrize(
    ("comment", "time"),
    [
        ("Recorded at 23:59:30 31/01/2024 (UTC-3) by AudioMoth 24AB at medium gain", "2024-01-31T23:59:30-03:00"),
        ("Recorded at 23:59:30 31/01/2024 (UTC) by AudioMoth 24AB at gain setting 2", "2024-01-31T23:59:30+00:00"),
        ("Recorded at 23:59:30.500 31/01/2024 (UTC+5:30) by AudioMoth 24AB", "2024-01-31T23:59:30.500+05:30"),
        ("Recorded at 23:59:30 31/01/2024 (UTC+10) during deployment 0123", "2024-01-31T23:59:30+10:00"),
        ("Recorded at 23:59:30 31/01/2024 by AudioMoth 24AB", "2024-01-31T23:59:30"),
        ("Recorded at 23:59:30 31/13/2024 (UTC) by AudioMoth 24AB", "2024-01-01T00:00:00"),
        ("Recorded at 23:59:30 31/01/2024 (UTC+99) by AudioMoth 24AB", "2024-01-01T00:00:00"),
        ("Recorded at home", "2024-01-01T00:00:00"),
    ],
)
@pytest.mark.parametrize("suffix", ["WAV", "flac"])
def test_what_audiomoth_wrote_into_the_file_counts_more_than_its_name(tmp_path, comment, time, suffix):
    path = tmp_path / f"20240101_000000.{suffix}"
    with soundfile.SoundFile(path, "w", 8_000, 1) as sound:
        sound.comment = comment
        sound.write(np.zeros(800))
    assert clock_of(path) == datetime.fromisoformat(time)


def test_the_comment_is_found_where_audiomoth_puts_it_and_a_file_that_is_no_sound_has_none(tmp_path):
    comment = b"Recorded at 19:17:30 06/04/2018 (UTC) by AudioMoth 0FE081F80FE081F0 at gain setting 2"
    icmt = comment.ljust(256, b"\0")
    info = b"INFOICMT" + struct.pack("<I", len(icmt)) + icmt
    chunks = [(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8_000, 16_000, 2, 16)), (b"LIST", info), (b"data", b"\1\0" * 800)]
    body = b"WAVE" + b"".join(kind + struct.pack("<I", len(content)) + content for kind, content in chunks)
    path = tmp_path / "12345678.WAV"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert clock_of(path) == datetime.fromisoformat("2018-04-06T19:17:30+00:00")
    path.write_text("no sound")
    assert clock_of(path) is None
