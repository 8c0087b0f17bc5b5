"""The runs of a comparison: what an arm changes, sizes that match, and the check of rates."""

import pandas as pd
import pytest

from observatory.analysis.boundary.learning_rates import _remark
from observatory.core.errors import ConfigError
from observatory.launch.compare import Comparison, comparison, n_inner
from observatory.launch.layout import resolved
from observatory.store.identity import identity
from observatory.training.build import build, network_of
from observatory.training.replicas import Config

SMOKE = ("experiment=smoke", "study=made")


def parameters(config: Config) -> int:
    return n_inner(network_of(config))


def compared(*overrides: str) -> Comparison:
    return comparison([*SMOKE, *overrides], {"parameters": parameters})


def test_an_arm_differs_from_the_base_in_its_settings_alone() -> None:
    found = compared("arms.gelu={model.activation: gelu}", "arms.mul={task: mul}")
    assert list(found.runs) == ["base", "gelu", "mul"]
    base, gelu = found.runs["base"], found.runs["gelu"]
    assert gelu == {
        **base,
        "model": {**base["model"], "activation": "gelu"},
        "compare": gelu["compare"],
    }
    assert gelu["compare"]["arm"] == "gelu"
    assert gelu["compare"]["about"].startswith("model.activation = gelu, ")
    assert found.runs["mul"]["task"]["operation"] == "mul"
    assert {run["study"] for run in found.runs.values()} == {"made"}


def test_the_name_of_an_arm_is_no_setting_of_its_run() -> None:
    found = compared("arms.a={model.activation: gelu}")
    config = found.runs["a"]
    other = {**config, "compare": {**config["compare"], "arm": "b"}}
    assert identity(config) == identity(other)


def test_models_are_as_large_as_the_base() -> None:
    found = compared("arms.mlp={model: mlp}", "match=parameters")
    sizes = {name: parameters(run) for name, run in found.runs.items()}
    width = found.runs["mlp"]["model"]["d_mlp"]
    others = [
        parameters({**found.runs["mlp"], "model": {**found.runs["mlp"]["model"], "d_mlp": n}})
        for n in (width - 1, width + 1)
    ]
    off = abs(sizes["mlp"] - sizes["base"])
    assert off <= min(abs(n - sizes["base"]) for n in others)  # no width comes nearer
    said = (
        f"mlp: model = mlp, {sizes['mlp']} parameters outside embedding and readout, with "
        f"model.d_mlp = {width}."
    )
    assert said in found.notes


def test_what_is_not_comparable_is_named() -> None:
    found = compared("arms.wide={model.d_mlp: 512}")
    assert any(note.startswith("wide: ") and "Not comparable: " in note for note in found.notes)


def test_values_are_quoted_where_they_must_be() -> None:
    found = compared('arms.x_cos={model.activation: "formula:x*cos(x)"}')
    assert found.runs["x_cos"]["model"]["activation"] == "formula:x*cos(x)"


@pytest.mark.slow
def test_every_arm_of_the_atlas_is_as_large_as_the_base() -> None:
    found = comparison(["experiment=atlas"], {"parameters": parameters})
    off = [note.partition(":")[0] for note in found.notes if "Not comparable" in note]
    assert off == ["kan_one_layer"]  # all of it is readout
    for run in found.runs.values():
        build(resolved(run))


@pytest.mark.parametrize("experiment", ["kan_arms", "kan_arms_mul"])
def test_the_perceptrons_beside_a_kan_are_matched(experiment: str) -> None:
    """Parameters outside embedding and readout; operations as arXiv:2407.16674 counts them."""
    found = comparison([f"experiment={experiment}"], {"parameters": parameters})
    sizes = {name: parameters(run) for name, run in found.runs.items()}
    assert sizes["base"] == 32 * 9 * 16
    for name in ("mlp_parameters", "mlp_spline"):
        assert abs(sizes[name] / sizes["base"] - 1) < 0.01
    off = [note.partition(":")[0] for note in found.notes if "Not comparable" in note]
    assert off == ["mlp_operations"]  # in parameters
    edges, p, width = 32 * 16 + 16 * 31, 31, found.runs["mlp_operations"]["model"]["d_mlp"]
    of_an_edge = 9 * 3 * (5 + 1.5 * 3) + 2 * 5 - 2.5 * 3 + 1
    of_the_kan = edges * (of_an_edge + 2) + 5 * (32 + 16)
    assert abs((2 * (32 + p) + 1) * width / of_the_kan - 1) < 0.01
    assert {run["task"]["operation"] for run in found.runs.values()} == {
        "mul" if experiment.endswith("mul") else "add"
    }


