import numpy as np
import pytest

from observatory.core.errors import ConfigError
from observatory.events.claim import Claim
from observatory.events.interval import Interval


def test_a_claim_is_read_and_written() -> None:
    claim = Claim.parse(" eval/loss <= 1.5e-1  for 3 looks ")
    assert claim == Claim("eval/loss", 0.15, True, 3)
    assert Claim.from_json(claim.to_json()) == claim
    assert Claim.parse("acc >= -2 for 1 look").level == -2


@pytest.mark.parametrize(
    "text", ["", "acc", "acc > 1", "acc >= high", "acc >= nan", "acc >= 1 for 0 looks", "1 >= acc"]
)
def test_what_is_no_claim_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"val_acc >= 0\.99"):
        Claim.parse(text)


def test_a_fall_to_a_level_that_holds_is_located_between_two_looks() -> None:
    claim = Claim.parse("loss <= 1 for 2 looks")
    values = [3.0, 0.9, np.nan, 1.2, 1.0, np.nan, 0.5]
    found = claim.interval([0, 10, 20, 30, 40, 50, 60], values)
    assert found == Interval(30.0, 40.0, observed=True, watched=60)
    never = claim.interval([0, 10], [2.0, 1.0])
    assert never == Interval(None, None, observed=False, watched=10)
