"""A test at the level beside intervals of 95 % is at 0.05: p = 0.05 is not below it."""

import pytest

from observatory.analysis.paired.estimators.family import verdict
from observatory.analysis.stats.solvers import alpha_of


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999])
def test_the_level_of_a_test_is_the_decimal_that_is_read(level: float) -> None:
    assert alpha_of(level) == float(f"{1.0 - level:.6g}")


def test_a_difference_at_p_005_is_undecided() -> None:
    found = {"p_holm": 0.05, "p_equivalent_holm": None}
    assert verdict(found, alpha_of(0.95)) == "undecided"
