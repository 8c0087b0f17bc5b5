"""The rules of the code base that no linter knows."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import observatory

ROOT = Path(observatory.__file__).parents[1]
PACKAGE = ROOT / "observatory"
# Folder of each kind, and the methods by which a class is a component of it: all of one set.
KINDS = {
    "task": ("tasks", [{"inputs", "labels", "split"}]),
    "model": ("models", [{"forward", "hooks", "weights"}]),
    "loss": ("losses", [{"each"}]),
    "optimizer": ("optimizers", [{"init", "update"}]),
    "probe": ("probes", [{"measure"}]),
    "event": ("events", [{"locate"}]),
    "fit": ("analysis", [{"fit"}, {"estimate"}, {"records", "horizons"}]),
}
# Abstract classes of ours that bring the methods of a component along.
BASES = {"AnsweredTask", "CurveLaw", "LikelihoodFit"}
SOURCES = sorted(
    path
    for folder in ("observatory", "observatory/analysis", "observatory/sweeps")
    for path in (ROOT / folder).rglob("*.py")
)
MOST_MODULES, MOST_LINES = 25, 300


@cache
def classes(path: Path) -> tuple[ast.ClassDef, ...]:
    return tuple(
        node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)
    )


def names(nodes: list[ast.expr]) -> set[str]:
    """The last word of each: `Protocol[T]`, `nn.Module` and `dataclass(frozen=True)` included."""
    return set(
        re.findall(r"(?:^|\.)(\w+)(?=[\[(]|$)", "\n".join(map(ast.unparse, nodes)), re.MULTILINE)
    )


def functions(node: ast.ClassDef) -> list[str]:
    return [item.name for item in node.body if isinstance(item, ast.FunctionDef)]


def components(kind: str) -> dict[str, ast.ClassDef]:
    """The component classes of a kind by the module that holds them, below the kind's folder."""
    folder, either = KINDS[kind]
    return {
        ".".join(path.relative_to(PACKAGE / folder).with_suffix("").parts): node
        for path in sorted((PACKAGE / folder).rglob("*.py"))
        for node in classes(path)
        if (any(methods <= set(functions(node)) for methods in either) or names(node.bases) & BASES)
        and not names(node.bases) & {"ABC", "Protocol"}
    }


def defaults(node: ast.ClassDef) -> list[ast.expr]:
    """Default values of the constructor, written out or made by a dataclass."""
    found: list[ast.expr | None] = []
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            found += [*item.args.defaults, *item.args.kw_defaults]
        if isinstance(item, ast.AnnAssign) and "dataclass" in names(node.decorator_list):
            found.append(item.value)
    return [value for value in found if value is not None]


def targets(file: Path) -> set[str]:
    """Every `_target_` of a YAML, those of the files of its group that it builds on included."""

    def walk(value: object) -> set[str]:
        if isinstance(value, list):
            return set().union(*map(walk, value))
        if not isinstance(value, dict):
            return set()
        own = {value["_target_"]} if "_target_" in value else set()
        return own.union(*map(walk, value.values()))

    content = yaml.safe_load(file.read_text()) or {}
    bases = [
        base for base in content.get("defaults", []) if isinstance(base, str) and base != "_self_"
    ]
    return walk(content).union(*(targets(file.parent / f"{base}.yaml") for base in bases))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_component_has_a_yaml_and_every_yaml_a_component(kind: str) -> None:
    package = f"observatory.{KINDS[kind][0]}"
    built = set()
    for file in sorted((ROOT / "conf" / kind).glob("*.yaml")):
        ours = {target for target in targets(file) if target.startswith(f"{package}.")}
        assert ours, f"{file} names no class of {package} by `_target_`"
        for target in ours:
            module, _, attribute = target.rpartition(".")
            assert hasattr(import_module(module), attribute), f"{file}: there is no {target}"
            built.add(module.removeprefix(f"{package}."))
    assert built
    assert set(components(kind)) == built


