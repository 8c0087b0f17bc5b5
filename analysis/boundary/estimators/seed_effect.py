"""The boundary where seeds differ: a critical point per seed, normal around the common one.

Letters as in `likelihood`, and u a standard normal number per seed: the critical point of a seed is
x0 + spread u, in decades; theta = (x0, log slope, guess, lapse, spread).
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.boundary.estimators.checks import boundary_warnings, require_fit
from observatory.analysis.boundary.estimators.likelihood import (
    GUESS,
    LAPSE,
    LOG_SLOPE,
    X0,
    box,
    rates,
)
from observatory.analysis.boundary.estimators.profile import (
    NAMES,
    Fitted,
    LikelihoodFit,
    Maximum,
    profiled,
)
from observatory.analysis.stats.ascent import Array, Evaluate
from observatory.analysis.stats.bins import RateBins, distinct_rows
from observatory.analysis.stats.estimate import Plain
from observatory.analysis.stats.links import Link, link_named
from observatory.analysis.stats.observations import Observations
from observatory.core.errors import FitRefusedError

_SPREAD = 4
_REACH = 6.0
"""How far the rule over u reaches, in standard deviations."""
N_NODES, _MOST_NODES = 61, 401
"""Points of that rule: at least, and where every seed has a sharp edge at most."""
SMALLEST = 2e-3
"""Smallest spread looked at, in decades: no table of runs can tell it from none."""
_MANY_SEEDS = 50
"""Seeds above which those with the same counts are worked on once."""
_STEEPEST = 10.0
"""Largest slope looked at, in logits between the two closest weight decays."""


def nodes_for(theta: Array) -> int:
    """Points that resolve a seed's edge: two per width of it, in standard deviations of u."""
    steepness = float(np.exp(theta[1]) * theta[_SPREAD])
    return int(np.clip(np.ceil(4.0 * _REACH * steepness), N_NODES, _MOST_NODES))


def _normal_rule(n_nodes: int) -> tuple[Array, Array]:
    """Evenly spaced u, and their weights, which sum to 1."""
    nodes = np.linspace(-_REACH, _REACH, n_nodes)
    weights = np.exp(-0.5 * nodes**2)
    return nodes, weights / weights.sum()


def seed_likelihood(
    x: Array, n_by: Array, k_by: Array, link: Link, n_nodes: int, *, shares: bool = True
) -> Evaluate:
    """The likelihood of counts `[seed, bin]`, u integrated out.

    The integral is a sum over evenly spaced u with normal weights: exact to many digits as long as
    no seed's edge is sharper than the spacing. The metric is the scores' outer product. Where guess
    and lapse are held, `shares` need not be derived by.
    """
    nodes, weights = _normal_rule(n_nodes)
    log_weights = np.log(weights)
    copies = np.ones(len(n_by))
    if len(n_by) > _MANY_SEEDS:
        first, back = distinct_rows(np.concatenate([n_by, k_by], axis=1))
        n_by, k_by, copies = n_by[first], k_by[first], np.bincount(back).astype(np.float64)
    missed = n_by - k_by

    def evaluate(theta: Array, rows: NDArray[np.int64]) -> tuple[Array, Array, Array]:
        shape = (len(theta), n_nodes, x.size)
        every = np.repeat(theta[:, :4], n_nodes, axis=0)
        shift = (theta[:, _SPREAD, None] * nodes).reshape(-1, 1)
        p, q, slopes = rates(x, every, link, shift)
        log_p, log_q = (np.log(s).reshape(shape) for s in (p, q))
        joint = log_p @ k_by.T + log_q @ missed.T + log_weights[:, None]  # [row, node, seed]
        top = joint.max(axis=1, keepdims=True)
        share = np.exp(joint - top)
        total = share.sum(axis=1, keepdims=True)
        value = ((top + np.log(total)) * copies).sum(axis=(1, 2))
        share /= total
        each = np.zeros((len(theta), 5, len(n_by)))
        for i in (X0, LOG_SLOPE, GUESS, LAPSE) if shares else (X0, LOG_SLOPE):
            score = (slopes[:, i] / p).reshape(shape) @ k_by.T
            score -= (slopes[:, i] / q).reshape(shape) @ missed.T  # [row, node, seed]
            score *= share
            each[:, i] = score.sum(axis=1)
            if i == X0:
                each[:, _SPREAD] = nodes @ score
        root = each * np.sqrt(copies)
        return value, (each * copies).sum(axis=2), root @ root.swapaxes(1, 2)

    return evaluate


