"""Pairs planned from an effect alone: the numbers of statsmodels, and what is refused."""

import json
import math

import pytest
from statsmodels.stats.power import TTestPower

from observatory import fits
from observatory.cli import main as cli
from observatory.core.errors import ConfigError, FitRefusedError


@pytest.mark.parametrize(
    ("effect", "m", "power", "level"),
    [(0.8, 15, 0.8, 0.95), (0.2, 1, 0.9, 0.9), (1.19, 20, 0.8, 0.95), (0.5, 1, 0.8, 0.95)],
)
def test_pairs_are_those_of_statsmodels(effect: float, m: int, power: float, level: float) -> None:
    found = fits.pairs(effect=effect, n_tests=m, power=power, level=level)
    exact = TTestPower().solve_power(effect, power=power, alpha=(1.0 - level) / m)
    n = int(found.record["params"]["n_pairs"]["value"])
    assert n == math.ceil(exact)
    reached = TTestPower().power(effect, n, (1.0 - level) / m)
    assert found.record["extras"]["power"] == pytest.approx(reached, rel=1e-9)


def test_a_difference_with_its_sd_is_an_effect(capsys) -> None:
    command = ["fit", "pairs", "--difference", "100", "--sd", "125", "--n-tests", "15"]
    assert cli.run(command) == 0
    assert capsys.readouterr().out == f"{fits.pairs(effect=0.8, n_tests=15)}\n"
    assert cli.run([*command, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["params"]["n_pairs"]["value"] == 27
    assert record["extras"]["difference"] == 100.0


def test_a_plan_is_never_of_fewer_pairs_than_a_comparison_takes() -> None:
    found = fits.pairs(effect=8.0)
    assert found.params.to_dict() == {"n_pairs": 5.0}
    assert found.warnings == ["3 would do, but a comparison takes 5 at least."]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "both `difference` and `sd` must be given, got none"),
        ({"sd": 1.0}, r"must be given, got \{'sd': 1.0\}"),
        ({"effect": 1.0, "difference": 1.0, "sd": 1.0}, "Either `effect` or both"),
        ({"effect": -1.0}, "`effect` must be a positive number or null, got -1.0. Give its size"),
        ({"difference": 1e308, "sd": 1e-300}, "`sd` is too small"),
        ({"effect": 1.0, "power": 80}, "Give the fraction, not the percentage"),
        ({"effect": 1.0, "power": 0.05}, "`power` must be above 1 - level"),
        ({"effect": 1.0, "n_tests": 0}, "`n_tests`"),
        ({"effect": 1.0, "n_pairs": 3}, "n_pairs"),
    ],
)
def test_what_breaks_a_rule_is_refused(options: dict[str, float], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        fits.pairs(**options)  # pyright: ignore[reportArgumentType]


def test_an_effect_that_no_study_finds_is_refused() -> None:
    with pytest.raises(FitRefusedError, match="More than ten million pairs"):
        fits.pairs(effect=1e-9)
