"""The tables of times to grok: laws with and without the replicas that did not, and the verdict."""

from collections.abc import Mapping, Sequence
from typing import Any

from observatory.analysis.boundary.section_tables import head, levels
from observatory.analysis.page.decay_axis import decay_label
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.records import Record
from observatory.analysis.page.table import Footnotes, Table
from observatory.analysis.page.wording import DASH, estimate, interval, number, verdict_words
from observatory.analysis.times.section_laws import DISTRIBUTIONS, censored_laws, critical_of


def time_tables(facts: Facts) -> list[Table]:
    """Laws, their comparison, restricted means and the horizon's verdict."""
    return [_power_laws(facts), _comparison(facts), _means(facts), _verdict(facts)]


def _power_laws(facts: Facts) -> Table:
    """Every power law of the time to grok: censored ones, then those of the uncensored replicas."""
    notes = Footnotes()
    found = [r for r in facts.records if r["fit"] in ("times_censored", "times")]
    rows = [
        *(row for r in found if r["fit"] == "times_censored" for row in _censored(r, facts, notes)),
        *(_uncensored(r, facts, notes) for r in found if r["fit"] == "times"),
    ]
    heads = (
        *("estimator", "event", "horizon, steps (epochs)", "n", "λc", "ν", "A, steps"),
        *("spread of ln t", "LR of λc = 0", "its p", "AICc", "notes"),
    )
    caption = (
        "t = A (weight decay − λc)^(−ν). Weibull, log-normal and log-logistic rows: the "
        "likelihood of every replica, the event between two evaluations, those that did not grok "
        "being censored when last watched; A is the median time at weight decay − λc = 1. Log "
        "least squares: of ln t, t the later one, on the replicas that grokked only; dropping the "
        "others biases ν. LR: twice the loss of log-likelihood by λc = 0; its p allows for 0 "
        "being the end of the range. AICc compares rows of one event, horizon and set of "
        f"replicas. {levels(found)}"
    )
    kinds = ("", "", "", *["num"] * 8, "")
    return Table("Time to grok", heads, kinds, rows, caption, notes=notes.lines)


def _censored(record: Record, facts: Facts, notes: Footnotes) -> list[list[str]]:
    """A row of the record's law, and one of the same law with the critical point at 0."""
    start = head(record, facts.group.steps_per_epoch)
    if record["refused"] is not None:
        return [[*start, "refused", *[DASH] * 6, notes.cite(record)]]
    extras = record["extras"]
    rows: list[list[str]] = []
    for law in censored_laws([record]):
        own = law.kind in str(record["estimator"])
        test = [number(extras.get("lr_zero")), number(extras.get("p_zero"), 2)]
        rows.append(
            [
                start[0] if own else f"{law.distribution} zero",
                *start[1:],
                estimate(record, "critical")
                if own and "critical" in record["params"]
                else f"{number(law.critical)} (held)",
                law.nu_words,
                estimate(record, "amplitude") if own else number(law.amplitude),
                estimate(record, "sigma") if own else number(law.sigma),
                *(test if law.kind == "free" else [DASH, DASH]),
                number(law.aicc, 4),
                notes.cite(record) if own else DASH,
            ]
        )
    return rows


def _uncensored(record: Record, facts: Facts, notes: Footnotes) -> list[str]:
    start = head(record, facts.group.steps_per_epoch)
    if record["refused"] is not None:
        return [*start, "refused", *[DASH] * 6, notes.cite(record)]
    free = "critical" in record["params"]
    return [
        *start,
        estimate(record, "critical") if free else f"{number(critical_of(record))} (held)",
        estimate(record, "nu"),
        estimate(record, "amplitude"),
        number(record["extras"].get("rms_log")),
        *[DASH] * 3,
        notes.cite(record),
    ]


def _comparison(facts: Facts) -> Table:
    """Power laws of one set of uncensored replicas, by their information criteria."""
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
    return Table(
        "Which power law, uncensored replicas only", heads, kinds, rows, caption, notes=notes.lines
    )