@final
@dataclass(kw_only=True)
class BoundarySeedEffect(LikelihoodFit):
    """Critical weight decay, slope and the spread of the critical point over seeds, in decades.

    Replicas of one seed share their initial weights and their data, so their outcomes at different
    weight decays may go together: an interval that takes them as independent is then too narrow.
    The slope is that of one seed; the rate over seeds rises less steeply. The spread is integrated
    out by a sum over it. Profile-likelihood intervals, with the quantile of F(1, seeds - 1)
    in place of chi-square: the spread is estimated from as many numbers as there are seeds.
    """

    link: str  # the shape of the rise
    lapse: float | None  # the lapse rate; None to fit it

    def __post_init__(self) -> None:
        self.estimator, self.edge, self._link = "seed_effect", "lower", link_named(self.link)

    def rate_at(self, found: Maximum, x: Array) -> Array:
        """The rate over all seeds, which rises less steeply than that of one."""
        nodes, weights = _normal_rule(nodes_for(found.theta))
        shift = (found.theta[_SPREAD] * nodes)[:, None]
        every = np.tile(found.theta[:4], (nodes.size, 1))
        return weights @ rates(x, every, self._link, shift)[0]

    def fitted(self, data: Observations, bins: RateBins, seed: int) -> Fitted:
        """Refuses where fewer than five seeds recur over weight decays, or as `require_fit`."""
        link = self._link
        recurring = 0 if bins.n_by is None else int(((bins.n_by > 0).sum(axis=1) > 1).sum())
        if bins.n_by is None or bins.k_by is None or recurring < 5:
            raise FitRefusedError(
                "A seed effect needs at least five seeds that were run at several "
                f"{data.control}s, got {recurring}. Name the column of the seeds, or add seeds."
            )
        low, high = box(bins, 0.0, self.lapse)
        plain, value = require_fit(bins, link, low, high, self.level)
        low, high = np.append(low, SMALLEST), np.append(high, float(np.ptp(bins.x)))
        width = np.exp(-plain[1])
        begin = np.array([np.append(plain, width * share) for share in (0.1, 1.0, 3.0)])
        begin[1:, 1] += np.log([1.3, 2.0])
        # Steeper than this, a seed's edge lies between two weight decays and shows no width.
        high[1] = min(high[1], float(np.log(_STEEPEST / np.diff(bins.x).min())))
        n_nodes = N_NODES
        while True:
            evaluate = seed_likelihood(
                bins.x, bins.n_by, bins.k_by, link, n_nodes, shares=bool((low < high)[2:4].any())
            )
            found = Maximum.climbed(evaluate, (*NAMES, "seed_spread"), begin, low, high)
            if n_nodes >= nodes_for(found.theta):
                break
            n_nodes, begin = nodes_for(found.theta), np.vstack([begin, found.theta])
        params = profiled(found, bins.x, self.level, len(bins.n_by) - 1)
        ratio, p_value = found.gain_over(value)
        extras: dict[str, Plain] = {
            "method": f"binomial likelihood of the {link.name} curve in log10({data.control}) with "
            "a normal critical point per seed; profile likelihood with F quantiles",
            "link": link.name,
            "n_seeds": len(bins.n_by),
            "log_likelihood": found.value,
            "aic": found.aic,
            "lr_no_seed_effect": ratio,
            "p_no_seed_effect": p_value,
            "window_max": self.window_max,
            **found.held_shares,
        }
        warnings = boundary_warnings(data, bins, params, None, assumes_like_seeds=False)
        if found.theta[1] >= high[1] - 1e-6:
            warnings.append(
                f"The edge of one seed is sharper than the {data.control}s are close: its slope is "
                "a lower bound. Add some in between."
            )
        if found.theta[_SPREAD] <= SMALLEST:
            warnings.append("No spread over seeds was found: the fit equals the one without it.")
        return found, params, warnings, extras
