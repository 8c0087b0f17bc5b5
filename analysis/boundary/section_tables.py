"""The tables of fits: where the boundary lies and what its shape is."""

from collections.abc import Sequence

from observatory.analysis.page.facts import WINDOW, Facts
from observatory.analysis.page.records import Record, estimator_name
from observatory.analysis.page.table import Footnotes, Table
from observatory.analysis.page.wording import DASH, estimate, number


def boundary_tables(facts: Facts) -> list[Table]:
    """Boundaries, the comparison of their shapes, and the window."""
    return [boundaries(facts), models(facts), window(facts)]


def head(record: Record, steps_per_epoch: int | None) -> list[str]:
    """Estimator, event, horizon and n: what the row of every fit begins with."""
    horizon = record["horizon_steps"]
    epochs = record["horizon_epochs"]
    if horizon is not None and epochs is None:
        epochs = horizon / steps_per_epoch if steps_per_epoch else None
    return [
        estimator_name(record),
        record["event"],
        "unknown" if horizon is None else f"{horizon} ({number(epochs)})",
        f"{record['n']}",
    ]


def levels(records: Sequence[Record]) -> str:
    """What brackets mean."""
    found = sorted({f"{record['level']:.0%}" for record in records})
    return f"Brackets are {' and '.join(found)} intervals." if found else ""


def boundaries(facts: Facts) -> Table:
    """Every boundary fit of one edge: estimators, events and horizons; below, what refused."""
    notes = Footnotes()
    found = [r for r in facts.records if r["fit"] == "boundary" and r["estimator"] != WINDOW]
    rows = [
        [
            *head(record, facts.group.steps_per_epoch),
            estimate(record, "critical"),
            estimate(record, "slope"),
            number(record["extras"].get("width_10_90_decades")),
            estimate(record, "lapse"),
            number(record["extras"].get("deviance_p")),
            notes.cite(record),
        ]
        for record in notes.answered(found)
    ]
    heads = (
        *("estimator", "event", "horizon, steps (epochs)", "n", "λc", "slope per decade"),
        *("width, decades", "lapse", "fit p", "notes"),
    )
    caption = (
        f"Event rate over 0 < weight decay ≤ {number(facts.window_max)}, in log10(weight "
        "decay), logistic unless a link is named or the estimator is one of yours; λc is the "
        f"midpoint of the underlying curve, the width goes from 10 to 90% of it. {levels(found)} "
        "Fit p: goodness of fit by the deviance; a small one speaks against the curve. n counts "
        "the replicas that entered. "
        "Shorter horizons re-censor the same records: the rows are correlated."
    )
    kinds = ("", "", "", *["num"] * 6, "")
    return Table("Boundary fits", heads, kinds, rows, caption, notes=notes.lines)


def models(facts: Facts) -> Table:
    """Shapes of the boundary on one table of counts, by their scores."""
    notes = Footnotes()
    rows: list[list[str]] = []
    for record in notes.answered(r for r in facts.records if r["fit"] == "boundary_comparison"):
        start, extras = head(record, facts.group.steps_per_epoch)[1:], record["extras"]
        names = [key.removeprefix("aicc_") for key in extras if key.startswith("aicc_")]
        verdict = str(extras.get("verdict") or extras.get("preferred") or DASH)
        for name in sorted(names, key=lambda name: _score(extras[f"aicc_{name}"])):
            scores = [number(extras.get(f"{score}_{name}"), 4) for score in ("aicc", "log_score")]
            rows.append([*start, name.replace("_", " "), *scores, verdict, notes.cite(record)])
    heads = (
        *("event", "horizon, steps (epochs)", "n", "model", "AICc", "log score"),
        *("preferred", "notes"),
    )
    caption = (
        "The same counts under several models. AICc: smaller is better, and a difference below 2 "
        "does not decide. Log score: mean log likelihood of replicas left out, in nats; larger is "
        "better."
    )
    kinds = ("", "", "num", "", "num", "num", "", "")
    return Table("Which shape of the boundary", heads, kinds, rows, caption, notes=notes.lines)


def _score(value: float | None) -> float:
    return float("inf") if value is None else value


def window(facts: Facts) -> Table:
    """Both edges of the window."""
    notes, upper = Footnotes(), ("critical_upper", "slope_upper")
    found = [r for r in facts.records if r["fit"] == "boundary" and r["estimator"] == WINDOW]
    rows = [
        [
            *head(record, facts.group.steps_per_epoch)[1:],
            *(estimate(record, name) for name in ("critical", "slope", *upper, "lapse")),
            notes.cite(record),
        ]
        for record in notes.answered(found)
    ]
    heads = (
        *("event", "horizon, steps (epochs)", "n", "memorisation edge λc", "slope per decade"),
        *("collapse edge", "slope per decade", "lapse", "notes"),
    )
    caption = (
        "Rate = (1 − lapse) × rising edge × falling edge, over all positive weight decays. "
        f"{levels(found)}"
    )
    kinds = ("", "", *["num"] * 6, "")
    return Table("Window with both edges", heads, kinds, rows, caption, notes=notes.lines)
