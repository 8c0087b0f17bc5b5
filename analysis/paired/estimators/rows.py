"""Outcomes of arms that share pairs, such as seeds, and the contrasts between them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.stats.solvers import magnitude

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Contrast:
    """Two arms in one condition."""

    arm: str  # name of the second arm
    reference: str  # name of the first one
    condition: str  # where they are compared; empty where there are no conditions
    first: Array  # values of one arm, `[pair]`
    second: Array  # values of the other, in the same order
    all_first: Array  # values of one arm, those without a partner as well, `[row]`
    all_second: Array  # likewise
    rates: bool  # whether every value of the condition is 0 or 1

    def in_unit(self) -> tuple["Contrast", float]:
        """The same with values of about 1, whose squares are numbers, and their unit, exactly."""
        unit = magnitude(np.concatenate([self.all_first, self.all_second]))
        names = ("first", "second", "all_first", "all_second")
        return replace(self, **{name: getattr(self, name) / unit for name in names}), unit

    @property
    def label(self) -> str:
        """Both arms, and the condition."""
        both = f"{self.arm} - {self.reference}"
        return f"{self.condition}: {both}" if self.condition else both

    @property
    def alone(self) -> int:
        """Rows without a partner."""
        return self.all_first.size + self.all_second.size - 2 * self.first.size


@runtime_checkable
class Compared(Protocol):
    """Outcomes, and who is compared with whom."""

    @property
    def value(self) -> Array:
        """All outcomes, `[row]`."""
        ...

    @property
    def arms(self) -> Sequence[str]:
        """Names of what is compared."""
        ...

    @property
    def outcome(self) -> str:
        """Name of the value."""
        ...

    @property
    def n_tests(self) -> int:
        """Comparisons of the family, those of other tables included."""
        ...

    def contrasts(self) -> Sequence[Contrast]:
        """Every comparison of this table."""
        ...


@dataclass(frozen=True)
class KnownContrasts:
    """Contrasts whose pairs are known, such as those of arms and the replicas they parted from."""

    known: Sequence[Contrast]
    outcome: str  # name of the value
    n_tests: int  # comparisons of the family, those of other outcomes included

    @property
    def value(self) -> Array:
        """All outcomes, `[row]`."""
        ends = [end for c in self.known for end in (c.first, c.second)]
        return np.concatenate([np.zeros(0), *ends])

    @property
    def arms(self) -> Sequence[str]:
        """Names of what is compared."""
        return list(dict.fromkeys(name for c in self.known for name in (c.reference, c.arm)))

    def contrasts(self) -> Sequence[Contrast]:
        """Every comparison of this outcome."""
        return self.known


@dataclass(frozen=True)
class PairedRows:
    """Values by arm and pair."""

    value: Array  # outcomes, `[row]`
    arm: NDArray[np.int64]  # index in `arms`, `[row]`
    # what the arms share, such as a seed, `[row]`; once per arm and condition
    pair: NDArray[np.int64]
    condition: NDArray[np.int64]  # index in `conditions`, `[row]`
    arms: Sequence[str]  # their names; each is compared with the ones before it
    # their names, such as weight decays or outcomes; one of no name: all as one
    conditions: Sequence[str]
    outcome: str  # name of the value
    against_first: bool  # whether arms are compared with the first one only

    @property
    def n_tests(self) -> int:
        """Comparisons of the family, which is the table's."""
        return len(self.contrasts())

    def contrasts(self) -> list[Contrast]:
        """Every two arms in each condition, or each arm with the first."""
        found: list[Contrast] = []
        for index, condition in enumerate(self.conditions):
            here = self.condition == index
            rates = bool(np.isin(self.value[here], (0.0, 1.0)).all())
            for a, b in combinations(range(len(self.arms)), 2):
                if self.against_first and a:
                    continue
                one, other = (np.flatnonzero(here & (self.arm == arm)) for arm in (a, b))
                _, i, j = np.intersect1d(self.pair[one], self.pair[other], return_indices=True)
                names = (self.arms[b], self.arms[a], condition)
                every = (self.value[one], self.value[other])
                found.append(Contrast(*names, every[0][i], every[1][j], *every, rates))
        return found
