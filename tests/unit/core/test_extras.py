"""A light installation: what works without any extra, and how the lack of one is said."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import observatory
from observatory.core import extras
from observatory.core.errors import MissingExtraError
from observatory.core.extras import EXTRAS, missing, require

ROOT = Path(observatory.__file__).parents[1]
IMPORTED_AS = {
    "hydra-core": "hydra",
    "hydra-submitit-launcher": "submitit",
    "vl-convert-python": "vl_convert",
}
BLOCKED = sorted({name for names in EXTRAS.values() for name in names})
BLOCK = """
import importlib.abc, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())
"""
LIBRARY = """
import importlib, pkgutil
import observatory
for package in ("core", "store", "events", "maths", "probes", "watch"):
    found = importlib.import_module(f"observatory.{package}")
    for module in pkgutil.walk_packages(found.__path__, found.__name__ + "."):
        if not module.name.endswith((".online.huggingface", ".online.lightning")):
            importlib.import_module(module.name)  # those two are for who has the framework
light = {*observatory.__all__} - {*observatory._FITS} - {*observatory._EXTRAS}
print(len([getattr(observatory, name) for name in sorted(light)]))
"""
VERBS = """
import contextlib, io, json
from observatory.cli.main import run
said = {}
for words in (
    "plan", "map", "sweep", "train", "fit ./study", "fit boundary table.csv", "report study",
    "browse", "retry study", "export study --weights", "status study", "--help", "fit --help",
    "fit boundary --help",
):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(out):
        said[words] = [run(words.split()), err.getvalue()]
print(json.dumps(said))
"""
NEEDS = {
    "plan": "train", "map": "train,analysis", "sweep": "train,analysis", "train": "train",
    "fit ./study": "analysis", "fit boundary table.csv": "analysis", "report study": "analysis",
    "browse": "mlflow", "retry study": "train", "export study --weights": "train",
}  # fmt: skip


def without(blocked: list[str], program: str) -> str:
    """What a program prints in a process that cannot import these packages."""
    done = subprocess.run(
        [sys.executable, "-c", BLOCK + program, ",".join(blocked)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes packages look as if they were not installed."""

    def lack(*names: str) -> None:
        real = extras.find_spec
        monkeypatch.setattr(extras, "find_spec", lambda name: None if name in names else real(name))

    return lack


@pytest.mark.slow
def test_the_library_reads_and_watches_without_any_extra() -> None:
    assert int(without([*BLOCKED, "click", "rich", "packaging"], LIBRARY)) > 4


@pytest.mark.slow
def test_each_verb_names_its_extra_and_what_needs_none_works() -> None:
    said = json.loads(without(BLOCKED, VERBS))
    for words, extra in NEEDS.items():
        code, text = said.pop(words)
        assert code == 2, (words, text)
        assert text.rstrip().endswith(f"pip install 'observatory[{extra}]'"), (words, text)
        assert "needs " in text
    assert {words: code for words, (code, _) in said.items() if "--help" in words} == {
        "--help": 0, "fit --help": 0, "fit boundary --help": 0,
    }  # fmt: skip
    assert "needs" not in said["status study"][1]


def test_one_package_is_named_with_the_command(lacking: Callable[..., None]) -> None:
    lacking("lightning")
    with pytest.raises(MissingExtraError) as raised:
        require("train", "analysis", by="`observatory map`")
    assert str(raised.value) == (
        "`observatory map` needs lightning, which is not installed. "
        "Install it: pip install 'observatory[train]'"
    )
    assert raised.value.exit_code == 2


def test_several_packages_are_named_once(lacking: Callable[..., None]) -> None:
    lacking("omegaconf", "scipy", "optuna")
    assert missing("train", "analysis") == ["omegaconf", "optuna", "scipy"]
    with pytest.raises(MissingExtraError, match="needs omegaconf, optuna and scipy, which are not"):
        require("train", "analysis", by="`observatory map`")


def test_the_library_names_what_it_needs(lacking: Callable[..., None]) -> None:
    lacking("scipy", "lightning")
    with pytest.raises(MissingExtraError, match=r"`observatory.fits.boundary` needs scipy"):
        _ = observatory.fits.boundary
    with pytest.raises(MissingExtraError, match=r"`observatory.train` needs lightning"):
        _ = observatory.train


def test_the_table_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    offered = dict(project["optional-dependencies"])
    named = {
        extra: {re.match(r"[\w-]+", line)[0] for line in lines}  # type: ignore[index]
        for extra, lines in offered.items()
    }
    assert {
        extra: {IMPORTED_AS.get(name, name) for name in names}
        for extra, names in named.items()
        if extra not in ("all", "dev", "docs")
    } == {extra: {*names} for extra, names in EXTRAS.items()}
    assert offered["all"] == [f"observatory[{','.join(sorted(EXTRAS))}]"]
    assert not [line for line in project["dependencies"] if "<" in line or "==" in line]
