"""Figures of the tables that language_model_laws.py writes."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

COLOURS = plt.get_cmap("viridis")
RATIO = "largest over median activation"
NUMBERS = {
    "last": f"{RATIO}, at the end",
    "power": "power of its growth after warm-up",
    "lambda": "lambda where the search ended (not identified)",
}


def draw(tables: Path, to: Path) -> None:
    """Traces of every model, and its numbers against the place of a block, from stored tables."""
    read = {
        name: pd.read_csv(tables / f"language_model_{name}.csv")
        for name in ("traces", "fitted", "laws", "regression")
    }
    draw_traces(read["traces"], read["fitted"], to / "language_model.png")
    draw_numbers(read["laws"], to / "language_model_depth.png")
    draw_errors(read["regression"], to / "language_model_errors.png")


def shapes(table: pd.DataFrame) -> list[tuple[int, int]]:
    """Width and depth of every model, the narrow and shallow first."""
    return sorted(set(zip(table["width"], table["depth"], strict=True)))


def draw_traces(seen: pd.DataFrame, fitted: pd.DataFrame, path: Path) -> None:
    """A panel per model, a colour per place of a block; the law is the black line."""
    models = shapes(seen)
    n_columns = min(4, len(models))
    n_rows = -(-len(models) // n_columns)
    figure, panels = plt.subplots(
        n_rows, n_columns, figsize=(2.6 * n_columns + 0.8, 2.5 * n_rows + 0.3),
        sharex=True, sharey=True, squeeze=False, layout="constrained",
    )  # fmt: skip
    for ax in panels.flat[len(models) :]:
        ax.axis("off")
    for ax, (width, depth) in zip(panels.flat, models, strict=False):
        of = seen[(seen["width"] == width) & (seen["depth"] == depth)]
        laws = fitted[(fitted["width"] == width) & (fitted["depth"] == depth)]
        for layer in range(depth):
            colour = COLOURS((layer + 1) / depth * 0.9)
            points, line = of[of["layer"] == layer], laws[laws["layer"] == layer]
            ax.plot(points["step"], points["stream"], ".", markersize=3, color=colour, alpha=0.5)
            ax.plot(line["step"], line["law"], linewidth=1.0, color="black")
        ax.set_xscale("symlog", linthresh=1.0)
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(FixedLocator([2, 3, 5, 10, 20, 50, 100, 200, 500, 1000]))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_formatter(ScalarFormatter())
        ax.set_title(f"width {width}, {depth} blocks", fontsize=9)
    figure.supxlabel("step", fontsize=9)
    figure.supylabel(RATIO, fontsize=9)
    place = plt.cm.ScalarMappable(Normalize(0, 1 / 0.9), COLOURS)
    bar = figure.colorbar(place, ax=panels, label="place of the block, l / L", shrink=0.8)
    bar.ax.set_ylim(0, 1)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def draw_numbers(laws: pd.DataFrame, path: Path) -> None:
    """Ratios, growth and decay against the place of a block; open where A is negative."""
    figure, panels = plt.subplots(1, 3, figsize=(10.5, 3.4), layout="constrained")
    stream = laws.query("site == 'stream' & looks == 'after warm-up'")
    for name, ax in zip(NUMBERS, panels, strict=True):
        for index, (width, depth) in enumerate(shapes(stream)):
            of = stream[(stream["width"] == width) & (stream["depth"] == depth)]
            place, colour = (of["layer"] + 1) / of["depth"], f"C{index}"
            label, peaked = f"{width} x {depth}", of["A"] > 0
            ax.plot(place, of[name], "-", linewidth=0.8, color=colour, label=label)
            ax.plot(place[peaked], of[name][peaked], "o", color=colour, markersize=5)
            ax.plot(place[~peaked], of[name][~peaked], "o", color=colour, markersize=5, mfc="none")
        ax.set_title(NUMBERS[name], fontsize=9)
        ax.set_xlabel("place of the block, l / L", fontsize=9)
    panels[-1].set_yscale("log")
    panels[0].legend(fontsize=7, title="width x blocks", title_fontsize=7)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def draw_errors(errors: pd.DataFrame, path: Path) -> None:
    """Error of ridge over that of a constant, by split; above 1 a constant is better."""
    figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
    at = np.arange(len(errors))
    ax.barh(at - 0.2, errors["ridge"] / errors["constant"], 0.4, label="every model left out")
    mixed = errors["ridge_mixed"] / errors["constant_mixed"]
    ax.barh(at + 0.2, mixed, 0.4, label="blocks left out at random", alpha=0.5)
    ax.axvline(1.0, color="black", linewidth=0.8)
    ax.set_yticks(at, errors["number"], fontsize=8)
    ax.invert_yaxis()
    ax.set_xlabel("error of ridge over that of a constant")
    ax.legend(fontsize=7)
    figure.savefig(path, dpi=130)
    plt.close(figure)
