"""The wheel holds everything: what works from the checkout must work where it is installed."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from observatory.core.extras import EXTRAS

ROOT = Path(__file__).parents[2]
SOURCES = ("observatory", "analysis", "conf", "sweeps")
LEFT_OUT = shutil.ignore_patterns("__pycache__")

pytestmark = pytest.mark.slow

IMPORT_ALL = """
import importlib, pkgutil, sys
import observatory
assert observatory.__file__.startswith(sys.argv[1]), observatory.__file__
found = [module.name for module in pkgutil.walk_packages(observatory.__path__, "observatory.")]
for name in found:
    importlib.import_module(name)
print(*found)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel, built from a copy of the sources and out of reach of the checkout."""
    folder = tmp_path_factory.mktemp("package")
    for name in SOURCES:
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=LEFT_OUT)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    (wheel,) = (folder / "dist").glob("observatory-*.whl")
    target = folder / "installed"
    zipfile.ZipFile(wheel).extractall(target)
    return target


def modules(root: Path) -> set[str]:
    """Import names of all files; the folders beside `observatory/` are its subpackages."""
    found = set()
    for name in SOURCES:
        for path in (root / name).rglob("*.py"):
            parts = path.relative_to(root).with_suffix("").parts
            parts = parts if name == "observatory" else ("observatory", *parts)
            found.add(".".join(part for part in parts if part != "__init__"))
    return found - {"observatory"}


def data(root: Path, suffixes: set[str]) -> set[Path]:
    return {path.relative_to(root) for path in root.rglob("*") if path.suffix in suffixes}


def test_every_module_imports_from_the_wheel(installed: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    printed = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, str(installed)],
        cwd=installed.parent / "dist",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert printed.returncode == 0, printed.stderr
    assert set(printed.stdout.split()) == modules(ROOT)


def test_configs_and_templates_are_in_the_wheel(installed: Path) -> None:
    configs = data(ROOT / "conf", {".yaml"})
    assert configs
    assert data(installed / "observatory" / "conf", {".yaml"}) == configs
    templates = {path for path in (ROOT / "analysis/report/templates").rglob("*") if path.is_file()}
    assert templates
    for path in templates:
        assert (
            installed / "observatory" / path.relative_to(ROOT)
        ).read_bytes() == path.read_bytes()


def test_the_wheel_offers_the_extras_and_caps_nothing_that_is_always_there(
    installed: Path,
) -> None:
    (folder,) = installed.glob("*.dist-info")
    described = PathDistribution(folder)
    assert {*EXTRAS, "all", "dev", "docs"} == set(described.metadata.get_all("Provides-Extra"))
    requirements = [Requirement(line) for line in described.requires or []]
    always = [r for r in requirements if r.marker is None]
    assert {"torch", "numpy", "pandas", "pyarrow", "jaxtyping"} <= {r.name for r in always}
    assert not {"lightning", "hydra-core", "scipy", "mlflow"} & {r.name for r in always}
    assert {s.operator for r in always for s in r.specifier} == {">="}


def test_nothing_generic_is_installed(installed: Path) -> None:
    top = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert top == {"observatory"}
