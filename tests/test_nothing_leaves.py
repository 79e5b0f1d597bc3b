# ruff: noqa: F401, F811
"""Nothing leaves: the commands run where every lookup is counted and the home folder is empty."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

import cut_off
from auricle.system import disable_telemetry
from bundle_fixtures import bundle, cell, recording

pytestmark = pytest.mark.skipif(not cut_off.is_possible(), reason="no network namespaces here")
OURS = (".cache/auricle/", ".cache/matplotlib/fontlist")
# ONNX Runtime asks for its maker's host ten seconds after it was loaded
STAY_A_WHILE = (
    "import sys, time, auricle.cli; from auricle.demo import server\n"
    "server.wait_until_stopped = lambda: None\n"
    "code = auricle.cli.main(sys.argv[1:]); time.sleep(15); sys.exit(code)"
)


def auricle(folder: Path, *words: object, **environment: str) -> cut_off.Kept:
    """Run a command cut off, and let its libraries have time to report."""
    program = (sys.executable, "-c", STAY_A_WHILE) if environment.pop("stay", "") else (sys.executable, "-m", "auricle")
    kept = cut_off.Kept.run(folder, *program, *words, environment=environment)
    assert kept.code == 0, kept.err
    return kept


def outside(kept: cut_off.Kept) -> list[str]:
    return [path for path in kept.at_home if not path.startswith(OURS)]


def test_predict_looks_up_no_name_and_writes_nothing(bundle, recording, tmp_path):
    kept = auricle(tmp_path / "cut-off", "predict", bundle, recording())
    assert (kept.lookups, kept.at_home) == ([], [])


@pytest.mark.long
def test_a_library_that_reports_would_be_seen(bundle, recording, tmp_path):
    kept = auricle(tmp_path / "cut-off", "predict", bundle, recording(), stay="1", ORT_DISABLE_TELEMETRY="0")
    assert kept.lookups
    assert kept.at_home


@pytest.mark.long
@pytest.mark.parametrize("verb", ["predict", "export", "demo", "study"])
def test_no_command_looks_up_a_name_or_writes_outside_cache_and_output(
    verb,
    bundle,
    cell,
    recording,
    tmp_path,
):
    if verb == "demo" and importlib.util.find_spec("gradio") is None:
        pytest.skip("Gradio is not installed")
    words = {
        "predict": [bundle, recording()],
        "export": [cell, "--to", tmp_path / "out"],
        "demo": [bundle, "--port", "0"],
        "study": ["quickstart", "--models", "cnn", "--protocols", "test-split", "--epochs", "1", "--out",
                  tmp_path / "study"],
    }[verb]  # fmt: skip
    kept = auricle(tmp_path / "cut-off", verb, *words, stay="1")
    assert (kept.lookups, outside(kept)) == ([], [])


def test_what_a_person_has_set_stays(monkeypatch):
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "")
    disable_telemetry()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
