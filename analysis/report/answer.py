"""The answer of a study in a few sentences, each with its event, horizon and estimator."""

from collections.abc import Mapping, Sequence
from typing import Any

from observatory.analysis.page.decay_axis import decay_label
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.frames import records
from observatory.analysis.page.records import Record, estimator_name, lead_reason, limits
from observatory.analysis.page.wording import (
    estimate,
    event_words,
    horizon_words,
    number,
    verdict_words,
)
from observatory.analysis.times.section_laws import best_law, censored_laws


def answer(facts: Facts) -> list[str]:
    """Where the boundary lies and whether it is one, the rates at the extremes, what times say."""
    sentences = [_boundary(facts), _horizon(facts), _rates(facts), _times(facts)]
    return [sentence for sentence in sentences if sentence]


def _boundary(facts: Facts) -> str:
    horizon = horizon_words(facts.horizon, facts.group.steps_per_epoch)
    event = event_words(facts.event, facts.config)
    found = [record for record in facts.boundaries if limits(record, "critical")]
    if not found:
        reasons = dict.fromkeys(str(record["refused"]) for record in facts.boundaries)
        why = f"Every estimator refused: {' '.join(reasons)}" if reasons else "Nothing was fitted."
        return f"No boundary{_between(facts)} is given within {horizon}, for event {event}. {why}"
    first, others = facts.boundaries[0], found[1:]
    if first["refused"] is not None and lead_reason(first) is not None:
        others = found
        text = (
            f"{estimator_name(first)}, which leads at every horizon, gives no λc for event {event} "
            f"within {horizon}: {first['refused']}"
        )
    else:
        first = found[0]
        text = (
            f"Weight decay switches the network{_switched(facts)} at λc = "
            f"{estimate(first, 'critical')} ({estimator_name(first)}, {_level(first)}"
            f"n = {first['n']} replicas), for event {event}, within a horizon of {horizon}."
        )
    if others:
        also = ", ".join(f"{estimate(r, 'critical')} ({estimator_name(r)})" for r in others)
        text += f" Other estimators of the same counts: {also}."
    if refused := [estimator_name(r) for r in facts.boundaries if r["refused"] is not None]:
        text += f" No estimate by {', '.join(refused)}: the reasons are below the table of fits."
    return text


def _between(facts: Facts) -> str:
    return "" if facts.group.observed else " between memorising and grokking"


def _switched(facts: Facts) -> str:
    return " to the event" if facts.group.observed else " from memorising to grokking"


def _level(record: Record) -> str:
    """The level of the limits of a boundary, where it has some."""
    _, *ends = limits(record, "critical") or (None,)
    if ends == [None, None]:
        return "without an interval, "
    return f"{record['level']:.0%} {'bound' if None in ends else 'interval'}, "


def _rates(facts: Facts) -> str:
    cells = [cell for cell in records(facts.cells) if cell["n"] > 0]
    if not cells:
        return "No replica has a record yet."
    ends = "; ".join(map(_cell, [cells[0], *cells[1:][-1:]]))
    had = peak(facts)
    if not any(cell["rate"] for cell in cells):
        return f"{had[:-1]}: {ends}."
    return f"With the event at the smallest and the largest weight decay: {ends}. {had}"


def peak(facts: Facts) -> str:
    """Where the event rate is highest; empty where no replica has a record."""
    cells = [cell for cell in records(facts.cells) if cell["n"] > 0]
    if not cells:
        return ""
    most = max(cell["rate"] for cell in cells)
    if most == 0:
        return "No replica had the event at any weight decay."
    at = [index for index, cell in enumerate(cells) if cell["rate"] == most]
    best = [cells[index] for index in at]
    low, high = (decay_label(cell["weight_decay"]) for cell in (best[0], best[-1]))
    where = low if len(at) == 1 else f"{low} to {high}"
    gap = "" if at[-1] - at[0] + 1 == len(at) else ", though not at every weight decay between"
    count = f"{sum(cell['n_event'] for cell in best)} of {sum(cell['n'] for cell in best)}"
    return f"The event rate is highest, {number(most)} ({count}), at weight decay {where}{gap}."


def _cell(cell: Mapping[str, Any]) -> str:
    text = f"{cell['n_event']} of {cell['n']} at weight decay {decay_label(cell['weight_decay'])}"
    fates = [f"{cell[kind]} {kind}" for kind in ("collapsed", "diverged", "lost") if cell[kind]]
    return f"{text} ({', '.join(fates)})" if fates else text


def _horizon(facts: Facts) -> str:
    """The verdict where there is one, else how the boundary moved."""
    record = facts.single("horizon")
    if record is not None:
        return verdict_words(record)
    shorter = [r for r in facts.boundaries_at if r["horizon_steps"] not in (None, facts.horizon)]
    if not shorter:
        return ""
    shown = ", ".join(
        f"{estimate(r, 'critical')} at {r['horizon_steps']} steps"
        if limits(r, "critical")
        else f"none at {r['horizon_steps']} steps (refused: {str(r['refused']).rstrip('.')})"
        for r in sorted(shorter, key=lambda r: -r["horizon_steps"])
    )
    return (
        "The boundary depends on the horizon: the same records, censored earlier, give λc = "
        f"{shown} ({estimator_name(shorter[0])})."
    )


def _times(facts: Facts) -> str:
    """The censored laws where they were fitted, then those of the uncensored replicas."""
    return " ".join(part for part in (_censored(facts), _uncensored(facts)) if part)


def _censored(facts: Facts) -> str:
    laws = censored_laws(facts.of("times_censored"))
    best = best_law(laws)
    if best is None:
        return ""
    text = (
        f"With the replicas without the event counted as censored (n = {best.record['n']}), the "
        f"law with the smallest AICc is {best.words}, with ν = {best.nu_words}"
    )
    free = best_law([law for law in laws if law.kind == "free"])
    if free is None:
        return f"{text}."
    p = free.record["extras"].get("p_zero")
    test = "" if p is None else f" (likelihood ratio against 0: p = {number(p, 2)})"
    return f"{text}. With λc estimated, λc = {estimate(free.record, 'critical')}{test}."


def _uncensored(facts: Facts) -> str:
    laws = {r["extras"].get("critical_kind"): r for r in facts.of("times") if r["refused"] is None}
    zero, free = laws.get("zero"), laws.get("free")
    if zero is None:
        return ""
    text = (
        f"Among the {zero['n']} replicas with the event at weight decays up to "
        f"{number(zero['extras'].get('window_max'))}, time to the event falls as weight decay "
        f"to the power −ν, ν = {estimate(zero, 'nu')} with λc = 0"
    )
    text += f"; with λc estimated, λc = {estimate(free, 'critical')}." if free is not None else "."
    return f"{text} {_distinguishable(facts.of('times_comparison'))}".strip()


def _distinguishable(comparisons: Sequence[Record]) -> str:
    """Whether the comparison of laws distinguishes a critical weight decay from zero."""
    verdicts = [r["extras"].get("verdict") for r in comparisons if r["refused"] is None]
    if not verdicts:
        return ""
    verdict, extras = str(verdicts[0]), comparisons[0]["extras"]
    margin = f"ΔAICc = {number(extras.get('delta_aicc'))} between the two best laws"
    caveat = "Replicas without the event are not in these fits."
    if verdict == "zero":
        return f"λc = 0 is preferred by these times ({margin}). {caveat}"
    if "zero" in verdict:
        return f"These times do not distinguish λc from 0 ({margin}). {caveat}"
    return f"A law with λc above 0 ({verdict}) is preferred by these times ({margin}). {caveat}"
