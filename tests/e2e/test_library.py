"""What the guides to the library, the fits and looks show is what happens: their code is run."""

import ast
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

import observatory as ob
from observatory import fits
from observatory.analysis.fit.questions import questions
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

ROOT = Path(ob.__file__).parents[1]
LIBRARY = (ROOT / "docs" / "library.md").read_text()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_examples_run_in_their_order(folder: Path) -> None:
    fabricate_study(folder / "results", Plan(study="smoke"))
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", LIBRARY, re.DOTALL):
        exec(compile(block, "docs/library.md", "exec"), names)
    assert (folder / "rate.pdf").is_file()
    assert (folder / "curves.csv").read_text().count("\n") > 100
    plt.close("all")


@pytest.mark.slow
def test_the_guide_to_fits_runs(folder: Path) -> None:
    guide = (ROOT / "docs" / "fits.md").read_text()
    exec(re.findall(r"```python\n(.*?)```", guide, re.DOTALL)[0], {})
    plt.close("all")


@pytest.mark.slow
def test_the_guide_to_looks_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    guide = (ROOT / "docs" / "watch.md").read_text()
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", guide, re.DOTALL):
        exec(compile(block, "docs/watch.md", "exec"), names)
    assert "a softmax of shape [8, 12, 12] in `the model`" in capsys.readouterr().out
    assert (tmp_path / "patterns.png").is_file()


def test_every_question_has_an_example() -> None:
    assert [name for name in questions() if f"ob.fits.{name}(" not in LIBRARY] == []


def test_what_is_typed_of_the_fits_is_there() -> None:
    tree = ast.parse(Path(fits.__file__).read_text())
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    typed = {
        alias.name
        for node in imported
        for alias in node.names
        if str(node.module).endswith(".question")
    }
    assert typed <= set(questions())
    assert set(dir(fits)) == set(questions())
    assert all(getattr(fits, name) is question.ask for name, question in questions().items())


def test_the_public_names_are_found() -> None:
    assert set(ob.__all__) <= set(dir(ob))
    assert all(getattr(ob, name) is not None for name in ob.__all__)
    assert ob.fit_boundary is ob.fits.boundary
    with pytest.raises(AttributeError, match="Did you mean fits"):
        ob.fit  # noqa: B018
    with pytest.raises(AttributeError, match="Did you mean boundary"):
        ob.fits.boundry  # noqa: B018
