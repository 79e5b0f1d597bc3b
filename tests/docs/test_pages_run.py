"""The documents are followed page by page, as a person would who copies every command and snippet; slow, so long.

Trainings are cut short: two steps each. What needs another machine, a microphone or hours is left out, and named.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import soundfile
from pages import PAGES, ROOT, blocks, commands

from auricle.runs.contents import CONTENTS

sys.path.insert(0, str(ROOT / "tools" / "docs"))

from execute import MOST_BYTES, NOTEBOOKS, execute

HAS_ESC10 = (Path(os.environ.get("AURICLE_DATA", "")) / "esc10").is_dir()
LEFT_OUT = {
    r"pip |make ": "installs",
    r"ray |RAY_UP|.* --ray ": "a cluster; tests/work/test_ray.py",
    r"auricle listen": "a microphone",
    r"auricle demo": "serves until it is stopped; tests/demo",
    r"auricle data get": "downloads; tests/data/test_download.py",
}
SHORT = ["--set", "training.max_steps=2", "--epochs", "1", "--wandb", "off", "--no-probes"]
OF_ESC10 = ["--models", "tiny", "--seeds", "0"]  # in place of an hour of trainings
PLACEHOLDER = re.compile(r"[A-Z][A-Z-]*[A-Z]|\*|.")
RUN = [page for page in PAGES if commands(page) or blocks(page, "python")]

pytestmark = pytest.mark.long


def write_recordings(home: Path) -> None:
    """Write what the pages speak of: two classes at ten sites, two recordings each, and a longer one."""
    generator = np.random.default_rng(0)
    times_s = np.arange(16_000) / 16_000
    for category, pitch_hz in (("blackbird", 400), ("robin", 1_600)):
        for site in range(10):
            for take in range(2):
                tone = 0.3 * np.sin(2 * np.pi * pitch_hz * generator.uniform(1, 1.3) * times_s)
                path = home / "recordings" / category / f"site{site}_{take}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, tone + 0.01 * generator.standard_normal(len(tone)), 16_000)
    soundfile.write(home / "night.wav", np.tile(tone, 8), 16_000)


@pytest.fixture
def home(tmp_path, tmp_path_factory, monkeypatch) -> Path:
    write_recordings(tmp_path)
    for name, value in {"HOME": tmp_path, "AURICLE_CACHE": tmp_path_factory.getbasetemp() / "cache"}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(line: str) -> list[str] | None:
    """Return the words of a command, its trainings cut short; None for one that is left out here."""
    if any(re.match(pattern, line) for pattern in LEFT_OUT) or ("esc10" in line and not HAS_ESC10):
        return None
    verb, *words = [
        str(Path(word).expanduser()) if word.startswith("~") else word for word in shlex.split(line, comments=True)[1:]
    ]
    if verb in ("study", "train", "search"):
        words += SHORT
        if verb == "study" and words[0].startswith("esc10") and "--data" not in words:
            words += OF_ESC10
        if verb == "search":
            words += ["--trials", "2"]
    return [verb, *words]


@pytest.mark.parametrize("page", RUN, ids=str)
def test_a_page_can_be_followed_as_it_stands(page, home):
    for block in blocks(page, "yaml"):
        (home / re.match(r"# ([\w-]+\.yaml)", block.text)[1]).write_text(block.text, encoding="utf-8")
    for line in commands(page):
        if (words := typed(line)) is not None:
            done = subprocess.run(
                [sys.executable, "-m", "auricle", *words], capture_output=True, text=True, timeout=900
            )
            fine = (0, 3) if words[0] == "check" else (0,)
            assert done.returncode in fine, f"{line}\n{done.stdout}\n{done.stderr}"
    if snippets := blocks(page, "python"):
        if "Classifier.load" in snippets[0].text:
            assert (home / "bird-box").is_dir(), "a page makes the bundle that it loads"
        program = "\n".join(["import matplotlib", "matplotlib.use('agg')", *(block.text for block in snippets)])
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr
    strangers = [name for name in left_behind(home) if not any(pattern.fullmatch(name) for pattern in known_files())]
    assert strangers == [], "files of a run folder that auricle.runs.contents does not name"


def left_behind(home: Path) -> list[str]:
    """Return the files of every study and search in runs/, by their path inside it."""
    return [
        str(path.relative_to(folder)) for folder in home.glob("runs/*") for path in folder.rglob("*") if path.is_file()
    ]


def known_files() -> list[re.Pattern[str]]:
    """Return patterns of the files that the reference names."""
    return [re.compile(PLACEHOLDER.sub(_anything, name) + (".*" if name.endswith("/") else "")) for name in CONTENTS]


def _anything(name: re.Match[str]) -> str:
    return ".*" if name[0] == "*" else "[^/]+" if name[0].isupper() else re.escape(name[0])


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs_and_is_stored_with_what_came_out(path, home):
    stored = nbformat.read(path, as_version=4)
    assert path.stat().st_size < MOST_BYTES
    assert "importlib.util.find_spec" in next(cell.source for cell in stored.cells if cell.cell_type == "code")
    again = execute(path, home)
    for before, after in zip(stored.cells, again.cells, strict=True):
        assert before.source == after.source
        if before.cell_type == "code":
            assert bool(before.outputs) == bool(after.outputs), before.source
