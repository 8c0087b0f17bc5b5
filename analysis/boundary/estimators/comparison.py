"""Which curve describes the boundary: by AICc, and on replicas that a fit has not seen."""

from dataclasses import dataclass
from typing import final

import numpy as np

from observatory.analysis.boundary.estimators.likelihood import (
    binomial_log_likelihood,
    box,
    fit_many,
    rates,
    step_likelihood,
)
from observatory.analysis.stats.bins import RateBins, bin_rates, require_boundary, require_rise
from observatory.analysis.stats.estimate import Estimate, Plain, about
from observatory.analysis.stats.links import LINKS, Link
from observatory.analysis.stats.observations import Array, Observations
from observatory.core.errors import FitRefusedError

_UNDECIDED = 2.0
"""Difference of AICc below which the weaker of two curves is still a candidate."""


def folds(bins: RateBins, n_folds: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """N and k of every fold, `[fold, bin]`: whole seeds where seeds recur; they add up to all."""
    if bins.n_by is not None and bins.k_by is not None:
        order = rng.permutation(len(bins.n_by)) % min(n_folds, len(bins.n_by))
        member = np.eye(int(order.max()) + 1)[order]
        return member.T @ bins.n_by, member.T @ bins.k_by
    n, k = np.rint(bins.n).astype(np.int64), np.rint(bins.k).astype(np.int64)
    n_left, k_left = n.copy(), k.copy()
    parts: list[tuple[Array, Array]] = []
    for fold in range(n_folds):
        share = n_folds - fold
        take = n_left // share + (rng.random(n.size) < (n_left % share) / share)
        hit = rng.hypergeometric(k_left, n_left - k_left, take)
        parts.append((take.astype(np.float64), hit.astype(np.float64)))
        n_left, k_left = n_left - take, k_left - hit
    return np.stack([part[0] for part in parts]), np.stack([part[1] for part in parts])


@final
@dataclass(frozen=True)
class BoundaryComparison:
    """AICc and cross-validated log score of six curves: three links, lapses held at 0 or fitted.

    The log score is the mean log-probability of the outcome of a replica that the fit has not
    seen. A probability of 0 or 1 is moved by half a replica of its fit, so that one surprise costs
    what such a table can know.
    """

    window_max: float | None  # largest control that enters; None for no end
    n_folds: int  # parts that are left out in turn
    level: float  # of the record

    fit_name = "boundary_comparison"
    estimator = "aicc"

    def fit(self, observations: Observations, seed: int) -> Estimate:
        """Compare the curves on one table; `seed` deals replicas, or seeds, into folds.

        Raises:
            FitRefusedError: If no boundary can lie in the bins, or there are fewer than four.
        """
        data = observations.within(self.window_max)
        bins = bin_rates(data)
        require_boundary(bins)
        require_rise(bins)
        if bins.x.size < 4:
            raise FitRefusedError(
                f"Comparing curves needs at least four {data.control}s, got "
                f"{bins.x.size}. Add some near the boundary."
            )
        out = folds(bins, self.n_folds, np.random.default_rng(seed))
        extras: dict[str, Plain] = {
            "method": "AICc on all replicas; log score on "
            + ("whole seeds" if bins.n_by is not None else "replicas")
            + f" left out in {len(out[0])} folds",
            "window_max": self.window_max,
            "control": data.control,
        }
        scored = {
            link.name + ("" if lapse == 0.0 else "_lapse"): _scored(bins, data.n, link, lapse, *out)
            for link in LINKS.values()
            for lapse in (0.0, None)
        }
        preferred = min(scored, key=lambda name: scored[name][0])
        best = max(scored, key=lambda name: float(scored[name][1].sum()))
        total = float(out[0].sum())
        for name, (aicc, scores) in scored.items():
            behind = scored[best][1] - scores
            spread = float(behind.std(ddof=1)) * len(behind) ** 0.5 if len(behind) > 1 else 0.0
            extras |= {
                f"aicc_{name}": aicc,
                f"log_score_{name}": float(scores.sum()) / total,
                f"log_score_behind_{name}": float(behind.sum()) / total,
                f"log_score_behind_se_{name}": spread / total,
            }
        close = [m for m, (aicc, _) in scored.items() if aicc - scored[preferred][0] < _UNDECIDED]
        extras |= {
            "preferred": preferred,
            "preferred_log_score": best,
            "verdict": preferred if len(close) == 1 else f"cannot tell: {', '.join(close)}",
        }
        return Estimate(
            **about(self, seed),
            **data.about,
            params={},
            warnings=data.horizon_warnings,
            extras=extras,
        )


def _scored(
    bins: RateBins, n_runs: int, link: Link, lapse: float | None, n_out: Array, k_out: Array
) -> tuple[float, Array]:
    """AICc of one curve on all counts, and its log score on each fold that a fit has not seen."""
    low, high = box(bins, 0.0, lapse)
    n_all = np.concatenate([bins.n[None], bins.n - n_out])
    k_all = np.concatenate([bins.k[None], bins.k - k_out])
    theta, value, _ = fit_many(bins.x, n_all, k_all, link, low, high)
    best = max(float(value[0]), float(step_likelihood(k_all, n_all, low, high)[0][0]))
    size = int((low < high).sum())
    few = 2.0 * size * (size + 1.0) / max(n_runs - size - 1.0, 1.0)
    p = rates(bins.x, theta[1:], link)[0]
    edge = 0.5 / (n_all[1:].sum(axis=1, keepdims=True) + 1.0)
    seen = binomial_log_likelihood(k_out, n_out, np.clip(p, edge, 1.0 - edge))
    return 2.0 * size - 2.0 * best + few, seen.sum(axis=1)
