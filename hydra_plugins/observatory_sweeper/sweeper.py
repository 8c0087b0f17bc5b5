"""`hydra/sweeper=boundary`: the boundary search over any of Hydra's launchers.

A launcher returns when the last job of a round has ended; `observatory sweep` waits for none.
"""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from observatory.core.errors import ObservatoryError

CONTROL = "optimizer.weight_decay"
log = logging.getLogger(__name__)


class BoundarySweeper(Sweeper):
    """Asks for batches of replicas, hands each to the launcher as one job, reads what they did.

    Args:
        fleets: Batches of a round.
        search: As conf/search/boundary.yaml.
    """

    def __init__(self, fleets: int, search: DictConfig) -> None:
        self.fleets, self.search = fleets, search

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Called by Hydra before `sweep`."""
        self.master = config
        self.loader = hydra_context.config_loader
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Search until the boundary is found or the budget is spent; again: continue."""
        from observatory.core.errors import ObservatoryError

        try:
            self._sweep(arguments)
        except ObservatoryError as error:  # in one line, and with its exit code: not as Hydra would
            sys.stderr.write(f"observatory: {error}\n")
            sys.exit(error.exit_code)

    def _sweep(self, arguments: list[str]) -> None:
        from observatory.core.settings import Size, checked
        from observatory.launch.compose import plain
        from observatory.store.lock import own
        from observatory.store.reader import Run
        from observatory.sweeps.boundary import BoundarySearch, run_search
        from observatory.sweeps.fleets import shared_settings
        from observatory.sweeps.rule import read_rule

        overrides = OverridesParser.create(config_loader=self.loader).parse_overrides(arguments)
        settings = {**_plain(self.search), **_limits(overrides)}
        checked({"fleets": self.fleets}, {"fleets": Size}, "hydra.sweeper")
        rule = read_rule(settings)
        fixed = [str(each.input_line) for each in overrides if not each.is_sweep_override()]
        config = plain(self.loader.load_sweep_config(self.master, fixed))
        # The jobs have a device of their own: here, where they are submitted, there may be none.
        about = shared_settings({**config, "fleet": {**config["fleet"], "device": "cpu"}}, rule)
        study = Path(config["results"]) / config["study"]
        rounds = _Rounds(self.launcher, fixed, config, self.fleets)
        with own(study / "search.lock"):
            run_search(
                BoundarySearch(study, rule, about),
                config,
                rounds,
                lambda name: Run(rounds.folders[name]).outcomes(),
                log.info,
            )


class _Rounds:
    """Trains a round of runs by one call of Hydra's launcher."""

    def __init__(
        self, launcher: Any, fixed: list[str], config: dict[str, Any], fleets: int
    ) -> None:
        self.parallel = fleets
        self.folders: dict[Path, Path] = {}
        self._launcher, self._fixed, self._config = launcher, fixed, config
        self._round: dict[Path, list[str]] = {}
        self._next = 0

    def start(self, config: dict[str, Any]) -> Path:
        """Put a run into the next round; returns a name, since its folder is known in the end."""
        name = Path(f"job {self._next + len(self._round)}")
        sweep = config["sweep"]
        first = {name: values[0] for name, values in sweep["scientific"].items()}
        rows = ",".join(
            f"{{{','.join(f'{name}:{value!r}' for name, value in row.items())}}}"
            for row in (first, *sweep["extra"])
        )
        self._round[name] = [*self._fixed, *self._second(config), f"+replicas=[{rows}]"]
        return name

    def _second(self, config: dict[str, Any]) -> list[str]:
        """Overrides for what this run has another value of than the others."""
        from observatory.sweeps.fleets import flat

        theirs = flat({**self._config, "sweep": None})
        ours = flat({**config, "sweep": None})
        return [f"{key}={value!r}" for key, value in ours.items() if value != theirs[key]]

    def ended(self) -> "dict[Path, ObservatoryError | None]":
        """Launch the round and wait for all of it."""
        from observatory.core.errors import ObservatoryError, StoreError

        ended: dict[Path, ObservatoryError | None] = {}
        jobs = self._launcher.launch(list(self._round.values()), initial_job_idx=self._next)
        for name, job in zip(self._round, jobs, strict=True):
            if job.status == JobStatus.COMPLETED:
                self.folders[name] = Path(job.return_value)
                ended[name] = None
            else:
                ended[name] = StoreError(f"{name} failed: {_reason(job)}")
        self._next += len(self._round)
        self._round = {}
        return ended


def _reason(job: JobReturn) -> Exception | None:
    """What ended a job that failed."""
    try:
        _ = job.return_value  # raises what ended it: that is how Hydra gives it out
    except Exception as error:  # noqa: BLE001 - it becomes the reason of a StoreError
        return error
    return None


def _plain(node: DictConfig) -> dict[str, Any]:
    values = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def _limits(overrides: list[Override]) -> dict[str, float]:
    """Limits of the weight decay where one override gives them, such as interval(1e-3,1)."""
    from observatory.core.errors import ConfigError

    limits: dict[str, float] = {}
    for override in overrides:
        if not override.is_sweep_override():
            continue
        value = override.value()
        if override.get_key_element() != CONTROL or not isinstance(value, IntervalSweep):
            raise ConfigError(
                f"hydra/sweeper=boundary searches one boundary: give one value in place of "
                f"{override.input_line!r}, or {CONTROL}=interval(LOW,HIGH) for what is searched."
            )
        limits = {"low": float(value.start or 0.0), "high": float(value.end or 0.0)}
    return limits
