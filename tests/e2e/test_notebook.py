"""The notebook of docs/examples runs from its first cell to its last, in a folder of its own."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import observatory

NOTEBOOK = Path(observatory.__file__).parents[1] / "docs/examples/from_study_to_figure.ipynb"


@pytest.mark.slow
def test_the_notebook_goes_from_a_study_to_a_figure(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])
    )
    assert "boundary (firth), event first99, horizon 600 steps" in printed
    assert (tmp_path / "figure.pdf").is_file()
    assert (tmp_path / "results/first_map/runs").is_dir()


def test_the_notebook_is_stored_without_output() -> None:
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
