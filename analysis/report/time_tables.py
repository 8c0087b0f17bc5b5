"""The tables of times to grok: laws with and without the replicas that did not, and the verdict."""

from observatory.analysis.figures.decay_axis import decay_label
from observatory.analysis.report.facts import Facts
from observatory.analysis.report.fit_tables import head, levels, refused_or
from observatory.analysis.report.power_laws import DISTRIBUTIONS
from observatory.analysis.report.remarks import Footnotes
from observatory.analysis.report.tables import Table
from observatory.analysis.report.wording import DASH, estimate, interval, number, verdict_words


def time_tables(facts: Facts) -> list[Table]:
    """Laws, their comparison, restricted means and the horizon's verdict."""
    return [power_laws(facts), comparison(facts), means(facts), verdict(facts)]


def power_laws(facts: Facts) -> Table:
    """Every power law of the time to grok: censored ones, then those of the survivors."""
    notes = Footnotes()
    found = [r for fit in ("times_censored", "times") for r in facts.records if r["fit"] == fit]
    rows: list[list[str]] = []
    for record in found:
        extras = record["extras"]
        held = f"{number(extras.get('critical'))} (held)" if "critical" in extras else DASH
        if extras.get("critical_kind") == "zero" or str(record["estimator"]).endswith("_zero"):
            held = "0 (held)"
        free = "critical" in record["params"]
        rows.append(
            [
                "all, censored" if record["fit"] == "times_censored" else "survivors only",
                *head(record, facts.group.steps_per_epoch),
                refused_or(record, "critical") if free or record["refused"] else held,
                estimate(record, "nu"),
                estimate(record, "amplitude"),
                _spread(estimate(record, "sigma"), number(extras.get("rms_log"))),
                number(extras.get("lr")),
                number(extras.get("p_zero"), 2),
                number(extras.get("aicc"), 4),
                notes.cite(record),
            ]
        )
    heads = (
        *("replicas", "estimator", "event", "horizon, steps (epochs)", "n", "λc", "ν", "A, steps"),
        *("spread of ln t", "LR of λc = 0", "its p", "AICc", "notes"),
    )
    caption = (
        "t = A (weight decay − λc)^−ν. All, censored: the likelihood of every replica, the event "
        "between its two looks, those that did not grok longer than they were watched; A is the "
        "median time at weight decay − λc = 1. Survivors only: least squares of ln t, t the later "
        "look, on the replicas that grokked; dropping the others biases ν. LR: twice the "
        "log-likelihood that λc = 0 costs; its p allows for 0 being the end of the range. AICc "
        f"compares rows of one event, horizon and set of replicas. {levels(found)}"
    )
    kinds = ("", "", "", "", *["num"] * 8, "")
    return Table("Time to grok", heads, kinds, rows, caption, notes=notes.lines)


def _spread(sigma: str, rms: str) -> str:
    return rms if sigma == DASH else sigma


def comparison(facts: Facts) -> Table:
    """The survivors' power laws on one set of replicas, by their information criteria."""
    notes = Footnotes()
    rows: list[list[str]] = []
    for record in facts.records:
        if record["fit"] != "times_comparison":
            continue
        extras, start = record["extras"], head(record, facts.group.steps_per_epoch)[1:]
        if record["refused"] is not None:
            rows.append([*start, "refused", *[DASH] * 5, notes.cite(record)])
            continue
        for law in ("zero", "boundary", "free"):
            if f"aicc_{law}" in extras:
                scores = [
                    number(extras[f"{name}_{law}"], 4)
                    for name in ("critical", "nu", "rms_log", "aicc")
                ]
                preferred = str(extras.get("verdict", DASH))
                rows.append([*start, law, *scores, preferred, notes.cite(record)])
    heads = (
        *("event", "horizon, steps (epochs)", "n", "λc is", "λc", "ν", "rms of ln t", "AICc"),
        *("preferred", "notes"),
    )
    caption = (
        "AICc of least squares of ln t on the same replicas, those above the boundary's λc; "
        "smaller is better, and a difference below 2 does not decide."
    )
    kinds = ("", "", "num", "", *["num"] * 4, "", "")
    return Table("Which power law, of survivors", heads, kinds, rows, caption, notes=notes.lines)


def means(facts: Facts) -> Table:
    """Restricted mean time per weight decay, and whether weight decays differ at all."""
    notes = Footnotes()
    rows: list[list[str]] = []
    tests: list[str] = []
    for record in facts.of("survival"):
        if record["refused"] is not None:
            rows.append([DASH, DASH, "refused", DASH, DASH, notes.cite(record)])
            continue
        curves, extras = record["curves"], record["extras"]
        names = ("weight_decay", "n", "value", "se", "low", "high")
        columns = [curves.get(f"rmst.{name}", []) for name in names]
        rows += [
            [
                decay_label(decay),
                DASH if n is None else f"{n:.0f}",
                number(value, 4),
                number(se),
                interval(low, high),
                notes.cite(record),
            ]
            for decay, n, value, se, low, high in zip(*columns, strict=True)
        ]
        if extras.get("logrank_p") is not None:
            tests.append(
                f" Log-rank test that all weight decays share one curve: chi-square "
                f"{number(extras['logrank_chi2'])} with {extras['logrank_df']} degrees of freedom, "
                f"p = {number(extras['logrank_p'], 2)}."
            )
    heads = ("weight decay", "n", "restricted mean, steps", "se", "interval", "notes")
    caption = (
        "Mean of the smaller of the time to grok and the horizon: it needs no law and counts "
        f"replicas that did not grok. {levels(facts.of('survival'))}{''.join(tests)}"
    )
    kinds = (*["num"] * 5, "")
    return Table("Restricted mean time", heads, kinds, rows, caption, notes=notes.lines)


def verdict(facts: Facts) -> Table:
    """What the horizon analysis concludes, and from what."""
    notes = Footnotes()
    rows: list[tuple[str, str]] = []
    for record in facts.of("horizon"):
        if record["refused"] is not None:
            rows.append(("Refused", str(record["refused"])))
            continue
        extras = record["extras"]
        rows += [
            ("Verdict", verdict_words(record)),
            ("λc at the longest horizon", estimate(record, "critical")),
        ]
        rows += [
            (
                f"Test of λc = 0, {words} times",
                f"likelihood ratio {number(extras.get(f'lr_{name}'))}, p = "
                f"{number(extras.get(f'p_{name}'), 2)}; upper limit of the free λc "
                f"{number(extras.get(f'upper_{name}'))}",
            )
            for name, words in DISTRIBUTIONS.items()
            if f"lr_{name}" in extras
        ]
        told = {"verdict", "reason", "critical_kind"}
        told |= {f"{key}_{name}" for key in ("lr", "p", "upper") for name in DISTRIBUTIONS}
        rows += [
            (key.replace("_", " ").capitalize(), _plain(value))
            for key, value in extras.items()
            if key not in told and value is not None
        ]
        rows.append(("Notes", notes.cite(record)))
    caption = (
        "Threshold: λc = 0 is rejected under all three distributions of the times and the boundary "
        "flattens on the held-out longer horizon. Horizon artefact: the upper limit of the free λc "
        "is below a quarter of the boundary at the longest horizon under all three. Otherwise: "
        "cannot tell. A threshold much below half of the boundary at the longest horizon cannot be "
        "seen."
    )
    heads, kinds = ("Quantity", "Value"), ("", "text")
    return Table(
        "Threshold or horizon",
        heads,
        kinds,
        rows,
        caption,
        rows_have_heads=True,
        notes=notes.lines,
    )


def _plain(value: object) -> str:
    return number(value) if isinstance(value, float) else str(value)
