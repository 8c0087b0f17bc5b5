"""The weight norm of the highest weight decays, relaxing: kappa, and what it bounds."""

from collections.abc import Sequence

import numpy as np

from observatory.analysis.curves.figure_curves import curves_figure
from observatory.analysis.curves.study_fits import NORM, NORMS, intervals_words, records_of
from observatory.analysis.page.decay_axis import decay_label
from observatory.analysis.page.drawing import Drawing, NotDrawn, context
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.frames import column
from observatory.analysis.page.records import Record
from observatory.analysis.page.table import Table
from observatory.analysis.page.wording import DASH, estimate, number

SHARES = (0.5, 0.9, 0.99)
"""Of the relaxation, at which the bound is shown; `conf/fit/curves_relaxation.yaml` has more."""


def draw_relaxation(facts: Facts) -> Drawing | NotDrawn:
    """The norms with their laws, where the law applies to one of them at least."""
    title = "Relaxation of the weight norm"
    records = records_of(facts.records, "relaxation")
    if not records:
        return NotDrawn(title, _why(facts))
    decays = [decay_label(record["group"]["weight_decay"]) for record in records]
    if all(record["refused"] is not None for record in records):
        return NotDrawn(
            title,
            f"the law applies to none of the {len(records)} highest weight decays; at "
            f"{decays[-1]}: {str(records[-1]['refused']).split('. ')[0]}",
        )
    return Drawing(
        name="relaxation",
        title=title,
        caption=(
            f"L2 norm of all weights ({facts.group.unit(NORMS, NORM)}) against optimizer steps for "
            f"the {len(records)} highest weight decays: means over replicas, at the steps that all "
            "of them have. Line and band: Ω∞ + (Ω₀ − Ω∞) exp(−lr κ λ t) from the largest norm on, "
            "where the law applies, with its interval; κ per epoch. Grey: it does not. "
            f"{context(facts)}"
        ),
        figure=curves_figure(
            records, [f"weight decay {decay}" for decay in decays], ("steps", "weight norm")
        ),
        table=_table(records),
    )


def _why(facts: Facts) -> str:
    """Why nothing was fitted."""
    frame = facts.group.table(NORMS, [NORM])
    if frame is None or frame.empty:
        return facts.group.why_missing("weight_norm")
    if not np.any(column(facts.group.replicas, "weight_decay") > 0):
        return "no replica decays its weights"
    return "fits.json has no such fit"


def _table(records: Sequence[Record]) -> Table:
    rows: list[list[str]] = []
    notes: list[str] = []
    for record in records:
        start = [decay_label(record["group"]["weight_decay"]), f"{record['n']}"]
        if record["refused"] is not None:
            rows.append([*start, *[DASH] * (3 + len(SHARES))])
            notes.append(f"Weight decay {start[0]}: {str(record['refused']).split('. ')[0]}.")
            continue
        kappas = [estimate(record, name) for name in ("kappa", "kappa_per_step")]
        bounds = [estimate(record, f"bound_{share:g}") for share in SHARES]
        rows.append([*start, *kappas, number(record["extras"]["r2"]), *bounds])
    heads = (
        *("weight decay", "steps read", "κ per epoch", "κ per step", "R²"),
        *(f"bound, p = {share:g}" for share in SHARES),
    )
    caption = (
        "Bound on λc: below λ = −ln(1 − p) / (lr κ T) less than a share p of the relaxation is "
        f"done by the horizon T (epochs). {intervals_words(records)}. "
        "`observatory fit curves --estimator relaxation` gives more shares."
    )
    kinds = ["num"] * len(heads)
    return Table("Relaxation", heads, kinds, rows, caption, notes=notes)
