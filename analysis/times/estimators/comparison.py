"""Which critical point the times prefer: none, the boundary's, or one of their own."""

from dataclasses import dataclass
from typing import final

from observatory.analysis.stats.estimate import Estimate, Plain, estimate_of
from observatory.analysis.stats.observations import Observations, critical_words
from observatory.analysis.times.estimators.power_law import (
    N_PARAMS,
    UNDECIDED,
    fit_law,
    information,
    uncensored,
)


@final
@dataclass(frozen=True)
class TimeComparison:
    """AICc of the power laws of `TimePowerLaw` on replicas above the boundary's critical point."""

    fit_name = "times_comparison"
    estimator = "aicc"
    window_max: float
    n_grid: int
    level: float

    def fit(self, observations: Observations, seed: int) -> Estimate:
        """Compare the laws on one table; `seed` is recorded, nothing is drawn.

        Raises:
            FitRefusedError: If the times cannot fix the law with the most numbers.
        """
        data = observations.within(self.window_max)
        keep, notes = uncensored(data, above=data.critical or 0.0)
        own = data.take(keep)
        extras: dict[str, Plain] = {"n_grokked": data.count(keep)}
        criteria: dict[str, float] = {}
        for law in ("free", "zero", "boundary"):
            if law == "boundary" and data.critical is None:
                notes.append(
                    f"The boundary that leads gives no {critical_words(data.control)}: that law is "
                    "missing."
                )
                continue
            times = own.weight_decay, own.time, own.weights
            point, (_, nu, rss) = fit_law(*times, law, data.critical, self.n_grid, data.control)
            scores = information(float(rss), float(own.weights.sum()), N_PARAMS[law])
            criteria[law] = scores["aicc"]
            extras |= {f"{name}_{law}": score for name, score in scores.items()}
            extras |= {f"nu_{law}": float(nu), f"critical_{law}": point}
        best = min(criteria, key=lambda law: criteria[law])
        margin = min(score for law, score in criteria.items() if law != best) - criteria[best]
        candidates = [law for law, score in criteria.items() if score - criteria[best] < UNDECIDED]
        extras |= {
            "method": "AICc of least squares of ln t on the same uncensored replicas",
            "preferred": best,
            "delta_aicc": margin,
            "verdict": best if len(candidates) == 1 else f"cannot tell: {', '.join(candidates)}",
        }
        return estimate_of(self, data, seed, notes, n=data.count(keep), extras=extras)
