"""Figures of when networks grok: every time, the share by a step, and the law's two unknowns."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from observatory.analysis.page.decay_axis import decay_label
from observatory.analysis.page.drawing import Drawing, NotDrawn, context, one_panel, why_not
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.frames import column, select, where, words
from observatory.analysis.page.records import columns_of
from observatory.analysis.page.wording import dots_words
from observatory.analysis.times.figure_joint import Region, joint_figure
from observatory.analysis.times.figure_survival import (
    chosen_curves,
    curve_name,
    draw_shares,
    incidence_table,
    survival_figure,
)
from observatory.analysis.times.figure_times import draw_all_times, drawn_times
from observatory.analysis.times.section_laws import (
    DISTRIBUTIONS,
    CensoredLaw,
    best_law,
    censored_laws,
    critical_of,
    drawn_laws,
    power_laws,
    share_law,
)


def draw_times(facts: Facts) -> Iterator[Drawing | NotDrawn]:
    """Times, survival and the joint region."""
    yield _times(facts)
    yield _survival(facts)
    yield _joint(facts)


def _times(facts: Facts) -> Drawing:
    laws = drawn_laws(censored_laws(facts.of("times_censored"))) | power_laws(facts.of("times"))
    seen = int((words(facts.times, "end") == "grokked").sum())
    some = dots_words(len(facts.times), len(drawn_times(facts.times)))
    lines = (
        "Lines: fitted power laws of the median time, over the weight decays that entered them; "
        "those of uncensored replicas use the replicas that had the event only."
    )
    drawn = {"times": facts.times, "laws": laws, "horizon": facts.horizon}
    return one_panel(
        name="times",
        title="Time to grok against weight decay",
        caption=(
            f"Steps to the event for the {seen} replicas that had it: a bar spans the two "
            "evaluations between which it happened, the dot is the later one. Open triangles are "
            "the replicas that did not, at the last step watched (the time is longer, unknown); "
            "crosses collapsed or diverged. Replicas of one weight decay are spread sideways. The "
            f"dotted line is the horizon.{some} {lines if laws else 'No power law was fitted.'} "
            f"{context(facts)}"
        ),
        panel=partial(draw_all_times, window_max=facts.window_max, **drawn),
        height=4.0,
    )


def _survival(facts: Facts) -> Drawing | NotDrawn:
    title = "Share that has had the event, against steps"
    if facts.times.empty:
        return NotDrawn(title, "no replica has a record yet")
    record = facts.single("survival")
    curves, means, band, entered, right = incidence_table(facts.times), None, "", "", ""
    how = "Aalen and Johansen's cumulative incidence"
    if record is not None:
        curves, means = (pd.DataFrame(columns_of(record, name)) for name in ("km", "rmst"))
        if np.isfinite(column(curves, "low")).any():
            band = f" with pointwise {record['level']:.0%} bands"
        entered, how = f" {record['n']} replicas entered these fits.", curve_name(record)
        right = (
            " Right: restricted mean time, the mean of the smaller of the time and the horizon "
            "(dotted), with intervals."
        )
    law = best_law(censored_laws(facts.of("times_censored")))
    going = where(facts.times, words(facts.times, "end") == "censored")
    ends = select(going, ["weight_decay", "watched"]).rename(columns={"watched": "step"})
    rest = sorted(set(column(facts.cells, "weight_decay")) - set(chosen_curves(curves)))
    not_drawn = f" Not drawn: weight decay {', '.join(map(decay_label, rest))}." if rest else ""
    dashed = "" if law is None else f" Dashed: {law.words}."
    share = None if law is None else share_law(law)
    drawn = {"curves": curves, "ends": ends, "horizon": facts.horizon, "law": share}
    drawing = one_panel(
        name="survival",
        title=title,
        caption=(
            f"Share of replicas that had the event (dimensionless){band} against optimizer steps "
            "(log axis), by weight decay; an event counts from the later of its two evaluations. "
            "A replica that collapsed or diverged can no longer have it and is in the denominator "
            f"of the share. Curves: {how}. Small bars: records that end without an event "
            f"(censored).{not_drawn}{dashed}{right}{entered} {context(facts)}"
        ),
        panel=partial(draw_shares, **drawn),
        height=3.3,
        columns=4,
    )
    if means is None:
        return drawing
    return replace(drawing, figure=survival_figure(means=means, **drawn), panel=None)


def _joint(facts: Facts) -> Drawing | NotDrawn:
    title = "Critical weight decay and exponent, together"
    laws = {(law.distribution, law.kind): law for law in censored_laws(facts.of("times_censored"))}
    regions = [
        _region(law, laws.get((name, "zero")))
        for name in DISTRIBUTIONS
        if (law := laws.get((name, "free"))) and "region.delta" in law.record["curves"]
    ]
    if not regions:
        return NotDrawn(title, why_not(facts, "times_censored"))
    found = [record for record in facts.of("times") if record["refused"] is None]
    uncensored = [(critical_of(record), record["params"]["nu"]["value"]) for record in found]
    return Drawing(
        name="joint",
        title=title,
        caption=(
            "Confidence regions of (λc, ν), both dimensionless, in t = A (weight decay − λc)^(−ν), "
            "from all times to the event, replicas without the event being censored; a panel per "
            "distribution of the times. Dark and light: the 50% and 95% regions of the profile "
            "likelihood (two degrees of freedom); dots: bootstrap draws, by seed; cross: the "
            "estimate; black diamond and bar: ν and its interval with λc held at 0, the dashed "
            "line; open squares, or numbers at the right where they lie beyond: the published "
            "log-log regressions on the replicas with the event "
            f"only. A region that meets the dashed line does not exclude λc = 0. {context(facts)}"
        ),
        figure=joint_figure(regions, uncensored),
    )


def _region(free: CensoredLaw, zero: CensoredLaw | None) -> Region:
    extras, cloud = free.record["extras"], columns_of(free.record, "joint")
    lr, p = extras.get("lr_zero"), extras.get("p_zero")
    test = "" if lr is None or p is None else f"\nLR of λc = 0: {lr:.3g}, p = {p:.2g}"
    held = None
    if zero is not None:
        nu, *ends = zero.nu
        low, high = (nu if end is None else end for end in ends)
        held = (nu, low, high)
    return Region(
        title=f"{free.name}{test}",
        cloud=np.stack([cloud["critical"], cloud["nu"]], axis=1) if cloud else np.empty((0, 2)),
        best=(free.critical, free.nu[0]),
        zero=held,
        **columns_of(free.record, "region"),
    )
