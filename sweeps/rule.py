"""The settings of a boundary search: what is searched for, and when it is found."""

from dataclasses import dataclass
from typing import Any, final

from observatory.core.errors import ConfigError
from observatory.core.settings import Count, Positive, Share, Size, checked, declared
from observatory.sweeps.aims import Aims, Second
from observatory.sweeps.grid_posterior import Edge, Prior
from observatory.sweeps.optuna_samplers import Field, OrdinarySampler
from observatory.sweeps.sampler import BoundarySampler

CONTROL = "weight_decay"
LR = "lr"
"""The one further setting in which replicas of a fleet may differ, but for their seed."""
_NOT_SECOND = {
    "modulus": "other settings took their values from it: name `task.p`",
    "horizon_steps": "a long run contains the short ones",
    f"optimizer.{CONTROL}": "it is what is searched",
}
"""Settings that cannot be a second control, and why."""


@final
@dataclass(frozen=True)
class Rule:
    """What is searched for, and when it is found."""

    event: str  # event preset that makes a replica count as grokked
    low: float  # smallest critical weight decay that is thought possible
    high: float  # largest
    batch: Size  # replicas asked for together
    n_seeds: Size  # seeds that they may have, 0 to this
    width_decades: Positive  # stop where the credible interval is no wider
    budget: Size  # stop where this many replicas were run
    level: Share  # of that interval
    seed: Count  # of the search's draws
    edge: Edge  # "lower": replicas grok above the critical value; "upper": below it
    target: str  # "critical": the critical value; "threshold": whether it is 0 or above
    second: dict[str, Any] | None  # None, or the `name` and `values` of a second control
    retries: Count  # how often a replica that diverged is asked for again
    sampler: str  # "boundary", or one of Optuna's: "grid", "qmc", "tpe", "random"
    points: Size  # weight decays of `sampler` "grid"

    def __post_init__(self) -> None:
        checked(vars(self), declared(Rule), "search")
        if not 0 < self.low < self.high:
            raise ConfigError(
                f"`search.low` must be positive and below `search.high`, got {self.low} and "
                f"{self.high}. Give weight decays that surely lie on both sides of the boundary."
            )
        self.made()

    def _second(self) -> Second | None:
        if self.second is None:
            return None
        types = {"name": str, "values": list[float]}
        checked(self.second, types, "search.second", complete=True)
        name, values = self.second["name"], self.second["values"]
        if name in _NOT_SECOND:
            raise ConfigError(f"`search.second.name` cannot be `{name}`: {_NOT_SECOND[name]}.")
        return Second(name, tuple(values), shared=name != LR)

    def made(self) -> BoundarySampler | OrdinarySampler:
        """Its sampler."""
        second = self._second()
        if self.sampler == "boundary":
            aims = Aims(self.batch, self.target, second, self.retries)
            prior = Prior(self.low, self.high, self.edge)
            return BoundarySampler(prior, CONTROL, self.n_seeds, self.seed, aims)
        if second is not None and second.shared:
            raise ConfigError(
                f"`search.sampler={self.sampler}` mixes the values of a second control in a batch, "
                f"and replicas of a run share `{second.name}`. Leave out `search.second`, name "
                "`lr`, or set `search.sampler=boundary`."
            )
        others = {second.name: second.values} if second else {}
        field = Field(CONTROL, self.low, self.high, self.points, others)
        return OrdinarySampler(self.sampler, field, self.n_seeds, self.seed)


def read_rule(settings: dict[str, Any]) -> Rule:
    """The rule that the group `search` of a configuration states.

    Raises:
        ConfigError: If a setting breaks its own.
    """
    return Rule(**checked(settings, declared(Rule), "search", complete=True))
