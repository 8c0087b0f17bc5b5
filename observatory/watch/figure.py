"""Pictures of one look: the patterns of all heads, and the largest activations along the layers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
from torch import Tensor

from observatory.core.errors import ConfigError
from observatory.core.extras import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANEL, _MOST_LAYERS, _MOST_HEADS = 1.15, 12, 12
_INK, _COLOURS = "#1f2328", ("#0072b2", "#d55e00", "#009e73", "#7a3b69", "#e69f00", "#56b4e9")


def attention_figure(patterns: Mapping[str, Tensor], names: Mapping[str, str]) -> "Figure":
    """A row of panels per layer, a panel per head: its pattern in the first sequence.

    Args:
        patterns: `[batch, head, query, key]` by name; at most 12 layers and 12 heads are drawn.
        names: What stands beside each row.

    Raises:
        ConfigError: If there is no pattern.
        MissingExtraError: If matplotlib is not installed.
    """
    require("analysis", by="`Snapshot.plot`")
    from matplotlib.figure import Figure

    if not patterns:
        raise ConfigError("`what` must be something that was seen, got no attention to draw.")
    rows = list(patterns.items())[:_MOST_LAYERS]
    n_heads = min(_MOST_HEADS, max(pattern.shape[1] for _, pattern in rows))
    figure = Figure(
        figsize=(1.1 + _PANEL * n_heads, 0.75 + _PANEL * len(rows)), layout="constrained"
    )
    axes = figure.subplots(len(rows), n_heads, squeeze=False)
    image: Any = None
    for row, (name, pattern) in zip(axes, rows, strict=True):
        for head, ax in enumerate(row):
            ax.set_axis_off()
            if head < pattern.shape[1]:
                shown = pattern[0, head].cpu().numpy()
                image = ax.imshow(shown, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        row[0].text(
            -0.08, 0.5, names.get(name, name), transform=row[0].transAxes, ha="right",
            va="center", fontsize=7, color=_INK,
        )  # fmt: skip
    for head, ax in enumerate(axes[0]):
        ax.set_title(f"head {head}", fontsize=7, color=_INK)
    bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.02)
    bar.set_label("probability (queries down, keys across; first sequence)", fontsize=7)
    bar.ax.tick_params(labelsize=7)
    return figure


def massive_figure(frame: pd.DataFrame) -> "Figure":
    """The largest activation over the median, along the layers, a line per site.

    Args:
        frame: Of a look.

    Raises:
        ConfigError: If no activations were measured.
        MissingExtraError: If matplotlib is not installed.
    """
    require("analysis", by="`Snapshot.plot`")
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    ratios = frame[(frame["quantity"] == "ratio") & frame["table"].str.startswith("massive_")]
    if ratios.empty:
        raise ConfigError(
            "`what` must be something that was measured, got no activations. Look with "
            '`probes=["massive_activations"]`.'
        )
    figure = Figure(figsize=(5.6, 3.2), layout="constrained")
    ax = figure.subplots()
    lined = [(table, rows) for table, rows in ratios.groupby("table", sort=False)]
    for index, (table, rows) in enumerate(lined):
        ax.plot(
            rows["layer"].astype(int), rows["value"], marker="o", markersize=3,
            color=_COLOURS[index % len(_COLOURS)],
            linestyle=("-", "--", ":")[index // len(_COLOURS) % 3],
            label=_site(str(table)),
        )  # fmt: skip
    ax.set_yscale("log")
    ax.set_xlabel("layer")
    ax.set_ylabel("largest |h| over the median")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", fontsize=7, frameon=False)
    return figure


def _site(table: str) -> str:
    """The site of a table in words; "activations" is the stream."""
    return table.removeprefix("massive_").replace("activations", "stream").replace("_", " ")
