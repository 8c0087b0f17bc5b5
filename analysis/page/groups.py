"""Which replicas may be pooled: those that differ in weight decay and seed alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from observatory.analysis.page.frames import where
from observatory.analysis.page.wording import component_words, operation_words
from observatory.analysis.tables.outcomes import leaves, settings_apart
from observatory.analysis.tables.recorded import common_step, recorded, training_notes
from observatory.core.columns import Column
from observatory.core.errors import StoreError
from observatory.store.identity import OBSERVED
from observatory.store.reader import Run, Study
from observatory.store.reprobed import REPROBED, reprobed_tables
from observatory.store.schema import PROVENANCE

_OWN = frozenset({"run_id", "replica", "shard", "seed", "weight_decay", *PROVENANCE})
"""Columns of replicas.parquet that do not split a group."""
_KEPT = f"{REPROBED}/"


@dataclass(frozen=True)
class Group:
    """Replicas of one setting, from one run or several."""

    label: str  # what sets the group apart, such as "lr = 0.01"; empty where there is one group
    runs: tuple[Run, ...]  # the runs that hold them
    # one row each, with outcomes; of those that still train what was seen so far
    replicas: pd.DataFrame
    # the step up to which all replicas of the study are recorded that still train; None where none
    # does
    recorded: int | None = None

    def notes(self) -> list[str]:
        """What is to be said of how many replicas there are."""
        said = training_notes(self.replicas)
        if "arm" in self.replicas.columns:
            arms = set(self.replicas["arm"].tolist())
            asked = sum(arm in arms for run in self.runs for arm in run.replicas()["arm"].tolist())
            if never := asked - len(self.replicas):
                said.append(
                    f"{never} of {asked} copies never parted from their replica, whose moment did "
                    "not come: they are left out."
                )
        return said

    @property
    def observed(self) -> bool:
        """Whether the runs are of models and loops that are not ours."""
        return self.runs[0].manifest.get("kind") == OBSERVED

    @property
    def horizon(self) -> int:
        """The shortest horizon of the runs, in steps; at most what is recorded of all replicas."""
        run = min(int(run.manifest["horizon_steps"]) for run in self.runs)
        return run if self.recorded is None else min(run, self.recorded)

    @property
    def steps_per_epoch(self) -> int | None:
        """Optimizer steps per epoch; None where an observed run did not say."""
        return self.runs[0].manifest["steps_per_epoch"]

    def table(self, name: str, columns: list[str]) -> pd.DataFrame | None:
        """Rows of the group's replicas; None where no run has the table or one of the columns.

        Tables of kept states, which were looked at after the training, are "reprobed/PROBE".
        """
        frames = [
            _rows(run, name, columns)
            for run in self.runs
            if set(columns) <= {c.name for c in _declared(run, name)}
        ]
        if not frames:
            return None
        frame = pd.concat(frames, ignore_index=True)
        own = self.replicas[["run_id", "replica"]]
        return frame.merge(own, on=["run_id", "replica"]).sort_values(["run_id", "replica", "step"])

    def columns(self, name: str) -> set[str]:
        """Names of the columns that a table has in any of the runs."""
        return {column.name for run in self.runs for column in _declared(run, name)}

    def unit(self, name: str, column: str) -> str:
        """Unit of a column in words, of the first run that has it.

        Raises:
            StoreError: If no run has it.
        """
        for run in self.runs:
            for found in run.columns(name) if name in run.tables() else ():
                if found.name == column:
                    return "dimensionless" if found.unit == "1" else found.unit
        raise StoreError(f"No run of the group has the column `{column}` in its table `{name}`.")

    def why_missing(self, *probes: str) -> str:
        """Why there is no reading of some probes: they could not read this model, or were off."""
        unavailable = self.runs[0].manifest.get("absent_probes", {})
        reasons = dict.fromkeys(unavailable[probe] for probe in probes if probe in unavailable)
        names = " and ".join(dict.fromkeys(probes))
        return "; ".join(reasons) or f"the probe {names} was off, or its readings are not defined"


def _declared(run: Run, name: str) -> tuple[Column, ...]:
    """The columns of a table of a run, or of its kept states; none where there is no such table."""
    if not name.startswith(_KEPT):
        return run.columns(name) if name in run.tables() else ()
    found = reprobed_tables(run).get(name.removeprefix(_KEPT))
    return () if found is None else found.columns


def _rows(run: Run, name: str, columns: list[str]) -> pd.DataFrame:
    if name.startswith(_KEPT):
        return reprobed_tables(run)[name.removeprefix(_KEPT)].table(columns)
    return run.table(name, ["run_id", "replica", "step", *columns])


def groups(study: Study) -> list[Group]:
    """Split a study into what may be pooled.

    Runs are pooled where their configs agree but for seeds, sweeps and where things are kept; their
    replicas are split where a swept setting other than weight decay and seed differs.

    Raises:
        StoreError: If the study holds no replica.
    """
    apart = _apart([run.manifest["config"] for run in study.runs])
    parts: dict[str, list[tuple[Run, pd.DataFrame]]] = {}
    every = [recorded([run]) for run in study.runs]
    until = common_step(pd.concat(every, ignore_index=True))
    over_all = _swept_columns(study)
    for run, rows_of_run, between in zip(study.runs, every, apart, strict=True):
        swept = over_all
        if run.manifest["config"].get("compare"):  # the arm's name says what all of the run have
            swept = [c for c in swept if len(set(map(_plain, run.replicas()[c]))) > 1]
        for within, rows in _split(rows_of_run, swept):
            parts.setdefault(", ".join([*between, *within]), []).append((run, rows))
    made = [
        Group(
            label=label if len(parts) > 1 else "",
            runs=tuple(run for run, _ in members),
            replicas=pd.concat([rows for _, rows in members], ignore_index=True),
            recorded=until,
        )
        for label, members in sorted(
            parts.items(), key=lambda part: (_place(part[1][0][0]), part[0])
        )
    ]
    if not any(len(group.replicas) for group in made):
        raise StoreError(f"The study {study.name} holds no replica. Run `observatory train` first.")
    return made


def _apart(configs: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """What sets each config apart: the name of its arm where arms are compared, and what else."""
    if not any(config.get("compare") for config in configs):
        return differences(configs)
    names = [str((config.get("compare") or {"arm": "base"})["arm"]) for config in configs]
    found = list[list[str]]()
    for place, name in enumerate(names):
        alike = [i for i, other in enumerate(names) if other == name]
        own = differences([configs[i] for i in alike])[alike.index(place)]
        found.append([name, *own])
    return found


def _place(run: Run) -> int:
    """Of a run among those that are compared, the base first; 0 where none are."""
    return int((run.manifest["config"].get("compare") or {"place": 0})["place"])


def differences(configs: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """What sets each config apart: of a component its name, then what differs within it.

    A setting that only another class has says nothing here. Configs that differ get other words.

    Example:
        >>> lstm = {"model": {"_target_": "a.Lstm", "d_hidden": 128}}
        >>> mlps = [{"model": {"_target_": "b.Mlp", "d_mlp": width}} for width in (64, 128)]
        >>> differences([lstm, *mlps])[:2]
        [['LSTM'], ['MLP', 'd_mlp = 64']]
    """
    flat = [dict(leaves(config)) for config in configs]
    varying = settings_apart(flat)
    return [_set_apart(own, flat, varying) for own in flat]


def _set_apart(
    own: Mapping[str, Any], configs: Sequence[Mapping[str, Any]], varying: Sequence[str]
) -> list[str]:
    found: list[str] = []
    for key in varying:
        part, _, last = key.rpartition(".")
        target = f"{part}._target_"
        alike = [config for config in configs if config.get(target) == own.get(target)]
        if last == "_target_":
            found.append(_named(part, own.get(key), [c.get(key) for c in configs]))
        elif len({repr(config.get(key)) for config in alike}) > 1:
            found.append(_SPOKEN.get(key, _setting_words)(key, own.get(key)))
    return found


def _named(part: str, target: Any, others: Sequence[Any]) -> str:
    """A component's name; its part and module too where another module has one of that name."""
    name = str(target).rpartition(".")[2]
    alike = {str(other) for other in others if str(other).rpartition(".")[2] == name}
    return f"{part} = {target}" if target is None or len(alike) > 1 else component_words(name)


def _setting_words(key: str, value: Any) -> str:
    kind, _, rest = key.partition(".")
    return f"{rest if kind in ('model', 'optimizer', 'task') else key} = {value}"


_SPOKEN: Mapping[str, Callable[[str, Any], str]] = {
    "task.operation": lambda _, value: operation_words(str(value)),
    "task.p": lambda _, value: f"modulo {value}",
}
"""Settings that a person says in other words than their name."""


def _swept_columns(study: Study) -> list[str]:
    """Settings besides weight decay and seed that take several values over all the replicas."""
    tables = pd.concat([run.replicas() for run in study.runs], ignore_index=True)
    return [c for c in tables.columns if c not in _OWN and len(set(map(_plain, tables[c]))) > 1]


def _split(rows: pd.DataFrame, by: list[str]) -> Iterator[tuple[list[str], pd.DataFrame]]:
    settings = [tuple(map(_plain, values)) for values in zip(*(rows[c] for c in by), strict=True)]
    if not by:
        yield [], rows
    for setting in sorted(set(settings)):
        words = [f"{name} = {value}" for name, value in zip(by, setting, strict=True)]
        yield words, where(rows, np.array([own == setting for own in settings], dtype=np.bool_))


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)
