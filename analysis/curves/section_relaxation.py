"""The weight norm of the highest weight decays, relaxing: kappa, and what it bounds."""

import numpy as np

from observatory.analysis.curves.figure_curves import curves_figure
from observatory.analysis.curves.section_laws import N_BOOTSTRAP, Fitted, fit_curve
from observatory.analysis.page.decay_axis import decay_label
from observatory.analysis.page.drawing import Drawing, NotDrawn, context
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.frames import column
from observatory.analysis.page.table import Table
from observatory.analysis.page.wording import DASH, estimate, number

TABLE, NORM = "probes/weight_norm", "l2"
MAX_DECAYS = 6
"""Highest positive weight decays that are tried: the law is one of strong decay."""
SHARES = (0.5, 0.9, 0.99)
"""Of the relaxation, at which the bound is given; `conf/deep_fit/relaxation.yaml` has more."""


def draw_relaxation(facts: Facts) -> Drawing | NotDrawn:
    """The norms with their laws, where the law applies to one of them at least."""
    title = "Relaxation of the weight norm"
    frame = facts.group.table(TABLE, [NORM])
    if frame is None or frame.empty:
        return NotDrawn(title, facts.group.why_missing("weight_norm"))
    every = np.unique(column(facts.group.replicas, "weight_decay"))
    decays = every[every > 0][-MAX_DECAYS:].tolist()
    if not decays:
        return NotDrawn(title, "no replica decays its weights")
    fits = [fit_curve(facts.group, frame, NORM, decay, None, "relaxation") for decay in decays]
    if all(fit.record["refused"] is not None for fit in fits):
        return NotDrawn(
            title,
            f"the law applies to none of the {len(fits)} highest weight decays; at "
            f"{decay_label(decays[-1])}: {str(fits[-1].record['refused']).split('. ')[0]}",
        )
    return Drawing(
        name="relaxation",
        title=title,
        caption=(
            f"L2 norm of all weights ({facts.group.unit(TABLE, NORM)}) against "
            f"optimizer steps for the {len(fits)} highest weight decays: means over replicas, at "
            "the steps that all "
            "of them have. Line and band: Ω∞ + (Ω₀ − Ω∞) exp(−lr κ λ t) from the largest norm on, "
            f"where the law applies, with its interval; κ per epoch. Grey: it does not. "
            f"{context(facts)}"
        ),
        figure=curves_figure(
            [fit.record for fit in fits],
            [f"weight decay {decay_label(fit.weight_decay)}" for fit in fits],
            ("steps", "weight norm"),
        ),
        table=_table(fits),
    )


def _table(fits: list[Fitted]) -> Table:
    rows: list[list[str]] = []
    notes: list[str] = []
    for fit in fits:
        record = fit.record
        start = [decay_label(fit.weight_decay), f"{record['n']}"]
        if record["refused"] is not None:
            rows.append([*start, *[DASH] * (3 + len(SHARES))])
            notes.append(f"Weight decay {start[0]}: {str(record['refused']).split('. ')[0]}.")
            continue
        rates = [estimate(record, name) for name in ("kappa", "kappa_per_step")]
        bounds = [estimate(record, f"bound_{share:g}") for share in SHARES]
        rows.append([*start, *rates, number(record["extras"]["r2"]), *bounds])
    heads = (
        *("weight decay", "steps read", "κ per epoch", "κ per step", "R²"),
        *(f"bound, p = {share:g}" for share in SHARES),
    )
    caption = (
        "Bound on λc: below λ = −ln(1 − p) / (lr κ T) less than a share p of the relaxation is "
        f"done by the horizon T (epochs). {fits[0].record['level']:.0%} intervals from "
        f"{N_BOOTSTRAP} resamples. observatory fit emergence --model relaxation gives more."
    )
    kinds = ["num"] * len(heads)
    return Table("Relaxation", heads, kinds, rows, caption, notes=notes)
