"""Each figure draws what its table holds: as many points, the censored ones marked, the break."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from observatory.analysis.boundary.figure_rate import draw_rate_and_boundary, draw_window
from observatory.analysis.horizon.figure_horizons import Track, horizons_figure
from observatory.analysis.horizon.figure_regimes import _REGIMES, draw_regimes, regime_shares
from observatory.analysis.page.bands import aligned
from observatory.analysis.page.decay_axis import positions
from observatory.analysis.page.facts import gather
from observatory.analysis.page.forest import Row, forest_figure
from observatory.analysis.page.groups import Group
from observatory.analysis.page.panels import panels_figure
from observatory.analysis.page.records import boundary_curve
from observatory.analysis.page.style import (
    FORMATS,
    OUTCOME_COLOURS,
    panel_figure,
    plain_log_ticks,
    written,
)
from observatory.analysis.report.figure_heatmap import heatmap_figure
from observatory.analysis.report.figure_overlay import Boundary, overlay_figure
from observatory.analysis.tables.cells import cells_record
from observatory.analysis.times.figure_joint import Region, joint_figure, on_lattice
from observatory.analysis.times.figure_survival import (
    cumulative_incidence,
    draw_shares,
    incidence_table,
    survival_figure,
)
from observatory.analysis.times.figure_times import draw_all_times, drawn_times
from observatory.analysis.training.figures import (
    draw_outcomes,
    phases_figure,
    trajectories_figure,
)
from observatory.store.reader import Run
from tests.unit.analysis.report.records import boundary, law, survival, window


def _cells() -> pd.DataFrame:
    table = pd.DataFrame({"weight_decay": [0.0, 0.1, 1.0, 10.0], "n": 8, "n_event": [0, 4, 8, 0]})
    table["rate"] = table["n_event"] / table["n"]
    table["wilson_low"], table["wilson_high"] = table["rate"] * 0.5, table["rate"] * 0.5 + 0.5
    for outcome in OUTCOME_COLOURS:
        table[outcome] = 0
    table["grokked"], table["memorised"] = table["n_event"], [8, 4, 0, 0]
    table["collapsed"] = [0, 0, 0, 8]
    return table


def _record(horizon: int = 2500, refused: str | None = None) -> dict[str, Any]:
    params = {
        "critical": {"value": 0.1, "se": None, "ci_low": 0.08, "ci_high": 0.13},
        "slope": {"value": 12.0, "se": None, "ci_low": 9.0, "ci_high": None},
    }
    return {
        "fit": "boundary",
        "estimator": "least_squares",
        "event": "first99",
        "horizon_steps": horizon,
        "params": {} if refused else params,
        "level": 0.95,
        "n": 24,
        "warnings": [],
        "refused": refused,
        "extras": {"link": "logistic"},
        "curves": {},
    }


def _times() -> pd.DataFrame:
    nan = np.nan
    return pd.DataFrame(
        [
            (0.0, nan, nan, 2500, "censored"),
            (0.0, nan, nan, 2500, "censored"),
            (0.1, 2000, 2025, 2300, "grokked"),
            (0.1, nan, nan, 2500, "censored"),
            (1.0, 275, 300, 600, "grokked"),
            (1.0, 0, 25, 600, "grokked"),
            (1.0, nan, nan, 400, "diverged"),
            (10.0, nan, nan, 800, "collapsed"),
        ],
        columns=["weight_decay", "t_lo", "t_hi", "watched", "end"],
    )


def _bands(
    quantities: list[str], decays: tuple[float, ...] = (0.0, 1.0), n_looks: int = 3
) -> pd.DataFrame:
    steps = np.geomspace(10, 1000, n_looks).round()
    return pd.concat(
        pd.DataFrame(
            {
                **{"quantity": quantity, "weight_decay": decay, "step": steps},
                **{"median": 0.5, "q25": 0.4, "q75": 0.6, "n": 8, "n_cell": 8},
            }
        )
        for quantity in quantities
        for decay in decays
    )


def _alone(draw: Callable[..., None], *given: Any, **named: Any) -> Figure:
    """The figure of one panel."""
    return panel_figure(lambda axes: draw(axes, *given, **named), 3.9)


def _found(figure: Figure, gid: str) -> list[Any]:
    return [artist for axes in figure.axes for artist in axes.findobj() if artist.get_gid() == gid]


def _n_points(figure: Figure, gid: str) -> int:
    return sum(len(line.get_xdata()) for line in _found(figure, gid))


def test_rate_has_a_point_and_an_n_per_weight_decay_and_a_broken_axis():
    figure = _alone(draw_rate_and_boundary, _cells(), [_record()], window_max=1.0)
    axes = figure.axes[0]
    (points,) = [c for c in axes.containers if c.get_label().startswith("event rate")]
    np.testing.assert_allclose(points.lines[0].get_ydata(), [0, 0.5, 1, 0])
    assert [text.get_text() for text in axes.texts] == ["8"] * 4
    assert len(_found(figure, "axis-break")) == 1
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "0.1", "1", "10"]
    assert _n_points(figure, "share-collapsed") == 1
    assert not _found(figure, "share-diverged")


def test_rate_draws_the_curve_in_its_window_and_the_critical_point_with_its_interval():
    figure = _alone(draw_rate_and_boundary, _cells(), [_record()], window_max=1.0)
    (curve,) = _found(figure, "fit")
    assert (curve.get_xdata().min(), curve.get_xdata().max()) == pytest.approx((0.1, 1.0))
    (line,) = _found(figure, "critical")
    assert line.get_xdata()[0] == pytest.approx(0.1)
    (band,) = _found(figure, "critical-interval")
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((0.08, 0.13))


def test_an_interval_without_ends_is_neither_drawn_nor_named():
    record = _record()
    record["params"]["critical"] |= {"ci_low": None, "ci_high": None}
    figure = _alone(draw_rate_and_boundary, _cells(), [record], window_max=1.0)
    assert len(_found(figure, "critical")) == 1
    assert not _found(figure, "critical-interval")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "least squares: λc = 0.1" in labels
    edge = Track("a fit", np.array([100.0]), np.array([0.3]), *[np.array([np.nan])] * 2)
    (line,) = (
        _alone(draw_regimes, _times().assign(t_mem=50.0), 2500, edge, 10).axes[0].collections[-1:]
    )
    assert all(len(segment) == 0 for segment in line.get_segments())


def test_an_interval_with_one_end_is_an_arrow_from_the_estimate_and_no_band_to_the_edge():
    record = _record()
    record["params"]["critical"] |= {"ci_low": 0.05, "ci_high": None}
    figure = _alone(draw_rate_and_boundary, _cells(), [record], window_max=1.0)
    (band,) = _found(figure, "critical-interval")
    assert band.get_extents().x1 == pytest.approx(
        figure.axes[0].transData.transform((0.1, 0))[0], rel=0.01
    )
    assert len(_found(figure, "unbounded")) == 1


def test_a_refused_fit_is_not_drawn():
    figure = _alone(
        draw_rate_and_boundary, _cells(), [_record(refused="separated")], window_max=1.0
    )
    assert not _found(figure, "fit")
    assert not _found(figure, "critical")


def test_a_lapse_bounds_the_fitted_curve_and_a_fixed_one_counts_too():
    record = _record() | {"extras": {"link": "logistic", "lapse": 0.25}}
    assert boundary_curve(record, np.array([1e3]))[0] == pytest.approx(0.75)


def test_zero_lies_a_gap_below_the_smallest_weight_decay():
    x = positions([0.0, 0.1, 1.0], [0.0, 0.1, 1.0])
    assert x[0] < 0.5 * x[1]
    np.testing.assert_array_equal(x[1:], [0.1, 1.0])


@pytest.mark.parametrize("cells", [[0.0], [0.3], [0.1, 0.3]])
def test_an_axis_without_zero_or_with_zero_alone_has_no_break(cells: list[float]):
    table = _cells().iloc[: len(cells)].assign(weight_decay=cells)
    assert not _found(_alone(draw_rate_and_boundary, table, [], window_max=1.0), "axis-break")


def test_outcomes_stack_to_one_and_show_counts():
    figure = _alone(draw_outcomes, _cells())
    bars = [patch for axes in figure.axes for patch in axes.patches]
    tops: dict[float, float] = {}
    for bar in bars:
        tops[bar.get_x()] = max(tops.get(bar.get_x(), 0), bar.get_y() + bar.get_height())
    assert list(tops.values()) == pytest.approx([1, 1, 1, 1])
    assert sorted(text.get_text() for text in figure.axes[0].texts) == ["4", "4", "8", "8", "8"]


def test_times_draw_every_replica_once_and_mark_the_censored():
    figure = _alone(draw_all_times, _times(), {}, horizon=2500, window_max=1.0)
    counts = {k: _n_points(figure, k) for k in ("grokked", "censored", "collapsed", "diverged")}
    assert counts == {"grokked": 3, "censored": 3, "collapsed": 1, "diverged": 1}
    (censored,) = _found(figure, "censored")
    assert censored.get_marker() == "^"
    assert censored.get_markerfacecolor() == "none"
    np.testing.assert_array_equal(censored.get_ydata(), [2500, 2500, 2500])
    (spans,) = _found(figure, "grokked-interval")
    assert len(spans.get_segments()) == 3


def test_of_many_replicas_some_are_drawn_evenly_and_none_of_a_kind_is_lost(monkeypatch):
    many = pd.concat([_times()] * 30, ignore_index=True)
    many["t_hi"] += np.arange(len(many))
    monkeypatch.setattr("observatory.analysis.times.figure_times.MAX_DOTS", 60)
    kept = drawn_times(many)
    for (decay, end), cell in many.groupby(["weight_decay", "end"]):
        own = kept[(kept["weight_decay"] == decay) & (kept["end"] == end)]
        assert len(own) == pytest.approx(len(cell) * 60 / len(many), abs=1)
        if end == "grokked":
            assert {cell["t_hi"].min(), cell["t_hi"].max()} <= set(own["t_hi"])
    figure = _alone(draw_all_times, many, {}, horizon=2500, window_max=1.0)
    drawn = (_n_points(figure, kind) for kind in ("grokked", "censored", "collapsed", "diverged"))
    assert sum(drawn) == len(kept) < 70


def test_a_power_law_is_drawn_over_its_window_only():
    laws = {"one": lambda weight_decay: 300 / weight_decay}
    figure = _alone(draw_all_times, _times(), laws, horizon=2500, window_max=1.0)
    (line,) = _found(figure, "power-law")
    assert line.get_xdata().max() == pytest.approx(1.0)


def test_times_of_a_study_in_which_nothing_grokked():
    times = _times()[lambda t: t["end"] == "censored"].reset_index(drop=True)
    assert _n_points(_alone(draw_all_times, times, {}, 2500, 1.0), "censored") == 3
    figure = _alone(draw_shares, incidence_table(times), _ends(times), 2500, None)
    assert not _found(figure, "incidence")


def _track(horizons: list[int], criticals: list[float], *, free: bool = False) -> Track:
    h, c = np.array(horizons, dtype=float), np.array(criticals)
    return Track("a law", h, c, 0.8 * c, 1.2 * c, free=free)


def test_horizons_have_a_panel_each_and_one_for_the_critical_point():
    tables = {1000: _cells(), 1500: _cells(), 2500: _cells()}
    records = [_record(h, refused="no" if h == 1000 else None) for h in tables]
    observed = _track([1000, 1500, 2500], [np.nan, 0.1, 0.1])
    figure = horizons_figure(tables, records, 1.0, observed, [], None)
    assert len(figure.axes) == 2
    assert len(_found(figure, "rates")) == 3
    assert len(_found(figure, "fit")) == 2
    assert _n_points(figure, "critical-at-horizon") == 2
    assert len(_found(figure, "inverse")) == 1


def test_of_many_horizons_few_are_drawn_and_laws_take_the_place_of_one_over_the_horizon():
    tables = {h: _cells() for h in (500, 1000, 1500, 2000, 2500)}
    observed = _track([500, 1000, 2500], [0.5, 0.25, 0.1])
    laws = [_track([500, 9000], [0.5, 0.1]), _track([500, 9000], [0.5, 0.2], free=True)]
    figure = horizons_figure(tables, [], 1.0, observed, laws, deciding=4000.0)
    assert len(_found(figure, "deciding")) == 1
    said = [text.get_text() for text in figure.legends[0].get_texts()]
    assert said[:3] == ["500 steps", "1500 steps", "2500 steps"]
    assert len(_found(figure, "interval")) == 3
    assert (len(_found(figure, "law-zero")), len(_found(figure, "law-free"))) == (1, 1)
    assert not _found(figure, "inverse")


def test_survival_draws_few_curves_with_bands_and_every_restricted_mean():
    record = survival(decays=tuple(float(x) for x in np.geomspace(0.2, 2, 9)))
    curves = pd.DataFrame({k[3:]: v for k, v in record["curves"].items() if k[:2] == "km"})
    means = pd.DataFrame({k[5:]: v for k, v in record["curves"].items() if k[:4] == "rmst"})
    ends = pd.DataFrame({"weight_decay": [0.2], "step": [2500]})
    figure = survival_figure(curves, ends, 2500, lambda decay, steps: steps / 5000, means)
    assert len(_found(figure, "incidence")) == len(_found(figure, "law")) == 5
    assert len(_found(figure, "incidence-band")) == 5
    assert _n_points(figure, "restricted-mean") == 9
    assert _n_points(figure, "censored") == 1
    (first, *_) = _found(figure, "incidence")
    assert first.get_ydata()[-1] == curves.loc[curves["weight_decay"] == 0.2, "share"].max()


def test_survival_without_a_fit_is_the_cumulative_incidence():
    figure = _alone(draw_shares, incidence_table(_times()), _ends(_times()), 2500, None)
    assert len(figure.axes) == 1
    heights = [line.get_ydata()[-1] for line in _found(figure, "incidence")]
    assert heights == pytest.approx([0.5, 2 / 3])


def _ends(times: pd.DataFrame) -> pd.DataFrame:
    return times.loc[times["end"] == "censored", ["weight_decay", "watched"]].set_axis(
        ["weight_decay", "step"], axis=1
    )


def test_the_region_holds_its_estimate_and_is_open_where_the_grid_has_no_point():
    free = law("weibull", "free")
    columns = {k: np.array(v, dtype=float) for k, v in free["curves"].items()}
    region = Region(
        "Weibull",
        *(columns[f"region.{name}"] for name in ("critical", "nu", "delta")),
        cloud=np.stack([columns["joint.critical"], columns["joint.nu"]], axis=1),
        best=(0.02, 0.93),
        zero=(0.99, 0.9, 1.1),
    )
    criticals, nus, delta = on_lattice(region)
    assert delta.shape == (nus.size, criticals.size) == (31, 21)
    assert np.isnan(delta[:, criticals > 0.085]).all()
    figure = joint_figure([region, region], [(0.0, 0.8), (0.08, 0.5)])
    assert len(_found(figure, "zero-line")) == len(_found(figure, "best")) == 2
    assert len(_found(figure, "uncensored")) == 4
    assert _n_points(figure, "cloud") == 400
    left, right = figure.axes[0].get_xlim()
    assert left < 0
    assert right > 0.08
    far = joint_figure([region], [(0.0, 0.8), (0.5, 0.4)])
    assert len(_found(far, "uncensored")) == 1
    assert [t.get_text() for t in _found(far, "uncensored-beyond")] == ["(0.5, 0.4) →"]
    lower = replace(region, nu=region.nu - 1.0, best=(0.02, -0.07), zero=None)
    both = joint_figure([region, lower], [])
    bottom, top = both.axes[0].get_ylim()
    assert top > 1.1  # the interval at 0 of the first panel, whatever the last one needs
    assert bottom < 0


def test_a_window_has_both_edges_and_falls_again():
    figure = _alone(draw_window, _cells(), window())
    (curve,) = _found(figure, "fit")
    y = curve.get_ydata()
    assert y[0] < 0.3
    assert y.max() > 0.9
    assert y[-1] < 0.1
    assert len(_found(figure, "critical")) == len(_found(figure, "critical-interval")) == 2


@pytest.mark.parametrize("link", ["logistic", "probit", "cloglog"])
def test_a_curve_of_any_link_is_half_way_at_its_critical_point(link: str):
    record = boundary("maximum_likelihood", 0.2, link=link)
    assert boundary_curve(record, np.array([0.2]))[0] == pytest.approx(0.5)


def test_an_estimator_of_ones_own_is_drawn_by_its_own_curve_or_by_none():
    own = _record() | {"params": {"critical": _record()["params"]["critical"]}, "extras": {}}
    assert np.isnan(boundary_curve(own, np.array([0.1]))).all()
    assert (
        len(_found(_alone(draw_rate_and_boundary, _cells(), [own], window_max=1.0), "critical"))
        == 1
    )
    own["curves"] = {"rate.weight_decay": [0.1, 1.0], "rate.share": [0.3, None]}
    assert boundary_curve(own, np.array([0.05, 0.1, 0.5]))[:2] == pytest.approx(
        [np.nan, 0.3], nan_ok=True
    )


def test_what_failed_after_its_event_had_it_until_then_in_every_figure_as_in_the_counts():
    ends = [("grokked", 600, None), ("lost", 900, None), ("collapsed", 800, None)]
    ends += [("diverged", 700, 650), ("memorised", 1000, None)]
    rows = pd.DataFrame(ends, columns=["outcome", "step", "diverged_step"])
    rows = rows.assign(run_id="r", replica=range(5), seed=range(5), weight_decay=0.1, mem_hi=50)
    rows["first99_observed"] = rows["outcome"] != "memorised"
    rows["first99_hi"] = np.where(rows["first99_observed"], 300.0, np.nan)
    rows["first99_lo"] = rows["first99_hi"] - 25
    records = [cells_record(rows, "first99", horizon, 1, 0.95) for horizon in (1000, 700, 400)]
    run = Run.__new__(Run)  # of which nothing else is read
    run.manifest = {"horizon_steps": 1000, "tables": {}}
    facts = gather(Group("", (run,), rows), records)
    event = list(_REGIMES).index("event observed")
    shares = regime_shares(facts.times, [0.1], np.array([1000.0, 700.0, 400.0]))
    rates = [float(table["rate"].iloc[0]) for table in facts.cells_at.values()]
    assert shares[event, :, 0].tolist() == rates == [0.4, 0.6, 0.8]
    assert facts.times["end"].tolist() == [
        "grokked",
        "grokked",
        "collapsed",
        "diverged",
        "censored",
    ]


def test_regimes_are_shares_that_sum_to_one_and_change_with_the_horizon():
    times = _times().assign(t_mem=[50, 50, 60, 60, 70, 20, np.nan, np.nan])
    shares = regime_shares(times, [0.0, 0.1, 1.0, 10.0], np.array([55.0, 500.0, 2500.0]))
    assert shares.sum(axis=0) == pytest.approx(1.0)
    np.testing.assert_allclose(shares[2, :, 2], [1 / 3, 2 / 3, 2 / 3])  # grokked
    np.testing.assert_allclose(shares[3, :, 3], [0, 0, 1])  # collapsed
    np.testing.assert_allclose(shares[1, :, 1], [0, 1, 0.5])  # memorised
    edge = Track("λc", np.array([1e3, 2.5e3]), np.array([0.4, 0.2]), np.full(2, np.nan), np.ones(2))
    figure = _alone(draw_regimes, times, 2500, edge, 10)
    assert _n_points(figure, "edge") == 2
    assert len(_found(figure, "regimes")) == 1


def test_aligned_readings_stand_at_their_own_time_and_end_with_the_record():
    frame = pd.DataFrame({"run_id": "r", "replica": [0] * 4 + [1] * 4, "step": [0, 10, 20, 30] * 2})
    frame["x"] = frame["step"] / np.where(frame["replica"] == 0, 10.0, 20.0)
    anchors = pd.DataFrame({"run_id": "r", "replica": [0, 1, 2], "weight_decay": 1.0})
    anchors = anchors.assign(time=[10.0, 20.0, 20.0])
    made = aligned(frame, anchors, ["x"], (0.5, 2.0), 3)
    at = made.set_index("step")
    assert at.loc[1.0, "median"] == 1.0
    assert at.loc[1.0, ["n", "n_cell"]].tolist() == [2, 3]
    assert 2.0 not in at.index  # one of three still has a record


def test_phases_have_a_row_per_quantity_and_a_column_per_clock():
    table = _bands(["val_acc", "s_bar", "sigma_h"], (0.1, 1.0))
    figure = phases_figure({"steps": table, "steps / time to grok": table})
    assert len(figure.axes) == 6
    assert len(_found(figure, "median")) == 12
    assert len(_found(figure, "event")) == 3


def test_a_forest_has_an_interval_per_row_and_marks_what_is_unbounded_or_refused():
    rows = [Row("a", (0.1, 0.05, 0.2)), Row("b", (0.3, None, None)), Row("c", None)]
    rows.append(Row("d", (0.3, 0.2, None)))
    figure = forest_figure(rows, [Row("b / a", (3.0, 1.5, 6.0))])
    assert _n_points(figure, "estimate") == 4
    assert _n_points(figure, "unbounded") == 1
    assert len(_found(figure, "interval")) == 3
    told = [label.get_text() for axes in figure.axes for label in axes.get_yticklabels()]
    assert {"refused", "0.3", "0.3, above 0.2", "3 [1.5, 6]"} <= set(told)
    assert len(_found(figure, "equal")) == 1


def test_a_map_prints_the_counts_and_leaves_out_what_was_not_run():
    cells = _cells()
    figure = heatmap_figure([("one", cells), ("two\nlines", cells.iloc[:2])])
    counts = [text.get_text() for text in _found(figure, "count")]
    assert counts == ["0/8", "4/8", "8/8", "0/8", "0/8", "4/8", "–", "–"]


def test_an_overlay_has_points_per_group_and_curves_where_there_is_a_boundary():
    groups = [
        Boundary("one", _cells(), _record()),
        Boundary("two", _cells(), _record(refused="separated")),
        Boundary("three$", _cells(), None),
    ]
    figure = overlay_figure(groups, 1.0)
    assert len(_found(figure, "fit")) == len(_found(figure, "critical")) == 1
    labels = [c.get_label() for c in figure.axes[0].containers]
    assert labels == ["one", "two", "three\\$"]


def test_trajectories_have_a_panel_per_weight_decay_with_a_band_for_each_split():
    figure = trajectories_figure(
        _bands(["train_acc", "val_acc"], (0.0, 0.1, 1.0)), "acc", "accuracy"
    )
    drawn = [axes for axes in figure.axes if axes.axison]
    assert len(drawn) == 3
    assert len(_found(figure, "median-val")) == len(_found(figure, "quartiles-train")) == 3
    assert all(axes.get_xscale() == "log" for axes in drawn)


def test_panels_have_a_line_per_weight_decay_and_a_dot_where_it_grokked():
    logarithmic, marks = {"s_bar": False, "norm": True}, {1.0: 250.0, 0.0: 5000.0}
    figure = panels_figure(_bands(["s_bar", "norm"], n_looks=40), logarithmic, marks)
    drawn = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_yscale() for axes in drawn] == ["linear", "log"]
    assert len(_found(figure, "median")) == 4
    assert len(_found(figure, "mark")) == 2  # 5000 steps lie beyond the other curve
    few = panels_figure(_bands(["s_bar", "norm"]), logarithmic, marks)
    assert not _found(few, "mark"), "between few looks nothing is known, and dots are looks"


def test_four_panels_are_two_rows_of_two():
    figure = panels_figure(_bands(list("abcd")), dict.fromkeys("abcd", False), {})
    places = [axes.get_subplotspec() for axes in figure.axes if axes.axison]
    assert [(place.rowspan.start, place.colspan.start) for place in places if place] == [
        (0, 0), (0, 1), (1, 0), (1, 1)
    ]  # fmt: skip


def test_many_weight_decays_are_thinned_to_what_a_reader_can_tell_apart():
    bands = _bands(["s_bar"], tuple(np.geomspace(0.01, 1, 40)))
    assert len(_found(panels_figure(bands, {"s_bar": False}, {}), "median")) == 6


def test_a_series_of_few_looks_is_dots_that_are_joined_faintly():
    few = panels_figure(_bands(["s_bar"]), {"s_bar": False}, {})
    assert len(_found(few, "look")) == 2
    assert {line.get_alpha() for line in _found(few, "median")} == {0.5}
    steps = np.arange(10.0, 140.0, 10.0)
    table = pd.DataFrame({"quantity": "s_bar", "weight_decay": 1.0, "step": steps, "median": 0.5})
    many = panels_figure(table.assign(q25=0.4, q75=0.6), {"s_bar": False}, {})
    assert not _found(many, "look")
    assert {line.get_alpha() for line in _found(many, "median")} == {None}


def test_incidence_without_competitors_is_one_minus_kaplan_meier():
    times = np.array([1.0, 2.0, 2.0, 3.0, 4.0])
    grokked = np.array([True, True, False, False, True])
    _, share = cumulative_incidence(times, grokked, np.zeros(5, dtype=bool))
    survival = (1 - 1 / 5) * (1 - 1 / 4) * (1 - 1 / 1)
    assert share[-1] == pytest.approx(1 - survival)


def test_a_collapsed_replica_never_counts_as_one_that_might_still_grok():
    times, grokked = np.array([1.0, 2.0]), np.array([False, True])
    _, share = cumulative_incidence(times, grokked, ~grokked)
    assert share[-1] == pytest.approx(0.5)
    _, as_censored = cumulative_incidence(times, grokked, np.zeros(2, dtype=bool))
    assert as_censored[-1] == pytest.approx(1.0)


def test_drawing_leaves_matplotlibs_settings_alone_and_ignores_the_callers():
    with mpl.rc_context({"lines.linewidth": 9.0, "font.size": 30.0}):
        figure = _alone(draw_rate_and_boundary, _cells(), [_record()], window_max=1.0)
        assert mpl.rcParams["lines.linewidth"] == 9.0
    assert _found(figure, "fit")[0].get_linewidth() < 2


@pytest.mark.parametrize(
    ("limits", "narrow", "told"),
    [
        ((20, 3000), False, ["20", "50", "100", "200", "500", "1000", "2000"]),
        ((20, 3000), True, ["100", "1000"]),
        ((2e-6, 3.0), False, [10**-5, 10**-3, 10**-1]),
    ],
)
def test_numbers_of_a_log_axis_have_room(limits, narrow, told):
    axes = Figure().add_subplot(xscale="log", xlim=limits)
    plain_log_ticks(axes.xaxis, narrow=narrow)
    inside = [tick for tick in axes.get_xticks() if limits[0] <= tick <= limits[1]]
    labels = [axes.xaxis.get_major_formatter()(tick) for tick in inside]
    powers = [f"$\\mathdefault{{10^{{{np.log10(value):.0f}}}}}$" for value in inside]
    assert labels == (told if isinstance(told[0], str) else powers)


@pytest.mark.slow
def test_the_same_figure_is_written_as_the_same_bytes():
    draws = [
        _alone(draw_rate_and_boundary, _cells(), [_record()], window_max=1.0) for _ in range(2)
    ]
    first, second = (written(drawn, FORMATS, dpi=60) for drawn in draws)
    assert set(first) == {"svg", "pdf", "png"}
    assert first == second
