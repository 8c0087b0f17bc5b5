"""Arms compared pair by pair: differences with intervals, tests adjusted over their family."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.paired.estimators.family import (
    TESTS,
    Numbers,
    adjust,
    doubts,
    is_rate,
    verdict,
)
from observatory.analysis.paired.estimators.power import (
    cautious_sd,
    detectable,
    pairs_for_difference,
    pairs_for_width,
)
from observatory.analysis.paired.estimators.rows import Compared, Contrast
from observatory.analysis.stats.estimate import Estimate, Parameter, about
from observatory.analysis.stats.paired_tests import (
    cohen_between,
    cohen_paired,
    cohen_unpaired,
    equivalence_p,
    mcnemar_p,
    paired_t,
    rate_difference,
    sign_flip_p,
    wilcoxon_p,
)
from observatory.analysis.stats.solvers import alpha_of, student_quantile
from observatory.analysis.stats.wilson import wilson_interval
from observatory.core.errors import FitRefusedError

Array = NDArray[np.float64]

_OF_PARAMETER = ("difference", "se", "low", "high")
"""Numbers of a contrast that are its parameter."""
_ROUNDING = 1e-12
"""Range of differences, in units of the largest value, below which they count as equal."""


@final
@dataclass(frozen=True)
class PairedComparison:
    """Differences of arms over pairs, tested as one family."""

    test: str  # whose p-value is adjusted: "t", "wilcoxon" or "sign_flip"
    min_pairs: int  # of a contrast
    n_tests: int | None  # size of the family as registered; None: the contrasts of the table
    margin: float | None  # of equivalence, in the value's unit; None: not tested
    target: float | None  # difference to plan pairs for; None: no plan
    half_width: float | None  # half of an interval to plan pairs for; None: no plan
    power: float  # of the plan, and of the detectable difference
    n_flips: int  # of signs; all where there are no more
    level: float  # coverage of the intervals; tests are at 1 - level

    fit_name = "paired"

    def __post_init__(self) -> None:
        if self.test not in TESTS:
            raise ValueError(f"`test` must be one of {list(TESTS)}, got {self.test!r}.")
        if self.power <= (alpha := alpha_of(self.level)):
            raise ValueError(
                f"`power` must be above 1 - level ({alpha:.3g}), got {self.power}: so often a test "
                "finds a difference where there is none. Raise `level` or `power`."
            )

    @property
    def estimator(self) -> str:
        """The test whose p-values are adjusted."""
        return self.test

    def estimate(self, rows: Compared, seed: int) -> Estimate:
        """A parameter per contrast, the second arm minus the first in the value's unit.

        Its interval is not adjusted; its tests and its verdict are a row of the table. `seed` is
        that of the sign flips, where these are drawn.

        Raises:
            FitRefusedError: If no contrast has pairs enough that vary, or the registered family
                is smaller than the table's.
        """
        contrasts = rows.contrasts()
        m = self._family(rows)
        params, table, warnings = self._tested(contrasts, m, np.random.default_rng(seed))
        adjust(list(table.values()), m)
        alpha = alpha_of(self.level)
        of_rates = [label for label, found in table.items() if is_rate(found)]
        warnings += [*self._mixed(of_rates, len(table)), *doubts(table, m, self.test, alpha)]
        tests = [self.test] * (len(of_rates) < len(table)) + ["mcnemar"] * bool(of_rates)
        return Estimate(
            **about(self, seed, estimator=" and ".join(tests)),
            event=rows.outcome,
            params=params,
            n=2 * sum(int(found["n"] or 0) for found in table.values()),
            warnings=warnings,
            extras={
                "method": self._method(len(of_rates), len(table)),
                **{"n_tests": m, "n_contrasts": len(table)},
                **{"margin": self.margin, "target": self.target, "half_width": self.half_width},
                **{"power": self.power, "rates": len(of_rates) == len(table)},
                "n_rates": len(of_rates),
            },
            table={
                c.label: {
                    **{"arm": c.arm, "reference": c.reference, "condition": c.condition or None},
                    "verdict": verdict(table[c.label], alpha),
                    **{k: v for k, v in table[c.label].items() if k not in _OF_PARAMETER},
                }
                for c in contrasts
                if c.label in table
            },
        )

    def _family(self, rows: Compared) -> int:
        """Size of the family of tests; raises `FitRefusedError` where there is nothing to test."""
        n_contrasts = rows.n_tests
        m = n_contrasts if self.n_tests is None else self.n_tests
        if m < n_contrasts:
            raise FitRefusedError(
                f"The family is registered with {m} tests, the table holds {n_contrasts}. "
                "Add the missing ones to `n_tests`, or leave out what was not registered."
            )
        if not n_contrasts:
            raise FitRefusedError(
                f"The table holds one arm, {', '.join(rows.arms)}: there is nothing to compare it "
                "with. Add runs of another arm, or name the column of arms by `--arm`."
            )
        return m

    def _tested(
        self, contrasts: Sequence[Contrast], m: int, rng: np.random.Generator
    ) -> tuple[dict[str, Parameter], dict[str, Numbers], list[str]]:
        """Differences and tests by contrast, not adjusted yet, and what was left out."""
        params, table, warnings = dict[str, Parameter](), dict[str, Numbers](), list[str]()
        for contrast in contrasts:
            label = contrast.label
            if contrast.alone:
                warnings.append(f"{label}: rows without a partner are left out ({contrast.alone}).")
            if reason := self._unfit(contrast):
                warnings.append(f"{label} is left out: {reason} It still counts in the family.")
                continue
            found = self._rates(contrast) if contrast.rates else self._means(contrast, m, rng)
            table[label] = found
            limits = (found["low"], found["high"])
            params[label] = Parameter(float(found["difference"] or 0.0), found["se"], *limits)
        if not table:
            why = "; ".join(warning.rstrip(".") for warning in warnings)
            raise FitRefusedError(f"No contrast can be tested: {why}. Add runs that share a pair.")
        return params, table, warnings

    def _mixed(self, of_rates: Sequence[str], n: int) -> list[str]:
        """What is to be said where some outcomes are 0 or 1."""
        notes: list[str] = []
        of_means = (self.margin, self.target, self.half_width)
        if of_rates and any(number is not None for number in of_means):
            notes.append("Outcomes of 0 or 1 have no equivalence and no plans: these are of means.")
        if 0 < len(of_rates) < n:
            notes.append(
                f"McNemar's test decides where every outcome is 0 or 1 ({', '.join(of_rates)}), "
                f"{self.test} elsewhere."
            )
        return notes

    def _method(self, n_rates: int, n: int) -> str:
        methods = [f"paired {self.test}"] if n_rates < n else []
        if n_rates:
            methods.append("McNemar exact, Newcombe and Wilson")
        methods.append("Holm and Bonferroni over the family; intervals not adjusted")
        return "; ".join(methods)

    def _unfit(self, contrast: Contrast) -> str | None:
        """Why a contrast cannot be tested; None where it can."""
        n = contrast.first.size
        if n < self.min_pairs:
            return f"{n} pairs, at least {self.min_pairs} are needed."
        scaled, unit = contrast.in_unit()
        differences = scaled.second - scaled.first
        if not contrast.rates and float(np.ptp(differences)) <= _ROUNDING:
            return (
                f"all {n} differences are {differences[0] * unit:.4g} to within rounding, which "
                "leaves no scatter."
            )
        return None

    def _means(self, contrast: Contrast, m: int, rng: np.random.Generator) -> Numbers:
        """The row of one contrast of means, before it is adjusted."""
        contrast, unit = contrast.in_unit()
        one, other = contrast.first, contrast.second
        differences, n, alpha = other - one, one.size, alpha_of(self.level)
        mean, sd = float(differences.mean()), float(differences.std(ddof=1))
        se = sd / math.sqrt(n)
        reach = student_quantile(0.5 + self.level / 2.0, n - 1) * se
        t, p_t = paired_t(differences)
        p_values = {
            "t": p_t,
            "wilcoxon": wilcoxon_p(differences),
            "sign_flip": sign_flip_p(differences, self.n_flips, rng),
        }
        effects = {
            "d_z": cohen_paired(differences, self.level),
            "d": cohen_between(one, other, self.level),
            "d_unpaired": cohen_unpaired(contrast.all_first, contrast.all_second, self.level),
        }
        spread = {
            f"{name}{end}": number
            for name, found in effects.items()
            for end, number in zip(("", "_low", "_high"), found, strict=True)
        }
        near = None if self.margin is None else equivalence_p(one, other, self.margin / unit)
        return {
            "n": n,
            **{"mean_first": float(one.mean()) * unit, "mean_second": float(other.mean()) * unit},
            **{"difference": mean * unit, "sd": sd * unit, "se": se * unit},
            **{"low": (mean - reach) * unit, "high": (mean + reach) * unit, "t": t},
            **{f"p_{name}": p for name, p in p_values.items()},
            "p": p_values[self.test],
            **spread,
            "p_equivalent": near,
            **self._plans(sd, n, unit, alpha / m),
        }

    def _plans(self, sd: float, n: int, unit: float, alpha: float) -> Numbers:
        """What n pairs detect, and how many would be needed; scatter in a unit."""
        plans: Numbers = {"detectable": unit * detectable(sd, n, self.power, alpha)}
        for name, scatter in (("", sd), ("_cautious", cautious_sd(sd, n, self.power))):
            if self.target is not None:
                found = pairs_for_difference(self.target / unit, scatter, self.power, alpha)
                plans[f"pairs_target{name}"] = found
            if self.half_width is not None:
                wide = self.half_width / unit
                plans[f"pairs_width{name}"] = pairs_for_width(wide, scatter, self.level)
        return plans

    def _rates(self, contrast: Contrast) -> Numbers:
        """The row of one contrast of rates, before it is adjusted."""
        one, other, n = contrast.first, contrast.second, contrast.first.size
        only_first, only_second = int(((one - other) > 0).sum()), int(((other - one) > 0).sum())
        low, high = wilson_interval([one.sum(), other.sum()], [n, n], self.level)
        difference = rate_difference(one, other, self.level)
        p = mcnemar_p(only_first, only_second)
        return {
            "n": n,
            **{"mean_first": float(one.mean()), "mean_second": float(other.mean())},
            **{"first_low": float(low[0]), "first_high": float(high[0])},
            **{"second_low": float(low[1]), "second_high": float(high[1])},
            **dict(zip(("difference", "low", "high"), difference, strict=True)),
            **{"se": None, "only_first": only_first, "only_second": only_second},
            **{"p_mcnemar": p, "p": p, "p_equivalent": None},
        }
