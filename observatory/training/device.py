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


def check_matmul(matmul: str, device: str) -> None:
    """Refuse a precision of matrix products that a device of this machine cannot compute in.

    Args:
        matmul: As `fleet.matmul`.
        device: Torch device, "cpu" or a CUDA device.

    Raises:
        ConfigError: If it cannot.
    """
    if matmul == "full" or (matmul, device) == ("bf16", "cpu"):
        return
    if device == "cpu":
        raise ConfigError(
            f"`fleet.matmul` = {matmul} needs a CUDA device, and this run is on a CPU. Leave it at "
            "full, or set bf16 with fleet.path=generic."
        )
    import torch

    major, minor = torch.cuda.get_device_capability(device)
    if major < 8:
        raise ConfigError(
            f"`fleet.matmul` = {matmul} needs a CUDA device of compute capability 8.0 or more, "
            f"and {device} has {major}.{minor}. Leave it at full."
        )


def cuda_devices() -> int:
    """How many CUDA devices this machine has."""
    import torch

    return torch.cuda.device_count()
