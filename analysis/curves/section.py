"""Curves of a study on its page: massive activations over layers and steps, and weight norms."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observatory.analysis.curves.figures import (
    MAX_CELLS,
    LayerMap,
    Peak,
    curves_figure,
    layers_figure,
)
from observatory.analysis.curves.study_fits import (
    NORM,
    NORMS,
    RATIO,
    RATIOS,
    intervals_words,
    mapped_decays,
    records_of,
)
from observatory.analysis.page.amounts import NO_READING
from observatory.analysis.page.bands import RULE, bands
from observatory.analysis.page.decay_axis import decay_label
from observatory.analysis.page.drawing import Drawing, NotDrawn, context
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.frames import column, layered, select, where, words
from observatory.analysis.page.records import Record
from observatory.analysis.page.table import Table
from observatory.analysis.page.wording import estimate, number

_SHARES = (0.5, 0.9)
"""Of the relaxation, at which the bound is shown; `conf/fit/curves_relaxation.yaml` has more."""


def draw_curves(facts: Facts) -> list[Drawing | NotDrawn]:
    """Massive activations over layers and steps, and the norm as it relaxes."""
    return [draw_emergence(facts), draw_relaxation(facts)]


def draw_emergence(facts: Facts) -> Drawing | NotDrawn:
    """The map of top-1 over median, its laws in a table below."""
    title = "Emergence of massive activations"
    frame = facts.group.table(RATIOS, [RATIO])
    if frame is None or frame.empty:
        return NotDrawn(title, facts.group.why_missing("massive_activations"))
    layers = layered(frame[RATIO].tolist())
    names = [f"{RATIO} {layer}" for layer in range(layers.shape[1])]
    wide = select(frame, ["run_id", "replica", "step"]).reset_index(drop=True)
    wide[names] = layers
    decays = mapped_decays(facts.group, len(names))
    records = records_of(facts.records, "emergence")
    size = max(24, MAX_CELLS // (len(names) * len(decays)))
    made = bands(wide, facts.group.replicas, names, min(size, facts.steps_drawn))
    if made.empty:
        return NotDrawn(title, "no finite reading")
    maps = _maps(made, names, decays, records)
    several = len(names) > 1
    what = "a panel per weight decay, a row per block" if several else "a row per weight decay"
    return Drawing(
        name="emergence",
        title=title,
        caption=(
            "Colour: largest absolute entry of the stream after each block (counted from 0) over "
            "the layer-wide lower median (dimensionless, log scale); of normal entries it is "
            f"about 6 to 8. Against optimizer steps (log axis), {what}. Median {RULE} "
            "Ringed dot and line: peak of the fitted law and its interval, where the law has one "
            f"inside the record; an arrow: its limit lies outside. {NO_READING} {context(facts)}"
        ),
        figure=layers_figure(maps, "top-1 / median", "block" if several else "weight decay"),
        table=_emergence_table(records) if records else None,
    )


def _maps(
    made: pd.DataFrame, names: Sequence[str], decays: Sequence[float], records: Sequence[Record]
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
        peaks = [p for row, x in enumerate(decays) for p in _peaks(records, x, [row])]
        return [LayerMap("block 0, the only one", rows, steps, values, peaks)]
    return [
        LayerMap(
            f"weight decay {decay_label(decay)}",
            [f"{layer}" for layer in range(len(names))],
            steps,
            np.stack([line(name, decay) for name in names]),
            _peaks(records, decay, range(len(names))),
        )
        for decay in decays
        if (decay_of == decay).any()
    ]


def _peaks(records: Sequence[Record], decay: float, rows: Sequence[int]) -> list[Peak]:
    """The peaks of the laws of one weight decay, each in the row of its layer."""
    own = [r for r in records if r["group"]["weight_decay"] == decay]
    peaks = [(r["group"]["layer"], r["params"].get("t_peak")) for r in own]
    return [Peak(rows[n], p["value"], p["ci_low"], p["ci_high"]) for n, p in peaks if p is not None]


def _emergence_table(records: Sequence[Record]) -> Table:
    rows: list[list[str]] = []
    notes: list[str] = []
    for record in records:
        extras, group = record["extras"], record["group"]
        start = [decay_label(group["weight_decay"]), f"{group['layer']}", f"{record['n']}"]
        if record["refused"] is not None:
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
    caption = (
        "f(t) = A exp(−λx) ln x + K with x = γt + t₀, fitted to means over replicas, at the steps "
        f"that all of them have; {intervals_words(records)}; a limit below 0 lies before the "
        "record. Best law: the least AICc among this, a logarithm, two steps and a constant. "
        "Where K is not identified, only curve, class and a peak inside the record are known. "
        "`observatory fit curves` fits every curve, with more resamples, and prints its warnings."
    )
    kinds = ("num", "num", "num", "", "num", "num", "", "", "num")
    return Table("Laws of emergence", heads, kinds, rows, caption, notes=notes)


def draw_relaxation(facts: Facts) -> Drawing | NotDrawn:
    """The norms with their laws, where the law applies to one of them at least."""
    title = "Relaxation of the weight norm"
    records = records_of(facts.records, "relaxation")
    if not records:
        return NotDrawn(title, _why(facts))
    fitted = [record for record in records if record["refused"] is None]
    if not fitted:
        return NotDrawn(
            title,
            f"the law applies to none of the {len(records)} highest weight decays; at "
            f"{decay_label(records[-1]['group']['weight_decay'])}: "
            f"{str(records[-1]['refused']).split('. ')[0]}",
        )
    some = f" It applies to {len(fitted)} of the {len(records)} highest weight decays."
    return Drawing(
        name="relaxation",
        title=title,
        caption=(
            f"L2 norm of all weights ({facts.group.unit(NORMS, NORM)}) against optimizer steps: "
            "means over replicas, at the steps that all of them have. Line and band: Ω∞ + (Ω₀ − "
            "Ω∞) exp(−lr κ λ t) from the largest norm on, with its interval; κ per epoch."
            f"{some if len(fitted) < len(records) else ''} {context(facts)}"
        ),
        figure=curves_figure(
            fitted,
            [f"weight decay {decay_label(r['group']['weight_decay'])}" for r in fitted],
            ("steps", "weight norm"),
        ),
        table=_relaxation_table(records),
    )


def _why(facts: Facts) -> str:
    """Why nothing was fitted."""
    frame = facts.group.table(NORMS, [NORM])
    if frame is None or frame.empty:
        return facts.group.why_missing("weight_norm")
    if not np.any(column(facts.group.replicas, "weight_decay") > 0):
        return "no replica decays its weights"
    return "fits.json has no such fit"


def _relaxation_table(records: Sequence[Record]) -> Table:
    rows: list[list[str]] = []
    notes: list[str] = []
    for record in records:
        start = [decay_label(record["group"]["weight_decay"]), f"{record['n']}"]
        if record["refused"] is not None:
            notes.append(f"Weight decay {start[0]}: {str(record['refused']).split('. ')[0]}.")
            continue
        kappas = [estimate(record, name) for name in ("kappa", "kappa_per_step")]
        bounds = [estimate(record, f"bound_{share:g}") for share in _SHARES]
        rows.append([*start, *kappas, number(record["extras"]["r2"]), *bounds])
    heads = (
        *("weight decay", "steps read", "κ per epoch", "κ per step", "R²"),
        *(f"bound, p = {share:g}" for share in _SHARES),
    )
    caption = (
        "Bound on λc: below λ = −ln(1 − p) / (lr κ T) less than a share p of the relaxation is "
        f"done by the horizon T (epochs). {intervals_words(records)}. "
        "`observatory fit curves --estimator relaxation` gives more shares."
    )
    kinds = ["num"] * len(heads)
    return Table("Relaxation", heads, kinds, rows, caption, notes=notes)
