"""Tests of paired rates and their adjustment over a registered family, by statsmodels."""
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportAttributeAccessIssue=false

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests


def mcnemar_p(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value of McNemar's test from the numbers of discordant pairs.

    Example:
        >>> mcnemar_p(0, 6)
        0.03125
    """
    return float(mcnemar([[0, only_first], [only_second, 0]], exact=True).pvalue)


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """p-values adjusted by Holm's method over the family that they are.

    Example:
        >>> holm(np.array([0.01, 0.04, 0.03])).round(6).tolist()
        [0.03, 0.06, 0.06]
    """
    return np.asarray(multipletests(p_values, method="holm")[1], dtype=np.float64)
