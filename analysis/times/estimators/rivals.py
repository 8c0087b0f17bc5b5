"""Laws without a threshold whose times bend all the same: the rivals of a critical point.

In ln t against ln weight_decay the law t = A (weight_decay - critical)^-nu bends; so do these, each
for another reason. Where one fits as well, a critical point above 0 is no finding.
"""

from dataclasses import dataclass, replace

import numpy as np

from observatory.analysis.times.estimators.aft import Fits
from observatory.analysis.times.estimators.aft_errors import Array
from observatory.analysis.times.estimators.aft_law import Times, searched

OFFSET_PARAMS = 4
_BENT_PARAMS = {"large": 5, "small": 5, "curved": 4}
"""Numbers of the bent laws: amplitude, exponent and spread, then the place and the exponent of the
bend, or one curvature."""
_NU = (0.1, 4.0)  # where the exponent of an offset law is looked for
_SHARE = (0.0, 5.0)  # where its t0 is, in units of the rest of the time at the largest weight decay
_N_GRID, _ROUNDS = 7, 5  # first points along each, and refinements
_BENDS = np.array([0.5, 1.0, 2.0, 4.0])  # exponents of a bend that are tried
_N_PLACES = 9
_CURVATURES = np.array([0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4])  # of ln t in ln weight_decay, halved


@dataclass(frozen=True)
class _OffsetLaw:
    """The law t = t0 + A weight_decay^-nu of median times.

    Where t0 is the time to memorise, say, large weight decays grok later than a power law has it.
    """

    offset: float  # t0 in steps
    nu: float
    loglik: float  # log-likelihood of ln t


def offset_law(of: Times, begin: Array) -> _OffsetLaw:
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
    return _OffsetLaw(rest * float(share[0]), float(nu[0]), float(found.loglik[0]))


def bends(control: Array) -> dict[str, Array]:
    """Ln of what each bent law multiplies a power law by, on a grid of shapes, `[shape, record]`.

    "large" slows times down towards large weight decays, by 1 + (weight_decay / b)^k, and "small"
    towards small ones, by 1 + (b / weight_decay)^k, b from the smallest weight decay to three times
    the largest and from a third of the smallest to the largest. "curved" has an even curvature.
    """
    low, high = float(control.min()), float(control.max())
    u = np.log(control) - 0.5 * np.log(low * high)
    place = np.log(np.geomspace(low, 3.0 * high, _N_PLACES))[:, None]
    gap = np.log(control) - place
    large = np.concatenate([np.logaddexp(0.0, k * gap) for k in _BENDS])
    small = np.concatenate([np.logaddexp(0.0, -k * (gap + np.log(3.0))) for k in _BENDS])
    return {"large": large, "small": small, "curved": _CURVATURES[:, None] * u * u}


def bent_criteria(of: Times, start: Array) -> dict[str, Array]:
    """Akaike's criterion of the best law of each bend, by name, `[problem]`.

    The solver starts from the law with critical point 0, (tau, c, d), `[problem, 3]`.
    """
    criteria: dict[str, Array] = {}
    for name, shapes in bends(of.records.control).items():
        several, n = of.repeated(len(shapes)), len(of.weights)
        time = np.broadcast_to(several.records.log_time, several.weights.shape)
        time = time - np.tile(shapes, (n, 1))
        width = np.broadcast_to(several.records.width, time.shape)
        moved = replace(several, records=replace(several.records, log_time=time, width=width))
        found = moved.at_critical(np.zeros(len(time)), np.repeat(start, len(shapes), axis=0))
        best = found.loglik.reshape(n, len(shapes)).max(axis=1)
        criteria[name] = 2.0 * _BENT_PARAMS[name] - 2.0 * best
    return criteria
