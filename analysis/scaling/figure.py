"""Every link of a finite-size chain, a panel each."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from observatory.analysis.fit.result import Fitted
from observatory.analysis.page.records import Record, floats
from observatory.analysis.page.style import (
    INK,
    LINE_COLOURS,
    LINE_STYLES,
    MUTED,
    WIDTH,
    decay_colours,
    note,
    plain,
    plain_log_ticks,
    styled,
)
from observatory.analysis.stats.observations import Array

_KINDS = {"raw": "raw", "centred": "about each cell's mean", "shifted": "above the lowest mean"}
_LAWS = ("power", "logarithm", "saturating", "hill", "constant")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")


def _column(record: Record, name: str) -> Array:
    return floats(record["curves"][name])


def _with_limits(record: Record, name: str) -> tuple[Array, Array, Array]:
    value, low, high = (_column(record, f"{name}{end}") for end in ("", "_low", "_high"))
    return value, low, high


def _verdict(record: Record, link: str) -> str:
    return str(record["table"][link]["verdict"])


def _by_size(axes: Axes, record: Record, x: str, y: str, error: str | None) -> None:
    """A line per size, dark to light in rising size."""
    of, xs, ys = (_column(record, f"cell.{name}") for name in ("size", x, y))
    bars = None if error is None else _column(record, f"cell.{error}")
    colours = decay_colours(sorted(set(of.tolist())))
    for index, (size, colour) in enumerate(colours.items()):
        at = of == size
        yerr = None if bars is None else bars[at]
        style = {"color": colour, "marker": _MARKERS[index % len(_MARKERS)], "markersize": 3}
        style |= {"linewidth": 0.9, "elinewidth": 0.7, "label": f"{size:g}"}
        axes.errorbar(xs[at], ys[at], yerr=yerr, gid=f"size-{size:g}", **style)


def _band(axes: Axes, record: Record, name: str) -> None:
    """The interval of a place on the control's axis, inside what was measured."""
    found = record["params"].get(name)
    if found is None or found["ci_low"] is None or found["ci_high"] is None:
        return
    axes.axvspan(found["ci_low"], found["ci_high"], color=MUTED, alpha=0.18, linewidth=0)
    axes.axvline(found["value"], color=INK, linewidth=0.8, linestyle=LINE_STYLES[1])


def _means(axes: Axes, record: Record, names: Mapping[str, str]) -> None:
    _by_size(axes, record, "control", "mean", "se")
    ends = axes.get_xlim()
    inverse = record["params"].get("inverse_nu", {}).get("ci_low")
    if inverse is not None and inverse > 0:
        _band(axes, record, "critical")
    axes.set_xlim(ends)
    axes.set_ylabel(f"mean {plain(names['value'])}")
    axes.set_title("mean over seeds\n(dashed: critical point of the collapse)")


def _collapse(axes: Axes, record: Record) -> None:
    _by_size(axes, record, "scaled_control", "scaled_mean", "scaled_se")
    params, extras = record["params"], record["extras"]
    axes.set_xlabel("(x − xc) (L / L0)^(1/ν)")
    axes.set_ylabel("mean (L / L0)^(−ζ/ν)")
    stretch = f", 1/ν = {params['inverse_nu']['value']:.2g}" if "inverse_nu" in params else ""
    axes.set_title(
        f"{_verdict(record, 'data_collapse')}: S = {extras['quality']:.2g}\n"
        f"({extras['quality_without_size']:.2g} without size){stretch}"
    )


def _cumulant(axes: Axes, record: Record, kind: str) -> None:
    _by_size(axes, record, "control", kind, None)
    ends = axes.get_xlim()
    _band(axes, record, f"crossing_{kind}")
    axes.set_xlim(ends)
    row = record["table"].get(f"crossing_{kind}")
    words = "fewer than 3 pairs cross" if row is None else f"crossings: p = {row['p']:.2g}"
    axes.set_ylabel(f"U4 {kind}")
    axes.set_title(f"U4 {_KINDS[kind]}; {words}")
    axes.set_ylim(max(axes.get_ylim()[0], -1.0), 0.75)  # few seeds: no lower bound to speak of


