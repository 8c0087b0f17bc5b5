"""Arms compared pair by pair: differences with intervals, tests adjusted over their family."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.paired.estimators.power import (
    cautious_sd,
    detectable,
    pairs_for_difference,
    pairs_for_width,
)
from observatory.analysis.paired.estimators.rows import Contrast, PairedRows
from observatory.analysis.stats.estimate import Estimate, Parameter, Plain
from observatory.analysis.stats.multiplicity import holm, mcnemar_p
from observatory.analysis.stats.paired_tests import (
    cohen_between,
    cohen_paired,
    cohen_unpaired,
    equivalence_p,
    p_text,
    paired_t,
    rate_difference,
    sign_flip_p,
    wilcoxon_p,
)
from observatory.analysis.stats.solvers import student_quantile
from observatory.analysis.stats.wilson import wilson_interval
from observatory.core.errors import FitRefusedError

Array = NDArray[np.float64]
Numbers = dict[str, float | None]

TESTS = ("t", "wilcoxon", "sign_flip")
SHARES = ("level", "power")
ROUNDING = 1e-12
"""Range of differences, in units of the largest value, below which they count as equal."""


def is_rate(found: Numbers) -> bool:
    """Whether numbers are of a contrast of rates."""
    return "p_mcnemar" in found


@final
@dataclass(frozen=True)
class PairedComparison:
    """Differences of arms over pairs, tested as one family.

    Attributes:
        test: Whose p-value is adjusted: "t", "wilcoxon" or "sign_flip".
        min_pairs: Of a contrast.
        n_tests: Size of the family as registered; None: the contrasts of the table.
        margin: Of equivalence, in the value's unit; None: not tested.
        target: Difference to plan pairs for; None: no plan.
        half_width: Half of an interval to plan pairs for; None: no plan.
        power: Of the plan, and of the detectable difference.
        n_flips: Of signs; all where there are no more.
        level: Coverage of the intervals; tests are at 1 - level.
    """

    test: str
    min_pairs: int
    n_tests: int | None
    margin: float | None
    target: float | None
    half_width: float | None
    power: float
    n_flips: int
    level: float

    fit_name = "paired"

    def __post_init__(self) -> None:
        if self.test not in TESTS:
            raise ValueError(f"`test` must be one of {list(TESTS)}, got {self.test!r}.")
        for name in SHARES:
            if not 0.0 < getattr(self, name) < 1.0:
                raise ValueError(f"`{name}` must be between 0 and 1, got {getattr(self, name)}.")
        for name in ("margin", "target", "half_width"):
            given = getattr(self, name)
            if given is not None and not (math.isfinite(given) and given > 0):
                raise ValueError(f"`{name}` must be positive, got {given}.")
        if self.min_pairs < 3 or self.n_flips < 99:
            raise ValueError(
                "`min_pairs` must be at least 3 and `n_flips` at least 99, got "
                f"{self.min_pairs} and {self.n_flips}."
            )
        if self.power <= (alpha := 1.0 - self.level):
            raise ValueError(
                f"`power` must be above 1 - level ({alpha:.3g}), got {self.power}: so often a test "
                "finds a difference where there is none. Raise `level` or `power`."
            )

    @property
    def estimator(self) -> str:
        """The test whose p-values are adjusted."""
        return self.test

    def estimate(self, rows: PairedRows, seed: int) -> Estimate:
        """Every contrast of the table.

        Args:
            rows: The table.
            seed: Of the sign flips, where these are drawn.

        Returns:
            A parameter per contrast, the second arm minus the first in the value's unit, with
            an interval that is not adjusted; curves `test.<name>`, a number per contrast;
            extras `verdict[<contrast>]`.

        Raises:
            FitRefusedError: If no contrast has pairs enough that vary, or the registered family
                is smaller than the table's.
        """
        rng, contrasts = np.random.default_rng(seed), rows.contrasts()
        m = len(contrasts) if self.n_tests is None else self.n_tests
        if m < len(contrasts):
            raise FitRefusedError(
                f"The family is registered with {m} tests, the table holds {len(contrasts)}. "
                "Add the missing ones to `n_tests`, or leave out what was not registered."
            )
        if not contrasts:
            raise FitRefusedError(
                f"The table holds one arm, {rows.arms[0]}: there is nothing to compare it with. "
                "Add runs of another arm, or name the column of arms by `--arm`."
            )
        warnings, params = list[str](), dict[str, Parameter]()
        table: list[Numbers] = []
        n_values = 0
        for contrast in contrasts:
            label = contrast.label
            if contrast.alone:
                warnings.append(f"{label}: rows without a partner are left out ({contrast.alone}).")
            if reason := self._unfit(contrast):
                warnings.append(f"{label} is left out: {reason} It still counts in the family.")
                continue
            found = self._rates(contrast) if contrast.rates else self._means(contrast, m, rng)
            table.append(found)
            n_values += 2 * contrast.first.size
            limits = (found["low"], found["high"])
            params[label] = Parameter(float(found["difference"] or 0.0), found["se"], *limits)
        if not table:
            told = "; ".join(warning.rstrip(".") for warning in warnings)
            raise FitRefusedError(f"No contrast can be tested: {told}. Add runs that share a pair.")
        self._adjust(table, m)
        alpha = 1.0 - self.level
        verdicts = [self._verdict(found, alpha) for found in table]
        of_rates = [label for label, found in zip(params, table, strict=True) if is_rate(found)]
        of_means = (self.margin, self.target, self.half_width)
        if of_rates and any(number is not None for number in of_means):
            warnings.append(
                "Outcomes of 0 or 1 have no equivalence and no plans: these are of means."
            )
        if 0 < len(of_rates) < len(table):
            warnings.append(
                f"McNemar's test decides where every outcome is 0 or 1 ({', '.join(of_rates)}), "
                f"{self.test} elsewhere."
            )
        warnings += self._doubts(dict(zip(params, table, strict=True)), m)
        tests, methods = list[str](), list[str]()
        if len(of_rates) < len(table):
            tests, methods = [self.estimator], [f"paired {self.test}"]
        if of_rates:
            tests.append("mcnemar")
            methods.append("McNemar exact, Newcombe and Wilson")
        methods.append("Holm and Bonferroni over the family; intervals not adjusted")
        extras: dict[str, Plain] = {
            "method": "; ".join(methods),
            "n_tests": m,
            "n_contrasts": len(table),
            "margin": self.margin,
            "target": self.target,
            "half_width": self.half_width,
            "power": self.power,
            "rates": len(of_rates) == len(table),
            "n_rates": len(of_rates),
        }
        told = zip(params, verdicts, strict=True)
        names = dict.fromkeys(name for found in table for name in found)
        return Estimate(
            fit=self.fit_name,
            estimator=" and ".join(tests),
            event=rows.outcome,
            horizon_steps=None,
            horizon_epochs=None,
            params=params,
            level=self.level,
            n=n_values,
            seed=seed,
            warnings=warnings,
            extras=extras | {f"verdict[{label}]": verdict for label, verdict in told},
            curves={f"test.{name}": [found.get(name) for found in table] for name in names},
        )

    def _unfit(self, contrast: Contrast) -> str | None:
        """Why a contrast cannot be tested; None where it can."""
        n = contrast.first.size
        if n < self.min_pairs:
            return f"{n} pairs, at least {self.min_pairs} are needed."
        scaled, unit = contrast.in_unit()
        differences = scaled.second - scaled.first
        if not contrast.rates and float(np.ptp(differences)) <= ROUNDING:
            return (
                f"all {n} differences are {differences[0] * unit:.4g} to within rounding, which "
                "leaves no scatter."
            )
        return None

    def _means(self, contrast: Contrast, m: int, rng: np.random.Generator) -> Numbers:
        """All that is told of one contrast of means, before it is adjusted."""
        contrast, unit = contrast.in_unit()
        one, other = contrast.first, contrast.second
        differences, n, alpha = other - one, one.size, 1.0 - self.level
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
        margin, target, wide = (
            None if number is None else number / unit
            for number in (self.margin, self.target, self.half_width)
        )
        careful = cautious_sd(sd, n, self.power)
        plans: Numbers = {"detectable": unit * detectable(sd, n, self.power, alpha / m)}
        for name, scatter in (("", sd), ("_cautious", careful)):
            if target is not None:
                found = pairs_for_difference(target, scatter, self.power, alpha / m)
                plans[f"pairs_target{name}"] = found
            if wide is not None:
                plans[f"pairs_width{name}"] = pairs_for_width(wide, scatter, self.level)
        return {
            "n": n,
            "mean_first": float(one.mean()) * unit,
            "mean_second": float(other.mean()) * unit,
            **{"difference": mean * unit, "sd": sd * unit, "se": se * unit},
            **{"low": (mean - reach) * unit, "high": (mean + reach) * unit},
            "t": t,
            **{f"p_{name}": p for name, p in p_values.items()},
            "p": p_values[self.test],
            **spread,
            "p_equivalent": None if margin is None else equivalence_p(one, other, margin),
            **plans,
        }

    def _rates(self, contrast: Contrast) -> Numbers:
        """All that is told of one contrast of rates, before it is adjusted."""
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

    def _adjust(self, table: list[Numbers], m: int) -> None:
        """Write adjusted p-values; tests of the family that are not here count as 1."""
        for name in ("p", "p_equivalent"):
            raw = [found[name] for found in table]
            p = np.array([1.0 if v is None else v for v in raw], dtype=np.float64)
            steps = holm(np.concatenate([p, np.ones(m - p.size)]))
            for found, v, by_holm in zip(table, raw, steps[: p.size].tolist(), strict=True):
                found[f"{name}_holm"] = None if v is None else by_holm
                found[f"{name}_bonferroni"] = None if v is None else min(1.0, v * m)

    def _verdict(self, found: Numbers, alpha: float) -> str:
        differs = (found["p_holm"] or 0.0) < alpha
        near = found["p_equivalent_holm"]
        if near is not None and near < alpha:
            return "differs by less than the margin" if differs else "equivalent"
        return "differs" if differs else "undecided"

    def _doubts(self, table: dict[str, Numbers], m: int) -> list[str]:
        """What a reader could take wrongly."""
        alpha, notes = 1.0 - self.level, list[str]()
        for label, found in table.items():
            n, rates = int(found["n"] or 0), is_rate(found)
            if (self.test != "t" or rates) and 2.0 ** (1 - n) * m >= alpha:
                notes.append(
                    f"{label}: with {n} pairs in a family of {m} no p-value can be below "
                    f"{alpha:.3g} once adjusted. More pairs are needed to see anything."
                )
            if rates:
                continue
            below = {name for name in TESTS if (found[f"p_{name}"] or 0.0) * m < alpha}
            if below and len(below) < len(TESTS):
                told = ", ".join(f"{name} {p_text(found[f'p_{name}'] or 0.0)}" for name in TESTS)
                notes.append(f"{label}: the tests disagree at {alpha:.3g} / {m} ({told}).")
        return notes
