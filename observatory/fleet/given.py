"""With what every replica of a fleet is trained: its own rates, or those of its arm."""

from dataclasses import dataclass
from typing import final

import numpy as np

from observatory.fleet.replica_table import ReplicaTable
from observatory.interventions.contract import Given


@final
@dataclass
class GivenRows:
    """As of `Given`, an entry per row of a replica table.

    Attributes:
        lr: Learning rates.
        weight_decay: Rates of decay.
        logit_scale: By which logits are multiplied; None: nobody's are.
    """

    lr: np.ndarray
    weight_decay: np.ndarray
    logit_scale: np.ndarray | None = None

    @staticmethod
    def of(table: ReplicaTable) -> "GivenRows":
        """Everyone's own."""
        return GivenRows(table.lr.copy(), table.weight_decay.copy())

    def row(self, row: int) -> Given:
        """Those of one row."""
        scale = 1.0 if self.logit_scale is None else float(self.logit_scale[row])
        return Given(float(self.lr[row]), float(self.weight_decay[row]), scale)

    def change(self, row: int, given: Given) -> None:
        """One row has others."""
        self.lr[row], self.weight_decay[row] = given.lr, given.weight_decay
        if self.logit_scale is None and given.logit_scale != 1.0:
            self.logit_scale = np.ones(len(self.lr))
        if self.logit_scale is not None:
            self.logit_scale[row] = given.logit_scale