def _crossings(axes: Axes, record: Record) -> None:
    x = _column(record, "pair.inverse_size")
    shift = 0.012 * float(np.ptp(x))
    seen = list[float]()
    for index, kind in enumerate(_KINDS):
        y, low, high = _with_limits(record, f"pair.{kind}")
        colour = LINE_COLOURS[index]
        place = x + (index - 1) * shift
        known = np.isfinite(y) & np.isfinite(low)
        bars = np.stack([y - low, high - y])[:, known].clip(min=0)
        style = {"fmt": _MARKERS[index], "markersize": 3, "elinewidth": 0.6, "color": colour}
        gid = f"crossings-{kind}"
        axes.errorbar(place[known], y[known], yerr=bars, label=kind, gid=gid, **style)
        seen += y[known].tolist()
        params = record["params"]
        if f"crossing_{kind}" in params and not record["extras"]["log_control"]:
            start, slope = (params[f"{n}_{kind}"]["value"] for n in ("crossing", "drift"))
            ends = np.array([0.0, x.max()])
            style = {"color": colour, "linewidth": 0.8, "linestyle": LINE_STYLES[index]}
            axes.plot(ends, start + slope * ends, **style)
    if not seen:
        note(axes, "no pair of sizes crosses")
        return
    control = _column(record, "cell.control")
    axes.set_ylim(control.min(), control.max())
    axes.set_xlim(left=0.0)
    axes.set_xlabel("mean 1 / size of a pair")
    axes.set_ylabel("crossing")
    axes.set_title(f"crossings of pairs: {_verdict(record, 'crossings')}")
    axes.legend(ncols=3)


def _growth(axes: Axes, record: Record, names: Mapping[str, str]) -> None:
    size = _column(record, "size.size")
    _limits(axes, record, "chi")
    extras = record["extras"]
    for index, law in enumerate(_LAWS):
        criterion = extras[f"aicc_{law}"]
        words = "too few sizes" if criterion is None else f"AICc {criterion:.3g}"
        style = {"color": LINE_COLOURS[index], "linestyle": LINE_STYLES[index], "linewidth": 1.0}
        y, label = _column(record, f"size.chi_{law}"), f"{law}, {words}"
        axes.plot(size, y, label=label, gid=f"law-{law}", **style)
    _log_axes(axes, names)
    axes.set_ylabel("largest n_s Var")
    axes.set_title(f"susceptibility: {_verdict(record, 'susceptibility')}")
    axes.legend(fontsize=6.5)


def _widths(axes: Axes, record: Record, names: Mapping[str, str]) -> None:
    size, width = _column(record, "size.size"), _column(record, "size.width")
    _limits(axes, record, "width")
    found = record["params"]["sharpening"]
    middle = np.exp(np.log(size).mean())
    level = np.exp(np.log(width).mean())
    limits = f"[{found['ci_low']:.3g}, {found['ci_high']:.3g}]"
    law = level * (size / middle) ** -found["value"]
    label = f"size^(−a), a = {found['value']:.3g} {limits}"
    axes.plot(size, law, color=LINE_COLOURS[0], linewidth=1.0, label=label, gid="law-width")
    _log_axes(axes, names)
    axes.set_ylabel("width of the sigmoid")
    p = record["table"]["sharpening"]["p"]
    axes.set_title(f"{_verdict(record, 'sharpening')}: p = {p:.2g} if smooth")
    axes.legend()


def _limits(axes: Axes, record: Record, name: str) -> None:
    size = _column(record, "size.size")
    y, low, high = _with_limits(record, f"size.{name}")
    bars = np.nan_to_num(np.stack([y - low, high - y])).clip(min=0)
    style = {"fmt": "o", "color": INK, "markersize": 4, "elinewidth": 0.8, "zorder": 4}
    axes.errorbar(size, y, yerr=bars, gid=name, **style)


def _log_axes(axes: Axes, names: Mapping[str, str]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    plain_log_ticks(axes.xaxis)
    plain_log_ticks(axes.yaxis)
    axes.set_xlabel(plain(names["size"]))


def chain_figure(fitted: Fitted) -> Figure:
    """Every link, a panel each."""
    return finite_size_figure(fitted.record, fitted.data)


@styled
def finite_size_figure(record: Record, names: Mapping[str, str]) -> Figure:
    """All links of the chain, a panel each; the verdict is the title.

    `names` are columns of the table by role: "size", "control" and "value".
    """
    figure = Figure(figsize=(WIDTH, 9.6))
    grid = figure.subplots(4, 2)
    log = bool(record["extras"]["log_control"])
    along = (grid[0, 0], grid[1, 0], grid[1, 1], grid[2, 0])
    for axes in along:
        axes.set_xscale("log" if log else "linear")
    _means(grid[0, 0], record, names)
    _collapse(grid[0, 1], record)
    for axes, kind in zip((grid[1, 0], grid[1, 1], grid[2, 0]), _KINDS, strict=True):
        _cumulant(axes, record, kind)
    for axes in along:
        axes.set_xlabel(plain(names["control"]))
        if log:
            plain_log_ticks(axes.xaxis)
    _crossings(grid[2, 1], record)
    _growth(grid[3, 0], record, names)
    _widths(grid[3, 1], record, names)
    handles, labels = grid[0, 1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=10, title=plain(names["size"]))
    figure.suptitle(
        f"{record['extras']['verdict']}: {plain(names['value'])}, {record['extras']['n_sizes']} "
        f"sizes, n = {record['n']}, intervals {record['level']:.0%}",
        fontsize=9,
    )
    return figure
