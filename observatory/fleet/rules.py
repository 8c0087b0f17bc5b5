"""When a replica leaves the stack, and what is said of it when it does."""

from collections.abc import Mapping
from typing import Literal, Protocol, runtime_checkable

import torch
from numpy.typing import ArrayLike

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement
from observatory.events.collapse import collapsed
from observatory.events.columns import interval_columns, interval_entries
from observatory.events.interval import Interval
from observatory.events.outcome import LostRule, label
from observatory.events.settled import settled
from observatory.fleet.settings import SERIES, RetirementRules

_RetireReason = Literal["diverged", "collapsed", "settled", "horizon"]


@runtime_checkable
class Event(Protocol):
    """An event definition: which series it looks at and where it locates itself."""

    series: str

    def locate(self, steps: ArrayLike, values: ArrayLike) -> Interval:
        """The event in one replica's record."""
        ...


class Looks:
    """What evaluation saw of one replica so far: steps and accuracies, in order."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.series: dict[str, list[float]] = {name: [] for name in SERIES}

    def add(self, step: int, train_acc: float, val_acc: float) -> None:
        """One more look."""
        self.steps.append(step)
        self.series["train_acc"].append(train_acc)
        self.series["val_acc"].append(val_acc)

    def end_at(self, step: int) -> bool:
        """Whether the last look was at `step`."""
        return bool(self.steps) and self.steps[-1] == step

    def locate(self, event: Event) -> Interval:
        """An event in this record."""
        return event.locate(self.steps, self.series[event.series])

    def state(self) -> list[list[float]]:
        """Plain values from which `restore` continues."""
        return [list(map(float, self.steps)), *(list(self.series[name]) for name in SERIES)]

    @staticmethod
    def restore(state: list[list[float]]) -> "Looks":
        """Inverse of `state`."""
        looks = Looks()
        for step, train_acc, val_acc in zip(*state, strict=True):
            looks.add(int(step), train_acc, val_acc)
        return looks


def _collapse_step(rules: RetirementRules, looks: Looks) -> int | None:
    """The step at which collapse was confirmed, or None."""
    return collapsed(
        looks.steps,
        looks.series["train_acc"],
        rules.collapse_level,
        rules.collapse_looks,
        rules.collapse_after,
    )


def retire_reason(
    rules: RetirementRules, events: Mapping[str, Event], looks: Looks, diverged_step: int | None
) -> _RetireReason | None:
    """Why a replica leaves now, or None while it stays."""
    if diverged_step is not None:
        return "diverged"
    if _collapse_step(rules, looks) is not None:
        return "collapsed"
    step = looks.steps[-1]
    if rules.settle and settled(
        looks.locate(events["held99"]), looks.locate(events["first99"]), step, rules.tail_steps
    ):
        return "settled"
    return "horizon" if step >= rules.horizon_steps else None


def outcome_row(
    rules: RetirementRules,
    events: Mapping[str, Event],
    looks: Looks,
    diverged_step: int | None,
    reason: str | None,
) -> dict[str, object]:
    """The outcomes table's entries for one replica, from what was seen of it so far."""
    located = {name: looks.locate(event) for name, event in events.items()}
    labelled = label(
        looks.steps,
        looks.series["val_acc"],
        first99=located["first99"],
        mem=located["mem"],
        diverged_step=diverged_step,
        collapsed_step=_collapse_step(rules, looks),
        lost_rule=LostRule(rules.lost_level, rules.lost_looks),
    )
    row: dict[str, object] = {
        "retire_reason": reason,
        "outcome": labelled.outcome,
        "instant": labelled.instant,
        "diverged_step": diverged_step,
    }
    return row | interval_entries(located)


def outcome_columns(events: Mapping[str, Event]) -> tuple[Column, ...]:
    """Columns of the outcomes table: a row per replica that has left; step = steps watched."""
    columns = [
        Column(
            name="retire_reason",
            unit="-",
            dtype="string",
            meaning="rule by which the replica left the stack",
        ),
        Column(
            name="outcome",
            unit="-",
            dtype="string",
            meaning="diverged, collapsed, lost, grokked, memorised or none, in this precedence",
        ),
        Column(
            name="instant", unit="-", dtype="bool", meaning="grokked within one look of memorising"
        ),
        Column(
            name="diverged_step",
            unit="steps",
            dtype="int64",
            meaning="step of the first non-finite loss or parameter",
        ),
    ]
    series = {name: event.series for name, event in events.items()}
    return (*columns, *interval_columns(series))


def as_columns(rows: list[dict[str, object]], columns: tuple[Column, ...]) -> Measurement:
    """Rows turned into one entry per column, None into null."""
    return {
        column.name: _typed([row[column.name] for row in rows], column.dtype) for column in columns
    }


def _typed(values: list[object], dtype: str) -> Masked | list[str | None]:
    if dtype == "string":
        return [None if value is None else str(value) for value in values]
    defined = torch.tensor([value is not None for value in values])
    kind = {"bool": torch.bool, "int64": torch.int64, "float64": torch.float64}[dtype]
    return Masked(torch.tensor([value or 0 for value in values], dtype=kind), defined)
