"""`observatory formulas`: what is trained, and the test of the best formula, on made outcomes."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observatory import formulas
from observatory.core.errors import ConfigError
from observatory.sweeps.grammar import values_of

GIVEN = [
    *("experiment=formulas_laptop", "study=found", "formulas.budget=6", "formulas.n_random=1"),
    *("formulas.seeds=6", "formulas.operations=[sub]", "sweep.nuisance.seed=[0,1]"),
]


def outcomes(config: dict[str, Any]) -> pd.DataFrame:
    """Networks take the longer, the farther their function is from 1 + sin x; relu never groks."""
    sweep, text = config["sweep"], config["model"]["activation"].removeprefix("formula:")
    rows = [(d, s) for d in sweep["scientific"]["weight_decay"] for s in sweep["nuisance"]["seed"]]
    made = pd.DataFrame(rows, columns=["weight_decay", "seed"])
    values, aim = values_of("relu(x)" if text == "relu" else text), values_of("add(1, sin(x))")
    assert values is not None
    assert aim is not None
    steps = 100 + min(500.0, 100 * float((values - aim).abs().mean())) + made["seed"]
    made["first99_observed"] = text != "relu"
    made["first99_hi"] = steps if text != "relu" else np.nan
    return made


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, list[dict[str, Any]]]:
    """Configurations that are trained, by study, in the order of their folders."""
    found: dict[str, list[dict[str, Any]]] = {"found": []}

    def opened(place: Path) -> SimpleNamespace:
        config = found[place.parent.name][int(place.name)]
        manifest = {"config": config, "horizon_steps": config["horizon_steps"]}
        return SimpleNamespace(manifest=manifest, outcomes=lambda: outcomes(config))

    def train(configs: dict[str, dict[str, Any]], *_: Any) -> list[Path]:
        places: list[Path] = []
        for config in configs.values():
            there = found.setdefault(config["study"], [])
            if config not in there:
                there.append(config)
            places.append(Path(config["study"]) / str(there.index(config)))
        return places

    def compare(overrides: list[str], *_: Any) -> tuple[Path, dict[str, Path]]:
        made = formulas.composed_comparison(overrides).runs
        other = {"fleet": {**made["base"]["fleet"], "shards": 2}}
        train({name: {**config, **other} for name, config in made.items()})  # of another layout
        return tmp_path, dict(zip(made, train(made), strict=True))

    monkeypatch.setattr(formulas, "train_runs", train)
    monkeypatch.setattr(formulas, "run_comparison", compare)
    monkeypatch.setattr(formulas, "described", lambda config, *_: {"task": config["task"]})
    monkeypatch.setattr(formulas, "Run", opened)
    return found


@pytest.mark.slow
def test_the_best_formula_is_tested_elsewhere_with_other_seeds(
    runs: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    found, path = formulas.run_formulas([*GIVEN, f"results={tmp_path}"], None, lambda _: None)
    searched = [run["model"]["activation"] for run in runs["found"]]
    assert len(set(searched)) == 6
    means = [outcomes(run)["first99_hi"].mean() for run in runs["found"]]
    best = searched[int(np.argmin(means))]
    arms = [run for run in runs["found_sub"] if run["fleet"]["shards"] == 1]
    assert {(arm["task"]["operation"], arm["study"]) for arm in arms} == {("sub", "found_sub")}
    assert [arm["compare"]["arm"] for arm in arms] == ["base", "relu", "random_1"]
    assert [arm["model"]["activation"] for arm in arms][:2] == [best, "relu"]
    assert all(arm["sweep"]["nuisance"]["seed"] == [2, 3, 4, 5, 6, 7] for arm in arms)
    table = pd.read_csv(tmp_path / "found" / "transfer.csv")
    assert len(table) == 3 * 6
    relu = table[table["role"] == "relu"]
    assert relu["log10_steps"].tolist() == [3.0] * 6  # never: the horizon
    assert set(relu["share"]) == {0.0}
    (record,) = json.loads(path.read_text())["fits"]
    assert record["extras"]["n_tests"] == 2
    assert record["extras"]["n_random"] == 1
    contrasts = {label: sign for label, sign in found.params.items() if "relu -" in str(label)}
    assert len(contrasts) == 1
    assert all(sign > 0 for sign in contrasts.values())  # relu takes longer than the best


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("formulas.operations=[no_such]", "no_such"),
        ("compare.match=banana", "`match` must be one of"),
        ("compare.lr_factors=[-1]", r"`compare\.lr_factors` must be"),
        ("mlflow.tracking_uri=5", r"`mlflow\.tracking_uri` must be"),
        ("sweep.nuisance.seed=5", r"`sweep\.nuisance\.seed` must list the seeds"),
        ("sweep.extra=[{weight_decay:0.1,seed:4}]", r"`sweep\.extra` .* must be left out"),
        ("model=kan", "`model` must have an `activation`"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_trained(
    runs: dict[str, list[dict[str, Any]]], tmp_path: Path, override: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        formulas.run_formulas([*GIVEN, f"results={tmp_path}", override], None, lambda _: None)
    assert runs == {"found": []}
    assert not (tmp_path / "found").exists()
