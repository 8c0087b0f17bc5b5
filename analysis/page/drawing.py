"""What every figure of the page is handed on as, and the words that captions share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from observatory.analysis.page.bands import RULE, bands
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.frames import column, words
from observatory.analysis.page.style import panel_figure
from observatory.analysis.page.table import Table
from observatory.analysis.page.wording import event_words, horizon_words, sample_words


@dataclass(frozen=True)
class Drawing:
    """A figure with its name, title and caption, and the table that is printed below it.

    `panel` draws a figure of one panel into any axes, with labels for a legend; None where there
    are several panels.
    """

    name: str
    title: str
    caption: str
    figure: Figure
    table: Table | None = None
    panel: Callable[[Axes], None] | None = None


def one_panel(
    name: str,
    title: str,
    caption: str,
    panel: Callable[[Axes], None],
    *,
    height: float,
    columns: int = 2,
) -> Drawing:
    """A drawing of one panel, so many inches high, its legend of so many columns below it."""
    return Drawing(name, title, caption, panel_figure(panel, height, columns), panel=panel)


@dataclass(frozen=True)
class NotDrawn:
    """What could not be drawn, and why."""

    what: str
    reason: str


def context(facts: Facts) -> str:
    """What every caption ends with: n, the event and the horizon."""
    event = f"Event {event_words(facts.event, facts.config)}" if facts.event else "No event"
    horizon = horizon_words(facts.horizon, facts.group.steps_per_epoch)
    n = sample_words(facts.group.replicas)
    return f"n = {n}. {event}. Horizon {horizon}."


def banded(facts: Facts, table: str, columns: Sequence[str]) -> pd.DataFrame | None:
    """Medians and quartiles of some columns, or None where the table or every reading lacks."""
    frame = facts.group.table(table, list(columns))
    if frame is None or frame.empty:
        return None
    made = bands(frame, facts.group.replicas, columns, facts.steps_drawn)
    return None if made.empty else made


def rule(facts: Facts, most: int, *, bands_drawn: bool) -> str:
    """How the lines of a caption's figure sum up the replicas; it shows `most` weight decays."""
    cells = len(facts.cells)
    if len(facts.group.replicas) == 1:
        return "Line: the one replica."
    what = "Line and band: median and quartiles" if bands_drawn else "Line: median"
    some = f" {most} of {cells} weight decays are shown." if cells > most else ""
    pooled = RULE if facts.decay_known else RULE.replace(" of a weight decay", "")
    return f"{what} {pooled}{some}"


def marks(facts: Facts) -> dict[float, float]:
    """Median time to grok of the replicas that had the event, in steps, per known weight decay."""
    decays, t_hi = column(facts.times, "weight_decay"), column(facts.times, "t_hi")
    known = (words(facts.times, "end") == "grokked") & ~np.isnan(decays)
    return {
        float(decay): float(np.median(t_hi[known & (decays == decay)]))
        for decay in np.unique(decays[known])
    }


def why_not(facts: Facts, fit: str) -> str:
    """Why a kind of fit has nothing to draw: it refused, or nobody asked for it."""
    reasons = dict.fromkeys(str(r["refused"]) for r in facts.of(fit) if r["refused"] is not None)
    if reasons:
        return f"the fit refused: {' '.join(reasons).rstrip('.')}"
    return "fits.json has no such fit for this event and horizon"
