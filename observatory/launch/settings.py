"""Where runs are trained: on this machine, or as jobs of a cluster."""

from dataclasses import dataclass
from typing import Any, Literal, final

from observatory.core.errors import ConfigError
from observatory.core.settings import Count, Positive, Size, checked, declared


@final
@dataclass(frozen=True)
class JobSettings:
    """How the shards of a run become jobs; conf/launcher/slurm.yaml says what each means."""

    cluster: Literal["slurm"]
    parallel: Size
    array_parallelism: Size
    array_limit: Size
    attempts: Size
    poll_s: Positive
    cpus_per_task: Size
    mem_gb: Positive
    timeout_min: Size
    requeues: Count
    signal_delay_s: Size
    partition: str | int | None
    account: str | int | None
    qos: str | int | None
    constraint: str | int | None
    gres: str | None
    setup: list[str]
    additional: dict[str, Any]

    def __post_init__(self) -> None:
        checked(vars(self), declared(JobSettings), "launcher")
        if self.signal_delay_s >= 60 * self.timeout_min:
            raise ConfigError(
                f"`launcher.signal_delay_s` must be shorter than `launcher.timeout_min`, got "
                f"{self.signal_delay_s} s and {self.timeout_min} min."
            )


def job_settings(config: dict[str, Any]) -> JobSettings | None:
    """How a run's shards become jobs; None where they train on this machine.

    Raises:
        ConfigError: If a setting is unknown or breaks its rule.
    """
    given = config.get("launcher") or {}
    if given.get("cluster") is None:
        return None
    return JobSettings(**checked(given, declared(JobSettings), "launcher", complete=True))
