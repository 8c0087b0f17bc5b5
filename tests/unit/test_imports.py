"""The contracts of imports refuse what breaks them: shown on copies with a planted mistake."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grimp
import pytest

import observatory

ROOT = Path(observatory.__file__).parents[1]
LINTER = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"
ANALYSIS = "observatory.analysis."
BUILT_UPON = f"from {ANALYSIS}boundary.estimators import firth  # noqa: F401\n"


@pytest.fixture(scope="module")
def lint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], str]:
    """What the linter prints of a copy of the package with one more file, then without it."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("observatory", "analysis", "sweeps", "conf"):
        shutil.copytree(
            ROOT / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", folder)

    def linted(place: str, text: str) -> str:
        file = folder / place
        new = not file.parent.exists()
        file.parent.mkdir(exist_ok=True)
        (file.parent / "__init__.py").touch()
        file.write_text(text)
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        run = subprocess.run(
            [sys.executable, "-c", LINTER],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        shutil.rmtree(file.parent) if new else file.unlink()
        assert run.returncode in (0, 1), run.stderr
        assert ("0 broken" in run.stdout) == (run.returncode == 0)
        return " ".join(run.stdout.split())  # lines end where a terminal would

    return linted


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "text", "message"),
    [
        ("observatory/new/one.py", "", "- observatory.new"),
        ("analysis/new/one.py", "", "- observatory.analysis.new"),
        ("analysis/report/one.py", BUILT_UPON, "observatory.analysis.report.one -> observatory."),
        (
            "analysis/stats/one.py",
            f"import {ANALYSIS}tables.files\n",
            "observatory.analysis.stats is not allowed to import observatory.analysis.tables",
        ),
        (
            "analysis/boundary/estimators/one.py",
            f"import {ANALYSIS}fit.result\n",
            "boundary.estimators is not allowed to import observatory.analysis.fit",
        ),
        (
            "analysis/variance/one.py",
            f"import {ANALYSIS}paired.question\n",
            "observatory.analysis.variance is not allowed to import observatory.analysis.paired",
        ),
    ],
    ids=["package", "room", "report", "layer", "pure", "siblings"],
)
def test_a_planted_mistake_breaks_the_build(lint, place: str, text: str, message: str) -> None:
    printed = lint(place, text)
    assert " 0 broken" not in printed
    assert message in printed


@pytest.mark.slow
def test_a_module_in_a_room_that_exists_breaks_nothing(lint) -> None:
    assert " 0 broken" in lint("analysis/boundary/one.py", "")


def test_figures_and_sections_import_no_estimator() -> None:
    graph = grimp.build_graph("observatory", cache_dir=None)
    drawn = [
        module
        for module in graph.modules
        if module.startswith(ANALYSIS)
        and (
            module.rpartition(".")[2].startswith(("figure", "section"))
            or module.startswith((f"{ANALYSIS}report", f"{ANALYSIS}page"))
        )
    ]
    assert len(drawn) > 40
    imported = {m: graph.find_modules_directly_imported_by(m) for m in drawn}
    assert not {m: found for m, found in imported.items() if any(".estimators" in n for n in found)}
