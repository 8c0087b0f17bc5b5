"""The tables of times to grok: laws with and without the replicas that did not, and the verdict."""

import math
from collections.abc import Mapping
from typing import Any

from observatory.analysis.boundary.section_tables import head, levels
from observatory.analysis.page.decay_axis import decay_label
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.records import Record, columns_of
from observatory.analysis.page.table import Footnotes, Table
from observatory.analysis.page.wording import (
    DASH,
    estimate,
    interval,
    number,
    verdict_words,
    with_ends,
)
from observatory.analysis.times.section_laws import DISTRIBUTIONS, censored_laws, critical_of


def time_tables(facts: Facts) -> list[Table]:
    """Laws, their comparison, restricted means and the horizon's verdict."""
    return [_power_laws(facts), _comparison(facts), _means(facts), _verdict(facts)]


def _power_laws(facts: Facts) -> Table:
    notes = Footnotes()
    found = [r for r in facts.records if r["fit"] in ("times_censored", "times")]
    found.sort(key=lambda record: record["fit"], reverse=True)
    heads = (
        *("estimator", "event", "horizon, steps (epochs)", "n", "λc", "ν", "A, steps"),
        *("spread of ln t", "LR of λc = 0", "its p", "AICc", "notes"),
    )
    rows: list[list[str]] = []
    for record in notes.answered(found):
        start = head(record, facts.group.steps_per_epoch)
        censored = record["fit"] == "times_censored"
        rows += (_censored if censored else _uncensored)(record, start, notes)
    caption = (
        "t = A (weight decay − λc)^(−ν). Weibull, log-normal and log-logistic rows: the "
        "likelihood of every replica, the event between two evaluations, those without the event "
        "being censored when last watched; A is the median time at weight decay − λc = 1. Log "
        "least squares: of ln t, t the later one, on the replicas with the event; dropping the "
        "others biases ν. LR: twice the loss of log-likelihood by λc = 0; its p allows for 0 "
        "being the end of the range. AICc compares rows of one event, horizon and set of "
        f"replicas. {levels(found)}"
    )
    kinds = ("", "", "", *["num"] * 8, "")
    return Table("Time to grok", heads, kinds, rows, caption, notes=notes.lines)


def _censored(record: Record, start: list[str], notes: Footnotes) -> list[list[str]]:
    """A row of the record's law, and one of the same law with the critical point at 0."""
    extras = record["extras"]
    rows: list[list[str]] = []
    for law in censored_laws([record]):
        own = law.kind in str(record["estimator"])
        free = own and "critical" in record["params"]
        test = [number(extras.get("lr_zero")), number(extras.get("p_zero"), 2)]
        rows.append(
            [
                start[0] if own else f"{law.distribution} zero",
                *start[1:],
                estimate(record, "critical") if free else f"{number(law.critical)} (held)",
                law.nu_words,
                estimate(record, "amplitude") if own else number(law.amplitude),
                estimate(record, "sigma") if own else number(law.sigma),
                *(test if law.kind == "free" else [DASH, DASH]),
                number(law.aicc, 4),
                notes.cite(record) if own else DASH,
            ]
        )
    return rows


def _uncensored(record: Record, start: list[str], notes: Footnotes) -> list[list[str]]:
    free = "critical" in record["params"]
    critical = estimate(record, "critical") if free else f"{number(critical_of(record))} (held)"
    numbers = [critical, *(estimate(record, name) for name in ("nu", "amplitude"))]
    spread = number(record["extras"].get("rms_log"))
    return [[*start, *numbers, spread, *[DASH] * 3, notes.cite(record)]]


def _comparison(facts: Facts) -> Table:
    notes = Footnotes()
    rows: list[list[str]] = []
    heads = (
        *("event", "horizon, steps (epochs)", "n", "λc is", "λc", "ν", "rms of ln t", "AICc"),
        *("preferred", "notes"),
    )
    for record in notes.answered(r for r in facts.records if r["fit"] == "times_comparison"):
        extras, start = record["extras"], head(record, facts.group.steps_per_epoch)[1:]
        preferred = str(extras.get("verdict", DASH))
        for law in (law for law in ("zero", "boundary", "free") if f"aicc_{law}" in extras):
            names = (f"{name}_{law}" for name in ("critical", "nu", "rms_log", "aicc"))
            scores = [number(extras[name], 4) for name in names]
            rows.append([*start, law, *scores, preferred, notes.cite(record)])
    caption = (
        "AICc of least squares of ln t on the same replicas, those above the boundary's λc; "
        "smaller is better, and a difference below 2 does not decide."
    )
    kinds = ("", "", "num", "", *["num"] * 4, "", "")
    title = "Which power law, uncensored replicas only"
    return Table(title, heads, kinds, rows, caption, notes=notes.lines)