@pytest.mark.parametrize("kind", KINDS)
def test_components_are_final_and_their_numbers_are_in_yaml(kind: str) -> None:
    for module, node in components(kind).items():
        assert "final" in names(node.decorator_list), f"{module}.{node.name} is not @final"
        assert not defaults(node), f"{module}.{node.name} has defaults: they belong in conf/{kind}"


def test_fits_share_pieces_but_do_not_know_each_other() -> None:
    fits = {f"observatory.analysis.{module}" for module in components("fit")}
    for fit in fits:
        source = (ROOT / "/".join(fit.split(".")[1:])).with_suffix(".py").read_text()
        nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
        assert not {node.module for node in nodes} & fits, f"{fit} imports another fit"


def test_only_abstract_classes_errors_and_options_are_inherited_from() -> None:
    ours = {node.name: node for path in SOURCES for node in classes(path)}
    plain = [base for n in ours.values() for base in n.bases if not isinstance(base, ast.Attribute)]
    inherited = names(plain) & set(ours)  # `click.Group` is none of ours
    assert inherited
    for name in inherited:
        abstract = names(ours[name].bases) & {"ABC", "Protocol"}
        allowed = abstract or name.endswith(("Error", "Options"))
        assert allowed, f"{name} is concrete and inherited from"


def too_full(modules: list[Path]) -> list[Path]:
    """Folders with too many modules."""
    rooms = Counter(path.parent for path in modules if path.stem != "__init__")
    return sorted(room for room, n in rooms.items() if n > MOST_MODULES)


def test_no_room_is_too_full() -> None:
    assert too_full(SOURCES) == []
    many = [Path(f"room/{i}.py") for i in range(MOST_MODULES + 1)]
    assert too_full([*many[:9], Path("room/7a/inside.py"), *many[9:]]) == [Path("room")]


def test_no_module_is_too_long() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert len(lines) > 400
    assert [str(path) for path, n in lines.items() if n > MOST_LINES] == []


def test_names_say_what_a_file_is_about() -> None:
    vague = {"utils", "util", "helpers", "helper", "misc", "common"}
    assert not [path for path in SOURCES if vague & set(path.stem.split("_"))]
    spoken = [path for path in SOURCES if path.name == "__init__.py" and path.read_text().strip()]
    assert spoken == [PACKAGE / "__init__.py"]


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import observatory, sys; print(*sys.modules)"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"torch", "lightning", "mlflow", "numpy"} & set(printed.stdout.split())


def test_every_public_name_exists() -> None:
    assert len(set(observatory.__all__) - set(observatory._FITS)) <= 18
    assert all(getattr(observatory, name) for name in observatory.__all__)
    for before, name in observatory._FITS.items():
        assert getattr(observatory, before) is getattr(observatory.fits, name)
    with pytest.raises(AttributeError, match="only"):
        _ = observatory.no_such_name


def test_no_public_name_is_that_of_a_package() -> None:
    """An import of `observatory.x` puts the package in the place of a name x."""
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    assert set(observatory.__all__) & (packages | modules) == {"fits"}


def test_pins_satisfy_the_declared_ranges() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = project["dependencies"]
    for extra in project["optional-dependencies"].values():
        declared += extra
    found = re.findall(r"^(\S+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    pins = {re.sub(r"[-_.]+", "-", name).lower(): Version(pin) for name, pin in found}
    for requirement in map(Requirement, declared):
        if requirement.name == "observatory":  # `all`
            continue
        assert pins[requirement.name.lower()] in requirement.specifier, requirement
    assert f"torch=={pins['torch']}" in (ROOT / "Makefile").read_text().split()


def test_the_version_is_one() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == observatory.__version__
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()


def test_every_make_command_of_the_readme_exists() -> None:
    offered = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = set(
        re.findall(r"^(?:\$ )?make ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    )
    assert {"map", "test"} <= shown <= offered
