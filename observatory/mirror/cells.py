"""Cells of a run as MLflow shows them: replicas, names, outcome rates, times, params and tags."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from observatory.mirror.curves import order_statistic
from observatory.store.identity import WITHOUT_EFFECT
from observatory.store.schema import PROVENANCE

EVENT_RATE = "rate/first99"
"""Metric of the share of replicas that had the event; `rate/grokked` is that of an outcome."""
OUTCOMES = ("grokked", "memorised", "none", "lost", "collapsed", "diverged")
QUARTILES = {"": 0.5, "_q25": 0.25, "_q75": 0.75}
"""Suffix of a metric's name and the quantile it stands for; the median has the plain name."""
IDENTITY = ("run_id", "replica", "shard", "seed", *PROVENANCE)
_SILENT = {"sweep", "fleet", *WITHOUT_EFFECT}
"""Settings that say nothing of what sets runs apart."""
_SHORT = {"weight_decay": "wd"}
KEY_LIMIT, PARAM_LIMIT, TAG_LIMIT = 250, 6000, 5000
"""Characters that MLflow takes for a name, a param's value and a tag's value."""

Granularity = Literal["cell", "replica"]


@dataclass(frozen=True)
class Cell:
    """The replicas that share one MLflow run.

    Attributes:
        key: Identity of the cell in the study, stable over calls.
        name: What a reader calls it, "wd=0.3".
        settings: Swept settings by name, the same for all replicas.
        replicas: Their rows of `Run.outcomes()`; the outcome is null where a replica still trains.
    """

    key: str
    name: str
    settings: Mapping[str, Any]
    replicas: pd.DataFrame

    @property
    def outcomes(self) -> list[str]:
        """Outcome of every replica that has left the fleet."""
        return [str(outcome) for outcome in self.replicas["outcome"].dropna()]

    @property
    def words(self) -> dict[str, str]:
        """The outcomes as tags: the most frequent, all of them, how many have ended."""
        return outcome_words(self.outcomes, len(self.replicas))

    @property
    def left(self) -> dict[int, bool]:
        """Whether each replica has left the fleet."""
        left = self.replicas["outcome"].notna().tolist()
        return dict(zip(self.replicas["replica"].tolist(), left, strict=True))

    @property
    def complete(self) -> bool:
        """Whether all replicas have left."""
        return all(self.left.values())


def cells(
    outcomes: pd.DataFrame, swept: list[str], granularity: Granularity, label: str
) -> list[Cell]:
    """Group the replicas of a run into cells, in the order of their settings.

    Args:
        outcomes: `Run.outcomes()`: one row per replica.
        swept: Columns whose values make a cell.
        granularity: "replica" makes every replica a cell of its own.
        label: What sets the run apart from others of its study; may be empty.
    """
    each = ["seed", "replica"] if granularity == "replica" else []
    varying = [n for n in swept if len(outcomes[n].unique()) > 1] or swept[:1]
    order = outcomes.sort_values([*swept, *each], kind="stable")
    found = []
    for place in order.groupby([*swept, *each], sort=False, dropna=False).indices.values():
        replicas = order.iloc[place]
        settings = {name: plain(replicas[name].iloc[0]) for name in [*swept, *each[:1]]}
        shown = [
            f"{_SHORT.get(name, name)}={text(settings[name])}" for name in [*varying, *each[:1]]
        ]
        identity = {**settings, "run_id": str(replicas["run_id"].iloc[0])}
        if each:
            identity["replica"] = int(replicas["replica"].iloc[0])
        key = digest(json.dumps(identity, sort_keys=True))
        found.append(Cell(key, " ".join([*shown, label]).strip(), settings, replicas))
    return found


def text(value: Any) -> str:
    """A setting as a name shows it.

    Example:
        >>> text(0.30), text(10.0), text(7), text("cosine")
        ('0.3', '10', '7', 'cosine')
    """
    return f"{value:g}" if isinstance(value, float) else str(value)


def digest(content: str) -> str:
    """A short name of a text, by which a change is seen."""
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def plain(value: Any) -> Any:
    """A numpy scalar as the Python value that prints like one."""
    return value.item() if isinstance(value, np.generic) else value


def swept_settings(replica_columns: list[str]) -> list[str]:
    """Columns of the replica table that are settings and no identity; weight decay leads."""
    names = [name for name in replica_columns if name not in IDENTITY]
    return sorted(names, key=lambda name: (name != "weight_decay", names.index(name)))


def rates(cell: Cell) -> dict[str, float]:
    """Share of each outcome among all replicas of a complete cell, and the event rate.

    A replica that lost its accuracy again had the event: `rate/first99` counts the outcomes grokked
    and lost, as the rates of the report do; collapsed and diverged count as without.
    """
    n = len(cell.replicas)
    shares = {f"rate/{name}": cell.outcomes.count(name) / n for name in OUTCOMES}
    shares[EVENT_RATE] = (cell.outcomes.count("grokked") + cell.outcomes.count("lost")) / n
    instant = cell.replicas["instant"].fillna(value=False).to_numpy(dtype=bool)
    return {**shares, "rate/instant": float(np.sum(instant)) / n}


