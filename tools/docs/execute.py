"""Run the notebooks of the documents and store what comes out: `python tools/docs/execute.py`.

Each runs in an empty folder; what differs from run to run without meaning anything is not stored.
"""

import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "docs" / "notebooks"
MOST_BYTES = 500_000


def execute(path: Path, folder: Path) -> nbformat.NotebookNode:
    """Run all cells of a notebook in a folder, and return it with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    NotebookClient(notebook, timeout=900, record_timing=False, resources={"metadata": {"path": str(folder)}}).execute()
    for place, cell in enumerate(notebook.cells):
        cell.id = f"cell-{place}"
    notebook.metadata.pop("language_info", None)
    return notebook


if __name__ == "__main__":
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            executed = execute(path, Path(folder))
        text = nbformat.writes(executed)
        assert len(text) < MOST_BYTES, f"{path.name} has {len(text):,} bytes"
        path.write_text(text + "\n", encoding="utf-8")
        print(f"{path}: {len(text):,} bytes")
