"""Settings that lie in a store run no code of others, unless their user says so."""

import re
import shutil
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from observatory.bundle.export import export_study
from observatory.cli import main as cli
from observatory.core.errors import ConfigError, StoreError
from observatory.launch import snapshot
from observatory.launch.compose import compose
from observatory.launch.layout import resolved
from observatory.launch.many import retry
from observatory.launch.run import own_run
from observatory.launch.snapshot import freeze
from observatory.launch.trust import check_trusted
from observatory.store.files import read_json
from observatory.store.reader import Study
from observatory.store.writer import update_manifest

PRESETS = Path(__file__).parents[3] / "conf"


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    """Settings that name this package only."""
    return compose("train", [])


def test_every_preset_names_components_only() -> None:
    named = {
        target
        for preset in PRESETS.rglob("*.yaml")
        if preset.parent.name not in ("fit", "sweeper")  # their classes are found otherwise
        for target in re.findall(r"_target_: *([\w.]+)", preset.read_text())
    }
    named.remove("hydra.utils.get_method")  # a function of the user's
    assert len(named) > 30
    check_trusted({"task": [{"_target_": target} for target in named]}, "It")


FOREIGN: list[Any] = [
    {"_target_": "pandas.read_pickle", "filepath_or_buffer": "evil.pkl"},
    {"_target_": "os.system", "command": "touch evil"},
    {"_target_": "builtins.eval", "_args_": ["1"]},
    {"_target_": "subprocess.check_output", "args": "touch evil", "shell": True},
    {"_target_": "torch.load", "f": "evil.pt", "weights_only": False},
    {"_target_": "hydra.utils.get_method", "path": "os.system"},
    {"_target_": "hydra.utils.call", "config": {"_target_": "os.system"}},
    {"_target_": "observatory.tasks.function.torch.load", "f": "evil.pt"},
    {"_target_": "observatory.tasks.cayley.Path", "_args_": ["x"]},
    {"_target_": "observatory.tasks.cayley.csv.reader", "_args_": [[]]},
    {"_target_": "observatory.store.files.remove_if_older", "path": "x", "age_s": 0},
    {"_target_": "observatory.store.files.shutil.rmtree", "path": "x"},
    {"_target_": "observatory.cli.main.run", "arguments": ["export"]},
    {"_target_": "observatory.tasks.modular._private"},
    {"_target_": "observatory.tasks.no_such.Task"},
    {"_target_": "observatory_tasks.Task"},
    {"_target_": ["os.system"]},
    {"_target_": None},
]
PLACES = ("task", "model", "loss", "optimizer.update", "task.group", "probe.x.probe", "event.x")


@pytest.mark.parametrize("foreign", FOREIGN, ids=lambda entry: str(entry["_target_"]))
def test_code_outside_of_the_components_is_refused(foreign: dict[str, Any]) -> None:
    for place, value in product(PLACES, (foreign, [[foreign]], {"deeper": {"_args_": [foreign]}})):
        changed: dict[str, Any] = {"seed": 0}
        *groups, last = place.split(".")
        node = changed
        for group in groups:
            node = node.setdefault(group, {})
        node[last] = value
        with pytest.raises(ConfigError, match=r"Run `x` names .* add `--trust`"):
            check_trusted(changed, "Run `x`")


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher", [{"setup": ["touch evil"]}, {"additional": {"wrap": "x"}}, {"account": "a\ntouch"}]
)
def test_lines_of_a_shell_are_code(plain: dict[str, Any], launcher: dict[str, Any]) -> None:
    check_trusted(plain, "It")
    with pytest.raises(ConfigError, match=r"names `launcher\."):
        check_trusted({**plain, "launcher": launcher}, "It")
    check_trusted({**plain, "launcher": {"setup": [], "account": "me", "mem_gb": 4}}, "It")


@pytest.fixture
def interrupted(tmp_path: Path) -> Path:
    """The folder of a run that was begun and not ended."""
    overrides = ["task.p=5", "model.d_model=8", "model.d_mlp=8", "model.n_heads=2", "study=tiny"]
    config = compose("train", [*overrides, f"results={tmp_path}", "horizon_steps=25", "probe=[]"])
    with pytest.raises(StoreError), own_run({**config, "fleet": resolved(config)["fleet"]}) as run:
        raise StoreError("it ends here")
    return run.folder


def planted(folder: Path, mark: Path) -> None:
    """Replace the task by a call that leaves a mark."""
    config = read_json(folder / "manifest.json")["config"]
    config["task"] = {"_target_": "pathlib.Path.touch", "self": {"_target_": "pathlib.Path"}}
    config["task"]["self"]["_args_"] = [str(mark)]
    update_manifest(folder, config=config)


@pytest.mark.slow
def test_retry_and_export_run_no_code_of_a_stranger(
    interrupted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study, mark = interrupted.parents[1], tmp_path / "evil"
    out = ["--partial", "--out", str(tmp_path / "out")]
    planted(interrupted, mark)
    with pytest.raises(ConfigError, match=r"`pathlib.Path.touch`, .*add `--trust`"):
        retry(study, True, None, print)
    shard = interrupted / "shards" / "0"
    shard.mkdir(parents=True)
    from torch import save

    save({"fleet": {"slots": [0], "flat": [[0.0]], "ages": [0]}}, shard / "checkpoint.pt")
    with pytest.raises(ConfigError, match="add `--trust`"):
        export_study(study, tmp_path / "out", weights=True, partial=True)
    for typed in (["retry", str(study), "--here"], ["export", str(study), "--weights", *out]):
        assert cli.run(typed) == 2
        assert "add `--trust`" in capsys.readouterr().err
    assert not mark.exists()
    assert cli.run(["retry", str(study), "--here", "--trust"]) == 2
    assert "`task` must name a class with all that a Task has" in capsys.readouterr().err
    assert mark.exists()


@pytest.mark.slow
def test_workers_train_what_the_launcher_checked(interrupted: Path, tmp_path: Path) -> None:
    config = read_json(interrupted / "manifest.json")["config"]
    planted(interrupted, tmp_path / "evil")
    with pytest.raises(StoreError, match="other settings in its manifest"), own_run(config):
        pass
    assert not (tmp_path / "evil").exists()
    update_manifest(interrupted, config=config)
    retry(interrupted.parents[1], False, None, print)
    assert Study(interrupted.parents[1]).runs[0].status == "done"


def test_jobs_run_the_code_that_was_frozen_and_no_other(tmp_path: Path, monkeypatch) -> None:
    package = tmp_path / "observatory"
    package.mkdir()
    (package / "__init__.py").write_text("ours = 1\n")
    monkeypatch.setattr(snapshot.observatory, "__file__", str(package / "__init__.py"))
    freeze.cache_clear()
    folder = freeze(tmp_path / "study")
    (folder / "observatory" / "__init__.py").write_text("import os\n")
    freeze.cache_clear()
    assert freeze(tmp_path / "study") == folder
    assert (folder / "observatory" / "__init__.py").read_text() == "ours = 1\n"
    freeze.cache_clear()
    shutil.rmtree(folder)
