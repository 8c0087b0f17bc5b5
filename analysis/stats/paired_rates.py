"""The rates of two groups side by side, paired by seed where that is possible."""

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.stats.estimate import Estimate
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.paired_tests import holm, mcnemar_p
from observatory.analysis.stats.solvers import fisher_p
from observatory.core.errors import FitRefusedError


def compare_rates(
    a: Observations, b: Observations, names: tuple[str, str], level: float
) -> Estimate:
    """Rates of two groups at every weight decay that both have.

    McNemar's exact test where both have the same seeds there, once each, else Fisher's; p-values
    are adjusted by Holm over the weight decays.

    Returns:
        An estimate without parameters; curves `rates.weight_decay`, `rates.a`, `rates.b`,
        `rates.p`, `rates.p_holm`; extras `smallest_p_holm`, `n_paired`.

    Raises:
        FitRefusedError: If the groups share no weight decay.
    """
    shared = np.intersect1d(a.weight_decay, b.weight_decay)
    if not shared.size:
        raise FitRefusedError(
            f"{names[0]} and {names[1]} share no value of {a.control}. Run both at the same ones."
        )
    rows = [
        _compared(*(t.take(t.weight_decay == value) for t in (a, b))) for value in shared.tolist()
    ]
    *shares, p_values, paired = (list(column) for column in zip(*rows, strict=True))
    n_paired, adjusted = sum(paired), holm(np.array(p_values))
    return Estimate(
        fit="rate_comparison",
        estimator="mcnemar" if n_paired == shared.size else "fisher",
        event=a.event,
        horizon_steps=a.horizon_steps,
        horizon_epochs=a.horizon_epochs,
        n=a.n + b.n,
        level=level,
        seed=0,
        warnings=a.horizon_warnings,
        extras={
            "method": "McNemar's exact test on shared seeds, else Fisher's; Holm over the values",
            "numerator": names[0],
            "denominator": names[1],
            "smallest_p_holm": float(adjusted.min()),
            "n_paired": n_paired,
            "control": a.control,
        },
        curves={
            "rates.weight_decay": shared.tolist(),
            "rates.a": shares[0],
            "rates.b": shares[1],
            "rates.p": p_values,
            "rates.p_holm": adjusted.tolist(),
        },
    )


def _compared(a: Observations, b: Observations) -> tuple[float, float, float, bool]:
    """Both rates at one weight decay, the p-value of their difference, whether it is of pairs."""
    hits = [float((t.weights * t.grokked).sum()) for t in (a, b)]
    shares = hits[0] / float(a.weights.sum()), hits[1] / float(b.weights.sum())
    pairs = _pairs(a, b)
    if pairs is not None:
        return *shares, mcnemar_p(int(pairs[0].sum()), int(pairs[1].sum())), True
    table = [[round(h), t.n - round(h)] for h, t in zip(hits, (a, b), strict=True)]
    return *shares, fisher_p(table), False


def _pairs(a: Observations, b: Observations) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """Seeds of which only the first grokked, and only the second; None where not paired."""
    if a.seed is None or b.seed is None or a.weight is not None or b.weight is not None:
        return None
    first, second = np.argsort(a.seed), np.argsort(b.seed)
    seeds = a.seed[first]
    if np.unique(seeds).size < seeds.size or not np.array_equal(seeds, b.seed[second]):
        return None
    one, other = a.grokked[first], b.grokked[second]
    return one & ~other, other & ~one
