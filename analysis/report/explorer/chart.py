"""The page that moves, declared in Vega-Lite by Altair: three linked views and their controls."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from observatory.analysis.report.explorer.data import SERIES
from observatory.analysis.report.explorer.view_curves import (
    ALIGN,
    BLUE,
    GREEN,
    GREY,
    MARKED,
    RED,
    box,
    curves_view,
    either,
)

_HEIGHT, _WIDTH = 250, 380
_OTHERS = 0.15
"""Opacity of what is not chosen."""


def explorer_spec(block: Mapping[str, Any]) -> dict[str, Any]:
    """The views over the block of `explorer_data`, its data sets named `fits`, `rates`, `replicas`.

    Controls are parameters bound to inputs below `#explorer-controls`: group, event (`preset`),
    horizon (a place in the grid), series, alignment, weight decay, replica.
    """
    cells = sorted({(row["x"], row["wd"]) for row in block["rates"]})
    cell = alt.selection_point(
        name="cell",
        fields=["wd"],
        bind=_select("Weight decay", [wd for _, wd in cells], [f"{wd:g}" for _, wd in cells]),
        on=_over("click", "wd"),
        clear="dblclick",
    )
    ids = [row["id"] for row in block["replicas"]]
    names = [f"{row['wd']:g}, seed {row['seed']}" for row in block["replicas"]]
    replica = alt.selection_point(
        name="replica",
        fields=["id"],
        bind=_select("Replica", ids, names),
        on=_over("click", "id"),
        clear="dblclick",
    )
    brush = alt.selection_interval(name="brush", encodings=["x"])
    hover = alt.selection_point(
        name="hover", fields=["wd"], on=_over("pointerover", "wd"), clear="pointerout"
    )
    axis_places = [x for x, _ in cells]
    axis = _decay_axis(axis_places, [wd for _, wd in cells])
    top = alt.hconcat(
        _rates(axis, _ends(axis_places), cell, hover, brush).properties(
            name="rates", width=_WIDTH, height=_HEIGHT
        ),
        _times(axis, block, cell, replica, brush).properties(
            name="times", width=_WIDTH, height=_HEIGHT
        ),
    )
    below = curves_view(sorted(wd for _, wd in cells), cell, hover, brush, replica).properties(
        name="curves", width=2 * _WIDTH, height=_HEIGHT
    )
    chart = alt.vconcat(top, below).add_params(*_controls(block))
    chart = chart.resolve_legend(color="independent").resolve_scale(color="independent")
    return chart.configure_view(strokeOpacity=0).to_dict()


def _over(event: str, field: str) -> str:
    """An event on a mark that has the field, or on none: a box or a band is no choice."""
    item = "event.item"
    return f"{event}[!{item} || {item}.mark.marktype == 'group' || isValid({item}.datum.{field})]"


def _controls(block: Mapping[str, Any]) -> list[alt.Parameter]:
    groups = list(range(len(block["groups"])))
    events, n = list(block["events"]), len(block["steps"][0])
    return [
        alt.param(name="steps", value=block["steps"]),
        alt.param(name="group", value=0, bind=_select("Group", groups, block["groups"], all_=False))
        if len(groups) > 1
        else alt.param(name="group", value=0),
        alt.param(
            name="preset", value=events[0], bind=_select("Event", events, events, all_=False)
        ),
        alt.param(
            name="horizon",
            value=n - 1,
            bind=alt.binding_range(min=0, max=n - 1, step=1, name="Horizon", element=_PLACE),
        ),
        alt.param(
            name="series",
            value=next(iter(SERIES)),
            bind=_select("Curves", list(SERIES), list(SERIES.values()), all_=False),
        ),
        alt.param(
            name="align",
            value="steps",
            bind=_select("Aligned", list(ALIGN), list(ALIGN.values()), all_=False),
        ),
        alt.param(name="marked", value=None),
        alt.param(name="marked_wd", value=None),
        alt.param(name="until", expr="steps[group][horizon]"),
    ]


_PLACE = "#explorer-controls"


def _select(
    name: str, values: Sequence[Any], labels: Sequence[str], *, all_: bool = True
) -> alt.BindRadioSelect:
    options, words = ([None, *values], ["all", *labels]) if all_ else (values, labels)
    return alt.binding_select(options=options, labels=words, name=name, element=_PLACE)


def _decay_axis(places: Sequence[float], decays: Sequence[float]) -> alt.X:
    """Weight decay on a log axis, a tick at each, 0 at its own place below the smallest."""
    zero = next((x for x, wd in zip(places, decays, strict=True) if wd == 0), None)
    label = "format(datum.value, '~g')"
    if zero is not None:
        label = f"datum.value <= {zero * 1.01!r} ? '0' : {label}"
    return alt.X(
        "x:Q",
        scale=alt.Scale(type="log", domain=_ends(places), nice=False),
        axis=alt.Axis(
            values=sorted(set(places)), labelExpr=label, labelOverlap="greedy", grid=False
        ),
        title="weight decay",
    )


def _ends(places: Sequence[float]) -> list[float]:
    """Ends of the axis of weight decay."""
    return [min(places) / 1.25, max(places) * 1.25]


def _shown(here: bool = True) -> str:
    """Rows of the group and the event that are chosen, and of the horizon."""
    return "datum.g == group && datum.e == preset" + (" && datum.h == horizon" if here else "")


def _rates(
    axis: alt.X,
    ends: Sequence[float],
    cell: alt.Parameter,
    hover: alt.Parameter,
    brush: alt.Parameter,
) -> alt.LayerChart | alt.FacetChart:
    of_fits = alt.Chart(alt.NamedData("fits")).transform_filter(_shown())
    low, high = ends
    band = (
        of_fits.transform_filter("isValid(datum.c) && (isValid(datum.lo) || isValid(datum.hi))")
        .transform_calculate(
            lo=f"max(isValid(datum.lo) ? datum.lo : 0, {low})",
            hi=f"min(isValid(datum.hi) ? datum.hi : 1e300, {high})",
        )
        .mark_rect(opacity=0.18, color=BLUE)
        .encode(x=alt.X("lo:Q"), x2="hi:Q")
    )
    rule = (
        of_fits.transform_filter("isValid(datum.c)")
        .mark_rule(color=BLUE, strokeWidth=2)
        .encode(x=alt.X("c:Q"), tooltip=[alt.Tooltip("c:Q", title="λc", format=".3g")])
    )
    base = (
        alt.Chart(alt.NamedData("rates"))
        .transform_filter(_shown())
        .encode(
            x=axis,
            opacity=either(
                [cell, brush], "(marked === null || indexof(marked_wd, datum.wd) >= 0)", 1, 0.3
            ),
        )
    )
    bars = base.mark_rule(strokeWidth=1.4, color=GREY).encode(
        y=alt.Y("lo:Q", title="event rate, share of replicas", scale=alt.Scale(domain=[0, 1])),
        y2="hi:Q",
    )
    points = (
        base.mark_point(filled=True, size=90, color=RED, cursor="pointer")
        .encode(
            y="rate:Q",
            tooltip=[
                alt.Tooltip("wd:Q", title="weight decay", format="~g"),
                alt.Tooltip("k:Q", title="with the event"),
                alt.Tooltip("n:Q", title="replicas"),
                alt.Tooltip("rate:Q", title="rate", format=".3f"),
                alt.Tooltip("lo:Q", title="lower limit", format=".3f"),
                alt.Tooltip("hi:Q", title="upper limit", format=".3f"),
            ],
            description="wd:Q",
        )
        .add_params(cell, hover, brush)
    )
    said = "Event rate against weight decay at the horizon chosen, with the boundary."
    return alt.layer(band, rule, bars, points).properties(
        title="Event rate and boundary", description=said
    )


def _times(
    axis: alt.X,
    block: Mapping[str, Any],
    cell: alt.Parameter,
    replica: alt.Parameter,
    brush: alt.Parameter,
) -> alt.LayerChart | alt.FacetChart:
    steps = [step for own in block["steps"] for step in own]
    y = alt.Y(
        "y:Q",
        title="step of the event",
        scale=alt.Scale(type="log", domain=[max(1, min(steps) / 2), max(steps) * 1.2], nice=False),
        axis=alt.Axis(format="~s", grid=True, tickCount=4),
    )
    points = (
        alt.Chart(alt.NamedData("replicas"))
        .transform_filter("datum.g == group")
        .transform_calculate(
            t="datum['t_' + preset]",
            seen="isValid(datum['t_' + preset]) && datum['t_' + preset] <= until",
        )
        .transform_calculate(
            y="datum.seen ? datum.t : max(1, min(datum.end, until))",
            state="datum.seen ? 'with the event' : 'not by then'",
        )
        .mark_point(size=42, cursor="pointer", strokeWidth=1.4)
        .encode(
            x=axis,
            y=y,
            shape=alt.Shape(
                "state:N",
                scale=alt.Scale(
                    domain=["with the event", "not by then"], range=["circle", "triangle-up"]
                ),
                legend=None,
            ),
            color=alt.when(replica, empty=False).then(alt.value(GREEN)).otherwise(alt.value(BLUE)),
            opacity=either([cell, brush], MARKED, 0.85, _OTHERS),
            tooltip=[
                alt.Tooltip("wd:Q", title="weight decay", format="~g"),
                alt.Tooltip("seed:Q"),
                alt.Tooltip("state:N"),
                alt.Tooltip("t:Q", title="step of the event"),
                alt.Tooltip("out:N", title="outcome"),
            ],
        )
        .add_params(replica, box("times_box"))
    )
    horizon = (
        alt.Chart(alt.NamedData("fits"))
        .transform_filter(_shown())
        .transform_calculate(y="until")
        .mark_rule(strokeDash=[5, 3], color=GREY)
        .encode(y=alt.Y("y:Q"))
    )
    said = "Step of the event of every replica; dashed, the horizon chosen."
    return alt.layer(points, horizon).properties(
        title="When it happened (triangle: not by then)", description=said
    )
