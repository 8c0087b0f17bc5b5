"""A rival of the threshold: times with a part that does not depend on the weight decay.

The law t = t0 + A weight_decay^-nu of median times has no threshold, yet bends in ln t against
ln weight_decay as t = A (weight_decay - critical)^-nu does: where t0 is the time to memorise, say,
large weight decays grok later than a power law has it. Where it fits as well, a critical point
above 0 is no finding.
"""

from dataclasses import dataclass

import numpy as np

from observatory.analysis.times.estimators.aft import Array, Fits
from observatory.analysis.times.estimators.aft_law import Times, searched

N_PARAMS = 4
_NU = (0.1, 4.0)  # where the exponent is looked for
_SHARE = (0.0, 5.0)  # where t0 is, in units of the rest of the time at the largest weight decay
_N_GRID, _ROUNDS = 7, 5  # first points along each, and refinements


@dataclass(frozen=True)
class OffsetLaw:
    """The law with its best numbers."""

    offset: float  # t0 in steps
    nu: float
    loglik: float  # log-likelihood of ln t


def offset_law(of: Times, begin: Array) -> OffsetLaw:
    """The law of one table: the best exponent at each t0, and of these the best t0.

    The solver starts from `begin`, (tau, c).
    """
    ratio = of.records.control / float(of.records.control.max())

    def fits(share: Array, nu: Array) -> Fits:
        shift = -np.log(share[:, None] + ratio ** -nu[:, None])
        weights = np.repeat(of.weights, nu.size, axis=0)
        return of.moved(shift, weights, np.tile(begin, (nu.size, 1)))

    def best_nu(share: Array) -> Array:
        def height(nu: Array, start: Array | None) -> tuple[Array, Array]:
            value = fits(np.repeat(share, nu.shape[1]), nu.ravel()).loglik.reshape(nu.shape)
            return value, np.zeros((*nu.shape, 1))

        return searched(height, np.tile(np.linspace(*_NU, _N_GRID), (share.size, 1)), _ROUNDS)[0]

    def over_nu(share: Array, start: Array | None) -> tuple[Array, Array]:
        flat = share.ravel()
        return fits(flat, best_nu(flat)).loglik.reshape(share.shape), np.zeros((*share.shape, 1))

    share = searched(over_nu, np.linspace(*_SHARE, _N_GRID)[None], _ROUNDS)[0]
    nu = best_nu(share)
    found = fits(share, nu)
    tau, c = found.theta[0]
    rest = float(np.exp((of.errors.median - c) / tau))
    return OffsetLaw(rest * float(share[0]), float(nu[0]), float(found.loglik[0]))
