import json
from importlib import metadata
from pathlib import Path

import pytest

from observatory.cli import doctor
from observatory.cli.doctor import Check, as_json, examine, healthy


def named(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def installed(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    """Pretend that these distributions have these versions; None is not installed."""
    real = metadata.version
    spelled = {name.replace("_", "-"): version for name, version in versions.items()}

    def version(name: str) -> str:
        found = spelled[name] if name in spelled else real(name)
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(doctor.metadata, "version", version)


def test_this_environment_is_healthy(tmp_path: Path) -> None:
    checks = examine(tmp_path / "not" / "yet")
    assert healthy(checks)
    assert {"python", "torch", "extras", "cuda", "memory", "disk"} <= set(named(checks))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("version", "state"), [("3.2.0", "ok"), ("2.9.0", "warn"), (None, "fail")])
def test_a_version_is_held_against_its_range(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str | None, state: str
) -> None:
    installed(monkeypatch, pandas=version)
    assert named(examine(tmp_path))["pandas"].state == state


def test_an_extra_is_named_only_where_it_is_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "ruff" not in named(examine(tmp_path))
    installed(monkeypatch, ruff="0.1.0")
    assert named(examine(tmp_path))["ruff"].state == "warn"


def test_extras_are_listed_with_how_to_get_those_that_lack(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = {"mlflow": ["mlflow"], "hf": ["accelerate"], "train": []}
    monkeypatch.setattr(doctor, "missing", lambda name: found.get(name, []))
    check = named(examine(tmp_path))["extras"]
    assert check.found == "train, analysis, slurm, postgres"
    assert check.advice.endswith("pip install 'observatory[mlflow,hf]'")


def test_the_sweeper_that_downgrades_optuna_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "hydra-optuna-sweeper" not in named(examine(tmp_path))
    installed(monkeypatch, hydra_optuna_sweeper="1.3.0")
    checks = examine(tmp_path)
    assert named(checks)["hydra-optuna-sweeper"].state == "fail"
    assert not healthy(checks)


def test_a_folder_that_takes_no_file_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    check = named(examine(tmp_path / "file" / "results"))["results"]
    assert check.state == "fail"
    assert "results=DIR" in check.advice


@pytest.mark.parametrize(("value", "state"), [("true", "ok"), ("false", "info")])
def test_telemetry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str, state: str) -> None:
    monkeypatch.delenv("DO_NOT_TRACK", raising=False)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", value)
    assert named(examine(tmp_path))["mlflow telemetry"].state == state


def test_json_says_what_the_text_says() -> None:
    checks = [Check("disk", "warn", "0.5 GB free", "Free some space.")]
    assert json.loads(as_json(checks)) == {
        "healthy": True,
        "checks": [
            {"name": "disk", "state": "warn", "found": "0.5 GB free", "advice": "Free some space."}
        ],
    }
