"""Both edges of the window in which replicas grok: memorisation below, collapse above."""

from dataclasses import dataclass
from typing import final

import numpy as np

from observatory.analysis.boundary.estimators.checks import boundary_warnings
from observatory.analysis.boundary.estimators.likelihood import (
    binomial,
    binomial_log_likelihood,
    box,
    fit_many,
    penalised,
    rates,
    step_likelihood,
)
from observatory.analysis.boundary.estimators.profile import (
    WINDOW_NAMES,
    Fitted,
    LikelihoodFit,
    Maximum,
    profiled,
)
from observatory.analysis.stats.ascent import Array, best_of, climb
from observatory.analysis.stats.bins import RateBins
from observatory.analysis.stats.estimate import Plain
from observatory.analysis.stats.links import Link, link_named
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.solvers import alpha_of
from observatory.core.errors import FitRefusedError

_N_STARTS = 4
"""Pairs of gaps from which each set of counts is climbed: the best of all pairs."""


def _window_value(bins: RateBins, k: Array, link: Link, lapse: float | None) -> Array:
    """The greatest log-likelihood of two edges, for many counts, `[row, bin]`, of the same bins."""
    x, n = bins.x, bins.n
    low, high = box(bins, 0.0, lapse, two_edges=True)
    gaps = np.concatenate([[x[0] - 0.3], 0.5 * (x[1:] + x[:-1]), [x[-1] + 0.3]])
    left, right = np.triu_indices(gaps.size, 1)
    steep = np.full(left.size, np.log(10.0))
    shares = np.zeros(left.size), np.full(left.size, 0.02)
    pairs = np.clip(np.stack([gaps[left], steep, *shares, gaps[right], steep], 1), low, high)
    p, q, _ = rates(x, pairs, link)
    fits = k @ np.log(p).T + (n - k) @ np.log(q).T
    begin = pairs[np.argsort(-fits, axis=1)[:, :_N_STARTS]].reshape(-1, 6)
    n_each, k_each = np.tile(n, (len(begin), 1)), np.repeat(k, _N_STARTS, axis=0)
    return best_of(*climb(binomial(x, n_each, k_each, link), begin, low, high, 1e-7), _N_STARTS)[1]


def _edge_value(bins: RateBins, k: Array, link: Link) -> tuple[Array, Array]:
    """The greatest log-likelihood of one edge, rising or falling, and the rates of the first row.

    Its lapse rate is fitted: a few replicas that fail anywhere are no second edge.
    """
    low, high = box(bins, 0.0, None)
    n = np.tile(bins.n, (len(k), 1))
    values: list[Array] = []
    curves: list[Array] = []
    for sign in (1, -1):
        x = np.sort(sign * bins.x)
        ends = low.copy(), high.copy()
        ends[0][0], ends[1][0] = x[0] - 10.0, x[-1] + 10.0
        turned = k[:, ::sign], n[:, ::sign]
        theta, value, _ = fit_many(x, turned[1], turned[0], link, *ends)
        values.append(np.maximum(value, step_likelihood(*turned, *ends)[0]))
        curves.append(rates(x, theta[:1], link)[0][0][::sign])
    table = np.stack(values)
    return table.max(axis=0), curves[int(np.argmax(table[:, 0]))]


def second_edge_p(
    bins: RateBins, link: Link, lapse: float | None, n_simulations: int, rng: np.random.Generator
) -> float:
    """How often counts of the best single edge favour two edges as much as these do.

    The reference of the likelihood ratio is simulated and refitted, since both edges are chosen
    from the data: chi-square would call one odd bin a second edge.
    """
    _, single = _edge_value(bins, bins.k[None], link)
    n = np.rint(bins.n)
    drawn = rng.binomial(n.astype(np.int64), single, size=(n_simulations, n.size)) * (bins.n / n)
    k = np.concatenate([bins.k[None], drawn])
    ratio = _window_value(bins, k, link, lapse) - _edge_value(bins, k, link)[0]
    return (1.0 + float((ratio[1:] >= ratio[0] - 1e-6).sum())) / (1.0 + n_simulations)


