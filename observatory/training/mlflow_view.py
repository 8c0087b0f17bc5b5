"""The saved default view of a study in MLflow's page: columns, order, charts, colours.

The page reads it from an experiment tag in a format that MLflow does not document: written for 3.17,
checked in a browser by the tests, and harmless where another version ignores it.
"""

import base64
import json
import zlib
from collections.abc import Collection
from typing import Any

VIEW = "observatory"
"""Name of the view in a URL: `&viewStateShareKey=observatory`."""
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
COLOUR_TAG = "mlflow.runColor"
# Evenly spaced along viridis, dark to light; its last fifth is too pale for lines on white.
COLOURS = (
    (68, 1, 84),
    (65, 68, 135),
    (42, 120, 142),
    (34, 168, 132),
    (122, 209, 81),
    (200, 200, 32),
)

CURVES = (
    ("accuracy", "Validation accuracy: median and quartiles", "val/acc", "linear", True),
    ("accuracy", "Training accuracy: median and quartiles", "train/acc", "linear", True),
    ("loss", "Validation loss: median", "val/loss", "log", False),
    ("loss", "Training loss: median", "train/loss", "log", False),
    ("attention", "Likeness of the heads, s_bar", "diag/s_bar", "linear", False),
    ("attention", "The same on the answer row", "diag/s_bar_query", "linear", False),
    ("attention", "Spread of the heads' entropies, sigma_H", "diag/sigma_h", "linear", False),
    ("attention", "Participation ratio of the heads, PR_norm", "diag/pr_norm", "linear", False),
    ("activations and weights", "Largest activation over median", "act/ratio", "log", False),
    ("activations and weights", "Norm of the weights", "norm/l2", "log", False),
    ("activations and weights", "Logit scale", "logit/scale", "log", False),
    (
        "activations and weights",
        "Share of collapsed softmaxes",
        "logit/collapsed_share",
        "linear",
        False,
    ),
)
"""Section, title, metric, scale of the y axis, whether the quartiles are drawn too."""
LOG_DECAY = "cell/log10_weight_decay"
BARS = (("Share that grokked", "rate/grokked"), ("Share that collapsed", "rate/collapsed"))
DOTS = (
    ("Share that grokked against log10 weight decay", "rate/grokked"),
    ("Median steps to grok against log10 weight decay", "t_grok/first99"),
)
COLUMNS = (
    ("tags", "outcomes"),
    ("metrics", "cell/weight_decay"),
    ("metrics", "rate/grokked"),
    ("metrics", "rate/memorised"),
    ("metrics", "rate/collapsed"),
    ("metrics", "t_grok/first99"),
    ("metrics", "t_mem/mem"),
    ("metrics", "val/acc"),
    ("metrics", "train/acc"),
    ("metrics", "norm/l2"),
    ("metrics", "cell/replicas"),
    ("tags", "status"),
)


def colour(place: float) -> str:
    """Colour of a run by its place among the cells, 0 to 1.

    Example:
        >>> colour(0.0), colour(1.0)
        ('#440154', '#c8c820')
    """
    position = place * (len(COLOURS) - 1)
    low = min(int(position), len(COLOURS) - 2)
    mixed = (
        round(a + (b - a) * (position - low))
        for a, b in zip(COLOURS[low], COLOURS[low + 1], strict=True)
    )
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def line_chart(
    section: str, title: str, metric: str, scale: str, quartiles: bool
) -> dict[str, Any]:
    """A chart of one curve per cell against steps on a log axis."""
    keys = [metric, f"{metric}_q25", f"{metric}_q75"] if quartiles else [metric]
    return {
        "uuid": f"line-{metric}",
        "type": "LINE",
        "metricSectionId": section,
        "deleted": False,
        "isGenerated": False,
        "displayName": title,
        "metricKey": metric,
        "selectedMetricKeys": keys,
        "runsCountToCompare": 100,
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


def bar_chart(section: str, title: str, metric: str) -> dict[str, Any]:
    """A chart of one bar per cell, zero weight decay included."""
    return {
        "uuid": f"bar-{metric}",
        "type": "BAR",
        "metricSectionId": section,
        "deleted": False,
        "isGenerated": False,
        "displayName": title,
        "metricKey": metric,
        "runsCountToCompare": 100,
    }


def scatter_chart(section: str, title: str, x: str, y: str) -> dict[str, Any]:
    """A chart of one dot per cell."""
    return {
        "uuid": f"scatter-{y}",
        "type": "SCATTER",
        "metricSectionId": section,
        "deleted": False,
        "isGenerated": False,
        "displayName": title,
        "runsCountToCompare": 100,
        "xaxis": {"key": x, "type": "METRIC"},
        "yaxis": {"key": y, "type": "METRIC"},
    }


def view_state(keys: Collection[str]) -> dict[str, Any]:
    """What the page shows first.

    Args:
        keys: Metrics that the study has; charts of others are left out.
    """
    curves = [curve for curve in CURVES if curve[2] in keys]
    overview = [
        *(bar_chart("phase map", title, key) for title, key in BARS if key in keys),
        *(scatter_chart("phase map", title, LOG_DECAY, key) for title, key in DOTS if key in keys),
    ]
    sections = dict.fromkeys(["phase map", *(curve[0] for curve in curves)])
    return {
        "selectedColumns": [f"{kind}.`{name}`" for kind, name in COLUMNS],
        "columnOrder": [],
        "columnWidths": {},
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "runsHiddenMode": "SHOW_ALL",
        "hideEmptyCharts": True,
        "isAccordionReordered": True,
        "compareRunSections": [
            {
                "uuid": name,
                "name": name,
                "display": True,
                "isReordered": True,
                "deleted": False,
                "isGenerated": False,
                "columns": 2,
                "cardHeight": 360,
            }
            for name in sections
        ],
        "compareRunCharts": [*overview, *(line_chart(*curve) for curve in curves)],
    }


def view_tag(keys: Collection[str], written_ms: int) -> str:
    """The view as the value of its tag."""
    packed = zlib.compress(json.dumps(view_state(keys)).encode())
    state = "deflate;" + base64.b64encode(packed).decode()
    return json.dumps(
        {"name": "Study", "createdAt": written_ms, "updatedAt": written_ms, "state": state}
    )


def page(server: str, experiment_id: str) -> str:
    """URL of a study in MLflow's page, in the view for model training."""
    return (
        f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs"
        f"?workflowType=machine_learning&viewStateShareKey={VIEW}"
    )
