from pathlib import Path

import numpy as np
import pytest
import soundfile

from auricle.errors import RefusedError
from auricle.predict.classifier import Classifier
from auricle.predict.stream import predict_windows


@pytest.mark.parametrize("form", ["wav", "ogg", "flac", "mp3"])
def test_what_is_there_of_a_recording_that_was_cut_off_is_heard_where_someone_is_told(
    bundle: Path, tmp_path: Path, form: str
) -> None:
    classifier = Classifier.load(bundle)
    path = tmp_path / f"a.{form}"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 160_000), 16_000)
    whole = predict_windows(classifier, path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 7 // 10])
    with pytest.raises(RefusedError, match="cut off"):
        predict_windows(classifier, path)
    told: list[str] = []
    heard = predict_windows(classifier, path, on_cut_off=told.append)
    assert len(told) == 1
    assert told[0].startswith("cut off")
    assert 5 < heard.duration_s < 7.5
    num = len(heard.probabilities) - 2
    np.testing.assert_allclose(heard.probabilities[:num], whole.probabilities[:num], atol=1e-4)
