"""Finite-size scaling on a table from anywhere: read, checked, judged link by link."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, final, runtime_checkable

from observatory.analysis.tables.sources import Table

from observatory.analysis.fit.result import flat_record
from observatory.analysis.fit.settings import deep_settings, shared_setting
from observatory.analysis.scaling.estimators.sample import SizedRows
from observatory.analysis.scaling.result import SizeFit
from observatory.analysis.scaling.table import SizeColumns, SizedTable, read_sized
from observatory.analysis.stats.estimate import Estimate, refusal_record
from observatory.core.errors import ConfigError

NAME = "collapse"
FITS = "observatory.analysis."
MAX_DRAWN = 50_000_000
"""Rows of all resamples together."""


@runtime_checkable
class Chain(Protocol):
    """A finite-size analysis."""

    fit_name: str
    estimator: str
    level: float

    def estimate(self, rows: SizedRows, seed: int) -> Estimate:
        """Its verdicts and numbers, or `FitRefusedError`."""
        ...


def build_chain(settings: Mapping[str, Any]) -> Chain:
    """The chain, with some of its settings changed.

    Raises:
        ConfigError: If there is no such setting, or one breaks its rule.
    """
    node = deep_settings(NAME, settings)
    module, _, name = str(node.pop("_target_")).rpartition(".")
    if not module.startswith(FITS):
        raise ConfigError(f"`{NAME}` must name a class in {FITS[:-1]}, got {module}.")
    try:
        return getattr(import_module(module), name)(**node)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"`{NAME}` cannot be built: {error}") from error


@final
@dataclass(frozen=True)
class SizeTask:
    """A chain and the table that it is for, both checked.

    Attributes:
        chain: The analysis.
        read: The table.
        seed: Of all draws.
    """

    chain: Chain
    read: SizedTable
    seed: int

    def run(self) -> SizeFit:
        """Go through the chain; raises `FitRefusedError` where the table cannot be judged."""
        return SizeFit(self.chain.estimate(self.read.rows, self.seed), self.read)

    def refused(self, reason: str) -> dict[str, Any]:
        """The record where it refused."""
        record = refusal_record(
            fit=self.chain.fit_name,
            estimator=self.chain.estimator,
            event=self.read.rows.order_parameter,
            horizon_steps=None,
            horizon_epochs=None,
            level=self.chain.level,
            n=self.read.rows.value.size,
            seed=self.seed,
            reason=reason,
        )
        return flat_record({**record, "warnings": list(self.read.warnings)})


def prepare_collapse(
    table: Table, columns: SizeColumns, settings: Mapping[str, Any], seed: int | None
) -> SizeTask:
    """The chain, the table and the seed, all checked; nothing is computed yet.

    Args:
        table: A frame, a CSV or Parquet file, a study or its folder.
        columns: Which columns hold what.
        settings: Of `conf/deep_fit/collapse.yaml`, by name.
        seed: Of all draws; None: that of all fits.

    Raises:
        ConfigError: If the table or a setting breaks a rule.
        StoreError: If a folder is no study.
    """
    chain = build_chain(settings)
    read = read_sized(table, columns)
    node = deep_settings(NAME, settings)
    n_draws, n_rows = max(node["n_bootstrap"], node["n_null"]), read.rows.value.size
    if n_rows * n_draws > MAX_DRAWN:
        raise ConfigError(
            f"`n_bootstrap` and `n_null` must be at most {MAX_DRAWN // n_rows} for {n_rows} rows, "
            f"got {n_draws}: every draw holds them all. Lower them, or thin the table."
        )
    return SizeTask(chain, read, int(shared_setting("seed")) if seed is None else seed)


def fit_collapse(
    table: Table,
    *,
    size: str | None = None,
    control: str | None = None,
    value: str | None = None,
    group: str | None = None,
    level: float | None = None,
    n_bootstrap: int | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> SizeFit:
    """Whether an order parameter shows a transition, as size grows, or a smooth crossover.

    Args:
        table: A DataFrame, a CSV or Parquet file, or a study or its folder: a row per network.
        size: Column of sizes; None: "size". Of a study, a setting such as "task.p".
        control: Column of what is varied at each size; None: "control", of a study "weight_decay".
        value: Column of the order parameter; None: "value", of a study "val_acc" at the last look.
        group: Column of what rows of one size share, such as a seed; None: "seed", if it is there.
        level: Coverage of the intervals; tests are at 1 - level.
        n_bootstrap: Resamples of seeds.
        seed: Of all draws.
        settings: Further settings of `conf/deep_fit/collapse.yaml` by name, such as log_control.

    Returns:
        A verdict for every link and for the chain, with critical point and exponents. It prints
        itself.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        StoreError: If a folder is no study.
        FitRefusedError: If there are too few sizes, values or seeds, or nothing changes.
    """
    given = {"level": level, "n_bootstrap": n_bootstrap}
    changes = {name: number for name, number in given.items() if number is not None}
    columns = SizeColumns(size, control, value, group)
    return prepare_collapse(table, columns, {**changes, **(settings or {})}, seed).run()