def test_what_an_arm_changes_beside_its_settings_is_said() -> None:
    found = compared("arms.long={horizon_steps: 800}", "arms.sgd={optimizer: sgd}")
    about = {name: run["compare"]["about"] for name, run in found.runs.items()}
    assert "Another horizon_steps than the base's." in about["long"]
    assert "experiment=smoke sets optimizer.lr=0.01, where optimizer=sgd has" in about["sgd"]


def test_widths_go_in_steps_that_can_be_built() -> None:
    found = compared('arms.evo={model.activation: "evonorm_s0:4"}', "match=parameters")
    assert found.runs["evo"]["model"]["d_mlp"] % 4 == 0


def test_another_decay_is_named() -> None:
    found = compared("arms.sgd={optimizer: sgd}", "arms.some={optimizer.decay: matrices}")
    about = {name: run["compare"]["about"] for name, run in found.runs.items()}
    assert "another quantity" in about["sgd"]
    assert about["some"].endswith("What decays: matrices, in the base all.")
    assert "decay" not in about["base"]


def test_rates_are_checked_at_the_same_pace() -> None:
    found = compared("arms.gelu={model.activation: gelu}", "compare.lr_factors=[0.5]")
    assert list(found.rates) == [(arm, f) for arm in ("base", "gelu") for f in (0.5, 1.0)]
    base = found.runs["base"]
    decays = base["sweep"]["scientific"]["weight_decay"]
    for (_, factor), run in found.rates.items():
        assert run["study"] == "made_lr"
        assert run["optimizer"]["lr"] == base["optimizer"]["lr"] * factor
        for decay in run["sweep"]["scientific"]["weight_decay"]:
            assert any(decay * factor == pytest.approx(own) for own in decays if own > 0)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ((), "`compare` must be given an arm"),
        (("arms.base={task: mul}",), "must have another name"),
        (("arms.a={model.activashun: gelu}",), "Arm `a`: .*activashun"),
        (("arms.a={task: 'mul,add'}",), "Arm `a`|must be one run"),
        (("arms.a={task: mul}", "match=height"), "`match` must be one of"),
        (("arms.a={model: mlp}", "match=parameters", "compare.setting=depth"), "`compare.setting`"),
        (("arms.a={task: mul}", "compare.lr_seeds=0"), "`compare.lr_seeds`"),
        (("arms.a={task: mul}", "compare.lr_factors=[0]"), "`compare.lr_factors`"),
        (("arms.a={study: other}",), "must not change `study`"),
        (("arms.a={model.activation: relu}",), "`arms.a` must differ from `base`"),
        (("arms.a={model.d_mlp: 512}", "match=parameters"), "once it is as large"),
        (("arms.a={task: mul}", "compare.lr_seed=1"), "lr_seed"),
    ],
)
def test_bad_comparisons_are_refused(overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compared(*overrides)


def rows(of_own: int, of_other: int) -> pd.DataFrame:
    seen = [n > i for n in (of_own, of_other) for i in range(9)]
    return pd.DataFrame(
        {
            "lr": [0.01] * 9 + [0.03] * 9,
            "weight_decay": [0.3] * 9 + [0.1] * 9,
            "of_arm": [True] * 9 + [False] * 9,
            "first99_hi": [500.0 if each else float("nan") for each in seen],
        }
    )


def test_a_better_rate_is_named_and_chance_is_not() -> None:
    said = _remark("kan", rows(2, 9), "first99", 0.95)
    assert said.startswith(
        "kan: 2 of 9 at lr 0.01, 9 of 9 at lr 0.03 (median lr x weight decay x t"
    )
    assert "More networks have the event at 0.03" in said
    assert "No other has" in _remark("kan", rows(7, 9), "first99", 0.95)
    assert "No other has" in _remark("kan", rows(9, 2), "first99", 0.95)
