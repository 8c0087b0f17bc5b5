"""Limits and power of statistical tests by hand, and that every such test states them."""

import importlib
import inspect
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom, norm

from tests.power import POWER, Mean, Rate, states

FOLDER = Path(__file__).parents[1] / "statistical"
RATES = [
    Rate(200, 0.05, "above"),
    Rate(800, 0.9, "below"),
    Rate(500, 0.95, "both"),
    Rate(60, 0.01, "above", 0.01),
]


@pytest.mark.parametrize("rate", RATES, ids=str)
def test_limits_reject_the_nominal_rate_at_most_alpha(rate: Rate) -> None:
    chance = binom.pmf(np.arange(rate.n + 1), rate.n, rate.nominal)
    accepted = [rate.accepts(count) for count in range(rate.n + 1)]
    rejected = float(chance[np.logical_not(accepted)].sum())
    assert rejected == pytest.approx(rate.rejection(rate.nominal), rel=1e-9)
    assert rejected <= rate.alpha
    for edge in {rate.least, rate.most} - {0, rate.n}:  # one count less would reject too often
        tail = chance[: edge + 1].sum() if edge == rate.least else chance[edge:].sum()
        assert tail > rate.alpha / (2 if rate.wrong == "both" else 1)


@pytest.mark.parametrize("rate", RATES, ids=str)
def test_a_caught_rate_is_rejected_with_probability_four_fifths(rate: Rate) -> None:
    found = rate.caught()
    assert len(found) == (2 if rate.wrong == "both" else 1)
    for wrong in found:
        assert rate.rejection(wrong) == pytest.approx(POWER, abs=1e-6)
        assert (wrong > rate.nominal) == (wrong == found[-1] and rate.wrong != "below")


def test_the_statement_by_hand() -> None:
    """Binomial(5, 0.05): P(K > 2) = 0.00116, P(K > 3) = 0.00003; P(K > 3) = 0.8 at 0.9."""
    few = Rate(5, 0.05, "above")
    assert few.most == 3
    wrong = few.caught()[0]
    assert 5 * wrong**4 * (1 - wrong) + wrong**5 == pytest.approx(0.8)
    assert str(few) == (
        f"n = 5, H0 rate at most 0.05, alpha = 0.001: accepts at most 3, catches {wrong:.3f}"
    )


def test_a_rate_that_accepts_every_count_is_refused() -> None:
    with pytest.raises(ValueError, match="every count is accepted"):
        Rate(2, 0.05, "above", 1e-6)


def test_the_bias_that_a_mean_catches() -> None:
    mean = Mean(400, 0.2, 0.03)
    assert norm.sf((mean.tolerance - mean.caught) / 0.01) == pytest.approx(POWER)
    assert mean.alpha == pytest.approx(0.0027, abs=1e-5)
    assert str(mean) == "n = 400, sd 0.2, alpha = 0.003: accepts a bias of 0.03, catches 0.0384"


def test_a_docstring_with_another_number_is_refused() -> None:
    rate = Rate(200, 0.05, "above")

    def honest() -> None: ...

    def wrong() -> None: ...

    honest.__doc__ = f"H0: so.\n\nSeed 3, {rate}."
    wrong.__doc__ = honest.__doc__.replace("at most 21", "at most 12")
    assert states(rate)(honest) is not None
    with pytest.raises(AssertionError, match="wrong must say: n = 200"):
        states(rate)(wrong)


def test_every_statistical_test_states_its_power() -> None:
    found = 0
    for file in FOLDER.glob("test_*.py"):
        module = importlib.import_module(f"tests.statistical.{file.stem}")
        for name, test in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("test_"):
                marks = {mark.name for mark in getattr(test, "pytestmark", [])}
                assert "statistical" in marks, f"{file.name}: {name} states no `Rate` or `Mean`"
                said = test.__doc__ or ""
                assert "catches" in said or said.startswith("No rate"), f"{file.name}: {name}"
                found += 1
    assert found > 20
