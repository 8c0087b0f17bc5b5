"""Rules that settings of many components obey."""

from collections.abc import Collection

from observatory.core.errors import ConfigError


def check_sizes(**sizes: int) -> None:
    """Refuse a size below 1.

    Raises:
        ConfigError: If one is.
    """
    for name, size in sizes.items():
        if size < 1:
            raise ConfigError(f"`{name}` must be at least 1, got {size}.")


def check_scales(**scales: float | None) -> None:
    """Refuse a negative standard deviation or the like; None means that it is not used.

    Raises:
        ConfigError: If one is.
    """
    for name, scale in scales.items():
        if scale is not None and scale < 0:
            raise ConfigError(f"`{name}` must not be negative, got {scale}.")


def check_name(setting: str, name: str, known: Collection[str]) -> None:
    """Refuse a name that is none of the known ones.

    Raises:
        ConfigError: If it is not; the message lists them.
    """
    if name not in known:
        raise ConfigError(f"`{setting}` must be one of {sorted(known)}, got {name!r}.")


def check_fraction(fraction: float) -> None:
    """Refuse a share of train examples that is none.

    Raises:
        ConfigError: If it is outside (0, 1).
    """
    if not 0 < fraction < 1:
        raise ConfigError(
            f"`train_fraction` must be in (0, 1), got {fraction}. "
            "Give the fraction, not the percentage."
        )
