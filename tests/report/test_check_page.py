from pathlib import Path

import numpy as np
import pytest
import soundfile

from auricle.audit.audit import Audit, audit
from auricle.data.datasets import survey
from auricle.report import check_page
from auricle.report.check_page import MAX_PICTURES, MAX_ROWS, compose_check, write_check_page
from auricle.report.document import Figure, blocks_of
from auricle.report.figures.dataset import sample
from auricle.report.figures.style import style
from auricle.report.table import Table


@pytest.fixture
def found(tmp_path: Path) -> Audit:
    generator = np.random.default_rng(0)
    for category, num in (("cat", 12), ("d&o<g>", 12)):
        for take in range(num):
            path = tmp_path / "sounds" / category / f"{take}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.append(generator.normal(0, 0.1, 4_000), np.zeros(4_000)), 8_000)
    for n in range(MAX_ROWS + 5):
        (tmp_path / "sounds/cat" / f"<b>{n} **c** [a](javascript:b) {{{{ 7 * 7 }}}}.wav").touch()
    return audit(survey(str(tmp_path / "sounds")), workers=1)


def test_the_page_stands_alone_and_names_cannot_change_it(found: Audit, tmp_path: Path) -> None:
    write_check_page(tmp_path / "deep" / "page.html", found)
    page = (tmp_path / "deep" / "page.html").read_text()
    assert "&lt;b&gt;0 **c** [a](javascript:b) {{ 7 * 7 }}.wav" in page
    assert "Predictable from metadata, %" in page
    assert "<b>0" not in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/", "")
    assert "prefers-color-scheme: dark" in page


def test_a_clip_whose_name_has_no_glyphs_is_numbered_above_its_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half_silent = np.append(np.random.default_rng(0).normal(0, 0.1, 4_000), np.zeros(4_000))
    for name in ("dog/狗.wav", "cat/0.wav"):
        (tmp_path / name).parent.mkdir()
        soundfile.write(tmp_path / name, half_silent, 8_000)
    titles = []
    monkeypatch.setattr(check_page, "sample", lambda *drawn: titles.append(drawn[2]) or sample(*drawn))
    with style():
        compose_check(audit(survey(str(tmp_path)), workers=1))
    assert any(title.startswith("#") for title in titles)
    assert all(title.isascii() for title in titles)


def test_tables_and_pictures_are_limited_and_undecodable_clips_have_none(found: Audit) -> None:
    with style():
        document = compose_check(found)
    blocks = list(blocks_of(document.sections))
    rows = {table.name: sum(map(len, table.groups.values())) for table in blocks if isinstance(table, Table)}
    assert rows["empty-clips"] == MAX_ROWS
    assert rows["padded-clips"] == 24
    assert rows["classes"] == 2
    panels = {figure.name: len(figure.panels) for figure in blocks if isinstance(figure, Figure)}
    assert panels == {"padded-sounds": MAX_PICTURES, "class-sounds": 2}
