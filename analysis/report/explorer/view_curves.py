"""The view of the curves of replicas, laid over each other as the reader asks."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from observatory.analysis.report.explorer.data import SERIES

ALIGN = {
    "steps": "at step 0",
    "memorisation": "at memorisation",
    "event": "at the event",
    "decay time": "on lr x weight decay x steps",
}
"""How curves are laid over each other: the value of the control, and its words."""
BLUE, RED, GREEN, GREY = "#2b8cd6", "#e0662e", "#0aa577", "#8c959f"
"""Readable on a light and on a dark ground; green is the replica chosen."""
MARKED = "(marked === null || indexof(marked, datum.id) >= 0)"
"""Whether a replica lies in every box that was dragged across times or curves, if any was."""
_AT = (
    "align == 'memorisation' ? datum.s - datum.mem : "
    "align == 'event' ? datum.s - datum['t_' + preset] : "
    "align == 'decay time' ? datum.s * datum.lr * datum.wd : datum.s"
)
_KNOWN = (
    "align == 'memorisation' ? isValid(datum.mem) : "
    "align == 'event' ? isValid(datum['t_' + preset]) && datum['t_' + preset] <= until : true"
)
_TITLE = (
    "(series == 'val_acc' ? 'Val' : 'Train') + ' accuracy against ' + "
    "(align == 'memorisation' ? 'steps since memorisation' : align == 'event' ? "
    "'steps since ' + preset : align == 'decay time' ? "
    "'lr x weight decay x steps' : 'steps')"
)


def either(chosen: Sequence[alt.Parameter], also: str, yes: float, no: float) -> alt.OpacityValue:
    """Opacity of what is chosen by all parameters and meets an expression, and of the rest."""
    test = {"and": [*({"param": each.name} for each in chosen), also]}
    return alt.OpacityValue(no, condition={"test": test, "value": yes})


def box(name: str) -> alt.Parameter:
    """A box that is dragged across a view; the page's script sets `marked` from all of them."""
    shown = alt.BrushConfig(fill=GREY, fillOpacity=0.15, stroke=GREY)
    return alt.selection_interval(name=name, encodings=["x", "y"], mark=shown)


def curves_view(
    decays: Sequence[float],
    cell: alt.Parameter,
    hover: alt.Parameter,
    brush: alt.Parameter,
    replica: alt.Parameter,
) -> alt.LayerChart | alt.FacetChart:
    """The curves of the replicas chosen, laid over each other, a colour per weight decay."""
    chosen: Any = {
        "or": [
            {"param": "cell", "empty": False},
            {"and": [{"param": "hover"}, "length(data('cell_store')) == 0"]},
        ]
    }
    lines = (
        alt.Chart(alt.NamedData("replicas"))
        .transform_filter("datum.g == group && datum.s.length > 0")
        .transform_filter(chosen)
        .transform_filter({"param": "brush"})
        .transform_flatten(["s", *SERIES])
        .transform_filter(f"datum.s <= until && ({_KNOWN})")
        .transform_calculate(at=_AT, v="datum[series]")
        .mark_line(strokeWidth=1.3, cursor="pointer", interpolate="linear")
        .encode(
            x=alt.X(
                "at:Q",
                title=None,
                scale=alt.Scale(zero=False, nice=False),
                axis=alt.Axis(grid=False, tickCount=8),
            ),
            y=alt.Y("v:Q", title="accuracy", scale=alt.Scale(domain=[0, 1])),
            detail="id:N",
            color=alt.when(replica, empty=False)
            .then(alt.value(GREEN))
            .otherwise(
                alt.Color(
                    "wd:O",
                    scale=alt.Scale(
                        domain=decays, scheme={"name": "plasma", "extent": [0.05, 0.75]}
                    ),
                    legend=alt.Legend(title="weight decay", format="~g", symbolLimit=len(decays)),
                )
            ),
            opacity=either([replica], MARKED, 0.85, 0.2),
            order="s:Q",
            tooltip=[
                alt.Tooltip("wd:Q", title="weight decay", format="~g"),
                alt.Tooltip("seed:Q"),
                alt.Tooltip("out:N", title="outcome"),
            ],
        )
    )
    lines = lines.add_params(box("curves_box"))
    said = "Accuracy of the replicas chosen against their training, up to the horizon."
    return alt.layer(lines).properties(
        title=alt.Title(alt.expr(_TITLE)),
        description=said,
    )
