"""A fit and the table that it is for, read and checked: nothing is computed yet."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack, final

import numpy as np

from observatory.analysis.boundary.estimators.ratio import boundary_ratio
from observatory.analysis.boundary.seeds_needed import plan_seeds
from observatory.analysis.fit.result import Fitted, flat_record
from observatory.analysis.fit.settings import build, changed, settings_of, shared_setting
from observatory.analysis.stats.estimate import Estimate, refusal_record
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.rules import require_numbers
from observatory.analysis.tables.sources import Opened, Options, Table, open_table
from observatory.core.errors import ConfigError, FitRefusedError

TIMED = ("times", "horizon", "survival")
"""Fits that need times."""
MAX_VALUES = 2000
"""Values of the control that a boundary may have."""
MAX_DRAWN = 150_000_000
"""Rows of all resamples together: 2.5 GB."""
NUMBERS = ("level", "n_bootstrap", "interval", "smoothing", "window_max")
"""Settings of a fit that have an option of their own."""


@final
@dataclass(frozen=True)
class Task:
    """A fit and what it is for, both checked.

    Attributes:
        kind: What is fitted, such as "boundary".
        fit_name: How records call it.
        estimator: How it is fitted.
        level: Coverage of the intervals.
        seed: Of the resampling.
        opened: The table, the first where there are two.
        window_max: Largest control that enters.
        compute: The fit: an estimate, what it was made of, and what is to be said of that.
    """

    kind: str
    fit_name: str
    estimator: str
    level: float
    seed: int
    opened: Opened
    window_max: float | None
    compute: Callable[[], tuple[Estimate, Observations, Sequence[str]]]

    def run(self) -> Fitted:
        """The fit.

        Raises:
            FitRefusedError: If the table cannot give one.
        """
        estimate, data, notes = self.compute()
        estimate = replace(
            estimate,
            warnings=[*self.opened.warnings, *notes, *estimate.warnings],
            extras={**estimate.extras, "columns": self.opened.columns},
        )
        return Fitted(self.kind, estimate, data)

    def refused(self, reason: str) -> dict[str, Any]:
        """The record of this fit where it refused."""
        data = replace(self.opened.observations, horizon_steps=self.opened.horizon_steps)
        record = refusal_record(
            fit=self.fit_name,
            estimator=self.estimator,
            event=data.event,
            horizon_steps=data.horizon_steps,
            horizon_epochs=data.horizon_epochs,
            level=self.level,
            n=data.within(self.window_max).n,
            seed=self.seed,
            reason=reason,
        )
        return flat_record({**record, "warnings": list(self.opened.warnings)})


def left_out(data: Observations, window_max: float | None) -> list[str]:
    """Warnings that count the runs that lie on no log axis, or outside the window."""
    end = np.inf if window_max is None else window_max
    cases = (
        (data.weight_decay == 0, "0, which no log axis shows,"),
        (data.weight_decay > end, f"above {end:g}"),
    )
    return [
        f"Runs with {data.control} {where} are left out ({data.take(rows).n})."
        for rows, where in cases
        if rows.any()
    ]


def require_size(kind: str, data: Observations, n_bootstrap: int) -> None:
    """Refuse a table that would take more memory than a computer has.

    Raises:
        ConfigError: If a boundary has too many values of the control, or resampled times too many
            rows.
    """
    n_values, n_rows = np.unique(data.weight_decay).size, data.time.size
    if kind == "boundary" and n_values > MAX_VALUES:
        raise ConfigError(
            f"`{data.control}` must have at most {MAX_VALUES} values, got {n_values}: a boundary "
            "is fitted to the rate at each. Round it, so that runs share values."
        )
    if kind in TIMED and n_rows * n_bootstrap > MAX_DRAWN:
        raise ConfigError(
            f"`n_bootstrap` must be at most {MAX_DRAWN // n_rows} for {n_rows} rows, got "
            f"{n_bootstrap}: every resample holds them all. Lower it, or thin the table."
        )


def boundary_critical(data: Observations, window_max: float | None, seed: int) -> float | None:
    """The critical point of the first boundary fit that does not refuse, as in a study."""
    for name in shared_setting("critical_from"):
        node = settings_of("boundary", name)[1]
        fit = build(name, changed(name, node, {"window_max": window_max}))
        try:
            return fit.fit(data, seed).params["critical"].value
        except FitRefusedError:
            continue
    return None


def prepare(kind: str, table: Table, estimator: str | None, **options: Unpack[Options]) -> Task:
    """A fit of `conf/fit` on a table.

    Args:
        kind: "boundary", "times", "survival" or "horizon".
        table: A frame, a CSV or Parquet file, a study or its folder.
        estimator: Name of a file of conf/fit without `kind`; None: the usual one.
        options: See `Options`.

    Raises:
        ConfigError: If the table or a setting breaks a rule, or an option is unknown.
        StoreError: If a folder is no study.
    """
    require_numbers(options)
    name, node = settings_of(kind, estimator)
    opened = open_table(table, options, timed=kind in TIMED)
    given = {key: options.get(key) for key in NUMBERS if options.get(key) is not None}
    if node.get("window_max") is not None:
        node["window_max"] = opened.window_max
    node = changed(name, node, {**given, **(options.get("settings") or {})})
    _require_held(name, node, options.get("critical"))
    fit, seed = build(name, node), _seed(options)
    require_size(kind, opened.observations, node.get("n_bootstrap") or 0)

    def compute() -> tuple[Estimate, Observations, Sequence[str]]:
        data, notes = opened.cut()
        if data.critical is None and node.get("critical") == "boundary":
            data = replace(data, critical=boundary_critical(data, fit.window_max, seed))
        return fit.fit(data, seed), data, [*notes, *left_out(data, fit.window_max)]

    return Task(kind, fit.fit_name, fit.estimator, fit.level, seed, opened, fit.window_max, compute)


def prepare_ratio(
    above: Table, below: Table, names: tuple[str, str], **options: Unpack[Options]
) -> Task:
    """The ratio of the boundaries of two tables, at the horizon that both have.

    Args:
        above: The table above the fraction bar.
        below: The table below.
        names: What they are called.
        options: See `Options`; the same for both tables.

    Raises:
        ConfigError: If a table or an option breaks a rule, or is of single fits.
        StoreError: If a folder is no study.
    """
    _refuse_single(options)
    require_numbers(options)
    both = [open_table(table, options, timed=False) for table in (above, below)]
    level, seed = _shared("level", options.get("level")), _seed(options)
    n_bootstrap = _shared("n_bootstrap", options.get("n_bootstrap"))

    def compute() -> tuple[Estimate, Observations, Sequence[str]]:
        from observatory.analysis.boundary.groups import (
            at_common_horizon,  # brings statsmodels along
        )

        made = [opened.cut() for opened in both]
        notes = [
            f"{name}: {note}"
            for name, opened, (data, found) in zip(names, both, made, strict=True)
            for note in (*found, *left_out(data, opened.window_max))
        ]
        notes += [f"{names[1]}: {warning}" for warning in both[1].warnings]
        inside = {
            str(place): data.within(opened.window_max)
            for place, (opened, (data, _)) in enumerate(zip(both, made, strict=True))
        }
        first, second = at_common_horizon(inside).values()
        return boundary_ratio(first, second, names, level, n_bootstrap, seed), first, notes

    return Task("ratio", "boundary_ratio", "firth", level, seed, both[0], np.inf, compute)


def prepare_seeds(
    pilot: Table, width_decades: float, assurance: float, **options: Unpack[Options]
) -> Task:
    """How many seeds per value of the control an interval of a wanted width needs.

    Args:
        pilot: The table of a first study.
        width_decades: Wanted width of the interval of the critical point, in decades.
        assurance: Share of simulated studies that must reach it.
        options: See `Options`; of `settings`, `n_simulations` per number of seeds.

    Raises:
        ConfigError: If the table or an option breaks a rule, or is of single fits.
        StoreError: If a folder is no study.
    """
    settings = dict(options.get("settings") or {})
    n_simulations = settings.pop("n_simulations", shared_setting("n_simulations"))
    _refuse_single(options | {"settings": settings})
    own = {"width_decades": width_decades, "assurance": assurance}
    require_numbers({**options, **own, "n_simulations": n_simulations})
    opened = open_table(pilot, options, timed=False)
    level, seed = _shared("level", options.get("level")), _seed(options)

    def compute() -> tuple[Estimate, Observations, Sequence[str]]:
        data, notes = opened.cut()
        notes += left_out(data, opened.window_max)
        inside = data.within(opened.window_max)
        found = plan_seeds(inside, width_decades, assurance, n_simulations, level, seed)
        return found, inside, notes

    return Task("seeds", "seeds", "simulation", level, seed, opened, opened.window_max, compute)


def _require_held(name: str, node: Mapping[str, Any], critical: Any) -> None:
    """Refuse a critical point that the fit would not hold, or that is none."""
    if critical is None:
        return
    if node.get("critical") != "boundary":
        raise ConfigError(
            f"`critical` is a point to hold, and {name} holds none: leave it out, or take `fit "
            "times` with the estimator boundary."
        )
    if isinstance(critical, bool) or not isinstance(critical, int | float) or not critical >= 0:
        raise ConfigError(f"`critical` must be a number of at least 0, got {critical!r}.")


def _shared(name: str, asked: Any) -> Any:
    """A number as asked for, or as all fits of a study share it."""
    return shared_setting(name) if asked is None else asked


def _seed(options: Options) -> int:
    return _shared("seed", options.get("seed"))


def _refuse_single(options: Options) -> None:
    """Refuse options that the comparison of boundaries has no use for."""
    names = ("interval", "smoothing", "settings", "critical")
    if given := [name for name in names if options.get(name) not in (None, {})]:
        raise ConfigError(f"{given} are of a single fit: leave them out.")
