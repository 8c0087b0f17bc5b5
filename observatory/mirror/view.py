"""The saved default view of a study in MLflow's page: columns, order, charts, colours.

The page reads it from an experiment tag in a format that MLflow does not document: written for
3.17, checked in a browser by the tests, and harmless where another version ignores it.
"""

import base64
import json
import zlib
from collections.abc import Collection
from typing import Any

from observatory.mirror.cells import EVENT_RATE

_Chart = dict[str, Any]
_VIEW = "observatory"
"""Name of the view in a URL: `&viewStateShareKey=observatory`."""
VIEW_TAG = f"mlflow.sharedViewState.{_VIEW}"
COLOUR_TAG = "mlflow.runColor"
# Evenly spaced along viridis, dark to light; its last fifth is too pale for lines on white.
_COLOURS = (
    (68, 1, 84),
    (65, 68, 135),
    (42, 120, 142),
    (34, 168, 132),
    (122, 209, 81),
    (200, 200, 32),
)

_PHASE = "phase map: event rate and outcomes of each cell"
_ACC = "accuracy: median"
DASHED = "accuracy: median, quartiles dashed"
_LOSS = "loss: median"  # nats for a cross entropy, dimensionless for the others
HEADS = "attention heads: likeness and spread"
SCALE = "activations, weights, logits: median"
_REST = "all other curves"
_CURVES = (
    (_ACC, "val/acc", "linear"),
    (_ACC, "train/acc", "linear"),
    (_LOSS, "val/loss", "log"),
    (_LOSS, "train/loss", "log"),
    (HEADS, "diag/s_bar", "linear"),
    (HEADS, "diag/s_bar_query", "linear"),
    (HEADS, "diag/sigma_h", "linear"),
    (HEADS, "diag/pr_norm", "linear"),
    (SCALE, "act/ratio", "log"),
    (SCALE, "norm/l2", "log"),
    (SCALE, "logit/scale", "log"),
    (SCALE, "logit/collapsed_share", "linear"),
)
"""Section, metric, scale of the y axis; the first section has quartiles where there are any."""
_LOG_DECAY = "cell/log10_weight_decay"
_BARS = (EVENT_RATE, "rate/memorised", "rate/collapsed")
_DOTS = (EVENT_RATE, "t_grok/first99")
CROWD = 25
"""Cells up to which quartiles and a labelled bar per cell can be seen apart in a chart."""
COLUMNS = {
    "tags.`outcomes`": 210,
    f"metrics.`{EVENT_RATE}`": 105,
    "metrics.`rate/memorised`": 115,
    "metrics.`rate/collapsed`": 110,
    "metrics.`t_mem/mem`": 95,
    "metrics.`t_grok/first99`": 105,
    "metrics.`train/acc`": 105,
    "metrics.`val/acc`": 105,
    "metrics.`norm/l2`": 105,
    "tags.`replicas`": 120,
    "tags.`status`": 80,
}
"""Columns of the table in their order, with their widths."""


def colour(place: float) -> str:
    """Colour of a run by its place among the cells, 0 to 1.

    Example:
        >>> colour(0.0), colour(1.0)
        ('#440154', '#c8c820')
    """
    position = place * (len(_COLOURS) - 1)
    low = min(int(position), len(_COLOURS) - 2)
    mixed = (
        round(a + (b - a) * (position - low))
        for a, b in zip(_COLOURS[low], _COLOURS[low + 1], strict=True)
    )
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def _line_chart(section: str, metric: str, scale: str, companions: Collection[str]) -> _Chart:
    """A chart of one curve per cell against steps on a log axis, its companions dashed."""
    return {
        **_card("LINE", section, metric),
        "metricKey": metric,
        "selectedMetricKeys": [*dict.fromkeys([metric, *companions])],
        "scaleType": scale,
        "xAxisKey": "step",
        "xAxisScaleType": "log",
        "lineSmoothness": 0,
        "displayPoints": False,
        "useGlobalXaxisKey": False,
        "useGlobalLineSmoothing": False,
        "selectedXAxisMetricKey": "",
        "range": {},
    }


