"""Outcomes of arms that share pairs, such as seeds, and the contrasts between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PairedRows:
    """Values by arm and pair.

    Attributes:
        value: Outcomes, `[row]`.
        arm: Index in `arms`, `[row]`.
        pair: What the arms share, such as a seed, `[row]`; once per arm and condition.
        condition: Index in `conditions`, `[row]`.
        arms: Their names; each is compared with the ones before it.
        conditions: Their names, such as weight decays or outcomes; one of no name: all as one.
        outcome: Name of the value.
        against_first: Whether arms are compared with the first one only.
    """

    value: Array
    arm: NDArray[np.int64]
    pair: NDArray[np.int64]
    condition: NDArray[np.int64]
    arms: Sequence[str]
    conditions: Sequence[str]
    outcome: str
    against_first: bool

    def contrasts(self) -> list[tuple[str, Array, Array, int]]:
        """Label, values of both arms `[pair]`, and rows without a partner, of each contrast."""
        found: list[tuple[str, Array, Array, int]] = []
        for index, condition in enumerate(self.conditions):
            for a, b in combinations(range(len(self.arms)), 2):
                if self.against_first and a:
                    continue
                one, other = (
                    np.flatnonzero((self.condition == index) & (self.arm == arm)) for arm in (a, b)
                )
                shared, i, j = np.intersect1d(self.pair[one], self.pair[other], return_indices=True)
                label = f"{self.arms[b]} - {self.arms[a]}"
                label = f"{condition}: {label}" if condition else label
                alone = one.size + other.size - 2 * shared.size
                found.append((label, self.value[one[i]], self.value[other[j]], alone))
        return found
