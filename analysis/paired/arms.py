"""Networks of runs with arms, and each arm beside what it is compared with: its own replica."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observatory.analysis.page.frames import column, select, where
from observatory.analysis.page.groups import Group
from observatory.store.reader import Run

Array = NDArray[np.float64]

PARENT = "parent"
"""What the replica is called from which an arm parted."""
BY_PARENT = "paired_by"
"""Extra of a record whose pairs are arms and their replicas."""
_NONE = "none"
"""The arm of a replica that begins at step 0."""
_KEYS = ["run_id", "parent"]


@dataclass(frozen=True)
class Networks:
    """All networks of some runs that differ in arm, weight decay and seed alone.

    Attributes:
        runs: The runs.
        rows: A row per network: `Run.outcomes` with `moment`, the step at which it parted, 0 where
            it did not.
        arms: The settings of each arm, by name.
        setting: What sets the runs apart from others of the study; empty where nothing does.
    """

    runs: Sequence[Run]
    rows: pd.DataFrame
    arms: Mapping[str, Mapping[str, Any]]
    setting: str = ""

    @property
    def horizon(self) -> int:
        """The shortest horizon, in steps."""
        return min(int(run.manifest["horizon_steps"]) for run in self.runs)

    @property
    def decays(self) -> list[float]:
        """Weight decays of the replicas, increasing, whether an arm parted there or not."""
        fresh = where(self.rows, self.rows["arm"].to_numpy() == _NONE)
        return np.unique(column(fresh, "weight_decay")).tolist()

    def pairs(self, arm: str, reference: str) -> pd.DataFrame:
        """A row per network of an arm with that of the reference from the same replica.

        Columns of the reference end in `_ref`. `moment` is the later one of both, and `until` the
        last step at which both were watched.
        """
        own = where(self.rows, self.rows["arm"].to_numpy() == arm)
        name = _NONE if reference == PARENT else reference
        other = where(self.rows, self.rows["arm"].to_numpy() == name)
        made = own.merge(other, on=_KEYS, suffixes=("", "_ref"))
        made["moment"] = np.maximum(column(made, "moment"), column(made, "moment_ref"))
        made["until"] = np.minimum(column(made, "step"), column(made, "step_ref"))
        return pd.DataFrame(made.sort_values(_KEYS).reset_index(drop=True))

    def never(self) -> dict[str, tuple[int, int]]:
        """Of each arm how many copies never parted, and how many there were to be."""
        own = set(zip(self.rows["run_id"].tolist(), self.rows["replica"].tolist(), strict=True))
        asked = [
            arm
            for run in self.runs
            for parent, arm in run.replicas()[["parent", "arm"]].itertuples(index=False)
            if (run.run_id, parent) in own
        ]
        parted = self.rows["arm"].tolist()
        counts = {name: (asked.count(name) - parted.count(name), asked.count(name)) for name in
                  self.arms}  # fmt: skip
        return {name: count for name, count in counts.items() if count[0]}

    def control(self, arm: str) -> str | None:
        """The control arm that an arm names; None where it names none."""
        name = self.arms[arm].get("control")
        return str(name) if name in self.arms else None

    def without_control(self) -> list[str]:
        """Arms that name no control and are none themselves."""
        controls = {self.control(name) for name in self.arms}
        alone = (name for name in self.arms if self.control(name) is None)
        return [name for name in alone if name not in controls and not is_noise(self.arms[name])]

    def doses(self) -> list[dict[str, float]]:
        """Arms that differ in strength alone: strengths by name, a mapping for each such family."""
        alike: dict[str, dict[str, float]] = {}
        for name, arm in self.arms.items():
            key = json.dumps([arm["intervention"], arm["moment"]], sort_keys=True, default=str)
            alike.setdefault(key, {})[name] = float(arm["strength"])
        families = [{n: s for n, s in found.items() if s > 0.0} for found in alike.values()]
        return [found for found in families if len(set(found.values())) > 1]


def is_noise(arm: Mapping[str, Any]) -> bool:
    """Whether what is done in an arm is noise of the size of another act."""
    return str(arm["intervention"].get("_target_", "")).endswith(".Noise")


def networks(found: Sequence[Group], setting: str = "") -> Networks | None:
    """The networks of groups of one setting; None where they have no arm, or some still train."""
    runs = [*{run.run_id: run for group in found for run in group.runs}.values()]
    own = pd.concat([select(group.replicas, ["run_id", "replica"]) for group in found])
    arms: dict[str, Mapping[str, Any]] = {}
    for run in runs:
        arms |= run.manifest["config"].get("arms") or {}
    if not arms:
        return None
    rows = pd.concat([_with_moments(run) for run in runs], ignore_index=True)
    rows = pd.DataFrame(rows.merge(own, on=["run_id", "replica"]))
    if rows["outcome"].isna().to_numpy().any():
        return None
    return Networks(runs, rows, arms, setting)


def _with_moments(run: Run) -> pd.DataFrame:
    rows, events = run.outcomes(), run.table("events", ["kind"])
    parted = where(events, (events["kind"] == "parted").to_numpy())
    moments = dict(zip(parted["replica"].tolist(), parted["step"].tolist(), strict=True))
    rows["moment"] = [int(moments.get(replica, 0)) for replica in rows["replica"].tolist()]
    rows["run_id"] = run.run_id
    return rows


Curves = Mapping[tuple[str, int], tuple[Array, Array]]
"""Steps and readings of a signal, by run and replica."""


def curves_of(runs: Sequence[Run], signal: str) -> Curves:
    """A recorded signal of every network.

    Raises:
        StoreError: If a run does not record it.
    """
    found: dict[tuple[str, int], tuple[Array, Array]] = {}
    for run in runs:
        frame = run.table(run.table_of(signal), [signal])
        for replica, own in frame.groupby("replica"):
            reading = column(own, signal)
            seen = np.isfinite(reading)
            found[run.run_id, int(str(replica))] = column(own, "step")[seen], reading[seen]
    return found


def ends(pairs: pd.DataFrame) -> Iterator[tuple[tuple[str, int], tuple[str, int], float, float]]:
    """Of each pair the keys of reference and arm in `Curves`, its moment and its last step."""
    names = ["run_id", "replica_ref", "replica", "moment", "until"]
    for run, ref, own, moment, until in select(pairs, names).itertuples(index=False):
        yield (str(run), int(ref)), (str(run), int(own)), float(moment), float(until)


def by_seed(values: Array, seed: Array) -> tuple[Array, NDArray[np.int64]]:
    """Means over the pairs of each seed, `[end, seed]`, and how many pairs each has, `[seed]`.

    Networks of one seed share their first parameters, split and batches: they are no independent
    pairs. NaN is left out, and stays where a seed has nothing else.

    Example:
        >>> by_seed(np.array([[1.0, 3.0, 5.0]]), np.array([7.0, 7.0, 2.0]))
        (array([[5., 2.]]), array([1, 2]))
    """
    seeds, which = np.unique(seed, return_inverse=True)
    own = which == np.arange(seeds.size)[:, None]
    there = np.isfinite(values)
    sums, counts = np.where(there, values, 0.0) @ own.T, there.astype(np.float64) @ own.T
    means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return means, own.sum(axis=1)
