import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from auricle.audit.finding_types import FINDING_TYPES
from auricle.audit.recording import examine
from defects import DEFECTS, FORMATS, encoded, good_sound

RELATIVE = {"other-rate", "too-long"}  # wrong only beside others
SOUND = good_sound(1)[1]


def kinds(path: Path) -> list[str]:
    found = examine(path).problems
    assert all(problem.kind in FINDING_TYPES for problem in found)
    assert all(problem.reason and "\n" not in problem.reason and str(path) not in problem.reason for problem in found)
    return [problem.kind for problem in found]


@pytest.mark.parametrize("name", sorted(DEFECTS.keys() - RELATIVE))
def test_every_defect_is_named(tmp_path: Path, name: str) -> None:
    defect = DEFECTS[name]
    path = tmp_path / f"a{defect.suffix}"
    path.write_bytes(defect.make(good_sound(77)[1], np.random.default_rng(0)))
    assert set(kinds(path)) & set(defect.kinds)


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_is_wrong_with_a_good_recording(tmp_path: Path, form: str) -> None:
    for number in range(5):
        (tmp_path / f"a.{form}").write_bytes(encoded(good_sound(number)[1], form))
        assert kinds(tmp_path / f"a.{form}") == []


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "link.wav").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.wav")
    assert kinds(tmp_path / "link.wav") == kinds(tmp_path / "gone.wav") == ["missing"]
    assert kinds(tmp_path / "pipe.wav") == kinds(tmp_path) == ["no-file"]


def test_a_damaged_file_is_not_blamed_for_anything_else(tmp_path: Path) -> None:
    content = bytearray(encoded(np.zeros(16_000, np.float32), "flac"))
    content[26:42] = b"no sum of it all"
    (tmp_path / "a.wav").write_bytes(content)
    assert kinds(tmp_path / "a.wav") == ["damaged"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda s: s + 0.004, []),  # 8-bit converters have that much
        (lambda s: s + 0.05, ["dc-offset"]),
        (lambda s: np.append(s, np.zeros(1_500)), []),
        (lambda s: np.append(s, np.zeros(8_000)), ["padded"]),
        (lambda s: np.stack([s, 0.1 * s], axis=1), []),
        (lambda s: np.stack([s, 0.001 * s], axis=1), ["one-channel"]),
        (lambda s: np.stack([s, np.roll(s, 5)], axis=1), []),
        (lambda s: np.clip(1.1 * s / np.abs(s).max(), -1, 1), []),  # a few samples, which nobody hears
        (lambda s: 1e-5 * s, ["silent"]),
    ],
)
def test_a_little_is_not_blamed(tmp_path: Path, change, expected: list[str]) -> None:
    soundfile.write(tmp_path / "a.wav", change(0.3 * SOUND / np.abs(SOUND).max()), 16_000, subtype="FLOAT")
    assert kinds(tmp_path / "a.wav") == expected
