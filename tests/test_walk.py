"""From forty recordings to a report, by the command that a person types."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pypdf
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from made_sounds import write_sounds

TINY = ("training.epochs=2", "training.views=1", "audio.window_s=0.5", "frontend.num_bands=16")


@pytest.fixture
def auricle(tmp_path):
    """Run the installed command in an empty folder, W&B offline, and return what it said."""
    surroundings = {**os.environ, "AURICLE_CACHE": str(tmp_path / "cache"), "WANDB_MODE": "offline", "COLUMNS": "80"}
    surroundings.pop("AURICLE_DATA", None)
    command = [sys.executable, "-c", "import sys; from auricle.cli import main; sys.exit(main())"]

    def auricle(*words: str) -> subprocess.CompletedProcess[str]:
        where = {"cwd": tmp_path, "env": surroundings}
        return subprocess.run([*command, *words], **where, capture_output=True, text=True, timeout=300, check=False)

    return auricle


@pytest.mark.long
def test_forty_clips_go_from_file_to_report(auricle, tmp_path):
    write_sounds(tmp_path / "sounds", num_classes=4, num_takes=10)
    words = ["study", "quickstart", "--data", "sounds", "--models", "cnn,transformer-h2", "--protocols", "test-split"]
    for field in TINY:
        words += ["--set", field]
    done = auricle(*words, "--workers", "2")
    assert done.returncode == 0, done.stderr
    study = tmp_path / "runs" / "quickstart"
    assert len(list(study.glob("cells/*/*/metrics.json"))) == 2
    assert len(list(study.glob("wandb/offline-run-*/*.wandb"))) == 2
    html = (study / "report" / "report.html").read_text()
    assert "transformer-h2" in html
    assert not re.search(r'(src|href)="https?://', html)
    assert len(pypdf.PdfReader(study / "report" / "report.pdf").pages) > 3
    assert re.search(r"transformer-h2 (\* )? +1 +\d+ +\d+\.\d ", done.stdout)
    assert "runs/quickstart/report/report.html" in done.stdout
    assert "wandb sync" in done.stderr

    cells = {path: path.read_bytes() for path in study.glob("cells/*/*/*")}
    again = auricle(*words, "--no-report", "--json")
    assert json.loads(again.stdout)["trained"] == 0
    assert {path: path.read_bytes() for path in study.glob("cells/*/*/*")} == cells

    results = auricle("report", "quickstart", "--results", "RESULTS.md")
    assert results.returncode == 0, results.stderr
    assert "transformer-h2" in (tmp_path / "RESULTS.md").read_text()