def require_window(bins: RateBins) -> None:
    """Refuse fewer than four bins, and rates as high at an end as anywhere."""
    if bins.x.size < 4:
        raise FitRefusedError(
            f"A window needs at least four {bins.control}s, got {bins.x.size}. Add some "
            "on both sides of both edges."
        )
    if bins.rate[-1] >= bins.rate.max() or bins.rate[0] >= bins.rate.max():
        end = "largest" if bins.rate[-1] >= bins.rate.max() else "smallest"
        raise FitRefusedError(
            f"The rate is highest at the {end} {bins.control} tried: that edge of the window lies "
            "beyond it. Add some there."
        )


def _window_starts(bins: RateBins, low: Array, high: Array) -> Array:
    """A pair of edges for every pair of gaps that a fit may start from, `[start, 6]`."""
    peak = int(np.argmax(bins.rate))
    half = bins.rate.max() / 2.0
    left = int(np.flatnonzero(bins.rate[: peak + 1] >= half)[0])
    right = peak + int(np.flatnonzero(bins.rate[peak:] >= half)[-1])
    edges = (
        0.5 * (bins.x[max(left - 1, 0)] + bins.x[left]),
        0.5 * (bins.x[right] + bins.x[min(right + 1, bins.x.size - 1)]),
    )
    slopes = np.log(np.array([4.0, 12.0, 30.0]))
    made = [
        [edges[0], rise, 0.0, lapse, edges[1], fall]
        for rise in slopes
        for fall in slopes
        for lapse in (0.01, 0.1)
    ]
    return np.clip(np.array(made), low, high)


@final
@dataclass(kw_only=True)
class BoundaryWindow(LikelihoodFit):
    """Critical weight decay and slope of both edges, and the rate of lapsing between them.

    P = (1 - lapse) R D with R the rise at the lower edge and D the fall at the upper one, each a
    logistic in log10 of the weight decay. Jeffreys' prior bounds a slope that the counts do not:
    an edge is often a clean step between two neighbouring weight decays. Intervals are those of the
    profile of the penalised likelihood.
    """

    link: str  # the shape of the edges
    lapse: float | None  # the lapse rate; None to fit it
    n_simulations: int  # sets of counts that judge the second edge

    def __post_init__(self) -> None:
        self.estimator, self.edge, self._link = "window", "both", link_named(self.link)

    def fitted(self, data: Observations, bins: RateBins, seed: int) -> Fitted:
        """Refuses where there is no window, or two edges cannot be distinguished from one."""
        require_window(bins)
        link = self._link
        low, high = box(bins, 0.0, self.lapse, two_edges=True)
        evaluate = penalised(bins.x, bins.n[None], bins.k[None], link, low < high)
        begin = _window_starts(bins, low, high)
        found = Maximum.climbed(evaluate, WINDOW_NAMES, begin, low, high)
        p = rates(bins.x, found.theta[None], link)[0][0]
        plain = float(binomial_log_likelihood(bins.k, bins.n, p).sum())
        rng = np.random.default_rng(seed)
        p_one_edge = second_edge_p(bins, link, self.lapse, self.n_simulations, rng)
        if p_one_edge > alpha_of(self.level):
            raise FitRefusedError(
                "A second edge cannot be distinguished from one edge alone (likelihood ratio, "
                f"simulated, p = {p_one_edge:.2g}). Add replicas beyond the edges."
            )
        params = profiled(found, bins.x, self.level)
        warnings = boundary_warnings(data, bins, params, None, only_rises=False)
        if params["critical_upper"].value <= params["critical"].value:
            warnings.append("The edges cross: there is no window at this horizon.")
        extras: dict[str, Plain] = {
            "method": f"product of two {link.name} edges in log10({data.control}) with Jeffreys' "
            "prior; profile of the penalised likelihood",
            "link": link.name,
            "log_likelihood": plain,
            "penalised_log_likelihood": found.value,
            "p_one_edge": p_one_edge,
            "width_decades": float(found.theta[4] - found.theta[0]),
            "guess": 0.0,
            "window_max": self.window_max,
            **found.held_shares,
        }
        return found, params, warnings, extras
