"""Massive activations over layers and steps, with the law of their emergence."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observatory.analysis.curves.figure_layers import MAX_CELLS, LayerMap, Peak, layers_figure
from observatory.analysis.curves.section_laws import MAX_FITS, N_BOOTSTRAP, Fitted, fit_curve
from observatory.analysis.page.bands import RULE, bands
from observatory.analysis.page.decay_axis import decay_label
from observatory.analysis.page.drawing import Drawing, NotDrawn, context
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.frames import column, evenly, layered, select, where, words
from observatory.analysis.page.panels import chosen_decays
from observatory.analysis.page.table import Table
from observatory.analysis.page.wording import DASH, estimate, number

TABLE, RATIO = "probes/massive_activations", "ratio"
_MAX_MAPS = 6
"""Weight decays with a map of their own."""
MAX_LAYERS = 3
"""Layers of one weight decay that are fitted."""


def draw_emergence(facts: Facts) -> Drawing | NotDrawn:
    """The map of top-1 over median, its laws in a table below."""
    title = "Emergence of massive activations"
    frame = facts.group.table(TABLE, [RATIO])
    if frame is None or frame.empty:
        return NotDrawn(title, facts.group.why_missing("massive_activations"))
    layers = layered(frame[RATIO].tolist())
    names = [f"{RATIO} {layer}" for layer in range(layers.shape[1])]
    wide = select(frame, ["run_id", "replica", "step"]).reset_index(drop=True)
    wide[names] = layers
    decays = chosen_decays(facts.group.replicas["weight_decay"].tolist())
    if len(names) > 1:
        decays = evenly(decays, _MAX_MAPS)
    fits = _fits(facts, wide, names, decays)
    size = max(24, MAX_CELLS // (len(names) * len(decays)))
    made = bands(wide, facts.group.replicas, names, min(size, facts.steps_drawn))
    if made.empty:
        return NotDrawn(title, "no finite reading")
    maps = _maps(made, names, decays, fits)
    several = len(names) > 1
    what = "a panel per weight decay, a row per block" if several else "a row per weight decay"
    return Drawing(
        name="emergence",
        title=title,
        caption=(
            "Colour: largest absolute entry of the stream after each block (counted from 0) over "
            "the layer-wide lower median (dimensionless, log scale); of normal entries it is "
            f"about 6 to 8. Against optimizer steps (log axis), {what}. Median {RULE} White dot "
            "and line: peak of the fitted law and its interval, where the law has one inside the "
            f"record. {context(facts)}"
        ),
        figure=layers_figure(maps, "top-1 / median", "block" if several else "weight decay"),
        table=_table(fits, len(names)),
    )


def _fits(
    facts: Facts, wide: pd.DataFrame, names: Sequence[str], decays: Sequence[float]
) -> list[Fitted]:
    """Few of the curves: the last layers' share of `MAX_FITS`, evenly over weight decays."""
    layers = [int(x) for x in evenly(list(range(len(names))), min(MAX_LAYERS, len(names)))]
    kept = evenly(decays, max(1, MAX_FITS // len(layers)))
    return [
        fit_curve(facts.group, wide, names[layer], decay, layer, "emergence")
        for decay in kept
        for layer in layers
    ]


def _maps(
    made: pd.DataFrame, names: Sequence[str], decays: Sequence[float], fits: Sequence[Fitted]
) -> list[LayerMap]:
    """A map per weight decay; a single one with a row per weight decay where there is one layer."""
    steps = np.unique(column(made, "step"))
    of, decay_of = words(made, "quantity"), column(made, "weight_decay")

    def line(name: str, decay: float) -> NDArray[np.float64]:
        rows = where(made, (of == name) & (decay_of == decay))
        values = np.full(steps.size, np.nan)
        values[np.searchsorted(steps, column(rows, "step"))] = column(rows, "median")
        return np.where(values > 0, values, np.nan)

    if len(names) == 1:
        rows = [decay_label(decay) for decay in decays]
        values = np.stack([line(names[0], decay) for decay in decays])
        peaks = [p for f in fits if (p := _peak(f, decays.index(f.weight_decay))) is not None]
        return [LayerMap("block 0, the only one", rows, steps, values, peaks)]
    return [
        LayerMap(
            f"weight decay {decay_label(decay)}",
            [f"{layer}" for layer in range(len(names))],
            steps,
            np.stack([line(name, decay) for name in names]),
            [
                p
                for f in fits
                if f.weight_decay == decay and (p := _peak(f, f.layer or 0)) is not None
            ],
        )
        for decay in decays
        if (decay_of == decay).any()
    ]


def _peak(fitted: Fitted, row: int) -> Peak | None:
    found = fitted.record["params"].get("t_peak")
    if found is None:
        return None
    return Peak(row, found["value"], found["ci_low"], found["ci_high"])


def _table(fits: Sequence[Fitted], n_layers: int) -> Table:
    rows: list[list[str]] = []
    notes: list[str] = []
    for fitted in fits:
        record, extras = fitted.record, fitted.record["extras"]
        start = [decay_label(fitted.weight_decay), f"{fitted.layer}", f"{record['n']}"]
        if record["refused"] is not None:
            rows.append([*start, "refused", *[DASH] * 5])
            why = str(record["refused"]).split(". ")[0]
            notes.append(f"Refused at weight decay {start[0]}, block {start[1]}: {why}.")
            continue
        share = float(extras["class_share"])
        certain = "" if share >= record["level"] else f" ({share:.0%} of resamples)"
        rows.append(
            [
                *start,
                f"{extras['class']}{certain}",
                estimate(record, "t_peak"),
                estimate(record, "height"),
                str(extras["best_law"]).replace("_", " "),
                "yes" if extras["K_identified"] else "no",
                number(extras["r2"]),
            ]
        )
    heads = (
        *("weight decay", "block", "steps read", "class", "t_peak (steps)", "height"),
        *("best law (AICc)", "K identified", "R²"),
    )
    some = " of some blocks" if n_layers > MAX_LAYERS else ""
    caption = (
        f"f(t) = A exp(−λx) ln x + K with x = γt + t₀, fitted to means over replicas{some}, at "
        f"the steps that all of them have; {fits[0].record['level']:.0%} intervals from "
        f"{N_BOOTSTRAP} resamples; a limit below 0 lies before the record. Best law: the least "
        "AICc among this, a logarithm, two steps and a constant. Where K is not identified, only "
        "curve, class and a peak inside the record are known. observatory fit emergence gives "
        "every curve with more resamples and its warnings."
    )
    kinds = ("num", "num", "num", "", "num", "num", "", "", "num")
    return Table("Laws of emergence", heads, kinds, rows, caption, notes=notes)
