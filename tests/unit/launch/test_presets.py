"""A configuration composed upon kept presets is that which Hydra composes anew."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from observatory.launch import presets
from observatory.launch.presets import changes, composed

SETTINGS = "+arms.freeze_norm.moment={_target_: observatory.interventions.moments.AtStep, step: 20}"


@pytest.fixture(autouse=True)
def initialised() -> Iterator[None]:
    with hydra.initialize_config_module("observatory.conf", version_base="1.3"):
        yield


@pytest.fixture
def by_hydra(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The overrides of all that Hydra composes from now on; nothing is kept from before."""
    asked = list[list[str]]()

    def compose(name: str, overrides: list[str], return_hydra_config: bool) -> DictConfig:
        asked.append(overrides)
        return hydra.compose(name, overrides, return_hydra_config=return_hydra_config)

    presets._of_presets.cache_clear()
    monkeypatch.setattr(presets, "compose", compose)
    return asked


def content(config: DictConfig) -> Any:
    """All of it; what Hydra names its folders by is read by nobody."""
    found: Any = OmegaConf.to_container(config, resolve=False)
    del found["hydra"]["job"]["override_dirname"]
    return found


@pytest.mark.parametrize(
    "values",
    [
        ("experiment=smoke", "task.p=13", "task.p=${modulus}", "modulus=7", "study='1,2'"),
        ("model=mlp", "+sweep.nuisance={seed: [1, 2]}", "sweep.nuisance.seed=[3]", "fork=null"),
        ("arms=[freeze_norm]", "~arms.freeze_norm.moment", SETTINGS, "++model.new=1", "++seed=4"),
    ],
)
def test_values_on_kept_presets_make_what_hydra_makes(
    by_hydra: list[list[str]], values: tuple[str, ...]
) -> None:
    chosen = [
        v for v in values if v.partition("=")[0] in ("experiment", "model", "arms", "launcher")
    ]
    expected = content(hydra.compose("train", [*values], return_hydra_config=True))
    for _ in range(2):  # what was set on the first copy is not kept
        assert content(composed("train", values)) == expected
    assert by_hydra == [chosen]


@pytest.mark.parametrize(
    "values",
    [
        ("~event.mem", "~loss", "horizon_steps=50"),
        ("hydra/sweeper=boundary", "hydra.searchpath=[pkg://hydra.conf]", "seed=1"),
        ("model={n_layers: 3}", "model.n_layers=2"),
    ],
)
def test_what_changes_more_than_values_is_composed_by_hydra(
    by_hydra: list[list[str]], values: tuple[str, ...]
) -> None:
    expected = content(hydra.compose("train", [*values], return_hydra_config=True))
    assert content(composed("train", values)) == expected
    assert by_hydra == [[*values]]


@pytest.mark.parametrize(
    "values",
    [
        ("seeed=1",),
        ("+seed=1",),
        ("model.d_mlpp=1", "seed=2"),
        ("model=none", "seed=1"),
        ("a@b=c",),
    ],
)
def test_what_cannot_be_is_refused_in_the_words_of_hydra(values: tuple[str, ...]) -> None:
    with pytest.raises(HydraException) as theirs:
        hydra.compose("train", [*values])
    with pytest.raises(HydraException) as ours:
        composed("train", values)
    assert str(ours.value) == str(theirs.value)


def test_a_file_that_changed_is_read_again(
    by_hydra: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(presets, "CONF", tmp_path)
    monkeypatch.setattr(presets, "is_group", lambda key: key == "model")
    for _ in range(2):
        composed("train", ["model=mlp"])
    assert len(by_hydra) == 1
    (tmp_path / "model").mkdir()
    file = tmp_path / "model" / "mlp.yaml"
    for text in ("a: 1", "a: 12"):
        file.write_text(text)
        composed("train", ["model=mlp"])
    before = changes(tmp_path)
    os.utime(file, ns=(1, 1))
    assert changes(tmp_path) != before
    composed("train", ["model=mlp"])
    assert by_hydra == 4 * [["model=mlp"]]