def _means(facts: Facts) -> Table:
    notes = Footnotes()
    rows: list[list[str]] = []
    tests: list[str] = []
    heads = (
        *("weight decay", "n", "median, steps", "interval", "restricted mean, steps"),
        *("se", "interval", "notes"),
    )
    for record in notes.answered(facts.of("survival")):
        extras = record["extras"]
        means, medians = (columns_of(record, name) for name in ("rmst", "median"))
        for i, decay in enumerate(means["weight_decay"]):
            mean, median = ({n: _known(v[i]) for n, v in of.items()} for of in (means, medians))
            rows.append(
                [
                    decay_label(decay),
                    number(mean["n"], 4),
                    number(median.get("value"), 4),
                    _ends(median, "value"),
                    number(mean["value"], 4),
                    number(mean["se"]),
                    _ends(mean, "se"),
                    notes.cite(record),
                ]
            )
        if extras.get("logrank_p") is not None:
            tests.append(
                f" Log-rank test that all weight decays share one curve: chi-square "
                f"{number(extras['logrank_chi2'])} with {extras['logrank_df']} degrees of freedom, "
                f"p = {number(extras['logrank_p'], 2)}."
            )
    caption = (
        "Restricted mean: mean of the smaller of the time to the event and the horizon; it "
        "needs no law and counts replicas without the event. A dash: half did not have it by the "
        f"horizon. {levels(facts.of('survival'))}{''.join(tests)}"
    )
    title, kinds = "Median and restricted mean time", (*["num"] * 7, "")
    return Table(title, heads, kinds, rows, caption, notes=notes.lines)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _ends(of: Mapping[str, float | None], needs: str) -> str:
    """The interval of a row of a curve, a dash where it lacks what it `needs`."""
    return DASH if of.get(needs) is None else interval(of["low"], of["high"])


def _verdict(facts: Facts) -> Table:
    notes = Footnotes()
    rows: list[list[str]] = []
    verdicts: list[str] = []
    heads = (
        *("times", "LR of λc = 0", "its p", "λc, free", "upper limit", "ν, λc = 0", "ν, free"),
        *("held out / predicted", "flattens", "notes"),
    )
    for record in notes.answered(facts.of("horizon")):
        verdicts.append(f"{verdict_words(record)} Boundary: λc = {estimate(record, 'critical')}.")
        for name, words in DISTRIBUTIONS.items():
            of = {key.removesuffix(f"_{name}"): v for key, v in record["extras"].items()}
            if f"lr_{name}" in record["extras"]:
                values = ("critical_free", "critical_upper", "nu_zero", "nu_free")
                scores = [
                    number(of["lr"]),
                    number(of.get("p"), 2),
                    *(number(of.get(v)) for v in values),
                ]
                flattens = {None: DASH, True: "yes", False: "no"}[of.get("flattens")]
                rows.append([words, *scores, _held_out(of), flattens, notes.cite(record)])
    caption = (
        f"{' '.join(verdicts)} Rule. Threshold: under all three distributions of the times λc = 0 "
        "is rejected, the boundary flattens on the held-out longer horizon, no law without a "
        "threshold that bends is within 2 of the AIC, and without the largest weight decays half "
        "of λc is left. Horizon artefact: "
        "the upper limit of the free λc is below a quarter of the boundary at the longest horizon "
        "under all three. Otherwise: cannot tell. A threshold much below half of the boundary "
        "cannot be seen. Held out: the boundary at the longest horizon over what the law with λc "
        "= 0 predicts from the shorter one, with its interval."
    )
    kinds = ("", *["num"] * 7, "", "")
    return Table("Threshold or horizon", heads, kinds, rows, caption.strip(), notes=notes.lines)


def _held_out(of: Mapping[str, Any]) -> str:
    if of.get("held_out_ratio") is None:
        return DASH
    ends = (of.get(f"held_out_ratio_{end}") for end in ("low", "high"))
    return with_ends(of["held_out_ratio"], *ends)
