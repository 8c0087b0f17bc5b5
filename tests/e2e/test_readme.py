"""What the README shows is what happens: its commands and its code are run from its own text."""

import re
import shlex
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hydra.utils import instantiate

import observatory
from observatory.cli import main as cli
from observatory.core.schedule import LogSpaced
from observatory.launch.compose import compose
from observatory.launch.layout import resolved
from observatory.training.build import build
from tests.contract.test_probe import VIEWS, assert_same, rows
from tests.typechecking import unchecked

ROOT = Path(observatory.__file__).parents[1]
README = (ROOT / "README.md").read_text()
# Run elsewhere: by hand (minutes or hours), by the browser tests, or by what runs this very test.
ELSEWHERE = ("make map", "make test", "experiment=laptop_", "browse", "fleet.device=cuda")
OWN = "results/mine"  # of the example that watches a model of the reader's own


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def block_with(language: str, word: str) -> str:
    (found,) = [block for block in blocks(language) if word in block]
    return found


def commands() -> list[list[str]]:
    """Those that need no files of the reader's own."""
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.strip()]
    return [shlex.split(line, comments=True) for line in lines if "my_code" not in line]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    (folder / "docs").symlink_to(ROOT / "docs")
    return folder


@pytest.mark.slow
def test_every_command_composes() -> None:
    shown = commands()
    assert len(shown) >= 10
    for program, *arguments in shown:
        if program.endswith("observatory") and arguments[0] in ("map", "sweep", "train"):
            overrides = [a for a in arguments[1:] if a != "-m" and "," not in a]
            compose(arguments[0], overrides)
        else:
            assert program == "make" or arguments[0] in cli.program.commands


@pytest.mark.slow
def test_the_quick_commands_run_word_for_word(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What trains is a process as a user's is; what reads, a call."""
    monkeypatch.chdir(folder)
    ran = 0
    for program, *arguments in commands():
        text = " ".join([program, *arguments])
        if any(word in text for word in (*ELSEWHERE, OWN)) or program == "make":
            continue
        if arguments[0] in ("status", "export"):
            arguments[1] = "results/smoke"
        if arguments[0] in ("map", "train"):
            done = subprocess.run(
                [sys.executable, "-m", "observatory.cli", *arguments],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            code, err = done.returncode, done.stderr
        else:
            with unchecked():
                code, err = cli.run(arguments), capsys.readouterr().err
        assert code == 0, (text, err)
        ran += 1
    assert ran >= 3


@pytest.mark.slow
def test_the_library_example_reads_the_smoke_study(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    namespace: dict[str, Any] = {}
    exec(block_with("python", "Study("), namespace)
    assert len(namespace["run"].outcomes()) == 12
    power = namespace["spectrum"]
    assert power.shape == (12,)
    assert power.max() > 0.2 * power.sum()  # of a grokked network few frequencies stand out


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The YAML of the probe example, its class where the YAML names it."""
    module = types.ModuleType("observatory.probes.embedding_norm")
    exec(block_with("python", "class EmbeddingNorm"), module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return yaml.safe_load(blocks("yaml")[0])["embedding_norm"]


@pytest.mark.parametrize("name", VIEWS)
def test_the_probe_example_looks_at_every_model(name: str, entry: dict[str, Any]) -> None:
    view, probe = VIEWS[name](), instantiate(entry["probe"])
    measured = probe.measure(view)
    assert measured.keys() == {column.name for column in probe.columns}
    assert (measured["l2"] is None) == ("W_E" not in view.params)
    few = torch.tensor([2, 0])
    assert_same(measured, probe.measure(rows(view, few)), few)


@pytest.mark.slow
def test_the_probe_example_is_a_probe(entry: dict[str, Any]) -> None:
    assert instantiate(entry["schedule"]) == LogSpaced(per_decade=20)
    fleet = build(resolved(compose("train", ["experiment=smoke", "fleet.size=2"]))).shard(0, 1)
    fleet.fill()
    measured = instantiate(entry["probe"]).measure(fleet.view(fleet.look([0, 1])))["l2"]
    expected = fleet.layout.views(fleet.flat)["W_E"].double().square().sum(dim=(1, 2)).sqrt()
    assert torch.allclose(measured, expected)


@pytest.mark.slow
def test_the_watched_model_is_read_by_the_commands_below_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(block_with("python", "Observe("), {})
    assert "s_bar" in capsys.readouterr().out
    ended = {}
    for _, *arguments in (each for each in commands() if OWN in each):
        with unchecked():
            code = cli.run(arguments)
        printed = capsys.readouterr()
        assert code == (3 if arguments[0] == "fit" else 0), (arguments, printed.err)
        ended[arguments[0]] = printed.out
    assert ended["status"].count("1/1 replicas finished") == 3
    assert (tmp_path / "results" / "mine" / "report.html").is_file()
