"""A notebook that trains and looks at what came out, run by Jupyter's own kernel."""

import pytest

from small_networks import SMALL

CELLS = (
    "import auricle as au",
    "data = au.load_dataset('toy')\ndata",
    f"study = au.run_study(data, 'tiny', protocols='test-split', epochs=2, wandb='off', overrides={SMALL!r})\nstudy",
    "study.plot_accuracy()",
    "study.plot_confusion()",
    "study.compare()",
    "study.plot_curves()",
)


@pytest.mark.long
def test_a_notebook_shows_data_progress_results_and_figures(tmp_path):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    _, data, trained, accuracy, confusion, pairs, curves = [
        [output["data"] for output in cell.outputs if "data" in output] for cell in notebook.cells
    ]
    assert "200 clips of 10 classes" in data[0]["text/html"]
    progress, results = (output["text/html"] for output in trained)
    assert "tiny/test-split-2-0" in progress
    assert "<td>test-split</td>" in results
    assert "<td>mfcc-forest</td>" in pairs[0]["text/html"]
    assert all("image/png" in figure[0] for figure in (accuracy, confusion, curves))