def times(cell: Cell) -> dict[str, float]:
    """Median and quartiles of the event times, upper ends of the intervals, in steps.

    Replicas without the event count as later than all others: a quantile that falls among them does
    not exist and is left out, instead of being one of the survivors alone.
    """
    found = {}
    for column in cell.replicas.columns:
        if not column.endswith("_observed"):
            continue
        event = column.removesuffix("_observed")
        seen = cell.replicas[column].fillna(value=False).to_numpy(dtype=bool)
        t_hi = cell.replicas[f"{event}_hi"].to_numpy(dtype=float, na_value=np.inf)
        kind = "t_mem" if event == "mem" else "t_grok"
        drawn = QUARTILES if len(seen) > 1 else {"": 0.5}
        for suffix, level in drawn.items():
            time = order_statistic(np.where(seen, t_hi, np.inf), level)
            if time is not None:
                found[f"{kind}/{event}{suffix}"] = time
    return found


def outcome_words(outcomes: Sequence[str], n: int) -> dict[str, str]:
    """The outcomes of `n` replicas as tags: the most frequent, all of them, how many have ended."""
    counts = {name: outcomes.count(name) for name in OUTCOMES if name in outcomes}
    return {
        "outcome": max(counts, key=lambda name: counts[name]) if counts else "open",
        "outcomes": ", ".join(f"{count} {name}" for name, count in counts.items()) or "none yet",
        "replicas": f"{len(outcomes)} of {n} finished",
    }


def legal(name: str) -> str:
    """A name that MLflow takes.

    Example:
        >>> legal("+optimizer.groups[0]=x")
        '_optimizer.groups_0__x'
    """
    return re.sub(r"[^\w\-. :/]", "_", name)[:KEY_LIMIT]


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters; an ellipsis says that some are missing."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def flattened(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """The config as MLflow params: dotted names, text values, shortened where too long.

    A `_target_` becomes the class's name under the name of its group.

    Example:
        >>> flattened({"task": {"_target_": "pkg.modular.Modular", "p": 31}, "betas": [0.9, 0.98]})
        {'task': 'Modular', 'task.p': '31', 'betas': '[0.9, 0.98]'}
    """
    found: dict[str, str] = {}
    for key, value in config.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, Mapping):
            found |= flattened(value, name)
        elif key == "_target_":
            found[legal(prefix or name)] = str(value).rpartition(".")[2]
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            found[legal(name)] = shortened(text, PARAM_LIMIT)
    return found


def run_labels(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """What sets the runs of a study apart: at most three settings that differ; one run needs none.

    Example:
        >>> run_labels([{"task": {"p": 31}, "seed": 0}, {"task": {"p": 97}, "seed": 0}])
        ['p=31', 'p=97']
    """
    flat = [flattened(config) for config in configs]
    names = list(dict.fromkeys(name for config in flat for name in config))
    speaking = [name for name in names if name.partition(".")[0] not in _SILENT]
    differing = [n for n in speaking if len({config.get(n) for config in flat}) > 1][:3]
    return [
        " ".join(f"{n.rpartition('.')[2]}={config.get(n, 'none')}" for n in differing)
        for config in flat
    ]


def places(found: Sequence[Cell]) -> dict[str, float]:
    """Where each cell stands among the settings of the study, 0 to 1, by its key."""

    def order(cell: Cell) -> tuple[tuple[bool, float, str], ...]:
        values = cell.settings.values()
        return tuple(
            (False, float(v), "") if isinstance(v, float | int) else (True, 0.0, str(v))
            for v in values
        )

    ranks = {rank: place for place, rank in enumerate(sorted({order(cell) for cell in found}))}
    return {cell.key: ranks[order(cell)] / max(len(ranks) - 1, 1) for cell in found}


def metric_key(table: str, column: str, prefixes: Mapping[str, str]) -> str:
    """Name of a curve: a section of the charts, then the quantity.

    Args:
        table: "evaluation", or "probes/<name>".
        column: Column of that table.
        prefixes: Section of each probe; a probe that is not named has a section of its own name.

    Example:
        >>> metric_key("evaluation", "val_acc", {})
        'val/acc'
        >>> metric_key("probes/logit_scale", "logit_scale", {"logit_scale": "logit"})
        'logit/scale'
    """
    if table == "evaluation":
        return legal(column.replace("_", "/", 1))
    probe = table.removeprefix("probes/")
    section = prefixes.get(probe, probe)
    return legal(f"{section}/{column.removeprefix(f'{section}_')}")
