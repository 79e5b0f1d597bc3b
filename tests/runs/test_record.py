"""What a study's folder says of itself, where somebody made it to break the reader."""

from collections.abc import Callable
from pathlib import Path

import pytest

from auricle.config.reading import MAX_RECORD_BYTES, load_record
from auricle.errors import AuricleError, RefusedError
from auricle.findings.study import load_study
from auricle.runs import StudyFolder, record
from auricle.runs.record import read_description, write_description
from auricle.runs.reopen import models_of

ALIASES = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefghijk", "bcdefghijkl", strict=True)
)
MERGED = "a: &a {x: 1}\n" + "".join(
    f"{b}: &{b} {{<<: [{','.join([f'*{a}'] * 10)}]}}\n" for a, b in zip("abcdefghijk", "bcdefghijkl", strict=True)
)
BOMBS = {
    "aliases": ALIASES,
    "merged mappings": MERGED,
    "depth": "[" * 100_000,
    "depth in blocks": "- " * 100_000,
    "length": "- a\n" * MAX_RECORD_BYTES,
    "number of values": "[" + "1," * 400_000 + "]",
    "a list": "[1, 2]",
    "no text": "\x00",
}
READERS: dict[str, Callable[[Path], object]] = {
    "status": lambda folder: read_description(StudyFolder(folder)),
    "report": load_study,
    "export": lambda folder: models_of(StudyFolder(folder)),
}


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("reader", READERS)
def test_a_description_that_would_flood_its_reader_is_refused_in_one_line(
    bomb: str, reader: str, tmp_path: Path
) -> None:
    (tmp_path / "study.yaml").write_text(BOMBS[bomb])
    with pytest.raises(RefusedError) as caught:
        READERS[reader](tmp_path)
    assert len(str(caught.value)) < 1_000
    assert "\n" not in str(caught.value)


def test_a_description_of_many_recordings_left_out_is_read_back_whole(tmp_path: Path) -> None:
    skipped = [[f"night/{number:05}.wav", "not audio"] for number in range(3_000)]
    write_description(StudyFolder(tmp_path), {"dataset": {"skipped": skipped}})
    assert load_record(StudyFolder(tmp_path).description)["dataset"]["skipped"] == skipped


def test_a_description_that_could_not_be_read_back_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "MAX_RECORD_BYTES", 1_000)
    with pytest.raises(AuricleError, match="would be longer than 1,000 bytes; if it lists many skipped recordings"):
        write_description(StudyFolder(tmp_path), {"notes": "x" * 1_000})
    assert not (tmp_path / "study.yaml").exists()