def _means(facts: Facts) -> Table:
    """Restricted mean time per weight decay, and whether weight decays differ at all."""
    notes = Footnotes()
    rows: list[list[str]] = []
    tests: list[str] = []
    for record in facts.of("survival"):
        if record["refused"] is not None:
            rows.append([DASH, DASH, "refused", *[DASH] * 4, notes.cite(record)])
            continue
        curves, extras = record["curves"], record["extras"]
        names = ("weight_decay", "n", "value", "se", "low", "high")
        columns = [curves.get(f"rmst.{name}", []) for name in names]
        medians = _medians(curves)
        rows += [
            [
                decay_label(decay),
                DASH if n is None else f"{n:.0f}",
                *medians.get(decay, (DASH, DASH)),
                number(value, 4),
                number(se),
                DASH if se is None else interval(low, high),
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
    heads = (
        *("weight decay", "n", "median, steps", "interval", "restricted mean, steps"),
        *("se", "interval", "notes"),
    )
    caption = (
        "Restricted mean: mean of the smaller of the time to grok and the horizon; it needs no law "
        "and counts replicas that did not grok. A dash: half had not grokked by the horizon. "
        f"{levels(facts.of('survival'))}{''.join(tests)}"
    )
    kinds = (*["num"] * 7, "")
    return Table("Median and restricted mean time", heads, kinds, rows, caption, notes=notes.lines)


def _medians(curves: Mapping[str, Sequence[float | None]]) -> dict[float | None, tuple[str, str]]:
    names = ("weight_decay", "value", "low", "high")
    columns = [curves.get(f"median.{name}", []) for name in names]
    return {
        decay: (number(value, 4), DASH if value is None else interval(low, high))
        for decay, value, low, high in zip(*columns, strict=True)
    }


def _verdict(facts: Facts) -> Table:
    """What the horizon analysis concludes, and from what."""
    notes = Footnotes()
    rows: list[list[str]] = []
    verdicts: list[str] = []
    for record in facts.of("horizon"):
        if record["refused"] is not None:
            rows.append(["refused", *[DASH] * 8, notes.cite(record)])
            continue
        extras = record["extras"]
        verdicts.append(f"{verdict_words(record)} Boundary: λc = {estimate(record, 'critical')}.")
        rows += [
            [
                words,
                number(extras.get(f"lr_{name}")),
                number(extras.get(f"p_{name}"), 2),
                number(extras.get(f"critical_free_{name}")),
                number(extras.get(f"critical_upper_{name}")),
                number(extras.get(f"nu_zero_{name}")),
                number(extras.get(f"nu_free_{name}")),
                _held_out(extras, name),
                _yes(extras.get(f"flattens_{name}")),
                notes.cite(record),
            ]
            for name, words in DISTRIBUTIONS.items()
            if f"lr_{name}" in extras
        ]
    caption = (
        f"{' '.join(verdicts)} Rule. Threshold: λc = 0 is rejected under all three distributions "
        "of the times and the boundary flattens on the held-out longer horizon. Horizon artefact: "
        "the upper limit of the free λc is below a quarter of the boundary at the longest horizon "
        "under all three. Otherwise: cannot tell. A threshold much below half of the boundary "
        "cannot be seen. Held out: the boundary at the longest horizon over what the law with λc "
        "= 0 predicts from the shorter one, with its interval."
    )
    heads = (
        *("times", "LR of λc = 0", "its p", "λc, free", "upper limit", "ν, λc = 0", "ν, free"),
        *("held out / predicted", "flattens", "notes"),
    )
    kinds = ("", *["num"] * 7, "", "")
    return Table("Threshold or horizon", heads, kinds, rows, caption.strip(), notes=notes.lines)


def _held_out(extras: Mapping[str, Any], name: str) -> str:
    value = extras.get(f"held_out_ratio_{name}")
    if value is None:
        return DASH
    ends = (extras.get(f"held_out_ratio_{end}_{name}") for end in ("low", "high"))
    return f"{number(value)} {interval(*ends)}"


def _yes(value: object) -> str:
    return DASH if value is None else "yes" if value else "no"
