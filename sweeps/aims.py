"""What a boundary search is after, beside its prior."""

from dataclasses import dataclass
from itertools import pairwise
from typing import final

from observatory.core.errors import ConfigError
from observatory.sweeps.grid_posterior import Prior
from observatory.sweeps.targets import BoundaryTarget, CurveTarget, SearchTarget, ThresholdTarget


@final
@dataclass(frozen=True)
class Second:
    """A second control whose values the boundary is followed over."""

    name: str  # of the setting
    values: tuple[float, ...]  # its values, rising, positive
    # whether the replicas of a batch have the same: a fleet shares all but its replicas' weight
    # decay, learning rate and seed
    shared: bool

    def __post_init__(self) -> None:
        rise = all(a < b for a, b in pairwise(self.values))
        if len(self.values) < 2 or not rise or self.values[0] <= 0:
            raise ConfigError(
                f"`search.second.values` must be positive and rise, at least two, got "
                f"{list(self.values)}. List the values that the boundary is followed over."
            )


@final
@dataclass(frozen=True)
class Aims:
    """What a boundary search is after, beside the prior."""

    batch: int = 16  # replicas asked for together
    # "critical": the critical value; "threshold": whether it is 0 or above
    target: str = "critical"
    second: Second | None = None  # None: one boundary; else a curve of boundaries
    retries: int = 0  # how often a replica that diverged is asked for again
    n_draws: int = 16  # draws of the posterior for what is not observed yet

    def __post_init__(self) -> None:
        if self.retries < 0:
            raise ConfigError(f"`search.retries` must not be negative, got {self.retries}.")
        if self.target not in ("critical", "threshold"):
            raise ConfigError(
                f"`search.target` must be critical or threshold, got {self.target!r}."
            )
        if self.target == "threshold" and self.second is not None:
            raise ConfigError(
                "`search.target=threshold` asks about one boundary: leave out `search.second`."
            )

    def search_target(self, prior: Prior) -> SearchTarget:
        """What is searched."""
        if self.target == "threshold":
            if prior.edge == "upper":
                raise ConfigError(
                    "`search.target=threshold` asks about the lower edge: times to grok say "
                    "nothing of an upper one. Set `search.edge=lower`."
                )
            return ThresholdTarget(prior)
        if self.second is not None:
            return CurveTarget(prior, self.second.values, self.second.shared)
        return BoundaryTarget(prior)
