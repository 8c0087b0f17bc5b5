"""Each figure draws what its table holds: as many points, the censored ones marked, the break."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from observatory.analysis.figures.attention import attention_figure
from observatory.analysis.figures.baselines import baselines_figure
from observatory.analysis.figures.boundary import boundary_curve
from observatory.analysis.figures.decay_axis import positions
from observatory.analysis.figures.horizons import horizons_figure
from observatory.analysis.figures.incidence import cumulative_incidence, incidence_figure
from observatory.analysis.figures.massive_activations import massive_activations_figure
from observatory.analysis.figures.outcomes import outcomes_figure
from observatory.analysis.figures.rate import rate_figure
from observatory.analysis.figures.style import OUTCOME_COLOURS, save
from observatory.analysis.figures.times import times_figure
from observatory.analysis.figures.trajectories import trajectories_figure


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
        "extras": {},
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


def _bands(quantities: list[str], decays: tuple[float, ...] = (0.0, 1.0)) -> pd.DataFrame:
    steps = np.array([10, 100, 1000])
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


def _found(figure: Figure, gid: str) -> list[Any]:
    return [artist for axes in figure.axes for artist in axes.findobj() if artist.get_gid() == gid]


def _n_points(figure: Figure, gid: str) -> int:
    return sum(len(line.get_xdata()) for line in _found(figure, gid))


def test_rate_has_a_point_and_an_n_per_weight_decay_and_a_broken_axis():
    figure = rate_figure(_cells(), [_record()], window_max=1.0)
    axes = figure.axes[0]
    (points,) = [c for c in axes.containers if c.get_label().startswith("grokked")]
    np.testing.assert_allclose(points.lines[0].get_ydata(), [0, 0.5, 1, 0])
    assert [text.get_text() for text in axes.texts] == ["8"] * 4
    assert len(_found(figure, "axis-break")) == 1
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "0.1", "1", "10"]
    assert _n_points(figure, "share-collapsed") == 1
    assert not _found(figure, "share-diverged")


def test_rate_draws_the_curve_in_its_window_and_the_critical_point_with_its_interval():
    figure = rate_figure(_cells(), [_record()], window_max=1.0)
    (curve,) = _found(figure, "fit")
    assert (curve.get_xdata().min(), curve.get_xdata().max()) == pytest.approx((0.1, 1.0))
    (line,) = _found(figure, "critical")
    assert line.get_xdata()[0] == pytest.approx(0.1)
    (band,) = _found(figure, "critical-interval")
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((0.08, 0.13))


def test_a_refused_fit_is_not_drawn():
    figure = rate_figure(_cells(), [_record(refused="separated")], window_max=1.0)
    assert not _found(figure, "fit")
    assert not _found(figure, "critical")


def test_a_lapse_bounds_the_fitted_curve_and_a_fixed_one_counts_too():
    record = _record() | {"extras": {"lapse": 0.25}}
    assert boundary_curve(record, np.array([1e3]))[0] == pytest.approx(0.75)


def test_zero_lies_a_gap_below_the_smallest_weight_decay():
    x = positions([0.0, 0.1, 1.0], [0.0, 0.1, 1.0])
    assert x[0] < 0.5 * x[1]
    np.testing.assert_array_equal(x[1:], [0.1, 1.0])


@pytest.mark.parametrize("cells", [[0.0], [0.3], [0.1, 0.3]])
def test_an_axis_without_zero_or_with_zero_alone_has_no_break(cells: list[float]):
    table = _cells().iloc[: len(cells)].assign(weight_decay=cells)
    assert not _found(rate_figure(table, [], window_max=1.0), "axis-break")


def test_outcomes_stack_to_one_and_show_counts():
    figure = outcomes_figure(_cells())
    bars = [patch for axes in figure.axes for patch in axes.patches]
    tops: dict[float, float] = {}
    for bar in bars:
        tops[bar.get_x()] = max(tops.get(bar.get_x(), 0), bar.get_y() + bar.get_height())
    assert list(tops.values()) == pytest.approx([1, 1, 1, 1])
    assert sorted(text.get_text() for text in figure.axes[0].texts) == ["4", "4", "8", "8", "8"]


def test_times_draw_every_replica_once_and_mark_the_censored():
    figure = times_figure(_times(), {}, horizon=2500, window_max=1.0)
    counts = {k: _n_points(figure, k) for k in ("grokked", "censored", "collapsed", "diverged")}
    assert counts == {"grokked": 3, "censored": 3, "collapsed": 1, "diverged": 1}
    (censored,) = _found(figure, "censored")
    assert censored.get_marker() == "^"
    assert censored.get_markerfacecolor() == "none"
    np.testing.assert_array_equal(censored.get_ydata(), [2500, 2500, 2500])
    (spans,) = _found(figure, "grokked-interval")
    assert len(spans.get_segments()) == 3


def test_a_power_law_is_drawn_over_its_window_only():
    laws = {"one": lambda weight_decay: 300 / weight_decay}
    figure = times_figure(_times(), laws, horizon=2500, window_max=1.0)
    (line,) = _found(figure, "power-law")
    assert line.get_xdata().max() == pytest.approx(1.0)


def test_times_of_a_study_in_which_nothing_grokked():
    times = _times()[lambda t: t["end"] == "censored"].reset_index(drop=True)
    assert _n_points(times_figure(times, {}, 2500, 1.0), "censored") == 3
    incidence_figure(times)


def test_horizons_have_a_panel_each_and_one_for_the_critical_point():
    tables = {1000: _cells(), 1500: _cells(), 2500: _cells()}
    records = [_record(h, refused="no" if h == 1000 else None) for h in tables]
    figure = horizons_figure(tables, records, window_max=1.0)
    assert len(figure.axes) == 4
    assert [axes.get_title("left").split("\n")[1] for axes in figure.axes[:3]] == [
        "fit refused",
        "λc = 0.1",
        "λc = 0.1",
    ]
    assert len(_found(figure, "fit")) == 2


def test_trajectories_have_a_panel_per_weight_decay_with_a_band_for_each_split():
    figure = trajectories_figure(
        _bands(["train_acc", "val_acc"], (0.0, 0.1, 1.0)), "acc", "accuracy"
    )
    drawn = [axes for axes in figure.axes if axes.axison]
    assert len(drawn) == 3
    assert len(_found(figure, "median-val")) == len(_found(figure, "quartiles-train")) == 3
    assert all(axes.get_xscale() == "log" for axes in drawn)


def test_panels_have_a_line_per_weight_decay_and_a_dot_where_it_grokked():
    figure = attention_figure(_bands(["s_bar", "sigma_h"]), {1.0: 250.0, 0.0: 5000.0})
    assert len([axes for axes in figure.axes if axes.axison]) == 2
    assert len(_found(figure, "median")) == 4
    assert len(_found(figure, "mark")) == 2  # 5000 steps lie beyond the other curve


@pytest.mark.parametrize(
    ("draw", "quantities"),
    [
        (baselines_figure, ["l2"]),
        (massive_activations_figure, ["ratio, block 0", "share > 10 medians, block 0"]),
    ],
)
def test_other_panels_take_what_was_measured(draw, quantities):
    figure = draw(_bands(quantities), {})
    assert len([axes for axes in figure.axes if axes.axison]) == len(quantities)


def test_many_weight_decays_are_thinned_to_what_a_reader_can_tell_apart():
    bands = _bands(["s_bar"], tuple(np.geomspace(0.01, 1, 40)))
    assert len(_found(attention_figure(bands, {}), "median")) == 12


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
        figure = rate_figure(_cells(), [_record()], window_max=1.0)
        assert mpl.rcParams["lines.linewidth"] == 9.0
    assert _found(figure, "fit")[0].get_linewidth() < 2


def test_the_same_figure_is_saved_as_the_same_bytes(tmp_path):
    draws = [rate_figure(_cells(), [_record()], window_max=1.0) for _ in range(2)]
    first, second = (save(d, tmp_path / str(i), "rate", dpi=60) for i, d in enumerate(draws))
    assert set(first) == {"svg", "pdf", "png"}
    for kind in first:
        assert first[kind].read_bytes() == second[kind].read_bytes()
