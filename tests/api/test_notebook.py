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


STOPPED = "study = au.run_study('toy', ['tiny', 'cnn'], protocols='test-split', epochs=60, wandb='off', workers=2)"
CHILDREN = "import psutil\nprint([child.cmdline()[-1] for child in psutil.Process().children(recursive=True)])"


@pytest.mark.long
def test_the_stop_button_ends_a_study_and_its_workers(tmp_path):
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(cwd=str(tmp_path))
    try:
        client.execute("import auricle as au\n" + STOPPED)
        read_until(client, lambda message: "0 of 2 cells" in str(message))
        manager.interrupt_kernel()
        assert "KeyboardInterrupt" in read_until(client, is_idle)
        client.execute(CHILDREN)
        assert "spawn_main" not in read_until(client, is_idle)
        client.execute("print({cell.state for cell in au.open_study('runs/toy').status().cells})")
        assert "training" not in read_until(client, is_idle)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def is_idle(message):
    return message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"


def read_until(client, is_last):
    """Return what a kernel says, as text, up to a message."""
    seen = []
    while not seen or not is_last(seen[-1]):
        seen.append(client.get_iopub_msg(timeout=300))
    return str(seen)