def _bar_chart(section: str, metric: str) -> _Chart:
    """A chart of one bar per cell, weight decay 0 included."""
    return {**_card("BAR", section, metric), "metricKey": metric}


def _scatter_chart(section: str, x: str, y: str) -> _Chart:
    """A chart of one dot per cell; the page has no log axis for these."""
    axes = {"xaxis": {"key": x, "type": "METRIC"}, "yaxis": {"key": y, "type": "METRIC"}}
    return {**_card("SCATTER", section, y), **axes}


def _hidden_chart(metric: str, single: bool) -> _Chart:
    """Keeps the page from drawing a chart of its own for a metric."""
    return {**(_bar_chart if single else _plain_line)(_PHASE, metric), "deleted": True}


def _plain_line(section: str, metric: str) -> _Chart:
    return _line_chart(section, metric, "linear", ())


def _card(kind: str, section: str, metric: str) -> _Chart:
    return {
        "uuid": f"{kind.lower()} {metric}",
        "type": kind,
        "metricSectionId": section,
        "deleted": False,
        "isGenerated": False,
        "runsCountToCompare": 100,
    }


def view_state(keys: Collection[str], n_cells: int) -> dict[str, Any]:
    """What the page shows first.

    Args:
        keys: Metrics that the study has; charts of others are left out.
        n_cells: Cells of the study; of more than `CROWD` the shares are dots, not bars.
    """
    wings = {key for key in keys if key.endswith(("_q25", "_q75"))}
    single = {key for key in keys if key.partition("/")[0] in ("rate", "t_mem", "t_grok", "cell")}
    drawn: set[str] = set()
    dotted = n_cells > CROWD and _LOG_DECAY in keys
    bars, dots = ((), dict.fromkeys([*_BARS, *_DOTS])) if dotted else (_BARS, _DOTS)
    charts = [_bar_chart(_PHASE, key) for key in bars if key in keys]
    charts += [
        _scatter_chart(_PHASE, _LOG_DECAY, key) for key in dots if {key, _LOG_DECAY} <= set(keys)
    ]
    for section, metric, scale in _CURVES:
        layers = sorted(key for key in keys if key.startswith(f"{metric}.layer"))
        beside = layers
        if section == _ACC:  # an earlier mirror of fewer cells may have left quartiles in a crowd
            beside = sorted({f"{metric}_q25", f"{metric}_q75"} & wings) if n_cells <= CROWD else []
        leading = [metric] if metric in keys else layers[:1]
        title = DASHED if section == _ACC and beside else section
        charts += [_line_chart(title, key, scale, beside) for key in leading]
        drawn |= {*leading, *layers}
    rest = sorted(set(keys) - wings - single - drawn)
    charts += [_plain_line(_REST, key) for key in rest]
    charts += [_hidden_chart(key, single=key in single) for key in sorted(wings | single)]
    return {
        "selectedColumns": list(COLUMNS),
        "columnOrder": list(COLUMNS),
        "columnWidths": COLUMNS,
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "runsHiddenMode": "SHOW_ALL",
        "hideEmptyCharts": True,
        "isAccordionReordered": True,
        "compareRunSections": [
            {
                "uuid": section,
                "name": section,
                "display": section != _REST,
                "isReordered": True,
                "deleted": False,
                "isGenerated": False,
            }
            for section in dict.fromkeys(chart["metricSectionId"] for chart in charts)
        ],
        "compareRunCharts": charts,
    }


def view_tag(keys: Collection[str], n_cells: int, written_ms: int) -> str:
    """The view as the value of its tag."""
    packed = zlib.compress(json.dumps(view_state(keys, n_cells)).encode())
    state = "deflate;" + base64.b64encode(packed).decode()
    return json.dumps(
        {"name": "Study", "createdAt": written_ms, "updatedAt": written_ms, "state": state}
    )


def page(server: str, experiment_id: str) -> str:
    """URL of a study in MLflow's page, in the view for model training."""
    return (
        f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs"
        f"?workflowType=machine_learning&viewStateShareKey={_VIEW}"
    )


def run_link(experiment_id: str, run_id: str, tab: str) -> str:
    """Link to a run, from within MLflow's page."""
    return f"#/experiments/{experiment_id}/runs/{run_id}/{tab}"
