"""The ratio of the times of two groups, replicas without the event included."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.stats.estimate import Estimate, Parameter, Plain
from observatory.analysis.stats.observations import Array, Observations
from observatory.analysis.stats.solvers import alpha_of, student_quantile, student_tail
from observatory.analysis.times.estimators.aft import RIGHT, Records, records_of
from observatory.analysis.times.estimators.aft_design import Regression
from observatory.analysis.times.estimators.aft_errors import ERRORS
from observatory.analysis.times.estimators.aft_table import require_times
from observatory.core.errors import FitRefusedError

TIME_RATIO = "time_ratio"
MIN_EVENTS = 3
"""Events of each group, at weight decays at which both have some."""


@dataclass(frozen=True)
class _Both:
    """Records of two groups at the weight decays that both have, sorted by kind."""

    records: Records
    first: NDArray[np.bool_]  # of the first group, `[record]`
    stratum: NDArray[np.int64]  # which weight decay, `[record]`
    decays: Array  # `[stratum]`
    unit: NDArray[np.int64]  # the seed, `[record]`

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Whether each record has an event, `[record]`."""
        return self.records.kind != RIGHT

    def events(self, of: NDArray[np.bool_]) -> NDArray[np.int64]:
        """How many events some records have at each weight decay, `[stratum]`."""
        return np.bincount(self.stratum[of & self.seen], minlength=self.decays.size)

    def regression(self, distribution: str, *, varies: bool = False) -> Regression:
        """On which group, and with a place for each weight decay.

        `varies`: the ratio may change with the logarithm of weight decay, whose slope is last.
        """
        columns = [self.stratum[:, None] == np.arange(self.decays.size), self.first[:, None]]
        if varies:
            with_events = self.events(self.first) * self.events(~self.first) > 0
            x = np.log10(self.decays)
            columns.append((self.first * (x - x[with_events].mean())[self.stratum])[:, None])
        return Regression(
            ERRORS[distribution], self.records, np.concatenate(columns, axis=1).astype(np.float64)
        )


def _joined(a: Observations, b: Observations, names: tuple[str, str]) -> _Both:
    """The records of both groups; seeds that both have are one unit, others their own."""
    decays = np.intersect1d(a.weight_decay, b.weight_decay)
    if not decays.size:
        raise FitRefusedError(
            f"{names[0]} and {names[1]} share no value of {a.control}. Run both at the same ones."
        )
    parts: list[tuple[NDArray[Any], ...]] = []
    paired = _same_seeds(a, b)
    for which, group in enumerate((a, b)):
        kept = group.take(np.isin(group.weight_decay, decays))
        records, index = records_of(kept)
        unit = np.arange(kept.time.size) if kept.seed is None else kept.seed
        unit = np.unique(unit, return_inverse=True)[1]
        parts.append(
            (
                *(getattr(records, name)[index] for name in ("kind", "log_time", "width")),
                kept.weight_decay,
                np.full(index.size, which == 0),
                unit if paired else unit + which * a.time.size,
            )
        )
    kind, log_time, width, control, first, unit = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    order = np.argsort(kind, kind="stable")
    records = Records(kind[order].astype(np.int64), log_time[order], width[order], control[order])
    stratum = np.searchsorted(decays, records.control).astype(np.int64)
    return _Both(
        records, first[order].astype(np.bool_), stratum, decays, unit[order].astype(np.int64)
    )


def _log_ratio(
    both: _Both, rows: NDArray[np.bool_], distribution: str, *, varies: bool = False
) -> Array | None:
    """Ln of the ratio, and with `varies` its slope per decade; None where there is no maximum.

    Weight decays at which no record of the rows has an event say nothing and are left out.
    """
    with_events = both.events(rows) > 0
    kept = rows & with_events[both.stratum]
    columns = np.concatenate([with_events, np.ones(1 + varies, dtype=np.bool_)])
    model = both.regression(distribution, varies=varies).take(kept, columns)
    of, n = both.stratum[kept], int(with_events.sum())
    own = np.searchsorted(np.flatnonzero(with_events), of)
    means = np.bincount(own, model.records.log_time) / np.bincount(own)
    tau = 2.0
    start = np.concatenate([[tau], model.errors.median - tau * means, np.zeros(1 + varies)])
    theta = model.maximum(start)
    return None if theta is None else -theta[1 + n :] / theta[0]


def _jackknife(both: _Both, full: Array, *, varies: bool) -> Array:
    """Standard errors of ln ratio, and of its slope: without one seed at a time.

    Source:
        Bell and McCaffrey (2002), Survey Methodology 28, 169: of few clusters the jackknife errs on
        the safe side, where the sandwich is too small.
    """
    units = np.unique(both.unit)
    found = [_log_ratio(both, both.unit != unit, "lognormal", varies=varies) for unit in units]
    if any(one is None for one in found):
        raise FitRefusedError(
            "Without one of the seeds the times hold no ratio: it would rest on that seed alone. "
            "Add seeds."
        )
    apart = np.array(found) - full
    return np.sqrt((units.size - 1) / units.size * (apart**2).sum(axis=0))


