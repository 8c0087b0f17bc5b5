"""Figures of what the horizon does: regimes over time, the boundary at every horizon."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from observatory.analysis.horizon.figure_horizons import Track, horizons_figure
from observatory.analysis.horizon.figure_regimes import draw_regimes
from observatory.analysis.page.drawing import Drawing, NotDrawn, context, one_panel
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.frames import column
from observatory.analysis.page.records import Record, columns_of, estimator_name, floats, limits
from observatory.analysis.page.wording import verdict_words
from observatory.analysis.times.section_laws import DISTRIBUTIONS


def draw_horizons(facts: Facts) -> Iterator[Drawing | NotDrawn]:
    """The regimes, and how the boundary moves with the horizon."""
    yield _regimes(facts)
    yield _horizons(facts)


def _regimes(facts: Facts) -> Drawing | NotDrawn:
    title = "Regimes over weight decay and horizon"
    times = facts.times
    if times.empty:
        return NotDrawn(title, "no replica has a record yet")
    observed = _observed(facts)
    edge = None if np.isnan(observed.critical).all() else observed
    first = float(np.nanmin([*column(times, "t_mem"), *column(times, "t_hi"), facts.horizon]))
    first = min(first, facts.horizon / 2) / 1.5
    black = f"Black: the boundary λc at each horizon ({observed.label}) with its"
    memorised = (
        "Memorised: train accuracy has reached its level, the event has not occurred. "
        if not np.isnan(column(times, "t_mem")).all()
        else ""
    )
    on_top = (
        "No boundary was found."
        if edge is None
        else f"{black} {_level(facts)} interval, an arrow where it has no limit."
    )
    return one_panel(
        name="regimes",
        title=title,
        caption=(
            "State of the replicas of a weight decay (dimensionless, log axis, 0 left of the axis "
            "break) had training ended at each horizon (steps, log axis): a mixture of the colours "
            f"of the states by their shares (dimensionless). {memorised}{on_top} All horizons use "
            f"the same records: points are correlated. {context(facts)}"
        ),
        panel=partial(draw_regimes, times=times, horizon=facts.horizon, edge=edge, first=first),
        height=3.7,
        columns=5,
    )


def _horizons(facts: Facts) -> Drawing | NotDrawn:
    title = "The boundary moves with the horizon"
    record = facts.single("horizon")
    if len(facts.cells_at) < 2 and record is None:
        return NotDrawn(title, "no fit at a second horizon is in fits.json")
    steps = ", ".join(f"{horizon}" for horizon in sorted(facts.cells_at))
    laws = [] if record is None else _laws(record)
    deciding = None if record is None else record["extras"].get("deciding_horizon")
    observed = _observed(facts)
    if np.isnan(observed.critical).all():
        return NotDrawn(title, "no estimator gave a boundary at the longest horizon")
    if record:
        lines = (
            "Lines and bands: where the median times of the fitted laws meet the horizon, the "
            "middle one and the range of the three distributions of the times, with λc = 0 and "
            f"with λc free, also beyond the data. {verdict_words(record)}"
        )
    else:
        lines = "Dashed: where a time of C / weight decay, without any threshold, would put it."
    return Drawing(
        name="horizons",
        title=title,
        caption=(
            f"The same records censored at {steps} steps. Left: event rate (share, dimensionless) "
            "against weight decay at three of them, with the fitted curve where one was fitted. "
            f"Right: the critical weight decay λc against the horizon (steps; {observed.label}), "
            f"{_level(facts)} intervals. The data are nested, so the points are correlated. "
            f"{lines} {context(facts)}"
        ),
        figure=horizons_figure(
            facts.cells_at, facts.boundaries_at, facts.window_max, observed, laws, deciding
        ),
    )


def _observed(facts: Facts) -> Track:
    """The boundary against the horizon: of the horizon analysis, or of the first estimator."""
    record = facts.single("horizon")
    if record and (made := _track(record, "boundary", "observed boundary")):
        return made
    at = [r for r in facts.boundaries_at if r["horizon_steps"] is not None]
    at = sorted(at, key=lambda r: r["horizon_steps"])
    found = [limits(r, "critical") or (None, None, None) for r in at]
    value, low, high = (floats([row[i] for row in found]) for i in range(3))
    label = estimator_name(at[0]) if at else "no estimator gave one"
    return Track(label, floats([r["horizon_steps"] for r in at]), value, low, high)


def _laws(record: Record) -> list[Track]:
    tracks = [
        _track(record, f"law_{kind}_{name}", words, free=kind == "free")
        for name, words in DISTRIBUTIONS.items()
        for kind in ("zero", "free")
    ]
    return [track for track in tracks if track is not None]


def _track(record: Record, curve: str, label: str, *, free: bool = False) -> Track | None:
    """A curve of a horizon record, or None where it has none of that name."""
    found = columns_of(record, curve)
    if "horizon" not in found:
        return None
    none = np.full(found["horizon"].size, np.nan)
    low, high = found.get("low", none), found.get("high", none)
    return Track(label, found["horizon"], found["critical"], low, high, free)


def _level(facts: Facts) -> str:
    return f"{facts.boundaries[0]['level'] if facts.boundaries else facts.level:.0%}"
