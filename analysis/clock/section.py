"""Threshold or clock, where the groups of a study differ in their learning rate."""

from collections.abc import Iterator

from observatory.analysis.clock.figure import draw_record
from observatory.analysis.page.comparison import GroupComparison
from observatory.analysis.page.drawing import Drawing, NotDrawn
from observatory.analysis.page.records import Record
from observatory.analysis.page.table import Table
from observatory.analysis.page.wording import estimate, number

_WORDS = {
    "clock": "Verdict: clock. The boundary lies where the pace that lr × weight decay sets meets "
    "the horizon.",
    "threshold": "Verdict: threshold. The boundary is a critical weight decay, the same at every "
    "learning rate.",
    "both": "Verdict: both. Decay sets the pace, and a critical weight decay remains.",
    "cannot tell": "Verdict: cannot tell. These records do not decide between a threshold of "
    "weight decay and the pace that lr × weight decay sets.",
}


def draw_clock(comparison: GroupComparison) -> Iterator[Drawing | NotDrawn]:
    """A figure for every set of groups that differ in their learning rate alone."""
    for index, record in enumerate(comparison.of("clock")):
        yield _drawn(record, index)


def verdict_sentence(record: Record) -> str:
    """The verdict of a clock in plain words, with its reason."""
    verdict = str(record["extras"].get("verdict"))
    reason = str(record["extras"].get("reason") or "")
    words = _WORDS.get(verdict, f"Verdict: {verdict}.")
    return f"{words} {reason[:1].upper()}{reason[1:]}".strip()


def _drawn(record: Record, index: int) -> Drawing | NotDrawn:
    setting = record.get("group", {}).get("setting")
    title = "Threshold or clock?" + (f" {setting}" if setting else "")
    if record["refused"] is not None:
        return NotDrawn(title, f"the fit refused: {record['refused']}".rstrip("."))
    extras = record["extras"]
    warned = "".join(f" {text}" for text in record["warnings"][:2])
    law = str(extras["law"]).replace("_", " ")
    return Drawing(
        name="groups-clock" + (f"-{index + 1}" if index else ""),
        title=title,
        caption=(
            f"{verdict_sentence(record)} Left: median and quartiles over the seeds of a cell of "
            "lr × weight decay × time (dimensionless) against lr × weight decay, open where the "
            f"median lies beyond the horizon; lines: the law {law}, "
            f"{extras['distribution']} times; below, medians less the law, in units of the "
            "scatter. Right: critical weight decay against learning rate (both dimensionless, log "
            f"axes) with the records cut at {extras['horizons']} steps, and the fitted plane. "
            f"{record['level']:.0%} intervals, {extras['n_units']} seeds."
            f"{warned} n = {record['n']} replicas at learning rates {extras['lrs']}. Event "
            f"{record['event']}. Horizon {record['horizon_steps']} steps."
        ),
        figure=draw_record(record),
        table=_laws(record),
    )


def _laws(record: Record) -> Table:
    """Slopes, exponents, and how much worse than the best each law is."""
    names = {
        "lr_slope": "b, slope of the boundary against lr",
        "horizon_slope": "c, slope against the horizon",
        "lr_exponent": "exponent of lr in the times",
        "decay_exponent": "exponent of weight decay in the times",
        "constant": "constant part of the times (steps)",
        "decay_time": "decay time lr × weight decay × t",
        "critical": "critical weight decay of the best law that has one",
    }
    rows = [
        [words, estimate(record, name)] for name, words in names.items() if name in record["params"]
    ]
    lead = f"aic_{record['extras']['distribution']}"
    best = min(float(row[lead]) for row in record["table"].values())
    rows += [
        [f"AIC above the best: {name.replace('_', ' ')}", number(float(row[lead]) - best)]
        for name, row in record["table"].items()
    ]
    caption = f"{record['level']:.0%} intervals; AIC with {record['extras']['distribution']} times."
    return Table(
        "Slopes, exponents and laws", ("quantity", "value"), ("", "num"), rows, caption,
        rows_have_heads=True,
    )  # fmt: skip
