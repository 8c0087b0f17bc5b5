"""One look for all figures: ink, palette, type, and the files that a figure is written to."""

import functools
import io
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterSciNotation, LogLocator, NullLocator
from matplotlib.typing import RcKeyType

from observatory.core.errors import ConfigError

P = ParamSpec("P")
R = TypeVar("R")

INK = "#1f2328"
MUTED = "#656d76"
GRID = "#e4e7eb"
GROUND = "#ffffff"

OUTCOME_COLOURS = {
    "grokked": "#0072b2",
    "lost": "#56b4e9",
    "memorised": "#d0d4d9",
    "none": "#8c959f",
    "collapsed": "#d55e00",
    "diverged": "#7a3b69",
    "unfinished": "#ffffff",
}
"""Hues of Okabe and Ito, safe for colour-blind readers, of distinct lightness."""

LINE_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#7a3b69", "#e69f00")
LINE_STYLES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)))

WIDTH = 7.4
"""Width of a full-page figure, in inches."""

_RC: dict[RcKeyType, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "hatch.linewidth": 0.6,
    "figure.facecolor": GROUND,
    "axes.facecolor": GROUND,
    "figure.constrained_layout.use": True,
    "svg.fonttype": "path",
    "svg.hashsalt": "observatory",
    "pdf.fonttype": 42,
    "path.simplify": True,
}


_over: ContextVar[Path | str | None] = ContextVar("style", default=None)
"""A style sheet laid over the style of the page."""


_width: ContextVar[float | None] = ContextVar("width", default=None)


def share_of_page() -> float:
    """Width of what is drawn, as a share of the page's: labels keep their distance in inches."""
    width = _width.get()
    return 1.0 if width is None else width / WIDTH


@contextmanager
def with_style(sheet: Path | str | None, width: float | None = None) -> Iterator[None]:
    """Lay a matplotlib style sheet over the style of all that is drawn meanwhile; None: none.

    Args:
        sheet: A file, or the name of a style.
        width: In inches, of what is drawn; None: that of a page.

    Raises:
        ConfigError: If there is no such sheet, or matplotlib cannot read it.
    """
    if sheet is not None:
        try:
            with style.context(str(sheet)):
                pass
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"`style` must be a matplotlib style sheet, got {str(sheet)!r}: {error}. Give a "
                ".mplstyle file or the name of a style."
            ) from error
    over, wide = _over.set(sheet), _width.set(width)
    try:
        yield
    finally:
        _over.reset(over)
        _width.reset(wide)


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Run `draw` under the house style, whatever the caller's matplotlib settings are."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(_RC)
            if (sheet := _over.get()) is not None:
                style.use(str(sheet))
            return draw(*args, **kwargs)

    return drawn


@styled
def panel_figure(panel: Callable[[Axes], None], height: float, columns: int = 2) -> Figure:
    """A figure as wide as a page, of one panel and the legend of its labels below."""
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_subplot()
    panel(axes)
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=columns)
    return figure


def _svg(figure: Figure) -> bytes:
    drawing = io.StringIO()
    FigureCanvasSVG(figure).print_svg(drawing, metadata={"Date": None})
    return _without_idle_ids(drawing.getvalue()).encode()


def _pdf(figure: Figure) -> bytes:
    drawing = io.BytesIO()
    FigureCanvasPdf(figure).print_pdf(drawing, metadata={"CreationDate": None})
    return drawing.getvalue()


def _png(figure: Figure) -> bytes:
    drawing = io.BytesIO()
    FigureCanvasAgg(figure).print_png(drawing, metadata={"Software": None})
    return drawing.getvalue()


FORMATS = {"svg": _svg, "pdf": _pdf, "png": _png}
"""What a figure is written as: without a date, not by `savefig`, which draws everything twice."""


