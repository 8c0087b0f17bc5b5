"""Components of the user's own that are wrong: named, in a sentence, before or where they fail."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from observatory.core.errors import ConfigError
from observatory.launch.compose import compose
from observatory.launch.layout import resolved
from observatory.launch.run import launch
from observatory.training.build import build

TINY = ["task.p=5", "model.d_model=8", "model.d_mlp=8", "model.n_heads=2", "fleet.shards=1"]
SOURCE = """
from observatory.core.columns import Column
from observatory.core.contracts import Probe

class Raising(Probe):
    columns = (Column(name="a", unit="1", meaning="a"),)
    def measure(self, view):
        return {}["no such"]

class Nothing(Raising):
    def measure(self, view):
        return None

class RaisingLoss:
    unit, coupled = "1", False
    def each(self, logits, labels, counted):
        raise RuntimeError("not today")

class NoLoss(RaisingLoss):
    def each(self, logits, labels, counted):
        return None

class Other:
    pass
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path with components of somebody's own."""
    (tmp_path / "own_components.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("own_components", None)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Raising", r"The probe `weight_norm` raised KeyError.*own_components.py:8"),
        ("Nothing", "The probe `weight_norm` must give a value for each of its columns, got None"),
    ],
)
def test_a_probe_that_fails_is_named(own: Path, name: str, said: str) -> None:
    probe = f"probe.weight_norm.probe={{_target_:own_components.{name}}}"
    given = [*TINY, "probe=[weight_norm]", probe, f"results={own}", "horizon_steps=25"]
    with pytest.raises(ConfigError, match=said):
        launch(compose("train", given))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("group", "name", "said"),
    [
        ("loss", "RaisingLoss", "RaisingLoss raised RuntimeError"),
        ("loss", "NoLoss", "NoLoss gave None"),
        ("loss", "Other", "with all that a Loss has"),
        ("task", "Other", "with all that a Task has"),
        ("model", "Other", "`own_components.Other` cannot be made"),
        ("optimizer.update", "Other", "with all that a Optimizer has"),
        ("event.mem", "Other", r"`event\.mem\.series` must be one of"),
        ("probe.weight_norm.probe", "Other", "with all that a Probe has"),
        ("loss", "Absent", "`own_components.Absent` cannot be made"),
    ],
)
def test_what_is_no_component_is_refused_before_it_is_used(
    own: Path, group: str, name: str, said: str
) -> None:
    config = compose("train", TINY)
    node, (*groups, last) = config, group.split(".")
    for each in groups:
        node = node[each]
    node[last] = {"_target_": f"own_components.{name}"}
    with pytest.raises(ConfigError, match=said):
        build(resolved(config))
