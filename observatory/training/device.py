"""Which device a setting means on this machine."""

from observatory.core.errors import ConfigError

_DEVICES = ("auto", "cpu", "cuda")


def torch_device(setting: str) -> str:
    """The device that a `device` setting means on this machine: "cpu" or "cuda".

    Raises:
        ConfigError: If it is none, or CUDA is asked for and there is none.
    """
    check_device(setting)
    if setting == "cpu":
        return setting
    import torch  # takes seconds: only where it is needed

    available = torch.cuda.is_available()
    if setting == "cuda" and not available:
        raise ConfigError(
            "`fleet.device` = cuda needs a CUDA device, and torch sees none. Use auto or cpu."
        )
    return "cuda" if available else "cpu"


def check_device(setting: str) -> None:
    """Refuse what names no device.

    Raises:
        ConfigError: If it is none of `_DEVICES`.
    """
    if setting not in _DEVICES:
        raise ConfigError(f"`fleet.device` must be auto, cpu or cuda, got {setting!r}.")


def cuda_devices() -> int:
    """How many CUDA devices this machine has."""
    import torch

    return torch.cuda.device_count()
