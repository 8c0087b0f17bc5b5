"""What a network computes with over training: nothing is drawn of what was not recorded."""

from dataclasses import replace
from math import ceil

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from observatory.analysis.page.amounts import NO_READING, draw_amounts
from observatory.analysis.page.decay_axis import decay_label
from observatory.analysis.page.drawing import Drawing, NotDrawn, context
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.frames import column, evenly, layered, where, words
from observatory.analysis.page.panels import finish_steps
from observatory.analysis.page.style import (
    INK,
    WIDTH,
    finish_colour_bar,
    styled,
)
from observatory.analysis.training.attribution import draw_attribution
from observatory.analysis.training.diagnostics import Diagnostic, Panel, draw_diagnostic
from observatory.analysis.training.mechanism_panels import MECHANISM
from observatory.analysis.training.recorded import said_of_kept, table_of
from observatory.store.reader import EVALUATION

_SPECTRUM = "group_structure"
_MAX_MAPS = 4
"""Networks with a map each, of different weight decays."""


def draw_mechanism(facts: Facts) -> list[Drawing | NotDrawn]:
    """The spectrum of some networks, and a figure per family of which anything was recorded.

    What was not recorded in training is drawn of kept states, where these were looked at again.
    """
    spectrum = draw_spectrum(facts)
    found: list[Drawing | NotDrawn] = [] if spectrum is None else [spectrum]
    for shown in MECHANISM:
        probes = {panel.probe for panel in shown.panels} - {EVALUATION}
        if any(table_of(facts.group, probe) for probe in probes):
            found.append(draw_diagnostic(facts, _with_unit(facts, shown)))
    attribution = draw_attribution(facts)
    return found if attribution is None else [*found, attribution]


def _with_unit(facts: Facts, shown: Diagnostic) -> Diagnostic:
    """A figure whose losses of the training name the unit that they were recorded in."""

    def named(panel: Panel) -> Panel:
        if panel.probe != EVALUATION or panel.column not in facts.group.columns(EVALUATION):
            return panel
        unit = facts.group.unit(EVALUATION, panel.column)
        return replace(panel, title=f"{panel.title} ({unit})")

    return replace(shown, panels=tuple(map(named, shown.panels)))


def draw_spectrum(facts: Facts) -> Drawing | None:
    """Share of the logits' power in every irrep over training, of a network per weight decay.

    None where it was not recorded after step 0.
    """
    frame = facts.group.table(table_of(facts.group, _SPECTRUM), ["logit_share"])
    if frame is None:
        return None
    frame = where(frame, (column(frame, "step") > 0) & frame["logit_share"].notna().to_numpy())
    maps = list[tuple[str, NDArray[np.float64], NDArray[np.float64]]]()
    for run_id, replica, decay in _examples(facts):
        own = (words(frame, "run_id") == run_id) & (column(frame, "replica") == replica)
        looks = where(frame, own)
        if len(looks) > 1:
            title = f"weight decay {decay_label(decay)}, replica {replica}"
            shares = layered(looks["logit_share"].tolist())
            maps.append((title, column(looks, "step"), shares))
    if not maps:
        return None
    return Drawing(
        name="mechanism-spectrum",
        title="Irreps of the logits",
        caption=(
            "Share of the power of the mean logits of every answer in each irrep of the group (on "
            "addition, the frequency; the constant is left out; dimensionless), of one network per "
            "weight decay: the first that had the event, and of the smallest weight decay even if "
            "none had. Against optimizer steps (log axis). Each network has irreps of its own, so "
            "no median is drawn."
            f"{said_of_kept(facts.group, [_SPECTRUM])} {NO_READING} {context(facts)}"
        ),
        figure=_spectrum_figure(maps),
    )


def _examples(facts: Facts) -> list[tuple[str, int, float]]:
    """Run, number and weight decay of the replicas that have a map.

    The first of a weight decay that had the event, of some weight decays, evenly chosen; and the
    first of the smallest weight decay if none of it had the event.
    """
    first = facts.times.assign(missed=words(facts.times, "end") != "grokked")
    first = first.sort_values(["weight_decay", "missed", "run_id", "replica"])
    first = first.groupby("weight_decay", as_index=False).first()
    missed, decays = first["missed"].to_numpy(dtype=bool), column(first, "weight_decay")
    control = missed & (decays == np.min(decays, initial=np.inf))
    among = decays[~missed] if not missed.all() else decays[~control]
    chosen = evenly(among.tolist(), _MAX_MAPS - int(control.any()))
    kept = where(first, np.isin(decays, chosen) | control)
    numbers = column(kept, "replica").astype(int).tolist()
    return list(
        zip(words(kept, "run_id").tolist(), numbers, column(kept, "weight_decay").tolist(),
            strict=True)
    )  # fmt: skip


@styled
def _spectrum_figure(
    maps: list[tuple[str, NDArray[np.float64], NDArray[np.float64]]],
) -> Figure:
    """A map per network: title, steps and shares, `[look, irrep]`."""
    columns = min(2, len(maps))
    rows = ceil(len(maps) / columns)
    figure = Figure(figsize=(WIDTH, 0.6 + 1.6 * rows))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    most = max(float(np.nanmax(shares)) for _, _, shares in maps)
    drawn = None
    for axes, (title, steps, shares) in zip(grid.flat, maps, strict=False):
        logs = np.log(steps)
        middle = np.exp((logs[1:] + logs[:-1]) / 2)
        edges = np.concatenate([steps[:1], middle, steps[-1:]])
        norm = Normalize(0.0, most)
        drawn = draw_amounts(axes, edges, shares.T, norm=norm, first=1, gid="spectrum")
        axes.set_title(title, fontsize=7.5, pad=2.5, color=INK)
    finish_steps(grid, len(maps))
    for axes in grid[:, 0]:
        axes.set_ylabel("irrep")
        axes.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
    assert drawn is not None
    finish_colour_bar(figure.colorbar(drawn, ax=grid, pad=0.015, aspect=30), "share of power")
    return figure
