r"""Whether seeds fall into two groups: Hartigan's dip by excess mass, against the uniform.

The dip is half the largest difference of excess masses, $\max_\lambda E_2(\lambda) -
E_1(\lambda)$, where $E_k(\lambda)$ is the most that k intervals can hold of the sample, less
$\lambda$ times their length.
"""

import numpy as np

from observatory.analysis.scaling.estimators.found import Curves, Found
from observatory.analysis.scaling.estimators.sample import Array, Sample
from observatory.analysis.scaling.estimators.verdicts import Link, judge_groups

LEVELS = np.geomspace(0.1, 300.0, 64)
"""Values of lambda tried, times the range of the sample."""


def dip(samples: Array) -> Array:
    """Hartigan's dip of samples of one size, `[sample, value]`: 0 where all values are equal.

    The maximum over lambda is taken on a grid, so the dip is a lower bound of the exact one; the
    null is simulated with the same grid.

    Source:
        Hartigan & Hartigan (1985), Ann. Stat. 13, 70; Müller & Sawitzki (1991), JASA 86, 738:
        the difference of excess masses is twice the dip. Deviation: lambda on a grid; without the
        floor of 1 / (2 n) of the exact dip.
    """
    x = np.sort(samples, axis=-1)
    span = x[:, -1] - x[:, 0]
    gap = np.diff(x, axis=-1) / np.where(span > 0, span, 1.0)[:, None]
    share = 1.0 / x.shape[-1]
    shape = (len(x), LEVELS.size)
    first, one = np.full(shape, share), np.full(shape, share)  # ending here; the best so far
    second, two = np.full(shape, share), np.full(shape, share)
    for step in gap.T:
        cost = step[:, None] * LEVELS
        second = np.maximum(second - cost, one) + share
        first = np.maximum(first - cost, 0.0) + share
        one, two = np.maximum(one, first), np.maximum(two, second)
    return np.where(span > 0, 0.5 * np.maximum(two - one, 0.0).max(axis=-1), 0.0)


def cell_dips(sample: Sample, n_null: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Dip of every cell, and its p-value: how often a uniform sample of as many seeds dips as deep.

    The uniform is the unimodal distribution whose dip is largest in the limit: for others the
    p-value is too large. `n_null` samples are drawn for each number of seeds.
    """
    found, p = np.zeros(sample.pivot.size), np.ones(sample.pivot.size)
    for n in np.unique(sample.n):
        cells = np.flatnonzero(sample.n == n)
        rows = sample.starts[cells][:, None] + np.arange(int(n))
        found[cells] = dip(sample.value[rows])
        null = np.sort(dip(rng.random((n_null, int(n)))))
        above = n_null - np.searchsorted(null, found[cells], side="left")
        p[cells] = (1.0 + above) / (1.0 + n_null)
    return found, p


def two_groups(sample: Sample, p: Array) -> Array:
    """Smallest p-value of each size times its number of cells (Bonferroni), `[size]`."""
    each = [p[sample.cells_of(s)] for s in range(sample.sizes.size)]
    return np.array([min(1.0, float(c.min()) * c.size) for c in each])


def groups_link(
    sample: Sample, n_uniform: int, level: float, rng: np.random.Generator
) -> tuple[Link, Found]:
    """Whether seeds fall into two groups, by the dip of each cell."""
    depth, p = cell_dips(sample, n_uniform, rng)
    by_size = two_groups(sample, p)
    sizes = range(sample.sizes.size)
    fewest = [float(sample.n[sample.cells_of(s)].min()) for s in sizes]
    curves: Curves = {"cell.dip": depth.tolist(), "cell.p_dip": p.tolist()}
    curves["size.p_two_groups"] = by_size.tolist()
    return judge_groups(by_size.tolist(), fewest, level), Found(curves=curves)
