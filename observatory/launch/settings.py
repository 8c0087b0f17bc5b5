"""Where runs are trained: on this machine, or as jobs of a cluster."""

from dataclasses import dataclass, fields
from typing import Any, final

from observatory.core.errors import ConfigError
from observatory.core.setting_types import check_types, declared

CLUSTERS = ("slurm",)


@final
@dataclass(frozen=True)
class JobSettings:
    """How the shards of a run become jobs; conf/launcher/slurm.yaml says what each means."""

    cluster: str
    parallel: int
    array_parallelism: int
    array_limit: int
    attempts: int
    poll_s: float
    cpus_per_task: int
    mem_gb: float
    timeout_min: int
    requeues: int
    signal_delay_s: int
    partition: str | int | None
    account: str | int | None
    qos: str | int | None
    constraint: str | int | None
    gres: str | None
    setup: list[str]
    additional: dict[str, Any]

    def __post_init__(self) -> None:
        if self.cluster not in CLUSTERS:
            raise ConfigError(
                f"`launcher.cluster` must be null or one of {list(CLUSTERS)}, got {self.cluster!r}."
            )
        least = dict.fromkeys(
            ("parallel", "array_parallelism", "array_limit", "attempts", "cpus_per_task"), 1
        )
        least |= {"timeout_min": 1, "requeues": 0, "signal_delay_s": 1}
        for name, smallest in least.items():
            if (value := getattr(self, name)) < smallest:
                raise ConfigError(f"`launcher.{name}` must be at least {smallest}, got {value}.")
        for name in ("poll_s", "mem_gb"):
            if not (value := getattr(self, name)) > 0:
                raise ConfigError(f"`launcher.{name}` must be positive, got {value}.")
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
    known = [each.name for each in fields(JobSettings)]
    if wrong := sorted(set(given) ^ set(known)):
        raise ConfigError(
            f"`launcher` must have the settings {known}; {wrong} are too few or many."
        )
    check_types(declared(JobSettings), given, "launcher.")
    return JobSettings(**given)
