import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
QUICK = {
    "attention": ["--rounds", "1", "--lengths", "16", "64"],
    "check": ["--rounds", "1", "--good", "40", "--each", "1", "--copies", "8", "--numbers", "50", "100", "150"],
    "checkpoints": ["--rounds", "1", "--models", "tiny"],
    "gpu": ["--device", "cpu", "--rounds", "1", "--models", "tiny"],
    "preparation": ["--rounds", "1"],
    "race": ["--epochs", "1", "--our-epochs", "1"],
    "robust_bundles": ["--kinds", "numbers"],
    "scaling": ["--rounds", "1", "--cells", "2", "--epochs", "1"],
    "step": ["--rounds", "1", "--models", "transformer-h4"],
    "trackers": ["--rounds", "1", "--epochs", "1", "--model", "tiny"],
}


@pytest.mark.long
@pytest.mark.parametrize("name", QUICK)
def test_a_benchmark_runs_and_writes_its_section(name: str, tmp_path: Path) -> None:
    run_benchmark(name, QUICK[name], tmp_path)


@pytest.mark.long
def test_the_benchmark_of_a_bundle_measures_its_cell_in_pytorch_too(tmp_path: Path) -> None:
    import tiny_cells
    from auricle.bundle.export import export_cell

    cell = tiny_cells.write_cell(tmp_path / "study", encoder=False)
    bundle = export_cell(cell, tmp_path / "bundle").folder
    page = run_benchmark("serving", [str(bundle), "--cell", str(cell), "--hours", "0"], tmp_path)
    assert "PyTorch over ONNX Runtime" in page


def run_benchmark(name: str, arguments: list[str], tmp_path: Path) -> str:
    results = tmp_path / "RESULTS.md"
    words = [sys.executable, str(BENCHMARKS / f"{name}.py"), *arguments, "--results", str(results)]
    own_places = {"AURICLE_DATA": str(tmp_path), "AURICLE_CACHE": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run(words, check=True, capture_output=True, env={**os.environ, **own_places})
    page = results.read_text()
    assert page.count("<!-- auricle:") == 1
    assert "\n| --" in page
    assert "- Machine: " in page
    return page
