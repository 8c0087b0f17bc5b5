"""What variance components keep: readable records, refusals that say which component."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observatory import fits
from observatory.cli import main as cli
from observatory.core.errors import ConfigError, FitRefusedError


def runs(n_seeds: int = 5, n_splits: int = 4, repeats: int = 2) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    grid = np.meshgrid(range(n_seeds), range(n_splits), range(repeats), indexing="ij")
    seed, split, _ = (axis.ravel() for axis in grid)
    y = 10 + rng.normal(size=n_seeds)[seed] + rng.normal(size=n_splits)[split]
    return pd.DataFrame(
        {"seed": seed, "split": split, "value": y + 0.5 * rng.normal(size=seed.size)}
    )


def test_the_command_prints_a_record_and_draws_it(tmp_path: Path, capsys) -> None:
    runs().rename(columns={"value": "y"}).to_csv(tmp_path / "runs.csv", index=False)
    file = tmp_path / "shares.svg"
    given = ["fit", "variance", str(tmp_path / "runs.csv"), "--value", "y", "--json"]
    assert cli.run([*given, "--group", "split", "--plot", str(file)]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["table"]["share[split]"]["levels"] == 4
    assert set(record["params"]["icc"]) == {"value", "se", "ci_low", "ci_high"}
    assert 'id="share"' in file.read_text()
    assert cli.run([*given, "--n-bootstrap", "9"]) == 2
    assert "`--n-bootstrap` is no option of `observatory fit variance`" in capsys.readouterr().err
    runs(n_splits=2).to_csv(tmp_path / "few.csv", index=False)
    assert cli.run(["fit", "variance", str(tmp_path / "few.csv")]) == 3
    assert "`split` has 2 levels" in capsys.readouterr().err


def test_what_cannot_be_told_apart_is_refused_by_name() -> None:
    frame = runs()
    with pytest.raises(FitRefusedError, match="variances of seed and init cannot be told apart"):
        fits.variance(frame.assign(init=frame["seed"] + 7), group=["seed", "init"])
    nested = runs(n_seeds=6, n_splits=1).assign(split=lambda f: f["seed"])
    with pytest.raises(FitRefusedError, match="singular"):
        fits.variance(nested)
    with pytest.raises(FitRefusedError, match="`numeric` is 0 exactly"):
        fits.variance(
            frame.assign(value=frame.groupby(["seed", "split"])["value"].transform("mean"))
        )
    with pytest.raises(FitRefusedError, match="All values of an arm are equal"):
        fits.variance(frame.assign(value=3.0))
    with pytest.raises(FitRefusedError, match="at most 6 can be"):
        fits.variance(frame, settings={"max_levels": 6})
    with pytest.raises(FitRefusedError, match="`log` needs positive"):
        fits.variance(frame.assign(value=frame["value"] - 50), settings={"log": True})


@pytest.mark.slow
def test_runs_without_repeats_and_components_at_zero_are_told() -> None:
    found = fits.variance(runs(repeats=1))
    assert "seed x split" not in found.to_string()
    assert any("Repeat some runs" in note for note in found.warnings)
    rng = np.random.default_rng(2)
    frame = runs(n_seeds=8, n_splits=8).assign(value=lambda f: rng.normal(size=len(f)))
    found = fits.variance(frame, group=["seed"])
    seeds = found.frame().loc["variance[seed]"]
    assert seeds["value"] == seeds["ci_low"] == 0.0
    assert seeds["ci_high"] > 0.0
    assert any(note.startswith("seed: the estimate lies at its limit 0") for note in found.warnings)


def test_the_unit_and_the_order_of_rows_change_nothing_else() -> None:
    frame = runs()
    tiny = frame.assign(value=frame["value"] * 1e-6).sample(frac=1.0, random_state=1)
    found, other = (fits.variance(rows, group=["seed"]) for rows in (frame, tiny))
    shares = [name for name in found.params.index if not name.startswith("variance")]
    for of in (lambda fit: fit.params, lambda fit: fit.conf_int()):
        assert np.allclose(of(other).loc[shares], of(found).loc[shares], atol=1e-4)


@pytest.mark.slow
def test_values_of_any_size_and_mean_have_the_same_shares() -> None:
    frame = runs()
    numbers = ["value", "ci_low", "ci_high"]
    usual = fits.variance(frame, group=["seed"]).frame()[numbers]
    shares = [name for name in usual.index if not name.startswith("variance")]
    for other in (frame["value"] * 1e-120, frame["value"] + 1e12):
        found = fits.variance(frame.assign(value=other), group=["seed"]).frame()[numbers]
        assert np.allclose(found.loc[shares], usual.loc[shares], atol=1e-3)


def test_scatter_that_no_computer_can_square_or_tell_is_refused_for_what_it_is() -> None:
    frame = runs()
    with pytest.raises(FitRefusedError, match=r"scatter by 7\.9e\+199, whose square is no number"):
        fits.variance(frame.assign(value=frame["value"] * 1e200))
    with pytest.raises(FitRefusedError, match="whose square is no number"):
        fits.variance(frame.assign(value=frame["value"] * 1e-200))
    times = frame.assign(value=10.0 ** frame["value"] * 1e200)
    found = fits.variance(times, group=["seed"], settings={"log": True}).frame()
    assert found.loc["variance[numeric]", "value"] > 0
    with pytest.raises(FitRefusedError, match=r"beside values of 1e\+15, which may"):
        fits.variance(frame.assign(value=frame["value"] + 1e15))


def test_numerics_too_small_to_be_fitted_are_refused_without_a_warning() -> None:
    frame = runs()
    noise = frame["value"] - frame.groupby(["seed", "split"])["value"].transform("mean")
    with pytest.raises(FitRefusedError, match="`numeric`, of what the components leave, is below"):
        fits.variance(frame.assign(value=frame["seed"] + 1e-9 * noise))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"group": ["nope"]}, "`group` names the column 'nope', which is not"),
        ({"value": "seed"}, "one thing only"),
        ({"arm": "z"}, "`arm` names the column 'z'"),
        ({"settings": {"min_levels": 2}}, "`min_levels` must be a whole number of at least 3"),
        ({"level": 1.0}, r"`level` must be in \(0, 1\)"),
        ({"settings": {"nope": 1}}, "is no setting of"),
    ],
)
def test_what_breaks_a_rule_is_refused(changes: dict, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        fits.variance(runs(), **changes)
