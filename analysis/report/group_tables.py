"""Tables that set groups of replicas beside each other."""

from collections.abc import Sequence

from observatory.analysis.boundary.section_tables import head, levels
from observatory.analysis.page.comparison import GroupComparison, StudyGroup
from observatory.analysis.page.decay_axis import decay_label
from observatory.analysis.page.facts import WINDOW
from observatory.analysis.page.records import Record, estimator_name, ratio_words
from observatory.analysis.page.table import Footnotes, Table
from observatory.analysis.page.wording import (
    DASH,
    estimate,
    event_words,
    horizon_words,
    number,
    sample_words,
)


def group_tables(comparison: GroupComparison) -> list[Table]:
    """What the groups are, their boundaries and times, and the tests between them."""
    groups = comparison.groups
    return [
        _groups(groups),
        *map(_pace, comparison.of("pace")),
        _boundaries(groups),
        _ratios(comparison.of("boundary_ratio"), "λc", "critical weight decays", "boundaries"),
        _ratios(comparison.of("time_ratio"), "times", "times to the event", "times"),
        _rates(comparison.of("rate_comparison")),
    ]


def _groups(groups: Sequence[StudyGroup]) -> Table:
    rows = [
        [
            group.label,
            group.facts.group.runs[0].manifest["study"],
            group.facts.group.runs[0].manifest.get("task", {}).get("name", DASH),
            f"{group.facts.group.runs[0].manifest['model']['name']} "
            f"({group.facts.group.runs[0].manifest['model']['n_params']:,})",
            sample_words(group.facts.group.replicas),
            event_words(group.facts.event, group.facts.config),
            horizon_words(group.facts.horizon, group.facts.group.steps_per_epoch),
            group.apart or DASH,
        ]
        for group in groups
    ]
    heads = (
        "group",
        "study",
        "task",
        "model (parameters)",
        "replicas",
        "event",
        "horizon",
        "set apart by",
    )
    return Table("Groups", heads, ("text", "", "", "", "text", "text", "", "text"), rows)


def _boundaries(groups: Sequence[StudyGroup]) -> Table:
    notes = Footnotes()
    rows: list[list[str]] = []
    used: list[Record] = []
    for group in groups:
        own = [r for r in group.facts.records if r["fit"] == "boundary"]
        own = [r for r in own if r["event"] == group.facts.event]
        for record in notes.answered(own, lambda _, name=group.label: name):
            upper = estimate(record, "critical_upper") if record["estimator"] == WINDOW else ""
            used.append(record)
            rows.append(
                [
                    group.label,
                    *head(record, group.facts.group.steps_per_epoch),
                    estimate(record, "critical"),
                    estimate(record, "slope"),
                    upper,
                    notes.cite(record),
                ]
            )
    heads = (
        *("group", "estimator", "event", "horizon, steps (epochs)", "n", "λc"),
        *("slope per decade", "collapse edge", "notes"),
    )
    caption = (
        f"Every boundary of every group. {levels(used)} A boundary belongs to its horizon: compare "
        "rows of one horizon and one estimator."
    )
    kinds = ("text", "", "", "", *["num"] * 4, "")
    return Table(
        "Boundaries by estimator and horizon", heads, kinds, rows, caption, notes=notes.lines
    )


def _pace(record: Record) -> Table:
    rows = [
        [
            label,
            f"{row['memorised']} of {row['n']}",
            number(row["median_memorised"]),
            f"{row['failed']} of {row['n']}",
            number(row["cpu_ms_per_step"], 2),
        ]
        for label, row in record["table"].items()
    ]
    heads = (
        *("group", "memorised", "median step of it", "collapsed or diverged"),
        "CPU ms per replica and step",
    )
    caption = (
        "How soon the groups memorise, how many networks were lost, and what a step of one costs. "
        "The median counts every replica; a dash: half of them did not memorise, or not recorded. "
        "Costs are of the machine and its load while it trained."
    )
    return Table("Pace and cost", heads, ("text", *["num"] * 4), rows, caption)


def _ratios(ratios: Sequence[Record], of: str, words: str, title: str) -> Table:
    notes = Footnotes()
    rows = [
        [
            ratio_words(record),
            *head(record, 1)[:1],
            "unknown" if record["horizon_steps"] is None else f"{record['horizon_steps']}",
            f"{record['n']}",
            estimate(record, "ratio"),
            number(record["extras"].get("p"), 2),
            number(record["extras"].get("p_holm"), 2),
            number(record["extras"].get("family")),
            notes.cite(record),
        ]
        for record in notes.answered(ratios, ratio_words)
    ]
    heads = (
        *(f"ratio of {of}", "estimator", "horizon, steps", "n", "ratio", "p", "p, Holm"),
        *("family", "notes"),
    )
    caption = (
        f"Ratios of two {words}. {levels(ratios)} p: test of a ratio of 1; p, Holm: "
        "adjusted for all tests of the registered family, whose size stands beside it."
    )
    kinds = ("text", "", *["num"] * 6, "")
    return Table(f"Ratios of {title}", heads, kinds, rows, caption, notes=notes.lines)


def _rates(tests: Sequence[Record]) -> Table:
    notes = Footnotes()
    rows: list[list[str]] = []
    for record in notes.answered(tests, ratio_words):
        pair = ratio_words(record).replace(" / ", " against ")
        start = [pair, estimator_name(record)]
        names = ("weight_decay", "a", "b", "p", "p_holm")
        columns = (record["curves"][f"rates.{name}"] for name in names)
        rows += [
            [
                *start,
                decay_label(decay),
                number(first),
                number(second),
                number(p, 2),
                number(adjusted, 2),
                notes.cite(record),
            ]
            for decay, first, second, p, adjusted in zip(*columns, strict=True)
        ]
    heads = (
        *("groups", "test", "weight decay", "event rate of the first", "of the second"),
        *("p", "p, Holm", "notes"),
    )
    caption = (
        "Event rates of two groups at every weight decay that both have. McNemar: exact, on the "
        "seeds that both share; Fisher: exact, where they share none. p, Holm: adjusted for all "
        "weight decays of the pair."
    )
    kinds = ("text", "", *["num"] * 5, "")
    return Table("Event rates of the groups", heads, kinds, rows, caption, notes=notes.lines)
