"""What a statistical test accepts, and which wrong rate or mean it catches with probability 0.8.

A test declares its `Rate` or `Mean` once: its limits come from there, and `states` marks the test
as statistical and checks that its docstring says the numbers.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import pytest
from scipy.optimize import brentq
from scipy.stats import binom, norm

POWER = 0.8
"""The probability with which a rate or mean counts as caught."""

ALPHA = 1e-3
"""How often a test may reject what is true, over all draws of its one seed."""

Test = TypeVar("Test", bound=Callable[..., None])


@dataclass(frozen=True)
class Rate:
    """A count of n independent cases, binomial with the nominal rate where H0 holds.

    Attributes:
        n: Cases.
        nominal: The rate under H0, or the worst rate that H0 allows.
        wrong: Which rates are errors: "above" the nominal one, "below" it, or on "both" sides.
        alpha: Probability of rejecting the nominal rate, of both sides together.
    """

    n: int
    nominal: float
    wrong: Literal["above", "below", "both"]
    alpha: float = ALPHA

    def __post_init__(self) -> None:
        """Raise `ValueError` where the limits reject no count at all: such a test cannot fail."""
        if self.least == 0 and self.most == self.n:
            raise ValueError(f"n = {self.n} is too small: every count is accepted.")

    @property
    def _tail(self) -> float:
        return self.alpha / 2 if self.wrong == "both" else self.alpha

    @property
    def least(self) -> int:
        """The smallest count that is accepted."""
        return 0 if self.wrong == "above" else int(binom.ppf(self._tail, self.n, self.nominal))

    @property
    def most(self) -> int:
        """The largest count that is accepted."""
        if self.wrong == "below":
            return self.n
        return int(binom.isf(self._tail, self.n, self.nominal))

    def accepts(self, count: int) -> bool:
        """Whether the count lies within the limits."""
        return self.least <= count <= self.most

    def rejection(self, rate: float) -> float:
        """The probability that a count of this true rate is rejected."""
        below = binom.cdf(self.least - 1, self.n, rate)
        return float(below + binom.sf(self.most, self.n, rate))

    def caught(self) -> list[float]:
        """The rates nearest to the nominal one that are rejected with probability 0.8, rising.

        Below and above, as far as there are any.
        """
        found = list[float]()
        for far in (0.0, 1.0):
            if self.rejection(far) >= POWER:
                found.append(brentq(lambda rate: self.rejection(rate) - POWER, self.nominal, far))
        return found

    def __str__(self) -> str:
        limit = {"above": "at most ", "below": "at least ", "both": ""}[self.wrong]
        counts = {
            "above": f"at most {self.most}",
            "below": f"at least {self.least}",
            "both": f"{self.least} to {self.most}",
        }[self.wrong]
        caught = " and ".join(f"{rate:.3f}" for rate in self.caught())
        return (
            f"n = {self.n}, H0 rate {limit}{self.nominal:g}, alpha = {self.alpha:.2g}: "
            f"accepts {counts}, catches {caught}"
        )


@dataclass(frozen=True)
class Mean:
    """A mean of n independent values that H0 puts within a tolerance of a number.

    Attributes:
        n: Values.
        sd: Standard deviation of one.
        tolerance: Largest distance of the mean that is accepted.
    """

    n: int
    sd: float
    tolerance: float

    @property
    def alpha(self) -> float:
        """Probability of rejecting a mean that is right, both sides."""
        return float(2 * norm.sf(self.tolerance / self._se))

    @property
    def caught(self) -> float:
        """The bias that is rejected with probability 0.8."""
        return self.tolerance + float(norm.ppf(POWER)) * self._se

    @property
    def _se(self) -> float:
        return self.sd / math.sqrt(self.n)

    def __str__(self) -> str:
        return (
            f"n = {self.n}, sd {self.sd:g}, alpha = {self.alpha:.1g}: "
            f"accepts a bias of {self.tolerance:g}, catches {self.caught:.3g}"
        )


def states(*rules: Rate | Mean) -> Callable[[Test], Test]:
    """Mark a test as statistical whose docstring says every rule, word by word.

    Raises:
        AssertionError: If the docstring lacks a rule or its seed; the message is what to write.
    """

    def decorate(test: Test) -> Test:
        said = " ".join((test.__doc__ or "").split())
        for rule in rules:
            assert str(rule) in said, f"{test.__name__} must say: {rule}"
        assert "seed" in said.lower(), f"{test.__name__} must say its seed"
        return pytest.mark.statistical(test)

    return decorate