def _medians(both: _Both, of: NDArray[np.bool_]) -> list[float | None]:
    """The median time of some records at each weight decay, None where fewer had the event."""
    found: list[float | None] = []
    for place in range(both.decays.size):
        rows = of & (both.stratum == place)
        times = np.where(both.seen[rows], np.exp(both.records.log_time[rows]), np.inf)
        middle = float(np.quantile(times, 0.5, method="higher")) if times.size else np.inf
        found.append(middle if np.isfinite(middle) else None)
    return found


def time_ratio(a: Observations, b: Observations, names: tuple[str, str], level: float) -> Estimate:
    """How many times longer group `a` takes to the event than group `b` at equal weight decay.

    Log-normal times whose median is free at every weight decay, with one ratio for all of them;
    replicas without the event enter as such, events between two looks as that interval. Limits and
    p-value are Student's, the variance that of leaving out one seed at a time, both groups'
    replicas of it together where they have the same seeds.

    Returns:
        `ratio`; extras `p` of a ratio of 1, `p_constant` of the same ratio at all weight decays,
        and the ratio by two other distributions; curves `medians.weight_decay`, `medians.a`,
        `medians.b`, in steps.

    Raises:
        FitRefusedError: If a time is not known, if the groups share no weight decay, if at those at
            which both had events one of them had fewer than three, or fewer than three seeds.

    Source:
        Wei (1992), Statistics in Medicine 11, 1871, for the model. Deviation: strata.
    """
    for group in (a, b):
        require_times(group)
    both = _joined(a, b, names)
    events = [both.events(of) for of in (both.first, ~both.first)]
    shared = (events[0] > 0) & (events[1] > 0)
    for name, own in zip(names, events, strict=True):
        if own[shared].sum() < MIN_EVENTS:
            raise FitRefusedError(
                f"{own[shared].sum()} replicas of {name} had the event `{a.event}` at the values "
                f"of {a.control} at which both groups had it; a ratio of times needs {MIN_EVENTS}. "
                "Add seeds, or a longer horizon."
            )
    n_units = np.unique(both.unit).size
    units = n_units if _same_seeds(a, b) else n_units // 2
    if units < MIN_EVENTS:
        raise FitRefusedError(f"A ratio of times needs {MIN_EVENTS} seeds, got {units}.")
    rows = np.ones(both.first.size, dtype=np.bool_)
    fits = {name: _log_ratio(both, rows, name) for name in ERRORS}
    log_ratio = fits["lognormal"]
    if log_ratio is None:
        raise FitRefusedError(
            "The likelihood of the ratio of times has no largest value: the times of both groups "
            "do not overlap enough. Add weight decays at which both have the event."
        )
    se = float(_jackknife(both, log_ratio, varies=False)[0])
    value, degrees = float(log_ratio[0]), units - 1
    half = student_quantile(0.5 + 0.5 * level, degrees) * se
    p_value = student_tail(value / se, degrees) if se > 0 else float(value == 0)
    p_constant = _p_constant(both, rows, degrees) if shared.sum() > 1 else None
    warnings = [*a.horizon_warnings]
    if p_constant is not None and p_constant < alpha_of(level):
        warnings.append(
            f"The ratio of times is not the same at all values of {a.control} (p = "
            f"{p_constant:.2g}): the one given is a mean over them."
        )
    others = {name: None if one is None else float(np.exp(one[0])) for name, one in fits.items()}
    extras: dict[str, Plain] = {
        "method": "log-normal times, free medians at every weight decay, one ratio; Student's "
        "limits by the jackknife over seeds",
        **{"numerator": names[0], "denominator": names[1]},
        **{"p": p_value, "p_constant": p_constant},
        **{f"ratio_{name}": others[name] for name in ("weibull", "loglogistic")},
        **{"n_seeds": units, "seeds_paired": _same_seeds(a, b), "n_controls": int(shared.sum())},
        **{"events_numerator": int(events[0].sum()), "events_denominator": int(events[1].sum())},
        **{"control": a.control},
    }
    ends = [float(np.exp(value + side * half)) for side in (-1, 1)]
    same = a.horizon_steps == b.horizon_steps
    return Estimate(
        fit=TIME_RATIO,
        estimator="lognormal",
        event=a.event,
        horizon_steps=a.horizon_steps if same else None,
        horizon_epochs=a.horizon_epochs if same else None,
        n=both.first.size,
        params={"ratio": Parameter(float(np.exp(value)), float(np.exp(value)) * se, *ends)},
        level=level,
        seed=0,
        warnings=warnings,
        extras=extras,
        curves={
            "medians.weight_decay": both.decays.tolist(),
            "medians.a": _medians(both, both.first),
            "medians.b": _medians(both, ~both.first),
        },
    )


def _p_constant(both: _Both, rows: NDArray[np.bool_], degrees: int) -> float | None:
    """Of a slope of ln ratio against the logarithm of weight decay; None where it has none."""
    found = _log_ratio(both, rows, "lognormal", varies=True)
    if found is None:
        return None
    try:
        se = float(_jackknife(both, found, varies=True)[1])
    except FitRefusedError:
        return None
    return student_tail(float(found[1]) / se, degrees) if se > 0 else None


def _same_seeds(a: Observations, b: Observations) -> bool:
    return a.seed is not None and b.seed is not None and set(a.seed) == set(b.seed)
