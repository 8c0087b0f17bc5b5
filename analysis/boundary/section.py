"""Figures of where networks grok: rates, estimators, window, outcomes, regimes, horizons."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.boundary.figure_rate import rate_figure
from observatory.analysis.boundary.figure_window import window_figure
from observatory.analysis.horizon.figure_horizons import Track, horizons_figure
from observatory.analysis.horizon.figure_regimes import EdgeAt, regimes_figure
from observatory.analysis.page.drawing import Drawing, Missing, context
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.forest import Row, forest_figure
from observatory.analysis.page.frames import column
from observatory.analysis.page.records import Record, limits
from observatory.analysis.page.wording import estimator_words, verdict_words
from observatory.analysis.times.section_laws import DISTRIBUTIONS
from observatory.analysis.training.figure_outcomes import outcomes_figure

MAX_FITTED = 4
"""Fitted curves in the figure of rates; all estimators are in the next figure."""


def draw_boundary(facts: Facts) -> Iterator[Drawing | Missing]:
    """From the rates to the regimes."""
    yield _rate(facts)
    yield from _estimators(facts)
    yield _window(facts)
    yield _outcomes(facts)
    yield _regimes(facts)
    yield _horizons(facts)


def _rate(facts: Facts) -> Drawing:
    drawn = [record for record in facts.boundaries if limits(record, "critical")]
    some = f" (the first {MAX_FITTED} of {len(drawn)})" if len(drawn) > MAX_FITTED else ""
    curves = (
        f"Curves: fitted boundaries{some}, over the weight decays that entered them; vertical "
        "line and band: critical weight decay λc of the first estimator and its interval"
        if drawn
        else "No boundary is drawn: see the table of fits"
    )
    return Drawing(
        name="rate",
        title="Rate of grokking against weight decay",
        caption=(
            f"Share of replicas (dimensionless) that grokked, with {facts.level:.0%} Wilson "
            "intervals; small figures give n per weight decay (dimensionless, log axis, 0 beyond "
            f"the break). {curves}. Shares of replicas that collapsed, diverged or lost their "
            "accuracy again are marked where there are any; the first two count as not grokked. "
            f"{context(facts)}"
        ),
        figure=rate_figure(facts.cells, drawn[:MAX_FITTED], facts.window_max),
    )


def _estimators(facts: Facts) -> Iterator[Drawing]:
    """Only where there are several: a single one is in the figure of rates."""
    records = facts.boundaries
    if sum(limits(record, "critical") is not None for record in records) < 2:
        return
    rows = [Row(estimator_words(record), limits(record, "critical")) for record in records]
    levels = " and ".join(sorted({f"{record['level']:.0%}" for record in records}))
    yield Drawing(
        name="estimators",
        title="What the choice of estimator does",
        caption=(
            "Critical weight decay λc (dimensionless, log axis) of every estimator on the same "
            f"counts, with {levels} intervals; an arrow marks a limit that the data do not set. "
            "How each is made is told under Methods, what may mislead below the table of boundary "
            f"fits. {context(facts)}"
        ),
        figure=forest_figure(rows),
    )


def _window(facts: Facts) -> Drawing | Missing:
    title = "The window of grokking and its two edges"
    record = facts.window
    if record is None or limits(record, "critical_upper") is None:
        refused = record and record["refused"]
        reason = f"the fit refused: {str(refused).rstrip('.')}" if refused else "it was not fitted"
        return Missing(title, reason)
    return Drawing(
        name="window",
        title=title,
        caption=(
            "Share of replicas (dimensionless) that grokked over all positive weight decays "
            f"(dimensionless, log axis), with {facts.level:.0%} Wilson intervals, and one model "
            "with both edges: the memorisation edge λc, below which networks only memorise, and "
            "the collapse edge, above which weight decay keeps them from fitting at all. Vertical "
            f"lines and bands: the edges and their {record['level']:.0%} intervals. "
            f"{context(facts)}"
        ),
        figure=window_figure(facts.cells, record),
    )


def _outcomes(facts: Facts) -> Drawing:
    return Drawing(
        name="outcomes",
        title="Outcome of every replica",
        caption=(
            "Share of replicas (dimensionless) by outcome, counts inside the bars, per weight "
            "decay (dimensionless). Lost means: reached the level, then fell back within the "
            f"watched tail. {context(facts)}"
        ),
        figure=outcomes_figure(facts.cells),
    )


def _regimes(facts: Facts) -> Drawing | Missing:
    title = "Regimes over weight decay and horizon"
    times = facts.times
    if times.empty:
        return Missing(title, "no replica has a record yet")
    observed = _observed(facts)
    edge = EdgeAt(observed.horizon, observed.critical, observed.low, observed.high)
    known = ~np.isnan(observed.critical)
    first = float(np.nanmin([*column(times, "t_mem"), *column(times, "t_hi"), facts.horizon]))
    first = min(first, facts.horizon / 2) / 1.5
    on_top = (
        f"Black: the boundary λc at each horizon ({observed.label}) with its "
        f"{_level(facts):.0%} interval. "
        if known.any()
        else "No boundary was found. "
    )
    return Drawing(
        name="regimes",
        title=title,
        caption=(
            "What had become of the replicas of a weight decay (dimensionless, log axis, 0 apart) "
            "by each horizon (steps, log axis): the colour mixes those of the regimes by their "
            "shares (dimensionless). Memorised: train accuracy at its level and the event not yet "
            f"seen. {on_top}One set of records throughout: points at different horizons are "
            f"correlated. {context(facts)}"
        ),
        figure=regimes_figure(times, facts.horizon, edge if known.any() else None, first),
    )


def _level(facts: Facts) -> float:
    return float(facts.boundaries[0]["level"]) if facts.boundaries else facts.level


def _floats(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _track(
    record: Record, curve: str, label: str, family: int = 0, *, free: bool = False
) -> Track | None:
    """A curve of a horizon record, or None where it has none of that name."""
    columns = record["curves"]
    if f"{curve}.horizon" not in columns:
        return None
    horizon = _floats(columns[f"{curve}.horizon"])
    none = [None] * horizon.size
    low, high = (_floats(columns.get(f"{curve}.{end}", none)) for end in ("low", "high"))
    return Track(label, horizon, _floats(columns[f"{curve}.critical"]), low, high, family, free)


def _observed(facts: Facts) -> Track:
    """The boundary against the horizon: of the horizon analysis, or of the first estimator."""
    record = facts.single("horizon")
    if record is not None:
        label = str(record["extras"].get("boundary") or "observed boundary")
        made = _track(record, "boundary", label)
        if made is not None:
            return made
    at = [r for r in facts.boundaries_at if r["horizon_steps"] is not None]
    at = sorted(at, key=lambda r: r["horizon_steps"])
    found = [limits(r, "critical") or (None, None, None) for r in at]
    value, low, high = (_floats([row[i] for row in found]) for i in range(3))
    label = estimator_words(at[0]) if at else "none"
    return Track(label, _floats([r["horizon_steps"] for r in at]), value, low, high)


def _laws(record: Record) -> list[Track]:
    """What every fitted law of the times predicts of the boundary."""
    tracks = [
        _track(record, f"law_{kind}_{name}", words, family, free=kind == "free")
        for family, (name, words) in enumerate(DISTRIBUTIONS.items())
        for kind in ("zero", "free")
    ]
    return [track for track in tracks if track is not None]


def _horizons(facts: Facts) -> Drawing | Missing:
    title = "The boundary moves with the horizon"
    record = facts.single("horizon")
    if len(facts.cells_at) < 2 and record is None:
        return Missing(title, "no fit at a second horizon is in fits.json")
    steps = ", ".join(f"{horizon}" for horizon in sorted(facts.cells_at))
    laws = [] if record is None else _laws(record)
    observed = _observed(facts)
    lines = (
        "Lines: where the median time of each fitted law meets the horizon, with λc = 0 (solid) "
        f"and λc free (dashed), also beyond the data. {verdict_words(record)}"
        if record
        else "Dashed: where a time of C / weight decay, without any threshold, would put it."
    )
    return Drawing(
        name="horizons",
        title=title,
        caption=(
            f"The same records censored at {steps} steps: rate of grokking (share, dimensionless) "
            "against weight decay, and the critical weight decay λc against the horizon (steps; "
            f"{observed.label}). The data are nested, so the points are correlated. {lines} "
            f"{_level(facts):.0%} intervals. {context(facts)}"
        ),
        figure=horizons_figure(
            facts.cells_at,
            facts.boundaries_at,
            facts.window_max,
            observed,
            laws,
            None if record is None else record["extras"].get("deciding_horizon"),
        ),
    )
