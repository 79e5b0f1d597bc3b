import json

import numpy as np
import pytest

from auricle.errors import RefusedError
from auricle.probes.record import AttentionReading, Blanked, Probe, ProbeAnswers, read_probe, write_probe


def answers(seed: int) -> ProbeAnswers:
    rng = np.random.default_rng(seed)
    return ProbeAnswers(rng.integers(0, 3, 4), np.round(rng.uniform(size=4), 5))


@pytest.fixture
def probe() -> Probe:
    reading = AttentionReading(5, np.ones((1, 2)), np.ones((1, 2)), np.ones((1, 2, 2)), None, None)
    return Probe(
        ("a", "b\n", "=c", "\u202ed"), np.array([0, 1, 2, 0]), 3.0, answers(0), {"reversed": answers(1)},
        Blanked(np.array([0.0, 10.0]), (answers(2),)), Blanked(np.array([0.0, 0.5, 1.0]), (answers(3), answers(4))),
        np.full((4, 2), 0.5), reading,
    )  # fmt: skip


def test_what_is_written_is_read(probe, tmp_path):
    write_probe(tmp_path / "cell.json", probe, "key")
    found = read_probe(tmp_path / "cell.json", "key")
    assert found.clips == probe.clips
    np.testing.assert_array_equal(found.changes["reversed"].classes, probe.changes["reversed"].classes)
    np.testing.assert_array_equal(found.moments.parts[1].truth, probe.moments.parts[1].truth)
    np.testing.assert_array_equal(found.reading.overlap, probe.reading.overlap)
    assert found.reading.moments is None


def test_a_probe_of_other_weights_is_none(probe, tmp_path):
    write_probe(tmp_path / "cell.json", probe, "key")
    assert read_probe(tmp_path / "cell.json", "another") is None
    assert read_probe(tmp_path / "cell.json") is not None


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: {},
        lambda content: [],
        lambda content: {**content, "labels": [0]},
        lambda content: {**content, "labels": "dog"},
        lambda content: {**content, "plain": {"classes": [1], "truth": [0.5]}},
        lambda content: {**content, "bands": {**content["bands"], "edges": [0]}},
        lambda content: {**content, "changes": [1]},
        lambda content: {**content, "reading": {"num_tokens": 3}},
        lambda content: {**content, "clips": [], "labels": [], "loudness": []},
    ],
)
def test_a_damaged_probe_is_refused(damage, probe, tmp_path):
    path = tmp_path / "cell.json"
    write_probe(path, probe, "key")
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(RefusedError, match=r"cell.json is damaged.*run the study again"):
        read_probe(path, "key")


def test_a_file_cut_short_is_refused(probe, tmp_path):
    path = tmp_path / "cell.json"
    write_probe(path, probe, "key")
    path.write_text(path.read_text()[:-20])
    with pytest.raises(RefusedError, match="is damaged"):
        read_probe(path)