@styled
def written(figure: Figure, formats: Collection[str], dpi: int) -> dict[str, bytes]:
    """A figure as the contents of files: the same bytes for the same figure.

    Args:
        figure: The figure.
        formats: Some of `FORMATS`.
        dpi: Resolution of a PNG.

    Returns:
        The contents by format.
    """
    figure.set_dpi(dpi)  # letters are as wide as at high resolution, not as hinting makes them
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)  # lay out once, not once per format
    figure.set_layout_engine("none")
    made: dict[str, bytes] = {}
    for kind in (kind for kind in FORMATS if kind in formats):
        figure.set_dpi(dpi)  # which the other formats change
        made[kind] = FORMATS[kind](figure)
    return made


def _without_idle_ids(svg: str) -> str:
    """An SVG without the identifiers that nothing in it refers to; names of artists may repeat."""
    referred = set(re.findall(r'(?:url\(|href=")#([^")]+)', svg))
    return re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in referred else "", svg)


def plain_log_ticks(axis: Axis, *, narrow: bool = False) -> None:
    """Plain numbers on a log axis, powers of ten where they are long; fewer over more decades.

    Args:
        axis: Its limits are set.
        narrow: Whether there is room for a number per decade only.
    """
    low, high = sorted(axis.get_view_interval())
    span = high / low if low > 0 else float("inf")
    some = (1.0, 2.0, 5.0) if span < (20 if narrow else 200) else (1.0,)
    subs = (1.0, 2.0, 3.0, 5.0, 7.0) if span < 8 and not narrow else some
    axis.set_major_locator(LogLocator(subs=subs, numticks=8))
    axis.set_minor_locator(NullLocator())
    if low < 1e-4 or high >= 1e6:
        axis.set_major_formatter(LogFormatterSciNotation(minor_thresholds=(np.inf, np.inf)))
    else:
        axis.set_major_formatter("{x:g}")


_ORDERED = LinearSegmentedColormap.from_list(
    "ordered", ["#0b2566", "#6a2c91", "#bf3f55", "#d9632a", "#c4961f"]
)
"""From L* 17 to 65 in steps of 9 to 15, and of changing hue: told apart in grey, and turned round
on a dark ground."""


def shades(n: int) -> list[str]:
    """Colours of an ordered series, from dark to light."""
    return [to_hex(_ORDERED(i / max(n - 1, 1))) for i in range(n)]


def decay_colours(weight_decays: Sequence[float]) -> dict[float, str]:
    """A colour per weight decay: grey for 0, which is dashed, else as of `shades`.

    Where it is not known, NaN, it is that of a line alone.
    """
    positive = sorted(value for value in set(weight_decays) if value > 0)
    colours = dict(zip(positive, shades(len(positive)), strict=True))
    unknown = {value: LINE_COLOURS[0] for value in weight_decays if np.isnan(value)}
    return {**({0.0: MUTED} if 0.0 in weight_decays else {}), **colours, **unknown}


def plain(text: str) -> str:
    """A text as it is, whatever it holds: a dollar sign starts no formula."""
    return text.replace("$", r"\$")


def label_rows(axes: Axes, labels: Sequence[str], beside: Sequence[str] = ()) -> None:
    """Name the rows of a forest, from above; row i is at height i, `beside` at its right end."""
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_yticks(range(len(labels)), [plain(label) for label in labels])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False, axis="y")
    if beside:
        write_beside(axes, beside)


def finish_colour_bar(bar: Colorbar, label: str) -> None:
    """Label a bar of colours and draw it without an outline, as vectors in a vector file."""
    bar.set_label(label, fontsize=7.5)
    bar.outline.set_visible(False)
    if bar.solids is not None:
        bar.solids.set(rasterized=False, edgecolor="face", linewidth=0.6)


def write_beside(axes: Axes, texts: Sequence[str]) -> None:
    """Write a text at the right end of every row of a forest; row i is at height i."""
    beside = axes.twinx()
    beside.set_ylim(axes.get_ylim())
    beside.set_yticks(range(len(texts)), texts)
    beside.tick_params(axis="y", length=0)
    beside.grid(visible=False)


def note(axes: Axes, text: str) -> None:
    """Say in an empty panel why it is empty."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=MUTED)
